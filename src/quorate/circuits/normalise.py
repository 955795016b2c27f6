"""Bringing a secret number into [1/4, 1) by a power of four that stays secret."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quorate.circuits.convert import to_bits
from quorate.circuits.logic import or_
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels.pairs import bits_of, split_pairs
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = [
    "Factor",
    "Weight",
    "factor",
    "found",
    "inverse_root",
    "leading_pair",
    "normal",
    "normal_bits",
    "normal_digits",
    "normaliser",
    "root",
    "scaled",
]

Weight = Callable[[int, int], int]
"""(pair that a number starts in, pair that the largest one starts in) -> what is wanted of it."""


def found(k: int, last: int) -> int:
    """1, to tell 0 from other numbers."""
    return 1


def factor(k: int, last: int) -> int:
    """A power of four such that y * factor / 2**normal_bits(high) lies in [1/4, 1)."""
    return 1 << 2 * (last - k)


def root(k: int, last: int) -> int:
    """A power of two whose product with the root of that normal number is the root of y."""
    return 1 << (k + 1)


def inverse_root(k: int, last: int) -> int:
    """The square root of the factor."""
    return 1 << (last - k)


SPARE = 30
"""Bits that a modulus has beyond the fraction bits of a number whose angle is taken; see `series`."""

Factor = Arithmetic | int
"""A secret power, or a public one where the range of the number leaves only one."""


def leading_pair(value: int) -> int:
    """In which pair of bits, from the lowest on, the leading bit of a positive number is."""
    return (value.bit_length() - 1) // 2


def normal_bits(high: int) -> int:
    """Bits of y * factor, for y up to `high`."""
    return 2 * (leading_pair(high) + 1)


def normal_digits(modulus_bits: int, high: int) -> int:
    """Fraction bits of normal numbers: all, or as many as an angle modulo 2**modulus_bits can be taken of exactly
    enough."""
    return min(normal_bits(high), modulus_bits - SPARE)


def normaliser(p: Protocol, at: Scope, y: Arithmetic, low: int, high: int, *wanted: Weight) -> Step[list[Factor]]:
    """What is wanted of the pair of bits that numbers from low to high start in, low >= 0; all are 0 for y = 0.

    Cost for f pairs that y can start in: a decomposition, an or of pairs, ceil(log2(f)) ors of prefixes (words of f
    bits), and `weigh` of f flags, one sum for each weight. Nothing, where low and high start in the same pair.
    """
    last, first = leading_pair(high), leading_pair(max(low, 1))
    if low > 0 and first == last:
        return [weight(last, last) for weight in wanted]
    words = yield from to_bits(p, at.child("bits"), y, 2 * (last + 1))
    found = yield from _pairs(p, at.child("pairs"), words)
    filled = yield from _prefix_or(p, at.child("prefix"), found, last - first + 1)
    flags = _flags(p, filled, first if low > 0 else None, last)
    start = last + 1 - flags.shape[0]
    weights = [[weight(k, last) for k in range(start, last + 1)] for weight in wanted]
    return [*(yield from p.weigh(at.child("flags"), flags, weights))]


def normal(p: Protocol, at: Scope, y: Arithmetic, by: Factor, high: int) -> Step[Arithmetic]:
    """y * by, its factor, with `normal_digits`: exact, or within a truncation's error where there are too many."""
    drop = normal_bits(high) - normal_digits(p.modulus_bits, high)
    return (yield from scaled(p, at, y, by, drop))


def scaled(p: Protocol, at: Scope, x: Arithmetic, by: Factor, shift: int = 0) -> Step[Arithmetic]:
    """x * by / 2**shift, with the error of a truncation for shift > 0; a negative shift multiplies."""
    by, shift = (by << -shift, 0) if isinstance(by, int) and shift < 0 else (by, shift)
    if not isinstance(by, int):
        product = yield from p.mul(at, x, by, max(0, shift))
        return p.scale(product, 1 << -shift) if shift < 0 else product
    common = min(shift, (by & -by).bit_length() - 1)
    by, shift = by >> common, shift - common
    product = p.scale(x, by)
    return (yield from p.truncate(at, product, shift)) if shift else product


def _pairs(p: Protocol, at: Scope, words: Boolean) -> Step[Boolean]:
    """Which pairs of bits are not 00, as words of half the width."""
    halves = [split_pairs(part) for part in words.parts]
    lanes = 8 * halves[0][0].dtype.itemsize
    even, odd = (Boolean(words.scheme, tuple(half[k] for half in halves), lanes) for k in range(2))
    return (yield from or_(p, at, even, odd))


def _prefix_or(p: Protocol, at: Scope, words: Boolean, count: int) -> Step[Boolean]:
    """At each position: whether a bit is set there or at one of the `count - 1` next higher ones."""
    kind, distance = words.parts[0].dtype.type, 1
    while distance < count:
        moved = words.map(lambda part, by=distance: part >> kind(by))  # type: ignore[misc]
        words = yield from or_(p, at.child(f"distance {distance}"), words, moved)
        distance *= 2
    return words


def _flags(p: Protocol, filled: Boolean, first: int | None, last: int) -> Boolean:
    """Which pair is the leading one, from pair `first` (known to be at or below it) or from 0 on."""
    kind = filled.parts[0].dtype.type
    if first is not None:
        above = kind((1 << (last + 1)) - (1 << (first + 1)))
        filled = filled.map(lambda part: part & above)
        filled = p.xor_public(filled, np.full(filled.shape, 1 << first, kind))
    edge = p.xor(filled, filled.map(lambda part: part >> kind(1)))
    start = first or 0
    return Boolean(edge.scheme, tuple(bits_of(part, start, last + 1 - start) for part in edge.parts))
