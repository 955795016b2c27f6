"""Shuffles, sorts and group-by, as plans on columns."""

from __future__ import annotations

import numpy as np

import quorate
from quorate.bench.workloads.data import Integral, spread
from quorate.bench.workloads.plans import Column, OnPlan, Values
from quorate.lang.array import SecretArray, Table
from quorate.sharing.dtype import INT, int32

__all__ = ["ROWS"]

GROUP = 100
"""Rows of a group, on average."""

Results = dict[str, SecretArray]


def _shuffle(x: SecretArray) -> Results:
    return {"x": quorate.shuffle(x)}


def _sort(x: SecretArray) -> Results:
    return {"x": quorate.sort(x)}


TABLE = ("key", "a", "b", "c")


def _sort_table(table: Table) -> Results:
    ordered = quorate.sort_table(table, "key")
    return {name: ordered[name] for name in TABLE}


def _sorted_table(values: Values) -> Values:
    order = np.argsort(values["table.key"], kind="stable")
    return {name: values[f"table.{name}"][order] for name in TABLE}


def _group_sum(table: Table) -> Results:
    groups = quorate.group_by(table, "key").sum("amount")
    return {"key": groups["key"], "sum": groups["amount"], "valid": groups["valid"]}


def _group_keys(size: int, start: int, count: int) -> Integral:
    """Keys of 32 bits, so many that a group has `GROUP` rows on average."""
    groups = max(1, size // GROUP)
    return (spread(0, start, count, 62, signed=False) % groups * 0x9E3779B1) & 0x7FFFFFFF


def _grouped(values: Values) -> Values:
    keys, inverse = np.unique(values["table.key"], return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, inverse, values["table.amount"])
    blank = np.zeros(len(inverse) - len(keys), np.int64)
    valid = np.arange(len(inverse)) < len(keys)
    return {"key": np.concatenate([keys, blank]), "sum": np.concatenate([sums, blank]), "valid": valid}


ROWS = (
    OnPlan(
        "shuffle",
        _shuffle,
        (Column("x", bits=61, field_bits=58),),
        lambda values: {"x": values["x"]},
        (10**6,),
        unordered=True,
    ),
    OnPlan(
        "sort",
        _sort,
        (Column("x", bits=61, field_bits=58),),
        lambda values: {"x": np.sort(values["x"])},
        (10**5, 10**6),
    ),
    OnPlan(
        "sort_table",
        _sort_table,
        (Column("table.key", int32, bits=31), *(Column(f"table.{name}", INT, bits=40) for name in TABLE[1:])),
        _sorted_table,
        (1 << 20,),
    ),
    OnPlan(
        "group_sum",
        _group_sum,
        (Column("table.key", int32, bits=31, signed=False, values=_group_keys), Column("table.amount", INT, bits=31)),
        _grouped,
        (10**4, 10**5, 10**6),
    ),
)
