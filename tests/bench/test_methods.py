"""Methods of `quorate.analytics` as they are measured: right, and with a cost that is counted."""

from __future__ import annotations

import pytest

from quorate.bench.measure import measured, once
from quorate.bench.workloads import ANALYSIS
from quorate.testing.world import World

QUICK = {"least_squares", "kaplan_meier", "kmeans"}
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ANALYSIS]


@pytest.mark.parametrize("name", NAMES)
def test_right_and_counted(name):
    method, size = ANALYSIS[name], 200
    outcome = World("rep3", seed=3).run(lambda p, at: measured(p, at.child("measured"), method, size, 1))
    assert len(outcome.values[0].seconds) == 1
    counted = World("rep3", seed=3).count(lambda p, at: once(p, at, method, size))
    assert 0 < max(counted.rounds) <= max(outcome.rounds)
