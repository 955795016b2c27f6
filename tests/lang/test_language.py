"""What quorate has beyond NumPy: proofs of narrow integers, rows of several inputs, unknown row counts, constants."""

from __future__ import annotations

import numpy as np
import pytest

import quorate
from quorate.errors import UserError
from quorate.lang import numpy_names
from quorate.lang.plan import Plan
from quorate.sharing.dtype import BOOL, INT, fixed, int8, int16


def kinds(plan):
    return [operation.kind for operation in plan.operations]


# -- names -----------------------------------------------------------------------------------------------------------


def test_all_public_names_are_there():
    from quorate.lang import functions

    for name in quorate.__all__:
        assert getattr(quorate, name) is not None
    assert set(functions.__all__) <= set(quorate.__all__)
    assert quorate.bool_ == BOOL
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = quorate.nothing


def test_public_values_alone_go_to_numpy():
    assert quorate.sort([3, 1, 2]).tolist() == [1, 2, 3]
    assert quorate.where([True, False], 1, 2).tolist() == [1, 2]
    assert quorate.sqrt(4.0) == 2.0
    assert quorate.add(1, 2) == 3
    for name in numpy_names.names():
        assert callable(getattr(np, name, None)) or name in ("round_", "in1d")


# -- integers of several widths --------------------------------------------------------------------------------------


def test_narrow_integers_must_be_proven_to_fit(dry):
    bounds = {"a": (-128, 127), "b": (0, 100)}
    types = {"a": int8, "b": int8}
    with pytest.raises(UserError) as caught:
        dry(lambda a, b: {"z": a + b}, bounds, types, a=2, b=2)
    assert "test_language.py:" in str(caught.value)
    assert "values may be 227, but int8 holds -128 to 127; convert with astype(quorate.int16)" in str(caught.value)
    for function in (
        lambda a, b: {"z": a.astype(quorate.int16) + b},
        lambda a, b: {"z": a.astype(np.int32) * b},
        lambda a, b: {"z": a.sum() + b.sum()},
        lambda a, b: {"z": quorate.clip(a, -20, 20) + b},
    ):
        dry(function, bounds, types, a=2, b=2)
    with pytest.raises(UserError, match="int8 holds"):
        dry(lambda a, b: {"z": a.astype(quorate.int16).astype(quorate.int8) + 1}, bounds, types, a=2, b=2)


def test_results_have_the_types_of_numpy():
    seen = {}

    def function(a, b, c, m):
        results = {
            "8+16": a + b,
            "8+bool": a + m,
            "8+python": a + 1,
            "8+array": a + np.array([1]),
            "8+int16": a + np.int16(1),
            "8-fixed": a - c,
            "sum": a.sum(),
            "max": a.max(),
            "8/8": a / a,
            "select": quorate.where(m, a, b),
            "8+uint8": a + np.uint8(3),
            "bool*16": m * b,
            "mean": a.mean(),
            "cumsum": a.cumsum(),
            "neg": -b,
            "astype": c.astype(np.int8),
            "8+float": a + 0.5,
            "argmax": a.argmax(),
        }
        seen.update({name: str(value.dtype) for name, value in results.items()})
        return results

    quorate.computation(function).trace({"a": int8, "b": int16, "c": fixed(8), "m": BOOL}, dict.fromkeys("abcm", 4))
    assert seen == {
        "8+16": "int16",
        "8+bool": "int8",
        "8+python": "int8",
        "8+array": "int",
        "8+int16": "int16",
        "8-fixed": "fixed(8)",
        "sum": "int",
        "max": "int8",
        "8/8": "fixed(16)",
        "select": "int16",
        "8+uint8": "int16",
        "bool*16": "int16",
        "mean": "fixed(16)",
        "cumsum": "int",
        "neg": "int16",
        "astype": "int8",
        "8+float": "fixed(16)",
        "argmax": "int",
    }


# -- as many rows as another input has ---------------------------------------------------------------------------------


