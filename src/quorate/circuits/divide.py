"""Division by a secret.

Source: Goldschmidt's iteration, as used for secret-shared numbers by Catrina, Saxena, "Secure Computation with
Fixed-Point Numbers", FC 2010. Deviations: normalisation to [1/4, 1) in steps of four, which halves the number of bits
to convert; and corrections with the exact remainder (none, one or two, as the ranges demand), which make the error
independent of the size of the quotient.
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

__all__ = ["corrections", "divide", "worst_error"]

REST = 0.25
"""What the estimates may leave of the error, in units of the last place; truncation comes on top."""

ITERATIONS = 3
START, SLOPE = 3.83, 3


def worst_error(p: Protocol) -> float:
    """Worst error of a quotient, in units of the last place."""
    return p.truncation_error + REST


def divide(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, *, divisor_bits: int, quotient_bits: int, scale: int
) -> Step[Arithmetic]:
    """x / y * 2**scale, elementwise for equal shapes, within `worst_error`; 0 where y = 0, within twice that.

    Requires 0 <= y < 2**divisor_bits and |x / y| < 2**quotient_bits.

    Raises:
        UserError: the bounds are too wide for the protocol's range.
    """
    quotient_bits = max(0, quotient_bits)
    if quotient_bits + scale < 0:
        return p.public(np.zeros(x.shape, np.int64))
    passes = corrections(p, divisor_bits=divisor_bits, quotient_bits=quotient_bits, scale=scale)
    powers = yield from normaliser(p, at.child("normalise"), y, divisor_bits, "found", "factor")
    reciprocal = yield from _reciprocal(p, at.child("reciprocal"), y, powers)
    work = _Quotient(p, powers, reciprocal)
    quotient = yield from work.estimate(at.child("first"), x, quotient_bits, scale)
    raised = max(0, scale)
    for k, bits in enumerate(passes):
        here = at.child(f"correction {k}")
        product = yield from p.mul(here.child("product"), quotient, y)
        remainder = p.sub(p.scale(x, 1 << raised), p.scale(product, 1 << (raised - scale)))
        more = yield from work.estimate(here.child("estimate"), remainder, bits, scale - raised)
        quotient = p.add(quotient, more)
    return quotient


def corrections(p: Protocol, *, divisor_bits: int, quotient_bits: int, scale: int) -> list[int]:
    """For every correction that `divide` needs, the bits of its quotient.

    Raises:
        UserError: the bounds are too wide for the protocol's range.
    """
    quotient_bits, digits = max(0, quotient_bits), 2 * -(-divisor_bits // 2)
    room, raised = p.capacity - working_bits(p) - 2, max(0, scale)
    fits = quotient_bits <= room and quotient_bits + digits <= p.capacity and quotient_bits + scale + 12 <= p.capacity
    error, passes = _estimate_error(p, quotient_bits, scale), []
    while fits and error > REST:
        bits = math.ceil(math.log2((error + p.truncation_error) * 2.0 ** (raised - scale)))
        fits = bits <= room and bits + digits <= p.capacity
        error = _estimate_error(p, bits, scale - raised)
        passes.append(bits)
    if not fits:
        raise UserError(
            f"a division with a divisor below 2**{digits} and a quotient below 2**{quotient_bits} with {scale} "
            f"fraction bits does not fit {p.name}, whose numbers have {p.capacity} bits; declare narrower ranges for "
            "the columns, pass a bound for the quotient, or use fewer fraction bits"
        )
    return passes


def _kept(p: Protocol, bits: int) -> int:
    """Fraction bits of a normalised dividend whose quotient is below 2**bits."""
    return min(p.capacity - bits - working_bits(p) - 2, working_bits(p))


def _estimate_error(p: Protocol, bits: int, digits: int) -> float:
    """Worst error of `_Quotient.estimate`, its last truncation left out.

    The reciprocal's relative error is below 11 units of its last place per unit of `truncation_error`, the normalised
    dividend's error grows by the reciprocal, at most 4.
    """
    unit = p.truncation_error
    return unit * (2.0 ** (bits - working_bits(p) + 4) + 2.0 ** (2 - _kept(p, bits))) * 2.0**digits


def _reciprocal(p: Protocol, at: Scope, y: Arithmetic, powers: Normaliser) -> Step[Arithmetic]:
    """About 4**pairs / (y * factor), in (1, 4], with `working_bits` fraction bits.

    For y = 0 about 0, so that what truncation leaves of 0 does not grow. From w = 3.83 - 3 d the relative error e is
    below 0.234 in absolute value and is squared by every iteration; w and e are improved in the same round.
    """
    bits = working_bits(p)
    d = yield from scaled_product(p, at.child("normal"), y, powers.powers["factor"], 2 * powers.pairs, bits)
    one = np.asarray(1 << bits, np.int64)
    w = p.sub(p.scale(powers.powers["found"], round(START * (1 << bits))), p.scale(d, SLOPE))
    product = yield from p.mul(at.child("error"), d, w, bits)
    e = p.add_public(p.neg(product), one)
    for k in range(ITERATIONS):
        here = at.child(f"iteration {k}")
        better, e = yield from parallel(
            [p.mul(here.child("w"), w, p.add_public(e, one), bits), p.mul(here.child("e"), e, e, bits)]
        )
        w = better
    return (yield from p.mul(at.child("last"), w, p.add_public(e, one), bits))


def scaled_product(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, digits: int, wanted: int) -> Step[Arithmetic]:
    """x * y, a number with `digits` fraction bits, brought to `wanted` fraction bits."""
    product = yield from p.mul(at, x, y, max(0, digits - wanted))
    return p.scale(product, 1 << (wanted - digits)) if wanted > digits else product


class _Quotient:
    """Multiplication by the reciprocal of one divisor."""

    def __init__(self, p: Protocol, powers: Normaliser, reciprocal: Arithmetic) -> None:
        self.p = p
        self.powers = powers
        self.reciprocal = reciprocal

    def estimate(self, at: Scope, x: Arithmetic, bits: int, wanted: int) -> Step[Arithmetic]:
        """x / y with `wanted` fraction bits, for |x / y| < 2**bits.

        Since y * factor < 4**pairs, x * factor stays below 2**bits * 4**pairs.
        """
        p, keep = self.p, _kept(self.p, bits)
        part = yield from scaled_product(
            p, at.child("part"), x, self.powers.powers["factor"], 2 * self.powers.pairs, keep
        )
        return (
            yield from scaled_product(p, at.child("quotient"), part, self.reciprocal, keep + working_bits(p), wanted)
        )
