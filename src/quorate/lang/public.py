"""Public operands: numbers and NumPy arrays that meet a secret array."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError
from quorate.lang.recorded import Recorded
from quorate.sharing.dtype import DEFAULT_SCALE, INT, DType, fixed, of_numpy

__all__ = ["as_public", "constant_type", "factor", "ratio", "time_hint"]

FACTOR_BITS = 24
"""Significant bits of public factors that are not whole: relative error below 2**-24 for the largest of an array."""

LARGEST_SCALE = 48
LARGEST_DENOMINATOR = 10**6

Public = npt.NDArray[Any]


def as_public(values: Any) -> Public:
    """Public operands as an array of bools or numbers. Raises `UserError` for anything else."""
    if isinstance(values, list | tuple) and any(isinstance(value, Recorded) for value in values):
        raise UserError("a list with secrets in it is no array; join them with quorate.stack or quorate.concatenate")
    try:
        array = np.asarray(values)
    except ValueError:
        raise UserError("nested lists of different lengths are no array; use rows of equal length") from None
    if array.dtype.kind not in "biuf":
        told = time_hint(values) or "use numbers, bools or arrays of them"
        raise UserError(f"cannot compute with a {type(values).__name__}; {told}")
    return array


def time_hint(value: Any) -> str:
    """What to write in place of a time, or of a text that is one; empty for anything else."""
    try:
        moment = _moment(value)
        seconds = math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return ""
    return (
        f"columns of times hold whole seconds since 1970-01-01 UTC: compare them with {seconds}, which is "
        "int(ts.timestamp()) of a time with its zone"
    )


def _moment(value: Any) -> datetime:
    """A time of Python, NumPy or pandas, or an ISO 8601 text. Raises `ValueError` for others."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[s]")
    return datetime.fromisoformat(str(value))


def constant_type(values: Any, like: DType) -> DType:
    """The type of a public operand beside an operand of type `like`.

    As in NumPy, a Python integer takes the type of the integers beside it, an array keeps its own. Numbers with a
    fraction take the scale of the operand beside them.
    """
    if type(values) is int and like.kind == "int":
        return like
    return of_numpy(as_public(values).dtype, like.scale if like.kind == "fixed" else DEFAULT_SCALE)


def factor(values: Public, like: DType) -> tuple[Public, DType]:
    """Public fractions as factors: integers where they are whole, else with `FACTOR_BITS` significant bits."""
    whole = np.rint(np.where(np.isfinite(values), values, 0.0))
    largest = float(np.abs(whole).max(initial=0.0))
    if like.kind == "fixed" and np.array_equal(whole, values) and largest < 2.0**53:
        return whole.astype(np.int64), INT
    exponent = math.frexp(max(float(np.abs(np.nan_to_num(values)).max(initial=0.0)), 2.0**-40))[1]
    lowest = 1 if like.kind == "fixed" else DEFAULT_SCALE
    scale = min(max(lowest, FACTOR_BITS - exponent), LARGEST_SCALE)
    while scale > lowest and np.array_equal(np.rint(np.ldexp(values, scale - 1)), np.ldexp(values, scale - 1)):
        scale -= 1
    return values, fixed(scale)


def ratio(values: Public) -> Fraction:
    """A public divisor as a ratio of moderate integers. Raises `UserError` where there is none."""
    found = Fraction(values.item()).limit_denominator(LARGEST_DENOMINATOR)
    if not 0 < abs(found.numerator) < 1 << 40:
        raise UserError(f"division by {values.item()!r}; multiply by its reciprocal, or change the scale of the data")
    return found
