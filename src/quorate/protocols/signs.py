"""Whether a value is negative or zero, from the summands that every protocol offers: the same for all of them.

The sign of a value is one bit of the sum of its Boolean-shared summands, so it takes one carry. A value is zero if and
only if its summands, the last one less one, add up to a word of ones only; two words do exactly if each is the
complement of the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels import bits
from quorate.protocols import adder
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["last_ones", "negative", "zero"]

Array = npt.NDArray[Any]


def negative(p: Protocol, at: Scope, x: Arithmetic, width: int) -> Step[Boolean]:
    """See `Protocol.negative`.

    Modulo 2**w it is the top bit of the sum. Modulo p = 2**61 - 1 negative values are those above p / 2, for which
    2 x mod p is odd; the lowest bit of a sum modulo p is that of its words, flipped if p was subtracted.
    """
    in_field = p.modulus_bits == adder.FIELD_BITS
    carry, low, _ = yield from adder.top_carry(p, at, p.add(x, x) if in_field else x, width)
    return p.xor(low, carry)


def zero(p: Protocol, at: Scope, x: Arithmetic, width: int) -> Step[Boolean]:
    """See `Protocol.zero`.

    Modulo p, the complement of the last word stands for its negative as one of 1 ... p. So the words never add up to 0,
    and no three of them are all ones: the two words they are reduced to add up to p if x is 0.
    """
    words = yield from p.summands(at.child("summands"), x, negate_last=True, width=width)
    last = words[-1]
    words[-1] = p.xor_public(last, np.asarray((1 << last.width) - 1, last.parts[0].dtype))
    u, v, _ = yield from adder.carry_save(p, at.child("save"), words)
    return (yield from _all_ones(p, at.child("tree"), p.xor(u, v)))


def _all_ones(p: Protocol, at: Scope, words: Boolean) -> Step[Boolean]:
    """Whether all bits of a word of at most 64 bits are ones: a tree of ands."""
    same = _filled(p, words.map(lambda part: part.reshape(-1)))
    for kind in (np.uint32, np.uint16, np.uint8):
        width = np.dtype(kind).itemsize * 8
        if width >= same.width:
            continue
        high = tuple((part >> part.dtype.type(width)).astype(kind) for part in same.parts)
        low = tuple(part.astype(kind) for part in same.parts)
        same = yield from p.and_(
            at.child(f"{width} bits"), Boolean(same.scheme, high, width), Boolean(same.scheme, low, width)
        )
    return (yield from last_ones(p, at, same, words.shape))


def last_ones(p: Protocol, at: Scope, same: Boolean, shape: tuple[int, ...]) -> Step[Boolean]:
    """Whether all bits of words of 8 bits (1-D) are ones: bits of `shape`. Words share bytes as they shrink."""
    count = same.size
    for width in (4, 2, 1):
        mask = np.uint8(0xFF // ((1 << (2 * width)) - 1) * ((1 << width) - 1))
        high = tuple(bits.fold((part >> np.uint8(width)) & mask, width) for part in same.parts)
        low = tuple(bits.fold(part & mask, width) for part in same.parts)
        same = yield from p.and_(at.child(f"{width} bits"), Boolean(same.scheme, high, 8), Boolean(same.scheme, low, 8))
    return Boolean(same.scheme, tuple(bits.carry_bits(part, count).reshape(shape) for part in same.parts))


def _filled(p: Protocol, words: Boolean) -> Boolean:
    """The words with ones above their width, up to the whole of their type."""
    kind = words.parts[0].dtype
    lanes = 8 * kind.itemsize
    whole = Boolean(words.scheme, words.parts, lanes)
    if words.width == lanes:
        return whole
    return p.xor_public(whole, np.asarray((1 << lanes) - (1 << words.width), kind))
