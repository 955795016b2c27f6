"""Operations on the rows of tables: sorting, grouping, merging, choosing, shuffling, and rows that belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table
from quorate.lang.categories import check_same
from quorate.lang.numpy_names import secrets_only
from quorate.sharing.dtype import BOOL, INT, promote

__all__ = [
    "Compacted",
    "align",
    "compact",
    "merge",
    "segmented_scan",
    "shuffle",
    "sort_table",
]

Columns = Table | Mapping[str, SecretArray]
By = str | Sequence[str]


def columns_of(table: Any) -> dict[str, SecretArray]:
    """The columns of a table or dictionary by name. Raises `UserError` if they have no rows, or not equally many."""
    if not isinstance(table, Table | Mapping):
        raise UserError(f"a {type(table).__name__} is no table; give columns by name, such as {{'key': x, 'value': y}}")
    columns = {name: table[name] for name in table}
    like = next((column for column in columns.values() if isinstance(column, SecretArray)), None)
    if like is None:
        raise UserError("a table without secret columns; give columns by name, such as {'key': x, 'value': y}")
    arrays = {name: like._other(column) for name, column in columns.items()}
    if any(not array.ndim or array.shape[0] != like.shape[0] for array in arrays.values()):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UserError(
            f"the columns of a table have equally many rows, not {shapes}; see quorate.align for two inputs"
        )
    return arrays


def keys_of(columns: Mapping[str, SecretArray], by: By) -> list[str]:
    """Names of key columns. Raises `UserError` for names that are none, or keys of several dimensions."""
    names = [by] if isinstance(by, str) else list(by)
    table = Table("the table", columns)
    if not names or any(table[name].ndim != 1 for name in names):
        raise UserError("give one or more columns of one dimension as keys")
    if len(set(names)) < len(names):
        raise UserError(f"the keys {', '.join(names)} name a column twice")
    return names


def _directions(descending: bool | Sequence[bool], keys: Sequence[str]) -> list[bool]:
    wanted = [descending] * len(keys) if isinstance(descending, bool) else [bool(each) for each in descending]
    if len(wanted) != len(keys):
        raise UserError(f"{len(wanted)} directions for {len(keys)} keys; give one for each, or one for all")
    return wanted


def _rebuilt(table: Columns, columns: Mapping[str, SecretArray], keys: Sequence[str], parts: Sequence[Any]) -> Table:
    """A table of results that come keys first, with its columns in the old order."""
    order = [*keys, *(name for name in columns if name not in keys)]
    found = dict(zip(order, parts, strict=False))
    name = table._name if isinstance(table, Table) else "table"
    return Table(name, {column: found[column] for column in columns}, found[keys[0]].shape[0] if keys else None)


@secrets_only
def sort_table(table: Columns, by: By, descending: bool | Sequence[bool] = False) -> Table:
    """The rows in order of one or several key columns, the first counting most; on ties rows keep their order."""
    columns = columns_of(table)
    keys = keys_of(columns, by)
    rest = [columns[name] for name in columns if name not in keys]
    parts = columns[keys[0]].unpacked(
        "sort",
        *(columns[name] for name in keys[1:]),
        *rest,
        keys=len(keys),
        descending=_directions(descending, keys),
        order=False,
    )
    return _rebuilt(table, columns, keys, parts)


@secrets_only
def merge(a: Columns, b: Columns, by: By, descending: bool | Sequence[bool] = False) -> Table:
    """Two tables that are sorted by `by` already, as one sorted table; on ties rows of `a` go first.

    Tables that are not sorted give rows in no particular order; that they are is not checked.
    """
    left, right = columns_of(a), columns_of(b)
    keys = keys_of(left, by)
    if set(left) != set(right):
        raise UserError(f"tables with the columns {', '.join(left)} and {', '.join(right)}; merge needs the same ones")
    order = [*keys, *(name for name in left if name not in keys)]
    types = [promote(left[name].dtype, right[name].dtype) for name in order]
    for name in order:
        check_same([left[name], right[name]])
    runs = [[side[name].converted(dtype) for name, dtype in zip(order, types, strict=True)] for side in (left, right)]
    parts = runs[0][0].unpacked(
        "merge", *runs[0][1:], *runs[1], keys=len(keys), descending=_directions(descending, keys)
    )
    return _rebuilt({}, left, keys, parts)


class Compacted(NamedTuple):
    """The chosen rows first, in their order, then zeros; and how many were `chosen`, which stays secret."""

    rows: Any
    chosen: SecretArray


@secrets_only
def compact(mask: Any, columns: Any) -> Compacted:
    """The rows for which a secret mask holds in front, the rest zero; the number of rows stays what it was.

    `columns` is a table, an array or a list of arrays; what comes back is the same.
    """
    single = isinstance(columns, SecretArray)
    named = isinstance(columns, Table | Mapping)
    arrays = list(columns_of(columns).values()) if named else [columns] if single else list(columns)
    flags = arrays[0]._other(mask)
    if flags.dtype != BOOL or flags.ndim != 1:
        raise UserError("the mask of compact is one bool per row, such as x > 0")
    *parts, count = flags.unpacked("compact", *arrays)
    if named:
        return Compacted(_rebuilt(columns, columns_of(columns), [], parts), count)
    return Compacted(parts[0] if single else parts, count)


@secrets_only
def shuffle(columns: Any) -> Any:
    """The rows in a random order that nobody knows: of an array, a list of arrays or a table, which stay together."""
    if isinstance(columns, Table | Mapping):
        named = columns_of(columns)
        first_, *rest = named.values()
        return _rebuilt(columns, named, [], first_.unpacked("shuffle", *rest))
    arrays = [columns] if isinstance(columns, SecretArray) else list(columns)
    parts = arrays[0].unpacked("shuffle", *arrays[1:])
    return parts[0] if isinstance(columns, SecretArray) else parts


@secrets_only
def segmented_scan(values: Any, starts: Any, op: str = "sum") -> SecretArray:
    """Running sum, min, max or first along the rows, begun anew at each row where the secret `starts` is true."""
    if op not in ("sum", "min", "max", "first"):
        raise UserError(f"a scan with op {op!r}; use sum, min, max or first")
    like: SecretArray = values if isinstance(values, SecretArray) else starts
    array = like._other(values)
    flags = array._other(starts)
    if flags.dtype != BOOL or flags.ndim != 1:
        raise UserError("starts is one bool per row")
    summed = array.astype(INT) if op == "sum" and array._integers() else array
    return summed.record("segmented_scan", flags, op=op)


@secrets_only
def align(first: Any, *others: Any) -> tuple[Any, ...]:
    """Inputs whose rows belong together one by one (vertically split data), so that their columns can be combined.

    Gives them all back, the others with the row count of the first. That the counts are equal is checked when the
    session starts, before any data is used; that the rows are in the same order is up to the owners.
    """
    return (first, *(_as_long_as(first, other) for other in others))


def _as_long_as(first: Any, other: Any) -> Any:
    if isinstance(other, Table):
        rows = first.rows if isinstance(first, Table) else first.shape[0]
        return Table(other._name, {name: _as_long_as(first, other[name]) for name in other}, rows)
    if not isinstance(other, SecretArray) or not other.ndim:
        raise UserError(f"align takes tables and arrays with rows, not a {type(other).__name__}")
    size = first[next(iter(first))].shape[0] if isinstance(first, Table) else first.shape[0]
    if other.shape[0] == size:
        return other
    return other.record("aligned", rows=size if isinstance(size, int) else {"size": str(size)})
