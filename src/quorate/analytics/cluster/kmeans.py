"""k-means on secret rows: distances by one product of matrices per step, who belongs where stays secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.base import Estimator
from quorate.analytics.cluster.assignment import Space, assigned, nearest, score_bits, seeded
from quorate.analytics.columns import (
    Unit,
    columns,
    common_unit,
    in_real_units,
    known,
    matrix,
    most_rows,
    names_of,
    unit,
)
from quorate.analytics.linear_algebra import gram
from quorate.analytics.small_groups import blanked, checked_least
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT, fixed

__all__ = ["KMeans"]

FINE = 24
"""Fraction bits of centres, in units of each column's range."""


class KMeans(Estimator):
    """Lloyd's iteration, a public number of times; which row belongs to which cluster is never opened by `fit`.

    Results:
        cluster_centers_: shape (n_clusters, features); NaN when opened for a cluster that was dissolved.
        sizes_: rows per cluster.
        inertia_: sum of squared distances of rows to their centres.
        shown_: which clusters are left.

    A cluster without rows keeps its centre. Clusters that end with fewer than `least` rows are dissolved: their rows
    go to the nearest of the others, so no centre of a few people is opened.
    """

    AXES: ClassVar[Axes] = {
        **dict.fromkeys(("sizes_", "shown_"), ("cluster",)),
        "cluster_centers_": ("cluster", "feature"),
    }
    cluster_centers_: SecretArray
    sizes_: SecretArray
    shown_: SecretArray

    def __init__(
        self,
        n_clusters: int = 8,
        init: str | Sequence[Sequence[float]] | npt.NDArray[Any] = "k-means++",
        max_iter: int = 10,
        random_state: int = 0,
        least: int | None = None,
    ) -> None:
        """Parameters.

        Args:
            n_clusters: how many.
            init: "k-means++" (secret rows, each drawn with a probability proportional to its squared distance from
                those before), or public centres of shape (n_clusters, features). Nodes that open aggregates alone
                refuse "k-means++": everybody is compared with single rows, and a cluster without rows stays one.
            max_iter: steps; all of them are done, since when nothing moves any more would tell something of the data.
            random_state: public seed of "k-means++".
            least: least rows of a cluster; None stands for the usual size of a small group, 0 and 1 keep all.
        """
        self.n_clusters = n_clusters
        self.init = init if isinstance(init, str) else np.asarray(init, np.float64).tolist()
        self.max_iter = max_iter
        self.random_state = random_state
        self.least = least

    def fit(self, X: Any, init: Any = None, where: Any = None) -> Self:
        """Find clusters of secret rows.

        Args:
            X: shape (rows, features).
            init: secret centres to begin with, shape (n_clusters, features), in place of the parameter.
            where: a secret bool column: rows that count.

        Raises:
            UserError: no such number of clusters or steps, more clusters than rows, or shapes that do not fit.
        """
        found = columns(X)
        least = checked_least(self.least)
        self._check(found)
        mask = _mask(where, found[0])
        space = _space(found, self.n_clusters)
        fine = unit(found, min(FINE, _room(found[0])))
        centres = self._begin(space, mask, init)
        sums = fine.u, _exponents(fine, space)
        precise: SecretArray | None = None
        for _ in range(self.max_iter):
            precise, centres = _moved(assigned(space, centres, mask), sums, precise, centres)
        hot = assigned(space, centres, mask)
        shown = hot.sum(0) >= least if least > 1 else hot.sum(0) >= 0
        if least > 1:
            hot = assigned(space, centres, mask, shown)
        self.n_features_in_, self.n_iter_ = len(found), self.max_iter
        self.feature_names_in_ = names_of(X)
        in_units = centres if precise is None else precise
        real = in_real_units(in_units, fine.exponent if precise is not None else space.unit.exponent)
        return self._learn(
            cluster_centers_=(real + fine.centre) * shown.astype(INT)[:, None],
            sizes_=hot.sum(0),
            inertia_=_inertia(space, hot, centres, mask),
            shown_=shown,
        )

    def _check(self, found: Sequence[SecretArray]) -> None:
        if type(self.n_clusters) is not int or not 1 <= self.n_clusters <= 256:
            raise UserError(f"n_clusters={self.n_clusters!r}; give a whole number from 1 to 256")
        if type(self.max_iter) is not int or not 1 <= self.max_iter <= 1000:
            raise UserError(f"max_iter={self.max_iter!r}; give a whole number from 1 to 1000")
        if most_rows(found[0]) < self.n_clusters:
            raise UserError(
                f"{self.n_clusters} clusters of {found[0].shape[0]} rows; there are fewer rows than clusters"
            )

    def _begin(self, space: Space, mask: SecretArray | None, init: Any) -> SecretArray:
        """The first centres, in units."""
        if init is None and isinstance(self.init, str):
            if self.init != "k-means++":
                raise UserError(f'init={self.init!r}; use "k-means++", or give centres')
            return seeded(space, self.n_clusters, mask, self.random_state)
        given = matrix(init) if isinstance(init, SecretArray | Mapping) else np.asarray(self.init, np.float64)
        wanted = (self.n_clusters, space.width)
        if given.shape != wanted:
            raise UserError(f"initial centres have the shape {wanted}: clusters, features; not {given.shape}")
        return space.placed(given)

    def predict(self, X: Any) -> SecretArray:
        """The nearest cluster of each secret row, still secret: int, shape (rows,)."""
        found = self._fitted_columns(X)
        reach = max(map(abs, self.cluster_centers_.limits))
        space = _space(found, self.n_clusters, reach)
        return nearest(space, space.placed(self.cluster_centers_), self.shown_)

    def fit_predict(self, X: Any, init: Any = None, where: Any = None) -> SecretArray:
        """Fit, and the cluster of each row, still secret."""
        return self.fit(X, init, where).predict(X)

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The opened results, NaN for the centres of dissolved clusters."""
        opened = super().finished(values)
        opened["cluster_centers_"] = blanked(opened["cluster_centers_"], opened["shown_"])
        return opened


def _mask(where: Any, like: SecretArray) -> SecretArray | None:
    if where is None:
        return None
    if not isinstance(where, SecretArray) or where.dtype != BOOL or where.shape != (like.shape[0],):
        raise UserError("where is one secret bool per row, such as table.age > 17")
    return where.astype(INT)


def _room(column: SecretArray) -> int:
    """Fraction bits of columns whose sums can be divided by their number."""
    return known(column).capacity - 6 - 2 * most_rows(column).bit_length()


def _space(found: Sequence[SecretArray], clusters: int, reach: float = 0.0) -> Space:
    bits = score_bits(most_rows(found[0]), len(found), known(found[0]).capacity)
    made = common_unit(found, bits, reach)
    return Space(made, bits, clusters)


def _exponents(fine: Unit, space: Space) -> npt.NDArray[np.int64]:
    """From units of each column to those of the space."""
    moved: npt.NDArray[np.int64] = fine.exponent - space.unit.exponent
    return moved


def _moved(
    hot: SecretArray,
    sums: tuple[SecretArray, npt.NDArray[np.int64]],
    before: SecretArray | None,
    centres: SecretArray,
) -> tuple[SecretArray, SecretArray]:
    """Means of the rows of each cluster: precisely, and in units of the space."""
    u, exponents = sums
    total = (hot.T @ u.astype_raw(INT)).astype_raw(u.dtype)
    count = hot.sum(0)[:, None]
    mean = (total / count.clip(1, None)).clip(-1.0, 1.0)
    last = _back(centres, exponents, u) if before is None else before
    precise = q.where(count > 0, mean, last)
    return precise, in_units(precise, exponents, centres.dtype.scale)


def _back(centres: SecretArray, exponents: npt.NDArray[np.int64], u: SecretArray) -> SecretArray:
    """Centres in units of the space in those of each column; within its declared range."""
    return in_units(centres, -exponents, u.dtype.scale)


def in_units(values: SecretArray, exponents: npt.NDArray[np.int64], scale: int) -> SecretArray:
    """values * 2**exponents, kept within [-1, 1], at a scale."""
    return in_real_units(values, exponents).clip(-1.0, 1.0).astype(fixed(scale)).clip(-1.0, 1.0)


def _inertia(space: Space, hot: SecretArray, centres: SecretArray, mask: SecretArray | None) -> SecretArray:
    """The sum of squared distances, from sums over rows and clusters alone."""
    u, c = space.unit.u.astype_raw(INT), centres.astype_raw(INT)
    rows = u if mask is None else u * mask[:, None]
    own = gram(rows.reshape(-1)[:, None], u.reshape(-1)[:, None])[0, 0].astype_raw(INT)
    away = ((hot.sum(0)[:, None] * c - 2 * (hot.T @ u)) * c).sum()
    total = (own + away).clip(0, None).astype_raw(fixed(2 * space.bits))
    return in_real_units(total, 2 * int(space.unit.exponent[0]))
