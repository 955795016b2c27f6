"""Sine and cosine of any angle without functions of summands: half turns are taken off, the rest is a polynomial.

As in `series` the modulus is one turn, so that whole turns vanish by themselves. One comparison tells the half turn the
angle is in; what is left lies within a quarter turn of 0, where the sine is an odd polynomial (`chebyshev`). The half
turn turns the sign.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from quorate.circuits import chebyshev
from quorate.circuits.chebyshev import Polynomial
from quorate.circuits.exact import PI, wave
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

if TYPE_CHECKING:
    from quorate.circuits.series import Traits

__all__ = ["finest", "sine", "sine_error"]


@cache
def _coefficients() -> tuple[int, ...]:
    """Of sin(pi / 2 u)."""
    return chebyshev.coefficients(lambda u: wave(u >> 2)[1])


@cache
def _plan(t: Traits) -> Polynomial:
    enough = math.ldexp(1.0, -chebyshev.most_digits(t.capacity) - 1)
    return chebyshev.polynomial(t.capacity, t.truncation, _coefficients(), 1.0 + 2.0**-20, enough)


def finest(t: Traits) -> int:
    """The most fraction bits of a result."""
    return _plan(t).finest


def sine(
    p: Protocol, at: Scope, t: Traits, x: Arithmetic, *, unit: Fraction, quarters: int, digits: int
) -> Step[Arithmetic]:
    """sin(x * unit + quarters quarter turns) with `digits` fraction bits, elementwise; see `sine_error`."""
    how, quarter, half = _plan(t), (t.modulus + 1) // 4, t.modulus // 2
    angle = p.add_public(
        p.scale(x, _signed(t, _turn(t, unit)[0])), np.asarray(_signed(t, quarters * quarter), np.int64)
    )
    over = p.add_public(angle, np.asarray(quarter, np.int64))
    behind = yield from p.negative(at.child("half"), over)
    number = yield from p.to_arithmetic(at.child("number"), behind)
    rest = p.sub(angle, p.scale(number, _signed(t, half)))  # -quarter <= rest < quarter, and a quarter is 2**capacity
    u = yield from p.truncate(at.child("place"), rest, t.modulus_bits - 2 - how.digits)
    upright = yield from chebyshev.evaluate(p, at.child("sum"), u, how, digits)
    turned = yield from p.mul(at.child("sign"), number, upright)
    return p.sub(upright, p.scale(turned, 2))


def sine_error(t: Traits, *, unit: Fraction, largest: int, digits: int) -> float:
    """Worst error of `sine` in units of 2**-digits for |x| <= largest: of the angle, the polynomial, and truncation."""
    how = _plan(t)
    turn, exact = _turn(t, unit)
    turns = (float(abs(turn - exact)) * largest + 2) / t.modulus
    angle = float(2 * PI) * (turns + math.ldexp(t.truncation, -how.digits - 2))
    return math.ldexp(how.error + 1.001 * angle, digits) + 0.5 + t.truncation


def _turn(t: Traits, unit: Fraction) -> tuple[int, Fraction]:
    """The angle of a unit of x in 1 / modulus turns, rounded and exact."""
    exact = t.modulus * unit / (2 * PI)
    return round(exact), exact


def _signed(t: Traits, value: int) -> int:
    """A public number modulo the protocol's modulus as int64."""
    value %= t.modulus
    return value if value < 1 << 63 else value - (1 << 64)
