"""How fast this machine computes, for predictions: a few workloads between real processes, beside what is predicted."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.bench.runner import Setting
    from quorate.coordination.machine import Calibration

__all__ = ["calibrate"]

SMALL = ("dependent_products", 1)
BULK = (("product", 1_000_000), ("comparison", 300_000), ("division", 50_000))
_REPEATS = 3
_LEAST, _MOST = 5, 5_000


def calibrate(say: Callable[[str], None]) -> Calibration:
    """Measure small steps and bulk work over TLS between three processes here; takes about ten seconds.

    Raises:
        InternalError: a measurement failed.
    """
    from quorate.bench.runner import setting_for
    from quorate.coordination.machine import Calibration

    setting = setting_for("rep3", "tls")
    say("measuring small steps: dependent products ...")
    small = _percent(setting, *SMALL, repeats=1)
    bulk = []
    for name, size in BULK:
        say(f"measuring {name}, {size:,} elements ...")
        bulk.append(_percent(setting, name, size, repeats=_REPEATS))
    date = time.strftime("%Y-%m-%d", time.gmtime())
    middle = round(statistics.median(bulk))
    return Calibration(date=date, small_percent=_within(round(small)), bulk_percent=_within(middle))


def _within(percent: int) -> int:
    return min(max(percent, _LEAST), _MOST)


def _percent(setting: Setting, name: str, size: int, *, repeats: int) -> float:
    """Measured time in percent of what the built-in figures predict."""
    from quorate.bench.runner import predicted, run
    from quorate.coordination.machine import TYPICAL

    measured = run(name, setting, size, repeats).seconds
    return 100 * measured / predicted(name, setting, size, replace(TYPICAL, cores=os.cpu_count()))
