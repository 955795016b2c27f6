"""From data of a program to columns that can be shared: types, scales and ranges, with what does not fit refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import DataError, UserError
from quorate.interactive.backend import Uploaded
from quorate.interactive.categories import coded, is_missing, suggestion
from quorate.sharing.dtype import INT, RAW_BITS, fixed, of_numpy

__all__ = ["BITS", "CoarseWarning", "categories_column", "column", "is_table", "named_columns"]

BITS = 24
"""Bits of the largest magnitude of floats where no scale is given."""

COARSE = 1000
"""A unit should not be larger than the standard deviation divided by this."""

NOISE = 1e-12
"""A standard deviation that small beside the values is an error of floats."""

_KEPT = 3
"""Leading bits of a range that is taken from the data; the others are rounded outwards."""

Limits = tuple[float, float]


def is_table(data: Any) -> bool:
    """Whether data has named columns: a data frame, an Arrow table or a dictionary."""
    return isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "column_names")


def named_columns(data: Any) -> list[tuple[str, Any]]:
    """Names and values of the columns of a table, as `is_table` tells them: Arrow, Polars, pandas, dictionaries."""
    if isinstance(data, Mapping):
        return [(str(label), values) for label, values in data.items()]
    if hasattr(data, "column_names"):
        return list(zip(data.column_names, data.columns, strict=True))
    if hasattr(data, "iloc"):  # where labels are numbers, or several are the same
        return [(str(label), data.iloc[:, place]) for place, label in enumerate(data.columns)]
    return [(str(label), data[label]) for label in data.columns]


def categories_column(values: Any, what: str, categories: Sequence[Any]) -> Uploaded:
    """Texts of categories as codes; the range is that of the list. Raises as `coded`."""
    codes, texts = coded(values, what, categories)
    return Uploaded(codes, INT, (0, len(texts) - 1), texts)


def column(values: Any, what: str, limits: Limits | None, scale: int | None) -> Uploaded:
    """Numbers or bools of one dimension, with a range that holds them all.

    Args:
        values: numbers or bools, shape (rows,).
        what: names them in messages.
        limits: smallest and largest value allowed; by default those of the data, rounded outwards to 3 bits.
        scale: fraction bits of floats; by default as many as give the largest magnitude 24 bits.

    Raises:
        DataError: not numbers, not finite, missing, or outside the limits; names the first bad row, from 0.
        UserError: limits or scale that cannot be.
    """
    array = _numbers(values, what)
    low, high = _limits(array, what, limits)
    dtype = of_numpy(array.dtype) if array.dtype.kind in "biu" else fixed(_scale(low, high) if scale is None else scale)
    if dtype.kind == "fixed":
        _warn_of_coarse(array, what, 2.0**-dtype.scale)
    raw = dtype.encode(array)
    least, most = dtype.limits
    bounds = max(least, math.floor(math.ldexp(low, dtype.scale))), min(most, math.ceil(math.ldexp(high, dtype.scale)))
    return Uploaded(raw, dtype, bounds)


class CoarseWarning(UserWarning):
    """Values are rounded to multiples that are not small beside how much they vary."""


def _warn_of_coarse(array: npt.NDArray[Any], what: str, unit: float) -> None:
    """Said to the owner of the data alone, who sees it anyway."""
    spread = float(array.std()) if array.size else 0.0
    largest = float(np.abs(array).max(initial=0.0))
    if NOISE * largest < spread < COARSE * unit:
        warnings.warn(
            f"{what} is rounded to multiples of {unit:g}, but its values vary by {spread:.3g} only (standard "
            "deviation); give a narrower range, subtract what all values share, or give a larger scale",
            CoarseWarning,
            stacklevel=4,
        )


def _numbers(values: Any, what: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise _ragged(what) from None
    if array.ndim != 1:
        raise DataError(f"{what} has the shape {array.shape}; a column has one value per row")
    if array.dtype.kind == "O":
        array = _from_objects(array, what)
    if array.dtype.kind in "Mm":
        raise DataError(
            f"{what} holds times ({array.dtype}); share numbers, such as days since a day that all agree on, or give a "
            "schema with a column of type timestamp"
        )
    if array.dtype.kind in "US":
        raise DataError(f"{what} holds texts; {suggestion(array, what)}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {array.dtype}, not numbers of at most 64 bits; convert it first")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array)))
        raise DataError(
            f"{what}, row {row}: the value is {array[row]}; leave such rows out, fill them in, or give a schema with a "
            "rule for missing values"
        )
    return array


def _from_objects(array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    for row, value in enumerate(array):
        if is_missing(value):
            raise DataError(
                f"{what}, row {row}: a value is missing; leave such rows out, fill them in, or give a schema with a "
                "rule for missing values"
            )
        if isinstance(value, str):
            raise DataError(f"{what}, row {row}: {value[:40]!r} is a text, not a number; {suggestion(array, what)}")
        if not isinstance(value, bool | int | float | np.bool_ | np.number | Sequence | np.ndarray):
            raise DataError(f"{what}, row {row}: a {type(value).__name__} is no number; convert the column first")
    try:
        return np.array(array.tolist())
    except ValueError:
        raise _ragged(what) from None


def _ragged(what: str) -> DataError:
    return DataError(f"{what} is ragged: its rows differ in length; give one value per row")


def _limits(array: npt.NDArray[Any], what: str, given: Limits | None) -> Limits:
    least, most = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if given is None:
        return (0.0, 1.0) if array.dtype.kind == "b" else (_outwards(least, math.floor), _outwards(most, math.ceil))
    low, high = _ordered(given, what)
    bad = (array < low) | (array > high)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"{what}, row {row}: {array[row]} is outside the range [{low:g}, {high:g}]")
    return low, high


def _ordered(given: Sequence[float], what: str) -> Limits:
    if len(given) != 2 or not all(math.isfinite(end) for end in given) or given[0] > given[1]:
        raise UserError(f"range of {what}: give (lowest, highest), two numbers in this order")
    return float(given[0]), float(given[1])


def _outwards(value: float, rounding: Any) -> float:
    """A limit rounded away from the data to its leading bits, so that it tells little of the value."""
    if not value:
        return 0.0
    unit = 2.0 ** (math.frexp(value)[1] - _KEPT)
    return float(rounding(value / unit)) * unit


def _scale(low: float, high: float) -> int:
    reach = max(abs(low), abs(high))
    exponent = math.frexp(reach)[1] if reach else 0
    return max(-32, min(48, BITS - exponent, RAW_BITS - 1 - exponent))
