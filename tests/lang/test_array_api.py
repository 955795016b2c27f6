"""Every function of the array API namespace against array-api-strict; the page that lists them against the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import quorate.testing.array_api as xp
from quorate.errors import UserError
from quorate.testing.array_api.support import STANDARD, page

INTS = ("int8", "int16", "int32", "int64")
FLOATS = ("float32", "float64")
NUMBERS = (*INTS, *FLOATS)
ALL = ("bool", *NUMBERS)
UNIT = 2.0**-12
NAMES = {xp.bool: "bool", xp.float32: "float32", xp.float64: "float64"} | {getattr(xp, name): name for name in INTS}


class Val(NamedTuple):
    """Values and data type of an array, to be made in either namespace."""

    values: np.ndarray
    dtype: str


class Of(NamedTuple):
    """A data type by name."""

    dtype: str


def made(module: Any, argument: Any) -> Any:
    """The argument with arrays and types of the namespace in place of their descriptions."""
    if isinstance(argument, Val):
        return module.asarray(argument.values, dtype=getattr(module, argument.dtype))
    if isinstance(argument, Of):
        return getattr(module, argument.dtype)
    if isinstance(argument, list):
        return [made(module, one) for one in argument]
    return argument


# -- strategies --------------------------------------------------------------------------------------------------------


def elements(dtype: str, low: float, high: float) -> st.SearchStrategy[Any]:
    if dtype == "bool":
        return st.booleans()
    if dtype in INTS:
        return st.integers(int(low), int(high))
    return st.integers(int(low * 16), int(high * 16)).map(lambda raw: raw / 16)


@st.composite
def an_array(draw, dtypes=ALL, shape=None, low=-8, high=8, min_dims=0, min_side=0, max_dims=3):
    dtype = draw(st.sampled_from(dtypes))
    if shape is None:
        shape = draw(hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=3))
    kind = np.dtype("f8" if dtype in FLOATS else dtype)
    return Val(draw(hnp.arrays(kind, shape, elements=elements(dtype, low, high))), dtype)


@st.composite
def two(draw, dtypes=NUMBERS, low=-8, high=8, low2=None, high2=None):
    """Two arrays that broadcast, of types that meet."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0)).input_shapes
    first = draw(st.sampled_from(dtypes))
    family = INTS if first in INTS else FLOATS if first in FLOATS else ("bool",)
    second = draw(st.sampled_from([name for name in family if name in dtypes]))
    x = draw(an_array((first,), shapes[0], low, high))
    y = draw(an_array((second,), shapes[1], low if low2 is None else low2, high if high2 is None else high2))
    return (x, y), {}


def one(*args, **options):
    return an_array(*args, **options).map(lambda x: ((x,), {}))


@st.composite
def reduced(draw, dtypes=NUMBERS, low=-8, high=8, min_side=0, several=True, **more):
    x = draw(an_array(dtypes, low=low, high=high, min_dims=0 if several else 1, min_side=min_side))
    axes = st.integers(-x.values.ndim, x.values.ndim - 1) if x.values.ndim else st.none()
    some = (
        st.lists(st.integers(0, x.values.ndim - 1), unique=True, min_size=1).map(tuple) if x.values.ndim else st.none()
    )
    axis = draw(st.none() | axes | some if several else st.none() | axes)
    return (x,), {"axis": axis, "keepdims": draw(st.booleans())} | {key: draw(value) for key, value in more.items()}


@st.composite
def along(draw, dtypes=ALL, **more):
    x = draw(an_array(dtypes, min_dims=1))
    axis = draw(st.integers(-x.values.ndim, x.values.ndim - 1))
    return (x,), {"axis": axis} | {key: draw(value) for key, value in more.items()}


