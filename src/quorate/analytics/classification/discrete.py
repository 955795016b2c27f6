"""Naive Bayes with features that are categories, counts, or there or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.axes import Axes
from quorate.analytics.classification.bayes import LOG_SCALE, NaiveBayes, log_shares
from quorate.analytics.columns import bits_of, category_names, columns, fitting, names_of, vector
from quorate.analytics.regression.design import product
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["BernoulliNB", "CategoricalNB", "MultinomialNB"]

MOST_CATEGORIES = 4096


class _Discrete(NaiveBayes):
    """Log-likelihoods are sums of table entries: numbers of each row times log-probabilities of each class."""

    feature_count_: SecretArray
    feature_log_prob_: SecretArray

    def __init__(self, classes: int = 2, alpha: float = 1.0) -> None:
        super().__init__(classes)
        self.alpha = alpha

    def fit(self, X: Any, y: Any, where: Any = None) -> Self:
        """Fit to a secret matrix or table of shape (rows, features) and a secret column of classes.

        Raises:
            UserError: shapes that do not fit, classes or features beyond the declared ones, or alpha below 2**-10.
        """
        if not 2.0**-10 <= self.alpha < 2.0**20:
            raise UserError(f"alpha {self.alpha!r}; give a number from 2**-10, which is added to every count")
        found = columns(X, codes=self.CODES)
        flags = self._flags(found, y, where)
        self.n_features_in_, self.feature_names_in_ = len(found), names_of(X)
        counts, totals = flags.sum(0), flags.T @ self._numbers(found, True)
        return self._learn(
            class_count_=counts,
            class_log_prior_=log_shares(counts),
            feature_count_=totals,
            feature_log_prob_=self._log_shares(counts, totals),
        )

    def _numbers(self, found: list[SecretArray], fits: bool) -> SecretArray:
        """What is counted in each row."""
        raise NotImplementedError

    def _log_shares(self, counts: SecretArray, totals: SecretArray) -> SecretArray:
        """Log-probabilities, shape (classes, what is counted)."""
        raise NotImplementedError

    def _joint(self, X: Any) -> SecretArray:
        return self._sums(self._numbers(self._features(X), False), self.feature_log_prob_)

    def _sums(self, numbers: SecretArray, table: SecretArray) -> SecretArray:
        """Numbers times log-probabilities, with those of the classes."""
        width = int(str(numbers.shape[1]))
        entries = fitting(table, bits_of(numbers) + width.bit_length())
        total = product("matmul", numbers, entries.T, min(LOG_SCALE, entries.dtype.scale))
        return total + self.class_log_prior_.astype(total.dtype)


def _logs(numbers: SecretArray, added: float) -> SecretArray:
    """Logarithms of numbers from 0 to which a public number above 0 is added."""
    real = numbers.astype(fixed(max(16, numbers.dtype.scale))).clip(0.0, None)
    return (real + added).record("log", scale=LOG_SCALE)


class CategoricalNB(_Discrete):
    """Features that are categories, each with a distribution of its own within each class.

    Parameters:
        classes: number of classes; y holds 0 ... classes - 1.
        alpha: is added to the count of every category.
        categories: how many each feature has, a number or one per feature; by default as many as its declared range
            has from 0. Features hold 0 ... categories - 1.

    Results:
        class_count_, class_log_prior_: shape (classes,).
        feature_count_, feature_log_prob_: shape (classes, sum of the numbers of categories). When opened, these are
            `category_count_` and `feature_log_prob_`, lists of arrays, one per feature.

    Nothing is revealed but the number of rows and columns, until results are opened.
    """

    AXES: ClassVar[Axes] = {
        **NaiveBayes.AXES,
        "categories_": ("feature",),
        **dict.fromkeys(("category_count_", "feature_log_prob_"), ("feature", "class", "category")),
    }

    CODES = True

    def __init__(self, classes: int = 2, alpha: float = 1.0, categories: int | list[int] | None = None) -> None:
        super().__init__(classes, alpha)
        self.categories = categories

    def _numbers(self, found: list[SecretArray], fits: bool) -> SecretArray:
        if fits:
            self.categories_ = self._sizes(found)
            self.feature_categories_ = [category_names(column) for column in found]
        one_hot = [
            (vector(column, "a category", codes=True)[:, None] == np.arange(size)).astype(INT)
            for column, size in zip(found, self.categories_, strict=True)
        ]
        joined: SecretArray = q.concatenate(one_hot, axis=1)
        return joined

    def _sizes(self, found: list[SecretArray]) -> list[int]:
        given = self.categories
        sizes = [given] * len(found) if isinstance(given, int) or given is None else list(given)
        if len(sizes) != len(found):
            raise UserError(f"categories has {len(sizes)} numbers for {len(found)} features")
        known = []
        for k, (column, size) in enumerate(zip(found, sizes, strict=True)):
            low, high = column.limits
            count = int(high) + 1 if size is None else size
            if column.dtype.kind != "int" or low < 0 or high > count - 1:
                raise UserError(
                    f"feature {k} is {column.dtype} with values from {low:g} to {high:g}; {count} categories are "
                    f"integers with the declared range 0 to {count - 1}"
                )
            known.append(count)
        if sum(known) > MOST_CATEGORIES:
            raise UserError(f"{sum(known)} categories in all; {MOST_CATEGORIES} is the most")
        return known

    def _log_shares(self, counts: SecretArray, totals: SecretArray) -> SecretArray:
        sizes = np.repeat(self.categories_, self.categories_)
        found: SecretArray = _logs(totals, self.alpha) - q.stack(
            [_logs(counts, self.alpha * size) for size in sizes], axis=1
        )
        return found

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The opened results, with one array per feature."""
        opened = super().finished(values)
        edges = np.cumsum(self.categories_)[:-1]
        opened["category_count_"] = np.split(np.asarray(opened.pop("feature_count_")), edges, axis=1)
        opened["feature_log_prob_"] = np.split(np.asarray(opened["feature_log_prob_"]), edges, axis=1)
        return opened


