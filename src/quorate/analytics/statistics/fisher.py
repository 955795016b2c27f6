"""Fisher's exact test for tables of two by two, of which only the result is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.opened import Fitted
from quorate.analytics.small_groups import checked_least, kept
from quorate.analytics.statistics.answer import Answer, checked_alternative
from quorate.analytics.statistics.floating import floating
from quorate.analytics.statistics.tables import Counts, counts_of
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["fisher_exact"]

MOST_ROWS = 4096
"""Most rows of a test; chi-square is the test for more."""

LOG = 32
"""Fraction bits of logarithms of probabilities."""

LEAST_LOG = -22.0
"""Tables this much less probable than the likeliest one count as impossible."""

EQUAL = 1e-5
"""Logarithms that differ by less are of equally probable tables."""

SCALE = 30
"""Fraction bits of probabilities relative to the largest."""


def fisher_exact(
    index: Any,
    columns: Any,
    *,
    alternative: str = "two-sided",
    where: Any = None,
    least: int | None = None,
) -> Answer:
    """Fisher's exact test of independence of two columns of bools (or codes 0 and 1). The table is not opened.

    The p-value is the probability, with these totals, of all tables that are no more probable than the one found; or
    with less (greater), of those with as many true pairs or fewer (more). Agresti, Categorical Data Analysis, 3.5.1.

    Args:
        index, columns: secret columns of bools; where both are true is the last cell of the table.
        alternative: two-sided, less or greater: about the odds ratio.
        where: which rows count, a secret column of bools.
        least: if fewer rows count in all, nothing is shown.

    Revealed: the p-value and the odds ratio, which may fit only few tables if there are few rows; not the table.

    `reveal` gives statistic (the odds ratio of the table) and pvalue: an odds ratio of NaN and 1.0 if a row or column
    is empty, as in SciPy; NaN both if too few rows count. Precision: absolute 1e-6 for p, relative 1e-7 for the ratio.

    Raises:
        UserError: there may be more than 4096 rows.
    """
    checked_alternative(alternative)
    table = counts_of(index, columns, 2, 2, where)
    if table.most > MOST_ROWS:
        raise UserError(f"{table.most} rows; Fisher's test is for at most {MOST_ROWS}, chi2_contingency for more")
    shown = table.margins[2] >= max(checked_least(least), 1)
    p = kept(_p_value(table, alternative), shown)
    cells = table.cells.clip(0, table.most)
    along, across = cells[0, 0] * cells[1, 1], cells[0, 1] * cells[1, 0]
    ratio = (floating(along) / floating(across)).shown(shown & (across > 0))
    parts = {"pvalue": p, "zero": (along == 0) & shown, "infinite": (across == 0) & shown, "shown": shown}

    def finish(values: Mapping[str, Any]) -> Fitted:
        if not values["shown"]:
            return Fitted(statistic=float("nan"), pvalue=float("nan"))
        odds = float(ratio.opened(values, "ratio"))
        if values["infinite"]:
            odds = float("nan") if values["zero"] else float("inf")
        return Fitted(statistic=odds, pvalue=min(1.0, max(0.0, float(values["pvalue"]))))

    return Answer(finish, **parts, **ratio.parts("ratio"))


def _p_value(table: Counts, alternative: str) -> SecretArray:
    """The share of the probability of all tables with these totals that is as extreme."""
    rows, cols, total = table.margins
    ways = np.arange(table.most + 1)
    own = table.cells[0, 0].clip(0, table.most)
    logs, possible = _logarithms(rows[0], cols[0], total, table.most)
    low = -(2.0**20)
    likeliest = q.where(possible, logs, low).max()
    relative = (logs - likeliest).clip(LEAST_LOG, 0.0).astype(fixed(SCALE))
    weights = q.exp(relative).clip(0.0, 1.0) * possible.astype(INT)
    if alternative == "less":
        extreme = own >= ways
    elif alternative == "greater":
        extreme = own <= ways
    else:
        found = logs @ (own == ways).astype(INT)
        extreme = logs <= found + EQUAL
    part = (weights * extreme.astype(INT)).sum()
    whole = weights.sum().clip(1.0, float(table.most + 1))
    share: SecretArray = part / whole
    return share.clip(0.0, 1.0)


def _logarithms(row: SecretArray, col: SecretArray, total: SecretArray, most: int) -> tuple[SecretArray, SecretArray]:
    """Of the probabilities of k = 0 ... most pairs in the first cell, up to a constant, and whether k is possible.

    p(k + 1) / p(k) = (row - k) (col - k) / ((k + 1) (total - row - col + k + 1)).
    """
    k = np.arange(most)
    rest = total - row - col
    factors = [row - k, col - k, rest + (k + 1)]
    tall = _log(q.stack(factors).clip(1, most))
    steps = tall[0] + tall[1] - tall[2] - np.log(k + 1.0)
    start = (steps[:1] * 0).astype(fixed(LOG))
    ways = np.arange(most + 1)
    possible = (row >= ways) & (col >= ways) & (rest + ways >= 0)
    # Steps before the first possible table have no meaning, and leave only a constant in all that follow.
    return q.concatenate([start, steps.cumsum(0)]), possible


def _log(values: SecretArray) -> SecretArray:
    """Natural logarithms of whole numbers from 1."""
    logs: SecretArray = values.record("log", scale=LOG)
    return logs
