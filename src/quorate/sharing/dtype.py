"""Data types of secret values and their exact encoding as 64-bit integers.

Every secret value is a signed integer `raw`; a data type says what it means. `fixed(s)` stands for raw / 2**s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError

__all__ = ["BOOL", "DEFAULT_SCALE", "INT", "DType", "fixed", "int8", "int16", "int32", "int64", "of_numpy", "promote"]

Kind = Literal["int", "fixed", "bool"]

DEFAULT_SCALE = 16
"""Fraction bits where nothing says how many."""

RAW_BITS = 62
"""Bits that a raw value may need at most, its sign apart."""


@dataclass(frozen=True, slots=True)
class DType:
    """Type of a secret array: `int` of `width` bits, `fixed` with `scale` binary fraction digits, or `bool`.

    `width` is 8, 16, 32 or 64. It is a promise, not a representation: values of a narrow type are proven to lie within
    its `limits` before anything runs, so they never wrap around. Values of int64 lie in (-2**62, 2**62).
    """

    kind: Kind
    scale: int = 0
    width: int = 64

    def __str__(self) -> str:
        if self.kind == "fixed":
            return f"fixed({self.scale})"
        return self.kind if self.width == 64 else f"{self.kind}{self.width}"

    @classmethod
    def parse(cls, text: str) -> DType:
        """The inverse of `str`; raises `UserError` for anything else."""
        if text in _NAMED:
            return _NAMED[text]
        if text.startswith("fixed(") and text.endswith(")") and text[6:-1].lstrip("-").isdigit():
            return fixed(int(text[6:-1]))
        raise UserError(
            f"{text!r} is not a data type; use int, int8, int16, int32, bool or fixed(SCALE), for example fixed(16)"
        )

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest raw value, inclusive."""
        if self.kind == "bool":
            return 0, 1
        if self.width == 64:
            return 1 - (1 << RAW_BITS), (1 << RAW_BITS) - 1
        return -1 << self.width - 1, (1 << self.width - 1) - 1

    def check_range(self, low: int, high: int) -> None:
        """Raises `UserError` if values between `low` and `high` may not fit an integer type of less than 64 bits."""
        least, most = self.limits
        if self.width == 64 or (least <= low and high <= most):
            return
        wider = min(width for width in WIDTHS if width == 64 or -1 << width - 1 <= low <= high < 1 << width - 1)
        raise UserError(
            f"values may be {high if high > most else low}, but {self} holds {least} to {most}; convert with "
            f"astype(quorate.int{wider}) before, or declare a narrower range for the columns"
        )

    def encode(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Nearest raw integers of `values` (any shape), int64; ties to even.

        Raises:
            UserError: a value is not finite, is not an integer (for `int`), is not 0/1 (for `bool`), or needs more
                bits than the type has.
        """
        array = np.asarray(values)
        if self.kind == "bool":
            return _encode_bool(array)
        exact = array.dtype.kind in "iu" and self.scale == 0
        raw = _checked_integers(array) if exact else _encode_real(array.astype(np.float64), self)
        if self.width < 64 and raw.size:
            self.check_range(int(raw.min()), int(raw.max()))
        return raw

    def decode(self, raw: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
        """The values that `raw` stands for: int8 to int64, float64 or bool, same shape."""
        if self.kind == "bool":
            return raw.astype(np.bool_)
        if self.kind == "int":
            return raw if self.width == 64 else raw.astype(f"int{self.width}")
        return np.ldexp(raw.astype(np.float64), -self.scale)


WIDTHS = (8, 16, 32, 64)

int8, int16, int32, int64 = (DType("int", width=width) for width in WIDTHS)
INT = int64
BOOL = DType("bool")
_NAMED = {str(dtype): dtype for dtype in (int8, int16, int32, int64, BOOL)}
_FROM_NUMPY = {"b1": BOOL, "i1": int8, "i2": int16, "i4": int32, "i8": INT, "u1": int16, "u2": int32, "u4": INT}


def fixed(scale: int = DEFAULT_SCALE) -> DType:
    """Fixed-point type: values are multiples of 2**-scale. `scale` lies in -32 ... 48."""
    if not -32 <= scale <= 48:
        raise UserError(f"fixed({scale}): the scale must lie between -32 and 48 binary digits")
    return DType("fixed", scale)


def promote(*dtypes: DType) -> DType:
    """The type in which values of all these types meet, as in NumPy.

    Bools alone stay bool; bool and int give that int; ints give the widest; anything with fixed gives fixed with the
    largest scale (that of integers is 0).
    """
    numbers = [dtype for dtype in dtypes if dtype.kind != "bool"]
    if not numbers:
        return BOOL
    if all(dtype.kind == "int" for dtype in numbers):
        return DType("int", width=max(dtype.width for dtype in numbers))
    return fixed(max(dtype.scale for dtype in numbers))


def of_numpy(dtype: np.dtype[np.generic], scale: int = DEFAULT_SCALE) -> DType:
    """The type that holds NumPy's values of `dtype`: floats become fixed(scale), unsigned integers the next wider type.

    Raises:
        UserError: neither numbers nor bools.
    """
    if dtype.kind == "f":
        return fixed(scale)
    if dtype.kind not in "biu":
        raise UserError(f"{dtype} is no type of numbers or bools")
    return _FROM_NUMPY.get(f"{dtype.kind}{dtype.itemsize}", INT)


def _checked_integers(array: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    limit = 1 << RAW_BITS
    if array.size and (int(array.max()) >= limit or int(array.min()) <= -limit):
        raise UserError("an integer needs more than 62 bits; secret integers must lie between -2**62 and 2**62")
    return array.astype(np.int64)


def _encode_bool(array: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    raw = array.astype(np.int64)
    if not np.array_equal(raw, array) or not np.isin(raw, (0, 1)).all():
        raise UserError("a bool value must be 0/1 or false/true")
    return raw


def _encode_real(array: npt.NDArray[np.float64], dtype: DType) -> npt.NDArray[np.int64]:
    if not np.isfinite(array).all():
        raise UserError("values must be finite numbers; replace NaN and infinities first")
    scaled = np.rint(np.ldexp(array, dtype.scale))
    if scaled.size and float(np.abs(scaled).max()) >= 2.0**RAW_BITS:
        raise UserError(f"a value does not fit {dtype}: it needs more than 62 bits; use a smaller scale")
    if dtype.kind == "int" and not np.array_equal(scaled, array):
        raise UserError("a value of type int has a fraction; use type fixed(SCALE)")
    return scaled.astype(np.int64)
