"""Addition of Boolean-shared words: the bridge from arithmetic to bits, the same for every protocol.

The words are the summands of a secret modulo 2**64 or modulo 2**61 - 1. Carries are found with parallel-prefix trees
(Brent, Kung, "A Regular Layout for Parallel Adders", 1982; Sklansky, 1960) on words that hold all positions of a
number, so that one `and_` of a word serves a whole level. The tree for a single carry halves its words per level.

Rounds and bits per number (k summands, modulo 2**b): `carry_save` one round and b bits per layer of three-to-two
adders; `carry_out` 7 rounds and 64 + 64 + 32 + 16 + 8 + 4 + 1 bits; `sum_words` 1 + 6 rounds and 7 * 64 bits for 64
positions, and one more round and word modulo 2**61 - 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import bits
from quorate.protocols.base import Protocol
from quorate.sharing.share import Boolean
from quorate.sharing.wire import word_type

__all__ = ["carry_out", "carry_save", "sum_words"]

Array = npt.NDArray[Any]
FIELD_BITS = 61
LEVELS = (64, 32, 16, 8, 4)


def carry_save(p: Protocol, at: Scope, words: list[Boolean]) -> Step[tuple[Boolean, Boolean, list[Boolean]]]:
    """Reduce summands to two words with the same sum modulo 2**64 or p = 2**61 - 1.

    Modulo p each doubling of a carry word may subtract p once: the third result holds those bits (width 1), so that
    sum(words) = u + v + p * (number of set bits).
    """
    words = list(words)
    wraps: list[Boolean] = []
    layer = 0
    while len(words) > 2:
        layer += 1
        triples = [words[k : k + 3] for k in range(0, len(words) - 2, 3)]
        rest = words[3 * len(triples) :]
        steps = [p.and_(at.child(f"layer {layer}, {k}"), p.xor(a, b), p.xor(a, c)) for k, (a, b, c) in enumerate(triples)]
        ands = yield from parallel(steps)
        words = []
        for (a, b, c), both in zip(triples, ands, strict=True):
            majority = p.xor(both, a)
            words += [p.xor(p.xor(a, b), c), majority.map(_doubler(p))]
            if p.modulus_bits == FIELD_BITS:
                wraps.append(bit_of(majority, FIELD_BITS - 1))
        words += rest
    if len(words) == 1:
        words.append(words[0].map(np.zeros_like))
    return words[0], words[1], wraps


def _doubler(p: Protocol) -> Any:
    """Twice a word: a shift modulo 2**64, a rotation modulo 2**61 - 1."""
    if p.modulus_bits != FIELD_BITS:
        return lambda part: part << np.uint64(1)
    top, mask = np.uint64(FIELD_BITS - 1), np.uint64((1 << FIELD_BITS) - 1)
    return lambda part: ((part << np.uint64(1)) & mask) | (part >> top)


def bit_of(words: Boolean, position: int) -> Boolean:
    """One bit of every word, width 1."""
    kind = words.parts[0].dtype.type
    parts = tuple(((part >> kind(position)) & kind(1)).astype(np.uint8) for part in words.parts)
    return Boolean(words.scheme, parts)


def carry_out(
    p: Protocol, at: Scope, u: Boolean, v: Boolean, positions: int, carry_in: bool = False
) -> Step[Boolean]:
    """The carry out of the low `positions` bits (at most 64, with a carry in at most 63) of u + v; width 1."""
    shape, unused = u.shape, 64 - positions
    u, v = (_spread_out(word, unused) for word in (u, v))
    g = yield from p.and_(at.child("generate"), u, v)
    propagate = p.xor(u, v)
    if carry_in:
        first = bits.reverse(np.array([1 << (unused - 1)], np.uint64))
        g = p.xor_public(g, np.broadcast_to(first, g.shape))
    for level in LEVELS:
        operands = [bits.carry_level(a, b, level) for a, b in zip(g.parts, propagate.parts, strict=True)]
        z = yield from p.and_(at.child(f"level {level}"), *_columns(g, operands))
        combined = [bits.carry_combine(a, b, level) for a, b in zip(g.parts, z.parts, strict=True)]
        g, propagate = _columns(g, combined)
    last = [bits.carry_last(a, b) for a, b in zip(g.parts, propagate.parts, strict=True)]
    z = yield from p.and_(at.child("level 2"), *_columns(g, last))
    count = u.size
    carries = [bits.carry_bits(bits.carry_finish(a, b), count) for a, b in zip(g.parts, z.parts, strict=True)]
    return Boolean(u.scheme, tuple(carry.reshape(shape) for carry in carries))


def _spread_out(words: Boolean, unused: int) -> Boolean:
    """Words of 64 positions in the order of the carry tree, with `unused` empty ones below."""
    parts = tuple(bits.reverse((part << np.uint64(unused)).reshape(-1)) for part in words.parts)
    return Boolean(words.scheme, parts, 64)


def _columns(like: Boolean, rows: list[tuple[Array, Array]]) -> tuple[Boolean, Boolean]:
    """From (first, second) per part to two sharings."""
    width = rows[0][0].dtype.itemsize * 8
    first, second = (tuple(row[k] for row in rows) for k in range(2))
    return Boolean(like.scheme, first, width), Boolean(like.scheme, second, width)


def sum_words(p: Protocol, at: Scope, u: Boolean, v: Boolean, width: int) -> Step[Boolean]:
    """All bits of u + v: modulo 2**width (width <= 64), or the canonical representative modulo 2**61 - 1.

    Modulo p, u + v must not be 2p.
    """
    field = p.modulus_bits == FIELD_BITS
    u, v = (narrow(word, FIELD_BITS if field else width) for word in (u, v))
    propagate = p.xor(u, v)
    g = yield from p.and_(at.child("generate"), u, v)
    carries, through = yield from _prefixes(p, at, g, propagate)
    if field:
        top = FIELD_BITS - 1
        wraps = p.xor(bit_of(carries, top), bit_of(through, top))
        spread = Boolean(wraps.scheme, tuple(_spread(part) for part in wraps.parts), FIELD_BITS)
        extra = yield from p.and_(at.child("end-around"), through, spread)
        carries = p.xor(carries, extra)
        carry_in = spread.map(lambda part: part & np.uint64(1))
        propagate = p.xor(propagate, carry_in)
    kind = propagate.parts[0].dtype.type
    mask = kind((1 << u.width) - 1)
    return p.xor(propagate, carries.map(lambda part: (part << kind(1)) & mask))


def _spread(bit: Array) -> Array:
    """A word of 61 equal bits from each bit."""
    return (np.uint64(0) - bit.astype(np.uint64)) & np.uint64((1 << FIELD_BITS) - 1)


def narrow(words: Boolean, width: int) -> Boolean:
    """The low `width` bits of every word, in the smallest type that holds them."""
    kind = word_type(width)
    mask = kind.type((1 << width) - 1)
    return Boolean(words.scheme, tuple(part.astype(kind) & mask for part in words.parts), width)


def _prefixes(p: Protocol, at: Scope, g: Boolean, t: Boolean) -> Step[tuple[Boolean, Boolean]]:
    """For every position i: the carry out of positions 0 ... i without a carry in, and whether one would pass through.

    Sklansky's tree. At level b the positions with bit b set take in the top of the block below them. The two products
    of such a position travel as the upper and the lower half of its pair of blocks: one word per level.
    """
    lanes = 8 * g.parts[0].dtype.itemsize
    level = 1
    while level < g.width:
        upper = _upper_mask(level, lanes)
        x = t.map(lambda part, m=upper, d=level: (part & m) | ((part & m) >> part.dtype.type(d)))  # type: ignore[misc]
        y = Boolean(
            g.scheme,
            tuple(
                _block_tops(a, level, lanes) << a.dtype.type(level) | _block_tops(b, level, lanes)
                for a, b in zip(g.parts, t.parts, strict=True)
            ),
            lanes,
        )
        z = yield from p.and_(at.child(f"prefix {level}"), _as_width(x, lanes), y)
        z = _as_width(z, g.width)
        g = p.xor(g, z.map(lambda part, m=upper: part & m))  # type: ignore[misc]
        moved = z.map(lambda part, m=upper, d=level: (part << part.dtype.type(d)) & m)  # type: ignore[misc]
        t = p.xor(t.map(lambda part, m=upper: part & ~m), moved)  # type: ignore[misc]
        level *= 2
    return g, t


def _upper_mask(level: int, lanes: int) -> Any:
    """Ones at the positions that have the bit `level` set."""
    block = ((1 << level) - 1) << level
    return word_type(lanes).type(sum(block << start for start in range(0, lanes, 2 * level)))


def _block_tops(part: Array, level: int, lanes: int) -> Array:
    """The bit at the top of every lower block, repeated over that block."""
    kind = part.dtype.type
    starts = kind(sum(1 << start for start in range(0, lanes, 2 * level)))
    return ((part >> kind(level - 1)) & starts) * kind((1 << level) - 1)


def _as_width(words: Boolean, width: int) -> Boolean:
    return Boolean(words.scheme, words.parts, width)
