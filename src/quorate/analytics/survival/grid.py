"""Public grids of times, and how many people are at risk and have an event in each of their cells.

Cell j of a grid t_1 < t_2 < ... holds the durations in (t_(j-1), t_j], and the first one all up to t_1: a duration
counts as if it were rounded up to the grid. What lies beyond the last time was at risk throughout, and has no event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.analytics.columns import vector
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import BOOL, INT

__all__ = ["MOST_TIMES", "Cases", "Counts", "cases", "counted", "limits_of", "plain", "time_grid"]

MOST_TIMES = 1024
"""The largest number of times of a grid."""

MOST_GROUPS = 64

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cases:
    """Columns of one value per person, checked.

    Attributes:
        durations: numbers from 0.
        events: 1 where the duration ended with the event, 0 where it was only observed so long; int.
        where: who counts, bools; None for all.
    """

    durations: SecretArray
    events: SecretArray
    where: SecretArray | None


def cases(durations: Any, events: Any, where: Any = None) -> Cases:
    """Check columns against their declared ranges.

    Raises:
        UserError: no columns, not equally long, durations that may be negative, or events other than 0 and 1.
    """
    time, event = vector(durations, "durations"), vector(events, "events")
    _require_rows(time, event, "events")
    if time.limits[0] < 0:
        raise UserError(
            f"durations may be as low as {time.limits[0]:g}; a duration is 0 or more: declare the range of the column"
        )
    low, high = event.limits
    if low < 0 or high > 1 or event.dtype.kind != "int":
        raise UserError(
            "events are 1 or 0 (or bools): whether the duration ended with the event; compare the column first"
        )
    if where is not None and (not isinstance(where, SecretArray) or where.dtype != BOOL):
        raise UserError("where is one secret bool per row, such as age > 40")
    if where is not None:
        _require_rows(time, where, "where")
    return Cases(time, event.astype(INT), where)


def _require_rows(time: SecretArray, other: SecretArray, what: str) -> None:
    if time.shape != other.shape:
        raise UserError(f"durations of shape {time.shape} and {what} of shape {other.shape}; give one value per row")


def plain(grid: Any) -> list[float] | None:
    """The times of a grid as plain data; None for None. Raises `UserError` if they are no numbers."""
    if grid is None:
        return None
    try:
        return [float(time) for time in grid]
    except (TypeError, ValueError):
        raise UserError(f"grid {grid!r}; give public times, such as grid=range(0, 366, 30)") from None


def time_grid(grid: list[float] | None, durations: SecretArray) -> Times:
    """The times of a grid: those given, or by default every whole number in the declared range of the durations.

    Raises:
        UserError: no finite times in ascending order, more than `MOST_TIMES`, or no grid for durations that are no
            whole numbers.
    """
    times = _whole_times(durations) if grid is None else np.asarray(grid, np.float64).reshape(-1)
    if not 0 < times.size <= MOST_TIMES:
        raise UserError(f"a grid of {times.size} times; give 1 to {MOST_TIMES} of them, such as grid=range(0, 366, 30)")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any() or times[0] < 0:
        raise UserError("a grid is of finite numbers from 0 in strictly ascending order")
    return times


def _whole_times(durations: SecretArray) -> Times:
    if durations.dtype.kind != "int":
        raise UserError(
            "durations are no whole numbers; give the times of the curve, such as grid=np.linspace(0, 5, 61)"
        )
    low, high = durations.limits
    return np.arange(int(low), int(min(high, low + MOST_TIMES)) + 1, dtype=np.float64)


def limits_of(durations: SecretArray, times: Times) -> list[int]:
    """For each time t the least raw duration above it, so that raw < limit means: in a cell up to t."""
    scale = durations.dtype.scale
    return [int(raw) + 1 for raw in np.rint(np.ldexp(times, scale))]


@dataclass(frozen=True)
class Counts:
    """People per group and cell, int, shape (groups, times).

    Attributes:
        at_risk: those whose duration does not end in an earlier cell.
        events: those whose duration ends in the cell, with the event.
    """

    at_risk: SecretArray
    events: SecretArray


def counted(given: Cases, times: Times, by: SecretArray | None = None) -> Counts:
    """Who is at risk and who has an event, per group and cell: one histogram, of one number per person.

    That number puts group, event and time into order: cells of the first group without event, with event, and so on.
    Reveals nothing; about 25 rounds, and two ands of bits per row, group and cell.

    Args:
        by: group of each row, int from 0; None for one group.

    Raises:
        UserError: groups that may be negative, or more than 64.
    """
    raw = given.durations.astype_raw(INT)
    low, high = raw.limits
    span = int(high) - int(low) + 1
    groups = 1 if by is None else _groups(by)
    place = given.events if by is None else given.events + by * 2
    key = raw + place * span + (1 - int(low))
    if given.where is not None:
        key = key * given.where.astype(INT)
    ends = [min(max(limit - int(low), 0), span) for limit in limits_of(given.durations, times)]
    edges = [1 + block * span + end for block in range(2 * groups) for end in (0, *ends)]
    found = key.record("histogram", edges=[*edges, 1 + 2 * groups * span])
    cells = found.reshape(groups, 2, len(times) + 1)
    leaving = cells.sum(1)
    at_risk = leaving[:, ::-1].cumsum(1)[:, ::-1]
    return Counts(at_risk[:, :-1], cells[:, 1, :-1])


def _groups(by: SecretArray) -> int:
    low, high = by.limits
    if by.dtype.kind != "int" or low < 0 or high >= MOST_GROUPS:
        raise UserError(
            f"groups are whole numbers from 0 to at most {MOST_GROUPS - 1}; declare the range of the column"
        )
    return int(high) + 1
