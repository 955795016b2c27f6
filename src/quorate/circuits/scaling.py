"""Multiplication and division by public numbers, exact to the last place."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["divide_public", "division_error", "division_plan"]

MOST_STEPS = 8
ROOM = 12
"""Bits of a factor with which it pays to go on."""


def division_error(p: Protocol) -> float:
    """Worst error of `divide_public`, in units of the last place of the result."""
    return p.truncation_error + 1


class DivisionPlan(NamedTuple):
    """How a division by a public number goes: per step the bits to drop first, factor and shift; none for a multiple.

    The remainder after a step is x * 2**raise_bits - quotient * divisor, with the divisor in lowest terms.
    """

    divisor: int
    raise_bits: int
    steps: tuple[tuple[int, int, int], ...]


def division_plan(p: Protocol, divisor: int, raise_bits: int, limit: int) -> DivisionPlan:
    """The steps of `divide_public` for a divisor above 0 and |x| <= limit.

    Raises:
        UserError: there is no room to divide to the last place.
    """
    common = math.gcd(divisor, 1 << max(raise_bits, 0))
    divisor, raise_bits = divisor // common, raise_bits - common.bit_length() + 1
    target, raised = Fraction(2) ** raise_bits / divisor, max(0, raise_bits)
    divisor <<= max(0, -raise_bits)
    if raised >= p.capacity or divisor >> p.capacity:
        raise _no_room(p, limit)
    steps: list[tuple[int, int, int]] = []
    while target != 1 << raised and len(steps) < MOST_STEPS:
        step, error = _step(target, limit, p, 0)
        if error > division_error(p) and limit.bit_length() > p.capacity - ROOM:
            # Hardly any room for a factor: dropping half of the bits first leaves an error of the square root's size.
            step, error = _step(target, limit, p, limit.bit_length() - p.capacity // 2)
        steps.append(step)
        if error <= division_error(p):
            return DivisionPlan(divisor, raised, tuple(steps))
        target, limit = Fraction(1, divisor), error * divisor
    if steps:
        raise _no_room(p, limit)
    return DivisionPlan(divisor, raised, ())


def divide_public(p: Protocol, at: Scope, x: Arithmetic, divisor: int, raise_bits: int, limit: int) -> Step[Arithmetic]:
    """x * 2**raise_bits / divisor within `division_error`, for |x| <= limit; elementwise.

    Multiplication by a rounded reciprocal leaves an error in proportion to x. The exact remainder is a linear function
    of x and the quotient, so it costs nothing, and is divided in turn until it cannot matter. Two rounds per step with
    most protocols, usually two or three steps.

    Raises:
        UserError: see `division_plan`.
    """
    how = division_plan(p, abs(divisor), raise_bits, limit)
    x = p.neg(x) if divisor < 0 else x
    raised = p.scale(x, 1 << how.raise_bits)
    if not how.steps:
        return raised
    quotient, numerator = None, x
    for step, (drop, factor, shift) in enumerate(how.steps):
        here = at.child(f"step {step}")
        if drop:
            numerator = yield from p.truncate(here.child("drop"), numerator, drop)
        part = yield from p.truncate(here, p.scale(numerator, factor), shift)
        quotient = part if quotient is None else p.add(quotient, part)
        numerator = p.sub(raised, p.scale(quotient, how.divisor))
    return raised if quotient is None else quotient


def _no_room(p: Protocol, limit: int) -> UserError:
    return UserError(
        f"a division of values up to 2**{limit.bit_length()} by a public number does not fit {p.name}; "
        "declare narrower ranges or use a smaller scale"
    )


def _step(target: Fraction, limit: int, p: Protocol, drop: int) -> tuple[tuple[int, int, int], int]:
    """One step that drops so many bits before it multiplies, and the error that it leaves."""
    unit = Fraction(p.truncation_error)
    largest = (limit >> drop) + (math.ceil(unit) + 1 if drop else 0)
    factor, shift = _factor(target * (1 << drop), largest, p)
    error = abs(Fraction(factor, 1 << shift) - target * (1 << drop)) * largest + unit
    return (drop, factor, shift), math.ceil(error + (unit * target * (1 << drop) if drop else 0))


def _factor(target: Fraction, limit: int, p: Protocol) -> tuple[int, int]:
    """The largest rounded target * 2**shift whose product with `limit` fits, and the shift (at least 1)."""
    room = (1 << p.capacity) - 1
    best = None
    for shift in range(1, p.capacity - 1):
        factor = round(target * (1 << shift))
        if factor * max(limit, 1) > room:
            break
        if factor:
            best = (factor, shift)
    if best is None:
        raise _no_room(p, limit)
    return best
