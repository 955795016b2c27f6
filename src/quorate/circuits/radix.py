"""Stable sorting by digits of a few bits, and picking out rows: for keys that take few values.

Every row learns, in secret, where it has to go: the number of rows with a smaller digit, and of those before it with
the same one. The rows are shuffled together with these targets, which are then opened.

Sources: Chida, Hamada, Ikarashi, Kikuchi, Kiribuchi, Pinkas, "An Efficient Secure Three-Party Sorting Protocol with an
Honest Majority", IACR ePrint 2019/695; Asharov, Hamada, Ikarashi, Kikuchi, Nof, Pinkas, Takahashi, Tomida, "Efficient
Secure Three-Party Sorting with Applications to Data Analysis and Heavy Hitters", CCS 2022, section 3. Deviation: rows
move as a whole with every digit, which is cheaper for the few digits that this is used for.

Why opening is safe: the targets are a permutation, and after the shuffle they stand in uniformly random order, so what
is opened is a uniformly random permutation whatever the digits are.

Cost of a digit of d bits: 2**d - 1 conversions of bits and one inner product per row, `Protocol.shuffle` of the rows
and of their targets, which are then opened. Local otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, TypeVar

import numpy as np

from quorate.circuits.convert import bits_at
from quorate.circuits.strips import strip_width, strips
from quorate.circuits.tiles import tiled, tiled_product
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels.ghost import contiguous, ghost
from quorate.kernels.permutation import apply, invert
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share, concatenate

__all__ = ["as_numbers", "by_digits", "moved", "partition", "placed", "prefix_sums", "targets"]

AnyShare = TypeVar("AnyShare", bound=Share)


def by_digits(
    p: Protocol, at: Scope, words: Boolean, width: int, digit: int, columns: Sequence[Share]
) -> Step[tuple[Boolean, list[Share]]]:
    """The words, (n,), in ascending order of their low `width` bits, and the rows of the columns with them; stable.

    Sorts by `digit` bits at a time, from the lowest. Opens a uniformly random permutation for each.
    """
    rows: list[Any] = [words, *columns]
    for low in range(0, width, digit):
        bits = bits_at(rows[0], list(range(low, min(low + digit, width))))
        rows = yield from partition(p, at.child(f"bit {low}"), bits, rows)
    return rows[0], rows[1:]


def partition(p: Protocol, at: Scope, digit: Boolean, columns: Sequence[Share]) -> Step[list[Share]]:
    """The rows in ascending order of a digit; stable. `digit`: its bits, (d, n), lowest first."""
    flags = yield from _values(p, at.child("values"), digit)
    numbers = yield from as_numbers(p, at.child("numbers"), flags)
    target = yield from targets(p, at.child("targets"), numbers)
    return (yield from placed(p, at.child("move"), target, columns))


def placed(p: Protocol, at: Scope, target: Arithmetic, columns: Sequence[Share]) -> Step[list[Share]]:
    """The rows, each where its secret `target` says, (n,): a permutation of 0 ... n - 1.

    Opens the targets in uniformly random order to all parties. Rounds and bytes: `Protocol.shuffle` and one opening.
    """
    first, *rest = yield from p.shuffle(at.child("shuffle"), [target, *columns])
    opened = yield from p.reveal(at.child("open"), first, range(p.parties))  # type: ignore[arg-type]
    order = invert(ghost(target.shape, np.int64) if opened is None else opened)
    return [moved(column, order) for column in rest]


def moved(column: AnyShare, order: Any) -> AnyShare:
    """Row order[i] of the column at row i; local."""
    return column.map(lambda part: apply(part, order))


def as_numbers(p: Protocol, at: Scope, flags: Boolean) -> Step[Arithmetic]:
    """Bits as the numbers 0 and 1, in tiles."""
    return (yield from tiled(p, at, lambda p, at, b: p.to_arithmetic(at, b), flags))  # type: ignore[return-value]


def prefix_sums(p: Protocol, x: Arithmetic) -> Arithmetic:
    """Sums of the rows, (n, ...), up to each, itself included; local."""
    return p.running_sums(x)


def _values(p: Protocol, at: Scope, digit: Boolean) -> Step[Boolean]:
    """Whether the digit is 1, 2, ..., 2**d - 1: (2**d - 1, n). From the products of all sets of its bits."""
    bits = [digit.map(lambda part, k=k: part[k]) for k in range(digit.shape[0])]  # type: ignore[misc]
    products: dict[int, Boolean] = {1 << k: bit for k, bit in enumerate(bits)}
    for size in range(2, len(bits) + 1):
        sets = [v for v in range(1 << len(bits)) if v.bit_count() == size]
        pairs = [(products[v & (v - 1)], products[v & -v]) for v in sets]
        steps = [p.and_(at.child(f"set {v}"), *pair) for v, pair in zip(sets, pairs, strict=True)]
        products |= zip(sets, (yield from parallel(steps)), strict=True)
    flags = []
    for value in range(1, 1 << len(bits)):
        supersets = [products[v] for v in products if v & value == value]
        flags.append(reduce(p.xor, supersets))
    return concatenate([flag.map(lambda part: part[None]) for flag in flags], 0)


def targets(p: Protocol, at: Scope, numbers: Arithmetic) -> Step[Arithmetic]:
    """Where each row goes in a stable sort, (n,), from whether its digit is 1, 2, ..., as numbers 0 and 1, (k, n).

    One inner product per row.
    """
    count = numbers.shape[1]
    zero = p.sub(p.public(np.ones(count, np.int64)), p.sum(numbers, 0))
    ends = prefix_sums(p, zero)
    first, start = ends, ends.map(lambda part: part[-1:])
    gains = []
    for k in range(numbers.shape[0]):
        ends = prefix_sums(p, numbers.map(lambda part, k=k: part[k]))  # type: ignore[misc]
        gains.append(p.sub(p.add(ends, start), first))
        start = p.add(start, ends.map(lambda part: part[-1:]))
    chosen = yield from _chosen(p, at, numbers, gains)
    return p.add_public(p.add(first, chosen), np.full(count, -1, np.int64))


def _chosen(p: Protocol, at: Scope, numbers: Arithmetic, gains: list[Arithmetic]) -> Step[Arithmetic]:
    """For every row the gain of its digit, 0 for digit 0."""
    if len(gains) == 1:
        return (yield from tiled_product(p, at, numbers.map(lambda part: part[0]), gains[0]))

    def step(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[list[Share]]:
        left, right = (side.map(lambda part: contiguous(part.T)) for side in (x, y))
        return [(yield from p.dot(at, left, right))]

    stacked = concatenate([gain.map(lambda part: part[None]) for gain in gains], 0)
    (result,) = yield from strips(p, at, step, [numbers, stacked], strip_width(len(gains)))
    return result  # type: ignore[no-any-return]
