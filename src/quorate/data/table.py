"""A data owner's table, read in batches: from CSV, Parquet, Arrow files, data frames, or a query.

Values come unconverted (those of CSV are texts), so that conversion follows the agreed schema and not a guess. No
source is held in memory as a whole.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from quorate.errors import DataError, UserError
from quorate.files import file_error

__all__ = [
    "BATCH_ROWS", "Arrow", "ArrowFileTable", "ArrowTable", "PandasTable", "ParquetTable", "PathLike", "Ragged", "Table",
    "Translate", "arrow_table", "check_file", "empty",
]  # fmt: skip

Arrow: TypeAlias = Any  # pyarrow ships no types
Ragged: TypeAlias = tuple[int, int]
"""A row with a wrong number of fields: its line in the file, and how many fields it has."""

Translate: TypeAlias = Callable[[Exception], Exception]
"""Makes an error of ours of one of a source."""

BATCH_ROWS = 1 << 16


class Table(ABC):
    """A table that can be read once, from its first batch to its last.

    Attributes:
        label: names the source in messages.
        names: all columns of the source.
        ragged: rows that were left out for having a wrong number of fields, as far as the table has been read.
    """

    def __init__(self, label: str, names: Sequence[str]) -> None:
        self.label = label
        self.names = tuple(names)
        self.ragged: list[Ragged] = []

    def __repr__(self) -> str:
        return f"<table {self.label}, {len(self.names)} columns>"

    def batches(self, columns: Sequence[str]) -> Iterator[Arrow]:
        """pyarrow record batches with these columns, in this order.

        Raises:
            DataError: a wanted name occurs twice, or the source is damaged.
        """
        twice = [name for name, count in Counter(self.names).items() if count > 1 and name in columns]
        if twice:
            raise DataError(
                f"{self.label}: the column name {twice[0]!r} occurs twice in the header; rename one of them"
            )
        return self._read(list(columns))

    def rows_of(self, indices: Sequence[int]) -> list[int]:
        """Where data rows (from 0) stand: in CSV the line in the file, elsewhere rows are counted from 1."""
        return [index + 1 for index in indices]

    def done(self) -> tuple[int, int]:
        """How much has been read, and how much there is (0: not known), in a unit of the table's choice."""
        return 0, 0

    @abstractmethod
    def _read(self, columns: list[str]) -> Iterator[Arrow]: ...


class ArrowTable(Table):
    """What offers Arrow's stream: pyarrow tables and readers, data frames of Polars, results of DuckDB."""

    def __init__(self, label: str, reader: Arrow, rows: int = 0, translate: Translate | None = None) -> None:
        """`reader` is a pyarrow.RecordBatchReader; `translate` makes errors of its source ours."""
        super().__init__(label, reader.schema.names)
        self._reader, self._rows, self._seen = reader, rows, 0
        self._translate = translate or (lambda _: DataError(f"{label}: is damaged; make the table anew"))

    def done(self) -> tuple[int, int]:
        """In rows."""
        return self._seen, self._rows

    def _read(self, columns: list[str]) -> Iterator[Arrow]:
        import pyarrow as pa

        positions = [self.names.index(name) for name in columns]
        while True:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                return
            except (pa.ArrowException, OSError, RuntimeError) as error:
                raise self._translate(error) from None
            self._seen += batch.num_rows
            yield from _pieces(batch, positions, columns)


class ArrowFileTable(ArrowTable):
    """An Arrow IPC file or stream (.arrow, .feather, .ipc)."""

    def __init__(self, path: Path) -> None:
        """Raises as `opened`; `DataError` if the file is none."""
        import pyarrow as pa

        check_file(path)
        source = pa.memory_map(str(path)) if path.stat().st_size else None
        if source is None:
            raise empty(str(path))
        try:
            reader = _ipc(source)
        except (pa.ArrowException, OSError) as error:
            raise damaged(str(path), "arrow") from error
        super().__init__(str(path), reader, translate=lambda _: damaged(str(path), "arrow"))


