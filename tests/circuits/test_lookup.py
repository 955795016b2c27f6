"""One-hot vectors, and tables at secret positions."""

from functools import partial

import numpy as np
import pytest

from quorate.circuits import lookup, onehot, prices, strips
from quorate.circuits.lookup import read, read_bits, read_public, read_public_bits, write, write_bits
from quorate.circuits.onehot import one_hot
from quorate.circuits.prices import SAMPLE, Price
from quorate.engine.exchange import parallel
from quorate.engine.network import LAN, Network
from quorate.engine.session import Session
from quorate.protocols.registry import make
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS, World

REP3 = ("rep3", 3, 1)
FAR = Network.parse("40ms", "100Mbit")


def hot(index, size):
    return np.moveaxis(np.eye(size, dtype=bool)[index], -1, 0)


def rng(*seed):
    return np.random.default_rng(seed)


# -- one-hot vectors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_one_hot(configuration):
    sizes = [1, 2, 3, 4, 5, 9, 33]
    index = np.stack([rng(size).integers(0, size, 5) for size in sizes])

    def circuit(p, at, index):
        rows = [index.map(lambda part, k=k: part[k]) for k in range(len(sizes))]
        steps = [one_hot(p, at.child(f"{size}"), row, size) for size, row in zip(sizes, rows, strict=True)]
        return (yield from parallel(steps))

    check_circuit(configuration, circuit, [index], [hot(row, size) for row, size in zip(index, sizes, strict=True)])


@pytest.mark.parametrize("configuration", [REP3, ("shamir", 3, 1), ("semi2k", 3, 2)], ids=str)
@pytest.mark.parametrize("way", [0, 1])
def test_both_ways_give_every_position(configuration, way, monkeypatch):
    monkeypatch.setattr(onehot, "quickest", lambda *_: way)
    for size in (2, 7, 16, 17):
        index = np.arange(size)
        check_circuit(configuration, lambda p, at, x, n=size: one_hot(p, at, x, n), [index], hot(index, size))


def test_shapes_and_strips_of_one_hot(monkeypatch):
    index = rng(3).integers(0, 6, (4, 5))
    check_circuit(REP3, lambda p, at, x: one_hot(p, at, x, 6), [index], hot(index, 6))
    check_circuit(REP3, lambda p, at, x: one_hot(p, at, x, 6), [np.array(5)], hot(5, 6))
    check_circuit(REP3, lambda p, at, x: one_hot(p, at, x, 6), [index[:0]], hot(index[:0], 6))
    monkeypatch.setattr(strips, "TILE", 16)
    check_circuit(REP3, lambda p, at, x: one_hot(p, at, x, 6), [index], hot(index, 6))


@pytest.mark.parametrize("size", [2, 3, 8, 21])
def test_both_ways_cost_what_the_planner_thinks(size):
    p, width = counting(), (size - 1).bit_length()
    by_bits = onehot.with_ands(p, onehot.digits_price(p, width), *onehot.expansion(size))
    each = prices.equality(p, width)
    for way, price in ((onehot._by_bits, by_bits), (onehot._by_equality, Price(each.rounds, each.size * size))):
        step = partial(sample, way, size)
        assert prices.price(p, step, (way.__name__, size)) == price


def sample(way, size, p, at):
    return way(p, at, p.empty((SAMPLE,)), size=size)


def test_a_far_network_compares_with_every_position():
    rounds = []
    for network in (LAN, FAR):

        def program(p, at, network=network):
            p.session.network = network
            return one_hot(p, at, p.public(np.zeros(15_000, np.int64)), 20)

        rounds.append(World("rep3").count(program).rounds[0])
    assert rounds[1] < rounds[0]


def counting(network=LAN):
    return make("rep3", Session(0, 3, ("a", "b", "c"), None, True, network=network), 1)


# -- reading and writing ---------------------------------------------------------------------------------------------


def written(table, index, values):
    result = table.copy()
    for place in np.ndindex(index.shape):
        result[index[place]] = values[place]
    return result


def tables(n, *shape):
    table, values = rng(n).integers(-(2**40), 2**40, (n, 2)), rng(n, 1).integers(-(2**40), 2**40, (*shape, 2))
    return table, rng(n, 2).integers(0, n, shape), values


def both(p, at, table, index, values):
    steps = [read(p, at.child("read"), table, index), write(p, at.child("write"), table, index, values)]
    return (yield from parallel(steps))


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("n", [1, 2, 5, 19])
def test_read_and_write(configuration, n):
    table, index, values = tables(n, 2, 2)
    check_circuit(configuration, both, [table, index, values], [table[index], written(table, index, values)])


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_read_and_write_bits(configuration):
    table, index, values = tables(7, 4)

    def circuit(p, at, table, index, values):
        steps = [read_bits(p, at.child("read"), table, index), write_bits(p, at.child("write"), table, index, values)]
        return (yield from parallel(steps))

    bits, new = table % 2 == 1, values % 2 == 1
    check_circuit(configuration, circuit, [bits, index, new], [bits[index], written(bits, index, new)])


