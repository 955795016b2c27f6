"""Addition of Boolean-shared words: the bridge from arithmetic to bits, the same for every protocol.

The words are the summands of a secret modulo 2**w (w of 8, 16, 32, 64) or modulo 2**61 - 1. Carries are found with
parallel-prefix trees (Brent, Kung, "A Regular Layout for Parallel Adders", 1982; Sklansky, 1960) on words that hold all
positions of a number, so that one `and_` of a word serves a whole level. The tree for a single carry halves its words
per level.

Carries without a product to start with: the carry out of position i of the words u, v is c_i+1 = u_i ^ p_i (u_i ^ c_i)
with p_i = u_i ^ v_i. So e_i = c_i ^ u_i obeys e_i+1 = g_i ^ p_i e_i with g_i = u_i ^ u_i+1: maps whose g and p are sums
of bits of u and v, composed by trees as generate and propagate bits are. Ours; the usual g_i = u_i v_i costs a round
and a word more. The first map is the constant e_0 = u_0, or u_0 ^ 1 with a carry in.

Rounds and bits per number (k summands, words of w bits): `carry_save` one round and w bits per layer of three-to-two
adders; `top_carry` log2(w) rounds and w + w / 2 + ... + 4 + 1 bits; `sum_words` log2(w) rounds of w bits, and one more
modulo 2**61 - 1, where w is 64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import bits
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean
from quorate.sharing.wire import word_type

__all__ = ["carry_level", "carry_save", "half_add", "sum_words", "top_carry"]

Array = npt.NDArray[Any]
FIELD_BITS = 61
LEVELS = (64, 32, 16, 8, 4)
TURN = {64: 1, FIELD_BITS: 3}
"""By how much words are turned left, so that the positions end at the top of the tree and the first map comes below."""


def lanes(bits_needed: int) -> int:
    """The narrowest words, of 8, 16, 32 or 64 bits, with at least so many bits (1 ... 64)."""
    return 8 * word_type(bits_needed).itemsize


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
        places = [at.child(f"layer {layer}, {k}") for k in range(len(triples))]
        pairs = [(p.xor(a, b), p.xor(a, c)) for a, b, c in triples]
        steps = [p.and_(place, *pair) for place, pair in zip(places, pairs, strict=True)]
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
    """Twice a word: a shift modulo 2**w, a rotation modulo 2**61 - 1."""
    if p.modulus_bits != FIELD_BITS:
        return lambda part: part << part.dtype.type(1)
    top, mask = np.uint64(FIELD_BITS - 1), np.uint64((1 << FIELD_BITS) - 1)
    return lambda part: ((part << np.uint64(1)) & mask) | (part >> top)


def bit_of(words: Boolean, position: int) -> Boolean:
    """One bit of every word, width 1."""
    kind = words.parts[0].dtype.type
    parts = tuple(((part >> kind(position)) & kind(1)).astype(np.uint8) for part in words.parts)
    return Boolean(words.scheme, parts)


def half_add(
    p: Protocol, at: Scope, x: Arithmetic, width: int = 64
) -> Step[tuple[Boolean, Boolean, Boolean, list[Boolean]]]:
    """What the carry tree starts from: the maps (g, p) of all positions of the two words u, v that x is the sum of, and
    `low` and `wraps` as `top_carry` gives them. Local but for the words themselves.

    Words are turned left by `TURN`: modulo 2**w by one, so that bit w - 1 of the words comes to position 0, makes way
    for the first map, and the carry into it leaves at the top; modulo p by three, so that the 61 positions end at the
    top, with the first map below them and the constant 0 further below.
    """
    words = yield from p.summands(at.child("summands"), x, width=width)
    u, v, wraps = yield from carry_save(p, at.child("save"), words)
    turn = TURN[p.modulus_bits]
    differ = p.xor(u, v)
    lanes_ = 8 * u.parts[0].dtype.itemsize
    g = Boolean(u.scheme, tuple(bits.gray(part, turn) for part in u.parts), lanes_)
    t = Boolean(u.scheme, tuple(bits.arrange(part, turn) for part in differ.parts), lanes_)
    if p.modulus_bits == FIELD_BITS:
        carry_in = np.uint64(1 << _place(turn - 1, lanes_))
        return p.xor_public(g, np.broadcast_to(carry_in, g.shape)), t, bit_of(differ, 0), wraps
    return g, without_bit(t, 0), bit_of(v, width - 1), wraps


def without_bit(words: Boolean, position: int) -> Boolean:
    """The words with one bit cleared."""
    kind = words.parts[0].dtype.type
    return words.map(lambda part: part & ~kind(1 << position))


def top_carry(p: Protocol, at: Scope, x: Arithmetic, width: int = 64) -> Step[tuple[Boolean, Boolean, list[Boolean]]]:
    """Adds up the summands of x just far enough to learn what was carried out.

    Returns (width 1 each)
        carry: modulo p = 2**61 - 1, whether the sum of the last two words is at least p; modulo 2**width, what is
            carried into the top position, exclusive or one of the words' top bits.
        low: modulo p, exclusive or of the words' bits 0; modulo 2**width the other word's top bit, so that `carry` ^
            `low` is the top bit of the sum.
        wraps: see `carry_save`.
    """
    shape, count = x.shape, x.size
    flat = x.map(lambda part: part.reshape(-1))
    g, t, low, wraps = yield from half_add(p, at.child("half"), flat, width)
    carry = yield from last_levels(p, at, g, t, g.width, count)
    carry, low, *wraps = (word.map(lambda part: part.reshape(shape)) for word in (carry, low, *wraps))
    return carry, low, wraps


def last_levels(p: Protocol, at: Scope, g: Boolean, t: Boolean, positions: int, count: int) -> Step[Boolean]:
    """The carries of `count` numbers (1-D) from maps (g, t) of so many positions, a power of two from 4 to 64."""
    for level in LEVELS:
        if level > positions:
            continue
        z = yield from p.carry_level(at.child(f"level {level}"), g, t, level)
        combined = [bits.carry_combine(a, b, level) for a, b in zip(g.parts, z.parts, strict=True)]
        g, t = columns(g.scheme, combined)
    last = [bits.carry_last(a, b) for a, b in zip(g.parts, t.parts, strict=True)]
    z = yield from p.and_(at.child("level 2"), *columns(g.scheme, last))
    carries = [bits.carry_bits(bits.carry_finish(a, b), count) for a, b in zip(g.parts, z.parts, strict=True)]
    return Boolean(g.scheme, tuple(carries))


def carry_level(p: Protocol, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Boolean]:
    """The and of one level of the carry tree, see `quorate.kernels.bits`."""
    operands = [bits.carry_level(a, b, positions) for a, b in zip(g.parts, t.parts, strict=True)]
    return (yield from p.and_(at, *columns(g.scheme, operands)))


def _place(position: int, positions: int) -> int:
    """The bit at which the carry tree keeps a position out of so many: the bits of its number read backwards."""
    return int(f"{position:0{positions.bit_length() - 1}b}"[::-1], 2)


def columns(scheme: str, rows: list[tuple[Array, Array]]) -> tuple[Boolean, Boolean]:
    """From (first, second) per part to two sharings, of words that fill their type."""
    width = 8 * rows[0][0].dtype.itemsize
    first, second = (tuple(row[k] for row in rows) for k in range(2))
    return Boolean(scheme, first, width), Boolean(scheme, second, width)


def sum_words(p: Protocol, at: Scope, u: Boolean, v: Boolean, width: int) -> Step[Boolean]:
    """All bits of u + v: modulo 2**width (width <= 64), or the canonical representative modulo 2**61 - 1.

    Modulo p, u + v must not be 2p. With e_i as above, bit i of the sum is v_i ^ e_i. Modulo p the carry in is the carry
    out of u + v + 1, so the first map is e -> u_0 ^ e; the maps up to the end say what the carry out is.
    """
    field = p.modulus_bits == FIELD_BITS
    u, v = (narrow(word, FIELD_BITS if field else width) for word in (u, v))
    positions = FIELD_BITS + 1 if field else width
    differ = p.xor(u, v)
    g = Boolean(u.scheme, tuple(_shifted(part, positions) ^ part for part in u.parts), positions)
    t = Boolean(u.scheme, tuple(_shifted(part, positions) for part in differ.parts), positions)
    if not field:
        carried, _ = yield from _prefixes(p, at, g, t)
        return p.xor(v, carried)
    t = p.xor_public(t, np.broadcast_to(np.uint64(1), t.shape))
    carried, through = yield from _prefixes(p, at, g, t)
    wraps = p.xor(bit_of(carried, FIELD_BITS), bit_of(through, FIELD_BITS))
    spread = Boolean(wraps.scheme, tuple(_spread(part) for part in wraps.parts), FIELD_BITS)
    extra = yield from p.and_(at.child("end-around"), narrow(through, FIELD_BITS), spread)
    return p.xor(v, p.xor(narrow(carried, FIELD_BITS), extra))


def _shifted(part: Array, width: int) -> Array:
    """Words of `width` bits moved up by one position."""
    kind = part.dtype.type
    moved: Array = (part << kind(1)) & kind((1 << width) - 1)
    return moved


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
    tops: Array = ((part >> kind(level - 1)) & starts) * kind((1 << level) - 1)
    return tops


def _as_width(words: Boolean, width: int) -> Boolean:
    return Boolean(words.scheme, words.parts, width)
