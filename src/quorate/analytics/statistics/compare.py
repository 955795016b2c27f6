"""Tests of means: Student's and Welch's t, and the analysis of variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.analytics.columns import known, most_rows, vector
from quorate.analytics.opened import Fitted
from quorate.analytics.statistics.answer import Answer, checked_alternative, p_value, stats
from quorate.analytics.statistics.floating import Floating, floating
from quorate.analytics.statistics.moments import levels
from quorate.analytics.statistics.samples import Labels, choice
from quorate.analytics.statistics.scatter import squares, within
from quorate.analytics.statistics.several import samples_of
from quorate.analytics.statistics.spread import Piece, as_fixed
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["f_oneway", "ttest_1samp", "ttest_ind", "ttest_rel"]


def ttest_1samp(
    a: Any, popmean: float = 0.0, *, alternative: str = "two-sided", where: Any = None, least: int | None = None
) -> Answer:
    """Student's t-test of whether the mean of one column is `popmean`: t = (mean - popmean) / sqrt(s**2 / n).

    Args:
        a: a secret column.
        popmean: public; rounded to a fraction of the unit of the column.
        alternative: two-sided, less or greater.
        where: which rows count, a secret column of bools.
        least: with `where`, nothing of fewer rows is shown.

    Revealed: t; with `where` how many rows count.

    `reveal` gives statistic, pvalue, df: NaN for a constant column, fewer than two rows, or too few rows to be shown.
    Precision: relative 1e-7, 1e-5 with ranges declared much too wide.
    """
    checked_alternative(alternative)
    column = vector(a, "a")
    chosen = choice(column, where, least, 2)
    total, found = squares(Piece(column, chosen.counted))
    distance = _distance(column, popmean, chosen.counted)
    level = levels([found])
    spread = floating(total, 2 * found.exponent).lowered(None if level is None else level[0])
    size = floating(abs(distance))
    ratio, parts = opened_root((size * size) / spread, distance, total > 0, chosen.shown)

    def finish(values: Mapping[str, Any]) -> Fitted:
        n = chosen.opened(values)
        t = signed_root(ratio, values, "ratio") * np.sqrt((n - 1) / n)
        return _student(t, n - 1, alternative)

    return Answer(finish, **parts, **chosen.parts())


def ttest_rel(a: Any, b: Any, *, alternative: str = "two-sided", where: Any = None, least: int | None = None) -> Answer:
    """Student's t-test of paired columns: whether the mean of a - b is 0. See `ttest_1samp`."""
    first, second = vector(a, "a"), vector(b, "b")
    if first.shape != second.shape:
        raise UserError(f"a has {first.shape[0]} rows and b has {second.shape[0]}; pairs need as many of both")
    return ttest_1samp(first - second, 0.0, alternative=alternative, where=where, least=least)


def _distance(column: SecretArray, popmean: float, counted: SecretArray | None) -> SecretArray:
    """The sum of the values that count, less `popmean` for each of them."""
    values = as_fixed(column)
    low, high = values.limits
    reach = max(abs(low - popmean), abs(high - popmean), 2.0**-40)
    room = known(values).capacity - 2 - most_rows(values).bit_length() - int(np.ceil(np.log2(reach)))
    values = values.astype(fixed(min(48, room))) - popmean
    if counted is not None:
        values = values * counted.astype(INT)
    total: SecretArray = values.sum()
    return total


def opened_root(
    ratio: Floating, sign: SecretArray, defined: SecretArray, shown: SecretArray | None
) -> tuple[Floating, dict[str, SecretArray]]:
    """The parts of a signed root of a ratio."""
    flag = defined if shown is None else defined & shown
    kept = ratio.shown(flag)
    return kept, {**kept.parts("ratio"), "negative": (sign < 0) & flag, "defined": flag}


def signed_root(ratio: Floating, values: Mapping[str, Any], name: str) -> float:
    if not values["defined"]:
        return float("nan")
    root = float(np.sqrt(ratio.opened(values, name)))
    return -root if values["negative"] else root


