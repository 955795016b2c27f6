"""Logarithms of a secret.

The number is normalised to d in [1/4, 1) by a power of four. The logarithm of d is a trigonometric sum (`series`), that
of the power of four is added up from the same bits. Ours.

Rounds with rep3 as for `root`, without the last product.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.circuits import normalise
from quorate.circuits.normalise import normal, normal_digits, normaliser
from quorate.circuits.series import FRACTION, Series, Traits, evaluate, finest, normal_error, traits
from quorate.circuits.wave_tables import LOGARITHM
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["LN_2", "logarithm", "logarithm_error", "logarithm_plan"]

LN_2 = Fraction(0x0B17217F7D1CF79ABC9E3B39803F2F6AF, 1 << 128)
"""The natural logarithm of 2, to 128 fraction bits."""

SLACK = 0.25
"""A cheaper sum is taken where it leaves no more than this, in units of the last place."""


class Logarithm(NamedTuple):
    """The sum for normal numbers, and the worst error in units of the last place."""

    series: Series
    error: float


def logarithm(
    p: Protocol, at: Scope, x: Arithmetic, *, low: int, high: int, shift_in: int, base: Fraction, scale: int
) -> Step[Arithmetic]:
    """log2(x / 2**shift_in) * base * 2**scale, elementwise, for 1 <= low <= x <= high; see `logarithm_error`.

    Args:
        base: the logarithm of 2 in the wanted base: 1, or `LN_2`.

    Raises:
        UserError: see `logarithm_plan`.
    """
    how = logarithm_plan(p, high=high, base=base, scale=scale)

    def rounded(pairs: int) -> int:
        return round((2 * pairs - shift_in) * base * Fraction(2) ** scale)

    def whole(k: int, last: int) -> int:
        return rounded(k + 1) - rounded(0)  # weights are not negative, and one of them counts

    factor, power = yield from normaliser(p, at.child("normalise"), x, low, high, normalise.factor, whole)
    d = yield from normal(p, at.child("normal"), x, factor, high)
    unit = Fraction(1, 1 << normal_digits(p.modulus_bits, high))
    of_normal = yield from evaluate(p, at.child("logarithm"), d, how.series, unit, scale)
    of_normal = p.add_public(of_normal, np.asarray(rounded(0), np.int64))
    if isinstance(power, Arithmetic):
        return p.add(of_normal, power)
    return p.add_public(of_normal, np.asarray(power, np.int64))


def logarithm_plan(p: Protocol, *, high: int, base: Fraction, scale: int) -> Logarithm:
    """How `logarithm` goes.

    Raises:
        UserError: so large numbers, or a result that fine, do not fit the protocol.
    """
    if normalise.normal_bits(high) > p.capacity:
        raise UserError(f"a logarithm of numbers of {high.bit_length()} bits does not fit {p.name}; declare less")
    how = _plan(traits(p), high, base, scale)
    if how is None:
        raise UserError(f"a logarithm with {scale} fraction bits is finer than {p.name} can compute; use fewer")
    return how


def logarithm_error(p: Protocol, *, high: int, base: Fraction, scale: int) -> float:
    """Worst error of `logarithm` in units of the last place: of the sum, and half a unit of what is added to it."""
    return logarithm_plan(p, high=high, base=base, scale=scale).error


@cache
def _plan(t: Traits, high: int, base: Fraction, scale: int) -> Logarithm | None:
    """The cheapest sum that leaves no more than `SLACK`, else the best."""
    found = None
    for table in LOGARITHM:
        series = _scaled(table, base)
        if scale > finest(t, series):
            return None
        own = normal_error(t, series, high, scale, False)
        found = Logarithm(series, math.ldexp(own, scale) + 0.5)
        if math.ldexp(series.error, scale) <= SLACK:
            break
    return found


def _scaled(series: Series, by: Fraction) -> Series:
    """The same function times `by`, at most 1; rounding coefficients adds less than 2**-35 to the error."""
    if by == 1:
        return series
    real = float(by)
    return replace(
        series,
        error=series.error * real + math.ldexp(2 * series.harmonics + 1, -FRACTION - 1),
        lowest=series.lowest * real,
        highest=series.highest * real,
        slope=series.slope * real * (1 + 2.0**-20),
        amplitude=series.amplitude * real * (1 + 2.0**-20),
        zero=round(series.zero * by),
        constant=round(series.constant * by),
        cosines=tuple(round(c * by) for c in series.cosines),
        sines=tuple(round(s * by) for s in series.sines),
    )
