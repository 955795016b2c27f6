"""Keys as Boolean words, and comparisons of such words, most significant word first.

A comparison is the carry tree on a recurrence that needs no product at its leaves. Going up from the lowest bit, let
c be a's bit at the highest position so far where a and b differ: c' = a_i ^ t_i & (a_i ^ c) with t_i = 1 ^ a_i ^ b_i.
With e = c ^ a_i this reads e' = (a_i ^ a_{i+1}) ^ t_i & e: the recurrence of carries, with g_i = a_i ^ a_{i+1}, the
Gray code of a, in place of generate bits. Both g and t are local, and at the top c says whether a > b. Started with
e = 0 the result is meaningless where a = b, so keys must be distinct.

Rounds for words of w bits, k of them: log2(w), and log2(k) rounded up, the last one opened (see `Protocol.and_open`).
Bits of the and words: 2 w - 3 for a single word; 2 w - 2 for each word before the last, and 3 for each joint.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quorate.circuits.bitwise import low_bits
from quorate.circuits.logic import not_
from quorate.circuits.tiles import tiled
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import bits
from quorate.kernels.order import Rows as Indices
from quorate.kernels.order import compared, table_of
from quorate.protocols.base import Integers, Protocol
from quorate.protocols.groups import total
from quorate.sharing.share import Arithmetic, Array, Boolean
from quorate.sharing.wire import word_type

__all__ = ["Key", "Rows", "comparable", "fields_of", "greater", "packed", "same", "word_sizes"]

Outcomes = npt.NDArray[np.uint8]
Pair = tuple[Boolean, Boolean]


@dataclass(frozen=True)
class Key:
    """One sort key, 1-D: its values, and the proven range of their raw integers, inclusive."""

    values: Arithmetic | Boolean | Integers
    low: int
    high: int
    descending: bool = False

    @property
    def width(self) -> int:
        """Bits that hold high - low."""
        return (self.high - self.low).bit_length()


def fields_of(p: Protocol, at: Scope, keys: Sequence[Key]) -> Step[list[Boolean]]:
    """The keys as Boolean words that compare like them: counted up from the lowest value, or down from the highest.

    A key that can have one value only has no field. Cost: `convert.to_bits` of every key that is no bool.
    """
    results: list[Boolean] = []
    for k, key in enumerate(keys):
        if key.width:
            results.append((yield from _field(p, at.child(f"key {k}"), key)))
    return results


def _field(p: Protocol, at: Scope, key: Key) -> Step[Boolean]:
    values, width = key.values, key.width
    if isinstance(values, Boolean):
        return not_(p, values) if key.descending else values
    if isinstance(values, np.ndarray):
        shifted = key.high - values if key.descending else values - key.low
        return p.public_bits(shifted.astype(word_type(width)), width)
    start = np.asarray(key.high if key.descending else -key.low, np.int64)
    positive = p.add_public(p.neg(values) if key.descending else values, start)

    def convert(p: Protocol, at: Scope, x: Arithmetic) -> Step[Boolean]:
        return low_bits(p, at, x, width)

    return (yield from tiled(p, at, convert, positive))  # type: ignore[return-value]


def word_sizes(width: int) -> list[int]:
    """The words that hold so many bits: of 64 bits, and at the end one of 8, 16, 32 or 64."""
    rest = width % 64
    return [64] * (width // 64) + ([next(size for size in (8, 16, 32, 64) if rest <= size)] if rest else [])


def packed(fields: Sequence[Boolean]) -> list[Boolean]:
    """The fields, most significant first, as one number per row in `word_sizes`.

    Local. Unused bits are zeros at the top of the first word. No fields give no words.
    """
    sizes = word_sizes(sum(field.width for field in fields))
    words, end = [], sum(sizes)
    for size in sizes:
        end -= size
        words.append(_word(fields, end, size))
    return words


def _word(fields: Sequence[Boolean], low: int, size: int) -> Boolean:
    """Bits low ... low + size - 1 of the fields' concatenation."""
    kind = word_type(size)
    placed: list[list[Array]] = []
    start = 0
    for field in reversed(fields):
        if start < low + size and low < start + field.width:
            placed.append([_moved(part, start - low).astype(kind) for part in field.parts])
        start += field.width
    parts = [total(list(column)) for column in zip(*placed, strict=True)]
    return Boolean(fields[0].scheme, tuple(parts), size)


