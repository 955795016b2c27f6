"""Exposures of several institutions to sectors or countries, and how concentrated they are on counterparties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.base import Estimator, Fitted
from quorate.analytics.columns import known, most_rows, vector
from quorate.analytics.linear_algebra import gram, gram_bits
from quorate.analytics.small_groups import blanked, checked_least, kept, shown_cells
from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table
from quorate.sharing.dtype import INT, fixed

__all__ = ["Concentration", "Exposure"]

INSTITUTIONS = 3
"""Least number of institutions behind a cell, unless a call says otherwise."""

MOST_GROUPS = 256
SHIFTS = 24
"""A total may be smaller than the largest possible one by 2**SHIFTS."""


class Exposure(Estimator):
    """Exposure per sector, country or other public category, over several institutions.

    Args:
        groups: the categories by name, or how many there are; codes 0, 1, ... stand for them.
        institutions: fewest institutions with an exposure in a cell that is shown.
        least: fewest exposures in a cell that is shown; None stands for `small_groups.LEAST`.

    Results, of shape (groups,), 0 where a cell is not shown:
        exposure_: sum of the amounts.
        rows_, institutions_: number of exposures, and of institutions that have any.
        shown_: which cells are shown. If a known total would tell a hidden cell, the smallest other cell is hidden too.
        total_: of all cells, a number.

    Nothing is revealed but the number of rows of each institution, until results are opened.
    """

    def __init__(self, groups: int | Sequence[str], institutions: int = INSTITUTIONS, least: int | None = None) -> None:
        self.groups = groups
        self.institutions = institutions
        self.least = least

    def fit(self, tables: Sequence[Any], by: str = "sector", amount: str = "amount", where: str | None = None) -> Self:
        """Fit to one secret table per institution.

        Args:
            tables: each with a column of codes and one of amounts, which are not negative.
            by, amount: their names.
            where: name of a column of bools: rows that count.

        Raises:
            UserError: no tables, a column that is missing, amounts that may be negative, codes out of range.
        """
        size, least = _groups(self.groups), checked_least(self.least)
        found = [_cells(table, by, amount, where, size) for table in _tables(tables, self.institutions)]
        rows = q.stack([count for _, count in found])
        behind = (rows > 0).astype(INT).sum(0)
        total, count = q.stack([amounts for amounts, _ in found]).sum(0), rows.sum(0)
        enough = behind >= self.institutions
        shown = shown_cells(count * enough.astype(INT), max(least, 1)) & enough
        parts = {"exposure_": total, "rows_": count, "institutions_": behind}
        self.groups_ = [str(k) for k in range(size)] if isinstance(self.groups, int) else [str(g) for g in self.groups]
        return self._learn(
            **{name: kept(part, shown) for name, part in parts.items()}, shown_=shown, total_=total.sum()
        )

    def finished(self, values: Mapping[str, Any]) -> Fitted:
        """The opened cells, NaN where they are hidden, and their share of the total."""
        shown = values["shown_"]
        opened = {name: blanked(values[name], shown) for name in ("exposure_", "rows_", "institutions_")}
        total = float(values["total_"])
        share = opened["exposure_"] / total if total else np.full(len(shown), np.nan)
        cells = {**opened, "share_": share}
        axes = dict.fromkeys(cells, ("group",))
        return Fitted({"groups_": self.groups_, **cells, "total_": total}, axes=axes, hidden=not np.all(shown))


class Concentration(Estimator):
    """How far exposures are concentrated on few counterparties, whose keys stay secret.

    Args:
        threshold: amounts from here on are large exposures; None counts none.
        top: how many of the largest counterparties `top_share_` takes together.
        least: fewest counterparties for which anything is shown, and fewest large exposures whose number is shown; None
            stands for `small_groups.LEAST`.

    Results, numbers:
        herfindahl_: sum of the squared shares of all counterparties in the total, 1 / n to 1 (Hirschman, 1964).
        top_share_: share of the `top` largest together.
        counterparties_: how many there are.
        large_: how many of them have `threshold` or more.
        shown_, large_shown_: whether there are enough to show them; 0 stands for what is not shown.

    Exposures of several institutions to the same counterparty are added up first. Nothing is revealed but the number of
    rows, until results are opened. A counterparty may be of one row: nodes refuse to open `top_share_` where `top` is
    less than their `least_rows`, since it tells of so few.
    """

    def __init__(self, threshold: float | None = None, top: int = 5, least: int | None = None) -> None:
        self.threshold = threshold
        self.top = top
        self.least = least

    def fit(
        self, tables: Sequence[Any], by: str = "counterparty", amount: str = "amount", where: str | None = None
    ) -> Self:
        """Fit to one secret table per institution, with a column of keys and one of amounts, which are not negative.

        Raises:
            UserError: no tables, a column that is missing, or amounts that may be negative.
        """
        if type(self.top) is not int or self.top < 1:
            raise UserError(f"top={self.top!r}; give a whole number of counterparties")
        least = checked_least(self.least)
        given = _tables(tables, 1)
        keys = q.concatenate([vector(table[by], by, codes=True) for table in given])
        amounts = q.concatenate([_amounts(table, amount, where) for table in given])
        table = {"key": keys, "amount": amounts}
        sums = q.group_by(table, by="key", size=_most_keys(keys)).agg(total=("amount", "sum"))
        total = kept(sums["total"], sums["valid"])
        shares, whole = _shares(total, amounts.sum())
        count = (total > 0).astype(INT).sum()
        large = (total >= self.threshold).astype(INT).sum() if self.threshold is not None else count * 0
        shown, large_shown = count >= least, (large >= least) & (count >= least)
        parts = {
            "herfindahl_": _index(shares, whole),
            "top_share_": _top(shares, whole, self.top),
            "counterparties_": count,
        }
        found = {name: kept(part, shown) for name, part in parts.items()}
        return self._learn(**found, large_=kept(large, large_shown), shown_=shown, large_shown_=large_shown)

    def finished(self, values: Mapping[str, Any]) -> Fitted:
        """The opened numbers, NaN where they are not shown."""
        names = ("herfindahl_", "top_share_", "counterparties_")
        told = {name: float(values[name]) if values["shown_"] else math.nan for name in names}
        large = float(values["large_"]) if values["large_shown_"] else math.nan
        return Fitted({**told, "large_": large if self.threshold is not None else None})


def _most_keys(keys: SecretArray) -> int | None:
    """No more counterparties than rows, nor than there are keys; None where the number of rows is not known yet."""
    rows, (low, high) = keys.shape[0], keys.limits
    return min(rows, int(high) - int(low) + 1) if isinstance(rows, int) else None


def _groups(groups: int | Sequence[str]) -> int:
    size = groups if isinstance(groups, int) else len(groups)
    if not 1 <= size <= MOST_GROUPS:
        raise UserError(f"{size} groups; give 1 to {MOST_GROUPS} categories")
    return size


def _tables(tables: Any, least: int) -> list[Any]:
    if isinstance(tables, Table | Mapping | SecretArray):
        raise UserError("give a list with one table per institution")
    found = list(tables)
    if len(found) < max(1, least):
        raise UserError(f"{len(found)} institutions; {max(1, least)} at least are needed for anything to be shown")
    return found


def _amounts(table: Any, amount: str, where: str | None) -> SecretArray:
    found = vector(table[amount], amount)
    if found.limits[0] < 0:
        raise UserError(
            f"{amount} may be as low as {found.limits[0]:g}; exposures are not negative: declare a range from 0"
        )
    return found if where is None else kept(found, table[where])


def _cells(table: Any, by: str, amount: str, where: str | None, size: int) -> tuple[SecretArray, SecretArray]:
    """Sums of amounts and numbers of exposures per category."""
    codes, amounts = vector(table[by], by, codes=True), _amounts(table, amount, where)
    low, high = codes.limits
    if low < 0 or high >= size:
        raise UserError(f"codes of {by} may lie between {low:g} and {high:g}; there are {size} categories, from 0")
    member = q.one_hot(codes, size)
    if where is not None:
        member = member & table[where][:, None]
    flags = (member & (amounts > 0)[:, None]).astype(INT)
    scale = amounts.dtype.scale
    sums = amounts.astype_raw(INT) @ member.astype(INT)
    return sums.astype_raw(fixed(scale)) if amounts.dtype.kind == "fixed" else sums, flags.sum(0)


def _shares(parts: SecretArray, total: SecretArray) -> tuple[SecretArray, SecretArray]:
    """Parts and their total, in units of a secret power of two that is at most twice the total."""
    bits = max(1, int(total.astype_raw(INT).limits[1]).bit_length())
    shifts = min(SHIFTS, bits - 1)
    cut = max(0, bits + shifts - (known(total).capacity - 2))
    raw, whole = (_without(one.astype_raw(INT), cut) for one in (parts, total))
    bits -= cut
    below = [(whole < 1 << (bits - k)).astype(INT) for k in range(1, shifts + 1)]
    root = sum((flag << k for k, flag in enumerate(below)), 1) if below else 1
    scale = gram_bits(most_rows(raw), known(raw).capacity, 0)
    return _unit(raw, root, bits, scale), _unit(whole, root, bits, scale)


def _without(raw: SecretArray, cut: int) -> SecretArray:
    """Whole numbers, not negative, without their last bits."""
    return raw.astype_raw(fixed(cut)).astype(fixed(0)).astype_raw(INT).clip(0, None) if cut else raw


def _unit(raw: SecretArray, root: Any, bits: int, scale: int) -> SecretArray:
    """raw * root / 2**bits, which is at most 1."""
    scaled: SecretArray = (raw * root).clip(0, 1 << bits)
    if bits <= scale:
        return (scaled << (scale - bits)).astype_raw(fixed(scale))
    finer = min(48, bits)
    return _without(scaled, bits - finer).astype_raw(fixed(finer)).astype(fixed(scale)).clip(0.0, 1.0)


def _index(shares: SecretArray, whole: SecretArray) -> SecretArray:
    """sum(shares**2) / whole**2; 0 if all is 0."""
    squares = gram(shares[:, None], shares[:, None])[0, 0].astype(fixed(28)).clip(0.0, 1.0)
    index: SecretArray = squares.record("div", (whole * whole).astype(fixed(28)).clip(0.125, 1.0), scale=24).clip(
        0.0, 1.0
    )
    return index


def _top(shares: SecretArray, whole: SecretArray, top: int) -> SecretArray:
    rows = shares.shape[0]
    first = q.topk(shares, top)[0] if not isinstance(rows, int) or rows > top else shares
    share: SecretArray = first.sum().clip(0.0, 1.0).record("div", whole.clip(0.25, 1.0), scale=24).clip(0.0, 1.0)
    return share
