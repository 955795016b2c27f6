"""Division by a secret.

Source: Goldschmidt's iteration, as used for secret-shared numbers by Catrina, Saxena, "Secure Computation with
Fixed-Point Numbers", FC 2010. Deviations: normalisation to [1/4, 1) in steps of four, which halves the number of bits
to convert; and one correction with the exact remainder, which makes the error independent of the size of the quotient.
"""

from __future__ import annotations

import math

import numpy as np

from quorate.circuits.normalise import Normaliser, normaliser, working_bits
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic

__all__ = ["ERROR", "divide"]

ERROR = 2.0
"""Worst error of a quotient, in units of the last place."""

ITERATIONS = 3
START, SLOPE = 3.83, 3


def divide(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, *, divisor_bits: int, quotient_bits: int, scale: int
) -> Step[Arithmetic]:
    """x / y * 2**scale, elementwise for equal shapes, within `ERROR`; 0 where y = 0.

    Requires 0 <= y < 2**divisor_bits and |x / y| < 2**quotient_bits.

    Raises:
        UserError: the bounds are too wide for the protocol's range.
    """
    digits = 2 * -(-divisor_bits // 2)
    _check(p, digits, quotient_bits, scale)
    powers = yield from normaliser(p, at.child("normalise"), y, divisor_bits)
    reciprocal = yield from _reciprocal(p, at.child("reciprocal"), y, powers)
    work = _Quotient(p, powers, reciprocal, scale)
    first, error = yield from work.estimate(at.child("first"), x, quotient_bits, 0)
    product = yield from p.mul(at.child("remainder"), first, y)
    remainder = p.sub(p.scale(x, 1 << scale) if scale >= 0 else x, product)
    correction, _ = yield from work.estimate(at.child("correction"), remainder, error, scale)
    return p.add(first, correction)


def _check(p: Protocol, digits: int, quotient_bits: int, scale: int) -> None:
    room = p.capacity - working_bits(p) - 2
    if quotient_bits > room or quotient_bits + digits > p.capacity or quotient_bits + scale + 2 > p.capacity:
        raise UserError(
            f"a division with a divisor below 2**{digits} and a quotient below 2**{quotient_bits} with {scale} fraction "
            f"bits does not fit {p.name}: the quotient may have at most {min(room, p.capacity - digits)} bits; declare "
            "narrower ranges for the columns, or pass a bound for the quotient"
        )


def _reciprocal(p: Protocol, at: Scope, y: Arithmetic, powers: Normaliser) -> Step[Arithmetic]:
    """About 4**pairs / (y * factor), in (1, 4], with `working_bits` fraction bits.

    From w = 3.83 - 3 d the relative error e is below 0.234 in absolute value and is squared by every iteration; w and
    e are improved in the same round.
    """
    bits = working_bits(p)
    d = yield from scaled_product(p, at.child("normal"), y, powers.factor, 2 * powers.pairs, bits)
    one = np.asarray(1 << bits, np.int64)
    w = p.add_public(p.scale(d, -SLOPE), np.asarray(round(START * (1 << bits)), np.int64))
    product = yield from p.mul(at.child("error"), d, w, bits)
    e = p.add_public(p.neg(product), one)
    for k in range(ITERATIONS):
        here = at.child(f"iteration {k}")
        better, e = yield from parallel(
            [p.mul(here.child("w"), w, p.add_public(e, one), bits), p.mul(here.child("e"), e, e, bits)]
        )
        w = better
    return (yield from p.mul(at.child("last"), w, p.add_public(e, one), bits))


def scaled_product(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, digits: int, wanted: int
) -> Step[Arithmetic]:
    """x * y, a number with `digits` fraction bits, brought to `wanted` fraction bits."""
    product = yield from p.mul(at, x, y, max(0, digits - wanted))
    return p.scale(product, 1 << (wanted - digits)) if wanted > digits else product


class _Quotient:
    """Multiplication by the reciprocal of one divisor."""

    def __init__(self, p: Protocol, powers: Normaliser, reciprocal: Arithmetic, scale: int) -> None:
        self.p = p
        self.powers = powers
        self.reciprocal = reciprocal
        self.scale = scale

    def estimate(self, at: Scope, x: Arithmetic, bits: int, raised: int) -> Step[tuple[Arithmetic, int]]:
        """x / y * 2**(scale - raised), and how many bits its error may have, before `raised` is counted in.

        |x / y| < 2**bits. Since y * factor < 4**pairs, x * factor stays below 2**bits * 4**pairs.
        """
        p, digits, work = self.p, 2 * self.powers.pairs, working_bits(self.p)
        keep = min(p.capacity - bits - work - 2, work)
        part = yield from scaled_product(p, at.child("part"), x, self.powers.factor, digits, keep)
        drop = keep + work - (self.scale - raised)
        quotient = yield from p.mul(at.child("quotient"), part, self.reciprocal, drop)
        error = 2.0 ** (bits - work + 6) + 2.0 ** (3 - keep)
        return quotient, max(1, math.ceil(math.log2(error * 2.0 ** max(self.scale, 0) + 4)))


