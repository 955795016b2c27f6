"""A secret index as bits of which one is set.

Two ways, chosen for the session's network. By bits: the index is taken apart once, the bits of both halves are expanded
by themselves, and every pair of their results is anded: about n + 2 sqrt(n) ands of single bits for n positions, in
ceil(log2(log2(n))) rounds after those of the decomposition. By equality with every position: fewer rounds, but the
index is dealt n times. Nothing is opened. An index out of range gives no guarantee: callers prove its range.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from quorate.circuits import prices
from quorate.circuits.compare import is_zero
from quorate.circuits.convert import bits_at, to_bits, to_boolean
from quorate.circuits.logic import not_
from quorate.circuits.packed import in_bits, in_bytes
from quorate.circuits.prices import SAMPLE, Price, quickest
from quorate.circuits.strips import flattened, strip_width, strips, taken
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, concatenate

__all__ = ["digits_of", "digits_price", "expanded", "expansion", "one_hot", "with_ands"]


def digits_of(p: Protocol, at: Scope, index: Arithmetic, width: int) -> Step[Boolean]:
    """The bits of (n,) numbers 0 <= index < 2**width, lowest first: (width, n)."""
    if width == 1:
        bit = yield from to_boolean(p, at, index)
        return bit.map(lambda part: part.reshape(1, -1))
    words = yield from to_bits(p, at, index, width)
    return bits_at(words, list(range(width)))


def one_hot(p: Protocol, at: Scope, index: Arithmetic, size: int) -> Step[Boolean]:
    """Bit k of the first axis tells whether the index is k: any shape to (size, *shape), for 0 <= index < size."""
    if size == 1 or not index.size:
        return p.public_bits(np.ones((size, *index.shape), np.uint8))
    width = (size - 1).bit_length()
    by_bits = with_ands(p, digits_price(p, width), *expansion(size))
    by_equality = prices.equality(p, width)
    ways = [by_bits, Price(by_equality.rounds, by_equality.size * size)]
    way = partial((_by_bits, _by_equality)[quickest(p, ways, index.size)], size=size)
    flags: Boolean
    (flags,) = yield from strips(p, at, way, [flattened(index)], strip_width(1, size))
    return flags.map(lambda part: part.reshape(size, *index.shape))


def _by_bits(p: Protocol, at: Scope, index: Arithmetic, *, size: int) -> Step[list[Boolean]]:
    digits = yield from digits_of(p, at.child("bits"), index, (size - 1).bit_length())
    flags = yield from expanded(p, at.child("expand"), in_bytes(digits), size)
    return [in_bits(flags, index.size)]


def _by_equality(p: Protocol, at: Scope, index: Arithmetic, *, size: int) -> Step[list[Boolean]]:
    """Whether the distances from all positions are zero."""
    distances = p.add_public(index, -np.arange(size, dtype=np.int64)[:, None])
    flags = yield from is_zero(p, at, flattened(distances), bits=(size - 1).bit_length())
    return [flags.map(lambda part: part.reshape(size, -1))]


def expanded(p: Protocol, at: Scope, digits: Boolean, size: int) -> Step[Boolean]:
    """From bits (width, n), lowest first, to (size, n): which of 0 ... size - 1 they spell; 2**width >= size > 1.

    Eight numbers to a byte will do as well.
    """
    width = digits.shape[0]
    if width == 1:
        return taken(concatenate([not_(p, digits), digits], 0), slice(size))
    low = width // 2
    fine, coarse = yield from parallel(
        [
            expanded(p, at.child("low"), taken(digits, slice(low)), 1 << low),
            expanded(p, at.child("high"), taken(digits, slice(low, None)), -(-size >> low)),
        ]
    )
    positions = np.arange(size)
    return (yield from p.and_(at, taken(coarse, positions >> low), taken(fine, positions & ((1 << low) - 1))))


# -- what it costs -----------------------------------------------------------------------------------------------------


def digits_price(p: Protocol, width: int) -> Price:
    """The price of `digits_of`."""
    return prices.price(p, lambda p, at: digits_of(p, at, p.empty((SAMPLE,)), width), ("digits", width))


def expansion(size: int) -> tuple[int, int]:
    """Rounds of ands, and ands of bits per number, of `expanded`."""
    if size <= 2:
        return 0, 0
    low = (size - 1).bit_length() // 2
    halves = [expansion(1 << low), expansion(-(-size >> low))]
    return 1 + max(levels for levels, _ in halves), size + sum(ands for _, ands in halves)


def with_ands(p: Protocol, start: Price, levels: int, ands: int) -> Price:
    """The price of something and of so many ands of bits per number after it, in so many rounds of ands."""
    one = prices.conjunction(p)
    return Price(start.rounds + levels * one.rounds, start.size + ands * one.size)
