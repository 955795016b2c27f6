"""Comparing secret numbers with many public ones, and counting what lies between them.

Two ways to compare, chosen for the session's network. One by one: a comparison for every number and edge. By digits: a
number is taken apart once, its digits become one-hot bits, from which "digit < d" and "digit = d" for a public d are
exclusive ors; an edge then costs about two ands of single bits per digit. Nothing is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.circuits import prices
from quorate.circuits.compare import less
from quorate.circuits.onehot import digits_of, digits_price, expanded, expansion, with_ands
from quorate.circuits.packed import BYTE, in_bits, in_bytes, packed_ones
from quorate.circuits.prices import Price, quickest
from quorate.circuits.reduce import ones
from quorate.circuits.strips import flattened, strip_width, strips, taken
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, concatenate

__all__ = ["below", "histogram"]

DIGITS = (2, 3, 4, 5, 6, 8)
"""Widths of digits, in bits, that are considered."""

Way = Callable[..., Step[Boolean]]
"""(protocol, scope, numbers (n,)) -> whether they lie below the edges: (edges, n), perhaps as `packed.in_bytes`."""


class _Edges(NamedTuple):
    """Edges of which each is decided by the data: low < edge <= high for numbers in low ... high."""

    values: tuple[int, ...]
    low: int
    high: int

    @property
    def bits(self) -> int:
        """Width of numbers less low."""
        return (self.high - self.low).bit_length()


def below(p: Protocol, at: Scope, x: Arithmetic, edges: Sequence[int], low: int, high: int) -> Step[Boolean]:
    """Whether x < edge, for every public edge: any shape to (len(edges), *shape), for low <= x <= high."""
    chosen, place = _undecided(edges, low, high)
    rows = p.public_bits(_decided(edges, high, x.size))
    if chosen.values and x.size:
        compare, width = _way(p, chosen, x.size)

        def step(p: Protocol, at: Scope, x: Arithmetic) -> Step[list[Boolean]]:
            return [in_bits((yield from compare(p, at, x)), x.size)]

        (flags,) = yield from strips(p, at, step, [flattened(x)], width)
        rows = concatenate([flags, rows], 0)
        rows = taken(rows, [place.get(edge, len(chosen.values) + k) for k, edge in enumerate(edges)])
    return rows.map(lambda part: part.reshape(len(edges), *x.shape))


def _undecided(edges: Sequence[int], low: int, high: int) -> tuple[_Edges, dict[int, int]]:
    """The different edges that data decide, and the place of each among them."""
    values = tuple(sorted({edge for edge in edges if low < edge <= high}))
    return _Edges(values, low, high), {edge: k for k, edge in enumerate(values)}


def _decided(edges: Sequence[int], high: int, count: int) -> npt.NDArray[np.uint8]:
    """What is known of numbers beforehand: all lie below edges above `high`."""
    return np.array([[edge > high] for edge in edges], np.uint8).repeat(count, 1)


# -- ways to compare ---------------------------------------------------------------------------------------------------


def _way(p: Protocol, edges: _Edges, count: int) -> tuple[Way, int]:
    """The quickest way to compare so many numbers with the edges, and how many to compare at a time."""
    each = prices.comparison(p, edges.bits)
    ways: list[Way] = [partial(_one_by_one, edges=edges)]
    ways += [partial(_by_digits, edges=edges, width=width) for width in DIGITS]
    start, edge_count = digits_price(p, edges.bits), len(edges.values)
    by_digits = [with_ands(p, start, *_digit_ands(edges.bits, width, edge_count)) for width in DIGITS]
    best = quickest(p, [Price(each.rounds, each.size * edge_count), *by_digits], count)
    return ways[best], strip_width(1, edge_count * edges.bits // BYTE) if best else strip_width(edge_count)


def _digit_ands(bits: int, width: int, edges: int) -> tuple[int, int]:
    """Rounds of ands, and ands of bits per number, of `_by_digits` once the bits are there."""
    sizes = [1 << min(width, bits - start) for start in range(0, bits, width)]
    expansions = [expansion(size) for size in sizes]
    levels = max(levels for levels, _ in expansions)
    ands, digits = sum(ands for _, ands in expansions), len(sizes)
    while digits > 1:
        levels, ands, digits = levels + 1, ands + edges * (digits // 2 * 2 - 1), digits - digits // 2
    return levels, ands


def _one_by_one(p: Protocol, at: Scope, x: Arithmetic, *, edges: _Edges) -> Step[Boolean]:
    count, n = len(edges.values), x.size
    repeated = x.map(lambda part: contiguous(np.broadcast_to(part, (count, n))).reshape(-1))
    limits = p.public(np.repeat(np.array(edges.values, np.int64), n))
    flags = yield from less(p, at, repeated, limits, bits=edges.bits)
    return flags.map(lambda part: part.reshape(count, n))


def _by_digits(p: Protocol, at: Scope, x: Arithmetic, *, edges: _Edges, width: int) -> Step[Boolean]:
    offset = p.add_public(x, np.asarray(-edges.low, np.int64))
    bits = in_bytes((yield from digits_of(p, at.child("bits"), offset, edges.bits)))
    starts = range(0, edges.bits, width)
    steps = [_digit(p, at.child(f"digit {start}"), bits, slice(start, start + width), edges) for start in starts]
    pairs = yield from parallel(steps)
    smaller, same = (_stacked([pair[k] for pair in pairs]) for k in range(2))
    return (yield from _compared(p, at.child("compare"), smaller, same))


def _digit(p: Protocol, at: Scope, bits: Boolean, place: slice, edges: _Edges) -> Step[tuple[Boolean, Boolean]]:
    """Whether a digit is smaller than, and whether it equals, that digit of every edge: (edges, n) each."""
    digit = taken(bits, place)
    size = 1 << digit.shape[0]
    wanted = np.array([(edge - edges.low) >> place.start & (size - 1) for edge in edges.values])
    hot = yield from expanded(p, at, digit, size)
    return hot.map(lambda part: _prefix(part)[wanted]), taken(hot, wanted)


def _prefix(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Exclusive or of all rows before each."""
    before = np.zeros_like(part)
    for k in range(1, len(part)):
        np.bitwise_xor(before[k - 1], part[k - 1], out=before[k])
    return before


