"""Small tables and schemas for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.data.agreed import Schema as Document
from quorate.data.agreed import load_schema
from quorate.data.prepare import Prepared
from quorate.data.report import Report
from quorate.data.schema import Column


@dataclass
class Schema:
    """An agreed input."""

    columns: Sequence[Column]
    name: str = "visits"
    min_rows: int = 1
    max_rows: int = 10**6


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def schema(folder: Path, columns: str, **rest: object) -> Document:
    """A schema document with these columns, one a line, written to `folder` and read back."""
    lines = [f"  - {line.strip()}" for line in columns.strip().splitlines()]
    more = [f"{key}: {value}" for key, value in rest.items()]
    return load_schema(write(folder, "\n".join(["schema: 1", "name: visits", "columns:", *lines, *more]), "s.yaml"))


def raw(prepared: Prepared) -> dict[str, list[int]]:
    return {name: column.tolist() for name, column in prepared.columns.items()}


def kinds(report: Report) -> dict[tuple[str | None, str], int]:
    """How often which rule is broken in which column."""
    return {(problem.column, problem.rule): problem.count for problem in report.problems}


def rows(report: Report, column: str | None, rule: str) -> list[int]:
    """The rows that are named for one problem."""
    found = [problem for problem in report.problems if (problem.column, problem.rule) == (column, rule)]
    return [example.row for example in found[0].examples]