@st.composite
def reshaping(draw):
    x = draw(an_array())
    size = x.values.size
    shapes = (
        [(size,), (1, size), (size, 1, 1)] + ([(-1,)] if size else []) + ([(2, size // 2)] if size % 2 == 0 else [])
    )
    return (x, draw(st.sampled_from(shapes))), {}


@st.composite
def joining(draw, new=False):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    family = draw(st.sampled_from([INTS, FLOATS, ("bool",)]))
    arrays = []
    for _ in range(draw(st.integers(1, 3))):
        sizes = list(shape)
        if not new:
            sizes[axis] = draw(st.integers(0, 3))
        arrays.append(draw(an_array(family, tuple(sizes))))
    return (arrays,), {"axis": axis}


@st.composite
def products(draw, kind):
    n, k, m = (draw(st.integers(1, 3)) for _ in range(3))
    stack = draw(st.sampled_from([(), (), (2,), (1, 2)]))
    shapes = {
        "matmul": draw(
            st.sampled_from([((n, k), (k, m)), ((k,), (k, m)), ((n, k), (k,)), ((k,), (k,)), ((*stack, n, k), (k, m))])
        ),
        "tensordot": draw(st.sampled_from([((n, k), (k, m)), ((n, k, m), (k, m))])),
        "vecdot": ((*stack, n, k), (n, k)),
    }[kind]  # fmt: skip
    dtype = draw(st.sampled_from(("int16", "int32", "int64", *FLOATS)))
    arrays = tuple(draw(an_array((dtype,), shape)) for shape in shapes)
    options = {"tensordot": {"axes": len(shapes[1]) - (1 if len(shapes[0]) == 2 else 0)}}.get(kind, {})
    if kind == "tensordot" and len(shapes[0]) == 2:
        options = {"axes": draw(st.sampled_from([1, ([1], [0])]))}
    return arrays, options


@st.composite
def moved(draw, kind):
    x = draw(an_array(min_dims=1))
    n = x.values.ndim
    axis = draw(st.integers(-n, n - 1))
    order = draw(st.permutations(range(n)))
    shifts = st.integers(-4, 4)
    ones = x._replace(values=x.values[None, :])
    return {
        "expand_dims": ((x,), {"axis": draw(st.integers(-n - 1, n))}),
        "flip": ((x,), {"axis": draw(st.none() | st.just(axis))}),
        "moveaxis": ((x, axis, draw(st.integers(-n, n - 1))), {}),
        "permute_dims": ((x, tuple(order)), {}),
        "repeat": ((x, draw(st.integers(0, 3))), {"axis": draw(st.none() | st.just(axis))}),
        "roll": ((x, draw(shifts)), {"axis": draw(st.none() | st.just(axis))}),
        "squeeze": ((ones, 0), {}),
        "tile": ((x, tuple(draw(st.lists(st.integers(0, 2), max_size=3)))), {}),
        "unstack": ((x,), {"axis": axis}),
        "broadcast_to": ((x, (2, *x.values.shape)), {}),
        "broadcast_arrays": ((x, ones), {}),
    }[kind]


@st.composite
def taking(draw):
    x = draw(an_array(min_dims=1, min_side=1))
    axis = draw(st.integers(0, x.values.ndim - 1))
    size = x.values.shape[axis]
    places = draw(hnp.arrays(np.int64, st.integers(0, 3), elements=st.integers(0, size - 1)))
    return (x, Val(places, "int64")), {"axis": axis}


@st.composite
def searching(draw):
    dtype = draw(st.sampled_from(NUMBERS))
    row = draw(an_array((dtype,), (draw(st.integers(0, 4)),)))
    return (row._replace(values=np.sort(row.values)), draw(an_array((dtype,)))), {
        "side": draw(st.sampled_from(["left", "right"]))
    }


@st.composite
def choosing(draw):
    (x, y), _ = draw(two(ALL))
    shape = np.broadcast_shapes(x.values.shape, y.values.shape)
    return (draw(an_array(("bool",), shape)), x, y), {}


@st.composite
def clipping(draw):
    x = draw(an_array(NUMBERS))
    number = elements(x.dtype, -4, 4)
    low = draw(st.none() | number)
    high = draw(st.none() | number) if low is None else draw(st.none() | number.filter(lambda end: end >= low))
    return (x,), {"min": low, "max": high}


@st.composite
def creating(draw, kind):
    dtype = draw(st.sampled_from(ALL))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    value = draw(elements(dtype, -8, 8))
    x, number = draw(an_array()), draw(st.sampled_from(NUMBERS))
    n, k = draw(st.integers(0, 3)), draw(st.integers(-2, 2))
    matrix = draw(an_array(NUMBERS, min_dims=2))
    axes = tuple(draw(an_array(("int64",), (draw(st.integers(1, 3)),))) for _ in range(2))
    return {
        "arange": ((k, 5, draw(st.integers(1, 3))), {"dtype": Of(number)}),
        "asarray": ((x,), {}),
        "eye": ((n, draw(st.integers(0, 3))), {"k": k, "dtype": Of(dtype)}),
        "full": ((shape, value), {"dtype": Of(dtype)}),
        "full_like": ((x, True if x.dtype == "bool" else 3), {}),
        "linspace": ((0, 4, 9), {"endpoint": True}),
        "meshgrid": (axes, {"indexing": draw(st.sampled_from(["xy", "ij"]))}),
        "ones": ((shape,), {"dtype": Of(dtype)}),
        "ones_like": ((x,), {}),
        "tril": ((matrix,), {"k": k}),
        "triu": ((matrix,), {"k": k}),
        "zeros": ((shape,), {"dtype": Of(dtype)}),
        "zeros_like": ((x,), {}),
    }[kind]


def casting(draw_from=NUMBERS):
    pairs = st.tuples(an_array(draw_from), st.sampled_from(NUMBERS))
    return pairs.map(lambda pair: ((pair[0], Of(pair[1])), {}))


class Case(NamedTuple):
    """Arguments for a function, and by how much results may differ."""

    arguments: Any
    within: float = 0.0


def cases(names: str, arguments: Any, within: float = 0.0) -> dict[str, Case]:
    return {
        name: Case(arguments(name) if isinstance(arguments, Callable) else arguments, within) for name in names.split()
    }


BITS = ("bool", *INTS)
CASES: dict[str, Case] = (
    cases("arange asarray eye full full_like linspace meshgrid ones ones_like tril triu zeros zeros_like", creating)
    | cases("astype", casting(), UNIT)
    | cases(
        "broadcast_arrays broadcast_to expand_dims flip moveaxis permute_dims repeat roll squeeze tile unstack", moved
    )
    | cases("abs ceil floor negative positive round sign trunc isfinite isinf isnan", one(NUMBERS))
    | cases("signbit", one(FLOATS))
    | cases("bitwise_invert", one(BITS))
    | cases("logical_not", one(("bool",)))
    | cases("logical_and logical_or logical_xor", two(("bool",)))
    | cases("bitwise_and bitwise_or bitwise_xor", two(BITS))
    | cases("bitwise_left_shift bitwise_right_shift", two(INTS, 0, 7, 0, 3))
    | cases("add subtract maximum minimum less less_equal greater greater_equal", two())
    | cases("equal not_equal", two(ALL))
    | cases("multiply", two(), UNIT)
    | cases("square", one(NUMBERS), UNIT)
    | cases("copysign", two(FLOATS, 1, 8, 1, 8))
    | cases("floor_divide remainder", two(NUMBERS, -8, 8, 1, 8))
    | cases("divide", two(FLOATS, -8, 8, 1, 8), 8 * UNIT)
    | cases("pow", two(FLOATS, 1, 4, -2, 2), 16 * UNIT)
    | cases("atan2", two(FLOATS, -8, 8, 1, 8), 4 * UNIT)
    | cases("hypot logaddexp", two(FLOATS, 1, 8), 64 * UNIT)
    | cases("atan cos sin tanh", one(FLOATS), 4 * UNIT)
    | cases("tan", one(FLOATS, low=-1, high=1), 32 * UNIT)
    | cases("exp expm1 cosh sinh", one(FLOATS, low=-2, high=2), 32 * UNIT)
    | cases("log log2 log10", one(FLOATS, low=1, high=8), 4 * UNIT)
    | cases("log1p", one(FLOATS, low=0, high=8), 4 * UNIT)
    | cases("sqrt", one(FLOATS, low=0, high=8), 4 * UNIT)
    | cases("clip", clipping())
    | cases("where", choosing())
    | cases("concat", joining())
    | cases("stack", joining(new=True))
    | cases("reshape", reshaping())
    | cases("matmul tensordot vecdot", products, 8 * UNIT)
    | cases("matrix_transpose", one(min_dims=2))
    | cases("take", taking())
    | cases("searchsorted", searching())
    | cases("sort argsort", along(NUMBERS, descending=st.booleans()))
    | cases("sum", reduced(NUMBERS))
    | cases("prod", reduced(NUMBERS, -2, 2), 64 * UNIT)
    | cases("mean", reduced(FLOATS, min_side=1), 4 * UNIT)
    | cases("var", reduced(FLOATS, min_side=1), 16 * UNIT)
    | cases("std", reduced(FLOATS, min_side=1), 128 * UNIT)
    | cases("max min", reduced(NUMBERS, min_side=1))
    | cases("argmax argmin", reduced(NUMBERS, min_side=1, several=False))
    | cases("all any", reduced(ALL))
    | cases("cumulative_sum", along(NUMBERS, include_initial=st.booleans()))
)


# -- tests -------------------------------------------------------------------------------------------------------------


def check(name: str, arguments: Any, within: float) -> None:
    args, options = arguments
    wanted = getattr(strict, name)(
        *made(strict, list(args)), **{key: made(strict, value) for key, value in options.items()}
    )
    got = getattr(xp, name)(*made(xp, list(args)), **{key: made(xp, value) for key, value in options.items()})
    several = isinstance(wanted, list | tuple)
    assert len(got) == len(wanted) if several else True
    for ours, theirs in zip(got, wanted, strict=True) if several else [(got, wanted)]:
        assert ours.shape == theirs.shape
        assert NAMES[ours.dtype] == str(theirs.dtype).rpartition(".")[2]
        np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs).astype(float), atol=within, rtol=0)


def run(name: str, protocol: str, examples: int) -> None:
    case = CASES[name]

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case.arguments)
    def compared(arguments):
        check(name, arguments, case.within)

    xp.use_protocol(protocol)
    try:
        compared()
    finally:
        xp.use_protocol("clear")


