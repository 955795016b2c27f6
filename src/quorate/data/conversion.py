"""Agreed conversions of numbers from one unit to another."""

from __future__ import annotations

import re
from fractions import Fraction

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.errors import UserError

__all__ = ["TICKS", "Conversion", "nearly_whole"]

TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units in which an owner may have times as numbers: how many of them make a second."""

_FRACTION = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20}|/[0-9]{1,20})?")
_EXACT = 2.0**53
_NOISE = 2.0**-40


class Conversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """From another unit to the agreed one: value * `factor` + `offset`.

    Both are numbers, or texts with a fraction such as "5/9", which is taken exactly.
    """

    factor: float | str = 1.0
    offset: float | str = 0.0

    @property
    def line(self) -> tuple[Fraction, Fraction]:
        """Factor and offset, exactly. Raises `UserError` for what is no finite number, or a factor of 0."""
        factor, offset = _number(self.factor), _number(self.offset)
        if not factor:
            raise UserError("a factor of 0 makes all values equal; write what one unit is worth in the agreed one")
        return factor, offset

    def apply(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The values in the agreed unit, to double precision."""
        factor, offset = self.line
        return values * float(factor.numerator) / float(factor.denominator) + float(offset)


def nearly_whole(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values are whole numbers but for what a conversion in double precision adds."""
    small = np.abs(values) <= _EXACT
    checked = np.where(small, values, 0.0)
    return np.asarray(small & (np.abs(checked - np.rint(checked)) <= np.maximum(np.abs(checked), 1.0) * _NOISE))


def _number(value: float | str) -> Fraction:
    try:
        if isinstance(value, str) and not _FRACTION.fullmatch(value):  # specs come from others: no endless powers of 10
            raise ValueError(value)
        return Fraction(value)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise UserError(f"{value!r} is no number; write it as 0.45359237, or as a fraction in quotes: '5/9'") from error
