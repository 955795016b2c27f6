"""Decision trees on secret data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from quorate.analytics.columns import category_names, in_real_units, known, most_rows, unit
from quorate.analytics.scoring import accuracy, r_squared
from quorate.analytics.trees.base import LEAST, Trees, enough
from quorate.analytics.trees.bins import on_the_left
from quorate.analytics.trees.classes import indicators, labels_of, likeliest, of_all
from quorate.analytics.trees.evaluation import evaluated, turned
from quorate.analytics.trees.growth import Grown, Rows, grown
from quorate.analytics.trees.scores import digits_for
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["DecisionTreeClassifier", "DecisionTreeRegressor"]


class _DecisionTree(Trees):
    def __init__(
        self,
        max_depth: int = 4,
        min_samples_leaf: int = LEAST,
        max_bins: int = 32,
        edges: Sequence[Sequence[float]] | None = None,
    ) -> None:
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_bins = max_bins
        self.edges = edges

    def _grow(self, left: SecretArray, target: SecretArray, counts: SecretArray, reach: float) -> tuple[Grown, Any]:
        """One tree on targets (outputs, rows) within +-reach; and its values, 0 for too few rows."""
        outputs = int(str(target.shape[0]))
        d = digits_for(known(target).protocol, most_rows(counts), most_gradient=reach, most_mean=reach, outputs=outputs)
        gradients = target.astype(fixed(d.gradient)) * counts
        rows = Rows.of(counts[None, None, :], gradients[:, None, :])
        tree = grown(left, rows, self.max_depth, self.min_samples_leaf, d)
        return tree, tree.values * enough(counts, self.min_samples_leaf)

    def _said(self, X: Any) -> SecretArray:
        """What the trees say of rows, together: (outputs, rows)."""
        total: SecretArray = evaluated(turned(self._left(X), self.splits_), self.values_).sum(0)
        return total


class DecisionTreeRegressor(_DecisionTree):
    """A regression tree by least squares, on public thresholds.

    Parameters:
        max_depth: levels of splits, 1 to 8; public, and every tree takes the same steps.
        min_samples_leaf: fewest rows of a leaf; scikit-learn's default is 1, which would show single rows.
        max_bins: thresholds per feature plus one, at equal distances in its declared range.
        edges: thresholds of your own instead, one ascending list per feature; public.

    Results: see `Trees`; `values_` are means of y, in units of y.
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
        tree, values = self._grow(on_the_left(found, self.edges_), aim.u.T, counts, 1.0)
        real = in_real_units(values, aim.exponent[0]) + float(aim.centre[0])
        learned: Self = self._learned([tree], real)
        return learned

    def predict(self, X: Any) -> SecretArray:
        """The mean of y in the leaf of every secret row, still secret; shape (rows,)."""
        return self._said(X)[0]

    def score(self, X: Any, y: Any, where: Any = None) -> SecretArray:
        """R squared of the predictions for secret rows, a secret number; see `scoring.r_squared`."""
        return r_squared(y, self.predict(X), where)


class DecisionTreeClassifier(_DecisionTree):
    """A classification tree by the Gini impurity, on public thresholds.

    Parameters:
        max_depth, min_samples_leaf, max_bins, edges: see `DecisionTreeRegressor`.
        classes: public labels in ascending order; by default all whole numbers in the declared range of y.

    Results: see `Trees`; `values_` are shares of the classes among the rows of a leaf (of two classes, of the second).
    Of equally frequent classes the first is predicted.
    """

    classes_: list[int]
    class_names_: list[str] | None

    def __init__(
        self,
        max_depth: int = 4,
        min_samples_leaf: int = LEAST,
        max_bins: int = 32,
        edges: Sequence[Sequence[float]] | None = None,
        classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(max_depth, min_samples_leaf, max_bins, edges)
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
        classes = indicators(target, self.classes_)
        tree, values = self._grow(on_the_left(found, self.edges_), classes, counts, 1.0)
        learned: Self = self._learned([tree], values.clip(0.0, 1.0))
        return learned

    def predict_proba(self, X: Any) -> SecretArray:
        """Shares of the classes in the leaf of every secret row; shape (rows, classes)."""
        return of_all(self._said(X))

    def predict(self, X: Any) -> SecretArray:
        """The most frequent class in the leaf of every secret row; shape (rows,)."""
        return likeliest(self._said(X), self.classes_, 0.5)

    def score(self, X: Any, y: Any, where: Any = None) -> SecretArray:
        """The share of secret rows whose label is predicted, a secret number."""
        return accuracy(self._classes_of(y), self.predict(X), where)
