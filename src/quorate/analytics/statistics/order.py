"""Quantiles and histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import category_names, known, vector
from quorate.analytics.opened import Fitted, needed
from quorate.analytics.small_groups import blanked, checked_least, kept, protect, shown_cells
from quorate.analytics.statistics.answer import Answer
from quorate.analytics.statistics.samples import Groups, Labels, grouped_by, mask
from quorate.analytics.statistics.spread import as_fixed
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["histogram", "quantile", "quantiles_of", "shares_of"]

DENOMINATOR = 100_000
"""Quantiles are fractions with at most this denominator."""


def quantile(
    x: Any,
    q: Any,
    *,
    where: Any = None,
    by: Any = None,
    groups: Labels = None,
    least: int | None = None,
) -> Answer:
    """The value below which a share q of the values lies, between two values a line, as NumPy's and pandas' default.

    Args:
        x: a secret column.
        q: public, from 0 to 1, one or several; a fraction with a denominator of at most 100 000.
        where: which rows count, a secret column of bools.
        by, groups: a secret column of codes 0, 1, 2, ... or bools, and how many there are or their names, for the
            quantiles of every group.
        least: with `where` or `by`, nothing of fewer rows is shown.

    Revealed: the quantiles, which are values of single rows or lie between two of them, those near 0 and 1 of the most
    extreme rows; with `where` or `by` the number of rows, and which groups are shown.

    `reveal` gives a float or an array; with `by` a series or a data frame with a row per group; NaN where too few rows
    count. Exact but for the encoding and one rounding.
    """
    column = vector(x, "x")
    shares = shares_of(q)
    single = np.ndim(q) == 0
    if by is None and where is None:
        found = column.quantile([float(share) for share in shares])
        return Answer(lambda v: _plain(v["quantiles"], single), quantiles=found)
    counted = mask(where, column)
    chosen = Groups(counted[:, None], [0]) if by is None and counted is not None else grouped_by(by, groups, counted)
    if chosen.members.shape[0] != column.shape[0]:
        raise UserError(f"by has {chosen.members.shape[0]} rows and x has {column.shape[0]}")
    counts = chosen.counts
    shown = shown_cells(counts, max(checked_least(least), 1), complementary=by is not None) & (counts > 0)
    parts = {"quantiles": kept(quantiles_of(column, chosen, shares), shown), "n": kept(counts, shown), "shown": shown}

    def finish(values: Mapping[str, Any]) -> Any:
        made = blanked(values["quantiles"], values["shown"])
        if by is None:
            return _plain(made[0], single)
        pd = needed("pandas")
        return pd.Series(made[:, 0], chosen.labels) if single else pd.DataFrame(made, chosen.labels, np.ravel(q))

    return Answer(finish, **parts)


def shares_of(q: Any) -> list[Fraction]:
    """Public shares as fractions. Raises `UserError` for those that are not from 0 to 1, or have too many digits."""
    wanted = np.asarray(q, np.float64).reshape(-1)
    if not wanted.size or not np.all((wanted >= 0) & (wanted <= 1)):
        raise UserError(f"the quantile {q!r}; q lies between 0 and 1")
    found = [Fraction(float(share)).limit_denominator(DENOMINATOR) for share in wanted]
    for share, exact in zip(found, wanted, strict=True):
        if abs(float(share) - exact) > 1e-9:
            raise UserError(
                f"the quantile {float(exact)} has too many digits; give 5 decimals at most, or a simple fraction"
            )
    return found


def _plain(values: Any, single: bool) -> Any:
    return float(values[0]) if single else np.asarray(values, np.float64)


def quantiles_of(column: SecretArray, groups: Groups, shares: Sequence[Fraction]) -> SecretArray:
    """Quantiles of every group, shape (groups, shares); of an empty group anything. One sort, and two look-ups each."""
    values = as_fixed(column)
    low, high = values.limits
    digits = max(share.denominator for share in shares).bit_length()
    room = known(column).capacity - 3 - digits - int(max(-low, high) * 2.0**values.dtype.scale).bit_length()
    ordered = _ordered(values.astype(fixed(values.dtype.scale + min(0, room))), groups)
    counts = groups.counts
    starts = counts.cumsum() - counts
    finer = fixed(min(48, ordered.dtype.scale + max(0, min(room, 8))))
    made = []
    for share in shares:
        over = (counts - 1).clip(0, None) * share.numerator
        place, rest = starts + over // share.denominator, over % share.denominator
        lower, upper = (ordered[q.clip(at, 0, ordered.shape[0] - 1)] for at in (place, place + 1))
        mixed = lower * (share.denominator - rest) + upper * rest
        made.append(mixed.astype(finer) / share.denominator)
    return q.stack(made, axis=1)


def _ordered(column: SecretArray, groups: Groups) -> SecretArray:
    """The values group by group, each in ascending order; those of no group last."""
    size = len(groups.labels)
    codes = size - groups.members.astype(INT) @ (size - np.arange(size))
    ordered = q.sort_table({"group": codes.clip(0, size), "x": column}, by=["group", "x"])
    found: SecretArray = ordered["x"]
    return found


def histogram(
    x: Any, bins: Any = None, range: tuple[float, float] | None = None, *, where: Any = None, least: int | None = None
) -> Answer:
    """How many values lie in each bin, as `numpy.histogram`.

    Args:
        x: a secret column.
        bins: their number, or public edges; the last bin holds its upper edge too. By default 10, or one for each
            category of a column of categories.
        range: from where to where, public; by default the declared range of the column.
        where: which rows count, a secret column of bools.
        least: bins of fewer rows are hidden; if the hidden ones together hold fewer, the smallest of the others too.

    Revealed: the counts that are shown, and which those are.

    `reveal` gives counts (floats, NaN where hidden) and bin_edges, or categories. Exact.
    """
    column = vector(x, "x", codes=True)
    names = category_names(column) if bins is None and range is None else None
    bins = 10 if bins is None else bins
    if names is not None:
        bins = np.arange(len(names) + 1) - 0.5
    counted = mask(where, column)
    limits = column.limits if range is None and np.ndim(bins) == 0 else range
    if limits is not None and limits[0] == limits[1]:
        limits = limits[0] - 0.5, limits[1] + 0.5
    weights = None if counted is None else counted.astype(INT)
    counts, edges = q.histogram(column, bins, limits, weights=weights)
    found, shown = protect(counts, counts, least)

    def finish(values: Mapping[str, Any]) -> Fitted:
        axes = {"counts": ("bin",) if names is None else ("category",)}
        bars = {"categories": names} if names is not None else {"bin_edges": np.asarray(edges, np.float64)}
        counts = blanked(values["counts"], values["shown"])
        return Fitted({"counts": counts, **bars}, axes=axes, hidden=not np.all(values["shown"]))

    return Answer(finish, counts=found, shown=shown)
