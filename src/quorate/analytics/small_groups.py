"""Cells of few people are not opened: the rule is applied to shares, so that nobody ever sees what it hides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT

__all__ = ["LEAST", "Protected", "blanked", "checked_least", "kept", "protect", "shown_cells"]

LEAST = 5
"""Least size of a cell that is shown, unless a call says otherwise."""


class Protected(NamedTuple):
    """What may be opened of a table.

    Attributes:
        values: 0 where a cell is hidden.
        shown: which cells are shown, bools, one per cell.
    """

    values: SecretArray
    shown: SecretArray


def checked_least(least: int | None) -> int:
    """The least size of a cell; None stands for `LEAST`. Raises `UserError` for what is no whole number from 0."""
    if least is None:
        return LEAST
    if type(least) is not int or not 0 <= least < 2**31:
        raise UserError(f"least={least!r} is no least size of a group; give a whole number, 0 to hide nothing")
    return least


def shown_cells(
    counts: SecretArray, least: int | None = None, *, complementary: bool = True, where: SecretArray | None = None
) -> SecretArray:
    """Which cells of a table may be shown: bools of the shape of `counts`.

    A cell of fewer than `least` rows is hidden, an empty one too. If the hidden cells together hold fewer than `least`
    rows, the smallest of the others (the first of equal ones) is hidden as well, since a known total less all that is
    shown would tell the rest; so one cell is never hidden alone. Reveals nothing; about 8 rounds, with `complementary`
    30 to 60, on as many numbers as there are cells.

    Args:
        counts: rows per cell, int, any shape.
        least: None stands for `LEAST`; with 0 or 1 all cells are shown.
        complementary: False where no total can be known.
        where: cells that there are, bools; the others are not shown and do not make anything else hidden.
    """
    size = checked_least(least)
    exists = counts >= 0 if where is None else where
    if size <= 1:
        return exists
    small = counts < size
    hidden = small if where is None else small & where
    if not complementary:
        return exists & ~hidden
    short = hidden.any() & ((counts * hidden.astype(INT)).sum() < size)
    beyond = int(counts.limits[1]) + 1
    open_ = exists & ~hidden
    flat = q.where(open_, counts, beyond).reshape(-1)
    smallest = q.one_hot(flat.argmin(), flat.shape[0]).reshape(*counts.shape)
    kept: SecretArray = open_ & ~(smallest & short)
    return kept


def protect(
    values: SecretArray,
    counts: SecretArray,
    least: int | None = None,
    *,
    complementary: bool = True,
    where: SecretArray | None = None,
) -> Protected:
    """Values of a table with 0 in place of those that stand for too few rows; see `shown_cells` for the rule.

    Open the values together with `shown`; `blanked` then makes NaN of what is hidden.

    Args:
        values: numbers or bools; the leading axes are those of `counts`, further ones hold several values per cell.
        counts: rows per cell, int.
        least, complementary, where: as for `shown_cells`.
    """
    if values.shape[: counts.ndim] != counts.shape:
        raise UserError(f"values of shape {values.shape} do not belong to cells of shape {counts.shape}")
    shown = shown_cells(counts, least, complementary=complementary, where=where)
    return Protected(kept(values, shown), shown)


def kept(values: SecretArray, shown: SecretArray) -> SecretArray:
    """Values of the cells that are shown, 0 for the others."""
    flags = shown.reshape(*shown.shape, *[1] * (values.ndim - shown.ndim))
    if values.dtype == BOOL:
        return values & flags
    return values * flags.astype(INT)


def blanked(values: npt.ArrayLike, shown: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Opened values as floats, NaN where the cell is hidden."""
    opened, flags = np.asarray(values, np.float64), np.asarray(shown, bool)
    return np.where(flags.reshape(*flags.shape, *[1] * (opened.ndim - flags.ndim)), opened, np.nan)
