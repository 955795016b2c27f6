"""Comparisons with public edges, and histograms by NumPy's rule."""

import numpy as np
import pytest

from quorate.circuits import histogram as module
from quorate.circuits import prices, strips
from quorate.circuits.histogram import below, histogram
from quorate.engine.exchange import parallel
from quorate.engine.network import LAN, Network
from quorate.engine.session import Session
from quorate.protocols.registry import make, protocol_class
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS, World

REP3 = ("rep3", 3, 1)
LOW, HIGH = -20, 99
EDGES = [-30, -20, -5, 0, 0, 7, 64, 98, 99]


def numbers(count=40):
    x = np.random.default_rng(4).integers(LOW, HIGH + 1, count)
    x[:6] = [LOW, HIGH, 0, -5, 98, 7]
    return x, np.random.default_rng(5).integers(-9, 10, count)


def all_three(edges, low=LOW, high=HIGH):
    def circuit(p, at, x, weights):
        steps = [
            below(p, at.child("below"), x, edges, low, high),
            histogram(p, at.child("counts"), x, edges, low, high),
            histogram(p, at.child("weights"), x, edges, low, high, weights),
        ]
        return (yield from parallel(steps))

    return circuit


def expected(x, weights, edges):
    counts, sums = (np.histogram(x, edges, weights=w)[0] for w in (None, weights))
    return [np.array([x < edge for edge in edges]), counts, sums]


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_against_numpy(configuration):
    x, weights = numbers()
    check_circuit(configuration, all_three(EDGES), [x, weights], expected(x, weights, EDGES))


@pytest.mark.parametrize("configuration", [REP3, ("shamir", 3, 1), ("semi2k", 2, 1)], ids=str)
@pytest.mark.parametrize("way", range(7))
def test_every_way_of_comparing(configuration, way, monkeypatch):
    monkeypatch.setattr(module, "quickest", lambda *_: way)
    x, edges = np.arange(-3, 31), list(range(-4, 33))
    check_circuit(
        configuration,
        lambda p, at, x: below(p, at, x, edges, -3, 30),
        [x],
        np.array([x < edge for edge in edges]),
    )


@pytest.mark.parametrize("bits", [1, 7, 20, 33])
@pytest.mark.parametrize("width", [2, 5, 8])
def test_digits_cost_what_the_planner_thinks(bits, width):
    p = make("rep3", Session(0, 3, ("a", "b", "c"), None, True), 1)
    edges = module._Edges((1, 2, 3), 0, 2**bits - 1)
    price = module.with_ands(p, module.digits_price(p, bits), *module._digit_ands(bits, width, 3))

    def way(p, at):
        return module._by_digits(p, at, p.empty((prices.SAMPLE,)), edges=edges, width=width)

    assert prices.price(p, way, ("digits of a number", bits, width)) == price


CASES = {
    "all outside": [-50, -40],
    "beyond both ends": [-100, 100],
    "one value": [7, 7],
    "bins of nothing": [0, 0, 0, 50, 50],
    "the last value alone": [HIGH, HIGH],
    "every value": list(range(LOW, HIGH + 1)),
}


@pytest.mark.parametrize("edges", CASES.values(), ids=CASES.keys())
def test_edges_in_all_places(edges):
    x, weights = numbers()
    check_circuit(REP3, all_three(edges), [x, weights], expected(x, weights, edges))


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_wide_ranges(configuration):
    edge = 2 ** (protocol_class(configuration[0]).capacity - 1) - 1
    x = np.array([-edge, -1, 0, 1, edge, edge - 1])
    edges = [-edge, -edge + 1, 0, 1, edge - 1, edge]
    counts = [1, 1, 1, 1, 2]
    check_circuit(configuration, lambda p, at, x: histogram(p, at, x, edges, -edge, edge), [x], counts)


def test_shapes_strips_and_nothing(monkeypatch):
    x, weights = (values.reshape(4, 5, 2) for values in numbers())
    check_circuit(REP3, all_three(EDGES), [x, weights], expected(x, weights, EDGES))
    check_circuit(REP3, all_three(EDGES), [x[:0], weights[:0]], expected(x[:0], weights[:0], EDGES))
    monkeypatch.setattr(strips, "TILE", 32)
    check_circuit(REP3, all_three(EDGES), [x, weights], expected(x, weights, EDGES))


def test_many_edges_cost_little_each():
    def sent(count):
        edges = np.linspace(0, 2**31, count + 2).astype(int).tolist()[1:-1]

        def program(p, at):
            return below(p, at, p.public(np.zeros(1000, np.int64)), edges, 0, 2**31)

        return World("rep3").count(program).bytes_sent[0]

    assert (sent(100) - sent(50)) / 50 / 1000 < 4  # bytes per number and edge


def test_the_network_decides_between_the_ways():
    rounds = []
    for network in (LAN, Network.parse("1s", "10Gbit")):

        def program(p, at, network=network):
            p.session.network = network
            return below(p, at, p.public(np.zeros(10_000, np.int64)), list(range(1, 100)), 0, 2**20)

        rounds.append(World("rep3").count(program).rounds[0])
    assert rounds[1] < rounds[0]
