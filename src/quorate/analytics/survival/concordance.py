"""How often, of two people, the one with the higher hazard has the event first."""

from __future__ import annotations

import quorate.lang.functions as q
from quorate.analytics.columns import most_rows
from quorate.analytics.scaling import lifted, times
from quorate.analytics.survival.grid import Cases, Times
from quorate.analytics.survival.risk_sets import RiskSets, risk_sets
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["concordance"]

TIE_SCALE = 16
"""Hazards' logarithms tie if they agree down to so many fraction bits."""

SCALE = 22


def concordance(log_hazards: SecretArray, given: Cases, grid: Times) -> SecretArray:
    """Harrell's index: the share of comparable pairs in which the higher hazard goes first; ties of hazards count 1/2.

    Two people are comparable if one has an event in a cell and the other stays longer, or leaves in the same cell
    without event. 0 if there is no such pair.

    Rows are sorted by hazard, once up and once down; how many partners stand before an event is then a running sum.
    Those that tie stand before it in one of the orders only, since sorts are stable. Opens what every
    sort opens. About 130 rounds.
    """
    upward, downward = (_ordered(log_hazards, given, grid, descending) for descending in (False, True))
    lower = _lower(upward, descending=False) + _lower(downward, descending=True)
    most = 1 << 2 * most_rows(log_hazards).bit_length()
    pairs = (upward.deaths * (upward.people - upward.deaths)).sum().clip(0, most)
    row = q.stack([pairs * 2, lower.clip(0, 2 * most)])[None].astype_raw(fixed(0))
    found = lifted(row, most.bit_length(), 0, 1.0)
    return times(found.values[0, 1], found.inverse()[0], SCALE).clip(0.0, 1.0)


def _ordered(log_hazards: SecretArray, given: Cases, grid: Times, descending: bool) -> RiskSets:
    """Risk sets of rows in order of hazard."""
    table = {"hazard": log_hazards.astype(fixed(TIE_SCALE), rounding="floor"), "time": given.durations}
    table["event"] = given.events
    if given.where is not None:
        table["where"] = given.where
    rows = q.sort_table(table, by="hazard", descending=descending)
    where = None if given.where is None else rows["where"]
    return risk_sets(Cases(rows["time"], rows["event"], where), grid, ranked=False)


def _lower(sets: RiskSets, descending: bool) -> SecretArray:
    """Pairs of an event and a partner of a lower hazard; of those that tie, one half of the pairs or the other."""
    partners = sets.at_risk - sets.ended
    running = partners.cumsum(1)
    beside = partners.sum(1)[:, None] - running if descending else running
    return q.vecdot(sets.ended, beside, axis=1).sum()
