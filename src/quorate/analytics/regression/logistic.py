"""Logistic regression on secret data: Newton's method with standard errors, or small batches of rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.coefficients import Coefficients, Tabulated
from quorate.analytics.columns import category_names, names_of, vector
from quorate.analytics.dependent import warn_of_dependent
from quorate.analytics.regression.design import Design, designed, linear_predictor
from quorate.analytics.regression.digits import precise, shared
from quorate.analytics.regression.inference import coefficients, inferred, standard_errors
from quorate.analytics.regression.minibatch import descended
from quorate.analytics.regression.newton import CONVERGED, Family, Outcome, Point, framed, maximised
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT, fixed

__all__ = ["LogisticRegression", "SeparationWarning", "labels"]

SIGMOID_SCALE = 24
"""Fraction bits of probabilities in Newton's method."""

LEAST_PROBABILITY = 2.0**-20
"""In the log-likelihood no row counts as less likely."""


class SeparationWarning(UserWarning):
    """Coefficients have no finite maximum, or the method has not come near it."""


class LogisticRegression(Tabulated):
    """P(y = 1) = 1 / (1 + exp(-(X @ coef_ + intercept_))), or one such model per class against all others.

    Parameters:
        penalty: "l2", with scikit-learn's C, or None for maximum likelihood.
        C: the sum of the rows' losses counts C times against half the squared coefficients; the intercept is free.
        fit_intercept: whether there is one.
        solver: "newton" or "minibatch".
        max_iter: how many steps Newton's method takes, always all of them.
        classes: number of classes; y holds 0 ... classes - 1.
        batch_size, epochs, learning_rate: of "minibatch": rows per step, passes over all rows, length of steps in
            units in which features lie within [-1, 1].

    Results:
        coef_: shape (features,), or (classes, features) for more than two classes; 0 for a column that is constant
            or that earlier columns explain.
        intercept_: a number, or shape (classes,); 0 without `fit_intercept`.
        Of "newton" only:
        independent_: which columns count, bools.
        standard_errors_, intercept_error_: roots of the diagonal of the inverse Hessian (with a penalty: of the
            penalised one, the spread of the posterior distribution in Laplace's approximation).
        log_likelihood_: of the model, where no row counts as less likely than 2**-20.
        step_: the longest coordinate of the last step, where a step of 1 moves the linear predictor by about 2.
        converged_: whether the last step was below 2**-9, roundings are small against the standard errors (1/8 of
            one), and without a penalty the classes are not separated.
        separated_: whether the model puts every row on its right side, so that without a penalty larger coefficients
            are always better.

    When results are opened, `z_`, `p_values_`, `conf_int_` (95 %) and `ratios_` (odds ratios) are computed from them;
    a `SeparationWarning` says if the method has not converged. Nothing is revealed but the number of rows and columns,
    until results are opened.
    """

    coef_: SecretArray
    intercept_: SecretArray
    class_names_: list[str] | None

    def __init__(
        self,
        penalty: str | None = "l2",
        C: float = 1.0,
        fit_intercept: bool = True,
        solver: str = "newton",
        max_iter: int = 10,
        classes: int = 2,
        batch_size: int = 128,
        epochs: int = 10,
        learning_rate: float = 0.5,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.classes = classes
        self.batch_size = batch_size
        self.epochs = epochs
        self.learning_rate = learning_rate

    def fit(self, X: Any, y: Any, sample_weight: Any = None, where: Any = None) -> Self:
        """Fit to a secret matrix or table of shape (rows, features) and a secret column of classes.

        Args:
            X: features.
            y: bools, or integers whose declared range is 0 ... classes - 1.
            sample_weight: a secret column of numbers from 0, by which rows count.
            where: a secret column of bools: the rows that count.

        Raises:
            UserError: parameters that cannot be, shapes that do not fit, classes beyond the declared ones, more than
                63 columns, or declared ranges too wide for the protocol.
        """
        self._check()
        target = labels(y, self.classes)
        self.class_names_ = category_names(target, range(self.classes))
        self.n_features_in_, self.feature_names_in_ = 0, names_of(X)
        design = designed(X, target, self.fit_intercept, sample_weight, where)
        self.n_features_in_ = design.features
        targets = [target] if self.classes == 2 else [(target == k).astype(INT) for k in range(self.classes)]
        found = [self._one(design, each) for each in targets]
        if self.classes == 2:
            return self._learn(**found[0])
        return self._learn(**{name: q.stack([one[name] for one in found]) for name in found[0]})

    def _check(self) -> None:
        if self.penalty not in ("l2", None):
            raise UserError(f"penalty {self.penalty!r}; use 'l2' or None")
        if not 2.0**-30 <= self.C <= 2.0**30:
            raise UserError(f"C {self.C!r}; it is a positive number, larger for a weaker penalty")
        if self.solver not in ("newton", "minibatch"):
            raise UserError(f"solver {self.solver!r}; use 'newton' or 'minibatch'")
        if type(self.classes) is not int or not 2 <= self.classes <= 64:
            raise UserError(f"classes {self.classes!r}; give a whole number from 2 to 64")
        if type(self.max_iter) is not int or not 1 <= self.max_iter <= 100:
            raise UserError(f"max_iter {self.max_iter!r}; give a whole number from 1 to 100")

    def _strength(self, design: Design) -> Any:
        """The penalty per squared slope (per unit) / 2, of every unknown."""
        own = np.full(design.features, 0.0 if self.penalty is None else 1.0 / self.C)
        own = own * np.ldexp(1.0, -2 * design.unit.exponent - design.rows.exponent)
        return np.append([0.0], own) if design.intercept else own

    def _one(self, design: Design, y: SecretArray) -> dict[str, SecretArray]:
        if self.solver == "minibatch":
            slopes = descended(design, y, self._strength(design), self.batch_size, self.epochs, self.learning_rate)
            return coefficients(design, slopes)
        frame = framed(design, -2, self._strength(design))
        family = _family(design, y)
        outcome = maximised(design, y, family, frame, self.max_iter)
        found = coefficients(design, outcome.slopes)
        return found | standard_errors(design, outcome) | _checks(design, y, family, outcome, self.penalty is not None)

    def decision_function(self, X: Any) -> SecretArray:
        """X @ coef_ + intercept_, secret, shape (rows,) or (rows, classes)."""
        self._require_fit()
        if self.classes == 2:
            return linear_predictor(self._fitted_columns(X), self.coef_, self.intercept_)
        found = self._fitted_columns(X)
        pairs = zip(q.unstack(self.coef_), q.unstack(self.intercept_), strict=True)
        made: SecretArray = q.stack([linear_predictor(found, *pair) for pair in pairs], axis=1)
        return made

    def predict_proba(self, X: Any) -> SecretArray:
        """Probabilities of the classes, secret, shape (rows, classes); of more than two brought to the sum 1."""
        eta = self.decision_function(X)
        each = eta.record("sigmoid", scale=SIGMOID_SCALE)
        if self.classes == 2:
            both: SecretArray = q.stack([1.0 - each, each], axis=1)
            return both
        each = each.clip(0.0, 1.0)
        total = each.sum(1)
        shares: SecretArray = q.where((total > 0)[:, None], each / total[:, None].clip(0.0, None), 1.0 / self.classes)
        return shares

    def predict(self, X: Any) -> SecretArray:
        """The most likely class, secret integers of shape (rows,)."""
        eta = self.decision_function(X)
        return (eta > 0).astype(INT) if self.classes == 2 else eta.argmax(1)

    def score(self, X: Any, y: Any, where: Any = None) -> SecretArray:
        """The share of rows whose class is predicted, a secret number."""
        right = self.predict(X) == labels(self._classes_of(y), self.classes)
        found: SecretArray = right.astype(INT).mean() if where is None else right.astype(INT).mean(where=where)
        return found

    def finished(self, values: Mapping[str, Any]) -> Coefficients:
        """The opened results, with warnings, z values, p-values, confidence intervals and odds ratios."""
        warn_of_dependent(values, self.feature_names_in_)
        if "converged_" in values and not np.all(values["converged_"]):
            warnings.warn(_teaching(values), SeparationWarning, stacklevel=3)
        return inferred(self.public(), values)


def labels(y: Any, classes: int) -> SecretArray:
    """A secret column of classes as integers.

    Raises:
        UserError: the declared range is wider than 0 ... classes - 1, or numbers are no integers.
    """
    if isinstance(y, SecretArray) and y.dtype == BOOL:
        return vector(y)
    numbers = vector(y, codes=True)
    low, high = numbers.limits
    if numbers.dtype.kind != "int" or low < 0 or high > classes - 1:
        raise UserError(
            f"y is {numbers.dtype} with values from {low:g} to {high:g}; classes are bools, or integers with the "
            f"declared range 0 to {classes - 1}: compare (y > 0), use y.astype(int), declare range=(0, {classes - 1}), "
            "or give classes="
        )
    return numbers


def _family(design: Design, y: SecretArray) -> Family:
    """Bernoulli's distribution with the logistic link."""
    scale, x = shared(design, -1, SIGMOID_SCALE)

    def at(slopes: SecretArray | None) -> Point:
        eta = (design.x @ slopes) if slopes is not None else (y * 0).astype(fixed(design.x.dtype.scale))
        mean = eta.record("sigmoid", scale=scale)
        return Point(eta, mean, mean * (1.0 - mean))

    return Family(-2, scale, x, at)


def _checks(
    design: Design, y: SecretArray, family: Family, outcome: Outcome, penalised: bool
) -> dict[str, SecretArray]:
    """Log-likelihood, and whether the method has come to an end."""
    point = outcome.last
    signs = 2 * y - 1
    separated = ~design.rows.any((point.eta * signs) <= 0)
    short = (outcome.step < CONVERGED) & precise(design, family, outcome)
    likely = q.where(y == 1, point.mean, 1.0 - point.mean).clip(LEAST_PROBABILITY, 1.0)
    total = design.rows.weighted(likely.record("log", scale=20)).sum()
    return {
        "log_likelihood_": total.astype_raw(fixed(total.dtype.scale - design.rows.exponent)),
        "step_": outcome.step,
        "converged_": short if penalised else short & ~separated,
        "separated_": separated,
    }


def _teaching(values: Mapping[str, Any]) -> str:
    if np.any(values["separated_"]):
        return (
            "the classes are perfectly separated: some combination of features tells every row's class, so larger "
            "coefficients are always better and none are best; use penalty='l2', or leave out what gives the class away"
        )
    if np.max(values["step_"]) < CONVERGED:
        return (
            "rounding is not small against the standard errors: the declared range of sample_weight is too wide for "
            "the weights, or next to no row has the rarer class"
        )
    return (
        f"the last step was {float(np.max(values['step_'])):.2g}, more than {CONVERGED:.2g}: give a larger max_iter, "
        "use penalty='l2', or look for a category in which all rows have one class"
    )
