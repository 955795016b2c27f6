"""Results of methods for the terminal, as JSON, and as a page of HTML."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quorate.html import Markup, facts, number, panel, text
from quorate.html import table as html_table

__all__ = ["page", "plain", "show_results"]

MOST_ROWS = 40
"""A longer table shows its first and last rows."""

Listing = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""Headings, and rows of as many cells."""


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
        if np.ndim(value) == 0 and not isinstance(value, Mapping):
            console.print(f"{name} = {plain(value)}", markup=False, soft_wrap=True)
            continue
        for index, (headings, rows) in enumerate(_listings(value)):
            console.print(_table(name if index == 0 else None, headings, rows))


def page(title: str, values: Mapping[str, Any], note: str) -> str:
    """A page of HTML with all results, and a note on where they come from."""
    parts = [_markup(name, value) for name, value in values.items()]
    body = panel(title, *parts, note=note)
    return f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{text(title)}</title>\n{body}\n</html>\n'


def _markup(name: str, value: Any) -> Markup:
    if np.ndim(value) == 0 and not isinstance(value, Mapping):
        return facts({name: plain(value)})
    own = getattr(value, "_repr_html_", None)
    parts = [html_table(headings, rows) for headings, rows in _listings(value)] if own is None else [Markup(own())]
    return panel(name, *parts)


def _listings(value: Any) -> Iterator[Listing]:
    """A result as tables."""
    if _is_frame(value):
        yield (
            ["", *map(str, value.columns)],
            [[str(key), *row] for key, row in zip(value.index, value.to_numpy().tolist(), strict=True)],
        )
    elif _is_series(value):
        yield ["", str(value.name or "value")], [[str(key), one] for key, one in value.items()]
    elif isinstance(value, Mapping):
        yield from getattr(value, "tables", lambda: [(["", "value"], [[k, plain(v)] for k, v in value.items()])])()
    else:
        array = np.asarray(value)
        matrix = array.reshape(len(array), -1)
        headings = ["value"] if array.ndim == 1 else [str(k) for k in range(matrix.shape[1])]
        yield ["", *headings], [[str(k), *row] for k, row in enumerate(matrix.tolist())]


def _table(title: str | None, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    made = Table(title=None if title is None else escape(title), title_justify="left", box=SIMPLE_HEAD)
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
        return number(value)
    return "–" if value is None else escape(str(value))


def _is_frame(value: Any) -> bool:
    return hasattr(value, "to_dict") and hasattr(value, "columns")


def _is_series(value: Any) -> bool:
    return hasattr(value, "index") and hasattr(value, "dtype") and hasattr(value, "to_dict")
