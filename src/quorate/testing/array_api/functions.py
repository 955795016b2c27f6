"""The standard's functions, each a computation among simulated parties."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, NoReturn, cast

import numpy as np

import quorate as q
from quorate.errors import UserError
from quorate.sharing.dtype import DType
from quorate.testing.array_api.arrays import Array, apply, raw_array
from quorate.testing.array_api.types import result_type

__all__ = [
    "abs", "add", "all", "any", "argmax", "argmin", "argsort", "astype", "atan", "atan2", "bitwise_and",
    "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "broadcast_arrays",
    "broadcast_to", "ceil", "clip", "concat", "copysign", "cos", "cosh", "cumulative_sum", "divide", "equal", "exp",
    "expand_dims", "expm1", "flip", "floor", "floor_divide", "greater", "greater_equal", "hypot", "isfinite", "isinf",
    "isnan", "less", "less_equal", "log", "log1p", "log2", "log10", "logaddexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "matmul", "matrix_transpose", "max", "maximum", "mean", "min", "minimum", "moveaxis",
    "multiply", "negative", "nonzero", "not_equal", "permute_dims", "positive", "pow", "prod", "remainder", "repeat",
    "reshape", "roll", "round", "searchsorted", "sign", "signbit", "sin", "sinh", "sort", "sqrt", "square", "squeeze",
    "stack", "std", "subtract", "sum", "take", "tan", "tanh", "tensordot", "tile", "tril", "triu", "trunc",
    "unique_all", "unique_counts", "unique_inverse", "unique_values", "unstack", "var", "vecdot", "where",
]  # fmt: skip

Axis = int | tuple[int, ...] | None


def _one(function: Callable[..., Any], *operands: Any) -> Array:
    return cast(Array, apply(function, *operands))


def _unary(name: str) -> Callable[[Array], Array]:
    def function(x: Array, /) -> Array:
        return _one(getattr(q, name), x)

    function.__name__, function.__doc__ = name, getattr(q, name).__doc__
    return function


def _binary(name: str) -> Callable[[Array, Array], Array]:
    def function(x1: Array, x2: Array, /) -> Array:
        return _one(getattr(q, name), x1, x2)

    function.__name__, function.__doc__ = name, getattr(q, name).__doc__
    return function


abs, ceil, floor, round, trunc = (_unary(name) for name in ("abs", "ceil", "floor", "round", "trunc"))
negative, positive, sign, signbit = (_unary(name) for name in ("negative", "positive", "sign", "signbit"))
atan, cos, cosh, sin, sinh, tan, tanh = (_unary(n) for n in ("atan", "cos", "cosh", "sin", "sinh", "tan", "tanh"))
exp, expm1, log, log1p, log2, log10 = (_unary(name) for name in ("exp", "expm1", "log", "log1p", "log2", "log10"))
sqrt, square = _unary("sqrt"), _unary("square")
isfinite, isinf, isnan = (_unary(name) for name in ("isfinite", "isinf", "isnan"))
logical_not, bitwise_invert = _unary("logical_not"), _unary("bitwise_invert")
add, subtract, multiply, divide = (_binary(name) for name in ("add", "subtract", "multiply", "divide"))
floor_divide, remainder, pow = (_binary(name) for name in ("floor_divide", "remainder", "pow"))
atan2, copysign, hypot, logaddexp = (_binary(name) for name in ("atan2", "copysign", "hypot", "logaddexp"))
bitwise_and, bitwise_or, bitwise_xor = (_binary(name) for name in ("bitwise_and", "bitwise_or", "bitwise_xor"))
bitwise_left_shift, bitwise_right_shift = _binary("bitwise_left_shift"), _binary("bitwise_right_shift")
equal, not_equal, less, less_equal = (_binary(name) for name in ("equal", "not_equal", "less", "less_equal"))
greater, greater_equal = _binary("greater"), _binary("greater_equal")
logical_and, logical_or, logical_xor = (_binary(name) for name in ("logical_and", "logical_or", "logical_xor"))
maximum, minimum = _binary("maximum"), _binary("minimum")


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """Values below `min` become `min`, those above `max` become `max`; the type stays."""
    return _one(lambda x, low, high: q.clip(x, low, high).astype(x.dtype), x, min, max)


def where(condition: Array, x1: Any, x2: Any, /) -> Array:
    """x1 where the condition holds, else x2."""
    return _one(q.where, condition, x1, x2)


# -- data types --------------------------------------------------------------------------------------------------------


def astype(x: Array, dtype: DType, /, *, copy: bool = True, device: Any = None) -> Array:
    """Another data type."""
    if device not in (None, "cpu"):
        raise ValueError(f"there is no device {device!r}, only 'cpu'")
    return x if x.dtype == dtype and not copy else _one(lambda x: x.astype(dtype), x)


def broadcast_arrays(*arrays: Array) -> list[Array]:
    """All arrays in the shape to which they broadcast."""
    return cast("list[Array]", apply(q.broadcast_arrays, *arrays))


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """Repeated along axes of size one, or new axes in front, to this shape."""
    return _one(lambda x: x.broadcast_to(shape), x)


# -- places ------------------------------------------------------------------------------------------------------------


def concat(arrays: Any, /, *, axis: int | None = 0) -> Array:
    """Join arrays along an existing axis."""
    result_type(*arrays)
    return _one(lambda *parts: q.concat(parts, axis), *arrays)


def stack(arrays: Any, /, *, axis: int = 0) -> Array:
    """Join arrays along a new axis."""
    result_type(*arrays)
    return _one(lambda *parts: q.stack(parts, axis), *arrays)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays that make up an axis."""
    if not x.shape[axis]:
        return ()
    return tuple(apply(lambda x: q.unstack(x, axis=axis), x))


