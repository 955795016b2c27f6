"""Comparisons, exact for all values that a protocol can hold.

The sign of a value is one bit of a sum of Boolean-shared summands, so a comparison is one carry: no value is opened and
nothing can overflow as long as both values lie within the capacity.

Cost with two summands (rep3, shamir with t = 1, semi2k with n = 2), rounds without the summands' own (rep3, shamir 1):
`is_negative` 7 rounds, `equal` 6 rounds. With k > 2 summands `equal` costs two comparisons.
"""

from __future__ import annotations

import numpy as np

from quorate.circuits.logic import not_
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels import bits
from quorate.protocols import adder
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Array, Boolean, concatenate

__all__ = ["equal", "is_negative", "is_zero", "less"]


def less(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Boolean]:
    """x < y, elementwise for equal shapes; width 1."""
    return is_negative(p, at, p.sub(x, y))


def equal(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Boolean]:
    """x == y, elementwise for equal shapes; width 1."""
    return is_zero(p, at, p.sub(x, y))


def is_negative(p: Protocol, at: Scope, x: Arithmetic) -> Step[Boolean]:
    """x < 0; width 1.

    Modulo 2**64 it is the top bit of the sum. Modulo p = 2**61 - 1 negative values are those above p / 2, for which
    2 x mod p is odd; the lowest bit of a sum modulo p is that of its words, flipped if p was subtracted.
    """
    in_field = p.modulus_bits == adder.FIELD_BITS
    carry, low, _ = yield from adder.top_carry(p, at, p.add(x, x) if in_field else x)
    return p.xor(low, carry)


def is_zero(p: Protocol, at: Scope, x: Arithmetic) -> Step[Boolean]:
    """x == 0; width 1."""
    words = yield from p.summands(at.child("summands"), x, negate_last=True)
    if len(words) > 2:
        both = concatenate([_flat(x), _flat(p.neg(x))], 0)
        signs = yield from is_negative(p, at.child("signs"), both)
        neither = not_(p, signs).map(lambda part: part.reshape((2, *x.shape)))
        halves = (neither.map(lambda part: part[0].copy()), neither.map(lambda part: part[1].copy()))
        return (yield from p.and_(at.child("neither"), *halves))
    difference = p.xor(*words) if len(words) == 2 else words[0]
    return (yield from _all_zero(p, at.child("tree"), difference))


def _flat(x: Arithmetic) -> Arithmetic:
    return x.map(lambda part: part.reshape(-1))


def _all_zero(p: Protocol, at: Scope, words: Boolean) -> Step[Boolean]:
    """Whether all bits of a word of at most 64 bits are zero: a tree of ands on the complement."""
    shape, count = words.shape, words.size
    flat = words.map(lambda part: part.reshape(-1))
    same = p.xor_public(Boolean(flat.scheme, flat.parts, 64), np.full(count, 2**64 - 1, np.uint64))
    for kind in (np.uint32, np.uint16, np.uint8):
        width = np.dtype(kind).itemsize * 8
        high = tuple((part >> part.dtype.type(width)).astype(kind) for part in same.parts)
        low = tuple(part.astype(kind) for part in same.parts)
        same = yield from _and_parts(p, at.child(f"{width} bits"), same, high, low, width)
    for width in (4, 2, 1):
        mask = np.uint8(0xFF // ((1 << (2 * width)) - 1) * ((1 << width) - 1))
        high = tuple(bits.fold((part >> np.uint8(width)) & mask, width) for part in same.parts)
        low = tuple(bits.fold(part & mask, width) for part in same.parts)
        same = yield from _and_parts(p, at.child(f"{width} bits"), same, high, low, 8)
    parts = tuple(bits.carry_bits(part, count).reshape(shape) for part in same.parts)
    return Boolean(words.scheme, parts)


def _and_parts(
    p: Protocol, at: Scope, like: Boolean, high: tuple[Array, ...], low: tuple[Array, ...], width: int
) -> Step[Boolean]:
    return p.and_(at, Boolean(like.scheme, high, width), Boolean(like.scheme, low, width))