def _moved(part: Array, by: int) -> Array:
    wide = part.astype(np.uint64)
    return wide << np.uint64(by) if by >= 0 else wide >> np.uint64(-by)


# -- comparisons -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """Packed keys from which any two rows can be compared.

    Attributes:
        table: parts of the words and of the Gray code of the number that they are, see `kernels.order.table_of`.
        flips: parts of a one in every bit, for all columns of words.
        widths: bits of the words, most significant first.
        scheme: of the sharing.
    """

    table: Array
    flips: Array
    widths: tuple[int, ...]
    scheme: str


def comparable(p: Protocol, words: Sequence[Boolean]) -> Rows:
    """Packed keys made ready for `greater`; local."""
    gray = [_gray(word, words[k - 1] if k else None) for k, word in enumerate(words)]
    ones = [p.public_bits(np.full(1, (1 << word.width) - 1, word_type(word.width)), word.width) for word in words]
    flips = np.concatenate([part.astype(np.uint64) for one in ones for part in one.parts])
    table = table_of([part for word in (*words, *gray) for part in word.parts])
    return Rows(table, flips, tuple(word.width for word in words), words[0].scheme)


def _gray(word: Boolean, above: Boolean | None) -> Boolean:
    """Each bit plus the one above it, the lowest of `above` for the highest."""
    kind = word.parts[0].dtype.type
    one, top = kind(1), kind(word.width - 1)
    parts = [part ^ (part >> one) for part in word.parts]
    if above is not None:
        lowest = [(part & part.dtype.type(1)).astype(kind) << top for part in above.parts]
        parts = [part ^ bit for part, bit in zip(parts, lowest, strict=True)]
    return word.with_parts(tuple(parts))


def greater(
    p: Protocol, at: Scope, rows: Rows, left: Indices, right: Indices, to: Collection[int]
) -> Step[Outcomes | None]:
    """Open to the participants `to` whether row left[i] is greater than row right[i], as uint8 0 or 1.

    `left` and `right` are public int32, (n,); the two rows of a pair must differ. Nothing else is opened.
    """
    operands = _operands(rows, left, right)
    trees = [_two_positions(p, at.child(f"word {k}"), *operand) for k, operand in enumerate(operands)]
    pairs = yield from parallel(trees)
    if len(pairs) == 1:
        (g, t), here = pairs[0], at.child("last")
        x, y = _columns(g.scheme, [bits.carry_last(a, b) for a, b in zip(g.parts, t.parts, strict=True)])
        opened = yield from p.and_open(here, x, y, to, plus=_later(g))
    else:
        (high, through), (low, _) = yield from _joined(p, at.child("joint"), pairs)
        opened = yield from p.and_open(at.child("last"), through, low, to, plus=high)
    return None if opened is None else bits.carry_bits(opened, len(left))  # type: ignore[arg-type]


def _operands(rows: Rows, left: Indices, right: Indices) -> list[Pair]:
    """g and t of every word."""
    parts = rows.flips.size // len(rows.widths)
    high, low = compared(rows.table, rows.flips, parts, word_type(rows.widths[-1]), left, right)
    blocks = [high[k : k + parts] for k in range(0, high.shape[0], parts)] + [low]
    return [_columns(rows.scheme, [(block[k, 0], block[k, 1]) for k in range(parts)]) for block in blocks]


def _two_positions(p: Protocol, at: Scope, g: Boolean, t: Boolean) -> Step[Pair]:
    """The upper levels of the tree, until two positions are left."""
    level = g.width
    while level > 2:
        g, t = yield from _level(p, at, g, t, level)
        level //= 2
    return g, t


def _level(p: Protocol, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Pair]:
    z = yield from p.carry_level(at.child(f"level {positions}"), g, t, positions)
    return _columns(g.scheme, [bits.carry_combine(a, b, positions) for a, b in zip(g.parts, z.parts, strict=True)])


def _joined(p: Protocol, at: Scope, pairs: list[Pair]) -> Step[list[Pair]]:
    """From two positions of every word to two words, which stand for all."""
    steps = [_level(p, at.child(f"word {k}"), g, t, 2) for k, (g, t) in enumerate(pairs)]
    pairs = yield from parallel(steps)
    depth = 0
    while len(pairs) > 2:
        depth += 1
        here = at.child(f"depth {depth}")
        steps = [_composed(p, here.child(f"{k}"), pairs[k], pairs[k + 1]) for k in range(0, len(pairs) - 1, 2)]
        pairs = [*(yield from parallel(steps)), *pairs[2 * len(steps) :]]
    return pairs


def _composed(p: Protocol, at: Scope, high: Pair, low: Pair) -> Step[Pair]:
    """Two neighbours as one: g = g_high ^ t_high & g_low, t = t_high & t_low."""
    (g, t), (other_g, other_t) = high, low
    carried, through = yield from parallel(
        [p.and_(at.child("carry"), t, other_g), p.and_(at.child("through"), t, other_t)]
    )
    return p.xor(g, carried), through


def _later(g: Boolean) -> Boolean:
    """The generate bits of the upper of two positions, as `bits.carry_finish` wants them."""
    return g.map(lambda part: bits.carry_finish(part, bits.fold(np.zeros_like(part), 1)))


def _columns(scheme: str, rows: Sequence[tuple[Array, Array]]) -> Pair:
    """From (first, second) per part to two sharings."""
    width = rows[0][0].dtype.itemsize * 8
    first, second = (tuple(row[k] for row in rows) for k in range(2))
    return Boolean(scheme, first, width), Boolean(scheme, second, width)


# -- equality ----------------------------------------------------------------------------------------------------------


def same(p: Protocol, at: Scope, words: Sequence[Boolean], others: Sequence[Boolean]) -> Step[Boolean]:
    """Whether all words of a row, (n,), equal the other's: (n,), width 1. At least one word.

    A tree of ands: w - 1 bits for words of w bits and one per joint, in log2(w) + (number of words - 1) rounds.
    """
    count = words[0].size
    pairs = zip(words, others, strict=True)
    trees = [_all_ones(p, at.child(f"word {k}"), not_(p, p.xor(a, b))) for k, (a, b) in enumerate(pairs)]
    first, *rest = yield from parallel(trees)
    for k, other in enumerate(rest):
        first = yield from p.and_(at.child(f"joint {k}"), first, other)
    return Boolean(first.scheme, tuple(bits.carry_bits(part, count) for part in first.parts))


def _all_ones(p: Protocol, at: Scope, words: Boolean) -> Step[Boolean]:
    """Whether all bits of a word are set, eight words to a byte as `bits.carry_bits` wants them."""
    width = words.width
    while width > 1:
        width //= 2
        halves = [(_half(part, width, width), _half(part, 0, width)) for part in words.parts]
        words = yield from p.and_(at.child(f"{width} bits"), *_columns(words.scheme, halves))
    return words


def _half(part: Array, start: int, width: int) -> Array:
    """The half of every number's `2 * width` bits that begins at `start`; below eight bits two numbers share a byte."""
    moved: Array = part >> part.dtype.type(start)
    if width >= 8:
        return moved.astype(word_type(width))
    mask = 0xFF // ((1 << (2 * width)) - 1) * ((1 << width) - 1)
    return bits.fold(moved & np.uint8(mask), width)
