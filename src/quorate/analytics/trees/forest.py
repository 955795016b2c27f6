"""Random forests on secret data: many trees that grow at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from quorate.analytics.columns import category_names, in_real_units, known, most_rows, unit
from quorate.analytics.trees.base import LEAST, Trees, checked_between, enough
from quorate.analytics.trees.bins import candidates, on_the_left
from quorate.analytics.trees.classes import indicators, labels_of
from quorate.analytics.trees.growth import Grown, Rows, grown
from quorate.analytics.trees.sampling import bootstrapped, features_of
from quorate.analytics.trees.scores import Flags, digits_for
from quorate.analytics.trees.tree import DecisionTreeClassifier, DecisionTreeRegressor
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["RandomForestClassifier", "RandomForestRegressor"]

MOST_TREES = 256


class _Forest(Trees):
    n_estimators: int
    max_features: int | None
    bootstrap: bool
    random_state: int

    def _check(self) -> None:
        super()._check()
        checked_between("n_estimators", self.n_estimators, 1, MOST_TREES, whole=True)
        checked_between("random_state", self.random_state, 0, 2**63, whole=True)
        if self.max_features is not None:
            checked_between("max_features", self.max_features, 1, 2**31, whole=True)

    def _forest(self, left: SecretArray, target: SecretArray, counts: SecretArray, usual: int) -> tuple[Grown, Any]:
        """Trees on targets (outputs, rows) within [-1, 1], and their values, divided by the number of trees."""
        trees = self.n_estimators
        ones = np.ones((trees, 1), np.int64)
        often = bootstrapped(counts, self.random_state, trees) if self.bootstrap else ones
        weights = counts[None, :] * often
        chosen = counts[None, :] * (often > 0).astype(np.int64)
        outputs = int(str(target.shape[0]))
        d = digits_for(known(target).protocol, most_rows(counts), most_gradient=1.0, most_mean=1.0, outputs=outputs)
        gradients = target.astype(fixed(d.gradient))[:, None, :] * weights[None]
        rows = Rows.of(chosen[None], gradients, weights[None].astype(fixed(d.weight)))
        tree = grown(left, rows, self.max_depth, self.min_samples_leaf, d, self._permitted(usual))
        flags = enough(chosen, self.min_samples_leaf)[:, None, None]
        return tree, tree.values * flags * (1.0 / trees)

    def _permitted(self, usual: int) -> list[Flags]:
        """For every level which places may be chosen at its nodes."""
        most = min(self.n_features_in_, usual if self.max_features is None else self.max_features)
        features, _ = candidates(self.edges_)
        found = []
        for level in range(self.max_depth):
            number = MOST_TREES + level
            nodes = self.n_estimators << level
            flags = features_of(self.random_state, number, self.n_features_in_, nodes, most)
            found.append(np.concatenate([np.ones((1, nodes), bool), flags[features]]))
        return found


class RandomForestRegressor(_Forest, DecisionTreeRegressor):
    """The mean of regression trees, each grown on rows drawn with replacement (Breiman, Random forests, 2001).

    All trees grow at the same time, in the rounds of one.

    Parameters:
        n_estimators: number of trees, public.
        max_depth, min_samples_leaf, max_bins, edges: see `DecisionTreeRegressor`; `min_samples_leaf` counts different
            rows.
        max_features: how many features, drawn for each node, it may be split on; by default a third of them.
        bootstrap: whether to draw rows; which ones is public and follows from `random_state`, as do the features. Nodes
            that open aggregates alone refuse such draws.

    Results: see `Trees`; `values_` are in units of y, divided by the number of trees.
    """

    def __init__(
        self,
        n_estimators: int = 20,
        max_depth: int = 4,
        min_samples_leaf: int = LEAST,
        max_bins: int = 32,
        max_features: int | None = None,
        bootstrap: bool = True,
        random_state: int = 0,
        edges: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__(max_depth, min_samples_leaf, max_bins, edges)
        self.n_estimators = n_estimators
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.random_state = random_state

    def fit(self, X: Any, y: Any, where: Any = None) -> Self:
        """Fit to secret rows and a secret column of numbers; see `DecisionTreeRegressor.fit`."""
        found, target, counts = self._start(X, y, where)
        aim = unit([target], 20)
        usual = max(1, len(found) // 3)
        forest, values = self._forest(on_the_left(found, self.edges_), aim.u.T, counts, usual)
        middle = float(aim.centre[0]) / self.n_estimators
        learned: Self = self._learned([forest], in_real_units(values, aim.exponent[0]) + middle)
        return learned


class RandomForestClassifier(_Forest, DecisionTreeClassifier):
    """The mean of the shares of classes in the leaves of trees, each grown on rows drawn with replacement.

    Parameters:
        classes: see `DecisionTreeClassifier`.
        others: see `RandomForestRegressor`; by default each node has the square root of the number of features.

    Results: see `Trees`; `values_` are shares of classes, divided by the number of trees.
    """

    def __init__(
        self,
        n_estimators: int = 20,
        max_depth: int = 4,
        min_samples_leaf: int = LEAST,
        max_bins: int = 32,
        max_features: int | None = None,
        bootstrap: bool = True,
        random_state: int = 0,
        edges: Sequence[Sequence[float]] | None = None,
        classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(max_depth, min_samples_leaf, max_bins, edges, classes)
        self.n_estimators = n_estimators
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.random_state = random_state

    def fit(self, X: Any, y: Any, where: Any = None) -> Self:
        """Fit to secret rows and a secret column of labels; see `DecisionTreeClassifier.fit`."""
        found, target, counts = self._start(X, y, where)
        self.classes_ = labels_of(target, self.classes)
        self.class_names_ = category_names(target, self.classes_)
        classes = indicators(target, self.classes_)
        usual = max(1, math.isqrt(len(found)))
        forest, values = self._forest(on_the_left(found, self.edges_), classes, counts, usual)
        learned: Self = self._learned([forest], values.clip(0.0, 1.0))
        return learned
