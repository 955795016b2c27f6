"""Division by a secret.

The divisor is normalised to d in [1/4, 1); 1/d is a trigonometric sum (`series`); what the first quotient leaves is
found exactly as a remainder and divided in turn, until less than `REST` of a unit can be left. How many harmonics the
sum has and how many corrections there are follows from the ranges, whatever is cheaper.

Source: correction by exact remainders as in Markstein, "Software Division and Square Root Using Goldschmidt's
Algorithms", RNC 2004. Deviation: no iteration for the reciprocal.

Rounds with rep3, for a secret divisor whose leading bit may be in one of f pairs: 5 + log2(word of the divisor) +
ceil(log2(f)) for the power of four, then 1 + 3 for the reciprocal, 2 for the quotient and 5 for each correction.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.circuits import normalise, series_polynomial
from quorate.circuits.normalise import Factor, normal, normal_bits, normal_digits, normaliser, scaled
from quorate.circuits.series import FRACTION, Series, Traits, evaluate, finest, normal_error, traits
from quorate.circuits.wave_tables import RECIPROCAL
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["Division", "corrections", "divide", "worst_error"]

REST = 0.25
"""What the estimates may leave of the error, in units of the last place; truncation comes on top."""

CORRECTION = 8
"""What a correction costs in harmonics: about 120 bytes in all with rep3, where a harmonic costs 16."""

COARSEST, MOST = 8, 5
"""Fewest fraction bits of a reciprocal, and most estimates."""


def worst_error(p: Protocol) -> float:
    """Worst error of a quotient, in units of the last place."""
    return p.truncation_error + REST


class Estimate(NamedTuple):
    """A quotient below 2**bits: fraction bits of the normalised dividend, and what the estimate leaves, in units of the
    result, before its last truncation."""

    bits: int
    keep: int
    error: float


class Division(NamedTuple):
    """How a division goes: the reciprocal with its fraction bits, the first estimate and the corrections."""

    series: Series
    digits: int
    steps: tuple[Estimate, ...]

    @property
    def cost(self) -> int:
        """In harmonics."""
        return self.series.harmonics + CORRECTION * len(self.steps)


def divide(
    p: Protocol,
    at: Scope,
    x: Arithmetic | int,
    y: Arithmetic,
    *,
    divisor_bits: int,
    quotient_bits: int,
    scale: int,
    divisor_low: int = 0,
) -> Step[Arithmetic]:
    """x / y * 2**scale, elementwise for equal shapes, within `worst_error`; 0 where y = 0, within twice that.

    Requires divisor_low <= y < 2**divisor_bits, divisor_low >= 0, and |x / y| < 2**quotient_bits (for y > 0). The
    dividend may be a public number.

    Raises:
        UserError: the bounds are too wide for the protocol's range.
    """
    quotient_bits, high = max(0, quotient_bits), (1 << divisor_bits) - 1
    if quotient_bits + scale < 0:
        return p.public(np.zeros(y.shape, np.int64))
    plan = corrections(p, divisor_bits=divisor_bits, quotient_bits=quotient_bits, scale=scale, divisor_low=divisor_low)
    wanted = [normalise.factor] if divisor_low else [normalise.factor, normalise.found]
    factor, *found = yield from normaliser(p, at.child("normalise"), y, divisor_low, high, *wanted)
    part, reciprocal = yield from parallel(
        [
            _part(p, at.child("part"), x, factor, high, plan.steps[0]),
            _reciprocal(p, at.child("reciprocal"), y, factor, found, high, plan),
        ]
    )
    quotient = yield from _times(p, at.child("quotient"), part, reciprocal, plan, plan.steps[0], scale)
    raised = max(0, scale)
    for k, step in enumerate(plan.steps[1:]):
        here = at.child(f"correction {k}")
        product = p.scale((yield from p.mul(here.child("product"), quotient, y)), 1 << (raised - scale))
        remainder = (
            p.add_public(p.neg(product), np.asarray(x << raised, np.int64))
            if isinstance(x, int)
            else p.sub(p.scale(x, 1 << raised), product)
        )
        part = yield from _part(p, here.child("part"), remainder, factor, high, step)
        more = yield from _times(p, here.child("more"), part, reciprocal, plan, step, scale - raised)
        quotient = p.add(quotient, more)
    return quotient


def _reciprocal(
    p: Protocol, at: Scope, y: Arithmetic, factor: Factor, found: list[Factor], high: int, plan: Division
) -> Step[Arithmetic]:
    """1 / d for the normal number d of y, with `plan.digits` fraction bits; for y = 0 a few units."""
    d = yield from normal(p, at.child("normal"), y, factor, high)
    digits = normal_digits(p.modulus_bits, high)
    # At d = 0 the sum is not small, and what truncation leaves of 0 must not grow by it.
    gone = [p.add_public(number, np.asarray(-1, np.int64)) for number in found if isinstance(number, Arithmetic)]
    there = round(Fraction(plan.series.zero << plan.digits, 1 << FRACTION))
    if not traits(p).summands:  # polynomials are good for nothing at 0: there d is 1/2
        there = series_polynomial.value(traits(p), plan.series, Fraction(1, 2), plan.digits)
        for less in gone:
            d = p.sub(d, p.scale(less, 1 << (digits - 1)))
    unit = Fraction(1, 1 << digits)
    reciprocal = yield from evaluate(p, at.child("sum"), d, plan.series, unit, plan.digits, bool(found))
    for less in gone:
        reciprocal = p.add(reciprocal, p.scale(less, there))
    return reciprocal


def _part(p: Protocol, at: Scope, x: Arithmetic | int, factor: Factor, high: int, step: Estimate) -> Step[Arithmetic]:
    """The dividend times the divisor's factor, with `step.keep` fraction bits.

    Since y * factor < 2**normal_bits, it stays below that times the quotient.
    """
    drop = normal_bits(high) - step.keep
    if not isinstance(x, int):
        return (yield from scaled(p, at, x, factor, drop))
    whole = p.public(np.asarray(factor, np.int64)) if isinstance(factor, int) else factor
    return (yield from scaled(p, at, whole, x, drop))


def _times(
    p: Protocol, at: Scope, part: Arithmetic, reciprocal: Arithmetic, plan: Division, step: Estimate, wanted: int
) -> Step[Arithmetic]:
    """The quotient with `wanted` fraction bits, below 2**step.bits."""
    if part.shape != reciprocal.shape:
        part = part.map(lambda values: contiguous(np.broadcast_to(values, reciprocal.shape)))
    return (yield from scaled(p, at, part, reciprocal, plan.digits + step.keep - wanted))


def corrections(p: Protocol, *, divisor_bits: int, quotient_bits: int, scale: int, divisor_low: int = 0) -> Division:
    """How `divide` goes with these bounds.

    Raises:
        UserError: the bounds are too wide for the protocol's range.
    """
    plan = _cheapest(traits(p), divisor_bits, max(0, quotient_bits), scale, not divisor_low)
    if plan is None:
        raise UserError(
            f"a division with a divisor below 2**{divisor_bits} and a quotient below 2**{quotient_bits} with {scale} "
            f"fraction bits does not fit {p.name}, whose numbers have {p.capacity} bits; declare narrower ranges for "
            "the columns, pass a bound for the quotient, or use fewer fraction bits"
        )
    return plan


@cache
def _cheapest(t: Traits, divisor_bits: int, quotient_bits: int, scale: int, zero: bool) -> Division | None:
    high = (1 << divisor_bits) - 1
    if quotient_bits + normal_bits(high) > t.capacity or quotient_bits + scale + 2 > t.capacity:
        return None
    found = [
        plan
        for series in RECIPROCAL
        for digits in range(COARSEST, finest(t, series, zero) + 1)
        if (plan := _division(t, series, digits, high, quotient_bits, scale, zero)) is not None
    ]
    return min(found, key=lambda plan: (plan.cost, plan.steps[-1].error), default=None)


def _division(
    t: Traits, series: Series, digits: int, high: int, quotient_bits: int, scale: int, zero: bool
) -> Division | None:
    """The estimates with that reciprocal until one leaves at most `REST`; None if they do not fit or get there."""
    relative, raised = normal_error(t, series, high, digits, zero), max(0, scale)
    steps: list[Estimate] = []
    bits, wanted = quotient_bits, scale
    while len(steps) < MOST:
        step = _fitted(t, relative, digits, normal_bits(high), bits, wanted)
        if step is None:
            return None
        steps.append(step)
        if step.error <= REST:
            return Division(series, digits, tuple(steps))
        bits = math.frexp(math.ldexp(step.error + t.truncation, raised - scale))[1]
        wanted = scale - raised
    return None


def _fitted(t: Traits, relative: float, digits: int, room: int, bits: int, wanted: int) -> Estimate | None:
    """The estimate with as many bits of the dividend as fit; None where there is no room."""
    keep = min(t.capacity - 1 - max(bits, 0) - digits, t.capacity - digits + wanted, room)
    if keep < 1 or bits + room > t.capacity:
        return None
    cut = 4 * (1 + relative) * t.truncation * math.ldexp(1.0, -keep) if keep < room else 0.0
    return Estimate(bits, keep, math.ldexp(math.ldexp(relative, bits) + cut, wanted))
