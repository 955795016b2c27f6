"""Sorting, merging, groups, picking out and shuffling in plans: types, ranges, errors, and results as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import quorate
from quorate.errors import UserError
from quorate.lang.dims import rows_of
from quorate.lang.operations.base import kind_of
from quorate.lang.plan import Type
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.testing.world import CONFIGURATIONS

X = np.array([5, -3, 5, 0, 9, -3, 7, 5])
Y = np.array([1, 2, 3, 4, 5, 6, 7, 8])
FEW = [("rep3", 3, 1), ("shamir", 3, 1), ("semi2k", 2, 1)]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_order_along_one_axis(configuration, run_in):
    def program(x, y):
        values, places = quorate.topk(x, 3)
        low, low_places = quorate.topk(x, 2, largest=False)
        return {
            "sorted": quorate.sort(x),
            "down": quorate.argsort(x, descending=True),
            "lexsort": quorate.lexsort([y, x]),
            "largest": values,
            "places": places,
            "low": low,
            "low places": low_places,
            "median": quorate.median(x),
        }

    ran = run_in(configuration, program, {"x": X, "y": Y})
    down = np.argsort(-X, kind="stable")
    assert ran.values["sorted"].tolist() == np.sort(X).tolist()
    assert ran.values["down"].tolist() == down.tolist()
    assert ran.values["lexsort"].tolist() == np.lexsort([Y, X]).tolist()
    assert ran.values["largest"].tolist() == X[down[:3]].tolist()
    assert ran.values["places"].tolist() == down[:3].tolist()
    assert ran.values["low"].tolist() == np.sort(X)[:2].tolist()
    assert ran.values["low places"].tolist() == np.argsort(X, kind="stable")[:2].tolist()
    assert ran.values["median"] == np.median(X)
    assert not any(ran.errors.values())


@pytest.mark.parametrize("configuration", FEW, ids=str)
def test_tables(configuration, run_in):
    def program(x, y):
        table = quorate.sort_table({"x": x, "y": y, "big": x > 4}, by=["big", "x"], descending=[True, False])
        runs = [quorate.sort_table({"k": side, "v": side + 1}, by="k") for side in (x, y)]
        merged = quorate.merge(runs[0], runs[1], by="k")
        chosen = quorate.compact(x > 4, [y, x > 6])
        mixed = quorate.shuffle([x, y])
        return {
            "x": table["x"],
            "y": table["y"],
            "big": table["big"],
            "merged": merged["k"],
            "payload": merged["v"],
            "rows": chosen.rows[0],
            "flags": chosen.rows[1],
            "chosen": chosen.chosen,
            "mixed x": mixed[0],
            "mixed y": mixed[1],
        }

    ran = run_in(configuration, program, {"x": X, "y": Y}).values
    order = np.lexsort([X, X <= 4])
    assert ran["x"].tolist() == X[order].tolist()
    assert ran["y"].tolist() == Y[order].tolist()
    assert ran["big"].tolist() == (X > 4)[order].tolist()
    assert ran["merged"].tolist() == np.sort(np.concatenate([X, Y])).tolist()
    assert ran["payload"].tolist() == (ran["merged"] + 1).tolist()
    assert ran["rows"].tolist() == [1, 3, 5, 7, 8, 0, 0, 0]
    assert ran["flags"].tolist() == [False, False, True, True, False, False, False, False]
    assert ran["chosen"] == 5
    assert sorted(zip(ran["mixed x"].tolist(), ran["mixed y"].tolist(), strict=True)) == sorted(
        zip(X.tolist(), Y.tolist(), strict=True)
    )


@pytest.mark.parametrize("configuration", FEW, ids=str)
def test_groups(configuration, run_in):
    money = np.array([1.5, -2.25, 3.0, 4.0, 5.5, 0.75, 7.0, -8.0])

    def program(x, money):
        groups = quorate.group_by({"x": x, "money": money}, by="x").agg(
            total=("money", "sum"), n="count", mean=("money", "mean"), low=("money", "min"), top=("money", "max")
        )
        few = quorate.unique(x, size=3)
        return {
            **{name: groups[name] for name in groups},
            "few": few.values,
            "counts": few.counts,
            "missed": few.missed,
        }

    ran = run_in(configuration, program, {"x": X, "money": money})
    values, keys = ran.values, np.unique(X)
    assert values["x"].tolist() == [*keys, 0, 0, 0]
    assert values["valid"].tolist() == [True] * 5 + [False] * 3
    for name, what in (("total", np.sum), ("n", np.size), ("low", np.min), ("top", np.max)):
        assert values[name].tolist() == [*(what(money[key == X]) for key in keys), 0, 0, 0]
    means = np.array([*(money[key == X].mean() for key in keys), 0, 0, 0])
    assert 0 < ran.errors["mean"] < 1e-4
    assert np.abs(values["mean"] - means).max() <= ran.errors["mean"]
    assert values["few"].tolist() == [-3, 0, 5]
    assert values["counts"].tolist() == [2, 1, 3]
    assert values["missed"] == 2
    assert ran.errors["total"] == 8 * 2.0**-17


def test_public_keys_and_payload(run_in):
    public = np.array([2, 1, 2, 1, 0, 0, 1, 2])

    def program(x):
        table = quorate.sort_table({"key": public, "x": x}, by="key")
        return {"x": table["x"], "key": table["key"]}

    ran = run_in(("rep3", 3, 1), program, {"x": X}).values
    order = np.argsort(public, kind="stable")
    assert ran["x"].tolist() == X[order].tolist()
    assert ran["key"].tolist() == public[order].tolist()


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_rows(count, run_in):
    def program(x, y):
        chosen = quorate.compact(x > 0, y)
        groups = quorate.group_by({"x": x, "y": y}, by="x").sum("y")
        return {"sorted": quorate.sort(x), "rows": chosen.rows, "sums": groups["y"], "mixed": quorate.shuffle(x)}

    ran = run_in(("rep3", 3, 1), program, {"x": X[:count], "y": Y[:count]}).values
    assert [ran[name].tolist() for name in ("sorted", "rows", "sums", "mixed")] == [
        X[:count].tolist(),
        Y[:count].tolist(),
        Y[:count].tolist(),
        X[:count].tolist(),
    ]


# -- types and ranges --------------------------------------------------------------------------------------------------

ROWS = rows_of("t")


def infer(kind, types, **attributes):
    return kind_of(kind).type_of(types, attributes, Type(INT, ()))


def column(dtype=INT, *shape, secret=True):
    return Type(dtype, shape or (ROWS,), secret)


def test_types_with_symbolic_rows():
    money, flag, wide = column(fixed(8)), column(BOOL), column(INT, ROWS, 3)
    assert infer("sort", [flag, money, wide], keys=2, descending=[True, False], order=True) == Type.bundle(
        [flag, money, wide, column()]
    )
    assert infer("merge", [column(), wide] * 2, keys=1, descending=[False]).parts[1].shape == (ROWS * 2, 3)
    assert infer("top_k", [money], k=3, largest=True).parts == (column(fixed(8), 3), column(INT, 3))
    aggregates = [["sum", 2], ["count", -1], ["mean", 1, {"scale": 12}], ["max", 1]]
    grouped = infer("group", [flag, money, wide], keys=1, aggregates=aggregates, size=5)
    assert [str(part) for part in grouped.parts] == [
        "secret bool[5]",
        "secret int[5, 3]",
        "secret int[5]",
        "secret fixed(12)[5]",
        "secret fixed(8)[5]",
        "secret bool[5]",
        "secret int[]",
    ]
    assert infer("compact", [flag, wide]) == Type.bundle([wide, Type(INT, ())])
    assert infer("shuffle", [column(secret=False), wide]) == Type.bundle([column(), wide])


@pytest.mark.parametrize(
    ("kind", "types", "attributes", "message"),
    [
        ("sort", [column(INT, ROWS, 2)], {"keys": 1, "descending": [False], "order": False}, "one dimension"),
        ("sort", [column(), column(INT, 3)], {"keys": 1, "descending": [False], "order": False}, "equally many rows"),
        ("sort", [column()], {"keys": 2, "descending": [False], "order": False}, "keys are"),
        ("sort", [column()], {"keys": 1, "descending": [], "order": False}, "true or false"),
        ("sort", [column()], {"keys": 1, "descending": [False], "order": 1}, "true or false"),
        ("merge", [column()] * 3, {"keys": 1, "descending": [False]}, "of the other"),
        ("merge", [column(), column(BOOL)], {"keys": 1, "descending": [False]}, "one type"),
        ("top_k", [column(INT, 4)], {"k": 5, "largest": True}, "k lies"),
        ("top_k", [column(INT, 4)], {"k": -1, "largest": True}, "k lies"),
        ("top_k", [column(INT, 4, 4)], {"k": 1, "largest": True}, "one dimension"),
        ("group", [column()], {"keys": 1, "aggregates": [["sum", 3]], "size": None}, "aggregate"),
        ("group", [column()], {"keys": 1, "aggregates": [["mode", 0]], "size": None}, "aggregate"),
        ("group", [column(), column(BOOL)], {"keys": 1, "aggregates": [["sum", 1]], "size": None}, "needs numbers"),
        ("group", [column(), column(INT, ROWS, 2)], {"keys": 1, "aggregates": [["min", 1]], "size": None}, "dimension"),
        ("group", [column()], {"keys": 1, "aggregates": [], "size": -1}, "number of rows"),
        ("compact", [column(), column()], {}, "bool per row"),
        ("shuffle", [column(), Type(INT, ())], {}, "equally many rows"),
    ],
)
def test_refusals(kind, types, attributes, message):
    with pytest.raises(UserError, match=message):
        infer(kind, types, **attributes)


def test_sums_of_groups_must_fit(dry):
    def program(x, y):
        return {"total": quorate.group_by({"x": x, "y": y}, by="x").sum("y")["y"]}

    with pytest.raises(UserError, match="narrower"):
        dry(program, {"x": (0, 5), "y": (0, 2**60)}, {"x": INT, "y": INT}, x=10, y=10)


def test_ranges_of_results(dry):
    def program(x):
        groups = quorate.group_by({"x": x}, by="x").agg(n="count", total=("x", "sum"))
        return {"n": groups["n"], "total": groups["total"], "sorted": quorate.sort(x)}

    plan, ranges = dry(program, {"x": (3, 7)}, {"x": INT}, x=10)
    found = {name: ranges[target] for name, target in plan.outputs.items()}
    assert found == {"n": (0, 10), "total": (0, 70), "sorted": (3, 7)}


@pytest.mark.parametrize("kind", ["sort", "merge", "top_k", "group", "compact"])
def test_what_is_opened_is_stated(kind):
    assert "uniformly random permutation" in kind_of(kind).opens
