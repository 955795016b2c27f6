"""Statistics of every group of rows, and a description of whole columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.analytics.columns import columns, known, most_rows, names_of
from quorate.analytics.opened import needed, with_note
from quorate.analytics.small_groups import blanked, checked_least, kept, shown_cells
from quorate.analytics.statistics.answer import Answer
from quorate.analytics.statistics.floating import Floating, floating
from quorate.analytics.statistics.moments import Mean, levels, sums_of_squares
from quorate.analytics.statistics.order import quantiles_of, shares_of
from quorate.analytics.statistics.samples import Groups, Labels, choice, divided, grouped_by, mask
from quorate.analytics.statistics.scatter import bits_for, within
from quorate.analytics.statistics.spread import Piece, centred, summable
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["describe", "grouped"]

STATISTICS = ("count", "sum", "mean", "var", "std", "median")


def grouped(
    x: Any,
    by: Any,
    statistics: Sequence[str] = ("count", "mean", "std"),
    *,
    groups: Labels = None,
    ddof: int = 1,
    where: Any = None,
    least: int | None = None,
) -> Answer:
    """Statistics of columns for every group of rows, as `DataFrame.groupby(by).agg(statistics)`.

    Args:
        x: a secret column, matrix, table or list of columns.
        by: a secret column of codes 0, 1, 2, ... or bools; of a table also the name of one, which leaves the others.
        statistics: of count, sum, mean, var, std, median.
        groups: how many groups there are (at most 64), or their names; by default as many as the range of `by` allows.
        ddof: var and std are over count - ddof.
        where: which rows count, a secret column of bools.
        least: groups of fewer rows are hidden; if the hidden ones together hold fewer, the smallest of the others too.

    Revealed: the counts and statistics of the groups that are shown, and which those are. Mean and sum tell each other.

    `reveal` gives a data frame with a row per group and a column per statistic, of several columns with two levels of
    names: NaN where a group is hidden, and for var and std of a group of ddof rows or fewer. Precision: count, sum and
    mean exact, var and std relative 1e-7.

    Raises:
        UserError: no such statistic, or no codes.
    """
    if unknown := [one for one in statistics if one not in STATISTICS]:
        raise UserError(f"the statistic {unknown[0]!r}; use {', '.join(STATISTICS)}")
    x, by = divided(x, by)
    found, single = columns(x), isinstance(x, SecretArray) and x.ndim == 1
    names: list[Any] = list(names_of(x) or range(len(found)))
    chosen = grouped_by(by, groups, mask(where, found[0]))
    if chosen.members.shape[0] != found[0].shape[0]:
        raise UserError(f"by has {chosen.members.shape[0]} rows and x has {found[0].shape[0]}")
    shown = shown_cells(chosen.counts, checked_least(least))
    parts = {"n": kept(chosen.counts, shown), "shown": shown}
    each = [_Column(column, chosen, shown, statistics) for column in found]
    for name, one in zip(names, each, strict=True):
        parts |= {f"{part}_{name}": array for part, array in one.parts().items()}

    def finish(values: Mapping[str, Any]) -> Any:
        n = blanked(values["n"], values["shown"])
        made = [one.opened(values, str(name), n, ddof) for name, one in zip(names, each, strict=True)]
        return with_note(_frame(made, names, chosen.labels, statistics, single), values["shown"])

    return Answer(finish, **parts)


class _Column:
    """What is computed of one column."""

    def __init__(self, column: SecretArray, groups: Groups, shown: SecretArray, statistics: Sequence[str]) -> None:
        self.sums = self.median = None
        self.squares: Floating | None = None
        if {"sum", "mean"} & set(statistics):
            self.sums = kept(summable(column) @ groups.members.astype(INT), shown)
        if {"var", "std"} & set(statistics):
            self.squares = _squares(column, groups).shown(shown)
        if "median" in statistics:
            self.median = kept(quantiles_of(column, groups, shares_of(0.5))[:, 0], shown)

    def parts(self) -> dict[str, SecretArray]:
        """What is opened, by name."""
        found = {"sum": self.sums, "median": self.median}
        squares = {} if self.squares is None else self.squares.parts("squares")
        return {name: array for name, array in found.items() if array is not None} | squares

    def opened(self, values: Mapping[str, Any], name: str, n: Any, ddof: int) -> dict[str, Any]:
        """All statistics, one value per group; NaN where n is."""
        found = {"count": n}
        if self.sums is not None:
            found["sum"] = np.asarray(values[f"sum_{name}"], np.float64) + 0 * n
            found["mean"] = found["sum"] / n
        if self.squares is not None:
            own = {part: values[f"{part}_{name}"] for part in self.squares.parts("squares")}
            found["var"] = self.squares.opened(own, "squares") / np.where(n > ddof, n - ddof, np.nan)
            found["std"] = np.sqrt(found["var"])
        if self.median is not None:
            found["median"] = np.asarray(values[f"median_{name}"], np.float64) + 0 * n / n
        return found


def _squares(column: SecretArray, groups: Groups) -> Floating:
    """Sums of squared distances from the mean of each group."""
    bits = bits_for(most_rows(column), known(column).capacity)
    found = centred([Piece(column, groups.members.any(1))], bits)
    level = levels([found])
    inside = within(found.u[0], groups.members, found.exact)
    return floating(inside, 2 * found.exponent).lowered(None if level is None else level[0])


def _frame(
    made: list[dict[str, Any]], names: list[Any], labels: list[Any], statistics: Sequence[str], single: bool
) -> Any:
    pd = needed("pandas")
    tables = [pd.DataFrame({one: found[one] for one in statistics}, index=labels) for found in made]
    return tables[0] if single else pd.concat(tables, axis=1, keys=names)


def describe(
    x: Any, percentiles: Sequence[float] = (0.25, 0.5, 0.75), *, where: Any = None, least: int | None = None
) -> Answer:
    """Count, mean, standard deviation and percentiles of every column, as `DataFrame.describe`.

    Args:
        x: a secret column, matrix, table or list of columns.
        percentiles: public, from 0 to 1. Smallest and largest value are those of a single row each: they are only shown
            if 0 and 1 are asked for.
        where: which rows count, a secret column of bools.
        least: with `where`, nothing of fewer rows is shown.

    Revealed: what is shown.

    `reveal` gives a data frame with a column for each of x: NaN where too few rows count.
    """
    found = columns(x)
    names: list[Any] = list(names_of(x) or range(len(found)))
    chosen = choice(found[0], where, least)
    shares = [*percentiles]
    squares = sums_of_squares(found, chosen)
    parts = squares.parts("squares") | chosen.parts()
    means: list[Mean] = []
    for name, column in zip(names, found, strict=True):
        means.append(Mean.of(column, chosen))
        parts[f"sum_{name}"] = means[-1].part
        if shares:
            parts[f"quantiles_{name}"] = chosen.hide(_percentiles(column, chosen.counted, shares))

    def finish(values: Mapping[str, Any]) -> Any:
        n = chosen.opened(values)
        spread = np.sqrt(squares.opened(values, "squares") / (n - 1 if n > 1 else np.nan))
        rows = ["count", "mean", "std", *(f"{100 * share:g}%" for share in shares)]
        made = {}
        for j, name in enumerate(names):
            known_ = np.atleast_1d(values.get(f"quantiles_{name}", []))
            made[name] = [n, means[j].opened(values[f"sum_{name}"], n), *(np.array([spread[j], *known_]) + 0 * n)]
        return needed("pandas").DataFrame(made, index=rows)

    return Answer(finish, **parts)


def _percentiles(column: SecretArray, counted: SecretArray | None, shares: Sequence[float]) -> SecretArray:
    if counted is None:
        found: SecretArray = column.quantile(list(shares))
        return found
    return quantiles_of(column, Groups(counted[:, None], [0]), shares_of(shares))[0]
