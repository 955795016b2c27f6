"""Loading a data owner's table from CSV, Parquet, Arrow/Feather, pandas or Arrow, whole and unconverted.

CSV is read with every value as text, so that conversion follows the agreed schema and not a guess.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from quorate.errors import DataError, UserError
from quorate.files import read_bytes

__all__ = ["Arrow", "Table", "load_table"]

Arrow: TypeAlias = Any  # pyarrow ships no types

_READERS = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A loaded table: `arrow` is a pyarrow.Table with unconverted columns, `label` names its source in messages.

    `names` are all columns of the source; `arrow` may hold only those that were asked for.
    """

    label: str
    arrow: Arrow = field(repr=False)
    names: tuple[str, ...]
    csv_bytes: bytes | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """Number of data rows, without the header."""
        return int(self.arrow.num_rows)

    def where(self, index: int) -> str:
        """Where data row `index` (from 0) stands: "FILE: row R".

        In CSV R is the line in the file, the header being in row 1; elsewhere rows are counted from 1.
        """
        row = index + 1 if self.csv_bytes is None else _line_of_record(self.csv_bytes, index)
        return f"{self.label}: row {row}"

    def column(self, name: str) -> Arrow:
        """The pyarrow array of the column `name`; `DataError` names the columns there are when it is missing."""
        if name not in self.arrow.column_names:
            raise DataError(f"{self.label}: no column {name!r}; {_hint(name, self.names)}")
        chunked = self.arrow.column(name)
        return chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)


def load_table(source: object, columns: Sequence[str] | None = None) -> Table:
    """Load a table from a path (.csv, .parquet, .pq, .arrow, .feather, .ipc), a pandas DataFrame or Arrow data.

    Args:
        source: path, pandas.DataFrame, pyarrow.Table or any object with Arrow's stream interface.
        columns: names of the columns that will be used (default all); CSV values of others are not kept.

    Raises:
        UserError: no such file, or a kind that is not supported.
        EnvironmentFault: the file cannot be read.
        DataError: an empty or malformed file, a wrong encoding, or a header name that occurs twice.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _typed_table("table", _from_object(source), columns)
    path = Path(source)
    kind = _READERS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: tables of kind {path.suffix!r} are not read; use one of {', '.join(_READERS)}")
    data, label = read_bytes(path), str(path)
    if not data:
        raise DataError(f"{label}: the file is empty; it needs a header and rows")
    if kind == "csv":
        return _load_csv(data, label, columns)
    return _typed_table(label, _load_binary(data, label, kind), columns)


def _from_object(source: object) -> Arrow:
    import pyarrow as pa

    if isinstance(source, pa.Table):
        return source
    try:
        if type(source).__module__.partition(".")[0] == "pandas":
            return pa.Table.from_pandas(source, preserve_index=False)
        if hasattr(source, "__arrow_c_stream__"):
            return pa.table(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError("table: a column mixes values of several kinds; give every column one type") from error
    raise UserError(
        f"a table cannot be read from {type(source).__name__}; give a path, a pandas DataFrame or a pyarrow Table"
    )


def _load_binary(data: bytes, label: str, kind: str) -> Arrow:
    import pyarrow as pa

    buffer = pa.py_buffer(data)
    try:
        if kind == "parquet":
            import pyarrow.parquet as parquet

            return parquet.ParquetFile(pa.BufferReader(buffer)).read()
        if data.startswith(b"ARROW1"):
            return pa.ipc.open_file(buffer).read_all()
        return pa.ipc.open_stream(buffer).read_all()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{label}: not a readable {kind} file; it may be damaged or of another kind") from error


def _typed_table(label: str, arrow: Arrow, columns: Sequence[str] | None) -> Table:
    names = tuple(arrow.column_names)
    _refuse_duplicates(names, label, columns)
    return Table(label, arrow, names)


def _refuse_duplicates(names: Sequence[str], label: str, wanted: Sequence[str] | None) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1 and (wanted is None or name in wanted)]
    if twice:
        raise DataError(f"{label}: the column name {twice[0]!r} occurs twice in the header; rename one of them")


def _hint(name: str, found: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, found, n=1)
    listed = ", ".join(repr(column) for column in found[:20]) + (" ..." if len(found) > 20 else "")
    separator = next((mark for mark in (";", "\t", "|") if len(found) == 1 and mark in found[0]), None)
    if separator is not None:
        return f"the header is {found[0]!r}: columns must be separated by commas, not by {separator!r}"
    return f"the columns are {listed}" + (f"; did you mean {near[0]!r}?" if near else "")


def _load_csv(data: bytes, label: str, columns: Sequence[str] | None) -> Table:
    import pyarrow as pa

    header = _csv_header(data, label)
    _refuse_duplicates(header, label, columns)
    _refuse_open_quote(data, label)
    wanted = set(header if columns is None else columns)
    positions = [index for index, name in enumerate(header) if name in wanted] or [0]
    try:
        arrow = _read_csv(data, len(header), positions)
    except pa.ArrowInvalid as error:
        raise _csv_fault(data, label, len(header), error) from error
    if arrow.num_rows == 0:
        raise DataError(f"{label}: has a header but no rows")
    return Table(label, arrow.rename_columns([header[index] for index in positions]), tuple(header), data)


def _read_csv(data: bytes, width: int, positions: Sequence[int]) -> Arrow:
    """The columns at `positions` as text, named by position; the header line is skipped."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    names = [str(index) for index in range(width)]
    used = [str(index) for index in positions]
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows_after_names=1),
        # a quoted value may span lines; looking for that costs time, so only where there are quotes
        parse_options=arrow_csv.ParseOptions(newlines_in_values=b'"' in data),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=used, column_types=dict.fromkeys(used, pa.string()), strings_can_be_null=False
        ),
    )


