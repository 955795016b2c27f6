"""Comparisons, exact for all values that a protocol can hold.

The sign of a value is one bit of a sum of Boolean-shared summands, so a comparison is one carry: no value is opened and
nothing can overflow as long as the difference lies within the capacity. A value is zero if and only if its summands,
the last one less one, add up to a word of ones only: two words do exactly if each is the complement of the other.

`bits`, where given, is a promise: the tested value (for two operands their difference) is below 2**bits in magnitude.
Rings then work on words of 8, 16 or 32 bits; fields take no notice. A false promise gives a wrong result.

Cost with two summands (rep3, shamir with t = 1, semi2k with n = 2) on words of w bits, without what the summands cost
(rep3, shamir one round): both take log2(w) rounds, `is_negative` 2 w - 3 bits of ands, `is_zero` w - 1. More summands
are first reduced to two.
"""

from __future__ import annotations

import numpy as np

from quorate.circuits.logic import not_
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels import bits as kernels
from quorate.protocols import adder
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Array, Boolean

__all__ = ["equal", "is_negative", "is_zero", "less"]


def less(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x < y, elementwise for equal shapes; width 1."""
    return is_negative(p, at, p.sub(x, y), bits)


def equal(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x == y, elementwise for equal shapes; width 1."""
    return is_zero(p, at, p.sub(x, y), bits)


def is_negative(p: Protocol, at: Scope, x: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x < 0; width 1.

    Modulo 2**w it is the top bit of the sum. Modulo p = 2**61 - 1 negative values are those above p / 2, for which
    2 x mod p is odd; the lowest bit of a sum modulo p is that of its words, flipped if p was subtracted.
    """
    in_field = p.modulus_bits == adder.FIELD_BITS
    width = 64 if bits is None else adder.lanes(bits + 1)
    carry, low, _ = yield from adder.top_carry(p, at, p.add(x, x) if in_field else x, width)
    return p.xor(low, carry)


def is_zero(p: Protocol, at: Scope, x: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x == 0; width 1.

    Modulo p, the complement of the last word stands for its negative as one of 1 ... p. So the words never add up to 0,
    and no three of them are all ones: the two words they are reduced to add up to p if x is 0.
    """
    width = 64 if bits is None else adder.lanes(max(bits, 1))
    words = yield from p.summands(at.child("summands"), x, negate_last=True, width=width)
    words[-1] = not_(p, words[-1])
    u, v, _ = yield from adder.carry_save(p, at.child("save"), words)
    return (yield from _all_ones(p, at.child("tree"), p.xor(u, v)))


def _all_ones(p: Protocol, at: Scope, words: Boolean) -> Step[Boolean]:
    """Whether all bits of a word of at most 64 bits are ones: a tree of ands."""
    shape, count = words.shape, words.size
    same = _filled(p, words.map(lambda part: part.reshape(-1)))
    for kind in (np.uint32, np.uint16, np.uint8):
        width = np.dtype(kind).itemsize * 8
        if width >= same.width:
            continue
        high = tuple((part >> part.dtype.type(width)).astype(kind) for part in same.parts)
        low = tuple(part.astype(kind) for part in same.parts)
        same = yield from _and_parts(p, at.child(f"{width} bits"), same, high, low, width)
    for width in (4, 2, 1):
        mask = np.uint8(0xFF // ((1 << (2 * width)) - 1) * ((1 << width) - 1))
        high = tuple(kernels.fold((part >> np.uint8(width)) & mask, width) for part in same.parts)
        low = tuple(kernels.fold(part & mask, width) for part in same.parts)
        same = yield from _and_parts(p, at.child(f"{width} bits"), same, high, low, 8)
    parts = tuple(kernels.carry_bits(part, count).reshape(shape) for part in same.parts)
    return Boolean(words.scheme, parts)


def _filled(p: Protocol, words: Boolean) -> Boolean:
    """The words with ones above their width, up to the whole of their type."""
    kind = words.parts[0].dtype
    lanes = 8 * kind.itemsize
    whole = Boolean(words.scheme, words.parts, lanes)
    if words.width == lanes:
        return whole
    above = (1 << lanes) - (1 << words.width)
    return p.xor_public(whole, np.full(words.shape, above, kind))


def _and_parts(
    p: Protocol, at: Scope, like: Boolean, high: tuple[Array, ...], low: tuple[Array, ...], width: int
) -> Step[Boolean]:
    return p.and_(at, Boolean(like.scheme, high, width), Boolean(like.scheme, low, width))
