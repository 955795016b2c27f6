"""Cox's proportional hazards model on secret data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import quorate.lang.functions as q
from quorate.analytics.coefficients import Tabulated
from quorate.analytics.columns import Unit, columns, in_real_units, most_rows, names_of, unit
from quorate.analytics.dependent import warn_of_dependent
from quorate.analytics.scaling import plus, times, triangle, unlifted
from quorate.analytics.small_groups import checked_least, kept, shown_cells
from quorate.analytics.survival.concordance import concordance
from quorate.analytics.survival.cox_results import CoxResults, checked_confidence, warn_of_narrow
from quorate.analytics.survival.grid import Cases, cases, plain, time_grid
from quorate.analytics.survival.newton import Level, Step, levelled, newton_step, standard_errors
from quorate.analytics.survival.partial_likelihood import (
    MOST_LOG_HAZARD,
    Derivatives,
    derivatives,
    log_hazards,
)
from quorate.analytics.survival.risk_sets import RiskSets, risk_sets
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["CoxRegression"]

FEATURE_BITS = 22
"""Fraction bits of features in their units."""

PENALTY_BITS = 20
"""Significant bits of the penalizer."""

SLOPE_SCALE = 24
MOST_SLOPE = 2.0**12
"""The largest coefficient, per unit of a feature: see `columns.Unit`."""

CLOSE = 2.0**-14
"""Newton's method has converged if its last step was shorter, see `Step.distance`, and"""

CLOSE_SLOPE = 2.0**-5
"""no coefficient, per unit of a feature, changed by more: that of a feature that separates changes by 1/2 or more."""

LEAST_DIAGONAL = 0.25
"""Columns whose normalised information is smaller could not be enlarged enough to keep their digits."""

HAZARD_SCALE = 36
MOST_HAZARD = 4096.0
MOST_FEATURES = 64
MOST_ITERATIONS = 50
TIES = ("efron", "breslow")