@pytest.mark.parametrize("name", CASES)
def test_as_array_api_strict_in_the_clear(name):
    run(name, "clear", 5)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["clear", "rep3"])
@pytest.mark.parametrize("name", CASES)
def test_as_array_api_strict(name, protocol):
    run(name, protocol, 20)


def test_every_function_of_the_table_is_tested_or_refused():
    working = "Creation,Element-wise,Indexing,Linear algebra,Manipulation,Searching,Set,Sorting,Statistics,Utility"
    for chapter in working.split(","):
        for name, support in STANDARD[chapter].items():
            if support.status != "no":
                assert name in CASES or name.startswith("empty"), name
            elif hasattr(xp, name):
                with pytest.raises(UserError, match="would show a secret"):
                    getattr(xp, name)(xp.asarray([1]))


def test_the_page_is_that_of_the_table():
    written = Path(__file__).parents[2] / "docs" / "reference" / "array-api.md"
    assert written.read_text(encoding="utf-8") == page(), "run: python -m quorate.testing.array_api.support " + str(
        written
    )


@pytest.mark.parametrize(
    "operator", ["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "<<", ">>", "<", "<=", ">", ">=", "==", "!="]
)
def test_operators(operator):
    values = {"/": ([1.0, 2.5], [2.0, 4.0]), "**": ([1.5, 2.0], [2.0, 0.5])}.get(operator, ([5, 2], [2, 1]))
    shown = {}
    for module in (xp, strict):
        x, y = (
            module.asarray(v, dtype=getattr(module, "float64" if isinstance(v[0], float) else "int16")) for v in values
        )
        scalar = 2.0 if isinstance(values[0][0], float) else 2
        forms = [f"x {operator} y"] + ([] if operator == "@" else [f"x {operator} scalar"])
        shown[module] = [eval(form, {"x": x, "y": y, "scalar": scalar}) for form in forms]
    for ours, theirs in zip(shown[xp], shown[strict], strict=True):
        assert NAMES[ours.dtype] == str(theirs.dtype).rpartition(".")[2]
        np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs).astype(float), atol=2**-10)


