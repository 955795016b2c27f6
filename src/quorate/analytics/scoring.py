"""How well predictions fit: secret numbers, from secret predictions and secret truth."""

from __future__ import annotations

import math
from typing import Any

import quorate.lang.functions as q
from quorate.analytics.columns import known, most_rows, vector
from quorate.analytics.linear_algebra import gram, gram_bits
from quorate.analytics.scaling import lifted, times
from quorate.analytics.statistics.scatter import enough, shares, weighted_mean
from quorate.analytics.statistics.spread import moved, zoomed
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT, fixed

__all__ = ["accuracy", "counted", "enlarged", "r_squared"]

SHARE_BITS = 24

SPARE = 6
"""Bits that values give up, so that products with weights have more."""

DIGITS = 8
"""Binary digits that weighted sums of squares keep at least, about."""

SCORE_SCALE = 16


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
    truth = vector(y, codes=True)
    counts = counted(where, truth)
    share: SecretArray = ((truth == found).astype(INT) * counts).sum() / counts.sum()
    return share


def r_squared(y: Any, found: SecretArray, where: Any = None, sample_weight: Any = None) -> SecretArray:
    """1 less the share of the variance of y that predictions leave unexplained, fixed(16); 0 if y is constant.

    Precise to about 2**-12, also where the declared range of y is much wider than its values. Predictions that are
    wrong by more than 4 times half of that range count as wrong by that much, and results below -255 are -255; so are
    those that cannot be told, since weights are 0 or next to 0 against their declared range.
    """
    truth = vector(y)
    own, other = _near(truth, found)
    counts = counted(where, truth)
    bits = gram_bits(most_rows(truth), known(truth).capacity, 1)
    spread = (own - own.mean(0, where=where)) * counts
    varies = abs(spread.astype_raw(INT)).sum() > 2 * counts.sum()
    rest, away = zoomed([(own - other) * counts, spread], bits if sample_weight is None else bits - SPARE)
    if sample_weight is None:
        return _one_less(_square(away), _square(rest), varies, 0.0)
    share, _ = shares(vector(sample_weight, "sample_weight"), where)
    away = away - weighted_mean(away[:, None], share)[0]
    whole, left = (_square(x, share) for x in (away, rest))
    least = math.ldexp(math.sqrt(most_rows(truth)), DIGITS - bits - SPARE)
    return q.where(enough(share), _one_less(whole, left, varies, least), -WORST)


def _one_less(whole: SecretArray, left: SecretArray, varies: SecretArray, least: float) -> SecretArray:
    """1 - left / whole, where whole is more than `least`; 0 where all values are alike but for roundings."""
    top = math.ceil(math.log2(max(whole.limits[1], left.limits[1])))
    near = lifted(q.stack([whole, left])[None, :], top, -whole.dtype.scale, WORST + 1)
    share = times(near.values[0, 1], near.inverse()[0], SHARE_BITS).clip(0.0, WORST + 1)
    score = (1.0 - share).astype(fixed(SCORE_SCALE))
    return q.where(varies & (whole > least), score, q.where(varies, -WORST, 0.0))


def _near(truth: SecretArray, found: SecretArray) -> tuple[SecretArray, SecretArray]:
    """Truth and predictions of one scale, less the middle of the range of truth, not further away than 5 reaches."""
    low, high = truth.limits
    middle, reach = (low + high) / 2, max((high - low) / 2, 2.0**-40)
    around = found.clip(math.floor(middle - 5 * reach), math.ceil(middle + 5 * reach))
    (own, other), _, _ = moved([truth, around])
    return own, other


def _square(x: SecretArray, share: SecretArray | None = None) -> SecretArray:
    """The sum of squares, or of squares times weights."""
    other = x
    if share is not None:
        other = times(x, share, share.dtype.scale + SPARE)
    found: SecretArray = gram(other[:, None], x[:, None])[0, 0]
    return found.clip(0.0, None)


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
