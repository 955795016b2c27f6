"""What `quorate bench` measures, by name."""

from __future__ import annotations

from quorate.bench.workloads.analysis import ANALYSIS
from quorate.bench.workloads.base import Workload
from quorate.bench.workloads.cipher import CIPHER
from quorate.bench.workloads.learning import LEARNING
from quorate.bench.workloads.numeric import NUMERIC
from quorate.bench.workloads.rows import ROWS
from quorate.bench.workloads.steps import STEPS
from quorate.bench.workloads.tuples import Online

__all__ = ["ANALYSIS", "GROWTH", "ONLINE", "WORKLOADS", "Workload"]

WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in (*STEPS, *NUMERIC, *ROWS, *LEARNING, *CIPHER)}

ONLINE: dict[str, Workload] = {f"{name}_online": Online(WORKLOADS[name]) for name in ("product", "comparison")}
"""What is measured with tuples made beforehand; for protocols that need tuples."""

GROWTH: dict[str, tuple[int, ...]] = {
    "product": (10**3, 10**4, 10**5, 10**6, 10**7),
    "comparison": (10**3, 10**4, 10**5, 10**6, 10**7),
    "sigmoid": (10**3, 10**4, 10**5, 10**6),
    "sort": (10**3, 10**4, 10**5, 10**6),
    "group_sum": (10**3, 10**4, 10**5, 10**6),
}
"""What `quorate bench growth` measures: how time and memory grow with the number of elements."""
