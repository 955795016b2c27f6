"""Data of this program that is checked against an agreed schema before it is shared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from quorate.coordination.schemas import load_agreed
from quorate.data.prepare import prepare
from quorate.data.schema import CategoryColumn, InputSchema
from quorate.errors import UserError
from quorate.interactive.backend import Uploaded

__all__ = ["prepared_columns"]


def prepared_columns(data: Any, schema: Any, given: str | None = None) -> dict[str, Uploaded]:
    """The agreed columns of a data frame, Arrow table, dictionary or file, converted as the schema says.

    Args:
        data: see `quorate.data.source.open_source`; or a dictionary of columns.
        schema: an agreed input or schema; or the path of a schema document or spec.
        given: of a spec with several inputs, the one that the data is for.

    Raises:
        DataError: the data does not fit; names row and column of the first problem, and how many there are.
        UserError: no such file, or a bad schema.
    """
    agreed = _agreed(schema, given)
    found = prepare(_table(data), agreed)
    return {
        column.name: Uploaded(
            found.columns[column.name],
            column.dtype,
            column.raw_bounds,
            column.categories if isinstance(column, CategoryColumn) else None,
        )
        for column in agreed.columns
    }


def _agreed(schema: Any, given: str | None) -> InputSchema:
    if isinstance(schema, str | os.PathLike):
        return load_agreed(Path(schema), given)
    if given is not None:
        raise UserError("an input is chosen of specs; this schema describes one table")
    if not hasattr(schema, "columns") or not hasattr(schema, "max_rows"):
        raise UserError(f"a {type(schema).__name__} is no schema; give the path of one, or load_schema(path)")
    agreed: InputSchema = schema
    return agreed


def _table(data: Any) -> Any:
    """A dictionary of columns as an Arrow table; anything else as it is."""
    if not isinstance(data, dict):
        return data
    import pyarrow as pa

    try:
        return pa.table(data)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise UserError(f"no table can be made of the dictionary: {error}") from None
