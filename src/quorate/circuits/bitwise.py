"""Bit operations on secret integers, as on words in two's complement.

Each brings its operands to Boolean words of a width that the caller has proven, works there and comes back, except
where an identity of integers is cheaper: x | y = x + y - (x & y), x ^ y = x + y - 2 (x & y), x << s = x * 2**s.

Coming back is the dear part. `from_words` does it bit by bit (two rounds; rep3: 8 bytes per bit from one party) or
with an adder (about nine rounds; rep3: about nine 64-bit words from each), whichever costs less on the network of the
session. The adder opens the words plus a fresh uniform number to all parties, which tells them nothing. Source:
Escudero, Ghosh, Keller, Rachuri, Scholl, "Improved Primitives for MPC over Mixed Arithmetic-Binary Circuits", CRYPTO
2020, section 4. Deviation: the mask is a random number and its Boolean summands, not preprocessed bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from quorate.circuits.cheapest import cheapest
from quorate.circuits.compare import is_negative
from quorate.circuits.convert import bits_at, to_bits
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.kernels.ghost import ghost
from quorate.protocols import adder
from quorate.protocols.base import Integers, Protocol
from quorate.sharing.share import Arithmetic, Array, Boolean, concatenate
from quorate.sharing.wire import word_type

__all__ = [
    "bit_and",
    "bit_or",
    "bit_xor",
    "floor_shift",
    "from_words",
    "low_bits",
    "popcount",
    "shift_left_by",
    "shift_words_right",
]

FIELD_OFFSET = 1 << 60
"""A multiple of every 2**width that makes all numbers of a field protocol positive."""


def low_bits(p: Protocol, at: Scope, x: Arithmetic, width: int) -> Step[Boolean]:
    """The low `width` bits of x in two's complement, for positive and negative x.

    1 <= width <= 64 modulo 2**64, width <= capacity + 1 in a field.

    As `convert.to_bits`, which takes no negative numbers with a field protocol.
    """
    offset = FIELD_OFFSET if p.modulus_bits == adder.FIELD_BITS else 0
    words = yield from to_bits(p, at, p.add_public(x, np.asarray(offset, np.int64)) if offset else x, width)
    return adder.narrow(words, width)


# -- from words to numbers ---------------------------------------------------------------------------------------------


def from_words(p: Protocol, at: Scope, words: Boolean, signed: bool = False) -> Step[Arithmetic]:
    """Words as numbers: of 0 ... 2**width - 1 or, if `signed`, in two's complement. They must fit the protocol.

    See the module for what it costs and, with an adder, opens.
    """
    width, shape = words.width, words.shape
    if signed:
        words = p.xor_public(words, np.broadcast_to(word_type(width).type(1 << (width - 1)), shape))
    ways = (_by_bits, _by_adder)
    candidates = [partial(_on_ghosts, way, shape, width) for way in ways]
    number = yield from ways[cheapest(p, candidates, ("from_words", shape, width))](p, at, words)
    return p.add_public(number, np.asarray(-(1 << (width - 1)), np.int64)) if signed else number


def _on_ghosts(
    way: Callable[..., Step[Arithmetic]], shape: tuple[int, ...], width: int, p: Protocol, at: Scope
) -> Step[Arithmetic]:
    return way(p, at, p.public_bits(ghost(shape, word_type(width)), width))


def _by_bits(p: Protocol, at: Scope, words: Boolean) -> Step[Arithmetic]:
    """The sum of its bits, each times its power of two."""
    positions = list(range(words.width))
    (number,) = yield from p.weigh(at, bits_at(words, positions), [[1 << k for k in positions]])
    return number


def _by_adder(p: Protocol, at: Scope, words: Boolean) -> Step[Arithmetic]:
    """Add the Boolean words of a random number, open the sum and take the number off again."""
    mask = yield from p.random(at.child("mask"), words.shape)
    summands = yield from p.summands(at.child("summands"), mask)
    wide = Boolean(words.scheme, tuple(part.astype(np.uint64) for part in words.parts), summands[0].width)
    u, v, _ = yield from adder.carry_save(p, at.child("save"), [wide, *summands])
    total = yield from adder.sum_words(p, at.child("sum"), u, v, 64)
    opened = yield from p.reveal_bits(at.child("open"), total, range(p.parties))
    public = p.session.blank(words.shape) if opened is None else opened
    return p.add_public(p.neg(mask), public.view(np.int64))


# -- and, or, exclusive or ---------------------------------------------------------------------------------------------


def bit_and(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic | Integers, width: int, signed: bool = False
) -> Step[Arithmetic]:
    """x & y, elementwise for equal shapes; y may be public (int64).

    Args:
        width: the result is 0 ... 2**width - 1 or, if `signed`, fits two's complement of this width. It is enough that
            one of x and y has such a range; the other may be any number.
    """
    if isinstance(y, Arithmetic):
        pair = [low_bits(p, at.child("x"), x, width), low_bits(p, at.child("y"), y, width)]
        both = yield from p.and_(at.child("and"), *(yield from parallel(pair)))
    else:
        mask = (y.view(np.uint64) & np.uint64((1 << width) - 1)).astype(word_type(width))
        both = (yield from low_bits(p, at.child("x"), x, width)).map(lambda part: part & mask)
    return (yield from from_words(p, at.child("number"), both, signed))


def bit_or(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic | Integers, width: int, signed: bool = False
) -> Step[Arithmetic]:
    """x | y; `width` and `signed` are those of x & y, see `bit_and`."""
    both = yield from bit_and(p, at, x, y, width, signed)
    return p.sub(_sum(p, x, y), both)


def bit_xor(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic | Integers, width: int, signed: bool = False
) -> Step[Arithmetic]:
    """x ^ y; `width` and `signed` are those of x & y, see `bit_and`."""
    both = yield from bit_and(p, at, x, y, width, signed)
    return p.sub(_sum(p, x, y), p.scale(both, 2))


def _sum(p: Protocol, x: Arithmetic, y: Arithmetic | Integers) -> Arithmetic:
    return p.add(x, y) if isinstance(y, Arithmetic) else p.add_public(x, y)


# -- shifts ------------------------------------------------------------------------------------------------------------


def floor_shift(p: Protocol, at: Scope, x: Arithmetic, shift: int, bits: int) -> Step[Arithmetic]:
    """floor(x / 2**shift), exactly, for |x| < 2**bits, bits <= capacity; elementwise.

    A truncation, which may be a unit or two off, and comparisons of what it left with the multiples around it. Rounds:
    a truncation, a comparison of about `shift` bits and a conversion of bits.
    """
    if not shift:
        return x
    if shift >= bits:
        negative = yield from is_negative(p, at.child("sign"), x, bits + 1)
        return p.neg((yield from p.to_arithmetic(at.child("result"), negative)))
    below, above, rough = yield from _rough_shift(p, at.child("rough"), x, shift, bits)
    if p.modulus_bits == adder.FIELD_BITS and (below + above) << shift >= FIELD_OFFSET:
        raise UserError(
            f"an exact shift of {bits} bits by {shift} does not fit {p.name} with this many parties; declare narrower "
            "ranges or use a smaller scale"
        )
    highest = p.add_public(rough, np.asarray(below, np.int64))
    rest = p.sub(x, p.scale(highest, 1 << shift))
    steps = [p.add_public(rest, np.asarray(j << shift, np.int64)) for j in range(below + above)]
    stacked = concatenate([step.map(lambda part: part[None]) for step in steps], 0)
    reach = shift + (below + above + 1).bit_length()
    flags = yield from is_negative(p, at.child("compare"), stacked, min(reach, p.capacity))
    (excess,) = yield from p.weigh(at.child("excess"), flags, [[1] * len(steps)])
    return p.sub(highest, excess)


def _rough_shift(p: Protocol, at: Scope, x: Arithmetic, shift: int, bits: int) -> Step[tuple[int, int, Arithmetic]]:
    """A quotient, and by how much it may be below and above the floor.

    With 2 x + 1 for x the exact quotient is never whole, so that it is on one side of the floor with an error of one.
    """
    error = p.truncation_error
    if bits + 1 < p.capacity:
        odd = p.add_public(p.scale(x, 2), np.asarray(1, np.int64))
        rough = yield from p.truncate(at, odd, shift + 1)
        return math.ceil(error) - 1, math.ceil(error), rough
    rough = yield from p.truncate(at, x, shift)
    return math.floor(error), math.ceil(error), rough


# -- shifts by secret amounts ------------------------------------------------------------------------------------------


def shift_left_by(p: Protocol, at: Scope, x: Arithmetic, amount: Arithmetic, most: int) -> Step[Arithmetic]:
    """x * 2**amount for 0 <= amount <= most, elementwise for equal shapes; the results must fit the protocol.

    The power is a product over the bits of the amount. Rounds: those of a few bits, one conversion of them and
    1 + ceil(log2(bits)) products.
    """
    if not most:
        return x
    digits = most.bit_length()
    words = yield from low_bits(p, at.child("bits"), amount, digits)
    weights = [[(1 << (1 << k)) - 1 if k == j else 0 for j in range(digits)] for k in range(digits)]
    chosen = yield from p.weigh(at.child("powers"), bits_at(words, list(range(digits))), weights)
    factors = [p.add_public(factor, np.asarray(1, np.int64)) for factor in chosen]
    power = yield from _product(p, at.child("product"), factors)
    return (yield from p.mul(at.child("shift"), x, power))


def _product(p: Protocol, at: Scope, factors: list[Arithmetic]) -> Step[Arithmetic]:
    level = 0
    while len(factors) > 1:
        level += 1
        pairs = list(zip(factors[::2], factors[1::2], strict=False))
        steps = [p.mul(at.child(f"{level}, {k}"), *pair) for k, pair in enumerate(pairs)]
        factors = (yield from parallel(steps)) + factors[2 * len(pairs) :]
    return factors[0]


def shift_words_right(
    p: Protocol, at: Scope, x: Arithmetic, amount: Arithmetic, width: int, most: int
) -> Step[Arithmetic]:
    """floor(x / 2**amount) for 0 <= amount <= most, where x fits two's complement of `width` bits.

    A barrel of selected shifts of the word; elementwise for equal shapes. One and of a word per bit of the amount.
    """
    pair = [low_bits(p, at.child("x"), x, width)]
    if most:
        pair.append(low_bits(p, at.child("amount"), amount, most.bit_length()))
    words, *amounts = yield from parallel(pair)
    for k in range(most.bit_length()):
        wanted = adder.bit_of(amounts[0], k).map(partial(_spread, width=width))
        moved = words.map(partial(_arithmetic_shift, by=min(1 << k, width - 1), width=width))
        change = yield from p.and_(at.child(f"stage {k}"), p.xor(words, moved), _of_width(wanted, width))
        words = p.xor(words, change)
    return (yield from from_words(p, at.child("number"), words, signed=True))


def _of_width(words: Boolean, width: int) -> Boolean:
    return Boolean(words.scheme, words.parts, width)


def _spread(bit: Array, width: int) -> Array:
    """A word of equal bits from each bit."""
    kind = word_type(width).type
    word: Array = (kind(0) - bit.astype(kind)) & kind((1 << width) - 1)
    return word


def _arithmetic_shift(part: Array, by: int, width: int) -> Array:
    """The word shifted right, with copies of its top bit above; linear over exclusive or, so local on shares."""
    kind = part.dtype.type
    top = (part >> kind(width - 1)) & kind(1)
    above = ((1 << width) - 1) ^ ((1 << (width - by)) - 1)
    moved: Array = (part >> kind(by)) | (_spread(top, width) & kind(above))
    return moved


# -- counting bits -----------------------------------------------------------------------------------------------------

DEEPEST = 6
"""Layers of full adders after which 64 bits are down to two per weight."""


def popcount(p: Protocol, at: Scope, x: Arithmetic, width: int) -> Step[Arithmetic]:
    """The number of ones in x, for 0 <= x < 2**width.

    Bits are converted after as many layers of full adders (one round and one and per three bits each) as pay off:
    Wallace, "A Suggestion for a Fast Multiplier", 1964.
    """
    words = yield from low_bits(p, at.child("bits"), x, width)
    flags = bits_at(words, list(range(width)))
    ways = [partial(_counted, flags.shape, layers) for layers in range(DEEPEST + 1)]
    layers = cheapest(p, ways, ("popcount", flags.shape))
    return (yield from _count(p, at.child("count"), flags, layers))


def _counted(shape: tuple[int, ...], layers: int, p: Protocol, at: Scope) -> Step[Arithmetic]:
    return _count(p, at, p.public_bits(ghost(shape, np.uint8)), layers)


def _count(p: Protocol, at: Scope, flags: Boolean, layers: int) -> Step[Arithmetic]:
    """The sum of bits over the first axis."""
    columns = [flags]
    for layer in range(layers):
        columns = yield from _full_adders(p, at.child(f"layer {layer}"), columns)
    weights = [1 << k for k, column in enumerate(columns) for _ in range(column.shape[0])]
    (number,) = yield from p.weigh(at.child("weigh"), concatenate(columns, 0), [weights])
    return number


def _full_adders(p: Protocol, at: Scope, columns: list[Boolean]) -> Step[list[Boolean]]:
    """Three bits of a weight become one of that weight and one of the next; columns[k] holds bits of weight 2**k."""
    triples = [column.shape[0] // 3 for column in columns]
    a, b, c = (
        concatenate([_rows(column, k * m, (k + 1) * m) for column, m in zip(columns, triples, strict=True)], 0)
        for k in range(3)
    )
    both = yield from p.and_(at, p.xor(a, b), p.xor(a, c))
    sums, carries = p.xor(p.xor(a, b), c), p.xor(both, a)
    result: list[list[Boolean]] = [[] for _ in range(len(columns) + 1)]
    start = 0
    for k, (column, m) in enumerate(zip(columns, triples, strict=True)):
        result[k] += [_rows(sums, start, start + m), _rows(column, 3 * m, column.shape[0])]
        result[k + 1].append(_rows(carries, start, start + m))
        start += m
    return [concatenate(parts, 0) for parts in result]


def _rows(flags: Boolean, start: int, stop: int) -> Boolean:
    return flags.map(lambda part: part[start:stop])