def test_a_slice_may_end_at_a_row_count():
    @quorate.computation
    def first(a, b):
        return {"z": quorate.concatenate([a, b])[: a.shape[0]] + a}

    plan = first.trace({"a": INT, "b": INT})
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.bind({"a": 3, "b": 1}).operations[-1].type.shape == (3,)
    assert first.simulate(a=[1, 2], b=[3])["z"].tolist() == [2, 4]
    with pytest.raises(UserError, match="too few rows"):
        quorate.computation(lambda a, b: {"z": a[: b.shape[0]]}).trace({"a": INT, "b": INT}).bind({"a": 1, "b": 2})
    with pytest.raises(UserError, match="begins with the first row"):
        quorate.computation(lambda a, b: {"z": a[1 : b.shape[0]]}).trace({"a": INT, "b": INT})


# -- rows of several inputs ------------------------------------------------------------------------------------------


@quorate.computation
def joined(a, b, c):
    a, b, c = quorate.align(a, b, c)
    return {"z": a.x * b.y + c, "n": b.rows}


def test_inputs_whose_rows_belong_together():
    plan = joined.trace({"a": {"x": INT}, "b": {"y": INT}, "c": INT})
    assert kinds(plan).count("aligned") == 2
    assert Plan.from_json(plan.to_json()) == plan
    assert [operation.type.shape for operation in plan.bind(dict.fromkeys("abc", 3)).operations][-2] == (3,)
    with pytest.raises(UserError, match=r"aligned, test_language.py.*here are 4 and there are 3; both owners must"):
        plan.bind({"a": 3, "b": 3, "c": 4})
    with pytest.raises(UserError, match="do not broadcast"):
        quorate.computation(lambda a, b: {"z": a + b}).trace({"a": INT, "b": INT})
    got = joined.simulate("rep3", a={"x": [1, 2]}, b={"y": [3, 4]}, c=[10, 20])
    assert got["z"].tolist() == [13, 28]
    assert got["n"] == 2
    with pytest.raises(UserError, match="belong together"):
        joined.simulate("clear", a={"x": [1, 2]}, b={"y": [3]}, c=[1, 2])
    with pytest.raises(UserError, match="takes tables and arrays"):
        quorate.computation(lambda a: {"z": quorate.align(a, 5)}).trace({"a": INT})


# -- row counts that are not known yet -------------------------------------------------------------------------------


def test_shapes_with_row_counts_that_are_not_known():
    def function(t):
        x, n = t.x, t.rows
        table = quorate.stack([x, x * 2], 1)
        return {
            "numbers": quorate.row_numbers(x),
            "zeros": quorate.zeros_like(x) + x,
            "twice": quorate.repeat(x, 2),
            "tiled": quorate.tile(x, 2),
            "roll": quorate.roll(x, 1),
            "back": quorate.roll(x, -2),
            "diff": quorate.diff(x),
            "flat": table.reshape(-1),
            "mean": table.mean(0),
            "last": x[-1],
            "wide": quorate.broadcast_to(x, (3, n)),
            "merged": table.sum((0, 1)),
            "flip": quorate.flip(x),
            "max": table.max(0),
            "running": x.cumsum(),
            "before": x - quorate.concatenate([[0], x[:-1]]),
            "counted": (x > 2).sum(),
            "split": quorate.split(x, [1])[1],
        }

    plan = quorate.computation(function).trace({"t": {"x": INT}})
    assert Plan.from_json(plan.to_json()).digest == plan.digest
    x = np.array([3, 1, 4, 1])
    table = np.stack([x, x * 2], 1)
    wanted = {
        "numbers": np.arange(4),
        "zeros": x,
        "twice": np.repeat(x, 2),
        "tiled": np.tile(x, 2),
        "roll": np.roll(x, 1),
        "back": np.roll(x, -2),
        "diff": np.diff(x),
        "flat": table.reshape(-1),
        "mean": table.mean(0),
        "last": x[-1],
        "wide": np.broadcast_to(x, (3, 4)),
        "merged": table.sum(),
        "flip": x[::-1],
        "max": table.max(0),
        "running": x.cumsum(),
        "before": x - np.array([0, 3, 1, 4]),
        "counted": 2,
        "split": x[1:],
    }
    got = _run(plan, x)
    for name, values in wanted.items():
        np.testing.assert_allclose(got[name], values, atol=1e-4, err_msg=name)