def _records(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) at which each non-empty record begins, and its fields; slow, for messages only."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.reader(text, strict=False)
    line = 1
    for fields in reader:
        if fields:
            yield line, fields
        line = reader.line_num + 1


def _line_of_record(data: bytes, index: int) -> int:
    """The line at which data record `index` (from 0, after the header) begins."""
    return next((line for line, _ in islice(_records(data), index + 1, None)), index + 2)


def _csv_header(data: bytes, label: str) -> list[str]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4096]:
        raise DataError(f"{label}: is not UTF-8 text (it looks like UTF-16 or a binary file); save it as CSV in UTF-8")
    try:
        header = next((fields for _, fields in _records(data)), None)
    except csv.Error as error:
        raise DataError(f"{label}: the header cannot be read as CSV; check its quotes") from error
    if header is None:
        raise DataError(f"{label}: the file is empty; it needs a header and rows")
    return [name.strip() for name in header]


def _refuse_open_quote(data: bytes, label: str) -> None:
    """A quote that is opened and not closed would silently swallow rows; only an odd number of quotes can do that."""
    if data.count(b'"') % 2 == 0:
        return
    start, last = _last_record(data)
    if any("\n" in value for value in last):
        raise DataError(f"{label}: row {start}: a quote is opened and never closed; close or remove it")


def _last_record(data: bytes) -> tuple[int, list[str]]:
    last: tuple[int, list[str]] = (1, [])
    try:
        for record in _records(data):
            last = record
    except csv.Error:  # a value too long to be one: the open quote is in the record after the last good one
        return last[0] + 1, ["\n"]
    return last


def _csv_fault(data: bytes, label: str, width: int, error: Exception) -> DataError:
    """The error that names the first bad row of a CSV file that Arrow refused."""
    line = _first_line_not_utf8(data)
    if line is not None:
        return DataError(f"{label}: row {line}: is not UTF-8 text; save the file in the encoding UTF-8")
    try:
        for row, fields in _records(data):
            if len(fields) != width:
                return DataError(f"{label}: row {row}: has {len(fields)} fields, the header has {width}; "
                                 "check for missing or extra commas (put a value with a comma in quotes)")  # fmt: skip
    except csv.Error:
        return DataError(f"{label}: a value is too long; check for a quote that is not closed")
    return DataError(f"{label}: cannot be read as CSV ({error})")


def _first_line_not_utf8(data: bytes) -> int | None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return None