def expand_dims(x: Array, /, *, axis: int = 0) -> Array:
    """A new axis of size one."""
    if not -x.ndim - 1 <= axis <= x.ndim:
        raise IndexError(f"axis {axis} of {x.ndim + 1} dimensions")
    return _one(lambda x: x.expand_dims(axis), x)


def squeeze(x: Array, /, axis: Any) -> Array:
    """Without these axes of size one."""
    if builtins.any(x.shape[k] != 1 for k in (axis if isinstance(axis, tuple) else (axis,))):
        raise ValueError(f"axis {axis} of the shape {x.shape} cannot be squeezed; its size is not 1")
    return _one(lambda x: x.squeeze(axis), x)


def flip(x: Array, /, *, axis: Axis = None) -> Array:
    """The order of elements reversed."""
    return _one(lambda x: x.flip(axis), x)


def moveaxis(x: Array, source: Any, destination: Any, /) -> Array:
    """Axes moved to other places."""
    return _one(lambda x: x.moveaxis(source, destination), x)


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Array:
    """Axes in another order."""
    return _one(lambda x: x.transpose(axes) if axes else x, x)


def matrix_transpose(x: Array, /) -> Array:
    """The last two axes swapped."""
    return x.mT


def repeat(x: Array, repeats: Any, /, *, axis: int | None = None) -> Array:
    """Each element several times; the number is public and one for all."""
    return _one(lambda x: x.repeat(int(repeats), axis), x)


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """Another shape for the same elements."""
    return _one(lambda x: x.reshape(shape), x)


def roll(x: Array, /, shift: Any, *, axis: Any = None) -> Array:
    """Elements moved on by a public number of places."""
    return _one(lambda x: q.roll(x, shift, axis), x)


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """The whole array repeated along axes."""
    return _one(lambda x: q.tile(x, repetitions), x)


def tril(x: Array, /, *, k: int = 0) -> Array:
    """Zero above a diagonal."""
    return _one(lambda x: q.tril(x, k), x)


