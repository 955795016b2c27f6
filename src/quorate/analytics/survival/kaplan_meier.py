"""Kaplan-Meier curves of secret durations, on a public grid of times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.base import Estimator, Fitted
from quorate.analytics.columns import category_names, known, vector
from quorate.analytics.opened import needed
from quorate.analytics.small_groups import blanked, checked_least, kept, shown_cells
from quorate.analytics.survival.grid import Counts, cases, counted, plain, time_grid
from quorate.analytics.survival.merging import released
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["KaplanMeier", "SurvivalCurves", "running_product"]

SCALE = 28
"""Fraction bits of probabilities."""

VARIANCE_SCALE = 40
"""Fraction bits of the variance of the logarithm of a curve."""

MEDIAN_BITS = 30
"""Significant bits of times."""

HALF = 0.5 + 2.0**-20
"""A curve has come down to one half if it is below this: its own error is smaller than the difference."""

Floats = npt.NDArray[np.float64]


class KaplanMeier(Estimator):
    """The share of people without event after each time of a public grid: the product limit of Kaplan and Meier (1958).

    Durations count as if rounded up to the grid; with a grid of all times that occur, the curve is exactly that of
    Kaplan and Meier.

    Args:
        grid: times in ascending order; by default every whole number in the declared range of integer durations.
        alpha: 1 - alpha is the confidence of the intervals.
        least: fewest people at risk for whom a step is shown; None stands for `small_groups.LEAST`.
        least_events: fewest events between two shown steps: steps with fewer are hidden, and their events shown with
            the next step. 0 or 1 shows all steps.

    Results, of shape (times,), or (groups, times) with `by`; 0 where a step is not shown:
        at_risk_: people whose duration reaches into the step.
        events_: events since the last shown step.
        survival_: share of people without event after the step.
        log_variance_: Greenwood's sum of d / (n (n - d)): the variance of log(survival_).
        shown_: whether the step may be shown, bools.
        median_, median_reached_: the first shown time at which the curve is at most 1/2, and whether there is one.

    Public:
        times_: the times of the grid.
        groups_: names of the groups, where `by` is a column of categories.

    Nothing is revealed but the number of rows, until results are opened.
    """

    def __init__(self, grid: Any = None, alpha: float = 0.05, least: int | None = None, least_events: int = 0) -> None:
        self.grid = plain(grid)
        self.alpha = alpha
        self.least = least
        self.least_events = least_events

    def fit(self, durations: Any, events: Any, where: Any = None, by: Any = None) -> Self:
        """Fit to one secret duration per row, and whether it ended with the event (1, True) or was censored (0, False).

        Args:
            where: secret bools: rows that count.
            by: secret group of each row, whole numbers from 0: one curve for each group that the declared range allows.

        Raises:
            UserError: columns of different length, durations that may be negative, events other than 0 and 1, a grid
                that is none, a confidence that is none.
        """
        least, merged = checked_least(self.least), checked_least(self.least_events)
        _factor(self.alpha)
        given = cases(durations, events, where)
        times = time_grid(self.grid, given.durations)
        counts = counted(given, times, None if by is None else vector(by, "by", codes=True))
        shown = shown_cells(counts.at_risk, least, complementary=False)
        since = counts.events
        if merged > 1:
            steps, since = released(counts.events, merged)
            shown = shown & steps
        parts = {"at_risk_": counts.at_risk, "events_": since, **_curve(counts)}
        found = {name: kept(values, shown) for name, values in parts.items()}
        found |= _median(parts["survival_"], shown, times) | {"shown_": shown}
        self.times_ = times.tolist()
        self.groups_ = category_names(by)
        return self._learn(**{name: part[0] if by is None else part for name, part in found.items()})

    def finished(self, values: Mapping[str, Any]) -> SurvivalCurves:
        """The opened curves."""
        return SurvivalCurves({**self.public(), **values}, self.alpha)


def _curve(counts: Counts) -> dict[str, SecretArray]:
    """The product of 1 - d / n, and the sum of d / (n (n - d)) = 1 / (n - d) - 1 / n; nothing for n = d."""
    scale = _scale(counts.events)
    share = counts.events.record("div", counts.at_risk, scale=scale).clip(0.0, 1.0)
    left = (counts.at_risk - counts.events).clip(0, None)
    wide = min(VARIANCE_SCALE, known(left).capacity - 3 - int(str(left.shape[1])).bit_length())
    inverse = q.stack([left, counts.at_risk]).record("reciprocal", scale=wide)
    each = (inverse[0] - inverse[1]).clip(0.0, 1.0)
    return {
        "survival_": running_product(1.0 - share).clip(0.0, 1.0),
        "log_variance_": each.cumsum(1),
    }


def _scale(counts: SecretArray) -> int:
    """Fraction bits at which two probabilities can be multiplied, and counts divided."""
    facts = known(counts)
    return min(SCALE, (facts.capacity - 3) // 2, facts.capacity - 4 - int(counts.limits[1]).bit_length())


def running_product(factors: SecretArray) -> SecretArray:
    """Products of the first 1, 2, 3 ... numbers along the last axis; 2 rounds per doubling of their number."""
    count = int(str(factors.shape[-1]))
    made, reach = factors, 1
    while reach < count:
        made = q.concatenate([made[..., :reach], made[..., reach:] * made[..., :-reach]], axis=-1)
        reach *= 2
    return made


def _median(survival: SecretArray, shown: SecretArray, times: Floats) -> dict[str, SecretArray]:
    """The first time at which the curve is at most one half; 0 if there is none."""
    down = (survival < HALF) & shown
    before = (down.astype(INT).cumsum(1) == 0).astype(INT)
    reached = ~before[:, -1].astype(bool)
    scale = MEDIAN_BITS - math.ceil(math.log2(max(times[-1], 1.0)))
    raw = np.rint(np.ldexp(times, scale)).astype(np.int64)
    first = (before * np.append(np.diff(raw), -raw[-1])).sum(1) + int(raw[0])
    return {"median_": first.astype_raw(fixed(scale)), "median_reached_": reached}


AXES: Axes = {
    **dict.fromkeys(("at_risk_", "events_", "survival_", "variance_"), ("group", "time")),
    **dict.fromkeys(("lower_", "upper_", "shown_"), ("group", "time")),
    **dict.fromkeys(("median_", "median_reached_"), ("group",)),
}


class SurvivalCurves(Fitted):
    """Opened curves: what was opened, NaN where a step is not shown, and what follows from it in public.

    Attributes:
        times_, at_risk_, events_, survival_, shown_: as of `KaplanMeier`.
        variance_: Greenwood's estimate of the variance of the curve, survival_**2 * log_variance_.
        lower_, upper_: confidence intervals from log(-log(survival_)), exponential Greenwood; 1 to 1 before the first
            event, 0 to 0 once nobody is left.
        median_: inf where the curve does not come down to 1/2.
    """

    def __init__(self, values: Mapping[str, Any], alpha: float) -> None:
        super().__init__(values, axes=AXES)
        self["times_"] = np.asarray(values["times_"])
        if "survival_" not in values or "shown_" not in values:
            return
        for name in ("at_risk_", "events_", "survival_", "log_variance_"):
            self[name] = blanked(self[name], self["shown_"])
        log_variance = self.pop("log_variance_")
        self["variance_"] = self["survival_"] ** 2 * log_variance
        self["lower_"], self["upper_"] = _intervals(self["survival_"], log_variance, alpha)
        nearest = np.abs(np.subtract.outer(self["median_"], self["times_"])).argmin(-1)
        self["median_"] = np.where(self["median_reached_"], self["times_"][nearest], np.inf)
        del self["median_reached_"]

    def table(self, labels: Sequence[Any] | None = None) -> Any:
        """A data frame of all steps that are shown; with groups, one after another.

        Args:
            labels: names of the groups; by default their categories, or 0, 1, ...

        Raises:
            UserError: pandas is not installed, or labels are not as many as groups.
        """
        frame = needed("pandas").DataFrame
        names = ("at_risk_", "events_", "survival_", "variance_", "lower_", "upper_")
        columns = {name.rstrip("_"): np.atleast_2d(self[name]) for name in names}
        groups = len(columns["survival"])
        labels = self.get("groups_") if labels is None else labels
        if labels is not None and len(labels) != groups:
            raise UserError(f"{len(labels)} labels for {groups} groups")
        shown = np.atleast_2d(self["shown_"]).astype(bool)
        index = {"time": np.tile(self["times_"], groups)[shown.reshape(-1)]}
        if self["survival_"].ndim == 2:
            named = np.asarray(range(groups) if labels is None else labels)
            index = {"group": np.repeat(named, len(self["times_"]))[shown.reshape(-1)], **index}
        made = frame({**index, **{name: values[shown] for name, values in columns.items()}})
        made.attrs["quorate"] = self.provenance
        return made


def _intervals(survival: Floats, log_variance: Floats, alpha: float) -> tuple[Floats, Floats]:
    """survival ** exp(-+ z * sqrt(log_variance) / log(survival)); Kalbfleisch and Prentice, 1980, section 1.4."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(survival)
        away = _factor(alpha) * np.sqrt(log_variance) / log
        ends = [
            np.where((survival > 0) & (survival < 1), np.exp(log * np.exp(sign * away)), survival) for sign in (-1, 1)
        ]
    return ends[0], ends[1]


def _factor(alpha: float) -> float:
    if not 0 < alpha < 1 or not math.isfinite(alpha):
        raise UserError(f"alpha {alpha!r}; give a number between 0 and 1, such as 0.05 for 95 % confidence")
    return NormalDist().inv_cdf(1 - alpha / 2)
