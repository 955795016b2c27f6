"""Rounding to multiples of a power of two: exact and alike at every run, unlike a truncation, which may go either way.

All take |x| < 2**bits with bits + 1 <= capacity, and a shift of at least one bit, and give whole multiples of 2**shift.
Cost: `bitwise.floor_shift`, and for `towards_zero` a comparison before, for `half_to_even` two narrow ones after it.
"""

from __future__ import annotations

import numpy as np

from quorate.circuits.bitwise import floor_shift
from quorate.circuits.compare import is_negative
from quorate.circuits.limits import stacked
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["down", "half_to_even", "towards_zero", "up"]


def down(p: Protocol, at: Scope, x: Arithmetic, shift: int, bits: int) -> Step[Arithmetic]:
    """floor(x / 2**shift), elementwise."""
    return floor_shift(p, at, x, shift, bits)


def up(p: Protocol, at: Scope, x: Arithmetic, shift: int, bits: int) -> Step[Arithmetic]:
    """ceil(x / 2**shift), elementwise."""
    return p.neg((yield from floor_shift(p, at, p.neg(x), shift, bits)))


def towards_zero(p: Protocol, at: Scope, x: Arithmetic, shift: int, bits: int) -> Step[Arithmetic]:
    """x / 2**shift without its fraction, elementwise: the floor of x, or of x + 2**shift - 1 where x is negative."""
    negative = yield from is_negative(p, at.child("sign"), x, bits)
    (more,) = yield from p.weigh(at.child("more"), negative.map(lambda part: part[None]), [[(1 << shift) - 1]])
    return (yield from floor_shift(p, at.child("floor"), p.add(x, more), shift, max(bits, shift)))


def half_to_even(p: Protocol, at: Scope, x: Arithmetic, shift: int, bits: int) -> Step[Arithmetic]:
    """x / 2**shift to the nearest whole number, halves to the even one, elementwise; IEEE 754's rounding.

    With q = floor(x / 2**(shift + 1)) and the rest r in [0, 2) of x / 2**shift - 2 q, the result is 2 q, one more if
    r > 1/2, and again one more if r >= 3/2.
    """
    half = 1 << (shift - 1)
    even = yield from floor_shift(p, at.child("even"), x, shift + 1, bits)
    rest = p.sub(x, p.scale(even, 2 << shift))
    passed = stacked([p.add_public(p.neg(rest), np.asarray(half, np.int64)), _up_to(p, rest, 3 * half)])
    flags = yield from is_negative(p, at.child("passed"), passed, shift + 1)
    (more,) = yield from p.weigh(at.child("more"), flags, [[1, 1]])
    return p.add(p.scale(even, 2), more)


def _up_to(p: Protocol, rest: Arithmetic, limit: int) -> Arithmetic:
    """Negative where rest >= limit."""
    return p.add_public(p.neg(rest), np.asarray(limit - 1, np.int64))
