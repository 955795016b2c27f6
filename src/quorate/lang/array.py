"""Secret arrays: NumPy's vocabulary on values that nobody sees. What is done with them is recorded, not computed."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import EllipsisType
from typing import Any, NoReturn, cast

import numpy as np

from quorate.errors import UserError
from quorate.lang.dims import Dim, Shape, Size, rows_of, text_of
from quorate.lang.operations import kind_of
from quorate.lang.operations.structure import reshaped
from quorate.lang.plan import Operation, Plan, Type
from quorate.sharing.dtype import BOOL, INT, DType, fixed

__all__ = ["DEFAULT_SCALE", "SecretArray", "Table", "Trace"]

DEFAULT_SCALE = 16
"""Fraction bits of results that are fixed-point although no operand was."""

FACTOR_BITS = 24
"""Significant bits of public factors that are not whole: relative error below 2**-24 for the largest of an array."""

LARGEST_SCALE = 48
LARGEST_DENOMINATOR = 10**6

Index = int | slice | EllipsisType | None | list[int]


class Trace:
    """Collects the operations of one computation; equal operations are recorded once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.operations: list[Operation] = []
        self._known: dict[str, int] = {}

    def record(self, kind: str, operands: Sequence[SecretArray], **attributes: Any) -> SecretArray:
        """Add an operation and return its result. Raises `UserError` where types or shapes do not fit."""
        for operand in operands:
            if operand.trace is not self:
                raise UserError("a secret array of another computation cannot be used here")
        return self._add(kind, tuple(operand.position for operand in operands), attributes, None)

    def _add(
        self, kind: str, operands: tuple[int, ...], attributes: dict[str, Any], stated: Type | None
    ) -> SecretArray:
        key = repr((kind, operands, sorted(attributes.items(), key=lambda item: item[0])))
        if key not in self._known:
            types = [self.operations[operand].type for operand in operands]
            type_ = kind_of(kind).type_of(types, attributes, stated or Type(INT, ()))
            self._known[key] = len(self.operations)
            where = "" if kind == "input" or "rows" in attributes else _author_line()
            self.operations.append(Operation(kind, operands, attributes, type_, where))
        return SecretArray(self, self._known[key])

    def unpack(self, bundle: SecretArray) -> list[SecretArray]:
        """The results of an operation that has several. Raises `UserError` for an ordinary value."""
        if not bundle.type.parts:
            raise UserError(f"{bundle.type} is one value; only an operation with several results can be unpacked")
        return [self.record("item", [bundle], index=index) for index in range(len(bundle.type.parts))]

    def input(self, name: str, column: str, dtype: DType, rows: int | None = None) -> SecretArray:
        """A column of an input, one value per row; `rows` if their number is known already."""
        attributes = {"input": name, "column": column, "dtype": str(dtype)}
        return self._add("input", (), attributes, Type(dtype, (rows_of(name) if rows is None else rows,)))

    def constant(self, values: Any, dtype: DType) -> SecretArray:
        """Public values."""
        raw = dtype.encode(values)
        return self._add(
            "constant", (), {"values": raw.reshape(-1).tolist(), "shape": list(raw.shape), "dtype": str(dtype)}, None
        )

    def rows(self, size: Size) -> SecretArray:
        """A size as a public value."""
        attribute = size if isinstance(size, int) else {"size": str(size)}
        return self._add("constant", (), {"rows": attribute}, None)

    def plan(self, outputs: dict[str, SecretArray]) -> Plan:
        """The plan with these outputs; operations that no output needs are left out."""
        needed: set[int] = set()
        todo = [array.position for array in outputs.values()]
        while todo:
            position = todo.pop()
            if position not in needed:
                needed.add(position)
                todo.extend(self.operations[position].operands)
        order = sorted(needed)
        place = {old: new for new, old in enumerate(order)}
        kept = []
        for old in order:
            operation = self.operations[old]
            operands = tuple(place[operand] for operand in operation.operands)
            kept.append(Operation(operation.kind, operands, operation.attributes, operation.type, operation.where))
        return Plan(self.name, tuple(kept), {name: place[array.position] for name, array in outputs.items()})


def _author_line() -> str:
    """File and line of the first frame outside this package, for messages."""
    here = str(Path(__file__).parent)
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _refusal(what: str, instead: str) -> NoReturn:
    raise UserError(f"{what} would show a secret; {instead}")


