"""NumPy's functions for secret arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL

__all__ = [
    "concatenate",
    "dot",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "sqrt",
    "stack",
    "std",
    "sum",
    "var",
    "where",
]


def _first(*values: Any) -> SecretArray:
    for value in values:
        if isinstance(value, SecretArray):
            return value
    raise UserError("none of the operands is a secret array; use NumPy for public values")


def where(condition: SecretArray, x: Any, y: Any) -> SecretArray:
    """x where the condition holds, else y."""
    if not isinstance(condition, SecretArray):
        raise UserError("the condition of where is public; use numpy.where")
    if isinstance(x, SecretArray) or isinstance(y, SecretArray):
        known = _first(x, y)
        left, right = known._aligned(y if known is x else x)
        left, right = (left, right) if known is x else (right, left)
        if left.dtype == BOOL:
            return (condition & left) | (~condition & right)
    else:
        chosen = condition.astype(int)
        return chosen * (_constant(chosen, x) - y) + y
    return condition.trace.record("select", [condition, left, right])


def _constant(like: SecretArray, value: Any) -> Any:
    return like._other(value) if not isinstance(value, int | float) else value


def concatenate(arrays: Sequence[SecretArray], axis: int = 0) -> SecretArray:
    """Join arrays along an existing axis."""
    first = _first(*arrays)
    parts = [first._other(array) for array in arrays]
    if len({part.dtype for part in parts}) > 1:
        best = max((part.dtype for part in parts), key=lambda dtype: (dtype.kind == "fixed", dtype.scale))
        parts = [part.astype(best) for part in parts]
    if not 0 <= axis + first.ndim < 2 * first.ndim:
        raise UserError(f"axis {axis} is out of range for arrays of {first.ndim} dimensions")
    return first.trace.record("concat", parts, axis=axis % first.ndim)


def stack(arrays: Sequence[SecretArray], axis: int = 0) -> SecretArray:
    """Join arrays of equal shape along a new axis."""
    first = _first(*arrays)
    parts = [first._other(array) for array in arrays]
    ndim = first.ndim + 1
    if not -ndim <= axis < ndim:
        raise UserError(f"axis {axis} is out of range for arrays of {first.ndim} dimensions")
    place = axis % ndim
    return concatenate([part[(slice(None),) * place + (None,)] for part in parts], place)


def minimum(x: Any, y: Any) -> SecretArray:
    """The smaller of two values, elementwise."""
    return where(_first(x, y)._other(x) < y, x, y)


def maximum(x: Any, y: Any) -> SecretArray:
    """The larger of two values, elementwise."""
    return where(_first(x, y)._other(x) < y, y, x)


def sum(x: SecretArray, axis: int | None = None, where: SecretArray | None = None) -> SecretArray:
    """See `SecretArray.sum`."""
    return _first(x).sum(axis, where)


def mean(x: SecretArray, axis: int | None = None, where: SecretArray | None = None) -> SecretArray:
    """See `SecretArray.mean`."""
    return _first(x).mean(axis, where)


def var(x: SecretArray, axis: int | None = None, ddof: int = 0) -> SecretArray:
    """See `SecretArray.var`."""
    return _first(x).var(axis, ddof)


def std(x: SecretArray, axis: int | None = None, ddof: int = 0) -> SecretArray:
    """See `SecretArray.std`."""
    return _first(x).std(axis, ddof)


def sqrt(x: SecretArray) -> SecretArray:
    """Square root of values that are not negative."""
    return _first(x).sqrt()


def dot(x: Any, y: Any) -> SecretArray:
    """Inner product of vectors, product of matrices."""
    return _first(x, y)._other(x) @ y


def matmul(x: Any, y: Any) -> SecretArray:
    """Product of matrices."""
    return dot(x, y)
