"""The order of rows that are in random order, found by comparisons whose outcomes are opened.

Source: Hamada, Kikuchi, Ikarashi, Chida, Takahashi, "Practically Efficient Multi-party Sorting Protocols from
Comparison Sort Algorithms", ICISC 2012: rows are shuffled first, so that nobody knows the order that they are in; then
the outcomes of comparisons of distinct keys are those of a uniformly random permutation, whatever the keys are.
Deviation: there quicksort, whose messages depend on chance; here the fixed schedule of `circuits.rank`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits.lexical import Rows, comparable, greater
from quorate.circuits.prices import SAMPLE, Price, price
from quorate.circuits.rank import Level, plan
from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.kernels import order as kernels
from quorate.kernels.ghost import ghost
from quorate.kernels.order import Rows as Indices
from quorate.protocols.base import Protocol
from quorate.sharing.wire import word_type

__all__ = ["compared", "comparison_price", "order_cost", "order_of"]

TILE = 1 << 16
"""Comparisons per tile."""
LANES = 6

Outcomes = npt.NDArray[np.uint8]


def order_of(p: Protocol, at: Scope, rows: Rows, count: int, active: int | None = None) -> Step[Indices]:
    """The positions of the first `count` rows in ascending order, public, int32; a ghost at whoever is no party.

    Args:
        rows: with distinct keys, and in random order.
        active: sort fewer rows, at the cost of `count`.

    Opens the outcomes of comparisons to all parties. Rounds and bytes: those of `rank.plan`.

    Raises:
        InternalError: chance had it that the planned comparisons do not suffice; probability below 2**-40.
    """
    last = count if active is None else active
    levels = plan(count, comparison_price(p, rows.widths), p.session.network)
    order: Indices = p.session.blank((0 if levels else last,), np.int32)
    order[...] = 0
    for k, level in enumerate(levels):
        order = yield from _insertion(p, at.child(f"level {k}"), rows, order, level, last)
    return order


def _insertion(p: Protocol, at: Scope, rows: Rows, order: Indices, level: Level, last: int) -> Step[Indices]:
    """The order of the first `level.after` rows from that of the first `level.before`."""
    before, after = min(level.before, last), min(level.after, last)
    places: Indices = p.session.blank((after - before,), np.int32)
    places[...] = 0
    planned = level.after - level.before if level.digits else 0

    def search(piece: slice) -> Step[None]:
        rest = sum(level.digits)
        here = at.child(f"search from {piece.start}")
        for k, digit in enumerate(level.digits):
            rest -= digit
            size = (piece.stop - piece.start) * ((1 << digit) - 1)
            left, right = kernels.search_pairs(order, places[piece], before + piece.start, digit, rest, size)
            outcomes = yield from _opened(p, here.child(f"step {k}"), rows, left, right)
            places[piece] = kernels.narrowed(places[piece], outcomes, digit, rest)

    yield from _in_pieces(search, planned, TILE >> (max(level.digits, default=1) - 1))
    left, right = kernels.gap_pairs(places, before + 1, before, level.pairs)
    outcomes = yield from compared(p, at.child("gaps"), rows, left, right)
    return kernels.inserted(order[:before], places, before, outcomes)


def compared(p: Protocol, at: Scope, rows: Rows, left: Indices, right: Indices) -> Step[Outcomes]:
    """Whether left rows are greater than right ones, (n,), opened to all parties in tiles; see `lexical.greater`."""
    outcomes: Outcomes = p.session.blank(left.shape, np.uint8)

    def compare(piece: slice) -> Step[None]:
        here = at.child(f"from {piece.start}")
        outcomes[piece] = yield from _opened(p, here, rows, left[piece], right[piece])

    yield from _in_pieces(compare, len(left), TILE)
    return outcomes


def _in_pieces(step: Callable[[slice], Step[None]], count: int, most: int) -> Step[None]:
    """The step for equal pieces of `most` elements at most: while one waits for the network, others compute."""
    pieces = -(-count // most)
    steps = [step(slice(count * k // pieces, count * (k + 1) // pieces)) for k in range(pieces)]
    if pieces == 1:
        yield from steps[0]
    elif steps:
        yield Fork(steps, LANES)


def _opened(p: Protocol, at: Scope, rows: Rows, left: Indices, right: Indices) -> Step[Outcomes]:
    """Whether left rows are greater than right ones, opened to all parties; a ghost at whoever is none."""
    outcomes = yield from greater(p, at, rows, left, right, range(p.parties))
    return ghost(left.shape, np.uint8) if outcomes is None else outcomes


def order_cost(p: Protocol, count: int, widths: Sequence[int]) -> tuple[int, int]:
    """Rounds of `order_of`, and bytes that a participant sends, for so many rows with words of so many bits."""
    comparison = comparison_price(p, widths)
    levels = plan(count, comparison, p.session.network)
    rounds = comparison.rounds * sum(level.steps for level in levels)
    return rounds, comparison.of(sum(level.comparisons for level in levels))


def comparison_price(p: Protocol, widths: Sequence[int]) -> Price:
    """What comparing packed keys, with words of so many bits, costs in this protocol."""
    key = ("comparison of packed keys", tuple(widths))
    return price(p, partial(_sample_comparisons, tuple(widths)), key)


def _sample_comparisons(widths: tuple[int, ...], p: Protocol, at: Scope) -> Step[Any]:
    words = [p.public_bits(ghost((2,), word_type(width)), width) for width in widths]
    pairs = ghost((SAMPLE,), np.int32)
    return greater(p, at, comparable(p, words), pairs, pairs, range(p.parties))
