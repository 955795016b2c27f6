"""Scores of predictions: secret numbers from secret truth and secret predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import category_names, in_real_units, known, most_rows, unit, vector
from quorate.analytics.linear_algebra import gram, gram_bits
from quorate.analytics.opened import needed
from quorate.analytics.scoring import accuracy, counted, r_squared
from quorate.analytics.small_groups import blanked, protect
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.categories import check_same
from quorate.lang.result import Result
from quorate.sharing.dtype import INT, fixed

__all__ = ["ConfusionMatrix", "accuracy_score", "confusion_matrix", "log_loss", "mean_squared_error", "r2_score"]

LEAST_PROBABILITY = 2.0**-20

REACH = 4.0
"""A residual counts for at most so many times the largest value that y may have, from the middle of its range."""


def accuracy_score(y: Any, found: SecretArray, where: Any = None) -> SecretArray:
    """The share of rows whose class is predicted, a secret number; 0 if no row counts."""
    return accuracy(y, found, where)


def r2_score(y: Any, found: SecretArray, where: Any = None) -> SecretArray:
    """The share of the variance of y that predictions explain, a secret number; 0 if y is constant."""
    return r_squared(y, found, where)


def mean_squared_error(y: Any, found: SecretArray, where: Any = None) -> SecretArray:
    """The mean of (y - found)**2, a secret number; 0 if no row counts.

    A residual of more than 4 times half of y's declared range counts as that.
    """
    truth = vector(y)
    bits = gram_bits(most_rows(truth), known(truth).capacity, 3)
    aim = unit([truth], bits)
    exponent, middle = int(aim.exponent[0]), float(aim.centre[0])
    reach = (REACH + 1) * 2.0**exponent
    numbers = vector(found, "the prediction")
    away = (numbers.astype(fixed(max(0, bits - exponent))) - middle).clip(-reach, reach)
    rest = aim.u[:, 0] - away.astype(fixed(bits - exponent)).astype_raw(fixed(bits))
    rest = rest.clip(-REACH, REACH)
    if where is None:
        mean = gram(rest[:, None], rest[:, None])[0, 0].clip(0.0, None) / truth.shape[0]
    else:
        squares: SecretArray = rest * rest
        mean = squares.clip(0.0, REACH**2).mean(where=mask(where, truth))
    return in_real_units(mean, 2 * exponent)


def mask(where: Any, like: SecretArray) -> SecretArray:
    """Which rows count. Raises `UserError` for what is no secret column of bools of as many rows."""
    counted(where, like)
    found: SecretArray = where
    return found


def log_loss(y: Any, probabilities: SecretArray, where: Any = None) -> SecretArray:
    """Minus the mean logarithm of the probability of the true class, a secret number.

    No probability counts as less than 2**-20.

    Args:
        y: classes 0 ... k - 1, as bools or integers.
        probabilities: shape (rows, k), or (rows,) for class 1 of two.
        where: secret bools: rows that count.
    """
    truth = vector(y, codes=True)
    if probabilities.ndim == 1:
        likely = q.where(truth == 1, probabilities, 1.0 - probabilities)
    else:
        flags = truth[:, None] == np.arange(int(str(probabilities.shape[1])))
        likely = (probabilities * flags.astype(INT)).sum(1)
    logs = likely.clip(LEAST_PROBABILITY, 1.0).record("log", scale=20)
    return -(logs.mean() if where is None else logs.mean(where=mask(where, truth)))


class ConfusionMatrix(Result):
    """How many rows of each class (rows of the matrix) are taken for each class (columns).

    `reveal` gives floats, NaN where a cell is hidden; of classes with names a data frame.

    Attributes:
        counts_: secret, shape (classes, classes), 0 where a cell is hidden.
        shown_: which cells are shown.
        class_names: public, where y is a column of categories.
    """

    def __init__(self, counts_: SecretArray, shown_: SecretArray, class_names: list[str] | None = None) -> None:
        self.counts_, self.shown_, self.class_names = counts_, shown_, class_names

    def parts(self) -> Mapping[str, SecretArray]:
        """Counts, and which are shown."""
        return {"counts_": self.counts_, "shown_": self.shown_}

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The matrix as floats."""
        found, names = blanked(values["counts_"], values["shown_"]), self.class_names
        return found if names is None else needed("pandas").DataFrame(found, index=names, columns=names)


def confusion_matrix(
    y: Any, found: Any, classes: int | None = None, where: Any = None, least: int | None = None
) -> ConfusionMatrix:
    """How many rows of each class are taken for each class, shape (classes, classes).

    Args:
        y: classes 0 ... classes - 1.
        found: predicted classes.
        classes: how many; by default as many as y has categories, or 2.
        where: secret bools: rows that count.
        least: cells of fewer rows are hidden inside the computation, and one more where a total would tell them; None
            stands for the usual least size, 0 shows all.

    Raises:
        UserError: no such number of classes, or columns that do not fit.
    """
    classes = len(category_names(y) or "01") if classes is None else classes
    if type(classes) is not int or not 2 <= classes <= 1024:
        raise UserError(f"classes {classes!r}; give a whole number from 2")
    truth, taken = vector(y, codes=True), vector(found, "the prediction", codes=True)
    check_same([truth, taken])
    if truth.shape != taken.shape:
        raise UserError(f"y has {truth.shape[0]} rows and the prediction {taken.shape[0]}")
    first, second = ((column[:, None] == np.arange(classes)).astype(INT) for column in (truth, taken))
    counts = (first * counted(where, truth)[:, None]).T @ second
    return ConfusionMatrix(*protect(counts, counts, least), category_names(y, range(classes)))
