"""Least squares on secret data: the normal equations, solved once, without opening anything."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from quorate.analytics.coefficients import STUDENT, Coefficients, Tabulated
from quorate.analytics.columns import columns, fitting, in_real_units, known, most_rows, names_of, unit, vector
from quorate.analytics.dependent import warn_of_dependent
from quorate.analytics.linear_algebra import gram_bits
from quorate.analytics.refinement import precise_product
from quorate.analytics.regression.least_squares import results, solve
from quorate.analytics.scoring import r_squared
from quorate.analytics.weights import Weights, weights_of
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.dims import Dim, Size
from quorate.sharing.dtype import fixed

__all__ = ["LinearRegression", "Ridge"]


class LinearRegression(Tabulated):
    """Ordinary or weighted least squares, y = X @ coef_ + intercept_, in closed form.

    Results:
        coef_: shape (features,); 0 for a column that is constant, or that earlier columns explain (as the generalised
            inverse of the sweep operator has it; scikit-learn would share the coefficient out among them).
        intercept_: a number; 0 without `fit_intercept`.
        standard_errors_: of the coefficients, with rows - unknowns degrees of freedom; 0 if there are none.
        intercept_error_: standard error of the intercept.
        r2_: share of the (weighted) square of y that is explained; 0 if y is constant.
        resolved_: whether the spread of y is large enough against its declared range, about 2**-13 of it. If not, or if
            y is constant, opened errors, `residual_std_` and `r2_` are NaN.
        residual_std_: estimated standard deviation of the residuals.
        independent_: which columns count, bools.
        degrees_of_freedom_: rows - unknowns; public without `where`.

    Nothing is revealed but the number of rows and columns, until results are opened.
    """

    coef_: SecretArray
    intercept_: SecretArray
    n_features_in_: int
    feature_names_in_: list[str] | None
    degrees_of_freedom_: int | SecretArray

    def __init__(self, fit_intercept: bool = True) -> None:
        self.fit_intercept = fit_intercept

    def _penalty(self) -> float:
        return 0.0

    def fit(self, X: Any, y: Any, sample_weight: Any = None, where: Any = None) -> Self:
        """Fit to a secret matrix or table of shape (rows, features) and a secret column of as many rows.

        Args:
            X: features.
            y: target.
            sample_weight: what each row counts: a secret column of numbers from 0.
            where: a secret bool column: rows that count at all.

        Raises:
            UserError: shapes that do not fit, fewer rows than unknowns, more than 64 columns, weights that may be
                negative, or declared ranges too wide for the protocol.
        """
        found, target = columns(X), vector(y)
        if found[0].shape[0] != target.shape[0]:
            raise UserError(f"X has {found[0].shape[0]} rows and y has {target.shape[0]}")
        bits = gram_bits(most_rows(target), known(target).capacity, 1)
        weights = weights_of(target, where, sample_weight, bits)
        penalty = self._penalty()
        free = _degrees(weights, len(found) + self.fit_intercept, penalty > 0)
        units, aim = (unit(part, bits, centred=self.fit_intercept) for part in (found, [target]))
        solved = solve(units, aim, weights, self.fit_intercept, penalty)
        self.n_features_in_ = len(found)
        self.feature_names_in_ = names_of(X)
        return self._learn(**results(solved, free), degrees_of_freedom_=_array(target, free))

    def predict(self, X: Any) -> SecretArray:
        """The values that the model expects for secret rows, still secret; shape (rows,)."""
        made = self._expected(X)
        return fitting(made, most_rows(made).bit_length() + 1)  # so that predictions can be added up

    def _expected(self, X: Any) -> SecretArray:
        found = self._fitted_columns(X)
        units = unit(found, min(24, known(found[0]).capacity // 2 - 5))
        u = units.u + units.centre / units.factor if units.centre.any() else units.u
        product = precise_product(u, in_real_units(self.coef_, units.exponent))
        common = fixed(min(product.dtype.scale, self.intercept_.dtype.scale))
        return product.astype(common) + self.intercept_.astype(common)

    def score(self, X: Any, y: Any, sample_weight: Any = None, where: Any = None) -> SecretArray:
        """R squared of the predictions for secret rows, a secret number; see `scoring.r_squared`."""
        return r_squared(y, self._expected(X), where, sample_weight)

    def finished(self, values: Mapping[str, Any]) -> Coefficients:
        """The opened results; a `DependentColumnsWarning` names columns without a coefficient.

        What depends on the spread of y is NaN if that is not resolved, and a warning says so.
        """
        warn_of_dependent(values, self.feature_names_in_)
        public = self.public()
        free = values.get("degrees_of_freedom_", public.get("degrees_of_freedom_", math.nan))
        return Coefficients({**public, **_resolved(values)}, STUDENT, free=float(free))


SPREAD = ("standard_errors_", "intercept_error_", "r2_", "residual_std_")


def _resolved(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Opened results, NaN where the spread of y is not resolved; a warning says so."""
    if values.get("resolved_", True):
        return values
    warnings.warn(
        "the spread of y is not resolved: y is constant, or few rows count, or its declared range is thousands of "
        "times its spread; R squared and standard errors are NaN; declare a narrower range for y",
        RuntimeWarning,
        stacklevel=4,
    )
    lost = {name: np.full_like(np.asarray(values[name], np.float64), np.nan)[()] for name in SPREAD if name in values}
    return {**values, **lost}


class Ridge(LinearRegression):
    """Least squares with the penalty alpha * (sum of squared coefficients), in closed form; the intercept is free.

    Results as of `LinearRegression`; standard errors are those of the penalised estimate as if it had no penalty in
    its numerator, which is what a Bayesian reading gives: sqrt of the diagonal of (X'X + alpha I)^-1 times the residual
    variance. That variance and `r2_` count the penalty as part of what is not explained.
    """

    def __init__(self, alpha: float = 1.0, fit_intercept: bool = True) -> None:
        super().__init__(fit_intercept)
        self.alpha = alpha

    def _penalty(self) -> float:
        if not 0 <= self.alpha < 2.0**40:
            raise UserError(f"alpha {self.alpha!r} is no penalty; give a number from 0")
        return float(self.alpha)


def _array(like: SecretArray, size: Size | SecretArray) -> int | SecretArray:
    """A number of rows that is not known yet as an array."""
    if isinstance(size, int):
        return size
    found: SecretArray = like.trace.rows(size) if isinstance(size, Dim) else size
    return found


def _degrees(weights: Weights, unknowns: int, penalised: bool) -> Size | SecretArray:
    """Rows left over for the residual variance."""
    free = weights.rows - unknowns
    if isinstance(free, int) and free < 1:
        if not penalised:
            raise UserError(
                f"{weights.rows} rows for {unknowns} unknowns; at least one row more than unknowns is needed"
            )
        return 1
    return free