class SecretArray:
    """A secret (or public) array of the computation that is being recorded."""

    __slots__ = ("position", "trace")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, trace: Trace, position: int) -> None:
        self.trace = trace
        self.position = position

    # -- facts --------------------------------------------------------------------------------------------------------

    @property
    def type(self) -> Type:
        """Data type, shape and visibility."""
        return self.trace.operations[self.position].type

    @property
    def dtype(self) -> DType:
        """int, bool or fixed(scale)."""
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        """Sizes; row counts are symbols until the session starts."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> Size:
        """Number of elements, perhaps a symbol."""
        total: Size = 1
        for size in self.shape:
            total = total * size if isinstance(size, int) else size * _as_int(total)
        return total

    def __len__(self) -> int:
        if not self.shape:
            raise UserError("a value without dimensions has no length")
        if not isinstance(self.shape[0], int):
            raise UserError(f"the number of rows ({self.shape[0]}) is not known yet; use .shape[0] or .size")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{self.type}>"

    def __bool__(self) -> NoReturn:
        _refusal("a truth value", "use quorate.where(condition, a, b) instead of if, and & | ~ instead of and, or, not")

    def __int__(self) -> NoReturn:
        _refusal("int()", "return the value from the computation to open it")

    __float__ = __complex__ = __index__ = __int__

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        _refusal("a NumPy array of it", "use the functions of quorate, such as quorate.sum and quorate.where")

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def __reduce__(self) -> NoReturn:
        _refusal("pickling", "return the value from the computation instead")

    # -- arithmetic ---------------------------------------------------------------------------------------------------

    def _other(self, other: Any, like: DType | None = None) -> SecretArray:
        """The operand as an array of this computation; constants take a type that fits."""
        if isinstance(other, SecretArray):
            return other
        if isinstance(other, Dim):
            return self.trace.rows(other)
        values = _public(other)
        if like is not None:
            return self.trace.constant(values, like)
        if values.dtype.kind == "b":
            return self.trace.constant(values, BOOL)
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        return self.trace.constant(values, fixed(scale) if values.dtype.kind == "f" else INT)

    def _aligned(self, other: Any) -> tuple[SecretArray, SecretArray]:
        """Both operands as numbers at one scale."""
        if (
            not isinstance(other, SecretArray | Dim)
            and self.dtype.kind == "fixed"
            and _public(other).dtype.kind in "iuf"
        ):
            return self, self._other(other, self.dtype)
        left, right = (x.astype(INT) if x.dtype == BOOL else x for x in (self, self._other(other)))
        if left.dtype == right.dtype:
            return left, right
        scale = max(left.dtype.scale, right.dtype.scale)
        return left.astype(fixed(scale)), right.astype(fixed(scale))

    def _binary(self, kind: str, other: Any, swap: bool = False) -> SecretArray:
        left, right = self._aligned(other)
        return self.trace.record(kind, [right, left] if swap else [left, right])

    def __add__(self, other: Any) -> SecretArray:
        return self._binary("add", other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> SecretArray:
        return self._binary("sub", other)

    def __rsub__(self, other: Any) -> SecretArray:
        return self._binary("sub", other, swap=True)

    def __neg__(self) -> SecretArray:
        return self.trace.record("neg", [self])

    def __pos__(self) -> SecretArray:
        return self

    def __abs__(self) -> SecretArray:
        from quorate.lang.functions import where

        return where(self < 0, -self, self)

    def _product(self, kind: str, other: SecretArray, scale: int | None = None) -> SecretArray:
        """A product of numbers with the larger of both scales, or with `scale`."""
        left, right = (x.astype(INT) if x.dtype == BOOL else x for x in (self, other))
        wanted = max(left.dtype.scale, right.dtype.scale) if scale is None else scale
        shift = left.dtype.scale + right.dtype.scale - wanted
        return self.trace.record(kind, [left, right], **({"shift": shift} if shift > 0 else {}))

    def __mul__(self, other: Any) -> SecretArray:
        if isinstance(other, SecretArray | Dim) or _public(other).dtype.kind != "f":
            return self._product("mul", self._other(other))
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        return self._product("mul", self._factor(_public(other)), scale)

    def _factor(self, values: np.ndarray[Any, Any]) -> SecretArray:
        """Public fractions as factors: integers where they are whole, else with `FACTOR_BITS` significant bits."""
        whole = np.rint(np.where(np.isfinite(values), values, 0.0))
        largest = float(np.abs(whole).max(initial=0.0))
        if self.dtype.kind == "fixed" and np.array_equal(whole, values) and largest < 2.0**53:
            return self.trace.constant(whole.astype(np.int64), INT)
        exponent = math.frexp(max(float(np.abs(np.nan_to_num(values)).max(initial=0.0)), 2.0**-40))[1]
        lowest = 1 if self.dtype.kind == "fixed" else DEFAULT_SCALE
        scale = min(max(lowest, FACTOR_BITS - exponent), LARGEST_SCALE)
        while scale > lowest and np.array_equal(np.rint(np.ldexp(values, scale - 1)), np.ldexp(values, scale - 1)):
            scale -= 1
        return self.trace.constant(values, fixed(scale))

    __rmul__ = __mul__

    def __matmul__(self, other: Any) -> SecretArray:
        right = self._other(other)
        if self.ndim == 1 and right.ndim == 1:
            return self._product("dot", right)
        left = self[None, :] if self.ndim == 1 else self
        product = left._product("matmul", right[:, None] if right.ndim == 1 else right)
        if self.ndim == 1:
            product = product[0]
        return product[..., 0] if right.ndim == 1 else product

    def __rmatmul__(self, other: Any) -> SecretArray:
        return self._other(other) @ self

    def dot(self, other: Any) -> SecretArray:
        """Inner product of vectors, product of matrices."""
        return cast(SecretArray, self @ other)

    def __truediv__(self, other: Any) -> SecretArray:
        if not isinstance(other, SecretArray):
            return self._over_public(other)
        if not other.type.secret and not other.shape:
            raise UserError("divide by the number itself instead of a recorded constant")
        scale = max(self.dtype.scale, other.dtype.scale)
        integers = {self.dtype.kind, other.dtype.kind} <= {"int", "bool"}
        numbers = [x.astype(INT) if x.dtype == BOOL else x for x in (self, other)]
        return self.trace.record("div", numbers, scale=DEFAULT_SCALE if integers else scale)

    def __rtruediv__(self, other: Any) -> SecretArray:
        return self._other(other) / self

    def _over_public(self, other: Any) -> SecretArray:
        numbers = self.astype(INT) if self.dtype == BOOL else self
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        if isinstance(other, Dim):
            return self.trace.record("div_public", [numbers], divisor={"size": str(other)}, scale=scale)
        values = _public(other)
        if not np.isfinite(values).all() or (values == 0).any():
            raise UserError("division by zero or by no finite number; public divisors must be other than zero")
        if values.ndim:
            return numbers * (1.0 / values)
        ratio = Fraction(values.item()).limit_denominator(LARGEST_DENOMINATOR)
        if not 0 < abs(ratio.numerator) < 1 << 40:
            raise UserError(
                f"division by {values.item()!r}; multiply by its reciprocal, or change the scale of the data"
            )
        return self.trace.record("div_public", [numbers * ratio.denominator], divisor=ratio.numerator, scale=scale)

    # -- comparison and logic -----------------------------------------------------------------------------------------

    def __lt__(self, other: Any) -> SecretArray:
        return self._binary("lt", other)

    def __gt__(self, other: Any) -> SecretArray:
        return self._binary("lt", other, swap=True)

    def __le__(self, other: Any) -> SecretArray:
        return cast(SecretArray, ~(self > other))

    def __ge__(self, other: Any) -> SecretArray:
        return cast(SecretArray, ~(self < other))

    def __eq__(self, other: Any) -> SecretArray:  # type: ignore[override]
        right = self._other(other) if self.dtype == BOOL else other
        if isinstance(right, SecretArray) and self.dtype == right.dtype == BOOL:
            return ~(self ^ right)
        return self._binary("eq", right)

    def __ne__(self, other: Any) -> SecretArray:  # type: ignore[override]
        return cast(SecretArray, ~(self == other))

    def __and__(self, other: Any) -> SecretArray:
        return self.trace.record("and", [self, self._other(other)])

    def __or__(self, other: Any) -> SecretArray:
        return self.trace.record("or", [self, self._other(other)])

    def __xor__(self, other: Any) -> SecretArray:
        return self.trace.record("xor", [self, self._other(other)])

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> SecretArray:
        return self.trace.record("not", [self])

    def __pow__(self, exponent: Any) -> SecretArray:
        if not isinstance(exponent, int) or not 1 <= exponent <= 64:
            raise UserError(f"a secret to the power of {exponent!r}; use a whole number from 1, or quorate.sqrt")
        half = self ** (exponent // 2) if exponent > 1 else self
        square = half * half if exponent > 1 else self
        return square * self if exponent > 1 and exponent % 2 else square

    def __floordiv__(self, _: Any) -> NoReturn:
        raise UserError("// and % are not possible on secrets; use / for a fixed-point quotient, and comparisons")

    __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __floordiv__

    def __setitem__(self, _: Any, __: Any) -> NoReturn:
        raise UserError("secret arrays cannot be changed; use quorate.where or quorate.concatenate to make a new one")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's operators, with NumPy's numbers and arrays on either side."""
        operation = _UFUNCS.get(ufunc.__name__)
        if operation is None or method != "__call__" or options:
            raise UserError(f"numpy.{ufunc.__name__} is not possible on secrets; use operators or quorate's functions")
        if isinstance(inputs[0], SecretArray):
            return operation(*inputs)
        if ufunc.__name__ in _MIRRORED:
            return getattr(inputs[1], _MIRRORED[ufunc.__name__])(inputs[0])
        return operation(inputs[1]._other(inputs[0]), inputs[1])

    def __array_function__(self, function: Any, *_: Any) -> NoReturn:
        name = function.__name__
        raise UserError(f"numpy.{name} is not possible on secrets; use quorate.{name} if there is one, or operators")

    # -- shape --------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Index | tuple[Index, ...]) -> SecretArray:
        items = index if isinstance(index, tuple) else (index,)
        return self.trace.record("index", [self], index=[_canonical_item(item) for item in _expanded(items, self.ndim)])

    def reshape(self, *shape: Any) -> SecretArray:
        """Another shape for the same elements; one size may be -1."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        sizes = reshaped(self.shape, wanted)
        return self.trace.record("reshape", [self], shape=[text_of(size) for size in sizes])

    def transpose(self, *axes: Any) -> SecretArray:
        """Axes in another order; reversed by default."""
        given = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
        order = [_axis(axis, self.ndim) for axis in given] if axes else list(range(self.ndim))[::-1]
        return self.trace.record("transpose", [self], axes=order)

    @property
    def T(self) -> SecretArray:
        """The transpose."""
        return self.transpose()

    def astype(self, dtype: Any) -> SecretArray:
        """Another data type: bool to int; int and fixed to fixed of any scale (a smaller scale truncates)."""
        known: dict[Any, DType] = {int: INT, bool: BOOL, float: fixed(DEFAULT_SCALE)}
        target = dtype if isinstance(dtype, DType) else known.get(dtype) if isinstance(dtype, Hashable) else None
        if target is None:
            raise UserError(f"astype({dtype!r}); use int, bool, float or quorate.fixed(SCALE)")
        if target == self.dtype:
            return self
        if self.dtype == BOOL:
            return self.trace.record("to_int", [self]).astype(target)
        if target == BOOL:
            return self != 0
        if target == INT:
            raise UserError("fixed to int loses the fraction; keep the values fixed, or compare")
        return self.trace.record("rescale", [self], scale=target.scale)

    # -- statistics ---------------------------------------------------------------------------------------------------

    def _numbers(self, where: Any = None) -> SecretArray:
        numbers = self.astype(INT) if self.dtype == BOOL else self
        return numbers if where is None else numbers * self._mask(where)

    def _mask(self, where: Any) -> SecretArray:
        mask = self._other(where)
        if mask.dtype != BOOL:
            raise UserError("where must be bool, such as x > 0; compare numbers first")
        return mask

    def sum(self, axis: int | None = None, where: Any = None) -> SecretArray:
        """Sum over one axis, or of all elements; with `where` of those for which it holds."""
        total = self._numbers(where)
        if axis is not None:
            return self.trace.record("sum", [total], axis=_axis(axis, self.ndim))
        while total.ndim:
            total = self.trace.record("sum", [total], axis=0)
        return total

    def mean(self, axis: int | None = None, where: Any = None) -> SecretArray:
        """Mean over one axis, or of all elements; with `where` of those for which it holds, 0 if there are none."""
        if where is None:
            count = self.size if axis is None else self.shape[_axis(axis, self.ndim)]
            return self.sum(axis)._over_public(count)
        values = self if axis is not None or self.ndim == 1 else self.reshape(-1)
        mask = self._mask(where)
        chosen = mask if axis is not None or mask.ndim == 1 else mask.reshape(-1)
        numbers = values._numbers()
        scale = numbers.dtype.scale if numbers.dtype.kind == "fixed" else DEFAULT_SCALE
        place = _axis(0 if axis is None else axis, values.ndim)
        return self.trace.record("masked_mean", [numbers, chosen], axis=place, scale=scale)

    def var(self, axis: int | None = None, ddof: int = 0) -> SecretArray:
        """Variance: the mean of squared distances from the mean, over n - ddof."""
        values = self._numbers()
        values = values if axis is not None or values.ndim == 1 else values.reshape(-1)
        place = _axis(0 if axis is None else axis, values.ndim)
        count = values.shape[place] - ddof
        mean = values.mean(place)
        centred = values.astype(mean.dtype) - mean[(slice(None),) * place + (None,)]
        divisor = count if isinstance(count, int) else {"size": str(count)}
        return self.trace.record("mean_square", [centred], axis=place, divisor=divisor, scale=centred.dtype.scale)

    def std(self, axis: int | None = None, ddof: int = 0) -> SecretArray:
        """Standard deviation: the square root of the variance."""
        return self.var(axis, ddof).sqrt()

    def sqrt(self) -> SecretArray:
        """Square root of values that are not negative."""
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        return self.trace.record("sqrt", [self._numbers()], scale=scale)


class Table:
    """The columns of one input, by attribute or by name."""

    def __init__(self, name: str, columns: dict[str, SecretArray]) -> None:
        self._name = name
        self._columns = columns

    def __getitem__(self, column: str) -> SecretArray:
        if column not in self._columns:
            raise UserError(f"input {self._name!r} has no column {column!r}; it has {', '.join(self._columns)}")
        return self._columns[column]

    def __getattr__(self, column: str) -> SecretArray:
        if column.startswith("__"):
            raise AttributeError(column)
        return self[column]

    @property
    def rows(self) -> Size:
        """The number of rows, a symbol."""
        return rows_of(self._name)


def _public(values: Any) -> np.ndarray[Any, Any]:
    """Public operands as an array of bools or numbers. Raises `UserError` for anything else."""
    if isinstance(values, list | tuple) and any(isinstance(value, SecretArray) for value in values):
        raise UserError("a list with secrets in it is no array; join them with quorate.stack or quorate.concatenate")
    try:
        array = np.asarray(values)
    except ValueError:
        raise UserError("nested lists of different lengths are no array; use rows of equal length") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"cannot compute with a {type(values).__name__}; use numbers, bools or arrays of them")
    return array


def _axis(axis: Any, ndim: int) -> int:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise UserError(f"axis {axis!r} is not one whole number; reduce one axis after the other")
    if not -ndim <= axis < ndim:
        raise UserError(f"axis {axis} is out of range for an array of {ndim} dimensions")
    return axis % ndim


def _as_int(size: Size) -> int:
    if not isinstance(size, int):
        raise UserError("the product of two row counts is not a size; reduce one axis first")
    return size


def _expanded(items: tuple[Any, ...], ndim: int) -> list[Any]:
    """The index with its ellipsis written out."""
    if sum(item is Ellipsis for item in items) > 1:
        raise UserError("an index can have one ellipsis")
    used = sum(item is not None and item is not Ellipsis for item in items)
    result: list[Any] = []
    for item in items:
        result += [slice(None)] * max(0, ndim - used) if item is Ellipsis else [item]
    return result


def _canonical_item(item: Any) -> Any:
    if item is None:
        return ["new"]
    if isinstance(item, slice):
        return ["slice", _bound(item.start), _bound(item.stop), _bound(item.step)]
    if isinstance(item, SecretArray):
        raise UserError("a secret cannot be an index; use a mask: quorate.where(mask, a, 0) or sum(where=mask)")
    if isinstance(item, list | np.ndarray):
        entries = _public(item)
        if entries.ndim != 1 or (entries.dtype.kind not in "iu" and entries.size):
            raise UserError("a list as an index holds whole numbers; for a public mask use numpy.flatnonzero(mask)")
        return ["list", [int(entry) for entry in entries]]
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        return int(item)
    raise UserError(f"an index of type {type(item).__name__}; use integers, slices, None, ... or a list of integers")


def _bound(value: Any) -> int | None:
    """One of the three parts of a slice."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise UserError(f"a slice with a {type(value).__name__} in it; use whole numbers that are known beforehand")
    return int(value)


def _extreme(name: str) -> Callable[[Any, Any], SecretArray]:
    return lambda x, y: getattr(import_module("quorate.lang.functions"), name)(x, y)


_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "matmul": operator.matmul,
    "power": operator.pow,
    "negative": operator.neg,
    "absolute": operator.abs,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "logical_and": operator.and_,
    "logical_or": operator.or_,
    "logical_not": operator.invert,
    "sqrt": SecretArray.sqrt,
    "minimum": _extreme("minimum"),
    "maximum": _extreme("maximum"),
}

_MIRRORED = {
    "add": "__radd__",
    "subtract": "__rsub__",
    "multiply": "__rmul__",
    "less": "__gt__",
    "less_equal": "__ge__",
    "greater": "__lt__",
    "greater_equal": "__le__",
    "equal": "__eq__",
    "not_equal": "__ne__",
}
"""What to ask of the right operand if the left one is public."""
