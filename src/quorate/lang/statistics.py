"""NumPy's reductions and order statistics as functions; see the methods of `SecretArray`."""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.numpy_names import first, like_numpy, secrets_only
from quorate.lang.public import as_public
from quorate.lang.recorded import axis_of
from quorate.lang.reductions import Axis

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "average", "count_nonzero", "cumsum", "cumulative_sum",
    "lexsort", "max", "mean", "median", "min", "percentile", "prod", "ptp", "quantile", "sort", "std", "sum", "topk",
    "var",
]  # fmt: skip

Array = SecretArray


def _array(*values: Any) -> Array:
    """The first value as an array of the computation that one of them belongs to."""
    like: Array = first(*values)
    return like._other(values[0])


@like_numpy()
def sum(x: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, where: Any = None) -> Array:
    """The sum over axes; of integers and bools as int64."""
    return _array(x, where).sum(axis, dtype=dtype, keepdims=keepdims, where=where)


@like_numpy()
def prod(x: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, where: Any = None) -> Array:
    """The product over axes; of integers and bools as int64."""
    return _array(x, where).prod(axis, dtype=dtype, keepdims=keepdims, where=where)


@like_numpy()
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Array:
    """Running sums along an axis, or over the flattened array."""
    return _array(x).cumsum(axis, dtype=dtype)


@like_numpy()
def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """Running sums along an axis (which only vectors may leave out), after a zero if that is wanted."""
    array = _array(x)
    if axis is None and array.ndim > 1:
        raise UserError("cumulative_sum of several dimensions needs an axis")
    sums = array.cumsum(0 if axis is None else axis, dtype=dtype)
    if not include_initial:
        return sums
    place = axis_of(0 if axis is None else axis, sums.ndim)
    zero = sums.constant(0, sums.dtype).broadcast_to((*sums.shape[:place], 1, *sums.shape[place + 1 :]))
    return zero.record("concat", sums, axis=place)


@like_numpy()
def any(x: Any, axis: Axis = None, *, keepdims: bool = False, where: Any = None) -> Array:
    """Whether some value is true (not zero)."""
    return _array(x, where).any(axis, keepdims=keepdims, where=where)


@like_numpy()
def all(x: Any, axis: Axis = None, *, keepdims: bool = False, where: Any = None) -> Array:
    """Whether every value is true (not zero)."""
    return _array(x, where).all(axis, keepdims=keepdims, where=where)


@like_numpy("min", "amin")
def min(x: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = None) -> Array:
    """The smallest value; see `SecretArray.min`."""
    return _array(x, where).min(axis, keepdims=keepdims, initial=initial, where=where)


@like_numpy("max", "amax")
def max(x: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = None) -> Array:
    """The largest value; see `SecretArray.max`."""
    return _array(x, where).max(axis, keepdims=keepdims, initial=initial, where=where)


amin, amax = min, max


@like_numpy()
def ptp(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The largest value minus the smallest."""
    array = _array(x)
    return array.max(axis, keepdims=keepdims) - array.min(axis, keepdims=keepdims)


@like_numpy()
def argmin(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The position of the first smallest value."""
    return _array(x).argmin(axis, keepdims=keepdims)


@like_numpy()
def argmax(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The position of the first largest value."""
    return _array(x).argmax(axis, keepdims=keepdims)


@like_numpy()
def count_nonzero(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """How many values are true (not zero)."""
    return _array(x).astype(bool).sum(axis, keepdims=keepdims)


@like_numpy()
def mean(x: Any, axis: Axis = None, *, keepdims: bool = False, where: Any = None) -> Array:
    """The mean over axes; see `SecretArray.mean`.

    Error, in units of the last place: at most `division_error` (truncation error + 1); with `where` at most
    `worst_error` of `circuits.divide`, twice that where nothing is chosen. `lang.precision` adds what the error of the
    operand grows to.
    """
    return _array(x, where).mean(axis, keepdims=keepdims, where=where)


@like_numpy()
def average(x: Any, axis: int | None = None, weights: Any = None, *, keepdims: bool = False) -> Array:
    """The mean, weighted by public or secret weights of the same shape that are not all zero."""
    if weights is None:
        return _array(x).mean(axis, keepdims=keepdims)
    values = _array(x, weights)
    if isinstance(weights, SecretArray):
        return (values * weights).sum(axis, keepdims=keepdims) / weights.sum(axis, keepdims=keepdims)
    public = as_public(weights)
    shares = public / public.sum(axis, keepdims=True)
    weighted: Array = values * shares
    return weighted.sum(axis, keepdims=keepdims)


@like_numpy()
def var(
    x: Any,
    axis: Axis = None,
    *,
    ddof: int = 0,
    correction: int | None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Array:
    """The variance over axes; see `SecretArray.var`.

    Error: with e the error of x minus its mean, plus, if squares would not fit, of dropping its last bits, at most
    n / (n - ddof) * (2 * max|x - mean| * e + e**2) plus two `division_error` in units of the last place.
    """
    return _array(x, where).var(axis, ddof=ddof if correction is None else correction, keepdims=keepdims, where=where)


@like_numpy()
def std(
    x: Any,
    axis: Axis = None,
    *,
    ddof: int = 0,
    correction: int | None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Array:
    """The standard deviation over axes; see `SecretArray.std`.

    Error: for ddof=0 at most e, as in `var`, plus the root of two `division_error` units, plus that of `sqrt`.
    """
    return _array(x, where).std(axis, ddof=ddof if correction is None else correction, keepdims=keepdims, where=where)


# -- order -------------------------------------------------------------------------------------------------------------


@like_numpy()
def sort(
    x: Any, axis: int | None = -1, kind: Any = None, *, descending: bool = False, stable: bool | None = None
) -> Array:
    """In order along an axis, or flattened; always stable."""
    return _array(x).sorted(axis, descending=descending)


@like_numpy()
def argsort(
    x: Any, axis: int | None = -1, kind: Any = None, *, descending: bool = False, stable: bool | None = None
) -> Array:
    """Positions that put the values in order along an axis, or of the flattened array; always stable."""
    return _array(x).argsort(axis, descending=descending)


@like_numpy()
def lexsort(keys: Any) -> Array:
    """Positions that put rows in order by several keys of one dimension; the last key counts most, as in NumPy."""
    like: Array = first(*keys)
    columns = [like._other(key) for key in keys][::-1]
    sorted_ = columns[0].unpacked(
        "sort", *columns[1:], keys=len(columns), descending=[False] * len(columns), order=True
    )
    return sorted_[-1]


@secrets_only
def topk(x: Any, k: int, axis: int = -1, *, largest: bool = True) -> tuple[Array, Array]:
    """The k largest (or smallest) values along an axis, largest (smallest) first, and their positions."""
    return _array(x).largest(k, axis, largest=largest)


@like_numpy()
def median(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The middle value, or the mean of the two in the middle."""
    return _array(x).quantile(0.5, axis, keepdims=keepdims)


@like_numpy()
def quantile(x: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> Array:
    """The value below which the share q (0 to 1, public) of all values lies; see `SecretArray.quantile`."""
    return _array(x).quantile(q, axis, method=method, keepdims=keepdims)


@like_numpy()
def percentile(x: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> Array:
    """The value below which q percent of all values lie."""
    return _array(x).quantile(np.asarray(q) / 100, axis, method=method, keepdims=keepdims)
