"""Any, all, counts and products along an axis."""

import math

import numpy as np
import pytest

from quorate.circuits import reduce, strips
from quorate.circuits.reduce import all_of, any_of, ones, product_of
from quorate.engine.exchange import parallel
from quorate.engine.network import LAN, Network
from quorate.testing.circuit_conformance import check_circuit, run_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS, World

REP3 = ("rep3", 3, 1)


def three(p, at, x):
    return (yield from parallel([way(p, at.child(f"{k}"), x) for k, way in enumerate((any_of, all_of, ones))]))


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("n", [0, 1, 3, 9, 40])
def test_bits(configuration, n):
    rng = np.random.default_rng(n)
    x = rng.random((n, 6, 2)) < np.array([0, 0.1, 0.5, 0.9, 0.97, 1])[:, None]
    check_circuit(configuration, three, [x], [x.any(0), x.all(0), x.sum(0)])


@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 15, 16, 17, 63, 64, 65, 200])
def test_one_set_and_one_missing_bit_are_found_wherever_they_are(n):
    x = np.concatenate([np.eye(n, dtype=bool), ~np.eye(n, dtype=bool)], 1)
    check_circuit(REP3, three, [x], [x.any(0), x.all(0), x.sum(0)])


@pytest.mark.parametrize("n", [2, 3, 8, 9, 100, 1000])
def test_any_takes_as_many_rounds_as_a_tree_has_levels_and_a_bit_per_bit(n):
    def program(p, at):
        return any_of(p, at, p.public_bits(np.zeros((n, 1), np.uint8)))

    setup, counted = (World("rep3").count(steps) for steps in (lambda p, at: iter(()), program))
    assert counted.rounds[0] - setup.rounds[0] == math.ceil(math.log2(n))
    assert counted.bytes_sent[0] - setup.bytes_sent[0] <= n // 8 + 2 * math.ceil(math.log2(n))


@pytest.mark.parametrize("layers", range(6))
def test_full_adders_count_right_whatever_their_number(layers, monkeypatch):
    monkeypatch.setattr(reduce, "_layers", lambda *_: layers)
    for n in (1, 2, 3, 10, 31):
        x = np.random.default_rng(n).random((n, 5)) < 0.7
        check_circuit(REP3, ones, [x], x.sum(0))


def test_counting_many_bits_costs_little_more_than_a_bit_per_bit():
    def program(p, at):
        return ones(p, at, p.public_bits(np.zeros((10**6, 1), np.uint8)))

    assert World("rep3").count(program).bytes_sent[0] < 400_000


def test_a_slow_network_gets_fewer_layers_for_few_bits():
    from quorate.circuits.prices import Price

    one = Price(1, 32), Price(2, 2048)
    near, far = (reduce._layers(network, *one, 10**6, 1) for network in (LAN, Network.parse("1s", "10Gbit")))
    assert far < near


def test_large_ones_go_in_strips(monkeypatch):
    monkeypatch.setattr(strips, "TILE", 64)
    x = np.random.default_rng(1).random((9, 40)) < 0.5
    check_circuit(REP3, three, [x], [x.any(0), x.all(0), x.sum(0)])


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_products_are_exact_for_integers(configuration, n):
    edge = int(2 ** (58 / n))
    x = np.random.default_rng(n).integers(-edge, edge + 1, (n, 4))
    x[:, 0], x[:, 1] = edge, -edge
    check_circuit(configuration, product_of, [x], [math.prod(map(int, column)) for column in x.T])


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_products_of_fixed_point_numbers_lose_a_unit_per_product(configuration):
    x = np.random.default_rng(1).integers(2**15, 2**17, (7, 50))
    got, _ = run_circuit(configuration, lambda p, at, x: product_of(p, at, x, 16), x)
    exact = np.prod(x / 2.0**16, axis=0) * 2**16
    assert np.abs(got - exact).max() <= 1.5 * 6 * 2**6  # each later factor up to 2


def test_a_negative_shift_multiplies():
    x = np.arange(1, 7).reshape(3, 2)
    check_circuit(REP3, lambda p, at, x: product_of(p, at, x, -2), [x], x.prod(0) * 16)
