"""Data types of secret values and their exact encoding as 64-bit integers.

Every secret value is a signed integer `raw`; a data type says what it means. `fixed(s)` stands for raw / 2**s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError

__all__ = ["BOOL", "INT", "DType", "fixed"]

Kind = Literal["int", "fixed", "bool"]


@dataclass(frozen=True, slots=True)
class DType:
    """Type of a secret array: `int` (63-bit signed), `fixed` with `scale` binary fraction digits, or `bool`."""

    kind: Kind
    scale: int = 0

    def __str__(self) -> str:
        return f"fixed({self.scale})" if self.kind == "fixed" else self.kind

    @classmethod
    def parse(cls, text: str) -> DType:
        """The inverse of `str`; raises `UserError` for anything else."""
        if text in ("int", "bool"):
            return cls("int" if text == "int" else "bool")
        if text.startswith("fixed(") and text.endswith(")") and text[6:-1].lstrip("-").isdigit():
            return fixed(int(text[6:-1]))
        raise UserError(f"{text!r} is not a data type; use int, bool or fixed(SCALE), for example fixed(16)")

    def encode(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Nearest raw integers of `values` (any shape), int64; ties to even.

        Raises:
            UserError: a value is not finite, is not an integer (for `int`), is not 0/1 (for `bool`), or needs more
                than 62 bits.
        """
        array = np.asarray(values)
        if self.kind == "bool":
            return _encode_bool(array)
        if array.dtype.kind in "iu" and self.scale == 0:
            return _checked_integers(array)
        return _encode_real(array.astype(np.float64), self)

    def decode(self, raw: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
        """The values that `raw` stands for: int64, float64 or bool, same shape."""
        if self.kind == "bool":
            return raw.astype(np.bool_)
        return raw if self.kind == "int" else np.ldexp(raw.astype(np.float64), -self.scale)


INT = DType("int")
BOOL = DType("bool")


def fixed(scale: int = 16) -> DType:
    """Fixed-point type: values are multiples of 2**-scale. `scale` lies in -32 ... 48."""
    if not -32 <= scale <= 48:
        raise UserError(f"fixed({scale}): the scale must lie between -32 and 48 binary digits")
    return DType("fixed", scale)


def _checked_integers(array: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    limit = 2**62
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
    if scaled.size and float(np.abs(scaled).max()) >= 2.0**62:
        raise UserError(f"a value does not fit {dtype}: it needs more than 62 bits; use a smaller scale")
    if dtype.kind == "int" and not np.array_equal(scaled, array):
        raise UserError("a value of type int has a fraction; use type fixed(SCALE)")
    return scaled.astype(np.int64)
