"""The log-rank test and its weighted kin: whether curves of secret groups differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from quorate.analytics.columns import known, vector
from quorate.analytics.linear_algebra import INVERSE_SCALE, LARGEST, factorised, normalised
from quorate.analytics.opened import Fitted, needed
from quorate.analytics.small_groups import checked_least, kept
from quorate.analytics.survival.grid import Counts, cases, counted, plain, time_grid
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.result import Result
from quorate.sharing.dtype import INT, fixed

__all__ = ["LogRankResult", "logrank_test"]

SCALE = 28
"""Fraction bits of shares of groups."""

DISTANCE_SCALE = 20
"""Fraction bits of observed less expected events."""

MOST = 128.0
"""The largest distance, in standard deviations along one direction; larger ones count as this."""

WEIGHTS = ("logrank", "wilcoxon", "tarone-ware")


class LogRankResult(Result):
    """The outcome of a test, secret.

    Parts: statistic_, with degrees_of_freedom_ degrees of freedom: groups with people at risk while there are events,
    less one; and shown_: false, and the others 0, if a group is too small.
    """

    def __init__(self, statistic: SecretArray, degrees: SecretArray, shown: SecretArray) -> None:
        self.statistic_ = statistic
        self.degrees_of_freedom_ = degrees
        self.shown_ = shown

    def parts(self) -> Mapping[str, SecretArray]:
        """The secret results."""
        return vars(self)

    def finished(self, values: Mapping[str, Any]) -> Fitted:
        """statistic, degrees_of_freedom and p_value; NaN if a group is too small, or nothing can be compared.

        Raises:
            UserError: SciPy is not installed.
        """
        degrees = int(values["degrees_of_freedom_"])
        usable = bool(values["shown_"]) and degrees > 0
        statistic = float(values["statistic_"]) if usable else math.nan
        p_value = float(needed("scipy.stats").chi2.sf(statistic, degrees)) if usable else math.nan
        return Fitted(statistic=statistic, degrees_of_freedom=degrees, p_value=p_value, shown=bool(values["shown_"]))


def logrank_test(
    durations: Any,
    events: Any,
    groups: Any,
    grid: Any = None,
    weights: str = "logrank",
    where: Any = None,
    least: int | None = None,
) -> LogRankResult:
    """Test whether two or more groups have the same hazard: Mantel (1966), weights of Tarone and Ware (1977).

    The statistic is (O - E)' V^-1 (O - E), of events observed and expected per group, and the covariance V of the
    hypergeometric distribution. Ties count as on the grid: see `KaplanMeier`.

    Args:
        durations, events: as for `KaplanMeier.fit`.
        groups: whole numbers from 0; bools give two groups.
        grid: times; by default every whole number in the declared range.
        weights: "logrank" weighs all times alike, "wilcoxon" (Gehan, Breslow) by people at risk, "tarone-ware" by the
            square root of their number.
        where: secret bools: rows that count.
        least: fewest people in a group, unless it is empty, for which the outcome is shown; None stands for
            `small_groups.LEAST`.

    Reveals nothing until opened; then the statistic and the number of groups that are not empty. About 200 rounds with
    two groups.

    Raises:
        UserError: other weights, groups that may be negative or only one, and what `KaplanMeier.fit` refuses.
    """
    if weights not in WEIGHTS:
        raise UserError(f"weights {weights!r}; use {', '.join(WEIGHTS)}")
    size = checked_least(least)
    given = cases(durations, events, where)
    counts = counted(given, time_grid(plain(grid), given.durations), vector(groups, "groups", codes=True))
    if int(str(counts.at_risk.shape[0])) < 2:
        raise UserError("groups are all 0 by their declared range; a test compares two or more")
    statistic, degrees = _statistic(*_distances(counts, weights))
    people = counts.at_risk[:, 0]
    shown = ~((people > 0) & (people < size)).any()
    return LogRankResult(kept(statistic, shown), kept(degrees, shown), shown)


def _distances(counts: Counts, weights: str) -> tuple[SecretArray, SecretArray]:
    """Observed less expected events of all groups but the last, (groups - 1,), and their covariance."""
    at_risk, events = counts.at_risk.sum(0), counts.events.sum(0)
    scale = _scale(counts)
    share = counts.at_risk[:-1].record("div", at_risk[None].broadcast_to(counts.at_risk[:-1].shape), scale=scale)
    share = share.clip(0.0, 1.0)
    others = (events - 1).clip(0, None).record("div", (at_risk - 1).clip(0, None), scale=scale)
    factor = 1.0 - others.clip(0.0, 1.0)
    weight = _weights(at_risk, weights, scale)
    expected = share if weight is None else share * weight
    observed = counts.events[:-1] * (1 if weight is None else weight)
    if weight is not None:
        factor = factor * weight * weight
    groups = int(str(share.shape[0]))
    pairs = share[:, None] * np.eye(groups)[:, :, None] - share[:, None] * share[None]
    covariance = ((pairs * factor) * events).sum(-1)
    return (observed - expected * events).sum(-1), covariance


def _weights(at_risk: SecretArray, weights: str, scale: int) -> SecretArray | None:
    """Weights of times, up to 1: a factor that all have in common does not matter."""
    if weights == "logrank":
        return None
    ratio = at_risk.record("div", at_risk[:1].broadcast_to(at_risk.shape), scale=scale).clip(0.0, 1.0)
    return ratio if weights == "wilcoxon" else ratio.sqrt().clip(0.0, 1.0)


def _scale(counts: Counts) -> int:
    """Fraction bits at which shares can be multiplied with each other, and with counts and summed."""
    facts = known(counts.at_risk)
    people = int(counts.at_risk.limits[1]).bit_length() + int(str(counts.at_risk.shape[0])).bit_length()
    times = int(str(counts.at_risk.shape[1])).bit_length()
    return min(SCALE, (facts.capacity - 6) // 2, facts.capacity - 4 - people - times)


def _statistic(distance: SecretArray, covariance: SecretArray) -> tuple[SecretArray, SecretArray]:
    """The square of the distance by the inverse of its covariance, and the rank of that."""
    groups = int(str(distance.shape[0]))
    normal = normalised(covariance)
    factor = factorised(normal.matrix)
    half, odd = divmod(normal.exponent, 2)
    scale = min(
        20, known(distance).capacity - 3 - INVERSE_SCALE - int(LARGEST * MOST).bit_length() - groups.bit_length()
    )
    moved = distance.astype(fixed(DISTANCE_SCALE)) * normal.root
    scaled = moved.astype_raw(fixed(DISTANCE_SCALE + half)).astype(fixed(scale)).clip(-MOST, MOST)
    apart = (factor.inverse @ scaled).clip(-MOST, MOST)
    statistic = (apart @ apart).clip(0.0, None)
    return statistic * 0.5 if odd else statistic, factor.independent.astype(INT).sum()
