"""What trees share: parameters, secret parts, rows on either side of public thresholds, opening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.base import Estimator
from quorate.analytics.columns import category_names, columns, most_rows, names_of, vector
from quorate.analytics.scoring import counted, enlarged
from quorate.analytics.small_groups import LEAST
from quorate.analytics.trees.bins import MOST_BINS, Edges, candidates, checked_edges, equal_bins, on_the_left
from quorate.analytics.trees.growth import Grown
from quorate.analytics.trees.opened import OpenedTrees
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["LEAST", "Trees", "checked_between"]

MOST_DEPTH = 8


def checked_between(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    """Raises `UserError` unless a parameter is a number in a range."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not good or (whole and value != int(value)):
        raise UserError(f"{name}={value!r}; give a {'whole ' if whole else ''}number from {low} to {high}")


class Trees(Estimator):
    """Complete trees of public depth whose splits and values are secret.

    Parts:
        splits_: what each inner node splits on, int, shape (trees, 2**max_depth - 1): 0 for no split, k for the k-th
            threshold, counted feature by feature; children of node i are 2 i + 1 and 2 i + 2.
        values_: of the leaves, shape (trees, 2**max_depth, outputs).
        feature_importances_: shares of the features in the decrease of the loss, shape (features,); all 0 without any.
    """

    CODES = True
    max_depth: int
    min_samples_leaf: int
    max_bins: int
    edges: Sequence[Sequence[float]] | None
    splits_: SecretArray
    values_: SecretArray
    feature_importances_: SecretArray
    edges_: Edges
    n_features_in_: int
    feature_names_in_: list[str] | None
    feature_categories_: list[list[str] | None]

    def _check(self) -> None:
        checked_between("max_depth", self.max_depth, 1, MOST_DEPTH, whole=True)
        checked_between("min_samples_leaf", self.min_samples_leaf, 1, 2**31, whole=True)
        checked_between("max_bins", self.max_bins, 2, MOST_BINS, whole=True)

    def _start(self, X: Any, y: Any, where: Any) -> tuple[list[SecretArray], SecretArray, SecretArray]:
        """Columns, target and which rows count, as 0 or 1."""
        self._check()
        found, target = columns(X, codes=True), vector(y, codes=True)
        if found[0].shape[0] != target.shape[0]:
            raise UserError(f"X has {found[0].shape[0]} rows and y has {target.shape[0]}")
        if most_rows(target) < self.min_samples_leaf:
            raise UserError(f"{most_rows(target)} rows, but min_samples_leaf={self.min_samples_leaf}; use more rows")
        self.n_features_in_, self.feature_names_in_ = len(found), names_of(X)
        self.feature_categories_ = [category_names(column) for column in found]
        chosen = equal_bins(found, self.max_bins) if self.edges is None else self.edges
        self.edges_ = checked_edges(chosen, len(found))
        candidates(self.edges_)
        return found, target, counted(where, target)

    def _left(self, X: Any) -> SecretArray:
        """Which rows of new data go left at every place; see `bins.on_the_left`."""
        found = self._fitted_columns(X)
        return on_the_left(found, self.edges_)

    def _learned(self, forest: Sequence[Grown], values: SecretArray, **more: Any) -> Any:
        """Take over trees and what their leaves say."""
        splits = q.concatenate([tree.places for tree in forest])
        return self._learn(
            splits_=splits,
            values_=values,
            feature_importances_=importances(splits, q.concatenate([tree.gains for tree in forest]), self.edges_),
            **more,
        )

    def finished(self, values: Mapping[str, Any]) -> OpenedTrees:
        """The opened trees, which predict for rows in the clear."""
        return OpenedTrees(type(self).__name__, {**self.public(), **values})


def enough(counts: SecretArray, least: int) -> SecretArray:
    """1 if so many rows count, else 0: a tree over fewer says 0. From counts (..., rows)."""
    flag: SecretArray = (counts.sum(-1) >= least).astype(INT)
    return flag


def importances(splits: SecretArray, gains: SecretArray, edges: Edges) -> SecretArray:
    """Gains by feature as shares of all gains, fixed(16), shape (features,)."""
    features, _ = candidates(edges)
    chosen = q.one_hot(splits.reshape(-1), len(features) + 1).astype(INT)
    owner = np.arange(len(edges)) == np.array([-1, *features])[:, None]
    raw = gains.reshape(-1).astype_raw(INT)
    most = int(str(splits.shape[0])) * raw.limits[1]
    totals = enlarged((raw @ (chosen @ owner.astype(np.int64))), int(most))
    return (totals / totals.sum()).clip(0.0, 1.0)