@pytest.mark.parametrize("configuration", [("clear", 3, 0), REP3, ("shamir", 5, 2), ("semi2k", 3, 2)], ids=str)
def test_read_public_tables(configuration):
    table, index, _ = tables(11, 3)
    bits = (table % 2).astype(np.uint8)

    def circuit(p, at, index):
        steps = [read_public(p, at.child("numbers"), table, index), read_public_bits(p, at.child("bits"), bits, index)]
        return (yield from parallel(steps))

    check_circuit(configuration, circuit, [index], [table[index], bits[index]])


CUTS = {"one digit": [1], "two digits": [4, 1], "three digits": [8, 2, 1], "digits of a bit": [16, 8, 4, 2, 1]}


@pytest.mark.parametrize("left", CUTS.values(), ids=CUTS.keys())
def test_wherever_the_index_is_cut(left, monkeypatch):
    monkeypatch.setattr(lookup, "cuts", lambda *_, **__: left)
    for n in (17, 30, 32):
        table, _, values = tables(n, 1)
        index = np.array([0, n - 1, 5, n - 1])
        values = rng(n, 5).integers(-99, 99, (4, 2))
        wanted = [table[index], written(table, index, values)]
        check_circuit(REP3, both, [table, index, values], wanted)
        check_circuit(REP3, lambda p, at, x, t=table: read_public(p, at, t, x), [index], table[index])


def test_the_last_of_several_values_stays():
    table, index = np.zeros((3, 1), np.int64), np.array([1, 2, 1, 1, 0, 2])
    values = np.arange(1, 7).reshape(6, 1)
    check_circuit(REP3, write, [table, index, values], np.array([[5], [4], [6]]))
    check_circuit(REP3, write_bits, [table == 1, index, values % 2 == 1], np.array([[1], [0], [0]], bool))


def test_one_position_and_no_position_and_no_columns():
    table, index, values = tables(6, 3)
    for place in (index[0], index[:0]):
        new = values[0] if place.ndim == 0 else values[:0]
        wanted = [table[place], written(table, place, new)]
        check_circuit(REP3, both, [table, np.asarray(place), new], wanted)
    check_circuit(REP3, both, [table[:, :0], index, values[:, :0]], [table[index][:, :0], table[:, :0]])
    check_circuit(REP3, read, [table[:, 0], index], table[index, 0])
    check_circuit(REP3, read, [table[:0], index[:0]], table[:0])


def test_large_ones_go_in_strips(monkeypatch):
    monkeypatch.setattr(strips, "TILE", 16)
    monkeypatch.setattr(lookup, "cuts", lambda *_, **__: [4, 1])
    table, index, values = tables(13, 9)
    check_circuit(REP3, both, [table, index, values], [table[index], written(table, index, values)])
    bits = table % 2 == 1
    check_circuit(REP3, read_bits, [bits, index], bits[index])


def test_a_read_costs_the_root_of_the_table():
    def sent(n):
        def program(p, at):
            return read(p, at, p.public(np.zeros((n, 1), np.int64)), p.public(np.zeros(1, np.int64)))

        return World("rep3").count(program).bytes_sent[0]

    assert sent(10_000) < 10_000
    assert sent(40_000) < 2.5 * sent(10_000)


def test_cuts_are_the_best_there_are():
    rates = lookup._rates(counting())
    for rows, columns, accesses in ((2, 1, 1), (100, 1, 1000), (1000, 3, 500), (10**6, 1, 50)):
        time, left = lookup._cuts(rates, rows, columns, accesses)
        flat = rates.network.nanoseconds(
            rates.product.rounds, rates.conversion.of(rows * accesses) + rates.product.of(columns * accesses)
        )
        assert time <= flat
        assert left[-1] == 1
    assert len(lookup._cuts(rates, 10**6, 1, 50)[1]) > 1
    assert lookup._cuts(rates._replace(network=FAR), 8, 1, 1)[1] == (1,)


@pytest.mark.parametrize("configuration", [("clear", 1, 0), REP3, ("semi2k", 2, 1)], ids=str)
@pytest.mark.parametrize("summands", [False, True])
def test_both_ways_to_read_a_public_table(configuration, summands, monkeypatch):
    monkeypatch.setattr(lookup, "_summands_pay", lambda *_: summands)
    for n in (2, 5, 8, 33):
        table, index = rng(n).integers(-(2**40), 2**40, n), np.arange(n).reshape(1, n)
        check_circuit(configuration, lambda p, at, x, t=table: read_public(p, at, t, x), [index], table[index])


def test_small_public_tables_are_read_through_summands_where_protocols_have_two():
    assert lookup._summands_pay(counting(), (20, 1), 1000)
    assert not lookup._summands_pay(counting(), (20, 2), 1000)
    assert not lookup._summands_pay(counting(), (200, 1), 10**6)
    shamir = make("shamir", Session(0, 3, ("a", "b", "c"), None, True), 1)
    assert not lookup._summands_pay(shamir, (20, 1), 1000)
