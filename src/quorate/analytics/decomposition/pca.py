"""Principal components of secret columns."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.base import Estimator
from quorate.analytics.columns import (
    bits_of,
    columns,
    common_unit,
    fitting,
    in_real_units,
    known,
    matrix,
    most_rows,
    names_of,
    unit,
)
from quorate.analytics.decomposition.eigen import eigen
from quorate.analytics.decomposition.trace import LEAST_TRACE, enlarged_trace
from quorate.analytics.linear_algebra import gram_bits
from quorate.analytics.refinement import precise_dot, precise_product
from quorate.analytics.weights import weights_of
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["PCA"]

DISTINCT = 256
"""Components count as separated if their variances differ by more than the share 1 / DISTINCT."""

UNRESOLVED = (
    "no component is resolved: the data are constant, or their declared range is so wide that their spread is lost in "
    "rounding; declare a narrower range"
)

CLOSE = (
    "have nearly the same variance as one beside them, so only what they span together is determined, and their order "
    "is not; see separated_"
)


class PCA(Estimator):
    """Principal components: eigenvectors of the covariance of up to 64 columns, those of the largest variance first.

    Results:
        components_: shape (n_components, features), rows of length 1 whose largest element is positive; 0 where the
            variance is.
        explained_variance_: variance along each component, with rows - 1 degrees of freedom.
        explained_variance_ratio_: the same as shares of the total variance; below 2**-20 they count as 0.
        separated_: which components' variances differ by more than 1/256 from those found before and after them. Others
            are some orthonormal basis of what they span together. The last is not compared with the first left out.
        resolved_: whether the spread of the data is large enough against their declared range; if not, opened results
            are NaN, as for constant data.
        mean_: of each column.
    """

    AXES: ClassVar[Axes] = {
        **dict.fromkeys(("explained_variance_", "explained_variance_ratio_", "separated_"), ("component",)),
        "components_": ("component", "feature"),
        "mean_": ("feature",),
    }
    components_: SecretArray
    mean_: SecretArray

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def fit(self, X: Any, where: Any = None) -> Self:
        """Find the components of secret rows, shape (rows, features).

        Args:
            X: features. Bring them to one scale before if they are of different kinds, as for scikit-learn.
            where: a secret bool column: rows that count.

        Raises:
            UserError: more components than columns, fewer than two rows, more than 64 columns.
        """
        found = columns(X)
        count = self._count(len(found), found[0].shape[0])
        bits = gram_bits(most_rows(found[0]), known(found[0]).capacity, 1)
        units, own = common_unit(found, bits), unit(found, bits)
        weights = weights_of(found[0], where, None, 24)
        means = weights.means(units.u)
        products = weights.gram(units.u - means)
        trace = enlarged_trace(products, weights.rows, 2 * bits)
        solved = eigen(trace.matrix.clip(-1.0, 1.0), count)
        ratio = (solved.values.astype(fixed(28)) / trace.total.clip(LEAST_TRACE, 1.0)).clip(0.0, 1.0)
        self.n_features_in_, self.n_components_, self.feature_names_in_ = len(found), count, names_of(X)
        return self._learn(
            components_=solved.vectors,
            explained_variance_=trace.variances(solved.values, 2 * int(units.exponent[0])),
            explained_variance_ratio_=ratio,
            separated_=_separated(solved.values),
            resolved_=trace.resolved,
            mean_=in_real_units(weights.means(own.u), own.exponent) + own.centre,
        )

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The opened results; NaN where the declared range hides the variance. Warns of what is not determined."""
        opened = super().finished(values)
        if "resolved_" in values and not values["resolved_"]:
            warnings.warn(UNRESOLVED, RuntimeWarning, stacklevel=3)
            for name in ("components_", "explained_variance_", "explained_variance_ratio_"):
                opened[name] = np.full_like(np.asarray(values[name], np.float64), np.nan)
        elif "separated_" in values and not np.all(values["separated_"]):
            which = ", ".join(map(str, np.flatnonzero(~np.asarray(values["separated_"], bool))))
            warnings.warn(f"components {which} {CLOSE}", RuntimeWarning, stacklevel=3)
        return opened

    def _count(self, width: int, rows: Any) -> int:
        count = width if self.n_components is None else self.n_components
        if type(count) is not int or not 1 <= count <= width:
            raise UserError(f"n_components={self.n_components!r}; give a whole number from 1 to {width}, the columns")
        if width > 64:
            raise UserError(f"{width} columns; 64 is the most")
        if isinstance(rows, int) and rows < 2:
            raise UserError("one row has no variance; give two or more")
        return count

    def transform(self, X: Any) -> SecretArray:
        """Secret rows in terms of the components, still secret: shape (rows, n_components)."""
        found = self._fitted_columns(X)
        units = unit(found, min(24, known(found[0]).capacity // 2 - 5))
        u = units.u + units.centre / units.factor if units.centre.any() else units.u
        product = precise_product(u, in_real_units(self.components_.T, units.exponent[:, None]))
        return _difference(product, precise_dot(self.mean_, self.components_.T, product.dtype.scale))

    def fit_transform(self, X: Any, where: Any = None) -> SecretArray:
        """Fit, and the rows in terms of the components."""
        return self.fit(X, where).transform(X)

    def inverse_transform(self, Z: Any) -> SecretArray:
        """Secret rows in terms of the components back in columns: shape (rows, features)."""
        self._require_fit()
        rows = matrix(Z)
        if rows.shape[1] != self.n_components_:
            raise UserError(f"{rows.shape[1]} columns for {self.n_components_} components")
        beside = bits_of(self.components_) + self.n_components_.bit_length()
        product = fitting(rows, beside + 1) @ self.components_
        return _difference(product, -self.mean_)


def _separated(values: SecretArray) -> SecretArray:
    """Which eigenvalues differ from those found before and after them by more than the share 1 / DISTINCT."""
    count = int(str(values.shape[0]))
    if count == 1:
        return values >= 0
    apart = (values[:-1] - values[1:]) * DISTINCT >= values[:-1]
    one = q.ones_like(values[:1], dtype=bool)
    both: SecretArray = q.concatenate([one, apart]) & q.concatenate([apart, one])
    return both


def _difference(left: SecretArray, right: SecretArray) -> SecretArray:
    """left - right at the coarser scale of the two."""
    common = fixed(min(left.dtype.scale, right.dtype.scale))
    return left.astype(common) - right.astype(common)
