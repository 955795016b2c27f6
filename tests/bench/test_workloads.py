"""Every workload gives the right result under every kind of protocol, and costs what is counted."""

import numpy as np
import pytest

from quorate.bench.measure import measured, once
from quorate.bench.workloads import GROWTH, WORKLOADS
from quorate.bench.workloads.data import spread
from quorate.errors import InternalError
from quorate.testing.world import World

SIZES = {"matmul": 7, "dependent_products": 1, "logistic_regression": 150}
SLOW = {"dependent_products"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in WORKLOADS]


@pytest.mark.parametrize("protocol", ["clear", "rep3", "shamir", "semi2k"])
@pytest.mark.parametrize("name", NAMES)
def test_right_and_counted(protocol, name):
    """`measured` checks the result itself; what it sends beside set-up, operands and check is what `once` counts."""
    workload, size = WORKLOADS[name], SIZES.get(name, 300)
    world = World(protocol, seed=3)
    outcome = world.run(lambda p, at: measured(p, at.child("measured"), workload, size, 1))
    assert len(outcome.values[0].seconds) == 1

    def repetition(p, at):
        operands = yield from workload.operands(p, at.child("operands"), size)
        yield from workload.work(p, at.child("work"), size, operands)

    def operands(p, at):
        yield from workload.operands(p, at.child("operands"), size)

    def nothing(p, at):
        yield from ()

    world = World(protocol, seed=4)
    ran, prepared = world.run(repetition), world.run(operands)
    whole, first = world.count(lambda p, at: once(p, at, workload, size)), world.count(nothing)
    for me in range(world.size):
        barrier = world.size - 1
        counted = whole.bytes_sent[me] - first.bytes_sent[me] - barrier
        assert counted == ran.bytes_sent[me] - prepared.bytes_sent[me]


def test_a_wrong_result_is_found():
    workload = WORKLOADS["product"]

    def program(p, at):
        x, y = yield from workload.operands(p, at.child("operands"), 10)
        yield from workload.check(p, at.child("check"), 10, p.add(x, y))

    with pytest.raises(InternalError, match="product: z is off by"):
        World("rep3", seed=6).run(program)


def test_data_are_spread():
    for bits in (1, 20, 61):
        values = spread(3, 0, 10_000, bits)
        assert np.abs(values).max() < 1 << bits
        assert abs((values < 0).mean() - (values > 0).mean()) < 0.05
        np.testing.assert_array_equal(spread(3, 5000, 100, bits), values[5000:5100])
    assert len(np.unique(spread(0, 0, 10_000, 61))) == 10_000
    assert (spread(1, 0, 1000, 30, signed=False) >= 0).all()


def test_growth_names_workloads():
    assert set(GROWTH) <= set(WORKLOADS)