def _run(plan, x):
    """A plan for rows that are not known, bound and run in the clear."""
    from quorate.engine.names import Scope
    from quorate.engine.session import Session
    from quorate.engine.simulate import simulate
    from quorate.lang.execute import execute
    from quorate.protocols.registry import make

    program = execute(
        plan.bind({"t": len(x)}),
        make("clear", Session(0, 1, ("a",), None), 0),
        Scope.root(),
        inputs={("t", "x"): x},
        owners={"t": 0},
        outputs=dict.fromkeys(plan.outputs, (0,)),
        bounds={("t", "x"): (0, 9)},
    )
    return simulate([program])[0].result.values


# -- constants -------------------------------------------------------------------------------------------------------


def test_what_depends_on_constants_alone_is_computed_while_tracing():
    def function(x):
        one = quorate.ones_like(x, shape=(3,)) + 1
        return {"z": x + one * 2 - one.sum() + quorate.where(one > 1, 5, 0), "c": one.reshape(3, 1) * 2}

    plan = quorate.computation(function).trace({"x": INT}, {"x": 3})
    assert set(kinds(plan)) == {"input", "constant", "add", "sub"}
    got = quorate.computation(function).simulate("clear", x=[1, 2, 3])
    assert got["z"].tolist() == [4, 5, 6]
    assert got["c"].tolist() == [[4], [4], [4]]


def test_constants_that_would_swell_or_lose_digits_are_left_to_the_parties():
    def function(x):
        ones = quorate.ones_like(x, shape=(100,))
        return {
            "wide": x + quorate.broadcast_to(ones[:, None], (100, 100)).sum(),
            "root": x + quorate.sqrt(ones * 3)[0],
        }

    plan = quorate.computation(function).trace({"x": INT}, {"x": 1})
    assert "broadcast" in kinds(plan)
    assert "sqrt" in kinds(plan)
    assert len(plan.to_json()) < 6000
    got = quorate.computation(function).simulate("clear", x=[1])
    assert got["wide"].tolist() == [10001]
    assert abs(got["root"][0] - 1 - 3**0.5) < 1e-4


# -- secret places ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_reading_and_writing_at_secret_places(protocol):
    def function(x, i, f):
        i = quorate.clip(i, 0, 3)
        return {
            "put": quorate.put(x, i, 9),
            "each": quorate.put(f, i, [1.5, 2.5]),
            "rows": quorate.put(x.reshape(4, 1), i, -1),
            "hot": quorate.one_hot(i, 4),
            "public": quorate.put(x, [0, 1], i),
            "read": f[i[0]],
        }

    x, i, f = np.array([1, 2, 3, 4]), np.array([3, 3]), np.array([0.5, 0.25, 1.0, -1.0])
    got = quorate.computation(function).simulate(protocol, x=x, i=i, f=f)
    assert got["put"].tolist() == [1, 2, 3, 9]
    assert got["each"].tolist() == [0.5, 0.25, 1.0, 2.5]
    assert got["rows"].tolist() == [[1], [2], [3], [-1]]
    assert got["hot"].tolist() == [[False, False, False, True]] * 2
    assert got["public"].tolist() == [3, 3, 3, 4]
    assert got["read"] == -1.0


@pytest.mark.parametrize("op", ["sum", "min", "max", "first"])
def test_segmented_scans(op):
    x = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    starts = np.array([True, False, False, True, False, True, False, False])
    got = quorate.computation(lambda x, s: {"z": quorate.segmented_scan(x, s, op)}).simulate("rep3", x=x, s=starts)
    scans = {"sum": np.cumsum, "min": np.minimum.accumulate, "max": np.maximum.accumulate}
    runs = np.split(x, np.flatnonzero(starts)[1:])
    wanted = [scans[op](run) if op in scans else np.full(len(run), run[0]) for run in runs]
    assert got["z"].tolist() == np.concatenate(wanted).tolist()
