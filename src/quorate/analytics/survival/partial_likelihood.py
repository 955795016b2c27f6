"""Score and information of Cox's partial likelihood, for secret rows on a public grid of times.

With w = exp(x b) over the people at risk in a cell, M and V are the means of x and of x x' weighted by w. Of d events
in the cell, Breslow's likelihood has the score (sum of their x) - d M and the information d (V - M M'). Efron's takes a
share r = (l - 1) / d of those who have the event away before the l-th of them: their share f of all weights, and N and
P, which are M and V but with numerators of those with event only, give

    M_l = M + y G,  V_l = V + y (f V - P),  with G = f M - N and y = r / (1 - r f),

so that only means of y and y**2 per cell are needed, and no more products per row than for Breslow's but a few.
"""

from __future__ import annotations

from dataclasses import dataclass

import quorate.lang.functions as q
from quorate.analytics.columns import bits_of, fitting, known, most_rows
from quorate.analytics.scaling import RECIPROCAL_SCALE, Lifted, lifted, sum_of_products, times, triangle
from quorate.analytics.survival.risk_sets import RiskSets, Tied
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["MOST_LOG_HAZARD", "REACH", "Derivatives", "derivatives", "log_hazards"]

MOST_LOG_HAZARD = 8.0
"""The largest x b, from the mean of x; larger ones count as this, and are told."""

REACH = 2.0
"""The largest magnitude of x."""

WEIGHT_BITS = 12
"""exp(MOST_LOG_HAZARD) is below 2**WEIGHT_BITS."""

WEIGHT_SCALE = 22
MEAN_SCALE = 30

LEAST_LEFT = 2.0**-5
"""The least 1 - r f; smaller ones count as this, and are told."""


@dataclass(frozen=True)
class Derivatives:
    """Of the logarithm of the likelihood.

    Attributes:
        score: shape (d,).
        information: less the second derivatives, the upper triangle row by row, shape (d * (d + 1) / 2,).
        sums: per time, sums of w as powers of two, and what is left of them.
        inverse: 1 / what is left of the sum of w, shape (times,).
        cut: how many rows' 1 - r f counted as `LEAST_LEFT`; None without ties.
    """

    score: SecretArray
    information: SecretArray
    sums: Lifted
    inverse: SecretArray
    cut: SecretArray | None


@dataclass(frozen=True)
class _Means:
    """Per time: the mean of x, and of the upper triangle of x x', by weight."""

    first: SecretArray
    second: SecretArray


def log_hazards(x: SecretArray, slopes: SecretArray) -> SecretArray:
    """x @ slopes, fixed(WEIGHT_SCALE), shape (rows,)."""
    return sum_of_products(x, slopes[:, None], WEIGHT_SCALE, int(str(x.shape[1])))[:, 0]


def derivatives(x: SecretArray, log_hazard: SecretArray, sets: RiskSets, rows: int) -> Derivatives:
    """Score and information. About 90 rounds, with ranks 130.

    Args:
        x: shape (rows, d), within `REACH`.
        log_hazard: shape (rows,).
        rows: the most rows that there may be.
    """
    left, right, _ = triangle(int(str(x.shape[1])))
    weight = q.exp(log_hazard.clip(-MOST_LOG_HAZARD, MOST_LOG_HAZARD))
    fine = _fine(x)
    first = times(weight[:, None], x, fine)
    coarse = fitting(first, bits_of(x) + 1)
    second = times(coarse[:, left], x[:, right], fine)
    moments = q.concatenate([weight[:, None], first, second], axis=1).astype(fixed(fine))
    at_risk = sets.at_risk @ moments
    sums = lifted(at_risk, WEIGHT_BITS + rows.bit_length(), -WEIGHT_BITS, REACH * REACH)
    inverse = sums.inverse()
    means = _means(sums.values, inverse, x)
    first_mean, cut = means.first, None
    spread = means.second - times(means.first[:, left], means.first[:, right], MEAN_SCALE)
    if sets.tied is not None:
        ended = sums.again(sets.ended @ moments)
        share = times(ended[:, 0], inverse, MEAN_SCALE).clip(0.0, 1.0)
        y, y_square, cut = _removed(sets, sets.tied, share)
        ties = _ties(means, _means(ended, inverse, x), share)
        first_mean = first_mean + times(ties.score, y[:, None], MEAN_SCALE)
        more = times(ties.linear, y[:, None], MEAN_SCALE)
        spread = spread + more - times(ties.square, y_square[:, None], MEAN_SCALE)
    expected = _per_event(first_mean, REACH, sets)
    score = sets.event @ x - expected
    return Derivatives(score, _per_event(spread, 2 * REACH * REACH, sets), sums, inverse, cut)


def _per_event(means: SecretArray, reach: float, sets: RiskSets) -> SecretArray:
    """Means per time, which are within a reach, summed over all events."""
    times_ = int(str(means.shape[0]))
    return times(means.clip(-reach, reach), sets.deaths[:, None], MEAN_SCALE, times_).sum(0)


def _fine(rows: SecretArray) -> int:
    """Fraction bits of products of weights and two features that leave room to add up all rows."""
    return min(MEAN_SCALE, known(rows).capacity - 6 - WEIGHT_BITS - most_rows(rows).bit_length())


def _means(moments: SecretArray, inverse: SecretArray, x: SecretArray) -> _Means:
    d = int(str(x.shape[1]))
    first = times(moments[:, 1 : d + 1].clip(-REACH, REACH), inverse[:, None], MEAN_SCALE)
    second = times(moments[:, d + 1 :], inverse[:, None], MEAN_SCALE)
    return _Means(first.clip(-REACH, REACH), second.clip(-(REACH**2), REACH**2))


@dataclass(frozen=True)
class _Ties:
    """What y and y**2 are multiplied with: G; f V - P - M G' - G M'; G G'."""

    score: SecretArray
    linear: SecretArray
    square: SecretArray


def _ties(means: _Means, ended: _Means, share: SecretArray) -> _Ties:
    left, right, _ = triangle(int(str(means.first.shape[1])))
    M, f = means.first, share[:, None]
    G = (times(M, f, MEAN_SCALE) - ended.first).clip(-2 * REACH, 2 * REACH)
    cross = times(M[:, left], G[:, right], MEAN_SCALE) + times(G[:, left], M[:, right], MEAN_SCALE)
    linear = times(means.second, f, MEAN_SCALE) - ended.second - cross
    return _Ties(G, linear.clip(-16.0, 16.0), times(G[:, left], G[:, right], MEAN_SCALE).clip(-16.0, 16.0))


def _removed(sets: RiskSets, tied: Tied, share: SecretArray) -> tuple[SecretArray, SecretArray, SecretArray]:
    """Per time the means of y and of y**2 over the events; and how many rows were cut."""
    taken = times(tied.rank, share.astype(fixed(RECIPROCAL_SCALE)) @ sets.ended, RECIPROCAL_SCALE)
    low = taken > 1.0 - LEAST_LEFT
    rest = (1.0 - taken).clip(LEAST_LEFT, 1.0)
    fine = _fine(tied.rank)
    y = times(tied.rank, rest.record("reciprocal", scale=RECIPROCAL_SCALE), fine)
    sums = sets.ended @ q.stack([y, times(y, y, fine)], axis=1)
    linear, square = (
        times(tied.events.again(sums[:, k : k + 1], most)[:, 0], tied.inverse, MEAN_SCALE).clip(0.0, most)
        for k, most in enumerate((1 / LEAST_LEFT, LEAST_LEFT**-2))
    )
    return linear, square, low.astype(INT).sum()
