"""CSV in batches, every value as text; and at which line of the file a row stands, which is found out only when asked.

The fast reader is Arrow's. It leaves rows out that have a wrong number of fields, and says which.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from quorate.data.table import Arrow, Table, check_file, empty
from quorate.errors import DataError

__all__ = ["CsvTable"]

_BLOCK = 8 << 20


@dataclass(frozen=True, slots=True)
class _Look:
    """What a first look at the bytes told: their number, quotes among them, and whether lines are empty."""

    size: int
    quotes: int
    blank_lines: bool


class CsvTable(Table):
    """A CSV file in UTF-8 with a header, separated by commas."""

    def __init__(self, path: Path) -> None:
        """Raises as `check_file`; `DataError` for a file that is empty, no UTF-8, or whose last quote stays open."""
        check_file(path)
        self._path = path
        self._look = _look(path)
        if not self._look.size:
            raise empty(str(path))
        super().__init__(str(path), _header(path))
        self._skipped: list[tuple[int, int]] = []
        self._file: Arrow = None
        _refuse_open_quote(path, self._look)

    def rows_of(self, indices: Sequence[int]) -> list[int]:
        """Lines in the file; the header stands in line 1."""
        gone = [record for record, _ in self._skipped]
        wanted = [_past(gone, index + 2) for index in indices]
        return self._lines(wanted)

    def done(self) -> tuple[int, int]:
        """In bytes; the reader is a little ahead of what it gave."""
        return (0 if self._file is None or self._file.closed else self._file.tell()), self._look.size

    def _lines(self, records: Sequence[int]) -> list[int]:
        """The lines at which records (from 1, the header) begin."""
        if not self._look.quotes and not self._look.blank_lines:
            return list(records)
        wanted, found = set(records), {}
        for number, (line, _) in enumerate(_records(self._path), 1):
            if number in wanted:
                found[number] = line
            if len(found) == len(wanted):
                break
        return [found.get(record, record) for record in records]

    def _read(self, columns: list[str]) -> Iterator[Arrow]:
        import pyarrow as pa

        if self._is_header_alone():
            return
        positions = [str(self.names.index(name)) for name in columns] or ["0"]
        try:
            with pa.OSFile(str(self._path)) as self._file:
                for batch in self._reader(positions):
                    yield batch.rename_columns(columns) if columns else batch
        except (pa.ArrowException, OSError) as error:
            raise self._fault(error) from error
        finally:
            lines = self._lines([record for record, _ in self._skipped])
            self.ragged = [(line, fields) for line, (_, fields) in zip(lines, self._skipped, strict=True)]

    def _is_header_alone(self) -> bool:
        """Whether nothing follows the header, which Arrow's reader cannot skip if it has no line end."""
        try:
            return len(list(islice(_records(self._path), 2))) < 2
        except csv.Error:  # a value too long for this reader, but there is one
            return False

    def _reader(self, positions: list[str]) -> Arrow:
        """Arrow's streaming reader of the columns at `positions` as text, named by position, without the header."""
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        names = [str(index) for index in range(len(self.names))]
        return arrow_csv.open_csv(
            self._file,
            # rows are numbered by the reader that uses no threads only
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows_after_names=1, block_size=_BLOCK, use_threads=False
            ),
            # a quoted value may span lines; looking for that costs time, so only where there are quotes
            parse_options=arrow_csv.ParseOptions(
                newlines_in_values=self._look.quotes > 0, invalid_row_handler=self._skip
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=positions, column_types=dict.fromkeys(positions, pa.string()), strings_can_be_null=False
            ),
        )

    def _skip(self, row: Arrow) -> str:
        self._skipped.append((row.number, row.actual_columns))
        return "skip"

    def _fault(self, error: Exception) -> DataError:
        """The error that says why Arrow could not go on."""
        line = _first_line_not_utf8(self._path)
        if line is not None:
            return DataError(f"{self.label}: row {line}: is not UTF-8 text; save the file in the encoding UTF-8")
        if "straddl" in str(error):
            return DataError(f"{self.label}: a row is longer than {_BLOCK} bytes; check for a quote that is not closed")
        return DataError(f"{self.label}: cannot be read as CSV ({error})")


def _past(gone: Sequence[int], record: int) -> int:
    """The number of a record among all, given its number among those that are not `gone` (in ascending order)."""
    for skipped in gone:
        if skipped > record:
            break
        record += 1
    return record


def _look(path: Path) -> _Look:
    size = quotes = 0
    blank, tail = False, b"\n"
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            if not size and (block[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in block[:4096]):
                wrong = "is not UTF-8 text (it looks like UTF-16 or a binary file); save it as CSV in UTF-8"
                raise DataError(f"{path}: {wrong}")
            size += len(block)
            quotes += block.count(b'"')
            blank = blank or _has_blank_line(tail + block)
            tail = block[-2:]
    return _Look(size, quotes, blank)


def _has_blank_line(block: bytes) -> bool:
    """Whether two line ends follow each other, in the convention of Unix or of Windows."""
    letters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    gaps, before = np.diff(ends), letters[ends[1:] - 1]
    return bool(((gaps == 1) | ((gaps == 2) & (before == ord("\r")))).any())


def _text(path: Path) -> IO[str]:
    return io.TextIOWrapper(open(path, "rb"), encoding="utf-8-sig", errors="replace", newline="")


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) at which each non-empty record begins, and its fields; slow, for messages only."""
    with _text(path) as text:
        reader = csv.reader(text, strict=False)
        line = 1
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1


def _header(path: Path) -> list[str]:
    try:
        header = next((fields for _, fields in _records(path)), None)
    except csv.Error as error:
        raise DataError(f"{path}: the header cannot be read as CSV; check its quotes") from error
    if header is None:
        raise empty(str(path))
    return [name.strip() for name in header]


def _refuse_open_quote(path: Path, look: _Look) -> None:
    """A quote that is opened and not closed would silently swallow rows; only an odd number of quotes can do that."""
    if look.quotes % 2 == 0:
        return
    start, last = _last_record(path)
    if any("\n" in value for value in last):
        raise DataError(f"{path}: row {start}: a quote is opened and never closed; close or remove it")


def _last_record(path: Path) -> tuple[int, list[str]]:
    last: tuple[int, list[str]] = (1, [])
    try:
        for record in _records(path):
            last = record
    except csv.Error:  # a value too long to be one: the open quote is in the record after the last good one
        return last[0] + 1, ["\n"]
    return last


def _first_line_not_utf8(path: Path) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                pending = len(error.object) - len(block)  # bytes of a character that the block before began
                return lines + block.count(b"\n", 0, max(0, error.start - pending))
            lines += block.count(b"\n")
    return lines if decoder.getstate()[0] else None