def triu(x: Array, /, *, k: int = 0) -> Array:
    """Zero below a diagonal."""
    return _one(lambda x: q.triu(x, k), x)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """Elements at secret places along an axis."""
    if axis is None and x.ndim != 1:
        raise ValueError("take from several dimensions needs an axis")
    size = x.shape[0 if axis is None else axis]
    if not np.all((indices._raw >= -size) & (indices._raw < size)):
        raise IndexError(f"an index beyond the {size} places")
    places = raw_array(indices._raw % size if size else indices._raw, indices.dtype)
    return _one(lambda x, i: x.take(i, 0 if axis is None else axis), x, places)


# -- products of matrices ----------------------------------------------------------------------------------------------

matmul = _binary("matmul")


def tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> Array:
    """Sums of products over axes of both."""
    return _one(lambda x, y: q.tensordot(x, y, axes), x1, x2)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Inner products along an axis."""
    return _one(lambda x, y: q.vecdot(x, y, axis), x1, x2)


# -- reductions --------------------------------------------------------------------------------------------------------


def _kept(dtype: DType | None, x: Array) -> DType | None:
    """Sums of numbers with fractions keep their type."""
    return x.dtype if dtype is None and x.dtype.kind == "fixed" else dtype


def sum(x: Array, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
    """The sum over axes."""
    return _one(lambda x_: q.sum(x_, axis, _kept(dtype, x), keepdims=keepdims), x)


def prod(x: Array, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
    """The product over axes."""
    return _one(lambda x_: q.prod(x_, axis, _kept(dtype, x), keepdims=keepdims), x)


def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Array:
    """Running sums along an axis."""
    return _one(lambda x: q.cumulative_sum(x, axis=axis, dtype=dtype, include_initial=include_initial), x)


def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The mean over axes."""
    return _one(lambda x: x.mean(axis, keepdims=keepdims), x)


def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The variance over axes."""
    return _one(lambda x: x.var(axis, ddof=_whole(correction), keepdims=keepdims), x)


def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The standard deviation over axes."""
    return _one(lambda x: x.std(axis, ddof=_whole(correction), keepdims=keepdims), x)


def _whole(correction: float) -> int:
    if correction != int(correction):
        raise UserError(f"a correction of {correction}; use a whole number of degrees of freedom")
    return int(correction)


def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest value over axes."""
    return _one(lambda x: x.max(axis, keepdims=keepdims), x)


def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest value over axes."""
    return _one(lambda x: x.min(axis, keepdims=keepdims), x)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first largest value."""
    return _one(lambda x: x.argmax(axis, keepdims=keepdims), x)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first smallest value."""
    return _one(lambda x: x.argmin(axis, keepdims=keepdims), x)


def all(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every value is true (not zero)."""
    return _one(lambda x: x.all(axis, keepdims=keepdims), x)


def any(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether some value is true (not zero)."""
    return _one(lambda x: x.any(axis, keepdims=keepdims), x)


# -- order -------------------------------------------------------------------------------------------------------------


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """In order along an axis."""
    return _one(lambda x: q.sort(x, axis, descending=descending), x)


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """Positions that put the values in order along an axis; always stable."""
    return _one(lambda x: q.argsort(x, axis, descending=descending), x)


def searchsorted(x1: Array, x2: Array, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    """Where each value of x2 would have to go so that the sorted x1 stays sorted."""
    row = x1 if sorter is None else take(x1, sorter, axis=0)
    return _one(lambda x, y: q.searchsorted(x, y, side), row, x2)


# -- what a secret cannot do -------------------------------------------------------------------------------------------


def _refused(name: str, instead: str) -> Callable[[Array], NoReturn]:
    def function(x: Array, /) -> NoReturn:
        raise UserError(f"{name}: the shape of the result would show a secret; {instead}")

    function.__name__, function.__doc__ = name, "Refused: the shape of its result would show a secret."
    return function


nonzero = _refused("nonzero", "use where, or a reduction with a mask")
unique_all = _refused("unique_all", "use quorate.unique, which keeps the length")
unique_counts = _refused("unique_counts", "use quorate.unique, which keeps the length")
unique_inverse = _refused("unique_inverse", "use quorate.unique, which keeps the length")
unique_values = _refused("unique_values", "use quorate.unique, which keeps the length")