def ttest_ind(
    a: Any,
    b: Any = None,
    *,
    by: Any = None,
    equal_var: bool = True,
    alternative: str = "two-sided",
    where: Any = None,
    least: int | None = None,
) -> Answer:
    """The t-test of whether two independent samples have the same mean: Student's, or Welch's without `equal_var`.

    Args:
        a, b: secret columns, of as many rows as there are; or `a` alone, with
        by: a secret column of bools (or codes 0 and 1): the first sample are the rows where it is false (0).
        equal_var: False for Welch's test.
        alternative: about the first sample less the second: two-sided, less or greater.
        where: which rows count; of two columns a pair of masks, of which one may be None.
        least: with `by` or `where`, nothing is shown if a sample has fewer rows.

    Revealed: t; the sizes of the samples, where they are secret; for Welch's test also the ratio of the variances, on
    which its degrees of freedom depend.

    `reveal` gives statistic, pvalue, df: NaN if both samples are constant, there are fewer than three rows, one sample
    is empty (Welch: has one row), or one is too small to be shown. Precision: relative 1e-7
    (1e-5 with ranges declared much too wide).
    """
    checked_alternative(alternative)
    samples = samples_of([a] if b is None else [a, b], by, 2, where, least, 1 if equal_var else 2)
    (s1, s2), (n1, n2) = samples.sums, samples.sizes
    within_both = samples.squares[0] + samples.squares[1]
    difference = s1 * n2 - s2 * n1
    spread = floating(within_both)
    size = floating(abs(difference))
    ratio, parts = opened_root((size * size) / spread, difference, within_both > 0, samples.shown)
    share = None if equal_var else (floating(samples.squares[0]) / spread).shown(parts["defined"])

    def finish(values: Mapping[str, Any]) -> Fitted:
        sizes = samples.opened(values)
        root = signed_root(ratio, values, "ratio")
        if share is None:
            n = sum(sizes)
            return _student(root * np.sqrt((n - 2) / (n * np.prod(sizes))), n - 2, alternative)
        part = float(np.clip(share.opened(values, "share"), 0.0, 1.0))
        return _welch(root, part, sizes, alternative)

    return Answer(finish, **parts, **({} if share is None else share.parts("share")), **samples.parts())


def _welch(root: float, part: float, sizes: Sequence[float], alternative: str) -> Fitted:
    """From the difference of sums over the root of the sum of squares, and the first sample's part of that."""
    n1, n2 = sizes
    if min(sizes) < 2:
        return _student(np.nan, np.nan, alternative)
    v1, v2 = part / (n1 * (n1 - 1)), (1 - part) / (n2 * (n2 - 1))
    df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
    return _student(root / (n1 * n2) / np.sqrt(v1 + v2), df, alternative)


def f_oneway(
    *samples: Any, by: Any = None, groups: Labels = None, where: Any = None, least: int | None = None
) -> Answer:
    """One-way analysis of variance: whether several samples have the same mean, F = (B / (k - 1)) / (W / (n - k)).

    Args:
        samples: two or more secret columns; or one, with
        by: a secret column of codes 0, 1, 2, ... or bools, and
        groups: how many there are, or their names; by default as many as the range of `by` allows.
        where: which rows count; of several columns one mask (or None) for each.
        least: with `by` or `where`, nothing is shown if a sample has fewer rows.

    Revealed: F; the sizes of the samples, where they are secret.

    `reveal` gives statistic, pvalue, df_between, df_within: NaN if all samples are constant, one of them is empty,
    there are no more rows than samples, or a sample is too small to be shown. Precision: relative 1e-6
    (2e-5 with ranges declared much too wide).
    """
    found = samples_of(samples, by, groups, where, least, 1)
    total = within(found.u, found.counted, found.exact)
    inside, between = _divided(total, found.squares)
    flag = inside > 0 if found.shown is None else (inside > 0) & found.shown
    ratio = (floating(between) / floating(inside)).shown(flag)

    def finish(values: Mapping[str, Any]) -> Fitted:
        sizes = found.opened(values)
        k, n = len(sizes), sum(sizes)
        fine = bool(values["defined"]) and min(sizes) > 0 and n > k
        f = float(ratio.opened(values, "ratio")) * (n - k) / (k - 1) if fine else np.nan
        made = stats().f(k - 1, n - k if fine else np.nan)
        return Fitted(statistic=f, pvalue=float(made.sf(f)), df_between=k - 1, df_within=n - k if fine else np.nan)

    return Answer(finish, defined=flag, **ratio.parts("ratio"), **found.parts())


def _divided(total: SecretArray, squares: Sequence[SecretArray]) -> tuple[SecretArray, SecretArray]:
    """The sums of squares within samples and between them, with room for many samples."""
    scale = fixed(total.dtype.scale - max(0, len(squares).bit_length() - 2))
    each = [one.astype(scale) for one in squares]
    inside = sum(each[1:], each[0])
    return inside, (total.astype(scale) - inside).clip(0, None)


def _student(t: float, df: float, alternative: str) -> Fitted:
    if not df > 0 or np.isnan(t):
        t = df = float("nan")
    return Fitted(statistic=float(t), pvalue=p_value(stats().t(df), t, alternative), df=float(df))
