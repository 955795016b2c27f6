"""Results of methods for the terminal, as JSON, and as a page of HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quorate.analytics.listing import Listing, shown_as
from quorate.analytics.opened import NOTE, Fitted
from quorate.html import Markup, digits, facts, panel, text
from quorate.html import table as html_table

__all__ = ["page", "plain", "show_results"]

MOST_ROWS = 40
"""A longer table shows its first and last rows."""


def plain(value: Any) -> Any:
    """A result as plain data for JSON: data frames as columns, index and data, NaN as null, infinities as texts."""
    if _is_frame(value):
        return {key: plain(part) for key, part in value.to_dict(orient="split").items()}
    if _is_series(value):
        return {"index": plain(value.index.tolist()), "data": plain(value.tolist())}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def show_results(values: Mapping[str, Any]) -> None:
    """Print results: numbers on one line each, everything else as tables."""
    console = Console(highlight=False)
    for name, value in values.items():
        if _is_number(value):
            console.print(f"{name} = {value}", markup=False, soft_wrap=True)
            continue
        for title, headings, rows in _listings(value):
            console.print(_table(f"{name}: {title}" if title else name, headings, rows))
        if note := _note(value):
            console.print(note, markup=False)


def page(title: str, values: Mapping[str, Any], note: str) -> str:
    """A page of HTML with all results, and a note on where they come from."""
    body = panel(title, *(_markup(name, value) for name, value in values.items()), note=note)
    return f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{text(title)}</title>\n{body}\n</html>\n'


def _markup(name: str, value: Any) -> Markup:
    if _is_number(value):
        return facts({name: value.item() if isinstance(value, np.generic) else value})
    if isinstance(value, Fitted):
        return panel(name, Markup(value._repr_html_()))
    return panel(name, *(html_table(headings, rows) for _, headings, rows in _listings(value)), note=_note(value))


def _note(value: Any) -> str:
    """What there is to say about a result: why cells are hidden."""
    return value.note if isinstance(value, Fitted) else str(getattr(value, "attrs", {}).get(NOTE, ""))


def _listings(value: Any) -> list[Listing]:
    """A result as tables."""
    if isinstance(value, Fitted):
        return value.tables()
    if isinstance(value, Mapping):
        return [Listing("", ["", "value"], [[name, plain(one)] for name, one in value.items()])]
    if _is_frame(value):
        columns = list(map(str, value.columns))
        rows = zip(value.index, value.to_numpy().tolist(), strict=True)
        told = [[str(name), *map(shown_as, columns, row)] for name, row in rows]
        return [Listing("", ["", *columns], told)]
    if _is_series(value):
        return [Listing("", ["", str(value.name or "value")], [[str(name), one] for name, one in value.items()])]
    array = np.asarray(value)
    matrix = array.reshape(len(array), math.prod(array.shape[1:]))
    headings = ["value"] if array.ndim == 1 else [str(k) for k in range(matrix.shape[1])]
    return [Listing("", ["", *headings], [[str(k), *row] for k, row in enumerate(matrix.tolist())])]


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    made = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD)
    for k, heading in enumerate(headings):
        made.add_column(escape(heading), justify="right" if k else "left", overflow="fold")
    cut = len(rows) > MOST_ROWS
    for row in rows[: MOST_ROWS // 2] if cut else rows:
        made.add_row(*map(_cell, row))
    if cut:
        made.add_row(f"{len(rows) - MOST_ROWS:,} more", *["…"] * (len(headings) - 1))
        for row in rows[len(rows) - MOST_ROWS // 2 :]:
            made.add_row(*map(_cell, row))
    return made


def _cell(value: Any) -> str:
    value = plain(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return digits(value)
    return "–" if value is None else escape(str(value))


def _is_number(value: Any) -> bool:
    return not isinstance(value, Mapping) and np.ndim(value) == 0


def _is_frame(value: Any) -> bool:
    return hasattr(value, "to_dict") and hasattr(value, "columns")


def _is_series(value: Any) -> bool:
    return hasattr(value, "index") and hasattr(value, "dtype") and hasattr(value, "to_dict")
