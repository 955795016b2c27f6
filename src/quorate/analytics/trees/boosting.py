"""Gradient-boosted trees on secret data, with second-order steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import quorate.lang.functions as q
from quorate.analytics.columns import category_names, in_real_units, known, most_rows, unit
from quorate.analytics.scoring import accuracy, r_squared
from quorate.analytics.trees.base import LEAST, Trees, checked_between, enough
from quorate.analytics.trees.bins import on_the_left
from quorate.analytics.trees.classes import indicators, labels_of, likeliest, of_all
from quorate.analytics.trees.evaluation import evaluated, turned
from quorate.analytics.trees.growth import Grown, Rows, grown
from quorate.analytics.trees.losses import LogLoss, Loss, SquaredLoss
from quorate.analytics.trees.sampling import sampled
from quorate.analytics.trees.scores import Digits, digits_for
from quorate.lang.array import SecretArray

__all__ = ["GradientBoostingClassifier", "GradientBoostingRegressor"]

MOST_TREES = 1000


class _Boosting(Trees):
    """Parts beside those of `Trees`: `baseline_`, what is said before the first tree, shape (classes,) or (1,)."""

    baseline_: SecretArray

    def __init__(
        self,
        n_estimators: int = 20,
        learning_rate: float = 0.1,
        max_depth: int = 4,
        min_samples_leaf: int = LEAST,
        max_bins: int = 32,
        subsample: float = 1.0,
        reg_lambda: float = 1.0,
        random_state: int = 0,
        edges: Sequence[Sequence[float]] | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_bins = max_bins
        self.subsample = subsample
        self.reg_lambda = reg_lambda
        self.random_state = random_state
        self.edges = edges

    def _check(self) -> None:
        super()._check()
        checked_between("n_estimators", self.n_estimators, 1, MOST_TREES, whole=True)
        checked_between("learning_rate", self.learning_rate, 2.0**-10, 1)
        checked_between("subsample", self.subsample, 2.0**-10, 1)
        checked_between("reg_lambda", self.reg_lambda, 0, 2**20)
        checked_between("random_state", self.random_state, 0, 2**63, whole=True)

    def _boost(
        self, left: SecretArray, loss: Loss, counts: SecretArray
    ) -> tuple[list[Grown], SecretArray, SecretArray]:
        """Trees one after the other, each fitted to what is left by those before; their values and the baseline."""
        d = self._digits(loss, counts)
        baseline = loss.baseline(counts) * enough(counts, self.min_samples_leaf)
        said = baseline[:, None]
        forest: list[Grown] = []
        values: list[SecretArray] = []
        for number in range(self.n_estimators):
            chosen = sampled(counts, self.subsample, self.random_state, number)
            tree = grown(left, _rows(loss, said, chosen, d), self.max_depth, self.min_samples_leaf, d)
            steps = tree.values * self.learning_rate * enough(chosen, self.min_samples_leaf)
            said = said + evaluated(tree.turns, steps)[:, 0]
            forest.append(tree)
            values.append(steps)
        return forest, q.concatenate(values), baseline

    def _digits(self, loss: Loss, counts: SecretArray) -> Digits:
        return digits_for(
            known(counts).protocol,
            most_rows(counts),
            most_gradient=loss.most_gradient(self.n_estimators * self.learning_rate),
            most_mean=loss.most_step,
            penalty=self.reg_lambda,
            hessians=loss.hessians,
        )

    def _decision(self, X: Any) -> SecretArray:
        """The sum of baseline and trees for every class and row: (classes, rows)."""
        said = evaluated(turned(self._left(X), self.splits_), self.values_)[:, 0]
        classes = int(str(self.baseline_.shape[0]))
        total: SecretArray = said.reshape(-1, classes, said.shape[1]).sum(0) + self.baseline_[:, None]
        return total


def _rows(loss: Loss, said: SecretArray, counts: SecretArray, d: Digits) -> Rows:
    """What rows bring to the trees of the next step, one tree per class."""
    gradients, hessians = loss.derivatives(said, d)
    classes = int(str(gradients.shape[0]))
    shared = counts[None, None, :].broadcast_to((1, classes, counts.shape[0]))
    weights = None if hessians is None else (hessians * counts)[None]
    return Rows.of(shared, (gradients * counts)[None], weights)


class GradientBoostingRegressor(_Boosting):
    """Trees added up by least squares, each fitted to the residuals of those before (Friedman, 2001).

    Parameters:
        n_estimators: number of trees, public; each takes `max_depth` times about 93 rounds.
        learning_rate: what part of every step is taken.
        max_depth, min_samples_leaf, max_bins, edges: see `DecisionTreeRegressor`.
        subsample: share of the rows for each tree; which ones is public and follows from `random_state` alone.
        reg_lambda: penalty on squared values of leaves, as in XGBoost; rows are counted by it as if so many with
            residual 0 were in every leaf.

    Results: see `Trees`; `values_` are steps in units of y, times the learning rate, one tree per step; `baseline_` is
    the mean of y. A step before the learning rate is kept within 4 times half of the declared range of y.
    """

    def fit(self, X: Any, y: Any, where: Any = None) -> Self:
        """Fit to a secret matrix or table of shape (rows, features) and a secret column of as many rows.

        Args:
            where: secret bools: rows that count.

        Raises:
            UserError: parameters or shapes that cannot be, or ranges too wide for the protocol.
        """
        found, target, counts = self._start(X, y, where)
        aim = unit([target], 20)
        forest, values, baseline = self._boost(on_the_left(found, self.edges_), SquaredLoss(aim.u[:, 0]), counts)
        exponent = int(aim.exponent[0])
        learned: Self = self._learned(
            forest,
            in_real_units(values, exponent),
            baseline_=in_real_units(baseline, exponent) + float(aim.centre[0]),
        )
        return learned

    def predict(self, X: Any) -> SecretArray:
        """The values that the trees expect for secret rows, still secret; shape (rows,)."""
        return self._decision(X)[0]

    def score(self, X: Any, y: Any, where: Any = None) -> SecretArray:
        """R squared of the predictions for secret rows, a secret number; see `scoring.r_squared`."""
        return r_squared(y, self.predict(X), where)


class GradientBoostingClassifier(_Boosting):
    """Trees added up by logistic loss: one tree per step for two classes, one per class for more.

    Steps of leaves are those of Newton, sum of gradients over sum of hessians and `reg_lambda` (Chen and Guestrin,
    2016, equation 5).

    Parameters:
        classes: public labels in ascending order; by default all whole numbers in the declared range of y.
        others: see `GradientBoostingRegressor`.

    Results: see `Trees`; `values_` are steps in units of log-odds, times the learning rate, step by step and within a
    step class by class; `baseline_` are the log-odds (of more classes: the logarithms) of their shares, which are taken
    to be at least 2**-10. A step before the learning rate is kept within 16.
    """

    classes_: list[int]
    class_names_: list[str] | None

    def __init__(
        self,
        n_estimators: int = 20,
        learning_rate: float = 0.1,
        max_depth: int = 4,
        min_samples_leaf: int = LEAST,
        max_bins: int = 32,
        subsample: float = 1.0,
        reg_lambda: float = 1.0,
        random_state: int = 0,
        edges: Sequence[Sequence[float]] | None = None,
        classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            n_estimators,
            learning_rate,
            max_depth,
            min_samples_leaf,
            max_bins,
            subsample,
            reg_lambda,
            random_state,
            edges,
        )
        self.classes = classes

    def fit(self, X: Any, y: Any, where: Any = None) -> Self:
        """Fit to secret rows and a secret column of whole numbers, the labels.

        Args:
            where: secret bools: rows that count.

        Raises:
            UserError: parameters or shapes that cannot be, or labels that are no whole numbers.
        """
        found, target, counts = self._start(X, y, where)
        self.classes_ = labels_of(target, self.classes)
        self.class_names_ = category_names(target, self.classes_)
        loss = LogLoss(indicators(target, self.classes_))
        forest, values, baseline = self._boost(on_the_left(found, self.edges_), loss, counts)
        learned: Self = self._learned(forest, values, baseline_=baseline)
        return learned

    def decision_function(self, X: Any) -> SecretArray:
        """Log-odds of the second of two classes, shape (rows,), or one score per class, shape (rows, classes)."""
        said = self._decision(X)
        return said[0] if len(self.classes_) == 2 else said.T

    def predict_proba(self, X: Any) -> SecretArray:
        """Probabilities of the classes for secret rows; shape (rows, classes)."""
        return of_all(LogLoss.probabilities(self._decision(X)))

    def predict(self, X: Any) -> SecretArray:
        """The likeliest class of every secret row; shape (rows,)."""
        return likeliest(self._decision(X), self.classes_, 0.0)

    def score(self, X: Any, y: Any, where: Any = None) -> SecretArray:
        """The share of secret rows whose label is predicted, a secret number."""
        return accuracy(self._classes_of(y), self.predict(X), where)
