"""Reductions along the first axis that need no comparison: any, all, products, and counts of ones.

`any_of` and `all_of` take ceil(log2(n)) rounds and one and per bit, eight bits to a byte; `product_of` ceil(log2(n))
times the rounds of a product, n - 1 products; `ones` the conversion of a bit, and before that a number of rounds of
ands of bits that depends on the network: with many, it costs hardly more than one and per bit. Nothing is opened.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from quorate.circuits import prices
from quorate.circuits.logic import not_, or_
from quorate.circuits.packed import BYTE, LEAST, packed, unpacked
from quorate.circuits.prices import Price
from quorate.circuits.strips import columns_of, strip_width, strips, taken
from quorate.circuits.tiles import tiled_product
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.network import Network
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, concatenate

__all__ = ["all_of", "any_of", "ones", "product_of"]


def all_of(p: Protocol, at: Scope, x: Boolean) -> Step[Boolean]:
    """Whether all bits along the first axis are set: (n, ...) of width 1 to (...); true for n = 0."""
    missing = yield from any_of(p, at, not_(p, x))
    return not_(p, missing)


def any_of(p: Protocol, at: Scope, x: Boolean) -> Step[Boolean]:
    """Whether any bit along the first axis is set: (n, ...) of width 1 to (...); false for n = 0."""
    shape = x.shape[1:]
    if not x.size:
        return p.public_bits(np.zeros(shape, np.uint8))
    words = columns_of(x)
    if words.shape[0] > BYTE:
        together = yield from _or_tree(p, at.child("bytes"), packed(words, 0))
        words = unpacked(together, BYTE, 0)
    found = yield from _or_tree(p, at.child("bits"), words)
    return found.map(lambda part: part.reshape(shape))


def _or_tree(p: Protocol, at: Scope, words: Boolean) -> Step[Boolean]:
    """The or of all rows, as one row."""
    while words.shape[0] > 1:
        half = words.shape[0] // 2
        pair = taken(words, slice(half)), taken(words, slice(half, 2 * half))
        joined = yield from or_(p, at.child(f"{words.shape[0]} rows"), *pair)
        words = concatenate([joined, taken(words, slice(2 * half, None))], 0)
    return words


def product_of(p: Protocol, at: Scope, x: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
    """The product along the first axis of (n, ...), n > 0, with every product divided by 2**shift.

    A tree of neighbours: row k of a level is the product of rows 2k and 2k + 1 of the level before, a last row without
    a neighbour stays as it is. A negative shift multiplies. All products must fit the protocol.
    """
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        pair = taken(x, slice(0, 2 * half, 2)), taken(x, slice(1, 2 * half, 2))
        products = yield from tiled_product(p, at.child(f"{x.shape[0]} rows"), *pair, max(shift, 0))
        if shift < 0:
            products = p.scale(products, 1 << -shift)
        x = concatenate([products, taken(x, slice(2 * half, None))], 0)
    return x.map(lambda part: part[0])


def ones(p: Protocol, at: Scope, x: Boolean) -> Step[Arithmetic]:
    """How many bits are set along the first axis: (n, ...) to (...); 0 for n = 0. Words of width 8 count as their bits.

    Full adders turn three bits of a weight into one of that weight and one of the next, for one and of a bit: Wallace,
    "A Suggestion for a Fast Multiplier", 1964. After as many layers of them as pay off on the session's network the
    bits that are left become numbers.
    """
    shape = x.shape[1:]
    if not x.size:
        return p.public(np.zeros(shape, np.int64))
    rows = columns_of(x)
    if rows.width == 1 and rows.shape[0] >= LEAST:
        rows = packed(rows, 0)
    size = rows.shape[1] * rows.width
    layers = _layers(p.session.network, prices.conjunction(p), prices.conversion(p), rows.shape[0], size)
    step = partial(_counted, layers=layers)
    total: Arithmetic
    (total,) = yield from strips(p, at, step, [rows], strip_width(1, rows.shape[0]))
    return total.map(lambda part: part.reshape(shape))


def _counted(p: Protocol, at: Scope, rows: Boolean, *, layers: int) -> Step[list[Arithmetic]]:
    columns = [rows]
    for layer in range(layers):
        columns = yield from _full_adders(p, at.child(f"layer {layer}"), columns)
    weights = [1 << k for k, column in enumerate(columns) for _ in range(column.shape[0])]
    left = concatenate(columns, 0)
    if left.width == BYTE:
        left = unpacked(left, BYTE * left.shape[0], 0)
        weights = np.repeat(weights, BYTE).tolist()
    return (yield from p.weigh(at.child("numbers"), left, [weights]))


def _full_adders(p: Protocol, at: Scope, columns: list[Boolean]) -> Step[list[Boolean]]:
    """One layer; columns[k] are the bits of weight 2**k, as (count, ...)."""
    triples = [column.shape[0] // 3 for column in columns]
    a, b, c = (
        concatenate([taken(x, slice(k * m, (k + 1) * m)) for x, m in zip(columns, triples, strict=True)], 0)
        for k in range(3)
    )
    both = yield from p.and_(at, p.xor(a, b), p.xor(a, c))
    sums, carries = p.xor(p.xor(a, b), c), p.xor(both, a)
    result: list[list[Boolean]] = [[] for _ in range(len(columns) + 1)]
    start = 0
    for k, (column, m) in enumerate(zip(columns, triples, strict=True)):
        made = slice(start, start + m)
        result[k] += [taken(sums, made), taken(column, slice(3 * m, None))]
        result[k + 1].append(taken(carries, made))
        start += m
    return [concatenate(parts, 0) for parts in result if any(part.shape[0] for part in parts)]


@lru_cache(maxsize=1 << 12)
def _layers(network: Network, conjunction: Price, conversion: Price, rows: int, columns: int) -> int:
    """How many layers of full adders take least time."""
    counts, ands = [rows], 0
    times: list[int] = []
    while True:
        sent = conjunction.of(ands * columns) + conversion.of(sum(counts) * columns)
        times.append(network.nanoseconds(len(times) * conjunction.rounds + conversion.rounds, sent))
        triples = [count // 3 for count in counts]
        if not any(triples):
            return times.index(min(times))
        ands += sum(triples)
        carried = zip([*counts, 0], [*triples, 0], [0, *triples], strict=True)
        counts = [count - 2 * own + carry for count, own, carry in carried]
