"""Poisson regression on secret data: counts and rates, by Newton's method, with standard errors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.coefficients import Coefficients, Tabulated
from quorate.analytics.columns import bits_of, fitting, names_of, vector
from quorate.analytics.dependent import warn_of_dependent
from quorate.analytics.regression.design import (
    WEIGHT_SCALE,
    Design,
    Rows,
    designed,
    linear_predictor,
    product,
    rows_of,
)
from quorate.analytics.regression.digits import precise, shared
from quorate.analytics.regression.inference import coefficients, inferred, standard_errors
from quorate.analytics.regression.newton import CONVERGED, Family, Outcome, Point, framed, maximised
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["ConvergenceWarning", "PoissonRegression"]

LOG_SCALE = 24
"""Fraction bits of logarithms."""

LEAST_ETA = -15.0
"""Linear predictors below count as this: expected values below 3e-7."""

BEYOND = 2
"""Expected values stay below the largest declared y times 2**BEYOND."""


class ConvergenceWarning(UserWarning):
    """The method has not come near a maximum, perhaps since there is none."""


class PoissonRegression(Tabulated):
    """y has Poisson's distribution with the mean exposure * exp(X @ coef_ + intercept_ + offset).

    Parameters:
        alpha: penalty as in scikit-learn: the mean of the rows' half deviances plus alpha / 2 times the squared
            coefficients is least; 0 for maximum likelihood, as in statsmodels. The intercept is free.
        fit_intercept: whether there is one.
        max_iter: how many steps Newton's method takes, always all of them.

    Results:
        coef_: shape (features,); 0 for a column that is constant or that earlier columns explain.
        intercept_: a number; 0 without `fit_intercept`.
        independent_: which columns count, bools.
        standard_errors_, intercept_error_: roots of the diagonal of the inverse Hessian.
        deviance_: 2 * sum(y * log(y / mean) - (y - mean)).
        step_: the longest coordinate of the last step, where a step of 1 moves the linear predictor by about 2.
        converged_: whether the last step was below 2**-9, no expected value reached `largest_mean_`, and roundings are
            small against the standard errors (1/8 of one): they are not where the declared range of y or of weights is
            far wider than what they are.
        largest_mean_: public; expected values are cut at this, four times the declared maximum of y.

    When results are opened, `z_`, `p_values_`, `conf_int_` (95 %) and `ratios_` (rate ratios) are computed from them.
    Nothing is revealed but the number of rows and columns, until results are opened.
    """

    coef_: SecretArray
    intercept_: SecretArray
    largest_mean_: float

    def __init__(self, alpha: float = 0.0, fit_intercept: bool = True, max_iter: int = 10) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter

    def fit(
        self, X: Any, y: Any, exposure: Any = None, offset: Any = None, sample_weight: Any = None, where: Any = None
    ) -> Self:
        """Fit to a secret matrix or table of shape (rows, features) and a secret column of counts.

        Args:
            X: features.
            y: numbers whose declared range starts at 0.
            exposure: how long, or how many, each row was observed; a secret column with a declared range above 0.
            offset: the same as a logarithm.
            sample_weight: a secret column of numbers from 0, by which rows count.
            where: a secret column of bools: the rows that count.

        Raises:
            UserError: parameters that cannot be, shapes that do not fit, ranges that start below 0, more than 63
                columns, or declared ranges too wide for the protocol.
        """
        self._check()
        target = _counts(y)
        design = designed(X, target, self.fit_intercept, sample_weight, where)
        log_exposure = _log_exposure(target, exposure, offset)
        bits = max(0, math.ceil(math.log2(max(1.0, target.limits[1])))) + BEYOND
        base = _log_mean(design.rows, target) if self.fit_intercept else None
        if base is not None and log_exposure is not None:
            base = base - log_exposure.mean()
        frame = framed(design, bits, self._strength(design))
        family = _family(design, target, log_exposure, base, bits)
        outcome = maximised(design, target, family, frame, self.max_iter)
        self.n_features_in_, self.feature_names_in_ = design.features, names_of(X)
        self.largest_mean_ = 2.0**bits
        found = coefficients(design, outcome.slopes)
        if base is not None:
            found["intercept_"] = found["intercept_"] + base
        return self._learn(**found, **standard_errors(design, outcome), **_checks(design, target, family, outcome))

    def _check(self) -> None:
        if not 0 <= self.alpha < 2.0**30:
            raise UserError(f"alpha {self.alpha!r} is no penalty; give a number from 0")
        if type(self.max_iter) is not int or not 1 <= self.max_iter <= 100:
            raise UserError(f"max_iter {self.max_iter!r}; give a whole number from 1 to 100")

    def _strength(self, design: Design) -> Any:
        """The penalty per squared slope (per unit) / 2, of every unknown; scikit-learn's counts once per row."""
        rows = design.x.shape[0]
        if self.alpha and (design.rows.weight is not None or not isinstance(rows, int)):
            raise UserError("alpha counts once per row, so it needs a known number of rows and no weights; use alpha=0")
        own = np.ldexp(np.full(design.features, self.alpha), -2 * design.unit.exponent)
        own = own * rows if self.alpha else own
        return np.append([0.0], own) if design.intercept else own

    def predict(self, X: Any, exposure: Any = None, offset: Any = None) -> SecretArray:
        """Expected values, secret, shape (rows,); cut at `largest_mean_`."""
        self._require_fit()
        eta = linear_predictor(self._fitted_columns(X), self.coef_, self.intercept_)
        shift = _log_exposure(eta, exposure, offset)
        eta = eta if shift is None else eta + shift
        return _mean(eta, round(math.log2(self.largest_mean_)), WEIGHT_SCALE)

    def score(self, X: Any, y: Any, where: Any = None) -> SecretArray:
        """The share of the deviance that is explained (D squared), a secret number; without exposure."""
        self._require_fit()
        target, bits = _counts(y), round(math.log2(self.largest_mean_))
        rows = rows_of(target, None, where)
        eta = linear_predictor(self._fitted_columns(X), self.coef_, self.intercept_)
        level = (target * 0).astype(fixed(LOG_SCALE)) + _log_mean(rows, target)
        both = [_deviance(rows, target, one, _mean(one, bits, WEIGHT_SCALE), bits) for one in (eta, level)]
        own, rest = (one.clip(0.0, None) for one in both)
        return 1.0 - own / rest

    def finished(self, values: Mapping[str, Any]) -> Coefficients:
        """The opened results, with warnings, z values, p-values, confidence intervals and rate ratios."""
        warn_of_dependent(values, self.feature_names_in_)
        if "converged_" in values and not values["converged_"]:
            warnings.warn(
                _teaching(float(values["step_"])),
                ConvergenceWarning,
                stacklevel=3,
            )
        return inferred(self.public(), values)


