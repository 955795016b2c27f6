"""Powers of two with a secret exponent for protocols without functions of summands; see `exponential` for the others.

The exponent, made positive, is taken apart: the bits of its whole part as numbers b_i, and the rest g in [0, 1). Then
2**t is 2**g, a polynomial (`chebyshev`), times the product of 1 + b_i (2**(2**i) - 1). Where that leaves too few digits
the highest bits only choose by how much the product of the others is shifted.

Cost: a decomposition, a conversion for each bit of the whole part, one product less, some seven products with
truncation for the polynomial, a product and a truncation (one for each choice).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from quorate.circuits import chebyshev
from quorate.circuits.chebyshev import Polynomial
from quorate.circuits.convert import bits_at, to_bits
from quorate.circuits.exact import ONE, power_of_two
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, concatenate

if TYPE_CHECKING:
    from quorate.circuits.series import Traits

__all__ = ["BitPower", "error", "plan", "power"]

COARSEST, GOOD = 14, 24
"""Digits of a power: the fewest that are accepted, and those that suffice in any case."""

MARGIN = Fraction(1, 256)
"""By how much a rounded exponent may be off, in binary orders, at most."""


class BitPower(NamedTuple):
    """How a power is computed.

    Attributes:
        floor: binary orders that exponents start at.
        cut: below this (raw) the result is 0; None if nothing is.
        turn, start: x * turn - start has `fraction` fraction bits, and is not negative.
        fraction: see there.
        whole: bits of the whole part.
        joined: how many of them, from the lowest on, are multiplied; the rest choose a shift.
        shifts: by how much the product is divided for each value of the rest.
        digits: fraction bits of the power of the rest.
    """

    floor: int
    cut: int | None
    turn: int
    start: int
    fraction: int
    whole: int
    joined: int
    shifts: tuple[int, ...]
    digits: int


@cache
def plan(t: Traits, rate: Fraction, low: int, high: int, scale: int) -> BitPower | None:
    """How 2**(x * rate + scale) is computed for low <= x <= high; None if it does not fit."""
    cut = math.ceil(-(scale + 2) / rate) if low * rate < -(scale + 3) else None
    least = low if cut is None else min(cut, high)
    floor, top = math.floor(least * rate - MARGIN), math.ceil(high * rate + MARGIN)
    orders = max(1, top - floor)
    whole = orders.bit_length()
    fraction = t.capacity - 1 - whole
    turn = round(rate * (1 << fraction))
    off = abs(turn - rate * (1 << fraction)) * max(abs(low), abs(high))
    if top + scale > t.capacity or fraction <= chebyshev.most_digits(t.capacity) or off + 1 > MARGIN * (1 << fraction):
        return None
    best = None
    for joined in range(whole, -1, -1):
        reach = min(orders, (1 << joined) - 1)
        digits = min(chebyshev.most_digits(t.capacity), t.capacity - 2 - reach)
        if best is None or digits > best.digits:
            shifts = [digits - (h << joined) - floor - scale for h in range((orders >> joined) + 1)]
            if shifts[0] <= t.capacity:
                best = BitPower(floor, cut, turn, floor << fraction, fraction, whole, joined, tuple(shifts), digits)
        if best is not None and best.digits >= min(GOOD, max(COARSEST, top + scale)):
            break
    return best if best is not None and best.digits >= COARSEST else None


def error(t: Traits, how: BitPower, rate: Fraction, largest: int) -> tuple[float, float]:
    """Worst error: relative, and in units of the last place; see `exponential.power_error`."""
    polynomial = _polynomial(t)
    off = float(abs(how.turn - rate * (1 << how.fraction)) * largest)
    orders = math.ldexp(off + 1, -how.fraction) + math.ldexp(t.truncation, -polynomial.digits - 1)
    relative = polynomial.error + 0.7 * orders + math.ldexp(t.truncation + 0.5, -how.digits)
    return relative * (1 + 2.0**-10), t.truncation + 0.25


@cache
def _coefficients() -> tuple[int, ...]:
    """Of 2**((u + 1) / 2)."""
    return chebyshev.coefficients(lambda u: power_of_two((u + ONE) // 2))


@cache
def _polynomial(t: Traits) -> Polynomial:
    enough = math.ldexp(1.0, -chebyshev.most_digits(t.capacity) - 1)
    return chebyshev.polynomial(t.capacity, t.truncation, _coefficients(), 2.0 + 2.0**-20, enough)


def power(p: Protocol, at: Scope, t: Traits, x: Arithmetic, how: BitPower) -> Step[Arithmetic]:
    """The power without a look at `cut`."""
    y = p.add_public(p.scale(x, how.turn), np.asarray(-how.start, np.int64))
    words = yield from to_bits(p, at.child("bits"), y, how.fraction + how.whole)
    places = list(range(how.fraction, how.fraction + how.whole))
    numbers = yield from p.to_arithmetic(at.child("numbers"), bits_at(words, places))
    bits = [numbers.map(lambda part, k=k: part[k]) for k in range(how.whole)]  # type: ignore[misc]
    rest = y
    for place, bit in zip(places, bits, strict=True):
        rest = p.sub(rest, p.scale(bit, 1 << place))
    factors = [
        p.add_public(p.scale(bit, (1 << (1 << k)) - 1), np.asarray(1, np.int64))
        for k, bit in enumerate(bits[: how.joined])
    ]
    steps: list[Step[Any]] = [
        _fine(p, at.child("fine"), t, rest, how),
        _product(p, at.child("whole"), factors),
        _one_hot(p, at.child("chosen"), bits[how.joined :], len(how.shifts)),
    ]
    fine, whole, chosen = yield from parallel(steps)
    joined: Arithmetic = fine if whole is None else (yield from p.mul(at.child("joined"), whole, fine))
    return (yield from _shifted(p, at.child("shifted"), joined, chosen, how.shifts))


def _fine(p: Protocol, at: Scope, t: Traits, rest: Arithmetic, how: BitPower) -> Step[Arithmetic]:
    """2**g, g the rest of the exponent."""
    polynomial = _polynomial(t)
    centred = p.add_public(p.scale(rest, 2), np.asarray(-(1 << how.fraction), np.int64))
    u = yield from p.truncate(at.child("place"), centred, how.fraction - polynomial.digits)
    return (yield from chebyshev.evaluate(p, at.child("sum"), u, polynomial, how.digits))


def _product(p: Protocol, at: Scope, factors: list[Arithmetic]) -> Step[Arithmetic | None]:
    """Of all factors, in a tree; None if there is none."""
    level = 0
    while len(factors) > 1:
        half = len(factors) // 2
        left, right = _stacked(factors[:half]), _stacked(factors[half : 2 * half])
        products = yield from p.mul(at.child(f"level {level}"), left, right)
        made = [products.map(lambda part, k=k: part[k]) for k in range(half)]  # type: ignore[misc]
        factors, level = made + factors[2 * half :], level + 1
    return factors[0] if factors else None


def _one_hot(p: Protocol, at: Scope, bits: list[Arithmetic], size: int) -> Step[list[Arithmetic]]:
    """Which of 0 ... size - 1 the bits, lowest first, spell, as numbers; none for size 1."""
    if size == 1:
        return []
    found = [p.public(np.ones(bits[0].shape, np.int64))]
    for k, bit in enumerate(bits):
        products = [bit] if k == 0 else (yield from _times_all(p, at.child(f"bit {k}"), bit, found))
        found = [p.sub(one, product) for one, product in zip(found, products, strict=True)] + products
    return found[:size]


def _times_all(p: Protocol, at: Scope, bit: Arithmetic, numbers: list[Arithmetic]) -> Step[list[Arithmetic]]:
    products = yield from p.mul(at, _stacked([bit] * len(numbers)), _stacked(numbers))
    return [products.map(lambda part, k=k: part[k]) for k in range(len(numbers))]  # type: ignore[misc]


def _shifted(
    p: Protocol, at: Scope, joined: Arithmetic, chosen: list[Arithmetic], shifts: tuple[int, ...]
) -> Step[Arithmetic]:
    """The product divided by 2 to the chosen shift; negative ones multiply."""
    steps = [_divided(p, at.child(f"{k}"), joined, shift) for k, shift in enumerate(shifts)]
    results = yield from parallel(steps)
    if not chosen:
        return results[0]
    kept = yield from p.mul(at.child("choice"), _stacked(chosen), _stacked(results))
    return p.sum(kept, 0)


def _divided(p: Protocol, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
    if shift <= 0:
        return p.scale(x, 1 << -shift)
    return (yield from p.truncate(at, x, shift))


def _stacked(shares: Iterable[Arithmetic]) -> Arithmetic:
    return concatenate([share.map(lambda part: part[None]) for share in shares], 0)