class ParquetTable(Table):
    """A Parquet file, of which no more than a row group's wanted columns are held."""

    def __init__(self, path: Path) -> None:
        """Raises as `opened`; `DataError` if the file is none."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        check_file(path)
        if not path.stat().st_size:
            raise empty(str(path))
        try:
            self._file = parquet.ParquetFile(path, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise damaged(str(path), "parquet") from error
        super().__init__(str(path), self._file.schema_arrow.names)
        self._seen = 0

    def done(self) -> tuple[int, int]:
        """In rows."""
        return self._seen, self._file.metadata.num_rows

    def _read(self, columns: list[str]) -> Iterator[Arrow]:
        import pyarrow as pa

        try:
            for batch in self._file.iter_batches(BATCH_ROWS, columns=columns):
                self._seen += batch.num_rows
                yield batch.select(columns)
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.label, "parquet") from error


class PandasTable(Table):
    """A data frame of pandas, of which a batch of the wanted columns is converted at a time."""

    def __init__(self, frame: Any) -> None:
        super().__init__("table", [str(name) for name in frame.columns])
        self._frame = frame
        self._seen = 0

    def done(self) -> tuple[int, int]:
        """In rows."""
        return self._seen, len(self._frame)

    def _read(self, columns: list[str]) -> Iterator[Arrow]:
        import pyarrow as pa

        positions = [self.names.index(name) for name in columns]
        for start in range(0, len(self._frame), BATCH_ROWS):
            rows = self._frame.iloc[start : start + BATCH_ROWS]
            arrays = [self._array(rows, position) for position in positions]
            self._seen += len(rows)
            yield pa.RecordBatch.from_arrays(arrays, names=columns)

    def _array(self, rows: Any, position: int) -> Arrow:
        import pyarrow as pa

        try:
            made = pa.array(rows.iloc[:, position], from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"{self.label}: the column {self.names[position]!r} mixes values of several kinds, or is of a type "
                "that Arrow does not have; give it one plain type"
            ) from error
        return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def arrow_table(source: object) -> Table:
    """The table of a data frame (pandas, Polars), a pyarrow table or reader, or whatever else offers Arrow's stream.

    Raises:
        UserError: it is none of these, such as a single column.
        DataError: a column is of a type that Arrow does not have.
    """
    import pyarrow as pa

    if isinstance(source, pa.RecordBatchReader):
        return ArrowTable("table", source)
    if type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns"):
        return PandasTable(source)
    if hasattr(source, "__arrow_c_stream__") and not hasattr(source, "to_frame"):
        rows = getattr(source, "num_rows", 0) or getattr(source, "height", 0)
        try:
            reader = pa.RecordBatchReader.from_stream(source)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError("table: a column is of a type that Arrow does not have; give it a plain one") from error
        return ArrowTable("table", reader, rows if isinstance(rows, int) else 0)
    hint = "give a path, a data frame or a pyarrow Table"
    for method in ("collect", "to_frame"):
        hint = f"{method}() it first" if hasattr(source, method) else hint
    raise UserError(f"a table cannot be read from {type(source).__name__}; {hint}")


def check_file(path: Path) -> None:
    """Raises `UserError` unless the file is there, `EnvironmentFault` if it cannot be read."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise file_error(error, path, "read") from error


def empty(label: str) -> DataError:
    """The error for a file without content."""
    return DataError(f"{label}: the file is empty; it needs a header and rows")


def damaged(label: str, kind: str) -> DataError:
    """The error for a file that is not what its name says."""
    return DataError(f"{label}: not a readable {kind} file; it may be damaged or of another kind")


def _ipc(source: Arrow) -> Arrow:
    """A reader of record batches over either form of Arrow's own files."""
    import pyarrow as pa

    if source.read(6) == b"ARROW1":
        source.seek(0)
        file = pa.ipc.open_file(source)
        batches = (file.get_batch(k) for k in range(file.num_record_batches))
        return pa.RecordBatchReader.from_batches(file.schema, batches)
    source.seek(0)
    return pa.ipc.open_stream(source)


def _pieces(batch: Arrow, positions: Sequence[int], names: Sequence[str]) -> Iterator[Arrow]:
    """The wanted columns of a batch, in pieces of `BATCH_ROWS` rows."""
    import pyarrow as pa

    picked = pa.RecordBatch.from_arrays([batch.column(k) for k in positions], names=list(names))
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield picked.slice(start, BATCH_ROWS)


PathLike = str | os.PathLike[str]
