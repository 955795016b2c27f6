"""Tournaments give NumPy's extremes and first positions, at the planned number of rounds."""

from itertools import pairwise

import numpy as np
import pytest

from quorate.circuits import extremes, strips
from quorate.circuits.extremes import Tournament, extreme, extreme_position, matches
from quorate.engine.exchange import parallel
from quorate.engine.network import LAN, Network
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.protocols.registry import make, protocol_class
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS, World

REP3 = ("rep3", 3, 1)
FAR = Network.parse("200ms", "1Gbit")


def all_four(bits):
    def circuit(p, at, x):
        ways = [(find, largest) for find in (extreme, extreme_position) for largest in (False, True)]
        steps = [way(p, at.child(f"{k}"), x, largest=up, bits=bits) for k, (way, up) in enumerate(ways)]
        return (yield from parallel(steps))

    return circuit


def expected(x):
    return [x.min(0), x.max(0), x.argmin(0), x.argmax(0)]


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_extremes_and_first_positions(configuration, n):
    x = np.random.default_rng(n).integers(-3, 4, (n, 2, 3))
    check_circuit(configuration, all_four(3), [x], expected(x))


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_values_at_the_ends_of_the_range(configuration):
    edge = 2 ** (protocol_class(configuration[0]).capacity - 1) - 1
    x = np.array([[edge, -edge, 0, 1], [-edge, -edge, 0, 0], [edge - 1, edge, -1, 1], [-edge, edge, 0, 0]])
    check_circuit(configuration, all_four(None), [x], expected(x))


SCHEDULES = [(), (2,), (3,), (5,), (4, 3), (2, 2, 2), (7, 2), (3, 2, 4)]


@pytest.mark.parametrize("start", SCHEDULES, ids=str)
def test_every_schedule_gives_the_first_of_equals(start, monkeypatch):
    def schedule(p, shape, what):
        left, sizes = shape[0], []
        for size in (*start, *[2] * 9):
            if 1 < size <= left:
                sizes.append(size)
                left = left // size + left % size
        return tuple(sizes)

    monkeypatch.setattr(extremes, "matches", schedule)
    for n in (5, 14):
        x = np.random.default_rng(n).integers(0, 2, (n, 20))
        check_circuit(REP3, all_four(1), [x], expected(x))


def test_values_that_are_known_to_be_equal_cost_nothing():
    x = np.full((5, 2), 7)
    outcome = check_circuit(REP3, lambda p, at, x: extreme_position(p, at, x, largest=True, bits=0), [x], x.argmax(0))
    assert outcome.rounds[0] == 3  # set-up, input, opening


def test_large_ones_go_in_strips(monkeypatch):
    monkeypatch.setattr(strips, "TILE", 64)
    x = np.random.default_rng(1).integers(-50, 50, (6, 40))
    check_circuit(REP3, all_four(7), [x], expected(x))


def test_nothing_has_no_extreme():
    with pytest.raises(UserError, match="axis is not empty"):
        check_circuit(REP3, all_four(7), [np.zeros((0, 3), np.int64)], [])
    none = np.zeros((3, 0), np.int64)
    check_circuit(REP3, all_four(7), [none], [none[0]] * 4)


def protocol(name="rep3", parties=3, network=LAN):
    return make(name, Session(0, parties, tuple("abcd"[: parties + 1]), None, True, network=network), 1)


def rounds_of(p, sizes, what):
    """What the planner takes a tournament of these sizes to need."""
    return sum(extremes._cost(extremes._rates(p, what), size, 1)[0] for size in sizes)


@pytest.mark.parametrize("n", [2, 10, 100, 1000])
def test_the_planned_rounds_are_those_that_are_counted(n):
    what = Tournament(False, 20, value=True, place=False)

    def program(p, at):
        return extreme(p, at, p.public(np.arange(n).reshape(n, 1)), largest=False, bits=20)

    p = protocol()
    setup = World("rep3").count(lambda p, at: (_ for _ in ())).rounds[0]
    assert World("rep3").count(program).rounds[0] - setup == rounds_of(p, matches(p, (n, 1), what), what)


def test_schedules_lead_to_one_winner_in_the_least_time():
    what = Tournament(False, 20, value=True, place=False)
    p = protocol()

    rates = extremes._rates(p, what)

    def least(count):
        if count == 1:
            return 0
        return min(
            least(count // size + count % size) + LAN.nanoseconds(*extremes._cost(rates, size, count // size * 50))
            for size in range(2, count + 1)
        )

    for count in (2, 5, 9, 16):
        assert extremes._schedule(rates, count, 50)[0] == least(count)


def test_a_slow_network_gets_fewer_rounds_and_more_comparisons():
    what = Tournament(False, 32, value=True, place=False)
    near, far = (matches(protocol(network=network), (10, 20_000), what) for network in (LAN, FAR))
    assert rounds_of(protocol(), far, what) < rounds_of(protocol(), near, what)
    single = matches(protocol(), (10**6, 1), what)
    assert single[0] == 2
    assert all(small <= large for small, large in pairwise(single))
