"""Who is at risk at each time of a public grid, as matrices of secret zeros and ones."""

from __future__ import annotations

from dataclasses import dataclass

import quorate.lang.functions as q
from quorate.analytics.columns import most_rows
from quorate.analytics.scaling import Lifted, lifted
from quorate.analytics.survival.grid import Cases, Times, limits_of
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["RiskSets", "Tied", "risk_sets"]

RANK_SCALE = 24


@dataclass(frozen=True)
class Tied:
    """Events of the same cell.

    Attributes:
        rank: of the l-th of d events in a cell (l - 1) / d, else 0; fixed, shape (rows,).
        events: the numbers d, as powers of two and what is left of them.
        inverse: 1 / what is left of d, shape (times,).
    """

    rank: SecretArray
    events: Lifted
    inverse: SecretArray


@dataclass(frozen=True)
class RiskSets:
    """Facts that stay the same while coefficients change.

    Attributes:
        at_risk: 1 where the duration reaches into the cell, int, shape (times, rows).
        ended: 1 where it ends in the cell with the event, int, shape (times, rows).
        people, deaths: sums of these over rows, int, shape (times,).
        event: 1 for who has an event on the grid, int, shape (rows,).
        tied: ranks of events within cells; None unless asked for.
    """

    at_risk: SecretArray
    ended: SecretArray
    people: SecretArray
    deaths: SecretArray
    event: SecretArray
    tied: Tied | None


def risk_sets(given: Cases, times: Times, ranked: bool) -> RiskSets:
    """Compare every duration with every time once. About 15 rounds, with ranks 45; 30 bytes per row and time."""
    raw = given.durations.astype_raw(INT) + 1
    first = q.ones_like(raw) == 1 if given.where is None else given.where
    if given.where is not None:
        raw = raw * given.where.astype(INT)
    below = raw.record("thresholds", edges=[limit + 1 for limit in limits_of(given.durations, times)])
    before = q.concatenate([~first[None], below[:-1]])
    ended = ((below ^ before) & (given.events == 1)).astype(INT)
    at_risk = (~before).astype(INT)
    deaths = ended.sum(1)
    tied = _ranked(ended, deaths) if ranked else None
    return RiskSets(at_risk, ended, at_risk.sum(1), deaths, ended.sum(0), tied)


def _ranked(ended: SecretArray, deaths: SecretArray) -> Tied:
    place = q.vecdot(ended, ended.cumsum(1), axis=0) - ended.sum(0)
    rank = place.clip(0, None).record("div", deaths @ ended, scale=RANK_SCALE).clip(0.0, 1.0)
    events = lifted(deaths[:, None].astype_raw(fixed(0)), most_rows(rank).bit_length(), 0, 1.0)
    return Tied(rank, events, events.inverse())
