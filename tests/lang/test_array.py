"""Secret arrays behave as NumPy's: the same expression on both, on arrays and indices that hypothesis picks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quorate
from quorate import errors

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


def both(function, **inputs):
    """The expression on secret arrays (in the clear protocol), and on NumPy's."""
    secret = quorate.computation(function).simulate("clear", seed=1, **inputs)
    return secret, {name: np.asarray(value) for name, value in function(**inputs).items()}


def same(function, tolerance=0.0, **inputs):
    got, wanted = both(function, **inputs)
    for name, values in wanted.items():
        assert got[name].shape == values.shape, name
        if tolerance:
            np.testing.assert_allclose(got[name], values, atol=tolerance, rtol=0)
        else:
            assert np.array_equal(got[name], values), name


def fraction(shape):
    return hnp.arrays(np.int64, shape, elements=st.integers(-100, 100)).map(lambda raw: raw / 8)


@st.composite
def indices(draw, shape):
    """A NumPy index: integers, slices of any step, an ellipsis, new axes, at most one list."""
    items, listed = [], draw(st.booleans())
    for size in shape[: draw(st.integers(0, len(shape)))]:
        kinds = (
            ["slice", "slice", "int"] if listed and "list" in [type(i).__name__ for i in items] else ["slice", "list"]
        )
        kind = draw(st.sampled_from(kinds if listed else ["slice", "int"]))
        if kind == "slice":
            bound = st.none() | st.integers(-size - 2, size + 2)
            items.append(slice(draw(bound), draw(bound), draw(st.none() | st.sampled_from([-3, -2, -1, 1, 2]))))
        elif kind == "int":
            items.append(draw(st.integers(-size, size - 1)))
        else:
            items.append(draw(st.lists(st.integers(-size, size - 1), max_size=4)))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), None)
    if draw(st.booleans()):
        items.append(Ellipsis)
    return tuple(items)


@SETTINGS
@given(st.data())
def test_indexing_is_numpys_or_refused(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    index = data.draw(indices(shape))
    flat = np.arange(int(np.prod(shape)))
    wanted = flat.reshape(shape)[tuple(np.array(i, int) if isinstance(i, list) else i for i in index)]
    try:
        got = quorate.computation(lambda x: {"z": x.reshape(*shape)[index]}).simulate("clear", seed=1, x=flat)["z"]
    except errors.UserError as problem:
        assert "two steps" in str(problem)  # noqa: PT017
        return
    assert got.shape == wanted.shape
    assert np.array_equal(got, wanted)


@SETTINGS
@given(st.data())
def test_broadcasting(data):
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3, min_side=1)).input_shapes
    x, y, m = (data.draw(hnp.arrays(np.int64, shape, elements=st.integers(-9, 9))) for shape in shapes)

    def function(x, y, m):
        x, y, m = (values.reshape(shape) for values, shape in zip((x, y, m), shapes, strict=True))
        where = np.where if isinstance(x, np.ndarray) else quorate.where
        return {"a": x + y, "b": x * y - m, "c": x < m, "d": (x == y) | (y <= m), "e": where(x > y, x, m), "f": y != m}

    same(function, x=x.reshape(-1), y=y.reshape(-1), m=m.reshape(-1))


@SETTINGS
@given(st.data(), st.booleans())
def test_constants_on_either_side(data, of_numpy):
    x = data.draw(fraction(4))
    c = data.draw(st.integers(-20, 20).map(lambda raw: raw / 4) | st.integers(-20, 20))
    c = np.float64(c) if of_numpy and isinstance(c, float) else np.full(4, c) if of_numpy else c

    def function(x):
        return {
            "a": x + c, "b": c + x, "c": x - c, "d": c - x, "g": x < c, "h": c < x, "i": c <= x, "j": x == c,
            "k": c != x, "l": c >= x,
        }  # fmt: skip

    same(function, x=x)
    same(lambda x: {"m": x * c, "n": c * x}, tolerance=3 * 2**-16, x=x)


