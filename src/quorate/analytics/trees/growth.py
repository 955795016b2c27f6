"""Growing complete trees of public depth, level by level: who reaches a node, and what it splits on, stay secret."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.trees.scores import Digits, Flags, Sides, scored
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["Grown", "Rows", "grown"]

SCORE_BITS = 36
"""Bits of gains that are kept."""


@dataclass(frozen=True)
class Rows:
    """What the rows bring to every node, for several trees that grow at once.

    All of it is one array of raw integers, so that one product of matrices sums it up.

    Attributes:
        values: 1 where a row counts, then gradients for every output, then hessians if there are any; 0 where a row
            does not count; int, shape (channels, trees, rows).
        outputs: how many gradients.
    """

    values: SecretArray
    outputs: int

    @classmethod
    def of(cls, counts: SecretArray, gradients: SecretArray, hessians: SecretArray | None = None) -> Self:
        """From counts (1, trees, rows), gradients (outputs, trees, rows) and hessians of the shape of the counts."""
        parts = [counts, gradients.astype_raw(INT)] + ([] if hessians is None else [hessians.astype_raw(INT)])
        return cls(q.concatenate(parts), int(str(gradients.shape[0])))


@dataclass(frozen=True)
class Grown:
    """Trees in which node k has the children 2 k + 1 and 2 k + 2.

    Attributes:
        places: what each inner node splits on, int, shape (trees, 2**depth - 1); 0: its rows all go left.
        gains: decrease of the loss by each split, fixed-point, of the same shape.
        values: of the leaves, fixed(digits.mean), shape (trees, 2**depth, outputs).
        turns: for every level whether a row would go left at each of its nodes, int, shape (trees, nodes, rows).
    """

    places: SecretArray
    gains: SecretArray
    values: SecretArray
    turns: tuple[SecretArray, ...]


def grown(
    left: SecretArray, rows: Rows, depth: int, least: int, d: Digits, permitted: Sequence[Flags] | None = None
) -> Grown:
    """Grow trees of a depth on `bins.on_the_left`.

    Rounds with rep3: about 93 per level. Bytes per party: for n rows and a level of k nodes 8 n k for reading which
    rows go left and 8 n k for each sum; for c places about 500 k c for scores and their comparison, with one output.

    Args:
        left: int, shape (places, rows).
        rows: see `Rows`.
        depth: number of levels with splits, at least 1.
        least: fewest rows on each side of a split.
        d: scales.
        permitted: for every level which places may be chosen at its nodes, public, shape (places, nodes).
    """
    may: Sequence[Flags | None] = [None] * depth if permitted is None else permitted
    values = rows.values
    below = _histogram(left, values)
    splits = [_split(left, below, rows.outputs, least, d, may[0])]
    for level in range(1, depth):
        gone = splits[-1].turn[None] * values
        half = _histogram(left, gone)
        values, below = _interleaved(gone, values - gone), _interleaved(half, below - half)
        splits.append(_split(left, below, rows.outputs, least, d, may[level]))
    trees = int(str(rows.values.shape[1]))
    return Grown(
        q.hstack([split.chosen.reshape(trees, -1) for split in splits]),
        q.hstack([_gains(split.sides.scores, split.chosen, d).reshape(trees, -1) for split in splits]),
        _leaves(splits[-1].sides.means, splits[-1].chosen, trees),
        tuple(split.turn.reshape(trees, -1, left.shape[1]) for split in splits),
    )


class _Split(NamedTuple):
    """The split of every node of a level.

    Attributes:
        sides: all that were possible.
        chosen: the best, int, shape (nodes,).
        turn: which rows would go left at it, int, shape (nodes, rows).
    """

    sides: Sides
    chosen: SecretArray
    turn: SecretArray


def _split(
    left: SecretArray, below: SecretArray, outputs: int, least: int, d: Digits, permitted: Flags | None
) -> _Split:
    sides = _scored(below, outputs, least, d, permitted)
    chosen = sides.scores.argmax(axis=0)
    return _Split(sides, chosen, left.take(chosen, axis=0))


def _histogram(left: SecretArray, x: SecretArray) -> SecretArray:
    """Sums over the rows that go left at every place: (channels, nodes, rows) to (channels, nodes, places)."""
    channels, nodes = int(str(x.shape[0])), int(str(x.shape[1]))
    total = left @ x.reshape(channels * nodes, x.shape[2]).T
    return total.T.reshape(channels, nodes, left.shape[0])


def _interleaved(x: SecretArray, y: SecretArray) -> SecretArray:
    """Left and right children next to each other: twice (channels, nodes, ...) to (channels, 2 nodes, ...)."""
    pair = q.stack([x, y], axis=2)
    return pair.reshape(x.shape[0], 2 * int(str(x.shape[1])), x.shape[2])


def _scored(below: SecretArray, outputs: int, least: int, d: Digits, permitted: Flags | None) -> Sides:
    counts = _sides(below[:1], 0, d.rows)
    reach = d.rows * d.most_gradient
    gradients = _sides(below[1 : 1 + outputs].astype_raw(fixed(d.gradient)), -reach, reach)
    hessians = below[1 + outputs :].astype_raw(fixed(d.weight))
    weights = _sides(hessians, 0.0, d.rows * d.most_weight) if hessians.shape[0] else None
    return scored(counts, gradients, weights, least, d, permitted)


def _sides(below: SecretArray, low: float, high: float) -> SecretArray:
    """Sums on both sides of every place, with the range that they can have: (places, 2, channels, nodes).

    The range analysis cannot know that what a part leaves of a sum is a part as well.
    """
    pair = q.stack([below, below[:, :, :1] - below]).transpose(3, 0, 1, 2)
    return pair.clip(low, high)


def _gains(scores: SecretArray, chosen: SecretArray, d: Digits) -> SecretArray:
    """By how much the chosen place is better than no split, shape (nodes,)."""
    best = _own(scores, chosen)
    scale = min(48, 2 * d.mean + d.weight)
    gain = (best - scores[0]).clip(0, None).astype_raw(fixed(scale))
    whole = math.ceil(math.log2(max(gain.limits[1], 1.0)))
    return gain.astype(fixed(min(scale, SCORE_BITS - whole)))


def _leaves(means: SecretArray, chosen: SecretArray, trees: int) -> SecretArray:
    """Values of both sides of the chosen splits: (trees, leaves, outputs)."""
    found = _own(means.transpose(0, 3, 1, 2), chosen)
    return found.reshape(trees, -1, found.shape[2])


def _own(table: SecretArray, chosen: SecretArray) -> SecretArray:
    """For every node what its chosen place has in the node's own column: (places, nodes, ...) to (nodes, ...).

    One read for all nodes, of which only the diagonal is wanted.
    """
    each = np.arange(int(str(chosen.shape[0])))
    return table.take(chosen, axis=0)[each, each]
