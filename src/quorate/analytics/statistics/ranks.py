"""The test of Mann and Whitney, by ranks that nobody sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.analytics.columns import most_rows
from quorate.analytics.opened import Fitted
from quorate.analytics.statistics.answer import Answer, checked_alternative, stats
from quorate.analytics.statistics.several import Rows, rows_of
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT

__all__ = ["mannwhitneyu"]

EXACT = 8
"""Without ties, p-values are exact if the smaller sample has at most so many values."""


def mannwhitneyu(
    x: Any,
    y: Any = None,
    *,
    by: Any = None,
    use_continuity: bool = True,
    alternative: str = "two-sided",
    method: str = "auto",
    where: Any = None,
    least: int | None = None,
) -> Answer:
    """The test of Mann and Whitney (Wilcoxon's rank sum): whether one of two samples tends to be larger.

    U is the number of pairs in which the value of the first sample is larger, ties counting one half. Mann and Whitney,
    Annals of Mathematical Statistics 18, 1947; with the correction of the variance for ties.

    Args:
        x, y: secret columns; or `x` alone, with
        by: a secret column of bools (or codes 0 and 1): the first sample are the rows where it is false (0).
        use_continuity: one half less in the normal approximation.
        alternative: about the first sample: two-sided, less or greater.
        method: asymptotic; exact (as if there were no ties); auto is exact without ties where the smaller sample has at
            most 8 values.
        where: which rows count; of two columns a pair of masks, of which one may be None.
        least: with `by` or `where`, nothing is shown if a sample has fewer rows.

    Revealed: U, the sum of t**3 - t over all groups of t tied values, and the sizes of the samples, where they are
    secret.

    `reveal` gives statistic (U) and pvalue: exact, as SciPy's. NaN if a sample is empty or too small to be shown.

    Raises:
        UserError: columns of floats with different scales, since equal values would differ.
    """
    checked_alternative(alternative)
    if method not in ("auto", "asymptotic", "exact"):
        raise UserError(f"method={method!r}; use auto, asymptotic or exact")
    rows = rows_of([x] if y is None else [x, y], by, 2, where, least, 1)
    twice, ties = _pairs(rows)
    if rows.shown is not None:
        keep = rows.shown.astype(INT)
        twice, ties = twice * keep, ties * keep

    def finish(values: Mapping[str, Any]) -> Fitted:
        n1, n2 = rows.opened(values)
        if not (n1 and n2):
            return Fitted(statistic=float("nan"), pvalue=float("nan"))
        u, tied = float(values["twice_u"]) / 2, float(values["ties"])
        exact = method == "exact" or (method == "auto" and not tied and min(n1, n2) <= EXACT)
        larger = {"greater": u, "less": n1 * n2 - u, "two-sided": max(u, n1 * n2 - u)}[alternative]
        p = _exact(larger, int(n1), int(n2)) if exact else _normal(larger, n1, n2, tied, use_continuity)
        return Fitted(statistic=u, pvalue=float(min(1.0, p * (2 if alternative == "two-sided" else 1))))

    return Answer(finish, twice_u=twice, ties=ties, **rows.parts())


def _pairs(rows: Rows) -> tuple[SecretArray, SecretArray]:
    """2 U, and the sum of t**3 - t over groups of tied values."""
    values, first, second = _flagged(rows)
    ordered = q.sort_table({"x": values, "first": first, "second": second}, by="x")
    own, other = ordered["first"].astype(INT), ordered["second"].astype(INT)
    changes = ordered["x"][1:] != ordered["x"][:-1]
    edge = q.ones_like(changes[:1], dtype=bool)
    starts, ends = q.concatenate([edge, changes]), q.concatenate([changes, edge])
    below, upto = _around(other, starts, ends)
    twice = own @ (below + upto)
    counted = (ordered["first"] | ordered["second"]).astype(INT)
    before, after = _around(counted, starts, ends)
    most = sum(most_rows(piece.values) for piece in rows.pieces)
    size = (after - before).clip(0, most)
    ties = counted @ (size * size - 1)
    return twice, ties


def _flagged(rows: Rows) -> tuple[SecretArray, SecretArray, SecretArray]:
    """All values, and which belong to the first and the second sample."""
    if rows.members is not None:
        return rows.pieces[0].values, rows.members[:, 0], rows.members[:, 1]
    (a, b), ones, zeros = rows.pieces, [], []
    _require_one_scale(a.values, b.values)
    for piece in (a, b):
        ones.append(q.ones_like(piece.values, dtype=bool) if piece.counted is None else piece.counted)
        zeros.append(q.zeros_like(piece.values, dtype=bool))
    values = q.concatenate([a.values, b.values])
    return values, q.concatenate([ones[0], zeros[1]]), q.concatenate([zeros[0], ones[1]])


def _require_one_scale(a: SecretArray, b: SecretArray) -> None:
    """Equal numbers that were rounded to different fractions are not equal any more."""
    if a.dtype.kind == b.dtype.kind == "fixed" and a.dtype.scale != b.dtype.scale:
        raise UserError(
            f"the samples have {a.dtype.scale} and {b.dtype.scale} fraction bits, so that equal values may differ; "
            f"give both columns one scale, such as scale={min(a.dtype.scale, b.dtype.scale)}"
        )


def _around(counts: SecretArray, starts: SecretArray, ends: SecretArray) -> tuple[SecretArray, SecretArray]:
    """How many come before the group of equal values that a row is in, and up to its end."""
    running = counts.cumsum()
    before = q.segmented_scan(running - counts, starts, "first")
    after = q.flip(q.segmented_scan(q.flip(running), q.flip(ends), "first"))
    return before, after


def _normal(u: float, n1: float, n2: float, ties: float, continuity: bool) -> float:
    n = n1 + n2
    spread = np.sqrt(n1 * n2 / 12 * ((n + 1) - ties / (n * (n - 1))))
    return float(stats().norm.sf((u - n1 * n2 / 2 - (0.5 if continuity else 0.0)) / spread))


def _exact(u: float, n1: int, n2: int) -> float:
    """The probability of u or more, without ties."""
    ways = _ways(min(n1, n2), max(n1, n2))
    return float(ways[int(np.ceil(u)) :].sum() / ways.sum())


def _ways(few: int, many: int) -> npt.NDArray[np.float64]:
    """In how many orders of both samples U is 0, 1, ...: the coefficients of a Gaussian binomial."""
    ways = np.zeros(few * many + 1)
    ways[0] = 1.0
    for k in range(1, few + 1):
        ways[many + k :] -= ways[: -(many + k)].copy() if many + k < ways.size else 0
        for start in range(k):
            ways[start::k] = np.cumsum(ways[start::k])
    return ways
