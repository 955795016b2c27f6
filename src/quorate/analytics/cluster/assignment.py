"""Which centre is nearest to each secret row, and rows to begin with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import Unit, in_real_units
from quorate.crypto.hashing import digest
from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["Space", "assigned", "nearest", "score_bits", "seeded"]

MOST_BITS = 16
"""Fraction bits of rows and centres where they are compared."""

PAIRS = 5
"""Up to so many clusters all pairs are compared at once, which takes fewer rounds than a tree, and no more bytes."""

WEIGHT_SCALE = 12
"""Fraction bits of squared distances that rows are drawn by."""


def score_bits(rows: int, width: int, capacity: int) -> int:
    """The scale at which squared distances can be summed over all rows."""
    room = capacity - 5 - max(1, rows).bit_length() - width.bit_length()
    return min(MOST_BITS, room // 2)


@dataclass(frozen=True)
class Space:
    """Rows in units that are the same for all columns.

    Attributes:
        unit: rows within [-1, 1].
        bits: their fraction bits.
        clusters: how many centres there are.
    """

    unit: Unit
    bits: int
    clusters: int

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.unit.centre)

    def placed(self, centres: Any) -> SecretArray:
        """Centres in real units, secret or public, in those of the rows; those far outside are moved to the edge."""
        away = centres - self.unit.centre
        if isinstance(away, SecretArray):
            return in_real_units(away, -self.unit.exponent).clip(-1.0, 1.0).astype(fixed(self.bits)).clip(-1.0, 1.0)
        u = np.clip(away / self.unit.factor, -1.0, 1.0)
        return self.unit.u.constant(u, fixed(self.bits))


def _scores(space: Space, centres: SecretArray, shown: SecretArray | None) -> SecretArray:
    """Squared distances less the square of the row, as whole numbers: shape (rows, clusters); exact."""
    c = centres.astype_raw(INT)
    own = (c * c).sum(1)
    if shown is not None:
        beyond = 1 << (2 * space.bits + 3 + space.width.bit_length())
        own = own + (1 - shown.astype(INT)) * beyond
    return own - 2 * (space.unit.u.astype_raw(INT) @ c.T)


def assigned(
    space: Space, centres: SecretArray, mask: SecretArray | None, shown: SecretArray | None = None
) -> SecretArray:
    """1 where a row belongs to a cluster, 0 elsewhere, shape (rows, clusters); the first of equally near ones."""
    scores = _scores(space, centres, shown)
    k = space.clusters
    if k == 1:
        hot = scores * 0 + 1
    elif k <= PAIRS:
        hot = _smallest(scores, k).astype(INT)
    else:
        hot = q.one_hot(scores.argmin(1), k).astype(INT)
    return hot if mask is None else hot * mask[:, None]


def nearest(space: Space, centres: SecretArray, shown: SecretArray) -> SecretArray:
    """The number of the nearest centre, shape (rows,)."""
    scores = _scores(space, centres, shown)
    if space.clusters == 1:
        return scores[:, 0] * 0
    return scores.argmin(1)


def _smallest(scores: SecretArray, k: int) -> SecretArray:
    """Whether each score is the first smallest of its row, from comparisons of all pairs."""
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    first = scores[:, [i for i, _ in pairs]] <= scores[:, [j for _, j in pairs]]
    flags = []
    for own in range(k):
        wins = [first[:, p] if i == own else ~first[:, p] for p, (i, j) in enumerate(pairs) if own in (i, j)]
        while len(wins) > 1:
            wins = [a & b for a, b in zip(wins[::2], wins[1::2], strict=False)] + wins[len(wins) // 2 * 2 :]
        flags.append(wins[0])
    return q.stack(flags, axis=1)


def seeded(space: Space, clusters: int, mask: SecretArray | None, seed: int) -> SecretArray:
    """Rows to begin with: each drawn with a probability proportional to its squared distance from those before.

    Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007. The uniform numbers are public and
    follow from the seed; which rows they choose stays secret. About 20 rounds per centre.
    """
    u = space.unit.u.astype_raw(INT)
    draws = _uniform(seed, clusters)
    everybody = (u[:, 0] * 0 + 1) if mask is None else mask
    chosen = [_drawn(everybody.astype(fixed(WEIGHT_SCALE)), u, draws[0])]
    own = (u * u).sum(1)
    least: SecretArray | None = None
    for draw in draws[1:]:
        c = chosen[-1]
        far = (own - 2 * (u @ c) + (c * c).sum()).clip(0, None)
        least = far if least is None else q.minimum(least, far)
        weights = least.astype_raw(fixed(2 * space.bits)).astype(fixed(WEIGHT_SCALE))
        weights = weights.clip(0.0, None) if mask is None else weights.clip(0.0, None) * mask
        chosen.append(_drawn(weights, u, draw))
    return q.stack(chosen).astype_raw(fixed(space.bits)).clip(-1.0, 1.0)


def _uniform(seed: int, count: int) -> list[float]:
    """Numbers between 0 and 1 that follow from a public seed."""
    drawn = np.empty(count, np.uint64)
    Stream(digest(int(seed).to_bytes(8, "big"), "quorate k-means")[:KEY_BYTES]).fill((1, 1), drawn)
    return [math.ldexp(float((int(one) >> 41) + 1), -23) for one in drawn]


def _drawn(weights: SecretArray, u: SecretArray, draw: float) -> SecretArray:
    """The row in which the running sum of weights first reaches a share of the total."""
    running = weights.cumsum()
    reached = (running >= (running[-1] * draw)).astype(INT)
    before = q.concatenate([np.zeros(1, np.int64), reached[:-1]])
    low, high = (int(limit) for limit in u.limits)
    found: SecretArray = ((reached - before) @ u).clip(low, high)
    return found
