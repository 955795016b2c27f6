"""Confidence intervals of means and of proportions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from quorate.analytics.columns import vector
from quorate.analytics.opened import Fitted
from quorate.analytics.small_groups import checked_least
from quorate.analytics.statistics.answer import Answer, stats
from quorate.analytics.statistics.moments import Columns, Mean, sums_of_squares
from quorate.analytics.statistics.samples import choice
from quorate.errors import UserError
from quorate.sharing.dtype import INT

__all__ = ["confidence_interval", "proportion_confint"]


def _level(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UserError(f"confidence={confidence!r}; it lies between 0 and 1, such as 0.95")
    return float(confidence)


def confidence_interval(x: Any, confidence: float = 0.95, *, where: Any = None, least: int | None = None) -> Answer:
    """Student's confidence interval of the mean of every column: mean -+ t * s / sqrt(n).

    Args:
        x: a secret column, matrix, table or list of columns.
        confidence: public.
        where: which rows count, a secret column of bools.
        least: with `where`, nothing of fewer rows is shown.

    Revealed: mean and standard error; with `where` how many rows count.

    `reveal` gives mean, standard_error, low, high, each a number, or an array or series of one per column: NaN (but for
    the mean) of fewer than two rows, and where too few rows count. Precision: relative 1e-7
    (1e-5 with ranges declared much too wide).
    """
    level = _level(confidence)
    asked = Columns.of(x)
    chosen = choice(asked.found[0], where, least)
    squares = sums_of_squares(asked.found, chosen)
    means = [Mean.of(column, chosen) for column in asked.found]
    parts = {asked.part("sum", j): one.part for j, one in enumerate(means)}

    def finish(values: Mapping[str, Any]) -> Fitted:
        n = chosen.opened(values)
        middle = np.array([one.opened(values[name], n) for name, one in zip(parts, means, strict=True)])
        free = n - 1 if n > 1 else np.nan
        error = np.sqrt(squares.opened(values, "squares") / free / n)
        reach = error * stats().t(free).ppf((1 + level) / 2)
        made = {"mean": middle, "standard_error": error, "low": middle - reach, "high": middle + reach}
        return Fitted({name: asked.labelled(list(one)) for name, one in made.items()})

    return Answer(finish, **parts, **squares.parts("squares"), **chosen.parts())


def proportion_confint(
    x: Any, confidence: float = 0.95, *, method: str = "wilson", where: Any = None, least: int | None = None
) -> Answer:
    """How often a column is true, with a confidence interval: Wilson's, Clopper and Pearson's (beta) or the normal one.

    Brown, Cai and DasGupta, Interval Estimation for a Binomial Proportion, Statistical Science 16, 2001.

    Args:
        x: a secret column of bools, or of codes 0 and 1.
        confidence: public.
        method: wilson, beta or normal, as in statsmodels.
        where: which rows count, a secret column of bools.
        least: nothing is shown if fewer rows are true, or fewer are false.

    Revealed: how many rows are true; with `where` how many count.

    `reveal` gives proportion, low, high, n: NaN where too few rows are true or false. Exact.

    Raises:
        UserError: the column may hold anything but 0 and 1.
    """
    level = _level(confidence)
    if method not in _METHODS:
        raise UserError(f"method={method!r}; use {', '.join(_METHODS)}")
    column = vector(x, "x")
    low, high = column.limits
    if column.dtype.kind != "int" or low < 0 or high > 1:
        raise UserError("a proportion is that of bools, or of whole numbers with the range (0, 1)")
    chosen = choice(column, where, least)
    true = (column if chosen.counted is None else column * chosen.counted.astype(INT)).sum()
    size = checked_least(least)
    shown = (true >= size) & (-true + chosen.size >= size)
    if chosen.shown is not None:
        shown = shown & chosen.shown
    flag = shown.astype(INT)
    parts = chosen.parts() | {"true": true * flag, "shown": shown}
    if chosen.shown is not None:
        parts["n"] = chosen.size * flag

    def finish(values: Mapping[str, Any]) -> Fitted:
        n, k = chosen.opened(values), float(values["true"])
        if not values["shown"]:
            n = k = float("nan")
        ends = _METHODS[method](k, n, 1 - level)
        return Fitted(proportion=k / n if n else float("nan"), low=float(ends[0]), high=float(ends[1]), n=n)

    return Answer(finish, **parts)


def _wilson(k: float, n: float, alpha: float) -> tuple[float, float]:
    z = stats().norm.isf(alpha / 2)
    middle = (k + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * np.sqrt(k * (1 - k / n) + z**2 / 4)
    return middle - reach, middle + reach


def _beta(k: float, n: float, alpha: float) -> tuple[float, float]:
    low = 0.0 if k == 0 else stats().beta.ppf(alpha / 2, k, n - k + 1)
    high = 1.0 if k == n else stats().beta.isf(alpha / 2, k + 1, n - k)
    return low, high


def _gauss(k: float, n: float, alpha: float) -> tuple[float, float]:
    reach = stats().norm.isf(alpha / 2) * np.sqrt(k / n * (1 - k / n) / n)
    return max(0.0, k / n - reach), min(1.0, k / n + reach)


_METHODS = {"wilson": _wilson, "beta": _beta, "normal": _gauss}
