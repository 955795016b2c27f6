"""NumPy's functions for secret arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from quorate.errors import UserError
from quorate.lang.array import SecretArray, _axis
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
        raise UserError("the condition of where is public; choose with numpy.where or by indexing")
    if isinstance(x, SecretArray):
        left, right = _pair(x, y)
    elif isinstance(y, SecretArray):
        right, left = _pair(y, x)
    else:
        left, right = _pair(condition._other(x), y)
    if left.dtype == BOOL:
        return (condition & left) | (~condition & right)
    return condition.trace.record("select", [condition, left, right])


def _pair(x: SecretArray, y: Any) -> tuple[SecretArray, SecretArray]:
    """Both of one data type, bool if both are."""
    right = x._other(y)
    return (x, right) if x.dtype == right.dtype == BOOL else x._aligned(y)


def concatenate(arrays: Sequence[SecretArray], axis: int = 0) -> SecretArray:
    """Join arrays along an existing axis."""
    first = _first(*arrays)
    parts = [first._other(array) for array in arrays]
    if len({part.dtype for part in parts}) > 1:
        best = max((part.dtype for part in parts), key=lambda dtype: (dtype.kind == "fixed", dtype.scale))
        parts = [part.astype(best) for part in parts]
    return first.trace.record("concat", parts, axis=_axis(axis, first.ndim))


def stack(arrays: Sequence[SecretArray], axis: int = 0) -> SecretArray:
    """Join arrays of equal shape along a new axis."""
    first = _first(*arrays)
    parts = [first._other(array) for array in arrays]
    if len({part.shape for part in parts}) > 1:
        raise UserError(f"stack takes arrays of one shape, not {' and '.join(str(part.shape) for part in parts)}")
    place = _axis(axis, first.ndim + 1)
    return concatenate([part[(slice(None),) * place + (None,)] for part in parts], place)


def minimum(x: Any, y: Any) -> SecretArray:
    """The smaller of two values, elementwise."""
    return where(_first(x, y)._other(x) < y, x, y)


def maximum(x: Any, y: Any) -> SecretArray:
    """The larger of two values, elementwise."""
    return where(_first(x, y)._other(x) < y, y, x)


def sum(x: SecretArray, axis: int | None = None, where: Any = None) -> SecretArray:
    """See `SecretArray.sum`."""
    return _first(x).sum(axis, where)


def mean(x: SecretArray, axis: int | None = None, where: Any = None) -> SecretArray:
    """See `SecretArray.mean`.

    Error, in units of the last place: at most `division_error` (truncation error + 1); with `where` at most
    `worst_error` of `circuits.divide`, twice that where nothing is chosen. `lang.precision` adds what the error of the
    operand grows to.
    """
    return _first(x).mean(axis, where)


def var(x: SecretArray, axis: int | None = None, ddof: int = 0) -> SecretArray:
    """See `SecretArray.var`.

    Error: with e the error of x minus its mean, plus, if squares would not fit, of dropping its last bits, at most
    n / (n - ddof) * (2 * max|x - mean| * e + e**2) plus two `division_error` in units of the last place.
    """
    return _first(x).var(axis, ddof)


def std(x: SecretArray, axis: int | None = None, ddof: int = 0) -> SecretArray:
    """See `SecretArray.std`.

    Error: for ddof=0 at most e, as in `var`, plus the root of two `division_error` units, plus that of `sqrt`.
    """
    return _first(x).std(axis, ddof)


def sqrt(x: SecretArray) -> SecretArray:
    """Square root of values that are not negative.

    Error of the root itself: `truncation_error` times (2**-23 relative, plus one unit of the last place).
    """
    return _first(x).sqrt()


def dot(x: Any, y: Any) -> SecretArray:
    """Inner product of vectors, product of matrices."""
    return cast(SecretArray, _first(x, y)._other(x) @ y)


def matmul(x: Any, y: Any) -> SecretArray:
    """Product of matrices."""
    return dot(x, y)
