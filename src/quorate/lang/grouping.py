"""Groups of rows with equal keys: their sums, counts, means and extremes, as in pandas; the groups stay secret."""

from __future__ import annotations

from typing import Any

from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table
from quorate.lang.numpy_names import secrets_only
from quorate.lang.tables import By, Columns, columns_of, keys_of
from quorate.sharing.dtype import DEFAULT_SCALE, INT

__all__ = ["GroupBy", "group_by"]

AGGREGATES = ("sum", "count", "mean", "min", "max", "first")


class GroupBy:
    """Rows grouped by keys, to be aggregated.

    Every result is a table with the key columns in ascending order, one column per aggregate, and `valid`: it has as
    many rows as the input (or `size`), of which the first, one per group, are valid and the rest are zero. With a size,
    the table also has `missed`, the number of groups that had no room, in every row.
    """

    def __init__(self, columns: dict[str, SecretArray], keys: list[str], size: int | None) -> None:
        self._columns = columns
        self._keys = keys
        self._size = size

    def __repr__(self) -> str:
        return f"<groups by {', '.join(self._keys)}; agg(...), sum(), mean(), count() make a table of them>"

    def agg(self, **aggregates: tuple[str, str] | str) -> Table:
        """Named aggregates: `total=("cost", "sum")`, or `cost="sum"` for a column that keeps its name.

        Aggregates are sum, count, mean, min, max and first; `n="count"` counts rows.

        Raises:
            UserError: no such column or aggregate, or a name that a key has already.
        """
        if taken := [name for name in aggregates if name in self._keys or name in ("valid", "missed")]:
            raise UserError(f"{taken[0]!r} names a key column or a column of every result; choose another name")
        wanted = {name: self._named(name, what) for name, what in aggregates.items()}
        return self._grouped(wanted)

    def _named(self, name: str, what: tuple[str, str] | str) -> tuple[str, str]:
        column, operation = (name, what) if isinstance(what, str) else what
        if operation not in AGGREGATES:
            raise UserError(f"the aggregate {operation!r}; use {', '.join(AGGREGATES)}")
        if operation != "count":
            Table("the table", self._columns)[column]
        return column, operation

    def _grouped(self, wanted: dict[str, tuple[str, str]]) -> Table:
        keys = [self._columns[name] for name in self._keys]
        values: list[SecretArray] = []
        aggregates: list[list[Any]] = []
        for column, operation in wanted.values():
            if operation == "count":
                aggregates.append(["count", -1])
                continue
            array = _summable(self._columns[column], operation)
            aggregates.append([operation, len(keys) + len(values), *_scale(array, operation)])
            values.append(array)
        parts = keys[0].unpacked("group", *keys[1:], *values, keys=len(keys), aggregates=aggregates, size=self._size)
        found = dict(zip([*self._keys, *wanted, "valid"], parts, strict=False))
        if self._size is not None:
            found["missed"] = parts[-1].broadcast_to((found["valid"].shape[0],))
        return Table("groups", found, found["valid"].shape[0])

    def _each(self, operation: str, columns: tuple[str, ...]) -> Table:
        """One aggregate of the named columns, or of all that are no keys."""
        names = columns or tuple(name for name in self._columns if name not in self._keys)
        if not names:
            raise UserError(f"{operation} of no columns; the table has keys only, use count()")
        return self.agg(**dict.fromkeys(names, operation))

    def sum(self, *columns: str) -> Table:
        """The sum of each column (default: all that are no keys) per group."""
        return self._each("sum", columns)

    def mean(self, *columns: str) -> Table:
        """The mean of each column per group."""
        return self._each("mean", columns)

    def min(self, *columns: str) -> Table:
        """The smallest value of each column per group."""
        return self._each("min", columns)

    def max(self, *columns: str) -> Table:
        """The largest value of each column per group."""
        return self._each("max", columns)

    def first(self, *columns: str) -> Table:
        """The value of each column in the first row of each group."""
        return self._each("first", columns)

    def count(self, name: str = "count") -> Table:
        """The number of rows per group, in a column of this name."""
        return self.agg(**{name: "count"})


def _summable(array: SecretArray, operation: str) -> SecretArray:
    if operation == "sum" and array._integers():
        return array.astype(INT)
    return array._numbers()


def _scale(array: SecretArray, operation: str) -> list[dict[str, int]]:
    if operation != "mean":
        return []
    return [{"scale": array.dtype.scale if array.dtype.kind == "fixed" else DEFAULT_SCALE}]


@secrets_only
def group_by(table: Columns | SecretArray, by: By | None = None, size: int | None = None) -> GroupBy:
    """Groups of the rows with equal keys.

    Args:
        table: a table or dictionary of columns; or an array of keys, which then are the column "key".
        by: the key column or columns.
        size: most groups that there can be, if fewer than rows: makes results short.
    """
    if isinstance(table, SecretArray):
        table, by = {"key": table}, "key"
    if by is None:
        raise UserError("group_by of a table needs the names of its key columns: by='city'")
    if size is not None and (type(size) is not int or size < 1):
        raise UserError(f"size {size!r} is no number of groups")
    columns = columns_of(table)
    return GroupBy(columns, keys_of(columns, by), size)