class CoxRegression(Tabulated):
    """The proportional hazards model of Cox (1972): hazard(t, x) = baseline(t) * exp((x - mean) @ coef).

    Newton's method on the partial likelihood. Durations count as if rounded up to a public grid of times, as for
    `KaplanMeier`; with a grid of all times that occur, the estimate is that of Cox.

    Args:
        ties: "efron" (1977) or "breslow" (1974).
        penalizer: the logarithm of the likelihood is lowered by penalizer / 2 * rows * sum of (coefficient * standard
            deviation of its feature)**2, as in lifelines.
        iterations: steps of Newton's method, from coefficients of 0.
        grid: times in ascending order; by default every whole number in the declared range of integer durations.
        alpha: 1 - alpha is the confidence of intervals.
        least: fewest people at risk for whom the baseline hazard is shown; None stands for `small_groups.LEAST`.

    Results:
        coef_: shape (features,), the logarithms of hazard ratios; 0 for a column that is constant, or that earlier
            columns explain.
        standard_errors_: shape (features,), from the observed information.
        independent_: which columns count, bools.
        narrow_: whose spread is below about 2**-8 of the reach of their declared range, bools: their standard errors
            are not precise, and NaN when opened.
        mean_: the means of the features.
        baseline_cumulative_hazard_: Breslow's estimate at the mean of all features, after each time of the grid; 0
            where fewer than `least` are at risk.
        baseline_shown_: where it is shown, bools.
        last_step_: the length of the last step, relative to one standard deviation of an estimate from one event.
        converged_: whether the last step was short, no x @ coef was cut at `MOST_LOG_HAZARD` from the mean, and no set
            of ties too heavy. Where a feature separates early events from all others the coefficient has no estimate:
            it grows until the steps end, and this is false.

    Public:
        times_: the times of the grid.

    Nothing is revealed but the number of rows and columns, until results are opened.
    """

    coef_: SecretArray
    mean_: SecretArray

    def __init__(
        self,
        ties: str = "efron",
        penalizer: float = 0.0,
        iterations: int = 6,
        grid: Any = None,
        alpha: float = 0.05,
        least: int | None = None,
    ) -> None:
        self.ties = ties
        self.penalizer = penalizer
        self.iterations = iterations
        self.grid = plain(grid)
        self.alpha = alpha
        self.least = least

    def fit(self, X: Any, durations: Any, events: Any, where: Any = None) -> Self:
        """Fit to a secret matrix or table of shape (rows, features), durations, and whether they ended with the event.

        Args:
            where: secret bools: rows that count.

        Raises:
            UserError: parameters or a grid that are none, shapes that do not fit, more than 64 columns, or what
                `KaplanMeier.fit` refuses.
        """
        self._check()
        found, given = columns(X), cases(durations, events, where)
        if found[0].shape != given.durations.shape:
            raise UserError(f"X has {found[0].shape[0]} rows and durations have {given.durations.shape[0]}")
        if len(found) > MOST_FEATURES:
            raise UserError(f"{len(found)} columns; {MOST_FEATURES} is the most that can be solved for at once")
        grid = time_grid(self.grid, given.durations)
        units = unit(found, FEATURE_BITS)
        mean = _mean(units.u, given)
        fitted = _fit(units.u - mean, risk_sets(given, grid, self.ties == "efron"), self.iterations, self.penalizer)
        self.times_ = grid.tolist()
        self.n_features_in_ = len(found)
        self.feature_names_in_ = names_of(X)
        return self._learn(**_results(fitted, units, mean, checked_least(self.least)))

    def _check(self) -> None:
        if self.ties not in TIES:
            raise UserError(f"ties {self.ties!r}; use {' or '.join(TIES)}")
        if not 0 <= self.penalizer <= 1024:
            raise UserError(f"penalizer {self.penalizer!r}; give a number from 0 to 1024")
        if type(self.iterations) is not int or not 1 <= self.iterations <= MOST_ITERATIONS:
            raise UserError(f"iterations {self.iterations!r}; give a whole number from 1 to {MOST_ITERATIONS}")
        checked_confidence(self.alpha)

    def predict_log_partial_hazard(self, X: Any) -> SecretArray:
        """(x - mean) @ coef of secret rows, secret; shape (rows,)."""
        found = self._fitted_columns(X)
        pairs = zip(found, q.unstack(self.mean_), q.unstack(self.coef_), strict=True)
        terms = [times(column - mean, coef, FEATURE_BITS, len(found)) for column, mean, coef in pairs]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def predict_partial_hazard(self, X: Any) -> SecretArray:
        """exp((x - mean) @ coef) of secret rows, secret; shape (rows,). Exponents are cut at -8 and 8."""
        return q.exp(self.predict_log_partial_hazard(X).clip(-MOST_LOG_HAZARD, MOST_LOG_HAZARD))

    def score(self, X: Any, durations: Any, events: Any, where: Any = None) -> SecretArray:
        """Harrell's concordance index on secret rows, a secret number; see `concordance`.

        Raises:
            UserError: shapes that do not fit.
        """
        found, given = self.predict_log_partial_hazard(X), cases(durations, events, where)
        if found.shape != given.durations.shape:
            raise UserError(f"X has {found.shape[0]} rows and durations have {given.durations.shape[0]}")
        return concordance(found, given, time_grid(self.grid, given.durations))

    def finished(self, values: Mapping[str, Any]) -> CoxResults:
        """The opened results, with hazard ratios, intervals and tests."""
        warn_of_dependent(values, self.feature_names_in_)
        warn_of_narrow(values, self.feature_names_in_)
        return CoxResults({**self.public(), **values}, self.alpha)


def _mean(u: SecretArray, given: Cases) -> SecretArray:
    if given.where is None:
        return u.mean(0)
    return u.mean(0, where=given.where[:, None].broadcast_to(u.shape))


@dataclass(frozen=True)
class _Fit:
    """The last step of Newton's method, from where it went, and what there was."""

    slopes: SecretArray
    step: Step
    level: Level
    sets: RiskSets
    found: Derivatives
    cut: SecretArray