def _stacked(rows: list[Boolean]) -> Boolean:
    return concatenate([row.map(lambda part: part.reshape(1, *part.shape)) for row in rows], 0)


def _compared(p: Protocol, at: Scope, smaller: Boolean, same: Boolean) -> Step[Boolean]:
    """From digits, lowest first, to numbers: a tree of (smaller, same) of neighbours."""
    while smaller.shape[0] > 1:
        n = smaller.shape[0]
        half = n // 2
        low, high, rest = slice(0, 2 * half, 2), slice(1, 2 * half, 2), slice(2 * half, None)
        equal = taken(same, high)
        left = concatenate([equal, taken(equal, slice(1, None))], 0)
        right = concatenate([taken(smaller, low), taken(same, slice(2, 2 * half, 2))], 0)
        both = yield from p.and_(at.child(f"{n} digits"), left, right)
        merged = p.xor(taken(smaller, high), taken(both, slice(half)))
        # Whether the lowest digits are the same is never asked, so that of the lowest pair may be anything.
        alike = concatenate([taken(equal, slice(1)), taken(both, slice(half, None)), taken(same, rest)], 0)
        smaller, same = concatenate([merged, taken(smaller, rest)], 0), alike
    return taken(smaller, 0)


# -- histogram ---------------------------------------------------------------------------------------------------------


def histogram(
    p: Protocol,
    at: Scope,
    x: Arithmetic,
    edges: Sequence[int],
    low: int,
    high: int,
    weights: Arithmetic | None = None,
) -> Step[Arithmetic]:
    """How many numbers lie in each bin, or the sum of their weights: any shape, low <= x <= high, to (len(edges) - 1,).

    Bin k holds edges[k] <= x < edges[k + 1], the last one x = edges[-1] as well, as in NumPy.

    Args:
        edges: at least two raw integers that do not decrease.
        weights: of the shape of x; a product for every bin, and the bits as numbers, in addition.
    """
    limits = [*edges[:-1], edges[-1] + 1]
    chosen, place = _undecided(limits, low, high)
    all_weights = _total(p, x, weights)
    known = p.scale(all_weights, np.array([limit > high for limit in limits], np.int64))
    if chosen.values and x.size:
        compare, width = _way(p, chosen, x.size)
        operands = [flattened(x)] + ([] if weights is None else [flattened(weights)])
        (parts,) = yield from strips(p, at, partial(_counted, compare=compare), operands, width)
        sums = concatenate([p.sum(parts, 1), known], 0)
        known = taken(sums, [place.get(limit, len(chosen.values) + k) for k, limit in enumerate(limits)])
    return p.sub(taken(known, slice(1, None)), taken(known, slice(-1)))


def _total(p: Protocol, x: Arithmetic, weights: Arithmetic | None) -> Arithmetic:
    """The weight of all numbers, as (1,)."""
    if weights is None:
        return p.public(np.array([x.size], np.int64))
    return p.sum(weights.map(lambda part: part.reshape(-1, 1)), 0)


def _counted(p: Protocol, at: Scope, x: Arithmetic, *weights: Arithmetic, compare: Way) -> Step[list[Arithmetic]]:
    """From numbers (n,), and weights if there are any, to the weight below every edge: (edges, 1)."""
    flags = yield from compare(p, at.child("compare"), x)
    if weights:
        factors = yield from p.to_arithmetic(at.child("numbers"), in_bits(flags, x.size))
        return [(yield from p.matmul(at.child("sums"), factors, weights[0].map(lambda part: part.reshape(-1, 1))))]
    if flags.width > 1:  # what stands beyond the end of a row counts nothing
        ends = packed_ones(x.size)
        flags = flags.map(lambda part: part & ends)
    by_number = flags.map(lambda part: contiguous(part.T))
    counts = yield from ones(p, at.child("count"), by_number)
    return [counts.map(lambda part: part.reshape(-1, 1))]
