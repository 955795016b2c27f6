"""Covariance and correlation matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from quorate.analytics.opened import needed
from quorate.analytics.statistics.answer import Answer
from quorate.analytics.statistics.floating import Floating, floating
from quorate.analytics.statistics.moments import Columns, levels, total_weight, weighed
from quorate.analytics.statistics.samples import Choice, choice
from quorate.analytics.statistics.scatter import Scatter, scatter
from quorate.errors import UserError
from quorate.lang.array import SecretArray

__all__ = ["corrcoef", "cov"]

MOST = 64
"""Most columns of a matrix."""


def cov(x: Any, *, ddof: int = 1, where: Any = None, sample_weight: Any = None, least: int | None = None) -> Answer:
    """The covariance matrix of columns, sum((x - mean x) (y - mean y)) / (n - ddof); see `var` for the arguments.

    Revealed: the matrix; with `where` also how many rows count, with weights also their sum.

    `reveal` gives an array, or a data frame for a table: NaN where too few rows count. Precision: about 1e-7 of the
    product of both standard deviations.

    Raises:
        UserError: more than 64 columns.
    """
    asked, chosen, weights = _asked(x, where, sample_weight, least)
    found = scatter(asked.found, chosen.counted, weights)
    made = _upper(found)
    parts = _shown(made, chosen).parts("products") | chosen.parts()
    if weights is not None:
        parts["weight"] = chosen.hide(total_weight(weights, chosen))
    signs = chosen.hide(_elements(found.products) < 0)

    def finish(values: Mapping[str, Any]) -> Any:
        over = chosen.opened(values)
        over = (over if weights is None else over * 0 + float(values["weight"])) - ddof
        products = made.opened(values, "products") * np.where(values["negative"], -1.0, 1.0)
        return _square(products / (over if over > 0 else np.nan), asked)

    return Answer(finish, negative=signs, **parts)


def corrcoef(x: Any, *, where: Any = None, sample_weight: Any = None, least: int | None = None) -> Answer:
    """Pearson's correlation matrix of columns.

    Revealed: the matrix, and which columns are constant; with `where` also how many rows count. Variances stay secret.

    `reveal` gives an array, or a data frame for a table: NaN for constant columns, as in pandas, and where too few rows
    count. Precision: about 1e-7.

    Raises:
        UserError: more than 64 columns.
    """
    asked, chosen, weights = _asked(x, where, sample_weight, least)
    found = scatter(asked.found, chosen.counted, weights)
    size = len(asked.found)
    row, column = np.triu_indices(size)
    products = _elements(found.products)
    diagonal = floating(found.products.diagonal().clip(0, None))
    shares = [Floating(diagonal.mantissa[k], diagonal.power[k], diagonal.exponent) for k in (row, column)]
    magnitude = floating(abs(products))
    squared = _shown((magnitude / shares[0]) * (magnitude / shares[1]), chosen)
    varies = chosen.hide(found.products.diagonal() > 0)

    def finish(values: Mapping[str, Any]) -> Any:
        made = np.sqrt(squared.opened(values, "squared")).clip(0.0, 1.0) * np.where(values["negative"], -1.0, 1.0)
        made = np.where(row == column, 1.0, made)
        there = np.asarray(values["varies"], bool) & ~np.isnan(chosen.opened(values))
        return _square(np.where(there[row] & there[column], made, np.nan), asked)

    negative = chosen.hide(products < 0)
    return Answer(finish, negative=negative, varies=varies, **squared.parts("squared"), **chosen.parts())


def _asked(x: Any, where: Any, sample_weight: Any, least: int | None) -> tuple[Columns, Choice, SecretArray | None]:
    asked = Columns.of(x)
    if len(asked.found) > MOST:
        raise UserError(f"{len(asked.found)} columns; {MOST} is the most for a matrix of covariances")
    return asked, *weighed(choice(asked.found[0], where, least), sample_weight)


def _elements(matrix: SecretArray) -> SecretArray:
    """The upper triangle, row by row, shape (d (d + 1) / 2,)."""
    size = int(str(matrix.shape[0]))
    row, column = np.triu_indices(size)
    found: SecretArray = matrix.reshape(-1)[row * size + column]
    return found


def _upper(found: Scatter) -> Floating:
    """Magnitudes of the upper triangle, in real units."""
    row, column = np.triu_indices(len(found.columns))
    exponent = np.array([one.exponent for one in found.columns])
    made = floating(abs(_elements(found.products)), exponent[row] + exponent[column] + found.weight_exponent)
    enlarged = levels(found.columns, half=True)
    return made if enlarged is None else made.lowered(enlarged[row] + enlarged[column])


def _shown(found: Floating, chosen: Choice) -> Floating:
    """0 where too few rows count."""
    return found if chosen.shown is None else found.shown(chosen.shown.broadcast_to(found.mantissa.shape))


def _square(upper: Any, asked: Columns) -> Any:
    """A symmetric matrix from its upper triangle."""
    size = len(asked.found)
    row, column = np.triu_indices(size)
    made = np.zeros((size, size))
    made[row, column] = made[column, row] = upper
    if asked.names is None:
        return made
    return needed("pandas").DataFrame(made, index=asked.names, columns=asked.names)
