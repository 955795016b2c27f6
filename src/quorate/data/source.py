"""Where an owner's data lies: a file, a data frame, or a small document that also says how local columns are called.

A source document is the owner's own and never agreed on:

    sql: SELECT * FROM 'visits/*.parquet' WHERE year = 2026 ORDER BY id
    columns:
      weight: {column: Gewicht, unit: lb}
      admitted: {column: Aufnahme, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from quorate.data.csv_table import CsvTable
from quorate.data.document import convert, load_yaml, raise_problems
from quorate.data.schema import zone_problem
from quorate.data.sql import duckdb_table, postgres_table
from quorate.data.table import ArrowFileTable, ParquetTable, PathLike, Table, arrow_table
from quorate.errors import UserError

__all__ = ["Local", "Opened", "is_table", "open_source", "open_sql", "open_table"]

_FILES: dict[str, Callable[[Path], Table]] = {
    ".csv": CsvTable,
    ".parquet": ParquetTable,
    ".pq": ParquetTable,
    ".arrow": ArrowFileTable,
    ".feather": ArrowFileTable,
    ".ipc": ArrowFileTable,
}
_DOCUMENTS = (".yaml", ".yml")
_SHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")


class Local(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an owner has an agreed column.

    Attributes:
        column: its name in the owner's data, by default the agreed name or one of its aliases.
        unit: the unit of its values, one that the schema has a conversion for; of times as numbers s, ms, us or ns.
        format: how its times are written, with %d, %m and so on, by default ISO 8601.
        zone: of its times that state none, by default as agreed.
    """

    column: str | None = None
    unit: str | None = None
    format: str | None = None
    zone: str | None = None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source document; `file` and the files of `sql` are looked up beside it."""

    file: str | None = None
    sql: str | None = None
    database: str | None = None
    columns: dict[str, Local] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return "<source document>"  # the address may hold a password


@dataclass(frozen=True)
class Opened:
    """A table that is ready to be read, and how its columns stand in it."""

    table: Table
    local: Mapping[str, Local] = field(default_factory=dict)


def open_source(source: object) -> Opened:
    """Open a path, a source document (.yaml), a data frame (pandas, Polars), Arrow data or a `Table`.

    Raises:
        UserError: no such file, a kind that is not supported, or a bad document.
        EnvironmentFault: a file cannot be read, a database cannot be reached.
        DataError: an empty or malformed file.
    """
    if isinstance(source, Opened):
        return source
    if isinstance(source, Table):
        return Opened(source)
    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() in _DOCUMENTS:
        return _of_document(Path(source))
    return Opened(open_table(source))


def is_table(path: Path) -> bool:
    """Whether the name of a file says that it holds a table, and no document."""
    return path.suffix.lower() in (*_FILES, *_SHEETS)


def open_table(source: object) -> Table:
    """As `open_source`, of what is no document."""
    if not isinstance(source, str | os.PathLike):
        return arrow_table(source)
    path = Path(source)
    if path.suffix.lower() in _SHEETS:
        raise UserError(f"{path}: spreadsheets are not read; save the sheet as 'CSV UTF-8 (Comma delimited)'")
    kind = _FILES.get(path.suffix.lower())
    if kind is None:
        known = ", ".join([*_FILES, *_DOCUMENTS])
        raise UserError(f"{path}: tables of kind {path.suffix!r} are not read; use one of {known}")
    return kind(path)


def open_sql(query: str, database: str | None = None, folder: PathLike = ".") -> Table:
    """The result of a query over files in `folder`, or at a database; raises as those in `quorate.data.sql`."""
    return duckdb_table(query, Path(folder)) if database is None else postgres_table(query, database)


def _of_document(path: Path) -> Opened:
    document = convert(load_yaml(path), _Document, str(path))
    raise_problems(str(path), _problems(document))
    if document.file is not None:
        return Opened(open_table(path.parent / document.file), document.columns)
    table = open_sql(document.sql or "", document.database, path.parent)
    table.label = str(path)
    return Opened(table, document.columns)


def _problems(document: _Document) -> list[tuple[str, str]]:
    problems = []
    if (document.file is None) == (document.sql is None):
        problems.append(("file", "give either 'file' or 'sql', not both or none"))
    if document.database is not None and document.sql is None:
        problems.append(("database", "needs 'sql', the query to run there"))
    for name, local in document.columns.items():
        if problem := zone_problem(local.zone):
            problems.append((f"columns.{name}.zone", problem))
        if local.format is not None and "%z" in local.format.lower():
            problems.append(
                (f"columns.{name}.format", "%z is not read; write times with a zone in ISO 8601, or use sql")
            )
    return problems
