"""Groups and picked-out rows against plain Python, on every protocol, at the counted cost."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from quorate.circuits.compact import compact
from quorate.circuits.divide import worst_error
from quorate.circuits.group import Aggregate, group
from quorate.circuits.lexical import Key
from quorate.testing.circuit_conformance import check_circuit, run_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS

SOME = [("clear", 3, 0), ("rep3", 3, 1), ("shamir", 3, 1), ("semi2k", 2, 1)]
SCALE = 4
LIMIT = 1000


def tables(count, spread, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "k": rng.integers(-spread, spread, count, endpoint=True),
        "b": rng.integers(0, 2, count).astype(bool),
        "v": rng.integers(-LIMIT, LIMIT, count, endpoint=True),
        "w": rng.integers(0, 9, count),
        "f": rng.integers(-9, 9, (count, 2)),
    }


def in_python(table):
    """(key, rows) of every group in ascending order."""
    keys = list(zip(table["k"].tolist(), table["b"].tolist(), strict=True))
    return [(key, [i for i, other in enumerate(keys) if other == key]) for key in sorted(set(keys))]


AGGREGATES = [
    Aggregate("sum", 0),
    Aggregate("count"),
    Aggregate("min", 0),
    Aggregate("max", 0),
    Aggregate("max", 1),
    Aggregate("mean", 0, SCALE),
    Aggregate("sum", 2),
]


def grouped(configuration, table, spread, aggregates, size):
    def circuit(p, at, k, b, v, w, f):
        keys = [Key(k, -spread, spread), Key(b, 0, 1)]
        columns = [Key(v, -LIMIT, LIMIT), Key(w, 0, 9), Key(f, -9, 9)]
        found = yield from group(p, at, keys, columns, aggregates, size)
        error = p.public(np.array(int(worst_error(p) * 2)))
        return [*found.keys, *found.results, found.valid, found.missed, error]

    *opened, error = run_circuit(configuration, circuit, *table.values(), opens=True)[0]
    return opened, Fraction(int(error), 2)


def wanted_of(table, aggregate, rows):
    column = [table["v"], table["w"], table["f"]][aggregate.column][rows]
    if aggregate.what == "mean":
        return Fraction(int(column.sum()) * 2**aggregate.scale, len(rows))
    return {"sum": column.sum(0), "count": len(rows), "min": column.min(0), "max": column.max(0), "first": column[0]}[
        aggregate.what
    ]


def check(configuration, count, spread, aggregates, size=None):
    table = tables(count, spread)
    opened, error = grouped(configuration, table, spread, aggregates, size)
    k, b, *results, valid, missed = opened
    groups, rows = in_python(table), count if size is None else size
    room = min(len(groups), rows)
    assert valid.tolist() == [1] * room + [0] * (rows - room)
    assert missed == len(groups) - room
    for column in (k, b, *results):
        assert len(column) == rows
        assert not column[room:].any()
    for i, (key, members) in enumerate(groups[:room]):
        assert (k[i], bool(b[i])) == key
        for aggregate, column in zip(aggregates, results, strict=True):
            wanted = wanted_of(table, aggregate, members)
            if aggregate.what == "mean":
                assert abs(Fraction(int(column[i])) - wanted) <= error + Fraction(1, 2)
            else:
                assert np.array_equal(column[i], wanted)


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
def test_groups(configuration):
    check(configuration, 40, 3, AGGREGATES)


@pytest.mark.parametrize("configuration", SOME, ids=str)
@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("size", [None, 0, 3, 9])
def test_few_rows_and_sizes(configuration, count, size):
    check(configuration, count, 1, [*AGGREGATES[:2], Aggregate("min", 1)], size)


@pytest.mark.parametrize("configuration", SOME, ids=str)
def test_first_rows_of_groups_are_the_first_that_were_given(configuration):
    check(
        configuration, 50, 2, [Aggregate("first", 0), Aggregate("first", 2), Aggregate("min", 0), Aggregate("max", 0)]
    )


@pytest.mark.parametrize("configuration", SOME, ids=str)
@pytest.mark.parametrize("same", [True, False])
def test_one_group_and_groups_of_one(configuration, same):
    count = 30
    k = np.full(count, 5) if same else np.arange(count)[::-1].copy()
    v = np.arange(count) - 7

    def circuit(p, at, k, v):
        found = yield from group(
            p, at, [Key(k, 0, count)], [Key(v, -7, count)], [Aggregate("sum", 0), Aggregate("min", 0)]
        )
        return [*found.keys, *found.results, found.valid, found.missed]

    rest = [0] * (count - 1)
    one = [[5, *rest], [int(v.sum()), *rest], [-7, *rest], [1, *rest], 0]
    every = [np.arange(count), v[::-1], v[::-1], [1] * count, 0]
    check_circuit(configuration, circuit, [k, v], one if same else every, opens=True)


def test_a_key_of_one_value_costs_no_sort():
    v = np.arange(9)

    def circuit(p, at, v):
        found = yield from group(p, at, [Key(p.public(np.full(9, 3)), 3, 3)], [Key(v, 0, 8)], [Aggregate("sum", 0)])
        return [*found.keys, *found.results]

    check_circuit(("rep3", 3, 1), circuit, [v], [[3] + [0] * 8, [36] + [0] * 8], opens=True)


def test_public_keys():
    k, v = np.array([2, 0, 2, 1]), np.array([5, 6, 7, 8])

    def circuit(p, at, v):
        found = yield from group(p, at, [Key(k, 0, 2)], [Key(v, 0, 9)], [Aggregate("sum", 0)])
        return [*found.keys, *found.results]

    check_circuit(("shamir", 3, 1), circuit, [v], [[0, 1, 2, 0], [6, 8, 12, 0]], opens=True)


@pytest.mark.parametrize("configuration", [("rep3", 3, 1), ("semi2k", 2, 1)], ids=str)
def test_cost_does_not_depend_on_the_groups(configuration):
    costs = set()
    for k in (np.zeros(60, np.int64), np.arange(60)):

        def circuit(p, at, k):
            found = yield from group(p, at, [Key(k, 0, 99)], [Key(k, 0, 99)], [Aggregate("sum", 0)])
            return list(found.results)

        outcome = run_circuit(configuration, circuit, k, opens=True)[1]
        costs.add((tuple(outcome.rounds), tuple(map(str, outcome.sent)), tuple(outcome.messages)))
    assert len(costs) == 1


# -- picking out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS, ids=str)
@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_compact(configuration, count):
    rng = np.random.default_rng(count)
    mask, v = rng.integers(0, 2, count).astype(bool), rng.integers(-9, 9, (count, 2))
    b = rng.integers(0, 2, (count, 3)).astype(bool)

    def circuit(p, at, mask, v, b):
        rows, chosen = yield from compact(p, at, mask, [v, b])
        return [*rows, chosen]

    chosen = int(mask.sum())
    first = [np.concatenate([c[mask], np.zeros_like(c[: count - chosen])]) for c in (v, b)]
    check_circuit(configuration, circuit, [mask, v, b], [*first, chosen], opens=count > 0)


@pytest.mark.parametrize("mask", list(itertools.product([False, True], repeat=3)), ids=str)
def test_compact_keeps_the_order(mask):
    values = np.array([7, 8, 9])

    def circuit(p, at, mask, v):
        return (yield from compact(p, at, mask, [v]))[0]

    kept = [v for v, m in zip(values, mask, strict=True) if m]
    check_circuit(("rep3", 3, 1), circuit, [np.array(mask), values], [kept + [0] * (3 - len(kept))], opens=True)
