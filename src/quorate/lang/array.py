"""Secret arrays: NumPy's vocabulary on values that nobody sees. What is done with them is recorded, not computed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import EllipsisType
from typing import Any, NoReturn

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

    def _add(self, kind: str, operands: tuple[int, ...], attributes: dict[str, Any], stated: Type | None) -> SecretArray:
        key = repr((kind, operands, sorted(attributes.items(), key=lambda item: item[0])))
        if key not in self._known:
            types = [self.operations[operand].type for operand in operands]
            type_ = kind_of(kind).infer(types, attributes, stated or Type(INT, ()))
            self._known[key] = len(self.operations)
            self.operations.append(Operation(kind, operands, attributes, type_, _author_line()))
        return SecretArray(self, self._known[key])

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
    __array_ufunc__ = None  # NumPy arrays on the left leave operators to us
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, trace: Trace, position: int) -> None:
        self.trace = trace
        self.position = position

    # -- facts ---------------------------------------------------------------------------------------------------------

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

    __float__ = __index__ = __int__  # type: ignore[assignment]

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        _refusal("a NumPy array of it", "use the functions of quorate, such as quorate.sum and quorate.where")

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def __reduce__(self) -> NoReturn:
        _refusal("pickling", "return the value from the computation instead")

    # -- arithmetic ------------------------------------------------------------------------------------------------------

    def _other(self, other: Any, like: DType | None = None) -> SecretArray:
        """The operand as an array of this computation; constants take a type that fits."""
        if isinstance(other, SecretArray):
            return other
        if isinstance(other, Dim):
            return self.trace.rows(other)
        values = np.asarray(other)
        if values.dtype.kind not in "biuf":
            raise UserError(f"cannot compute with {type(other).__name__} {other!r}; use numbers, bools or arrays of them")
        if like is not None:
            return self.trace.constant(values, like)
        if values.dtype.kind == "b":
            return self.trace.constant(values, BOOL)
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        return self.trace.constant(values, fixed(scale) if values.dtype.kind == "f" else INT)

    def _aligned(self, other: Any) -> tuple[SecretArray, SecretArray]:
        """Both operands at one scale."""
        if not isinstance(other, SecretArray | Dim) and self.dtype.kind == "fixed" and np.asarray(other).dtype.kind in "iuf":
            return self, self._other(other, self.dtype)
        right = self._other(other)
        if self.dtype == right.dtype:
            return self, right
        scale = max(self.dtype.scale, right.dtype.scale)
        return self.astype(fixed(scale)), right.astype(fixed(scale))

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

    def _product(self, kind: str, other: SecretArray) -> SecretArray:
        scale = max(self.dtype.scale, other.dtype.scale)
        shift = self.dtype.scale + other.dtype.scale - scale
        return self.trace.record(kind, [self, other], **({"shift": shift} if shift > 0 else {}))

    def __mul__(self, other: Any) -> SecretArray:
        right = self._other(other)
        left, right = (x.astype(INT) if x.dtype == BOOL else x for x in (self, right))
        return left._product("mul", right)

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
        return self @ other

    def __truediv__(self, other: Any) -> SecretArray:
        if not isinstance(other, SecretArray):
            return self._over_public(other)
        if not other.type.secret and not other.shape:
            raise UserError("divide by the number itself instead of a recorded constant")
        scale = max(self.dtype.scale, other.dtype.scale)
        return self.trace.record("div", [self, other], scale=scale if scale > 0 else DEFAULT_SCALE)

    def __rtruediv__(self, other: Any) -> SecretArray:
        return self._other(other) / self

    def _over_public(self, other: Any) -> SecretArray:
        scale = self.dtype.scale if self.dtype.kind == "fixed" else DEFAULT_SCALE
        if isinstance(other, Dim):
            return self.trace.record("div_public", [self], divisor={"size": str(other)}, scale=scale)
        value = np.asarray(other)
        if value.ndim or not np.isfinite(value) or value == 0:
            raise UserError(f"division by {other!r}; the divisor must be a number other than zero, or a secret array")
        if float(value).is_integer() and abs(float(value)) < 1 << 40:
            return self.trace.record("div_public", [self], divisor=int(value), scale=scale)
        return self * (1.0 / float(value))

    # -- comparison and logic ----------------------------------------------------------------------------------------------

    def __lt__(self, other: Any) -> SecretArray:
        return self._binary("lt", other)

    def __gt__(self, other: Any) -> SecretArray:
        return self._binary("lt", other, swap=True)

    def __le__(self, other: Any) -> SecretArray:
        return ~(self > other)

    def __ge__(self, other: Any) -> SecretArray:
        return ~(self < other)

    def __eq__(self, other: Any) -> SecretArray:  # type: ignore[override]
        if self.dtype == BOOL:
            return ~(self ^ other)
        return self._binary("eq", other)

    def __ne__(self, other: Any) -> SecretArray:  # type: ignore[override]
        return ~(self == other)

    def __and__(self, other: Any) -> SecretArray:
        return self.trace.record("and", [self, self._other(other)])

    def __or__(self, other: Any) -> SecretArray:
        return self.trace.record("or", [self, self._other(other)])

    def __xor__(self, other: Any) -> SecretArray:
        return self.trace.record("xor", [self, self._other(other)])

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> SecretArray:
        return self.trace.record("not", [self])

    # -- shape ---------------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Index | tuple[Index, ...]) -> SecretArray:
        items = index if isinstance(index, tuple) else (index,)
        return self.trace.record("index", [self], index=[_canonical_item(item) for item in _expanded(items, self.ndim)])

    def reshape(self, *shape: Any) -> SecretArray:
        """Another shape for the same elements; one size may be -1."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        sizes = reshaped(self.shape, wanted)
        return self.trace.record("reshape", [self], shape=[text_of(size) for size in sizes])

    def transpose(self, *axes: int) -> SecretArray:
        """Axes in another order; reversed by default."""
        order = list(axes) if axes else list(range(self.ndim))[::-1]
        return self.trace.record("transpose", [self], axes=[axis % max(self.ndim, 1) for axis in order])

    @property
    def T(self) -> SecretArray:
        """The transpose."""
        return self.transpose()

    def astype(self, dtype: DType | type) -> SecretArray:
        """Another data type: bool to int; int and fixed to fixed of any scale (a smaller scale truncates)."""
        target = {int: INT, bool: BOOL, float: fixed(DEFAULT_SCALE)}.get(dtype) if isinstance(dtype, type) else dtype
        if target is None:
            raise UserError(f"astype({dtype!r}); use int, bool, float or quorate.fixed(SCALE)")
        if target == self.dtype:
            return self
        if self.dtype == BOOL:
            return self.trace.record("to_int", [self]).astype(target)
        if target == BOOL:
            return self != 0
        if target == INT:
            raise UserError("fixed to int loses the fraction; scale the values or keep them fixed")
        return self.trace.record("rescale", [self], scale=target.scale)

    # -- statistics ------------------------------------------------------------------------------------------------------------

    def _numbers(self, where: SecretArray | None = None) -> SecretArray:
        numbers = self.astype(INT) if self.dtype == BOOL else self
        return numbers if where is None else numbers * where

    def sum(self, axis: int | None = None, where: SecretArray | None = None) -> SecretArray:
        """Sum over one axis, or of all elements; with `where` of those for which it holds."""
        total = self._numbers(where)
        if axis is not None:
            return self.trace.record("sum", [total], axis=_axis(axis, self.ndim))
        while total.ndim:
            total = self.trace.record("sum", [total], axis=0)
        return total

    def mean(self, axis: int | None = None, where: SecretArray | None = None) -> SecretArray:
        """Mean over one axis, or of all elements; with `where` of those for which it holds, 0 if there are none."""
        if where is None:
            count = self.size if axis is None else self.shape[_axis(axis, self.ndim)]
            return self.sum(axis)._over_public(count)
        values = self if axis is not None or self.ndim == 1 else self.reshape(-1)
        chosen = where if axis is not None or where.ndim == 1 else where.reshape(-1)
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
        return self.trace.record("sqrt", [self], scale=scale)


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


def _axis(axis: int, ndim: int) -> int:
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
        return ["slice", item.start, item.stop, item.step]
    if isinstance(item, SecretArray):
        raise UserError("a secret cannot be an index; use a mask: quorate.where(mask, a, 0) or sum(where=mask)")
    if isinstance(item, list | np.ndarray):
        return ["list", [int(entry) for entry in item]]
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        return int(item)
    raise UserError(f"an index of type {type(item).__name__}; use integers, slices, None, ... or a list of integers")
