"""The order of rows that are in random order, found by comparisons whose outcomes are opened.

Source: Hamada, Kikuchi, Ikarashi, Chida, Takahashi, "Practically Efficient Multi-party Sorting Protocols from
Comparison Sort Algorithms", ICISC 2012: rows are shuffled first, so that nobody knows the order that they are in; then
the outcomes of comparisons of distinct keys are those of a uniformly random permutation, whatever the keys are.
Deviation: there quicksort, whose messages depend on chance; here the fixed schedule of `circuits.rank`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits.lexical import Rows, comparable, greater
from quorate.circuits.prices import SAMPLE, Price, price
from quorate.circuits.rank import Level, plan
from quorate.circuits.tiles import LANES, TILE
from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.kernels import order as kernels
from quorate.kernels.ghost import ghost
from quorate.kernels.order import Rows as Indices
from quorate.protocols.base import Protocol
from quorate.sharing.share import Boolean
from quorate.sharing.wire import word_type

__all__ = ["order_cost", "order_of"]


def order_of(p: Protocol, at: Scope, words: Sequence[Boolean], active: int | None = None) -> Step[Indices]:
    """The positions of the rows in ascending order of their keys, public, int32; a ghost at whoever is no party.

    Args:
        words: packed keys, see `lexical.packed`, (n,), n >= 1. Keys are distinct, and the rows in random order.
        active: sort the first so many rows only; the cost is that of all.

    Opens the outcomes of comparisons to all parties. Rounds and bytes: those of `rank.plan`.

    Raises:
        InternalError: chance had it that the planned comparisons do not suffice; probability below 2**-40.
    """
    count = words[0].size
    last = count if active is None else active
    rows = comparable(p, words)
    levels = plan(count, _comparison(p, [word.width for word in words]), p.session.network)
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
    order, rest = order[:before], sum(level.digits)
    for k, digit in enumerate(level.digits):
        rest -= digit
        size = (level.after - level.before) * ((1 << digit) - 1)
        left, right = kernels.search_pairs(order, places, before, digit, rest, size)
        outcomes = yield from _outcomes(p, at.child(f"search {k}"), rows, left, right)
        places = kernels.narrowed(places, outcomes, digit, rest)
    left, right = kernels.gap_pairs(places, before + 1, before, level.pairs)
    outcomes = yield from _outcomes(p, at.child("gaps"), rows, left, right)
    return kernels.inserted(order, places, before, outcomes)


def _outcomes(p: Protocol, at: Scope, rows: Rows, left: Indices, right: Indices) -> Step[npt.NDArray[np.uint8]]:
    """Whether left rows are greater than right ones, opened to all parties, in tiles."""
    size, to = len(left), tuple(range(p.parties))
    outcomes: Any = p.session.blank((size,), np.uint8)
    pieces = -(-size // TILE)

    def tile(k: int) -> Step[None]:
        piece = slice(size * k // pieces, size * (k + 1) // pieces)
        opened = yield from greater(p, at.child(f"tile {k}"), rows, left[piece], right[piece], to)
        if opened is not None:
            outcomes[piece] = opened

    if pieces == 1:
        yield from tile(0)
    elif pieces:
        yield Fork([tile(k) for k in range(pieces)], LANES)
    return outcomes


def order_cost(p: Protocol, count: int, widths: Sequence[int]) -> tuple[int, int]:
    """Rounds of `order_of`, and bytes that a participant sends, for so many rows with words of so many bits."""
    comparison = _comparison(p, widths)
    levels = plan(count, comparison, p.session.network)
    rounds = comparison.rounds * sum(level.steps for level in levels)
    return rounds, comparison.of(sum(level.comparisons for level in levels))


def _comparison(p: Protocol, widths: Sequence[int]) -> Price:
    """What comparing packed keys, with words of so many bits, costs in this protocol."""
    key = ("comparison of packed keys", tuple(widths))
    return price(p, partial(_sample_comparisons, tuple(widths)), key)


def _sample_comparisons(widths: tuple[int, ...], p: Protocol, at: Scope) -> Step[Any]:
    words = [p.public_bits(ghost((2,), word_type(width)), width) for width in widths]
    pairs = ghost((SAMPLE,), np.int32)
    return greater(p, at, comparable(p, words), pairs, pairs, range(p.parties))