def _fit(x: SecretArray, sets: RiskSets, iterations: int, penalizer: float) -> _Fit:
    rows = most_rows(x)
    level = _level(sets, rows, penalizer)
    penalty = _penalty(x, sets, penalizer) if penalizer else None
    slopes = x[0] * 0
    while True:
        log_hazard = log_hazards(x, slopes)
        found = derivatives(x, log_hazard, sets, rows)
        score, information = found.score, found.information
        if penalty is not None:
            score = plus(score, -times(penalty, slopes, SLOPE_SCALE))
            information = plus(information, _on_diagonal(penalty))
        step = newton_step(score, information, level)
        slopes = (slopes + step.change).clip(-MOST_SLOPE, MOST_SLOPE)
        iterations -= 1
        if not iterations:
            return _Fit(slopes, step, level, sets, found, _cut(log_hazard, sets, found))


def _cut(log_hazard: SecretArray, sets: RiskSets, found: Derivatives) -> SecretArray:
    """Whether anything was cut that should not be."""
    beyond = (log_hazard > MOST_LOG_HAZARD) | (log_hazard < -MOST_LOG_HAZARD)
    outside = (beyond & (sets.at_risk[0] == 1)).any()
    return outside if found.cut is None else outside | (found.cut > 0)


def _level(sets: RiskSets, rows: int, penalizer: float) -> Level:
    """Of the number of events, and of the rows times the penalizer, so that a penalty is not cut."""
    events = sets.deaths.sum()
    if not penalizer:
        return levelled(events, rows)
    more = times(sets.people[0], _constant(events, penalizer), 0).astype(fixed(0)).astype_raw(INT)
    return levelled(events + more, rows + math.ceil(rows * penalizer) + 1)


def _penalty(x: SecretArray, sets: RiskSets, penalizer: float) -> SecretArray:
    """The penalizer times the number of rows times the variance of each feature (with one row less, as lifelines)."""
    squares = times(x * sets.at_risk[0][:, None], x, FEATURE_BITS, most_rows(x)).sum(0).clip(0.0, None)
    one_less = 1.0 / (sets.people[0] - 1).clip(1, None) + 1.0
    return times(times(squares, one_less, FEATURE_BITS), _constant(x, penalizer), FEATURE_BITS)


def _constant(like: SecretArray, penalizer: float) -> SecretArray:
    return like.constant(penalizer, fixed(min(48, PENALTY_BITS - math.frexp(penalizer)[1])))


def _on_diagonal(values: SecretArray) -> SecretArray:
    """A diagonal matrix, its upper triangle row by row."""
    rows, columns_, _ = triangle(int(str(values.shape[0])))
    same = [int(i == j) for i, j in zip(rows, columns_, strict=True)]
    return values[rows] * same


def _results(fit: _Fit, units: Unit, mean: SecretArray, least: int) -> dict[str, SecretArray]:
    errors, exponent = standard_errors(fit.step, fit.level)
    length, change = abs(fit.step.distance).max(), abs(fit.step.change).max()
    shown = shown_cells(fit.sets.people, least, complementary=False)
    centre = in_real_units(mean, units.exponent)
    return {
        "coef_": in_real_units(fit.slopes, -units.exponent),
        "standard_errors_": in_real_units(errors, exponent - units.exponent),
        "independent_": fit.step.factor.independent,
        "narrow_": fit.step.factor.independent & (fit.step.normal.matrix.diagonal() < LEAST_DIAGONAL),
        "mean_": centre + units.centre,
        "baseline_cumulative_hazard_": kept(_baseline(fit), shown),
        "baseline_shown_": shown,
        "last_step_": length,
        "converged_": (length < CLOSE) & (change < CLOSE_SLOPE) & ~fit.cut,
    }


def _baseline(fit: _Fit) -> SecretArray:
    """Sums of events over the hazards of all at risk, relative to the mean."""
    each = unlifted(fit.found.sums, fit.found.inverse, HAZARD_SCALE).clip(0.0, MOST_HAZARD)
    return times(each, fit.sets.deaths, HAZARD_SCALE, int(str(each.shape[0]))).cumsum(0)
