"""Means, variances and standard deviations; of all rows, of a secret choice of them, with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import columns, known, most_rows, names_of, vector
from quorate.analytics.statistics.answer import Answer, labelled
from quorate.analytics.statistics.floating import Floating, floating
from quorate.analytics.statistics.samples import Choice, choice
from quorate.analytics.statistics.scatter import bits_for, enough, scatter, shares, squares, weighted_mean
from quorate.analytics.statistics.spread import STEP, Centred, Piece, centred, summable
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["Columns", "Mean", "levels", "mean", "std", "sums_of_squares", "total_weight", "var", "weighed"]


@dataclass(frozen=True)
class Columns:
    """The columns that a statistic is asked for, and the names of its parts."""

    found: list[SecretArray]
    names: list[str] | None
    single: bool

    @staticmethod
    def of(x: Any) -> Columns:
        """From a secret column, matrix, table or list of columns."""
        return Columns(columns(x), names_of(x), isinstance(x, SecretArray) and x.ndim == 1)

    def part(self, name: str, j: int) -> str:
        """The name of a part for column j."""
        return name if self.single else f"{name}_{self.names[j] if self.names else j}"

    def labelled(self, values: list[Any]) -> Any:
        """One value per column, as the columns were given."""
        return labelled(values[0] if self.single else values, self.names)


def mean(x: Any, *, where: Any = None, sample_weight: Any = None, least: int | None = None) -> Answer:
    """The mean of every column, sum(x) / n or sum(w x) / sum(w).

    Args:
        x: a secret column, matrix, table or list of columns.
        where: which rows count, a secret column of bools.
        sample_weight: a secret column of weights from 0.
        least: with `where`, nothing of fewer rows is shown; None stands for `small_groups.LEAST`.

    Revealed: the mean; with `where` also how many rows count, with weights whether they have enough digits.

    `reveal` gives a float for one column, an array for a matrix, a pandas series for a table: NaN where too few rows
    count, or weights are 0 or next to 0 against their declared range. Precision: as exact as the values are encoded;
    with weights to 2**-20 of the width of the data.
    """
    asked = Columns.of(x)
    chosen, weights = weighed(choice(asked.found[0], where, least), sample_weight)
    means = [Mean.of(column, chosen, weights) for column in asked.found]
    parts = {asked.part(one.name, j): one.part for j, one in enumerate(means)}

    def finish(values: Mapping[str, Any]) -> Any:
        size = chosen.opened(values)
        return asked.labelled([one.opened(values[name], size) for name, one in zip(parts, means, strict=True)])

    return Answer(finish, **parts, **chosen.parts())


@dataclass(frozen=True)
class Mean:
    """What is opened for a mean: the exact sum, which together with the number of rows says the same; or the mean.

    Attributes:
        part: sum or mean, in the units of the data; 0 where too few rows count.
        name: which of them it is.
    """

    part: SecretArray
    name: str

    @staticmethod
    def of(column: SecretArray, chosen: Choice, weights: SecretArray | None = None) -> Mean:
        """Of the rows that count."""
        if weights is not None:
            return Mean(chosen.hide(_weighted(column, chosen, weights)), "mean")
        values = summable(column)
        if chosen.counted is not None:
            values = values * chosen.counted.astype(INT)
        return Mean(chosen.hide(values.sum()), "sum")

    def opened(self, value: Any, size: float) -> float:
        """The mean, from the opened part and the number of rows, which is NaN if nothing is shown."""
        if np.isnan(size):
            return float("nan")
        return float(value) / size if self.name == "sum" else float(value)


def _weighted(column: SecretArray, chosen: Choice, weights: SecretArray) -> SecretArray:
    found = centred([Piece(column, chosen.counted)], bits_for(most_rows(column), known(column).capacity))
    away = weighted_mean(found.u[0][:, None], shares(weights, chosen.counted)[0])[0]
    return found.middle + found.in_real_units(away)


def var(x: Any, *, ddof: int = 1, where: Any = None, sample_weight: Any = None, least: int | None = None) -> Answer:
    """The variance of every column, sum((x - mean)**2) / (n - ddof).

    With weights, sum(w (x - m)**2) / (sum(w) - ddof) about the weighted mean m, as in statsmodels' DescrStatsW: the
    weights are frequencies.

    Args:
        ddof: 1, as in pandas, for the estimate from a sample; 0 for the data themselves.
        x, where, sample_weight, least: as for `mean`.

    Revealed: the variance; with `where` how many rows count, with weights also their sum.

    `reveal` gives what `mean` would: exactly 0 for a constant column, NaN where too few rows count. Precision: relative
    1e-7, whatever the mean is; 1e-5 where the declared range is a thousand times wider than the values.
    """
    return _spread(x, where, sample_weight, least, ddof, 1.0)


def std(x: Any, *, ddof: int = 1, where: Any = None, sample_weight: Any = None, least: int | None = None) -> Answer:
    """The standard deviation of every column, the square root of `var`, which see."""
    return _spread(x, where, sample_weight, least, ddof, 0.5)


def _spread(x: Any, where: Any, sample_weight: Any, least: int | None, ddof: int, power: float) -> Answer:
    asked = Columns.of(x)
    chosen, weights = weighed(choice(asked.found[0], where, least), sample_weight)
    found = sums_of_squares(asked.found, chosen, weights)
    parts = found.parts("squares") | chosen.parts()
    if weights is not None:
        parts["weight"] = chosen.hide(total_weight(weights, chosen))

    def finish(values: Mapping[str, Any]) -> Any:
        size = chosen.opened(values)
        over = (size if weights is None else size * 0 + float(values["weight"])) - ddof
        made = (found.opened(values, "squares") / (over if over > 0 else np.nan)) ** power
        return asked.labelled(list(made))

    return Answer(finish, **parts)


def sums_of_squares(found: Sequence[SecretArray], chosen: Choice, weights: SecretArray | None = None) -> Floating:
    """The sum of squared distances from the mean of every column; 0 where too few rows count."""
    if weights is None:
        each = [squares(Piece(column, chosen.counted)) for column in found]
        factor = 0
    else:
        products = [scatter([column], chosen.counted, weights) for column in found]
        each = [(one.products[0, 0].clip(0, None), one.columns[0]) for one in products]
        factor = products[0].weight_exponent
    exponents = np.array([2 * one.exponent + factor for _, one in each])
    made = floating(q.stack([total for total, _ in each]), exponents).lowered(levels([one for _, one in each]))
    return made if chosen.shown is None else made.shown(chosen.shown)


def levels(each: Sequence[Centred], half: bool = False) -> SecretArray | None:
    """By how many powers of four squares of columns were enlarged, or with `half` of two; None if none can be."""
    if all(one.level is None for one in each):
        return None
    like = next(one.level for one in each if one.level is not None)
    made: SecretArray = q.stack([like * 0 if one.level is None else one.level for one in each])
    return made * (STEP // 2 if half else STEP)


def weighed(chosen: Choice, sample_weight: Any) -> tuple[Choice, SecretArray | None]:
    """The rows that count, and the column of weights, if there are any."""
    if sample_weight is None:
        return chosen, None
    weights = vector(sample_weight, "sample_weight")
    return replace(chosen, weighed=enough(shares(weights, chosen.counted)[0])), weights


def total_weight(weights: SecretArray, chosen: Choice) -> SecretArray:
    """The sum of the weights of the rows that count."""
    values = summable(weights)
    if chosen.counted is not None:
        values = values * chosen.counted.astype(INT)
    total: SecretArray = values.sum()
    return total