class BernoulliNB(_Discrete):
    """Features that are there or not; that one is missing counts too.

    Parameters:
        classes: number of classes; y holds 0 ... classes - 1.
        alpha: is added to the counts of rows with and without a feature.
        binarize: a feature is there where its number is larger than this; None if they are bools or 0 and 1.

    Results:
        class_count_, class_log_prior_: shape (classes,).
        feature_count_, feature_log_prob_: rows with each feature and logarithms of their smoothed shares, shape
            (classes, features).

    Nothing is revealed but the number of rows and columns, until results are opened.
    """

    def __init__(self, classes: int = 2, alpha: float = 1.0, binarize: float | None = 0.0) -> None:
        super().__init__(classes, alpha)
        self.binarize = binarize

    def _numbers(self, found: list[SecretArray], fits: bool) -> SecretArray:
        if self.binarize is not None:
            flags = [column if _is_flag(column) else (column > self.binarize).astype(INT) for column in found]
        else:
            flags = found
        for column in flags:
            if not _is_flag(column):
                raise UserError("binarize=None is for bools, or 0 and 1 with that declared range; compare first")
        stacked: SecretArray = q.column_stack(flags)
        return stacked

    def _log_shares(self, counts: SecretArray, totals: SecretArray) -> SecretArray:
        return _logs(totals, self.alpha) - _logs(counts, 2 * self.alpha)[:, None]

    def _joint(self, X: Any) -> SecretArray:
        found = self._features(X)
        missing = _logs(self.class_count_[:, None] - self.feature_count_, self.alpha)
        without = missing - _logs(self.class_count_, 2 * self.alpha)[:, None]
        table = self.feature_log_prob_ - without
        sums = self._sums(self._numbers(found, False), table)
        joint: SecretArray = sums + without.sum(1).astype(sums.dtype)
        return joint


def _is_flag(column: SecretArray) -> bool:
    return column.dtype.kind == "int" and column.limits[0] >= 0 and column.limits[1] <= 1


class MultinomialNB(_Discrete):
    """Features that are counts, such as of words; or shares of a total.

    Parameters:
        classes: number of classes; y holds 0 ... classes - 1.
        alpha: is added to the total of every feature.

    Results:
        class_count_, class_log_prior_: shape (classes,).
        feature_count_, feature_log_prob_: totals and logarithms of their smoothed shares, shape (classes, features).

    Nothing is revealed but the number of rows and columns, until results are opened.
    """

    def _numbers(self, found: list[SecretArray], fits: bool) -> SecretArray:
        for k, column in enumerate(found):
            if column.limits[0] < 0:
                raise UserError(
                    f"feature {k} may be negative (its declared range starts at {column.limits[0]:g}); give counts"
                )
        stacked: SecretArray = q.column_stack(found)
        return stacked

    def _log_shares(self, counts: SecretArray, totals: SecretArray) -> SecretArray:
        width = int(str(totals.shape[1]))
        return _logs(totals, self.alpha) - _logs(totals.sum(1), self.alpha * width)[:, None]
