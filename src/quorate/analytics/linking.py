"""Rows of several owners that belong together, found by a secret key: vertically split data becomes one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import quorate as q
from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table
from quorate.lang.dims import Shape, Size
from quorate.lang.tables import Columns, columns_of
from quorate.sharing.dtype import DType

__all__ = ["link"]

_OWN = ("valid", "missed")


def link(*tables: Columns, on: str = "id", size: int | None = None, suffixes: Sequence[str] | None = None) -> Table:
    """The rows whose key stands in all tables, side by side, in ascending order of keys; who they are stays secret.

    Args:
        tables: two or more, each with the column `on`: whole numbers, such as a column of type `key`. Tables differ in
            rows and in other columns.
        on: the name of the key. No key may occur twice in a table: owners' files are checked for that where the
            schema says `unique: true`. If one does all the same, it is matched once at most: with two tables the last
            such row of the first with the first one of the second, with more tables with these or not at all.
        size: number of rows of the result. By default the rows of the smallest table; of the first one where row
            counts are known only when a session starts.
        suffixes: one for each table, appended to names of columns that several tables have.

    Returns:
        A table with the key, all other columns, and `valid` (bool): matched rows first, then rows of zeros in which
        `valid` is false. With `size` also `missed`, in every row: how many matched rows had no room. Types and errors
        of columns stay what they are; their ranges include 0.

    What is revealed: row counts only. Neither who is in all tables nor how many are; what sorting opens is that of a
    random permutation (docs/explanation/sorting.md).

    Cost, for N rows in all tables together: a stable sort of N rows with all columns, one comparison for equality per
    row, and picking out by one bit; one more product for every further table. A promise that tables are sorted already
    would save nothing: a merge of sorted runs costs what a sort does.

    Sources: sort and compare of Huang, Evans, Katz, NDSS 2012 (section 3), over the shuffled sort of this library.

    Raises:
        UserError: fewer than two tables, no such key, a key that is no whole number, or columns of one name.
    """
    given = [columns_of(table) for table in tables]
    _check(given, on, size)
    named = _renamed(given, on, suffixes)
    rows = [columns[on].shape[0] for columns in given]
    order = q.sort_table(_stacked(given, named, on, rows), "key")
    matched, shifted = _matches(order, len(given))
    parts = {on: order["key"]} | {
        name: shifted(order[f"{k} {name}"], k) for k, names in enumerate(named) for name in names.values()
    }
    front = q.compact(matched, {**parts, "valid": matched})
    room = _room(rows) if size is None else size
    found = {name: _cut(column, sum(rows), room) for name, column in columns_of(front.rows).items()}
    if size is not None:
        missed = front.chosen - found["valid"].sum()
        found["missed"] = missed.broadcast_to((room,))
    own = [column for name, column in found.items() if name not in _OWN]
    own[0].trace.padded(own, found["valid"])
    return Table("linked", found, room)


def _check(given: Sequence[Mapping[str, SecretArray]], on: str, size: int | None) -> None:
    if len(given) < 2:
        raise UserError("link takes two tables or more; a single one has nothing to be linked with")
    for k, columns in enumerate(given):
        if on not in columns:
            raise UserError(f"table {k + 1} of link has no column {on!r}; it has {', '.join(columns)}")
        key = columns[on]
        if key.ndim != 1 or key.dtype.kind != "int" or key.dtype.scale:
            raise UserError(
                f"the key {on!r} of table {k + 1} is {key.dtype}{key.shape}; a key is one whole number per row"
            )
    if size is not None and (type(size) is not int or size < 0):
        raise UserError(f"size {size} of link; it is a number of rows")


def _renamed(
    given: Sequence[Mapping[str, SecretArray]], on: str, suffixes: Sequence[str] | None
) -> list[dict[str, str]]:
    """For every table, its columns but the key -> their names in the result."""
    if suffixes is not None and len(suffixes) != len(given):
        raise UserError(f"{len(suffixes)} suffixes for {len(given)} tables; give one for each")
    count = Counter(name for columns in given for name in columns)
    ends = [""] * len(given) if suffixes is None else suffixes
    renamed = [
        {name: name + end if count[name] > 1 else name for name in columns if name != on}
        for columns, end in zip(given, ends, strict=True)
    ]
    names = Counter([on, *_OWN, *(name for names in renamed for name in names.values())])
    if twice := [name for name, times in names.items() if times > 1]:
        raise UserError(f"the result of link would have two columns {twice[0]!r}; give suffixes, or rename one")
    return renamed


def _stacked(
    given: Sequence[Mapping[str, SecretArray]], named: Sequence[Mapping[str, str]], on: str, rows: Sequence[Size]
) -> dict[str, Any]:
    """All rows below each other: keys, which table a row is from, and every column, 0 in rows of other tables."""
    stacked: dict[str, Any] = {"key": q.concatenate([columns[on] for columns in given])}
    for k in range(1, len(given)):
        key = given[0][on]
        stacked[f"from {k}"] = q.concatenate([_filled(key, own == k, q.BOOL, (n,)) for own, n in enumerate(rows)])
    for k, (columns, names) in enumerate(zip(given, named, strict=True)):
        for name, new in names.items():
            own = columns[name]
            blank = [_filled(own, 0, own.dtype, (n, *own.shape[1:])) for n in rows]
            stacked[f"{k} {new}"] = q.concatenate([*blank[:k], own, *blank[k + 1 :]])
    return stacked


def _filled(like: SecretArray, value: int, dtype: DType, shape: Shape) -> SecretArray:
    """A public array in the same computation."""
    return like._other(value).astype(dtype).broadcast_to(shape)


def _matches(order: Table, count: int) -> tuple[SecretArray, Any]:
    """Which rows begin a match, and how to bring up a column of the table that is k rows below.

    Rows are sorted by key, and within a key by table. A match is a row of every table, in order, with one key. Below
    the last row are zeros, which are from no other table.
    """

    def shifted(column: SecretArray, k: int) -> SecretArray:
        below = _filled(column, 0, column.dtype, (k, *column.shape[1:]))
        return q.concatenate([column, below])[k:] if k else column

    flags = [shifted(order[f"from {k}"], k) for k in range(1, count)]
    first = reduce(lambda a, b: a & b, (~order[f"from {k}"] for k in range(1, count)))
    same = order["key"] == shifted(order["key"], count - 1)
    return reduce(lambda a, b: a & b, [same, first, *flags]), shifted


def _room(rows: Sequence[Size]) -> Size:
    return min(rows) if all(isinstance(n, int) for n in rows) else rows[0]  # type: ignore[type-var]


def _cut(column: SecretArray, rows: Size, room: Size) -> SecretArray:
    """As many rows as there is room, zeros beyond the last."""
    if isinstance(room, int) and not (isinstance(rows, int) and rows >= room):
        column = q.concatenate([column, _filled(column, 0, column.dtype, (room, *column.shape[1:]))])
    return column[:room]
