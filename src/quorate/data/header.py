"""Which column of an owner's table is which agreed column."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence

from quorate.data.column import fold
from quorate.data.looks import other_separator
from quorate.data.report import Problem
from quorate.data.schema import Column
from quorate.data.source import Local, Opened
from quorate.errors import UserError

__all__ = ["resolve"]


def resolve(opened: Opened, columns: Sequence[Column]) -> tuple[list[Column], list[str], list[Problem]]:
    """The agreed columns that are there, their names in the table, and what is wrong with others.

    What the owner states counts first, then the exact name, then name and aliases without case and outer spaces.

    Raises:
        UserError: the owner describes a column that is not agreed.
    """
    agreed = {column.name for column in columns}
    if unknown := [name for name in opened.local if name not in agreed]:
        raise UserError(
            f"the source describes the column {unknown[0]!r}, which is not agreed; {_listed(sorted(agreed))}"
        )
    there: list[Column] = []
    names: list[str] = []
    problems: list[Problem] = []
    for column in columns:
        found = _found(column, opened.local.get(column.name), opened.table.names, agreed - {column.name})
        if len(found) == 1:
            there.append(column)
            names.append(found[0])
        else:
            problems.append(Problem("column", _wrong(column, found, opened)))
    if not there and (separated := other_separator(opened.table.names)) is not None:
        problems = [Problem("column", separated)]  # once, and not for every column
    return there, names, problems


def _found(column: Column, local: Local | None, names: Sequence[str], others: set[str]) -> list[str]:
    if local is not None and local.column is not None:
        if local.column in names:
            return [local.column]
        return [name for name in dict.fromkeys(names) if _composed(name) == _composed(local.column)]
    if column.name in names:
        return [column.name]
    wanted = {fold(name) for name in (column.name, *column.aliases)}
    return [name for name in dict.fromkeys(names) if fold(name) in wanted and name not in others]


def _composed(name: str) -> str:
    """A name as it looks: letters with marks may be one character or two, which nobody sees."""
    return unicodedata.normalize("NFC", name)


def _wrong(column: Column, found: Sequence[str], opened: Opened) -> str:
    if found:
        return (
            f"{' and '.join(map(repr, found))} could both be the column {column.name!r}; rename or remove one of them"
        )
    local = opened.local.get(column.name)
    wanted = column.name if local is None or local.column is None else local.column
    return f"no column {wanted!r}; {_hint(wanted, opened.table.names)}"


def _hint(name: str, found: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, found, n=1)
    return _listed(found) + (f"; did you mean {near[0]!r}?" if near else "")


def _listed(names: Sequence[str]) -> str:
    return "the columns are " + ", ".join(repr(name) for name in names[:20]) + (" ..." if len(names) > 20 else "")
