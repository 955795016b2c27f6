"""One pass over an owner's table: every batch is parsed, checked against all agreed rules, and encoded.

The pass goes on after problems, so that all of them can be told at once; encoded columns are kept only while there are
none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quorate.data.fault import Rows
from quorate.data.header import resolve
from quorate.data.parse import Mask, Parsed, Parser
from quorate.data.report import Example, Findings, Problem, Report, Tally
from quorate.data.schema import Column, FixedColumn, InputSchema
from quorate.data.source import Opened
from quorate.data.spool import Spool
from quorate.data.table import Arrow, Table
from quorate.errors import DataError

__all__ = ["Scan", "scan"]

Progress = Callable[[int, int], None]
Raw = dict[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Scan:
    """What a pass found, and the encoded columns if nothing was wrong."""

    report: Report
    columns: Raw = field(repr=False)


def scan(
    opened: Opened, schema: InputSchema, *, most: int = 1, keep: bool = True, progress: Progress | None = None
) -> Scan:
    """Read a table to its end, and check it.

    Args:
        most: how many places to name of each problem.
        keep: whether to encode columns, and return them.
        progress: called after every batch with how much is done and how much there is, see `Table.done`.

    Raises:
        UserError: what the owner states about a column does not fit the schema.
        EnvironmentFault: no room for columns that do not fit into memory.
    """
    columns, names, problems = resolve(opened, schema.columns)
    work = _Work(schema, opened.table, [Parser(c, opened.local.get(c.name)) for c in columns], most, keep)
    work.problems += problems
    try:
        for batch in opened.table.batches(names):
            work.take(batch)
            if progress is not None:
                progress(*opened.table.done())
    except DataError as error:
        work.problems.append(Problem("file", str(error).removeprefix(f"{opened.table.label}: ")))
    return work.finish()


class _Work:
    """A pass as far as it has come."""

    def __init__(self, schema: InputSchema, table: Table, parsers: Sequence[Parser], most: int, keep: bool) -> None:
        self.problems: list[Problem] = []
        self._schema, self._table, self._parsers, self._most, self._keep = schema, table, parsers, most, keep
        self._rows = self._filled = 0
        self._gone: list[Rows] = []
        self._findings = Findings(most)
        self._tallies = {parser.column.name: Tally(parser.column) for parser in parsers}
        self._spool = Spool([parser.column.name for parser in parsers])
        self._unique = {parser.column.name: Spool(["value", "row"]) for parser in parsers if parser.column.unique}

    # -- a batch ------------------------------------------------------------------------------------------------------

    def take(self, batch: Arrow) -> None:
        """Check and encode the next batch."""
        parts = [parser.parse(batch.column(k)) for k, parser in enumerate(self._parsers)]
        for parser, part in zip(self._parsers, parts, strict=True):
            for fault in part.faults:
                self._findings.add(parser.column.name, fault, self._rows)
            if parser.column.missing == "reject":
                self._note_missing(parser.column, part)
        kept = self._kept(parts, batch.num_rows)
        self._gone.append(self._rows + np.flatnonzero(~kept).astype(np.int64))
        raw = {p.column.name: self._encoded(p.column, part, kept) for p, part in zip(self._parsers, parts, strict=True)}
        if self._keep and not self._findings and not self.problems:
            self._spool.add(raw)
        self._rows += batch.num_rows

    def _note_missing(self, column: Column, part: Parsed) -> None:
        rows = np.flatnonzero(part.missing)
        if rows.size:
            what = "the value is missing; supply it, or agree on 'missing: drop' or 'missing: fill'"
            places = [(self._rows + int(k), "", "") for k in rows[: self._most]]
            self._findings.note(column.name, "missing", what, len(rows), places)

    def _kept(self, parts: Sequence[Parsed], rows: int) -> Mask:
        kept = np.ones(rows, np.bool_)
        for parser, part in zip(self._parsers, parts, strict=True):
            if parser.column.missing == "drop":
                kept &= ~part.missing
        return kept

    def _encoded(self, column: Column, part: Parsed, kept: Mask) -> npt.NDArray[np.int64]:
        """The raw values of rows that are kept, missing ones filled; takes note of them."""
        good = kept & ~part.missing
        for fault in part.faults:
            good[fault.rows] = False
        self._tallies[column.name].add(part.values[good], int(part.missing.sum()))
        values = part.values
        if column.missing == "fill":
            self._filled += int((part.missing & kept).sum())
            number = column.fill_number
            values = np.where(part.missing, values.dtype.type(0 if number is None else number), values)
        raw = column.dtype.encode(values) if isinstance(column, FixedColumn) else np.asarray(values, np.int64)
        if column.unique:
            at = np.flatnonzero(good)
            self._unique[column.name].add({"value": raw[at], "row": self._rows + at})
        return raw if kept.all() else raw[kept]

    # -- the whole ----------------------------------------------------------------------------------------------------

    def finish(self) -> Scan:
        """What holds for columns and the table as a whole, and the outcome."""
        lost = sum(map(len, self._gone))
        for parser in self._parsers:
            self._note_zones(parser)
            self._note_duplicates(parser.column)
            self._check_shares(parser.column)
        self._check_fields()
        self._check_rows(self._rows - lost, lost)
        indices = self._findings.indices()
        rows = dict(zip(indices, self._table.rows_of(indices), strict=True))
        problems = (*self.problems, *self._findings.problems(rows))
        summaries = tuple(tally.summary() for tally in self._tallies.values())
        report = Report(self._table.label, self._rows, self._rows - lost, lost, self._filled, problems, summaries)
        return Scan(report, self._spool.finish() if self._keep and report.fine else {})

    def _note_zones(self, parser: Parser) -> None:
        if parser.zoned is None or parser.naive is None:
            return
        zoned = self._table.rows_of([parser.zoned])[0]
        what = f"is a time without zone, while row {zoned} states one; write all with zone, or agree on 'zone'"
        self._findings.note(parser.column.name, "zone", what, 1, [(parser.naive, "", "")])

    def _note_duplicates(self, column: Column) -> None:
        if not column.unique:
            return
        found = self._unique[column.name].finish()
        again, first = _duplicates(found["value"], found["row"])
        if again:
            rows = self._table.rows_of(first[: self._most])
            places = [(index, "", f" (first in row {row})") for index, row in zip(again, rows, strict=False)]
            what = "the same value stands in an earlier row; remove one of the rows"
            self._findings.note(column.name, "duplicate", what, len(again), places)

    def _check_shares(self, column: Column) -> None:
        tally, most = self._tallies[column.name], column.most_missing
        if self._rows and tally.missing == self._rows and most != 1:
            self._findings.drop(column.name, "missing")
            what = f"the value is missing in all {self._rows} rows; supply the column, or agree to leave it out"
            self.problems.append(Problem("all-missing", what, self._rows, column.name))
        elif most is not None and tally.missing > most * self._rows:
            what = f"the value is missing in {tally.missing} of {self._rows} rows, agreed are at most {most:g} of them"
            self.problems.append(Problem("most-missing", f"{what}; supply more values", tally.missing, column.name))

    def _check_fields(self) -> None:
        ragged = self._table.ragged
        if ragged:
            width = len(self._table.names)
            first = ragged[: self._most]
            examples = tuple(Example(line, "(1 field)" if count == 1 else f"({count} fields)") for line, count in first)
            hint = "check for missing or extra commas (put a value with a comma in quotes)"
            what = f"does not fit the header, which has {width} column{'' if width == 1 else 's'}; {hint}"
            self.problems.append(Problem("fields", what, len(ragged), None, examples))

    def _check_rows(self, kept: int, lost: int) -> None:
        schema = self._schema
        if any(problem.rule in ("file", "column", "all-missing") for problem in self.problems):
            return
        note = f" ({lost} of {self._rows} dropped for missing values)" if lost else ""
        wrong = None
        if not self._rows and schema.min_rows:
            wrong = "has a header but no rows; supply rows, or agree on 'min_rows: 0'"
        elif kept < schema.min_rows:
            wrong = f"needs at least {schema.min_rows}; supply more rows or agree on a lower min_rows"
        elif kept > schema.max_rows:
            wrong = f"may have at most {schema.max_rows}; supply fewer rows or agree on a higher max_rows"
        if wrong is not None:
            what = wrong if not self._rows else f"{kept} rows{note}, but input {schema.name!r} {wrong}"
            self.problems.append(Problem("rows", what))


def _duplicates(values: Rows, rows: Rows) -> tuple[list[int], list[int]]:
    """The rows whose value stands in an earlier row, in order; and for each the first row with that value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    first = np.searchsorted(ordered, ordered[again], side="left")
    pairs = sorted(zip(rows[order[again]].tolist(), rows[order[first]].tolist(), strict=True))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