def test_arrays_show_values_on_request_only():
    x = xp.asarray([[1, 2], [3, 4]])
    assert int(x[1, 0]) == 3
    assert float(xp.asarray(1.5)) == 1.5
    assert bool(xp.any(x > 3))
    assert [int(v) for v in x[0, :]] == [1, 2]
    assert x.T.shape == x.mT.shape == (2, 2)
    assert (x.ndim, x.size, x.device, len(x)) == (2, 4, "cpu", 2)
    assert x.__array_namespace__(api_version="2023.12") is xp
    assert range(3)[xp.asarray(1)] == 1
    with pytest.raises(TypeError, match="without dimensions"):
        bool(x)
    with pytest.raises(UserError, match="cannot be changed"):
        x[0, 0] = 1
    with pytest.raises(UserError, match="how many elements"):
        _ = x[x > 1]
    with pytest.raises(IndexError, match=r"write \.\.\. for the others"):
        _ = x[0]


def test_facts_about_types():
    assert xp.result_type(xp.int8, xp.asarray(1, dtype=xp.int32)) == xp.int32
    assert xp.can_cast(xp.int8, xp.int64)
    assert not xp.can_cast(xp.int64, xp.float64)
    assert xp.isdtype(xp.int8, ("integral", xp.bool))
    assert not xp.isdtype(xp.bool, "numeric")
    assert (xp.iinfo(xp.int8).max, xp.iinfo(xp.int64).min) == (127, 1 - 2**62)
    assert xp.finfo(xp.float64).eps == 2**-16
    assert set(xp.__array_namespace_info__().dtypes(kind="real floating")) == {"float32", "float64"}
    for wrong in (lambda: xp.result_type(xp.int8, xp.float32), lambda: xp.finfo(xp.int8), lambda: xp.iinfo(xp.bool)):
        with pytest.raises(TypeError):
            wrong()


def test_the_domain_plugin_narrows_what_is_drawn(monkeypatch):
    import hypothesis.extra.array_api as drawn

    from quorate.testing.array_api import domain

    monkeypatch.setattr(drawn, "_from_dtype", drawn._from_dtype)
    domain.pytest_configure()
    strategies = drawn.make_strategies_namespace(xp)

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data(), st.sampled_from([xp.bool, xp.int8, xp.int64, xp.float32, xp.float64]))
    def holds(data, dtype):
        array = data.draw(strategies.arrays(dtype, hnp.array_shapes(min_dims=0, max_side=3)))
        assert array.dtype == dtype
        assert np.abs(np.asarray(array).astype(float)).max(initial=0) <= 8

    holds()
