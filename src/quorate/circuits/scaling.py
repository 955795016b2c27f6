"""Multiplication and division by public numbers, exact to the last place."""

from __future__ import annotations

import math
from fractions import Fraction


from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["divide_public", "division_error"]

MOST_STEPS = 8


def division_error(p: Protocol) -> float:
    """Worst error of `divide_public`, in units of the last place of the result."""
    return p.truncation_error + 1


def divide_public(p: Protocol, at: Scope, x: Arithmetic, divisor: int, raise_bits: int, limit: int) -> Step[Arithmetic]:
    """x * 2**raise_bits / divisor within `division_error`, for |x| <= limit; elementwise.

    Multiplication by a rounded reciprocal leaves an error in proportion to x. The exact remainder is a linear function
    of x and the quotient, so it costs nothing, and is divided in turn until it cannot matter. Two rounds per step with
    most protocols, usually two or three steps.

    Raises:
        UserError: `limit` leaves no room for a multiplication.
    """
    if divisor < 0:
        x, divisor = p.neg(x), -divisor
    common = math.gcd(divisor, 1 << max(raise_bits, 0))
    divisor, raise_bits = divisor // common, raise_bits - common.bit_length() + 1
    if divisor == 1 and raise_bits >= 0:
        return p.scale(x, 1 << raise_bits)
    numerator, target = x, Fraction(2) ** raise_bits / divisor
    quotient: Arithmetic | None = None
    for step in range(MOST_STEPS):
        factor, shift = _factor(target, limit, p)
        part = yield from p.truncate(at.child(f"step {step}"), p.scale(numerator, factor), shift)
        quotient = part if quotient is None else p.add(quotient, part)
        error = math.ceil(abs(Fraction(factor, 1 << shift) - target) * limit + Fraction(p.truncation_error))
        if error <= division_error(p):
            break
        if step == 0:
            numerator_scaled = p.scale(x, 1 << raise_bits) if raise_bits >= 0 else x
            divisor <<= max(0, -raise_bits)
        numerator = p.sub(numerator_scaled, p.scale(quotient, divisor))
        target, limit = Fraction(1, divisor), error * divisor
    if quotient is None:
        raise UserError("a division by a public number needs at least one step")
    return quotient


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
        raise UserError(
            f"a division of values up to 2**{limit.bit_length()} by a public number does not fit {p.name}; "
            "declare narrower ranges or use a smaller scale"
        )
    return best


