"""Extremes, quantifiers, products and running values in plans: NumPy's results, proven ranges, stated errors."""

import math

import numpy as np
import pytest

from quorate.errors import UserError
from quorate.sharing.dtype import BOOL, INT, fixed
from quorate.testing.world import CONFIGURATIONS

EVERY = pytest.mark.parametrize("configuration", [c for c in CONFIGURATIONS if c != ("clear", 3, 0)], ids=str)
REP3 = ("rep3", 3, 1)
RNG = np.random.default_rng(8)
I = RNG.integers(-4, 5, 12)  # noqa: E741
X = np.round(RNG.normal(0, 1.5, 12) * 2**16) / 2**16
B = RNG.random(12) < 0.5
OPERATIONS = {
    "min": lambda x, axis: x.min(axis),
    "max": lambda x, axis: x.max(axis),
    "argmin": lambda x, axis: x.argmin(axis),
    "argmax": lambda x, axis: x.argmax(axis),
    "cumsum": lambda x, axis: x.cumsum(axis),
    "cummin": lambda x, axis: np.minimum.accumulate(x, axis),
    "cummax": lambda x, axis: np.maximum.accumulate(x, axis),
    "prod": lambda x, axis: x.prod(axis),
}
LOGICAL = {
    "any": lambda b, axis: b.any(axis),
    "all": lambda b, axis: b.all(axis),
    "count": lambda b, axis: b.sum(axis),
}


def record(name, operands, shape=(2, 3, 2), **attributes):
    first, *rest = (operand.reshape(*shape) for operand in operands)
    return first.trace.record(name, [first, *rest], **attributes)


@EVERY
@pytest.mark.parametrize("axis", [0, 1])
def test_along_an_axis(configuration, axis, run_in):
    def program(i, x, b):
        results = {f"{name} of ints": record(name, [i], axis=axis) for name in OPERATIONS}
        results |= {f"{name} of fixed": record(name, [x], axis=axis) for name in OPERATIONS}
        return results | {name: record(name, [b], axis=axis) for name in LOGICAL}

    ran = run_in(configuration, program, {"i": I, "x": X, "b": B})
    for name, values in ran.values.items():
        kind, _, dtype = name.partition(" of ")
        source = {"ints": I, "fixed": X, "": B}[dtype].reshape(2, 3, 2)
        wanted = (OPERATIONS | LOGICAL)[kind](source, axis)
        assert values.dtype == wanted.dtype, name
        assert values.shape == wanted.shape, name
        assert np.abs(values.astype(float) - wanted.astype(float)).max() <= ran.errors[name], name
        if dtype != "fixed" or kind.startswith("arg"):
            assert ran.errors[name] == 0, name


@EVERY
def test_segments(configuration, run_in):
    starts = np.array([False, False, True, True, False, False])

    def program(i, b):
        values, marks = i.reshape(6, 2), b
        return {
            op: values.trace.record("segmented_scan", [values, marks], op=op) for op in ("sum", "min", "max", "first")
        }

    values = run_in(configuration, program, {"i": I, "b": starts}).values
    pieces = np.split(I.reshape(6, 2), [2, 3])
    rules = {
        "sum": lambda rows: rows.cumsum(0),
        "min": lambda rows: np.minimum.accumulate(rows, 0),
        "max": lambda rows: np.maximum.accumulate(rows, 0),
        "first": lambda rows: rows[[0] * len(rows)],
    }
    for name, rule in rules.items():
        np.testing.assert_array_equal(values[name], np.concatenate([rule(rows) for rows in pieces]), name)


def test_nothing_along_the_axis_or_beside_it(run_in):
    def program(i, b):
        none, flags = i[:0].reshape(0, 2), b[:0].reshape(0, 2)
        trace = i.trace
        return {
            "prod": trace.record("prod", [none], axis=0),
            "any": trace.record("any", [flags], axis=0),
            "all": trace.record("all", [flags], axis=0),
            "count": trace.record("count", [flags], axis=0),
            "cumsum": trace.record("cumsum", [none], axis=0),
            "cummin": trace.record("cummin", [none], axis=0),
            "beside": trace.record("min", [none], axis=1),
            "place": trace.record("argmax", [none], axis=1),
            "segments": trace.record("segmented_scan", [none, flags.reshape(-1)], op="sum"),
        }

    values = run_in(REP3, program, {"i": I, "b": B}).values
    assert values["prod"].tolist() == [1, 1]
    assert values["any"].tolist() == [False, False]
    assert values["all"].tolist() == [True, True]
    assert values["count"].tolist() == [0, 0]
    assert values["cumsum"].shape == values["cummin"].shape == values["segments"].shape == (0, 2)
    assert values["beside"].shape == values["place"].shape == (0,)


