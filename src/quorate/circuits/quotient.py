"""Quotients of integers rounded down, and remainders: an estimate, then a comparison with the multiples near by.

The division gives the quotient within e units (`division_error`, `worst_error`). What is left of the dividend is exact,
and how many of the 2 e multiples of the divisor around it are too many says by how much the estimate is off.
"""

from __future__ import annotations

import math

import numpy as np

from quorate.circuits.compare import is_negative, is_zero
from quorate.circuits.divide import divide, worst_error
from quorate.circuits.histogram import below
from quorate.circuits.limits import stacked
from quorate.circuits.reduce import ones
from quorate.circuits.scaling import divide_public, division_error
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["floor_divide", "floor_divide_public"]

Pair = tuple[Arithmetic, Arithmetic]


def floor_divide_public(p: Protocol, at: Scope, x: Arithmetic, divisor: int, limit: int) -> Step[Pair]:
    """The quotient x / divisor rounded down and the remainder, which has the sign of the divisor; elementwise.

    Requires |x| <= limit and 0 < |divisor| < 2**40. Exact.

    Raises:
        UserError: see `division_plan`.
    """
    size, error = abs(divisor), math.ceil(division_error(p))
    x = p.neg(x) if divisor < 0 else x
    quotient = yield from divide_public(p, at.child("estimate"), x, size, 0, limit)
    rest = p.sub(x, p.scale(quotient, size))
    multiples = [k * size for k in range(1 - error, error + 1)]
    under = yield from below(p, at.child("place"), rest, multiples, -error * size, (error + 1) * size - 1)
    more = p.add_public(p.neg((yield from ones(p, at.child("count"), under))), np.asarray(error, np.int64))
    rest = p.sub(rest, p.scale(more, size))
    return p.add(quotient, more), p.neg(rest) if divisor < 0 else rest


def floor_divide(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, *, divisor: tuple[int, int], quotient_bits: int
) -> Step[Pair]:
    """The quotient x / y rounded down and the remainder, which has the sign of y; both 0 where y = 0; elementwise.

    Requires divisor[0] <= y <= divisor[1] and |x / y| < 2**quotient_bits for y other than 0. Exact.

    Raises:
        UserError: see `corrections`.
    """
    low, high = divisor
    largest, error = max(abs(low), abs(high)), math.ceil(worst_error(p))
    bits = max(1, largest.bit_length())
    flipped = None
    if low < 0:
        flipped = yield from is_negative(p, at.child("sign"), y, bits)
        turned = yield from p.inject(at.child("turned"), _both(flipped), stacked([x, y]))
        x, y = (p.sub(part, p.scale(_row(turned, k), 2)) for k, part in enumerate((x, y)))
    quotient = yield from divide(
        p, at.child("estimate"), x, y, divisor_bits=bits, quotient_bits=quotient_bits, scale=0, divisor_low=max(low, 0)
    )
    rest = p.sub(x, (yield from p.mul(at.child("product"), quotient, y)))
    distances = stacked([p.sub(rest, p.scale(y, k)) for k in range(1 - error, error + 1)])
    under = yield from is_negative(p, at.child("place"), distances, ((2 * error + 1) * largest).bit_length())
    more = p.add_public(p.neg((yield from ones(p, at.child("count"), under))), np.asarray(error, np.int64))
    rest = p.sub(rest, (yield from p.mul(at.child("moved"), more, y)))
    result = stacked([p.add(quotient, more), rest])
    if low <= 0 <= high:
        none = yield from is_zero(p, at.child("zero"), y, bits)
        result = p.sub(result, (yield from p.inject(at.child("nothing"), _both(none), result)))
    quotient, rest = _row(result, 0), _row(result, 1)
    if flipped is not None:
        rest = p.sub(rest, p.scale((yield from p.inject(at.child("signed"), flipped, rest)), 2))
    return quotient, rest


def _both(flags: Boolean) -> Boolean:
    """The same flags for two rows."""
    return flags.map(lambda part: np.stack([part, part]))


def _row(x: Arithmetic, index: int) -> Arithmetic:
    return x.map(lambda part: part[index])
