"""What naive Bayes classifiers share: classes, priors, predictions from joint log-likelihoods.

Features count as independent of each other, given the class (Manning, Raghavan and Schuetze, Introduction to
Information Retrieval, 2008, chapter 13; scikit-learn's estimators of the same names). Training is one pass of exact
sums per class; nothing is opened.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.base import Estimator
from quorate.analytics.columns import category_names
from quorate.analytics.regression.logistic import labels
from quorate.analytics.scoring import accuracy, counted
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["NaiveBayes", "log_shares"]

LOG_SCALE = 20
"""Fraction bits of log-probabilities."""

SHARE_SCALE = 24
"""Fraction bits of probabilities."""

NEVER = -64.0
"""The logarithm of the prior of a class without rows."""


class NaiveBayes(Estimator):
    """A classifier that has a log-likelihood for each row and class."""

    AXES: ClassVar[Axes] = {
        **dict.fromkeys(("class_count_", "class_log_prior_"), ("class",)),
        **dict.fromkeys(("feature_count_", "feature_log_prob_", "theta_", "var_"), ("class", "feature")),
    }
    n_features_in_: int
    class_count_: SecretArray
    class_log_prior_: SecretArray
    class_names_: list[str] | None

    def __init__(self, classes: int = 2) -> None:
        self.classes = classes

    def _joint(self, X: Any) -> SecretArray:
        """Log-likelihoods of the rows and classes, shape (rows, classes), up to a constant per row."""
        raise NotImplementedError

    def _flags(self, found: list[SecretArray], y: Any, where: Any) -> SecretArray:
        """Which rows are of which class, as 0 or 1, of those that count; shape (rows, classes)."""
        if type(self.classes) is not int or not 2 <= self.classes <= 1024:
            raise UserError(f"classes {self.classes!r}; give a whole number from 2 to 1024")
        target = labels(y, self.classes)
        self.class_names_ = category_names(target, range(self.classes))
        if found[0].shape[0] != target.shape[0]:
            raise UserError(f"X has {found[0].shape[0]} rows and y has {target.shape[0]}")
        flags: SecretArray = (target[:, None] == np.arange(self.classes)).astype(INT)
        return flags if where is None else flags * counted(where, target)[:, None]

    def predict_proba(self, X: Any) -> SecretArray:
        """Probabilities of the classes, secret, shape (rows, classes)."""
        joint = self._joint(X)
        rest = (joint - joint.max(1)[:, None]).clip(NEVER, 0.0)
        each = rest.record("exp", scale=SHARE_SCALE).clip(0.0, 1.0)
        shares: SecretArray = each / each.sum(1).clip(1.0, None)[:, None]
        return shares

    def predict(self, X: Any) -> SecretArray:
        """The most likely class, secret integers of shape (rows,); the first on ties."""
        found: SecretArray = self._joint(X).argmax(1)
        return found

    def score(self, X: Any, y: Any, where: Any = None) -> SecretArray:
        """The share of rows whose class is predicted, a secret number."""
        return accuracy(labels(self._classes_of(y), self.classes), self.predict(X), where)

    def _features(self, X: Any) -> list[SecretArray]:
        return self._fitted_columns(X)


def log_shares(counts: SecretArray) -> SecretArray:
    """Logarithms of what the counts are of their sum; NEVER for a count of 0."""
    logs, total = (q.maximum(part, 1).record("log", scale=LOG_SCALE) for part in (counts, counts.sum()))
    found: SecretArray = q.where(counts > 0, logs - total, NEVER)
    return found
