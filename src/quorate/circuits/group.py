"""Grouping rows by secret keys: one row per group, in ascending order of keys; how many groups there are stays secret.

The rows are sorted by key, so that groups are blocks of neighbours. What is asked about a group is then found at its
last row, or next to that of the group before, or is a difference of running sums at the last rows of two neighbouring
groups; running sums are local. The last rows are brought to the front (`compact.chosen_first`). For the smallest or
largest value of a group the value takes part in the sort as the least significant key.

Opens what its sorts and the move to the front open: outcomes or permutations that are uniformly random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar, cast

import numpy as np

from quorate.circuits.compact import chosen_first, kept, spread_rows
from quorate.circuits.divide import divide
from quorate.circuits.lexical import Key, fields_of, same
from quorate.circuits.logic import not_
from quorate.circuits.radix import as_numbers, prefix_sums
from quorate.circuits.sort import sorted_fields
from quorate.circuits.strips import strips, taken
from quorate.circuits.tiles import TILE, tiled
from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share, concatenate

__all__ = ["WHAT", "Aggregate", "Groups", "group", "mean_division"]

AnyShare = TypeVar("AnyShare", bound=Share)
What = Literal["sum", "count", "mean", "min", "max", "first"]
WHAT: tuple[What, ...] = ("sum", "count", "mean", "min", "max", "first")


class Aggregate(NamedTuple):
    """What to find out about every group.

    Attributes:
        what: sum, number, mean, smallest, largest or first of its rows; first in the order in which rows were given.
        column: of which column; -1 for `count`.
        scale: of the mean, by how many binary digits its raw values are finer than those of the column.
    """

    what: What
    column: int = -1
    scale: int = 0


@dataclass(frozen=True)
class Groups:
    """Groups in ascending order of keys, then rows of zeros.

    Attributes:
        keys: the keys, (k,) each.
        results: one for each aggregate, (k, ...).
        valid: which rows hold a group, (k,), width 1.
        missed: number of groups that did not find room, ().
    """

    keys: list[Share]
    results: list[Share]
    valid: Boolean
    missed: Arithmetic


def group(
    p: Protocol,
    at: Scope,
    keys: Sequence[Key],
    columns: Sequence[Key],
    aggregates: Sequence[Aggregate],
    size: int | None = None,
) -> Step[Groups]:
    """Group n rows by the keys.

    Args:
        keys: 1-D; their order (`descending` included) is that of the groups.
        columns: (n, ...) with their ranges; what aggregates are made of. 1-D for `min` and `max`, numbers for `sum` and
            `mean`, whose sums must fit the protocol.
        size: number of rows of the result; by default n.

    Results are exact, but for means: within `divide.worst_error` units of their last place.

    Rounds and bytes: `lexical.fields_of` of the keys; a sort with the columns, and beside it one for every column with
    a smallest or largest value but one; `lexical.same`; a conversion of bits; `compact.chosen_first`; products. Means
    add a division and a product.
    """
    shares = [_share(p, key) for key in keys]
    count = shares[0].shape[0]
    parts = _parts(len(keys), aggregates)
    if not count:
        return _finished(p, _nothing(p, shares, columns, parts), aggregates, {}, size or 0)
    rows = count if size is None else size
    order = yield from _in_order(p, at, keys, shares, columns, aggregates)
    ends = yield from _ends(p, at.child("ends"), order.words, count)
    numbers = yield from as_numbers(p, at.child("numbers"), ends)
    carried = [_carried(p, order, part) for part in parts]
    front = yield from chosen_first(p, at.child("front"), numbers, [ends, numbers, *carried])
    found: list[Any] = [taken(column, slice(rows)) for column in front]
    valid, chosen, *rest = found
    rest = [_of_group(p, order, part, column) for part, column in zip(parts, rest, strict=True)]
    steps = [kept(p, at.child(f"result {k}"), column, valid, chosen) for k, column in enumerate(rest)]
    results = yield Fork(steps, len(steps))
    missed = p.sub(p.sum(numbers, 0), p.sum(chosen, 0))
    table = _Table(dict(zip(parts, results, strict=True)), valid, chosen, missed)
    means = yield from _means(p, at.child("means"), table, columns, aggregates)
    return _finished(p, table, aggregates, means, rows)


class _InOrder(NamedTuple):
    """The rows sorted by the keys."""

    words: list[Boolean]
    keys: list[Share]
    columns: dict[int, Share]
    extremes: dict[int, Share]
    """Columns sorted by the keys, then by themselves."""


Part = tuple[str, int]
"""What a row of the result is made of: ("key", number of the key), or ("sum", column) and so on."""


class _Table(NamedTuple):
    """One row per group, zeros where there is none."""

    found: dict[Part, Share]
    valid: Boolean
    chosen: Arithmetic
    """`valid` as numbers."""
    missed: Arithmetic


def _share(p: Protocol, key: Key) -> Share:
    return p.public(key.values) if isinstance(key.values, np.ndarray) else key.values


def _parts(keys: int, aggregates: Sequence[Aggregate]) -> list[Part]:
    parts: list[Part] = [("key", k) for k in range(keys)]
    for aggregate in aggregates:
        if aggregate.what == "mean":
            parts += [("sum", aggregate.column), ("count", -1)]
        else:
            parts.append((aggregate.what, aggregate.column))
    return list(dict.fromkeys(parts))


# -- sorting -----------------------------------------------------------------------------------------------------------


def _in_order(
    p: Protocol,
    at: Scope,
    keys: Sequence[Key],
    shares: Sequence[Share],
    columns: Sequence[Key],
    aggregates: Sequence[Aggregate],
) -> Step[_InOrder]:
    """One sort brings all that needs no order of its own within groups, and one column that does, if rows of a group
    need not stay in the order in which they were given."""
    used = {what: {a.column for a in aggregates if a.what == what} for what in WHAT}
    extremes = sorted(used["min"] | used["max"])
    along = [] if used["first"] else extremes[:1]
    steps = [fields_of(p, at.child("keys"), keys)]
    steps += [fields_of(p, at.child(f"values {c}"), [columns[c]]) for c in extremes]
    fields, *minor = yield Fork(steps, len(steps))
    together = sorted(used["sum"] | used["mean"] | used["first"] | set(along))
    last = minor[0] if along else []
    rows = [*shares, *(_share(p, columns[c]) for c in together)]
    sorts = [sorted_fields(p, at.child("sort"), [*fields, *last], rows, sum(field.width for field in last))]
    for c, value in list(zip(extremes, minor, strict=True))[len(along) :]:
        sorts.append(sorted_fields(p, at.child(f"sort {c}"), [*fields, *value], [_share(p, columns[c])]))
    first, *others = yield Fork(sorts, len(sorts))
    moved = dict(zip(together, first.columns[len(keys) :], strict=True))
    apart = zip(extremes[len(along) :], (other.columns[0] for other in others), strict=True)
    return _InOrder(first.words, first.columns[: len(keys)], moved, {**{c: moved[c] for c in along}, **dict(apart)})


def _ends(p: Protocol, at: Scope, words: Sequence[Boolean], count: int) -> Step[Boolean]:
    """Which rows are the last of their group, (n,)."""
    final = p.public_bits(np.ones(1, np.uint8))
    if count == 1:
        return final
    if not words:
        return concatenate([p.public_bits(np.zeros(count - 1, np.uint8)), final], 0)

    def step(p: Protocol, at: Scope, *sides: Boolean) -> Step[list[Boolean]]:
        return [(yield from same(p, at, sides[: len(words)], sides[len(words) :]))]

    pairs = [taken(word, slice(-1)) for word in words] + [taken(word, slice(1, None)) for word in words]
    (equal,) = yield from strips(p, at, step, pairs, TILE, axis=0)
    return concatenate([not_(p, equal), final], 0)


# -- what a group is about ---------------------------------------------------------------------------------------------


def _carried(p: Protocol, order: _InOrder, part: Part) -> Share:
    """The column whose values at the last rows of groups tell the part of the result; see `_of_group`."""
    what, index = part
    if what == "key":
        return order.keys[index]
    if what == "count":
        return p.public(np.arange(1, order.keys[0].shape[0] + 1))
    if what == "max":
        return order.extremes[index]
    column = _column(order, part)
    if what == "sum":
        return prefix_sums(p, column)
    after: Share = concatenate([taken(column, slice(1, None)), column.map(lambda part: np.zeros_like(part[:1]))], 0)
    return after


def _of_group(p: Protocol, order: _InOrder, part: Part, column: Any) -> Share:
    """The part of the result, right for rows that hold a group.

    Sums and counts are running ones so far; smallest and first values are those of the next group.
    """
    result: Share = column
    above = taken(column, slice(-1))
    if part[0] in ("sum", "count"):
        result = concatenate([taken(column, slice(1)), p.sub(taken(column, slice(1, None)), above)], 0)
    elif part[0] in ("first", "min"):
        start = taken(_column(order, part), slice(1 if len(column.parts[0]) else 0))
        result = concatenate([start, above], 0)
    return result


def _column(order: _InOrder, part: Part) -> Any:
    what, index = part
    return order.extremes[index] if what == "min" else order.columns[index]


def _means(
    p: Protocol, at: Scope, table: _Table, columns: Sequence[Key], aggregates: Sequence[Aggregate]
) -> Step[dict[Aggregate, Share]]:
    wanted = sorted({aggregate for aggregate in aggregates if aggregate.what == "mean"})
    steps = [_mean(p, at.child(f"{k}"), table, columns[a.column], a) for k, a in enumerate(wanted)]
    return dict(zip(wanted, (yield Fork(steps, max(1, len(steps)))), strict=True))


def _mean(p: Protocol, at: Scope, table: _Table, column: Key, aggregate: Aggregate) -> Step[Share]:
    total: Any = table.found["sum", aggregate.column]
    count: Any = table.found["count", -1]
    divisor = p.add_public(p.sub(count, table.chosen), np.ones(count.shape, np.int64))  # 1 where there is no group
    facts = mean_division(aggregate, column, len(_share(p, column).parts[0]))

    def step(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
        return divide(p, at, x, y, **facts)

    quotient = yield from tiled(p, at.child("quotient"), step, total, spread_rows(divisor, total.shape))
    return (yield from kept(p, at.child("kept"), quotient, table.valid, table.chosen))


def mean_division(aggregate: Aggregate, column: Key, rows: int) -> dict[str, int]:
    """The bounds for `divide` of a mean over at most so many rows."""
    largest = max(abs(column.low), abs(column.high))
    return {
        "divisor_bits": max(1, rows.bit_length()),
        "quotient_bits": largest.bit_length(),
        "scale": aggregate.scale,
        "divisor_low": 1,
    }


# -- the result --------------------------------------------------------------------------------------------------------


def _nothing(p: Protocol, shares: Sequence[Share], columns: Sequence[Key], parts: Sequence[Part]) -> _Table:
    """The groups of no rows."""
    like = {"key": shares, "count": [p.public(np.zeros(0, np.int64))]}
    found = {part: like.get(part[0], [_share(p, column) for column in columns])[part[1]] for part in parts}
    none = np.zeros(0, np.int64)
    return _Table(found, p.public_bits(none.astype(np.uint8)), p.public(none), p.public(np.zeros((), np.int64)))


def _finished(
    p: Protocol, table: _Table, aggregates: Sequence[Aggregate], means: dict[Aggregate, Share], rows: int
) -> Groups:
    keys = [_lengthened(p, column, rows) for (what, _), column in table.found.items() if what == "key"]
    results = []
    for aggregate in aggregates:
        part = ("sum" if aggregate.what == "mean" else aggregate.what, aggregate.column)
        results.append(_lengthened(p, means.get(aggregate, table.found[part]), rows))
    return Groups(keys, results, _lengthened(p, table.valid, rows), table.missed)


def _lengthened(p: Protocol, column: AnyShare, rows: int) -> AnyShare:
    """The column with rows of zeros up to so many."""
    shape = column.shape
    if shape[0] >= rows:
        return column
    empty = np.zeros((rows - shape[0], *shape[1:]), np.int64)
    more = p.public_bits(empty.astype(np.uint8)) if isinstance(column, Boolean) else p.public(empty)
    return concatenate([column, cast(AnyShare, more)], 0)
