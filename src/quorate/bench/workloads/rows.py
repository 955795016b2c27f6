"""Shuffles, sorts and group-by, as plans on columns."""

from __future__ import annotations

import numpy as np

from quorate.bench.workloads.data import Integral, spread
from quorate.bench.workloads.plans import Column, OnPlan, Values
from quorate.lang.array import SecretArray, Table
from quorate.sharing.dtype import INT, int32

__all__ = ["ROWS"]

GROUP = 100
"""Rows of a group, on average."""

Results = dict[str, SecretArray]


def _shuffle(x: SecretArray) -> Results:
    (shuffled,) = x.trace.unpack(x.trace.record("shuffle", [x]))
    return {"x": shuffled}


def _sort(x: SecretArray) -> Results:
    (ordered,) = x.trace.unpack(x.trace.record("sort", [x], keys=1, descending=[False], order=False))
    return {"x": ordered}


TABLE = ("key", "a", "b", "c")


def _sort_table(table: Table) -> Results:
    columns, trace = [table[name] for name in TABLE], table["key"].trace
    ordered = trace.unpack(trace.record("sort", columns, keys=1, descending=[False], order=False))
    return dict(zip(TABLE, ordered, strict=True))


def _sorted_table(values: Values) -> Values:
    order = np.argsort(values["table.key"], kind="stable")
    return {name: values[f"table.{name}"][order] for name in TABLE}


def _group_sum(table: Table) -> Results:
    key, value = table["key"], table["value"]
    grouped = key.trace.record("group", [key, value], keys=1, aggregates=[["sum", 1]], size=None)
    return dict(zip(("key", "sum", "valid"), key.trace.unpack(grouped), strict=True))


def _group_keys(size: int, start: int, count: int) -> Integral:
    """Keys of 32 bits, so many that a group has `GROUP` rows on average."""
    groups = max(1, size // GROUP)
    return (spread(0, start, count, 62, signed=False) % groups * 0x9E3779B1) & 0x7FFFFFFF


def _grouped(values: Values) -> Values:
    keys, inverse = np.unique(values["table.key"], return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, inverse, values["table.value"])
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
        (Column("table.key", int32, bits=31, signed=False, values=_group_keys), Column("table.value", INT, bits=31)),
        _grouped,
        (10**4, 10**5, 10**6),
    ),
)
