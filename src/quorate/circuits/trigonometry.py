"""Sine, cosine, arc tangent and the angle of a vector.

Sine and cosine turn with the summands of the angle (`series`, one harmonic): the modulus is one turn, so that no
reduction is needed, however large the angle; see `turns` for protocols without functions of summands. The arc tangent
of a number in [-1, 1] is a trigonometric sum; others are brought there by dividing the smaller side of the triangle by
the larger one. Ours.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.circuits import divide, turns
from quorate.circuits.compare import is_negative
from quorate.circuits.divide import corrections
from quorate.circuits.exact import PI
from quorate.circuits.limits import stacked
from quorate.circuits.logic import not_
from quorate.circuits.series import FRACTION, Series, Traits, absolute_error, evaluate, finest, traits
from quorate.circuits.wave_tables import ARCTANGENT
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, concatenate

__all__ = ["PI", "arctangent", "arctangent_error", "cosine", "sine", "vector_angle", "wave_error"]

SINE = Series(
    low=Fraction(0),
    high=Fraction(0),
    period=2 * PI,
    stride=1,
    error=0.0,
    lowest=-1.0,
    highest=1.0,
    slope=1.0,
    amplitude=1.0,
    zero=0,
    constant=0,
    cosines=(0,),
    sines=(1 << FRACTION,),
)
COSINE = replace(SINE, cosines=(1 << FRACTION,), sines=(0,), zero=1 << FRACTION)

FINER = 3
"""Fraction bits that the tangent has more than the angle."""


def sine(p: Protocol, at: Scope, x: Arithmetic, *, shift_in: int, scale: int) -> Step[Arithmetic]:
    """sin(x / 2**shift_in) * 2**scale, elementwise; see `wave_error`. With rep3 3 rounds and 64 bytes in all.

    Raises:
        UserError: the result is finer than the protocol can compute.
    """
    return _wave(p, at, x, SINE, shift_in, scale)


def cosine(p: Protocol, at: Scope, x: Arithmetic, *, shift_in: int, scale: int) -> Step[Arithmetic]:
    """cos(x / 2**shift_in) * 2**scale, elementwise, likewise."""
    return _wave(p, at, x, COSINE, shift_in, scale)


def _wave(p: Protocol, at: Scope, x: Arithmetic, series: Series, shift_in: int, scale: int) -> Step[Arithmetic]:
    _check_scale(p, series, scale, "a sine")
    t, unit = traits(p), Fraction(2) ** -shift_in
    if not t.summands:
        return turns.sine(p, at, t, x, unit=unit, quarters=int(series is COSINE), digits=scale)
    return evaluate(p, at, x, series, unit, scale)


def wave_error(p: Protocol, *, largest: int, shift_in: int, scale: int) -> float:
    """Worst error of `sine` and `cosine` in units of the last place, for |x| <= largest.

    Grows with the angle: a unit of x is a number of 2**-64 (field: 2**-61) turns that is rounded.
    """
    t, unit = traits(p), Fraction(2) ** -shift_in
    if not t.summands:
        return turns.sine_error(t, unit=unit, largest=largest, digits=scale)
    return absolute_error(t, SINE, unit, scale, largest)


def _check_scale(p: Protocol, series: Series, scale: int, what: str) -> None:
    t = traits(p)
    if scale > (turns.finest(t) if not t.summands and series in (SINE, COSINE) else finest(t, series)):
        raise UserError(f"{what} with {scale} fraction bits is finer than {p.name} can compute; use fewer")


# -- arc tangent -----------------------------------------------------------------------------------------------------


class Arctangent(NamedTuple):
    """The sum for tangents in [-1, 1], with how many fraction bits it takes them."""

    series: Series
    digits: int


def vector_angle(p: Protocol, at: Scope, y: Arithmetic, x: Arithmetic, *, bits: int, scale: int) -> Step[Arithmetic]:
    """The angle of (x, y) from the x axis times 2**scale, in (-pi, pi], for |x|, |y| < 2**bits; 0 for (0, 0).

    Four comparisons side by side tell the octant; the smaller of both magnitudes is divided by the larger one. Sign and
    constant of the result follow from the octant alone, and run beside the division. See `arctangent_error`.

    Raises:
        UserError: the division does not fit the protocol.
    """
    how = arctangent_plan(p, bits=bits, scale=scale)
    tested = stacked([x, y, p.sub(x, y), p.add(x, y)])
    signs = yield from is_negative(p, at.child("octant"), tested, bits + 1)
    left, below, first, second = _rows(signs)
    steep = p.xor(first, second)  # y > x and y >= -x, or neither
    small, large = yield from _sides(p, at.child("sides"), x, y, left, below, steep)
    step = _quotient_angle(p, at.child("angle"), small, large, how, bits, scale)
    angle, constant = yield from parallel([step, _constant(p, at.child("constant"), left, below, steep, scale)])
    turned = yield from p.inject(at.child("sign"), p.xor(p.xor(left, below), steep), angle)
    return p.add(p.sub(angle, p.scale(turned, 2)), constant)


def arctangent(p: Protocol, at: Scope, x: Arithmetic, *, bits: int, shift_in: int, scale: int) -> Step[Arithmetic]:
    """The arc tangent of x / 2**shift_in times 2**scale, elementwise for |x| < 2**bits; see `arctangent_error`.

    Raises:
        UserError: the division does not fit the protocol.
    """
    if bits <= shift_in:
        how = arctangent_plan(p, bits=0, scale=scale)
        return (yield from evaluate(p, at.child("sum"), x, how.series, Fraction(1, 1 << shift_in), scale))
    one = p.public(np.full(x.shape, 1 << shift_in, np.int64))
    return (yield from vector_angle(p, at, x, one, bits=bits, scale=scale))


def arctangent_plan(p: Protocol, *, bits: int, scale: int) -> Arctangent:
    """How an arc tangent goes; bits 0: without a division.

    Raises:
        UserError: the division or the result does not fit the protocol.
    """
    series, digits = _chosen(traits(p), scale), max(1, scale + FINER)
    _check_scale(p, series, scale, "an angle")
    if bits:
        corrections(p, divisor_bits=bits, quotient_bits=1, scale=digits)
    return Arctangent(series, digits)


def arctangent_error(p: Protocol, *, bits: int, shift_in: int, scale: int) -> float:
    """Worst error of `arctangent` and `vector_angle` (shift_in 0) in units of the last place.

    Of the sum; with a division, of the tangent, and half a unit each of two rounded constants.
    """
    t, how = traits(p), arctangent_plan(p, bits=0, scale=scale)
    if shift_in and bits <= shift_in:
        own = absolute_error(t, how.series, Fraction(1, 1 << shift_in), scale, 1 << shift_in)
        return math.ldexp(how.series.error, scale) + own
    tangent = divide.worst_error(p)
    own = absolute_error(t, how.series, Fraction(1, 1 << how.digits), scale, 1 << how.digits, True, tangent)
    return math.ldexp(how.series.error, scale) + own + 1.5


@cache
def _chosen(t: Traits, scale: int) -> Series:
    """The first sum that leaves no more than a quarter of a unit, else the last."""
    return next((s for s in ARCTANGENT if math.ldexp(s.error, scale) <= 0.25), ARCTANGENT[-1])


def _rows(flags: Boolean) -> list[Boolean]:
    return [flags.map(lambda part, k=k: part[k]) for k in range(flags.shape[0])]  # type: ignore[misc]


def _sides(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, left: Boolean, below: Boolean, steep: Boolean
) -> Step[tuple[Arithmetic, Arithmetic]]:
    """The smaller and the larger of |x| and |y|."""
    below_zero = yield from parallel([p.inject(at.child("x"), left, x), p.inject(at.child("y"), below, y)])
    wide, high = (p.sub(z, p.scale(part, 2)) for z, part in zip((x, y), below_zero, strict=True))
    more = yield from p.inject(at.child("swap"), steep, p.sub(high, wide))
    return p.sub(high, more), p.add(wide, more)


def _quotient_angle(
    p: Protocol, at: Scope, small: Arithmetic, large: Arithmetic, how: Arctangent, bits: int, scale: int
) -> Step[Arithmetic]:
    tangent = yield from divide.divide(
        p, at.child("tangent"), small, large, divisor_bits=bits, quotient_bits=1, scale=how.digits
    )
    return (yield from evaluate(p, at.child("sum"), tangent, how.series, Fraction(1, 1 << how.digits), scale))


def _constant(p: Protocol, at: Scope, left: Boolean, below: Boolean, steep: Boolean, scale: int) -> Step[Arithmetic]:
    """What is added to the signed angle: +-pi / 2 where the vector is steep, else +-pi where it points to the left."""
    flat = yield from p.and_(at.child("left"), left, not_(p, steep))
    down = yield from parallel([p.and_(at.child("steep down"), steep, below), p.and_(at.child("down"), flat, below)])
    flags = stacked_bits([steep, flat, *down])
    half, whole = (round(PI / divisor * (1 << scale)) for divisor in (2, 1))
    plus, minus = yield from p.weigh(at.child("weights"), flags, [[half, whole, 0, 0], [0, 0, 2 * half, 2 * whole]])
    return p.sub(plus, minus)


def stacked_bits(flags: list[Boolean]) -> Boolean:
    """Bits of one shape along a new first axis."""
    return concatenate([flag.map(lambda part: part[None]) for flag in flags], 0)
