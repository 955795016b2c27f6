"""Values less their mean, in units that keep their digits however wide the declared range is.

A column is centred by a mean in its own units. Then it is enlarged by secret powers of two if its declared range is
much wider than its values, so that squares of what is left keep their digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import in_real_units, known, most_rows
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["STEP", "Centred", "Piece", "as_fixed", "centred", "joined_flags", "moved", "summable", "zoomed"]

STEP = 10
"""Bits by which a column is enlarged at once, if none of its values then leaves the range."""

WIDEST = 46
"""Most bits of a column that count, and fewer of very many rows; finer ones are rounded off first."""

SLACK = 5
"""A unit of the data becomes so many bits, where nothing is to be rounded off."""

ROUNDED = 4
"""Fixed-point columns may lose so many bits without being enlarged."""


@dataclass(frozen=True)
class Piece:
    """Values of one dimension, and which of them count, bools (None: all)."""

    values: SecretArray
    counted: SecretArray | None = None


@dataclass(frozen=True)
class Centred:
    """Values less a number near their mean: 2**exponent * 2**(-STEP * level) * u.

    Attributes:
        u: per piece, fixed(bits), within [-1, 1] but for a unit; 0 where a value does not count.
        middle: what was subtracted, with the scale of the values.
        exponent: public.
        level: secret int; None where the declared range is not much wider than what fits.
        exact: whether nothing was rounded off.
        steps: the largest that level can be.
    """

    u: list[SecretArray]
    middle: SecretArray
    exponent: int
    level: SecretArray | None
    exact: bool
    steps: int

    def in_real_units(self, values: SecretArray) -> SecretArray:
        """Numbers in units of u, which are at most 1 in magnitude, in those of the data."""
        if self.level is None:
            return in_real_units(values, self.exponent)
        left = self.level.reshape(1) == np.arange(self.steps + 1)
        factor = left.astype(INT) @ (1 << STEP * np.arange(self.steps, -1, -1))
        return in_real_units(values * factor, self.exponent - STEP * self.steps)


def as_fixed(values: SecretArray, scale: int = 0) -> SecretArray:
    """Numbers as fixed-point ones of at least this scale: free."""
    if values.dtype.kind != "fixed":
        values = values.astype(INT).astype_raw(fixed(0))
    return values if values.dtype.scale >= scale else values.astype(fixed(scale))


def summable(values: SecretArray) -> SecretArray:
    """Numbers as fixed-point ones whose sum over all rows fits, with fewer fraction bits if need be."""
    fine = as_fixed(values)
    low, high = fine.limits
    width = int(math.ldexp(max(-low, high), fine.dtype.scale)).bit_length()
    beyond = width + most_rows(fine).bit_length() + 1 - known(fine).capacity
    return fine.astype(fixed(fine.dtype.scale - max(0, beyond)))


def centred(pieces: Sequence[Piece], bits: int) -> Centred:
    """All pieces less one mean, in common units.

    Reveals nothing; 5 rounds, 30 where it is secret which values count, and about 25 for every enlargement.
    """
    whole = all(piece.values.dtype.kind != "fixed" for piece in pieces)
    near, origin, complete = moved([piece.values for piece in pieces])
    mean = _mean(near, pieces)
    away = [_counted(one - mean, piece.counted) for one, piece in zip(near, pieces, strict=True)]
    exponent = _reach(away)
    width = away[0].dtype.scale + exponent
    units = [one.astype_raw(fixed(width)) for one in away]
    steps = _steps(width, bits, whole)
    units, level = _enlarged(units, steps)
    exact = complete and (steps > 0 or width + SLACK <= bits)
    return Centred([_rounded(one, bits, steps > 0) for one in units], mean + origin, exponent, level, exact, steps)


def _reach(values: Sequence[SecretArray]) -> int:
    """The least power of two that no magnitude exceeds."""
    reach = max(max(-low, high) for low, high in (one.limits for one in values))
    return math.ceil(math.log2(reach)) if reach else 0


def moved(values: Sequence[SecretArray]) -> tuple[list[SecretArray], float, bool]:
    """Columns of one scale less the middle of their range, that middle, and whether nothing was rounded off."""
    scale = max(as_fixed(value).dtype.scale for value in values)
    same = [as_fixed(value, scale) for value in values]
    low, high = min(one.limits[0] for one in same), max(one.limits[1] for one in same)
    origin = math.ldexp(round(math.ldexp((low + high) / 2, scale)), -scale)
    near = [one - origin for one in same]
    rows = sum(most_rows(one) for one in same).bit_length()
    widest = min(WIDEST, known(same[0]).capacity - 4 - rows)
    beyond = scale + _reach(near) - widest
    return [one.astype(fixed(scale - max(0, beyond))) for one in near], origin, beyond <= 0


def _mean(values: Sequence[SecretArray], pieces: Sequence[Piece]) -> SecretArray:
    """The mean of all values that count, with their scale."""
    together = q.concatenate(list(values)) if len(values) > 1 else values[0]
    mean: SecretArray = together.mean(0, where=joined_flags(pieces))
    return mean


def joined_flags(pieces: Sequence[Piece]) -> SecretArray | None:
    """Which rows of all pieces count, one after the other; None for all."""
    if all(piece.counted is None for piece in pieces):
        return None
    flags = [q.ones_like(one.values, dtype=bool) if one.counted is None else one.counted for one in pieces]
    joined: SecretArray = q.concatenate(flags) if len(flags) > 1 else flags[0]
    return joined


def _counted(values: SecretArray, flags: SecretArray | None) -> SecretArray:
    return values if flags is None else values * flags.astype(INT)


def _steps(width: int, bits: int, whole: bool) -> int:
    """How often a column of so many bits may have to be enlarged."""
    if width + SLACK <= bits or (not whole and width <= bits + ROUNDED):
        return 0
    return -(-(width + SLACK - bits) // STEP)


def _enlarged(units: list[SecretArray], steps: int) -> tuple[list[SecretArray], SecretArray | None]:
    """Times 2**STEP, as often as no value then leaves [-1, 1], but at most `steps` times; and how often that was."""
    level: SecretArray | None = None
    rows = sum(most_rows(one) for one in units)
    for _ in range(steps):
        large = [one * (1 << STEP) for one in units]
        below = [q.minimum(one, 1.0) for one in large]
        within = [q.maximum(one, -1.0) for one in below]
        scale = min(30, known(units[0]).capacity - 3 - STEP - rows.bit_length())
        cut = [
            _rounded((one - low) + (kept - low), scale, True).sum()
            for one, low, kept in zip(large, below, within, strict=True)
        ]
        fits = sum(cut[1:], cut[0]) <= 0  # what is cut off by less than a unit does no harm
        units = [q.where(fits, inside, one) for inside, one in zip(within, units, strict=True)]
        level = fits.astype(INT) if level is None else level + fits.astype(INT)
    return units, level


def zoomed(values: Sequence[SecretArray], bits: int) -> list[SecretArray]:
    """Values around 0 of one scale in common units, fixed(bits), within [-1, 1], enlarged if they all are small."""
    exponent = _reach(values)
    width = values[0].dtype.scale + exponent
    steps = _steps(width, bits, False)
    units, _ = _enlarged([one.astype_raw(fixed(width)) for one in values], steps)
    return [_rounded(one, bits, steps > 0).clip(-1.0, 1.0) for one in units]


def _rounded(one: SecretArray, bits: int, exactly: bool) -> SecretArray:
    """At the scale `bits`; what needs no rounding has to come out exactly, if that is asked for."""
    if exactly and known(one).protocol.truncation_error > 1:
        return one.astype(fixed(bits), rounding="floor")
    return one.astype(fixed(bits))