@SETTINGS
@given(st.data())
def test_reductions_and_axes(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    order = data.draw(st.permutations(range(len(shape))))
    x = data.draw(hnp.arrays(np.int64, int(np.prod(shape)), elements=st.integers(-99, 99)))

    def function(x):
        x = x.reshape(shape)
        return {"sum": x.sum(axis), "T": x.T, "order": x.transpose(*order), "tuple": x.transpose(tuple(order))}

    same(function, x=x)
    same(lambda x: {"mean": x.reshape(shape).mean(axis)}, tolerance=3 * 2**-16, x=x)
    same(lambda x: {"mean": x.reshape(shape).var(axis)}, tolerance=99 * 2**-14, x=x)


@SETTINGS
@given(st.data())
def test_masks_choose_what_numpys_where_argument_chooses(data):
    x = data.draw(fraction(6))
    m = data.draw(hnp.arrays(np.bool_, 6))
    axis = data.draw(st.sampled_from([None, 0, 1, -1]))
    secret = data.draw(st.booleans())

    def function(x, m):
        mask = (m if secret else given_mask).reshape(2, 3)
        return {"sum": x.reshape(2, 3).sum(axis, where=mask), "mean": x.reshape(2, 3).mean(axis, where=mask)}

    given_mask = m
    got = quorate.computation(function).simulate("clear", seed=1, x=x, m=m)
    table, mask = x.reshape(2, 3), m.reshape(2, 3)
    count = mask.sum(axis)
    total = table.sum(axis, where=mask)
    np.testing.assert_array_equal(got["sum"], total)
    np.testing.assert_allclose(got["mean"], total / np.maximum(count, 1), atol=2**-14)


@SETTINGS
@given(st.data())
def test_joining(data):
    axis = data.draw(st.sampled_from([0, 1, -1]))
    x, y = data.draw(fraction(6)), data.draw(hnp.arrays(np.int64, 6, elements=st.integers(-9, 9)))

    def function(x, y):
        q = np if isinstance(x, np.ndarray) else quorate
        a, b = x.reshape(2, 3), y.reshape(2, 3)
        return {
            "c": q.concatenate([a, b, np.ones((2, 3))], axis),
            "s": q.stack([a, b], axis),
            "i": q.stack([b, b], axis),
        }

    same(function, x=x, y=y)


@SETTINGS
@given(hnp.arrays(np.bool_, 5), hnp.arrays(np.bool_, 5), hnp.arrays(np.bool_, 5))
def test_bools(a, b, c):
    def function(a, b, c):
        q = np if isinstance(a, np.ndarray) else quorate
        return {
            "and": a & b, "or": a | b, "xor": a ^ True, "not": ~a, "eq": a == b, "ne": a != True,  # noqa: E712
            "const": np.array([True, False, True, False, True]) & a, "int": a * 3 + b * c, "where": q.where(a, b, c),
            "sum": a.sum(), "mixed": (a | b) & ~c, "number": a + 1,
        }  # fmt: skip

    same(function, a=a, b=b, c=c)


@SETTINGS
@given(st.data())
def test_products_of_matrices_and_vectors(data):
    a, b, c = (data.draw(st.integers(1, 3)) for _ in range(3))
    x = data.draw(hnp.arrays(np.int64, a * b, elements=st.integers(-9, 9)))
    y = data.draw(hnp.arrays(np.int64, b * c, elements=st.integers(-9, 9)))

    def function(x, y):
        left, right = x.reshape(a, b), y.reshape(b, c)
        return {
            "mm": left @ right, "vm": left[0] @ right, "mv": left @ right[:, 0], "vv": left[0] @ right[:, 0],
            "square": left.T @ left, "const": np.arange(a * b).reshape(a, b) @ right,
            "list": left @ np.ones((b, 1), int),
        }  # fmt: skip

    same(function, x=x, y=y)


@SETTINGS
@given(fraction(5), fraction(5))
def test_order_and_size(x, y):
    def function(x, y):
        q = np if isinstance(x, np.ndarray) else quorate
        return {
            "min": q.minimum(x, y),
            "max": q.maximum(x, 1),
            "least": q.minimum(-2.5, y),
            "abs": abs(x),
            "neg": -x,
            "pos": +y,
        }

    same(function, x=x, y=y)


@pytest.mark.parametrize(
    "ufunc",
    [
        "add",
        "subtract",
        "multiply",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "equal",
        "not_equal",
        "maximum",
        "minimum",
    ],
)
def test_ufuncs_with_an_array_on_either_side(ufunc):
    x, c = np.array([1, -2, 3]), np.array([2, -2, 0])
    apply = getattr(np, ufunc)
    same(lambda x: {"left": apply(x, c), "right": apply(c, x), "scalar": apply(np.int64(2), x)}, x=x)


def test_other_ufuncs():
    same(
        lambda x: {"a": np.absolute(x), "n": np.negative(x), "l": np.logical_and(x > 1, x < 3)}, x=np.array([1, -2, 3])
    )
    same(lambda x: {"s": np.sqrt(x), "d": np.divide(x, 4), "r": np.divide(8.0, x)}, 2**-13, x=np.array([1.0, 2.0, 9.5]))


@pytest.mark.parametrize("factor", [1e-6, 3.3e-4, 0.1, -0.7, 12.34, 1e3 / 7])
def test_public_factors_keep_their_significant_digits(factor):
    x = np.array([1000.0, -25000.5, 3.25])
    got = quorate.computation(lambda x: {"z": x * factor, "d": x / (1 / factor)}).simulate("clear", x=x)
    np.testing.assert_allclose(got["z"], x * factor, rtol=2**-23, atol=2**-15)
    np.testing.assert_allclose(got["d"], x * factor, rtol=2**-17, atol=2**-15)


def test_iteration_length_and_size_of_known_shapes():
    def function(x):
        rows = list(x.reshape(2, 3))
        assert len(x) == x.size == 6
        assert len(rows) == 2
        return {"z": rows[0] + rows[1], "n": x.size, "e": x[:0]}

    got = quorate.computation(function).simulate("clear", x=np.arange(6))
    assert got["z"].tolist() == [3, 5, 7]
    assert got["n"] == 6
    assert got["e"].shape == (0,)
