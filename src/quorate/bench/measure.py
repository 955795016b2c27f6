"""The program that measures a workload: all repetitions in one session, between synchronisations of all parties.

The time of a repetition is that between two barriers, on the slowest party; the checks of malicious protocols that are
put off until something is opened are part of it.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from quorate.bench.workloads.base import Workload
from quorate.bench.workloads.tuples import stock_up
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol

__all__ = ["Measured", "measured", "once", "peak_mb"]


class Measured(NamedTuple):
    """What one participant measured.

    Attributes:
        seconds: of each repetition, on its clock.
        busy: seconds of processor time of a repetition, on average.
        peak_mb: peak memory before the check.
    """

    seconds: list[float]
    busy: float
    peak_mb: float


def measured(
    p: Protocol, at: Scope, workload: Workload, size: int, repeats: int, needs: dict[str, int] | None = None
) -> Step[Measured]:
    """Run the workload `repeats` times after one warm-up, in a session that is set up.

    `needs` are tuples, by kind, that are made before each repetition, untimed.

    Raises:
        InternalError: the result is wrong (its first rows are opened to all parties at the end).
    """
    operands = yield from workload.operands(p, at.child("operands"), size)
    yield from p.checked()
    seconds: list[float] = []
    result: Any = None
    busy = 0.0
    for k in range(repeats + 1):
        result = None  # its memory serves the next one
        here = at.child(f"repetition {k}")
        if p.supply is not None:
            p.supply.stock.clear()  # what a production rounded up is no gift to the next repetition
        yield from stock_up(p, here.child("stock"), needs or {})
        yield from _barrier(p, here.child("start"))
        start, worked = time.perf_counter(), time.process_time()
        result = yield from workload.work(p, here.child("work"), size, operands)
        yield from p.checked()
        yield from _barrier(p, here.child("end"))
        seconds.append(time.perf_counter() - start)
        busy += (time.process_time() - worked) if k else 0
    peak = peak_mb()
    yield from workload.check(p, at.child("check"), size, result)
    return Measured(seconds[1:], busy / repeats, peak)


def once(p: Protocol, at: Scope, workload: Workload, size: int) -> Step[None]:
    """One repetition with its final barrier, on operands without content: for counting and predicting.

    Tuples that are to be made beforehand are not a part of it, see `stock_up`.
    """
    yield from workload.work(p, at.child("work"), size, workload.blanks(p, size))
    yield from p.checked()
    yield from _barrier(p, at.child("end"))


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB of 10**6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _barrier(p: Protocol, at: Scope) -> Step[None]:
    """All parties and the dealer wait for each other."""
    members = [*range(p.parties), *([] if p.session.dealer is None else [p.session.dealer])]
    token = np.zeros(1, np.uint8)
    arriving = {member: [np.empty(1, np.uint8)] for member in members if member != p.me}
    yield Exchange(at.step(), {other: [token] for other in arriving}, arriving)
