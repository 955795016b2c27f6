"""Trigonometric sums (`series`) as Chebyshev sums on their intervals, for protocols without functions of summands.

The same functions on the same intervals, with the error of the table. Products of polynomials have half of the
protocol's capacity as fraction bits, so other errors are larger than those of a series by some bits.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from quorate.circuits import chebyshev
from quorate.circuits.chebyshev import Polynomial
from quorate.circuits.exact import PRECISION, fixed, times, wave
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

if TYPE_CHECKING:
    from quorate.circuits.series import Series, Traits

__all__ = ["absolute_error", "evaluate", "plan", "value"]

FRACTION = 40
"""Fraction bits of the coefficients of a series."""


def _sum_at(series: Series, place: Fraction | int) -> int:
    """The trigonometric sum at `place`, a fixed point number between -1 and 1 for the interval's ends; fixed point."""
    cosine, sine = wave(times(int(place), fixed((series.high - series.low) / 2 / series.period)))
    c, s = wave(times(int(place), fixed(series.stride * (series.high - series.low) / 2 / series.period)))
    total = series.constant << (PRECISION - FRACTION)
    for weight, other in zip(series.cosines, series.sines, strict=True):
        total += (weight * cosine + other * sine) >> FRACTION
        cosine, sine = times(cosine, c) - times(sine, s), times(sine, c) + times(cosine, s)
    return total


@cache
def _coefficients(series: Series) -> tuple[int, ...]:
    return chebyshev.coefficients(lambda u: _sum_at(series, u))


@cache
def plan(t: Traits, series: Series) -> Polynomial:
    """How a series is computed; what is left out is a quarter of the table's own error, or nothing that counts."""
    highest = max(abs(series.lowest), abs(series.highest)) + 2.0**-20
    enough = max(series.error / 4, math.ldexp(1.0, -chebyshev.most_digits(t.capacity) - 1))
    return chebyshev.polynomial(t.capacity, t.truncation, _coefficients(series), highest, enough)


def value(t: Traits, series: Series, place: Fraction, digits: int) -> int:
    """What `evaluate` gives at a public place, within its rounding."""
    half = (series.high - series.low) / 2
    exact = _sum_at(series, fixed((place - (series.low + series.high) / 2) / half))
    return (exact + (1 << (PRECISION - digits - 1))) >> (PRECISION - digits)


def _turn(t: Traits, series: Series, unit: Fraction) -> tuple[int, int, Fraction]:
    """By what x is multiplied to make u, and the fraction bits that are dropped then; the exact multiplier."""
    drop = t.capacity - 1 - chebyshev.most_digits(t.capacity)
    exact = 2 * unit / (series.high - series.low) * (1 << (chebyshev.most_digits(t.capacity) + drop))
    return round(exact), drop, exact


@cache
def absolute_error(t: Traits, series: Series, unit: Fraction, digits: int, largest: int, blur: float) -> float:
    """See `series.absolute_error`: of u, times the slope; of the polynomials, the sum and the last truncation."""
    how = plan(t, series)
    turn, drop, exact = _turn(t, series, unit)
    raised = float(abs(turn - exact)) * largest + 0.5
    place = math.ldexp(math.ldexp(raised, -drop) + t.truncation, -how.digits)
    half = float((series.high - series.low) / 2)
    own = how.error + 1.001 * series.slope * (place * half + blur * float(unit))
    return math.ldexp(own, digits) + 0.5 + t.truncation


def evaluate(
    p: Protocol, at: Scope, t: Traits, x: Arithmetic, series: Series, unit: Fraction, digits: int
) -> Step[Arithmetic]:
    """See `series.evaluate`; beyond the interval anything may come out."""
    how = plan(t, series)
    turn, drop, _ = _turn(t, series, unit)
    middle = (series.low + series.high) / (series.high - series.low)
    start = round(middle * (1 << (how.digits + drop)))
    turned = p.add_public(p.scale(x, _signed(t, turn)), np.asarray(-start, np.int64))
    u = yield from p.truncate(at.child("place"), turned, drop)
    return (yield from chebyshev.evaluate(p, at.child("sum"), u, how, digits))


def _signed(t: Traits, factor: int) -> int:
    """A public number modulo the protocol's modulus as int64."""
    factor %= t.modulus
    return factor if factor < 1 << 63 else factor - (1 << 64)
