"""Who counts, and to which group a row belongs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import named
from quorate.analytics.dependent import NarrowColumnsWarning
from quorate.analytics.small_groups import checked_least, kept
from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table
from quorate.lang.trace import Trace
from quorate.sharing.dtype import BOOL

__all__ = ["MOST_GROUPS", "Choice", "Groups", "Labels", "choice", "divided", "grouped_by", "mask"]

MOST_GROUPS = 64
"""Most groups of one column of categories."""

Labels = int | Sequence[Any] | None
"""A public number of groups, their names in the order of codes, or None: the categories of the column, or as many
groups as its range allows."""


@dataclass(frozen=True)
class Groups:
    """Rows sorted into a public number of groups.

    Attributes:
        members: bools, shape (rows, groups), at most one true in a row.
        labels: names of the groups.
    """

    members: SecretArray
    labels: list[Any]

    @property
    def counts(self) -> SecretArray:
        """Rows per group, secret."""
        counts: SecretArray = self.members.sum(0)
        return counts


def mask(where: Any, like: SecretArray) -> SecretArray | None:
    """A secret mask for the rows of an array; None stands for all of them. Raises `UserError` for anything else."""
    if where is None:
        return None
    if not isinstance(where, SecretArray) or where.dtype != BOOL or where.shape != like.shape[:1]:
        raise UserError(f"where is a secret column of {like.shape[0]} bools, such as x > 0, not {named(where)}")
    return where


def divided(x: Any, by: Any) -> tuple[Any, Any]:
    """Columns, and the one by which they are grouped; of a table also by its name, which leaves the others.

    Raises:
        UserError: no column of this name.
    """
    if not isinstance(by, str):
        return x, by
    if not isinstance(x, Table | Mapping) or by not in x:
        told = f"the table has {', '.join(x)}" if isinstance(x, Table | Mapping) else "give a secret column"
        raise UserError(f"{by!r} is the name of no column here; {told}")
    return {name: x[name] for name in x if name != by}, x[by]


def grouped_by(by: Any, groups: Labels = None, where: SecretArray | None = None) -> Groups:
    """Groups by a secret column of codes 0, 1, 2, ... or bools.

    Rows with another code, and those that `where` leaves out, belong to no group. Reveals nothing.

    Raises:
        UserError: `by` holds no codes, or the number of groups is not known or above 64.
    """
    if not isinstance(by, SecretArray) or by.ndim != 1 or by.dtype.kind not in ("int", "bool"):
        raise UserError(f"by is a secret column of whole numbers (codes 0, 1, 2, ...) or bools, not {named(by)}")
    labels = _labels(by, groups)
    if by.dtype == BOOL and len(labels) == 2:
        members = q.stack([~by, by], axis=1)
    else:
        codes = by.astype(int) if by.dtype == BOOL else by
        members = codes[:, None] == np.arange(len(labels))
    return Groups(members if where is None else members & where[:, None], labels)


def _labels(by: SecretArray, groups: Labels) -> list[Any]:
    if groups is None and by.categories is not None:
        groups = by.categories
    if groups is None:
        high = by.limits[1]
        if high >= MOST_GROUPS:
            raise UserError(
                f"codes may be as large as {high:g}; give groups=..., their number (at most {MOST_GROUPS}) or names"
            )
        return [bool(k) for k in range(2)] if by.dtype == BOOL else list(range(int(high) + 1))
    labels = list(range(groups)) if isinstance(groups, int) else list(groups)
    if isinstance(groups, bool | str) or not 1 <= len(labels) <= MOST_GROUPS:
        raise UserError(f"groups={groups!r} is no number or list of 1 to {MOST_GROUPS} groups")
    return labels


@dataclass(frozen=True)
class Choice:
    """The rows that count: all of them, whose number is public, or a secret choice.

    Attributes:
        counted: bools, shape (rows,); None for all.
        size: how many count, secret or public.
        shown: whether so many count that results may be opened; None for all rows.
        trace: the computation that they belong to.
        weighed: whether weights have enough digits; None without.
    """

    counted: SecretArray | None
    size: Any
    shown: SecretArray | None
    trace: Trace
    weighed: SecretArray | None = None

    def hide(self, values: SecretArray) -> SecretArray:
        """0 in place of results of too few rows."""
        return values if self.shown is None else kept(values, self.shown.broadcast_to(values.shape))

    def parts(self) -> dict[str, SecretArray]:
        """The number of rows, where it is not known yet; 0 if it is secret and too small to be shown."""
        weighed = {} if self.weighed is None else {"weighed": self.hide(self.weighed)}
        if self.shown is None:
            return weighed if isinstance(self.size, int) else weighed | {"n": self.trace.rows(self.size)}
        return weighed | {"n": self.hide(self.size)}

    def opened(self, values: Mapping[str, Any]) -> float:
        """How many rows count; NaN if those are too few to be shown, or their weights too small."""
        found = float(values["n"] if "n" in values else self.size)  # noqa: SIM401 - a row count is no number
        if not found and self.shown is not None:
            return float("nan")
        if values.get("weighed", True):
            return found
        warnings.warn(
            "sample_weight is 0, or so small against its declared range that few digits are left: the result is NaN; "
            "declare a narrower range for the weights",
            NarrowColumnsWarning,
            stacklevel=6,
        )
        return float("nan")


def choice(like: SecretArray, where: Any, least: int | None, smallest: int = 1) -> Choice:
    """The rows of an array that count; a secret choice of fewer than `least` (or `smallest`) rows is not shown."""
    wanted = max(checked_least(least), smallest)
    counted = mask(where, like)
    if counted is None:
        return Choice(None, like.shape[0], None, like.trace)
    size = counted.sum()
    return Choice(counted, size, size >= wanted, like.trace)
