"""How well predictions fit: secret numbers, from secret predictions and secret truth."""

from __future__ import annotations

import math
from typing import Any

import quorate.lang.functions as q
from quorate.analytics.columns import known, most_rows, vector
from quorate.analytics.linear_algebra import gram, gram_bits
from quorate.analytics.statistics.spread import moved, zoomed
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT, fixed

__all__ = ["accuracy", "counted", "enlarged", "r_squared"]

SHARE_BITS = 24

SPARE = 6
"""Bits that values give up, so that small sums of their squares can be enlarged."""


WORST = 255.0


def counted(where: Any, like: SecretArray) -> SecretArray:
    """Which rows count, as 0 or 1, int, shape (rows,); all where nothing is given.

    Raises:
        UserError: `where` is no secret column of bools of as many rows.
    """
    if where is None:
        every: SecretArray = q.ones_like(like, dtype=INT)
        return every
    if not isinstance(where, SecretArray) or where.dtype != BOOL or where.shape != like.shape:
        raise UserError("where is a secret column of bools, one per row")
    return where.astype(INT)


def accuracy(y: Any, found: SecretArray, where: Any = None) -> SecretArray:
    """The share of rows whose label is predicted, fixed(16); 0 if no row counts."""
    truth = vector(y)
    counts = counted(where, truth)
    share: SecretArray = ((truth == found).astype(INT) * counts).sum() / counts.sum()
    return share


def r_squared(y: Any, found: SecretArray, where: Any = None) -> SecretArray:
    """1 less the share of the variance of y that predictions leave unexplained, fixed(16); 0 if y is constant.

    Precise to about 2**-12, also where the declared range of y is much wider than its values. Predictions that are
    wrong by more than 4 times half of that range count as wrong by that much, and results below -255 are -255.
    """
    truth = vector(y)
    counts = counted(where, truth)
    bits = gram_bits(most_rows(truth), known(truth).capacity, 0) - SPARE
    low, high = truth.limits
    middle, reach = (low + high) / 2, max((high - low) / 2, 2.0**-40)
    around = found.clip(math.floor(middle - 5 * reach), math.ceil(middle + 5 * reach))
    (own, other), _, _ = moved([truth, around])
    spread = (own - own.mean(0, where=where)) * counts
    units = zoomed([(own - other) * counts, spread], bits)
    squares = q.stack([_square(x) for x in units]).astype_raw(INT)
    left, all_ = q.unstack(enlarged(squares, most_rows(truth) * 2 << (2 * bits)))
    varies = abs(spread.astype_raw(INT)).sum() > 2 * counts.sum()
    return q.where(all_ > 0, 1.0 - (left / all_).clip(0.0, 256.0), q.where(varies, -WORST, 0.0))


def _square(x: SecretArray) -> SecretArray:
    total: SecretArray = gram(x[:, None], x[:, None])[0, 0]
    return total


def enlarged(parts: SecretArray, most: int, share_bits: int = SHARE_BITS) -> SecretArray:
    """Integers from 0 that add up to at most `most`, brought to few bits without losing their ratios.

    They are multiplied by one secret power of two that leaves their sum few zeros in front, and cut to `share_bits`
    bits. About 20 rounds.
    """
    bits = max(most.bit_length(), share_bits)
    parts = parts.clip(0, most)
    total = parts.sum()
    room = max(1, min(bits, known(parts).capacity - 2 - bits))
    flags = [(total < (1 << (bits - k))).astype(INT) << (k - 1) for k in range(1, room + 1)]
    grown = (parts * (1 + sum(flags[1:], flags[0]))).clip(0, 1 << bits)
    cut = grown.astype_raw(fixed(bits - share_bits)).astype(fixed(0))
    return cut.clip(0.0, 2.0**share_bits).astype_raw(INT)
