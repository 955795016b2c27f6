"""Schema documents: the columns that owners agree on, written down by themselves, before there is a computation.

schema: 1
name: visits
columns:
  - {name: patient, type: key, domain: registry of 2026, unique: true}
  - {name: weight, type: fixed, range: [0, 300], unit: kg, units: {lb: {factor: 0.45359237}}}
min_rows: 100
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from quorate.data.document import convert, load_yaml, raise_problems
from quorate.data.schema import Column, column_problems, row_problems

__all__ = ["Schema", "load_schema"]


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An agreed table; its columns are written as in the `inputs` of a spec."""

    schema: Literal[1]
    name: str
    columns: tuple[Column, ...]
    min_rows: int = 1
    max_rows: int = 10_000_000

    def check(self, where: str) -> None:
        """Raises `UserError` with all bad fields and their paths."""
        problems = [*column_problems(self.columns), *row_problems(self.min_rows, self.max_rows)]
        if not self.name.strip() or not self.name.isprintable():
            problems.insert(0, ("name", f"{self.name!r} cannot name a schema; use printable characters"))
        raise_problems(where, problems)


def load_schema(path: Path) -> Schema:
    """Read and check a schema document.

    Raises:
        UserError: no such file, malformed YAML (line and column), or bad fields, each with its path.
        EnvironmentFault: the file cannot be read.
    """
    schema = convert(load_yaml(path), Schema, str(path))
    schema.check(str(path))
    return schema
