"""Running minima and maxima of a whole array, and running values of its segments, along the first axis.

Running sums of a whole array are local: `radix.prefix_sums`.

A scan combines neighbours with an associative rule in logarithmic depth. Sklansky's network (1960) takes ceil(log2(n))
levels and about n / 2 combinations in each. Every sweep in the manner of Brent and Kung ("A Regular Layout for Parallel
Adders", 1982) in front of it halves what it works on and adds one level: with enough of them there are fewer than 2 n
combinations in all. How many sweeps is chosen for the session's network, with what a combination costs in the protocol
at hand.

Segments are marked by secret bits at their first rows; row 0 begins a segment in any case. Nothing is opened, so nobody
learns how many segments there are.

Rounds of a level: `sum` and `first` one product; `min` and `max` a comparison and the choice by a bit, in segments one
and more. `sum` and `first` begin with the conversion of the marks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.circuits import prices
from quorate.circuits.compare import less
from quorate.circuits.logic import not_
from quorate.circuits.prices import SAMPLE, Price
from quorate.circuits.select import select
from quorate.circuits.strips import columns_of, flattened, strip_width, strips, taken
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.engine.network import Network
from quorate.kernels.ghost import contiguous, ghost
from quorate.protocols.base import Protocol
from quorate.sharing.share import AnyShare, Arithmetic, Boolean, Share, concatenate

__all__ = ["OPERATIONS", "running_extreme", "segmented_scan"]

SegmentOperation = Literal["sum", "min", "max", "first"]
OPERATIONS: tuple[SegmentOperation, ...] = ("sum", "min", "max", "first")

Rows = tuple[Any, ...]
"""What a row consists of: values (n, columns), and unless there are no segments whether it goes on with the segment of
the row before (n, 1), as a bit or as the number 0 or 1."""


class Rule(NamedTuple):
    """An associative rule on blocks of neighbouring rows.

    Attributes:
        join: (protocol, scope, earlier, later, whole) -> the rows combined. With `whole`, earlier blocks reach back to
            row 0, so that only the values are wanted; the rest of the result may be anything of that shape.
        key: name of the rule for remembering its cost.
        marks: what tells whether a row goes on with a segment: a bit, a number, or nothing without segments.
    """

    join: Callable[[Protocol, Scope, Rows, Rows, bool], Step[Rows]]
    key: tuple[str, int | None]
    marks: Literal["bit", "number", "none"]


# -- scans -----------------------------------------------------------------------------------------------------------


def running_extreme(
    p: Protocol, at: Scope, x: Arithmetic, *, largest: bool, bits: int | None = None
) -> Step[Arithmetic]:
    """The smallest or largest of rows 0 ... k for every row k of (n, ...); for `bits` see `extremes.extreme`."""
    return _values(p, at, x, (columns_of(x),), _extreme_rule(largest, bits))


def segmented_scan(
    p: Protocol, at: Scope, x: Arithmetic, starts: Boolean, operation: SegmentOperation, bits: int | None = None
) -> Step[Arithmetic]:
    """For every row k of x (n, ...): the sum, smallest, largest or first of the rows of its segment up to k.

    Args:
        starts: (n,), set where a segment begins.
        bits: for `min` and `max`, see `extremes.extreme`.
    """
    follows: Share = not_(p, starts.map(lambda part: part.reshape(-1, 1)))
    if operation in ("sum", "first"):
        follows = yield from p.to_arithmetic(at.child("marks"), follows)  # type: ignore[arg-type]
        rule = Rule(partial(_carry, first=operation == "first"), (operation, None), "number")
    else:
        rule = _segment_rule(operation == "max", bits)
    return (yield from _values(p, at.child("scan"), x, (columns_of(x), follows), rule))


def _values(p: Protocol, at: Scope, x: Arithmetic, rows: Rows, rule: Rule) -> Step[Arithmetic]:
    """The scan of the rows that x has become, in the shape of x."""
    if not x.size or x.shape[0] == 1:
        return x
    scanned = yield from _scan(p, at, rows, rule, sweeps(p, x.shape[0], rows[0].shape[1], rule))
    values: Arithmetic = scanned[0]
    return values.map(lambda part: part.reshape(x.shape))


def _scan(p: Protocol, at: Scope, rows: Rows, rule: Rule, sweeps: int) -> Step[Rows]:
    n = rows[0].shape[0]
    if not sweeps or n < 3:
        return (yield from _sklansky(p, at, rows, rule))
    half = n // 2
    pairs = yield from _joined(p, at.child("pairs"), rows, slice(0, 2 * half, 2), rows, slice(1, 2 * half, 2), rule)
    odd = yield from _scan(p, at.child("half"), pairs, rule, sweeps - 1)
    even = yield from _joined(p, at.child("rest"), odd, slice((n - 1) // 2), rows, slice(2, None, 2), rule, whole=True)
    return tuple(_woven(taken(x, slice(1)), *y) for x, *y in zip(rows, odd, even, strict=True))


def _woven(first: AnyShare, odd: AnyShare, even: AnyShare) -> AnyShare:
    """Rows 0, 1, 2, ... from row 0, rows 1, 3, ..., and rows 2, 4, ..."""
    parts = []
    for start, one, other in zip(first.parts, odd.parts, even.parts, strict=True):
        rows = np.empty_like(start, shape=(1 + one.shape[0] + other.shape[0], *start.shape[1:]))
        rows[:1], rows[1::2], rows[2::2] = start, one, other
        parts.append(rows)
    return first.with_parts(tuple(parts))


def _sklansky(p: Protocol, at: Scope, rows: Rows, rule: Rule) -> Step[Rows]:
    """At level b, rows whose number has bit b take in the last row of the block before theirs."""
    n, distance = rows[0].shape[0], 1
    rows = tuple(row.map(np.copy) for row in rows)
    while distance < n:
        later = np.flatnonzero(np.arange(n) & distance)
        earlier = later // distance * distance - 1
        here, whole = at.child(f"distance {distance}"), 2 * distance >= n
        joined = yield from _joined(p, here, rows, earlier, rows, later, rule, whole=whole)
        for row, new in zip(rows, joined, strict=True):
            for part, fresh in zip(row.parts, new.parts, strict=True):
                part[later] = fresh
        distance *= 2
    return rows


Index = slice | npt.NDArray[np.int64]


def _joined(
    p: Protocol, at: Scope, earlier: Rows, these: Index, later: Rows, those: Index, rule: Rule, whole: bool = False
) -> Step[Rows]:
    operands = [*(taken(row, these) for row in earlier), *(taken(row, those) for row in later)]
    count = len(earlier)

    def step(p: Protocol, at: Scope, *pieces: Share) -> Step[Rows]:
        return rule.join(p, at, pieces[:count], pieces[count:], whole)

    columns = earlier[0].shape[1]
    return tuple((yield from strips(p, at, step, operands, strip_width(columns), axis=0)))


# -- rules -------------------------------------------------------------------------------------------------------------


def _carry(p: Protocol, at: Scope, earlier: Rows, later: Rows, whole: bool, *, first: bool) -> Step[Rows]:
    """Sums, or the first value of all, where the later block follows on: one product for each."""
    (x, before), (y, follows) = earlier, later
    gain = p.sub(x, y) if first else x
    both = [_both(gain, follows)]
    if not whole:
        both.append((flattened(before), flattened(follows)))
    left, right = (concatenate(list(side), 0) for side in zip(*both, strict=True))
    products = yield from p.mul(at, left, right)
    value = p.add(y, taken(products, slice(x.size)).map(lambda part: part.reshape(x.shape)))
    if whole:
        return value, follows
    return value, taken(products, slice(x.size, None)).map(lambda part: part.reshape(follows.shape))


def _both(x: Arithmetic, follows: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    """Values and marks, as flat arrays of equal length."""
    spread = follows.map(lambda part: contiguous(np.broadcast_to(part, x.shape)))
    return flattened(x), flattened(spread)


def _extreme_rule(largest: bool, bits: int | None) -> Rule:
    def join(p: Protocol, at: Scope, earlier: Rows, later: Rows, whole: bool) -> Step[Rows]:
        (x,), (y,) = earlier, later
        ahead = yield from _ahead(p, at.child("compare"), x, y, largest, bits)
        return ((yield from select(p, at.child("choice"), ahead, x, y)),)

    return Rule(join, ("max" if largest else "min", bits), "none")


def _segment_rule(largest: bool, bits: int | None) -> Rule:
    def join(p: Protocol, at: Scope, earlier: Rows, later: Rows, whole: bool) -> Step[Rows]:
        (x, before), (y, follows) = earlier, later
        steps = [_ahead(p, at.child("compare"), x, y, largest, bits)]
        steps += [] if whole else [p.and_(at.child("marks"), before, follows)]
        ahead, *marks = yield from parallel(steps)
        spread = follows.map(lambda part: contiguous(np.broadcast_to(part, x.shape)))
        taken_in = yield from p.and_(at.child("follows"), ahead, spread)
        value = yield from select(p, at.child("choice"), taken_in, x, y)
        return value, *(marks or [follows])

    return Rule(join, ("max in segments" if largest else "min in segments", bits), "bit")


def _ahead(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, largest: bool, bits: int | None) -> Step[Boolean]:
    """Whether x beats y."""
    smaller, larger = (y, x) if largest else (x, y)
    ahead = yield from less(p, at, flattened(smaller), flattened(larger), bits=bits)
    return ahead.map(lambda part: part.reshape(x.shape))


# -- how many sweeps ---------------------------------------------------------------------------------------------------


def sweeps(p: Protocol, n: int, columns: int, rule: Rule) -> int:
    """How many sweeps of Brent and Kung take least time for n rows of so many columns."""
    whole, partly = (prices.price(p, partial(_sample, rule, whole), (*rule.key, whole)) for whole in (True, False))
    return _best(p.session.network, whole, partly, n, columns)


def _sample(rule: Rule, whole: bool, p: Protocol, at: Scope) -> Step[Rows]:
    values, flags = p.empty((SAMPLE, 1)), p.public_bits(ghost((SAMPLE, 1), np.uint8))
    marks: dict[str, Rows] = {"bit": (flags,), "number": (values,), "none": ()}
    rows = (values, *marks[rule.marks])
    return rule.join(p, at, rows, rows, whole)


@lru_cache(maxsize=1 << 12)
def _best(network: Network, whole: Price, partly: Price, n: int, columns: int) -> int:
    times = []
    for count in range(max(1, n.bit_length() - 1)):
        levels, full, part = _shape(n, count)
        sent = whole.of(full * columns) + partly.of(part * columns)
        times.append((network.nanoseconds(levels * partly.rounds, sent), count))
    return min(times)[1]


def _shape(n: int, sweeps: int) -> tuple[int, int, int]:
    """Levels, and joins with and without an earlier block that reaches back to row 0."""
    if not sweeps or n < 3:
        depth = (n - 1).bit_length()
        takers = [_takers(n, 1 << level) for level in range(depth)]
        return depth, sum(takers[-1:]), sum(takers[:-1])
    levels, whole, partly = _shape(n // 2, sweeps - 1)
    return levels + 2, whole + (n - 1) // 2, partly + n // 2


def _takers(n: int, distance: int) -> int:
    """How many numbers below n have the bit `distance` set."""
    blocks, rest = divmod(n, 2 * distance)
    return blocks * distance + max(0, rest - distance)
