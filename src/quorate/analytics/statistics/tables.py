"""Tables of two categories, and the chi-square test of whether they are independent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import quorate.lang.functions as q
from quorate.analytics.columns import known, most_rows
from quorate.analytics.opened import Fitted, needed, with_note
from quorate.analytics.small_groups import blanked, checked_least, kept, protect
from quorate.analytics.statistics.answer import Answer, stats
from quorate.analytics.statistics.floating import Floating, floating
from quorate.analytics.statistics.samples import Labels, grouped_by, mask
from quorate.analytics.statistics.spread import as_fixed
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["Counts", "chi2_contingency", "counts_of", "crosstab"]

MARGIN = 14
"""Bits by which small deviations are enlarged before they are multiplied."""


@dataclass(frozen=True)
class Counts:
    """A secret table of counts.

    Attributes:
        cells: int, shape (r, c).
        rows, columns: names of the categories.
        most: most that there can be in all, public.
    """

    cells: SecretArray
    rows: list[Any]
    columns: list[Any]
    most: int

    @property
    def margins(self) -> tuple[SecretArray, SecretArray, SecretArray]:
        """Counts of rows, of columns, and all."""
        found = [self.cells.sum(axis).clip(0, self.most) for axis in (1, 0, None)]
        return found[0], found[1], found[2]


def counts_of(index: Any, columns: Any, index_groups: Labels, column_groups: Labels, where: Any) -> Counts:
    """Count pairs of codes; rows with a code that is in no group do not count. Two rounds after the comparisons."""
    first = grouped_by(index, index_groups, mask(where, index) if isinstance(index, SecretArray) else None)
    second = grouped_by(columns, column_groups)
    if first.members.shape[0] != second.members.shape[0]:
        raise UserError(f"{first.members.shape[0]} rows of one column and {second.members.shape[0]} of the other")
    cells = first.members.astype(INT).T @ second.members.astype(INT)
    return Counts(cells, first.labels, second.labels, most_rows(index))


def crosstab(
    index: Any,
    columns: Any,
    *,
    index_groups: Labels = None,
    column_groups: Labels = None,
    where: Any = None,
    least: int | None = None,
) -> Answer:
    """How many rows there are of every pair of categories, as `pandas.crosstab`.

    Args:
        index, columns: secret columns of codes 0, 1, 2, ... or bools.
        index_groups, column_groups: how many categories there are, or their names; by default as many as the ranges of
            the columns allow.
        where: which rows count, a secret column of bools.
        least: cells of fewer rows are hidden; if the hidden ones together hold fewer, the smallest of the others too.

    Revealed: the cells that are shown, and which those are.

    `reveal` gives a data frame of floats, NaN where a cell is hidden. Exact.
    """
    table = counts_of(index, columns, index_groups, column_groups, where)
    cells, shown = protect(table.cells, table.cells, least)

    def finish(values: Mapping[str, Any]) -> Any:
        found = blanked(values["counts"], values["shown"])
        frame = needed("pandas").DataFrame(found, index=table.rows, columns=table.columns)
        return with_note(frame, values["shown"])

    return Answer(finish, counts=cells, shown=shown)


def chi2_contingency(
    index: Any,
    columns: Any,
    *,
    correction: bool = True,
    expected: bool = False,
    index_groups: Labels = None,
    column_groups: Labels = None,
    where: Any = None,
    least: int | None = None,
) -> Answer:
    """Pearson's chi-square test of independence: sum((O - E)**2 / E) with E = row * column / n. No cell is opened.

    Args:
        correction: Yates' correction in tables of two rows and two columns that are not empty: every |O - E| less 1/2,
            but not below 0.
        expected: whether the expected counts are wanted too; this opens the totals of rows and columns.
        least: if fewer rows count in all, nothing is shown; totals of fewer rows (see `crosstab`) are hidden.
        index, columns, index_groups, column_groups, where: as for `crosstab`.

    Revealed: the statistic, how many rows count, how many rows and columns of the table are not empty, in how many
    cells (of those) fewer than 5 are expected. Of few rows, a statistic with all its digits may fit only few tables.

    `reveal` gives statistic, pvalue, dof, n, low_expected (and expected_freq): empty rows and columns do not count;
    with a single one left the statistic is 0 and the p-value 1, as in SciPy. NaN if too few rows count. Precision:
    relative 1e-7, absolute 1e-6.
    """
    table = counts_of(index, columns, index_groups, column_groups, where)
    rows, cols, total = table.margins
    size = max(checked_least(least), 1)
    shown = total >= size
    phi = floating(_phi(table))
    if correction and min(len(table.rows), len(table.columns)) > 1:
        less = floating(_less(table))
        phi = phi * (less * less)
    phi = phi.shown(shown)
    filled = (rows > 0)[:, None] & (cols > 0)[None, :]
    low = filled & (rows[:, None] * cols[None, :] < total * 5)
    facts = {"n": total, "rows": (rows > 0).sum(), "columns": (cols > 0).sum(), "low": low.sum()}
    parts = {name: kept(one, shown) for name, one in facts.items()} | phi.parts("phi")
    if expected:
        parts |= _margins(rows, cols, least)
    return Answer(lambda values: _tested(values, phi, expected), **parts)


def _margins(rows: SecretArray, cols: SecretArray, least: int | None) -> dict[str, SecretArray]:
    """Totals of rows and columns, those that are large enough."""
    (row, row_shown), (col, col_shown) = protect(rows, rows, least), protect(cols, cols, least)
    return {"row": row, "row_shown": row_shown, "column": col, "column_shown": col_shown}


def _tested(values: Mapping[str, Any], phi: Floating, expected: bool) -> Fitted:
    n, dof = float(values["n"]), (float(values["rows"]) - 1) * (float(values["columns"]) - 1)
    nan = float("nan")
    if not n:
        found = Fitted(statistic=nan, pvalue=nan, dof=nan, n=nan, low_expected=nan)
    else:
        statistic = n * float(phi.opened(values, "phi")) if dof else 0.0
        p = float(stats().chi2(dof).sf(statistic)) if dof else 1.0
        found = Fitted(statistic=statistic, pvalue=p, dof=int(dof), n=int(n), low_expected=int(values["low"]))
    if expected:
        row, column = (blanked(values[name], values[f"{name}_shown"]) for name in ("row", "column"))
        found["expected_freq"] = row[:, None] * column / found["n"]
    return found


def _phi(table: Counts) -> SecretArray:
    """The sum of (O - E)**2 / (E n), which is that of (O / row - column / n) * (O / column - row / n)."""
    rows, cols, total = table.margins
    bits = known(table.cells).capacity - 3 - table.most.bit_length()
    first = _share(table.cells, rows[:, None], bits) - _share(cols, total, bits)[None, :]
    second = _share(table.cells, cols[None, :], bits) - _share(rows, total, bits)[:, None]
    half = (known(table.cells).capacity - 2) // 2
    first, second = (
        one.clip(-1.0, 1.0).astype(fixed(half)).astype_raw(fixed(half - MARGIN)) for one in (first, second)
    )
    products = (first * second).sum()
    raised: SecretArray = products.astype_raw(fixed(products.dtype.scale + 2 * MARGIN))
    return raised.clip(0.0, float(min(len(table.rows), len(table.columns))))


def _share(part: SecretArray, whole: SecretArray, bits: int) -> SecretArray:
    """A share of a whole, 0 of nothing."""
    share: SecretArray = as_fixed(part).record("div", as_fixed(whole), scale=min(40, bits))
    return share.clip(0.0, 1.0)


def _less(table: Counts) -> SecretArray:
    """What Yates' correction leaves of every |O - E|: 1 - 1 / (2 |O - E|), from 0.

    All |O - E| are the same if two rows and two columns are not empty; otherwise nothing is corrected.
    """
    rows, cols, total = table.margins
    bits = known(table.cells).capacity - 3 - table.most.bit_length()
    expected = rows[:, None] * _share(cols, total, bits).clip(0.0, 1.0)[None, :]
    away = abs(table.cells - expected).clip(0.0, float(table.most))
    two = away.shape == (2, 2)
    away = away[0, 0] if two else away.reshape(-1).max()
    away = away.astype(fixed(DIVISOR_BITS - table.most.bit_length())).clip(0.5, max(1.0, float(table.most)))
    half = (q.ones_like(away) * 0.5).record("div", away, scale=SHARE_BITS)
    less = (1.0 - half).clip(0.0, 1.0)
    return less if two else q.where(((rows > 0).sum() == 2) & ((cols > 0).sum() == 2), less, 1.0)


DIVISOR_BITS, SHARE_BITS = 36, 34
"""Of |O - E|, and fraction bits of what Yates' correction takes off."""