def _teaching(step: float) -> str:
    if step >= CONVERGED:
        return (
            f"Newton's method has not converged (its last step was {step:.2g}): give a larger max_iter, or look for a "
            "category in which all counts are 0"
        )
    return (
        "rounding is not small against the standard errors, or an expected value reached largest_mean_: declare "
        "narrower ranges of y and sample_weight (or a wider one of y, if the model expects more than 4 times its "
        "largest value)"
    )


def _counts(y: Any) -> SecretArray:
    target = vector(y)
    low = target.limits[0]
    if low < 0:
        raise UserError(f"y may be negative (its declared range starts at {low:g}); counts have a range from 0")
    return target


def _log_exposure(like: SecretArray, exposure: Any, offset: Any) -> SecretArray | None:
    """What is added to the linear predictor."""
    if exposure is not None and offset is not None:
        raise UserError("exposure and offset cannot both be given; offset is the logarithm of the exposure")
    given = exposure if offset is None else offset
    if given is None:
        return None
    name = "exposure" if offset is None else "offset"
    if not isinstance(given, SecretArray) or given.shape != like.shape:
        raise UserError(f"{name} is one secret value per row, shape {like.shape}")
    if offset is not None:
        return vector(offset, name).astype(fixed(LOG_SCALE))
    numbers = vector(exposure, name)
    if numbers.limits[0] <= 0:
        raise UserError(f"exposure may be {numbers.limits[0]:g}; declare a range above 0, such as range=(1, 366)")
    return numbers.record("log", scale=LOG_SCALE)


def _log_mean(rows: Rows, y: SecretArray) -> SecretArray:
    """The logarithm of the mean count, at least -15."""
    counts = y.astype(fixed(10))
    if rows.weight is None:
        mean = counts.astype(fixed(20)).mean()
    else:
        total = rows.weighted(counts).sum().astype(fixed(20))
        mean = total / rows.weight.sum().astype(fixed(10)).clip(0.0, None)
    return mean.clip(2.0**-20, y.limits[1]).record("log", scale=LOG_SCALE).clip(LEAST_ETA, None)


def _family(design: Design, y: SecretArray, shift: SecretArray | None, base: SecretArray | None, bits: int) -> Family:
    """Poisson's distribution with the logarithmic link."""
    scale, x = shared(design, bits, 24)

    def at(slopes: SecretArray | None) -> Point:
        eta = (y * 0).astype(fixed(LOG_SCALE))
        if slopes is not None:
            eta = product("matmul", design.x, slopes[:, None], LOG_SCALE)[:, 0]
        for more in (shift, base):
            eta = eta if more is None else eta + more
        mean = _mean(eta, bits, scale)
        return Point(eta, mean, mean)

    return Family(bits, scale, x, at)


def _mean(eta: SecretArray, bits: int, scale: int) -> SecretArray:
    """exp(eta), at most 2**bits."""
    high = bits * math.log(2.0)
    return eta.clip(LEAST_ETA, high).record("exp", scale=scale).clip(0.0, 2.0**bits)


def _deviance(rows: Rows, y: SecretArray, eta: SecretArray, mean: SecretArray, bits: int) -> SecretArray:
    """2 * sum(y * log(y / mean) - (y - mean)); 16 fraction bits, or fewer where many large counts leave less room."""
    least = 1 if y.dtype.kind == "int" else 2.0**-16
    own = q.maximum(y, least).record("log", scale=LOG_SCALE)
    limited = eta.astype(fixed(LOG_SCALE)).clip(LEAST_ETA, bits * math.log(2.0))
    scale = min(16, rows.room(bits + 6))
    rest = fitting(own - limited, bits_of(y))
    parts = product("mul", y, rest, scale) - (y.astype(fixed(scale)) - mean.astype(fixed(scale)))
    return rows.weighted(parts).sum() * 2


def _checks(design: Design, y: SecretArray, family: Family, outcome: Outcome) -> dict[str, SecretArray]:
    point, bits = outcome.last, family.weight_bits
    beyond = design.rows.any(point.eta >= bits * math.log(2.0))
    deviance = _deviance(design.rows, y, point.eta, point.mean, bits)
    return {
        "deviance_": deviance.astype_raw(fixed(deviance.dtype.scale - design.rows.exponent)),
        "step_": outcome.step,
        "converged_": (outcome.step < CONVERGED) & ~beyond & precise(design, family, outcome),
    }
