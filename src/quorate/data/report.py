"""What was found in an owner's data: problems, counted by column and rule with the first few of each, and a summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.data.fault import Fault, Rule
from quorate.data.schema import CategoryColumn, Column

__all__ = ["Example", "Findings", "Problem", "Report", "Summary", "Tally"]


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place where a rule is broken: the row (in CSV the line of the file), the value as quoted, and what to do."""

    row: int
    value: str = ""
    todo: str = ""


class Problem(msgspec.Struct, frozen=True):
    """One rule that is broken `count` times, in one column or in the table as a whole.

    `what` says how, and what to do about it where that is the same everywhere; `examples` are the first places.
    """

    rule: Rule
    what: str
    count: int = 1
    column: str | None = None
    examples: tuple[Example, ...] = ()

    def sentence(self, label: str) -> str:
        """The problem as one sentence, with its first place."""
        column = "" if self.column is None else f"column {self.column!r}: "
        if not self.examples:
            return f"{label}: {column}{self.what}"
        first = self.examples[0]
        place = f"{label}: row {first.row}" + (f", {column}" if column else ": ")
        return f"{place}{first.value}{' ' if first.value else ''}{self.what}{first.todo}"


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of the rows that are kept: how many values are missing, smallest and largest, number of categories.

    `low` and `high` are in real units and absent where nothing is known; `distinct` counts the categories that occur.
    """

    column: str
    type: str
    missing: int
    low: int | float | None = None
    high: int | float | None = None
    distinct: int | None = None


class Report(msgspec.Struct, frozen=True):
    """The outcome of a check: `rows` of the source, `kept` of them, values `filled`, problems, and columns."""

    source: str
    rows: int
    kept: int
    dropped: int
    filled: int
    problems: tuple[Problem, ...]
    columns: tuple[Summary, ...]

    @property
    def fine(self) -> bool:
        """Whether the data fits the schema."""
        return not self.problems


@dataclass
class _Group:
    """The places where one rule is broken in one column: their number, and the first few."""

    what: str
    count: int = 0
    places: list[tuple[int, str, str]] = field(default_factory=list)


class Findings:
    """Problems as they come, batch by batch."""

    def __init__(self, most: int) -> None:
        """`most`: how many places to keep of each problem."""
        self._most = most
        self._groups: dict[tuple[str, Rule], _Group] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, column: str, fault: Fault, start: int) -> None:
        """Note a fault of a batch that begins at row `start`."""
        room = self._most - len(self._group(column, fault.rule, fault.what).places)
        places = [(start + k, fault.value(k), fault.todo(k)) for k in map(int, fault.rows[: max(0, room)])]
        self.note(column, fault.rule, fault.what, len(fault.rows), places)

    def note(self, column: str, rule: Rule, what: str, count: int, places: list[tuple[int, str, str]]) -> None:
        """Note `count` places at once, of which some are given: data row from 0, value as quoted, what to do."""
        group = self._group(column, rule, what)
        group.count += count
        group.places += places[: self._most - len(group.places)]

    def drop(self, column: str, rule: Rule) -> None:
        """Forget a problem that another one explains better."""
        self._groups.pop((column, rule), None)

    def indices(self) -> list[int]:
        """All rows that are going to be named."""
        return sorted({index for group in self._groups.values() for index, _, _ in group.places})

    def problems(self, rows: dict[int, int]) -> Iterator[Problem]:
        """The problems in order of their first row; `rows` are the rows to name for `indices`."""
        for (column, rule), group in sorted(self._groups.items(), key=lambda item: item[1].places[0][0]):
            examples = tuple(Example(rows[index], value, todo) for index, value, todo in group.places)
            yield Problem(rule, group.what, group.count, column, examples)

    def _group(self, column: str, rule: Rule, what: str) -> _Group:
        return self._groups.setdefault((column, rule), _Group(what))


@dataclass
class Tally:
    """What is summed up of one column."""

    column: Column
    missing: int = 0
    low: int | float | None = None
    high: int | float | None = None
    seen: npt.NDArray[np.bool_] | None = None

    def add(self, values: npt.NDArray[np.int64] | npt.NDArray[np.float64], missing: int) -> None:
        """Note present values in real units, and how many are missing."""
        self.missing += missing
        if not values.size:
            return
        low, high = values.min().item(), values.max().item()
        self.low = low if self.low is None else min(low, self.low)
        self.high = high if self.high is None else max(high, self.high)
        if isinstance(self.column, CategoryColumn):
            seen = np.zeros(len(self.column.categories), np.bool_) if self.seen is None else self.seen
            seen[np.unique(values.astype(np.int64))] = True
            self.seen = seen

    def summary(self) -> Summary:
        """The summary of the column; codes of categories and keys say nothing, so their ends are left out."""
        kind = str(self.column.__struct_config__.tag)
        if isinstance(self.column, CategoryColumn):
            return Summary(
                self.column.name, kind, self.missing, distinct=0 if self.seen is None else int(self.seen.sum())
            )
        if kind == "key":
            return Summary(self.column.name, kind, self.missing)
        return Summary(self.column.name, kind, self.missing, self.low, self.high)