@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax"])
def test_extremes_of_nothing_are_refused_at_the_latest_when_rows_are_known(name, dry):
    def program(i):
        return {"z": i.trace.record(name, [i], axis=0)}

    with pytest.raises(UserError, match=f"{name} of no elements is not defined.*min_rows"):
        dry(program, {"i": (0, 9)}, {"i": INT}, i=0)
    dry(program, {"i": (0, 9)}, {"i": INT}, i=1)


def test_ranges(dry):
    def program(i):
        record, rows = i.trace.record, i[:5]
        flags = i < 3
        results = {name: record(name, [rows], axis=0) for name in OPERATIONS}
        results["count"] = record("count", [flags], axis=0)
        results["all"] = record("all", [flags], axis=0)
        for op in ("sum", "min"):
            results[f"segmented {op}"] = record("segmented_scan", [i, flags], op=op)
        return results

    plan, ranges = dry(program, {"i": (-2, 3)}, {"i": INT}, i=7)
    found = {name: ranges[target] for name, target in plan.outputs.items()}
    assert found == {
        "min": (-2, 3), "max": (-2, 3), "argmin": (0, 4), "argmax": (0, 4), "cumsum": (-10, 15), "cummin": (-2, 3),
        "cummax": (-2, 3), "prod": (-162, 243), "count": (0, 7), "all": (0, 1), "segmented sum": (-14, 21),
        "segmented min": (-2, 3),
    }  # fmt: skip


@pytest.mark.parametrize("n", range(1, 12))
def test_the_range_of_a_product_is_that_of_its_tree(n, dry):
    def program(i):
        return {"z": i.trace.record("prod", [i], axis=0)}

    for low, high in ((-2, 3), (2, 3), (-3, -2), (-1, 1), (0, 2)):
        plan, ranges = dry(program, {"i": (low, high)}, {"i": INT}, i=n)
        ends = [low**k * high ** (n - k) for k in range(n + 1)]
        assert ranges[plan.outputs["z"]] == (min(ends), max(ends))


def test_the_error_of_a_product_covers_what_truncations_do(run_in):
    x = np.round(np.random.default_rng(3).uniform(-3, 3, 45) * 2**16) / 2**16

    def program(x):
        return {"z": x.reshape(9, 5).trace.record("prod", [x.reshape(9, 5)], axis=0)}

    for configuration in (REP3, ("shamir", 5, 2), ("semi2k", 2, 1)):
        ran = run_in(configuration, program, {"x": x})
        exact = [math.prod(column) for column in x.reshape(9, 5).T]
        assert np.abs(ran.values["z"] - exact).max() <= ran.errors["z"] < 8.0


def test_what_does_not_fit_is_refused(dry):
    def product(i):
        return {"z": i.trace.record("prod", [i], axis=0)}

    def smallest(i):
        return {"z": i.trace.record("min", [i], axis=0)}

    def running(i):
        return {"z": i.trace.record("cumsum", [i], axis=0)}

    with pytest.raises(UserError, match="a product of 5 values: prod may reach 2"):
        dry(product, {"i": (0, 2**13)}, {"i": INT}, i=5)
    with pytest.raises(UserError, match="declare narrower ranges"):
        dry(smallest, {"i": (-(2**61), 2**61)}, {"i": INT}, i=5)
    with pytest.raises(UserError, match="declare narrower ranges"):
        dry(running, {"i": (0, 2**60)}, {"i": INT}, i=5)


REFUSED = {
    "min of bools": (lambda i, x, b: b.trace.record("min", [b], axis=0), "convert a bool"),
    "any of numbers": (lambda i, x, b: i.trace.record("any", [i], axis=0), "compare numbers first"),
    "axis": (lambda i, x, b: i.trace.record("argmax", [i], axis=1), "axis 1 of an array of 1"),
    "no axis": (lambda i, x, b: i.trace.record("max", [i]), "malformed"),
    "axis of a kind": (lambda i, x, b: i.trace.record("cumsum", [i], axis=True), "whole number"),
    "starts": (lambda i, x, b: i.trace.record("segmented_scan", [i, i], op="sum"), "one bool per row"),
    "rows": (lambda i, x, b: i.trace.record("segmented_scan", [i, b[:3]], op="sum"), "one bool per row"),
    "op": (lambda i, x, b: i.trace.record("segmented_scan", [i, b], op="last"), "sum, min, max, first, not 'last'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_to_do(name, dry):
    function, message = REFUSED[name]
    bounds = {"i": (0, 9), "x": (0, 9), "b": (0, 1)}
    with pytest.raises(UserError, match=message):
        dry(lambda i, x, b: {"z": function(i, x, b)}, bounds, {"i": INT, "x": fixed(4), "b": BOOL}, i=4, x=4, b=4)
