"""Running sums and extremes, of whole arrays and of segments that nobody sees."""

import numpy as np
import pytest

from quorate.circuits import scan, strips
from quorate.circuits.scan import OPERATIONS, running_extreme, segmented_scan
from quorate.engine.exchange import parallel
from quorate.engine.network import LAN, Network
from quorate.protocols.registry import protocol_class
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS, World

REP3 = ("rep3", 3, 1)
RULES = {"sum": np.add, "min": np.minimum, "max": np.maximum, "first": lambda before, value: before}


def by_hand(x, starts, operation):
    result = x.copy()
    for k in range(1, len(x)):
        if not starts[k]:
            result[k] = RULES[operation](result[k - 1], x[k])
    return result


def everything(bits):
    def circuit(p, at, x, starts):
        steps = [running_extreme(p, at.child(f"{up}"), x, largest=up, bits=bits) for up in (False, True)]
        steps += [segmented_scan(p, at.child(way), x, starts, way, bits) for way in OPERATIONS]
        return (yield from parallel(steps))

    return circuit


def expected(x, starts):
    whole = [np.minimum.accumulate(x, 0), np.maximum.accumulate(x, 0)]
    return whole + [by_hand(x, starts, operation) for operation in OPERATIONS]


def data(n, columns=2, marks=0.4):
    rng = np.random.default_rng(n)
    return rng.integers(-9, 10, (n, columns)), rng.random(n) < marks


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 11])
def test_scans(configuration, n):
    x, starts = data(n)
    check_circuit(configuration, everything(5), [x, starts], expected(x, starts))


@pytest.mark.parametrize("sweeps", range(5))
def test_every_number_of_sweeps_gives_the_same(sweeps, monkeypatch):
    monkeypatch.setattr(scan, "sweeps", lambda *_: sweeps)
    for n in (3, 8, 17):
        x, starts = data(n)
        check_circuit(REP3, everything(5), [x, starts], expected(x, starts))


@pytest.mark.parametrize("marks", [0, 1])
def test_one_segment_and_segments_of_one_row(marks):
    x, starts = data(10, marks=marks)
    check_circuit(REP3, everything(5), [x, starts], expected(x, starts))


def test_more_dimensions_none_and_no_rows():
    starts = np.array([True, False, False])
    for shape in ((3,), (3, 2, 2), (3, 0)):
        x = np.random.default_rng(1).integers(-9, 9, shape)
        check_circuit(REP3, everything(5), [x, starts], expected(x, starts))
    none = np.zeros((0, 2), np.int64)
    check_circuit(REP3, everything(5), [none, np.zeros(0, bool)], [none] * 6)


def test_large_ones_go_in_strips(monkeypatch):
    monkeypatch.setattr(strips, "TILE", 16)
    x, starts = data(40, 3)
    check_circuit(REP3, everything(5), [x, starts], expected(x, starts))


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_values_at_the_ends_of_the_range(configuration):
    edge = 2 ** (protocol_class(configuration[0]).capacity - 1) - 1
    x = np.array([[edge, -edge, 0, -1], [-edge, edge, -1, 0], [0, -edge, 1, edge]]).T
    starts = np.array([True, False, False, True])
    check_circuit(configuration, everything(None), [x, starts], expected(x, starts))


@pytest.mark.parametrize("n", [2, 3, 7, 16, 33, 100])
def test_levels_and_joins_are_as_planned(n, monkeypatch):
    """A rule that costs a round and says how many rows it joins."""
    for sweeps in range(max(1, n.bit_length() - 1)):
        joined = {True: 0, False: 0}

        def join(p, at, earlier, later, whole, joined=joined):
            (value,) = yield from scan._extreme_rule(False, 5).join(p, at, earlier, later, whole)
            joined[whole] += value.size
            return (value,)

        rule = scan.Rule(join, ("counted", 5), "none")
        x = np.random.default_rng(n).integers(-9, 9, (n, 1))
        monkeypatch.setattr(scan, "sweeps", lambda *_, k=sweeps: k)
        setup = World("rep3").count(lambda p, at: (_ for _ in ())).rounds[0]

        def program(p, at, rule=rule, x=x):
            return scan._values(p, at, p.public(x), (p.public(x),), rule)

        rounds = World("rep3").count(program).rounds[0] - setup
        levels, whole, partly = scan._shape(n, sweeps)
        assert (joined[True] // 3, joined[False] // 3) == (whole, partly)
        assert rounds % levels == 0


def test_sweeps_are_taken_where_bytes_count():
    from quorate.circuits.prices import Price

    one = Price(1, 4096), Price(1, 8192)
    assert scan._best(Network.parse("1s", "10Gbit"), *one, 1000, 1) == 0
    many = scan._best(LAN, *one, 1 << 20, 1)
    assert many > 2
    assert sum(scan._shape(1 << 20, many)[1:]) < 4 << 20
