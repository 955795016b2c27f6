"""From a data owner's table to the raw integers that are shared, with every agreed check done first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import new_salt
from quorate.data.commitment import Commitment, commit
from quorate.data.parse import Parsed, parse_column
from quorate.data.schema import Column, FixedColumn, InputSchema
from quorate.data.table import Table, load_table
from quorate.errors import DataError

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An owner's input, ready to share; its repr shows counts only.

    `columns` holds raw int64 arrays of shape (rows,) by column name, in the order of the schema. `dropped` counts
    rows left out and `filled` single values replaced for being missing. `salt` stays with the owner.
    """

    columns: dict[str, npt.NDArray[np.int64]] = field(repr=False)
    rows: int
    dropped: int
    filled: int
    commitment: Commitment
    salt: bytes = field(repr=False)


def prepare(source: object, schema: InputSchema, *, salt: bytes | None = None) -> Prepared:
    """Load `source` (see `load_table`; or a `Table`), check it against `schema` and encode its columns.

    Args:
        source: path, pandas DataFrame, Arrow table or an already loaded `Table`.
        schema: the agreed input: columns, `min_rows`, `max_rows`.
        salt: 32 bytes for the commitment; fresh ones by default.

    Raises:
        DataError: a column is missing, a value is missing (rule `reject`), of a wrong type or out of range, or there
            are too few or too many rows; the message names file, row and column.
        UserError, EnvironmentFault: see `load_table`.
    """
    names = [column.name for column in schema.columns]
    table = source if isinstance(source, Table) else load_table(source, names)
    arrays = {name: table.column(name) for name in names}  # all columns must be there before any is converted
    parsed = [parse_column(column, arrays[column.name], table.where) for column in schema.columns]
    for column, part in zip(schema.columns, parsed, strict=True):
        _refuse_missing(column, part, table)
    keep = _kept(schema, parsed, table.rows)
    rows = table.rows if keep is None else int(keep.sum())
    _check_rows(schema, table, rows)
    filled = sum(_filled(column, part, keep) for column, part in zip(schema.columns, parsed, strict=True))
    columns = {column.name: _encode(column, part, keep) for column, part in zip(schema.columns, parsed, strict=True)}
    used_salt = new_salt() if salt is None else salt
    return Prepared(columns, rows, table.rows - rows, filled, commit(columns, used_salt), used_salt)


def _refuse_missing(column: Column, part: Parsed, table: Table) -> None:
    if column.missing == "reject" and part.missing.any():
        place = table.where(int(np.argmax(part.missing)))
        raise DataError(
            f"{place}, column {column.name!r}: the value is missing ({int(part.missing.sum())} in this column); "
            "supply it, or agree on 'missing: drop' or 'missing: fill' in the spec"
        )


def _kept(schema: InputSchema, parsed: list[Parsed], rows: int) -> npt.NDArray[np.bool_] | None:
    """Mask of the rows to keep, or None for all of them."""
    lost = np.zeros(rows, np.bool_)
    for column, part in zip(schema.columns, parsed, strict=True):
        if column.missing == "drop":
            lost |= part.missing
    return ~lost if lost.any() else None


def _check_rows(schema: InputSchema, table: Table, rows: int) -> None:
    dropped = table.rows - rows
    note = f" ({dropped} of {table.rows} dropped for missing values)" if dropped else ""
    if rows < schema.min_rows:
        raise DataError(
            f"{table.label}: {rows} rows{note}, but input {schema.name!r} needs at least {schema.min_rows}; "
            "supply more rows or agree on a lower min_rows"
        )
    if rows > schema.max_rows:
        raise DataError(
            f"{table.label}: {rows} rows{note}, but input {schema.name!r} may have at most {schema.max_rows}; "
            "supply fewer rows or agree on a higher max_rows"
        )


def _filled(column: Column, part: Parsed, keep: npt.NDArray[np.bool_] | None) -> int:
    if column.missing != "fill":
        return 0
    return int((part.missing if keep is None else part.missing & keep).sum())


def _encode(column: Column, part: Parsed, keep: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
    values = part.values
    if column.missing == "fill" and part.missing.any():
        number = column.fill_number
        values = np.where(part.missing, values.dtype.type(0 if number is None else number), values)
    kept = values if keep is None else values[keep]
    # parsing has checked the bounds, so integers are raw values already
    return column.dtype.encode(kept) if isinstance(column, FixedColumn) else np.asarray(kept, np.int64)
