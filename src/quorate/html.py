"""Small pieces of HTML for notebooks: tables and facts that read well on light and on dark pages, without scripts.

Everything that comes in is escaped, but for what these functions made themselves (`Markup`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["Markup", "Probability", "bytes_text", "digits", "facts", "folded", "number", "panel", "table", "text"]

MOST_ROWS = 30
"""A longer table shows its first and last rows."""

LEAST_CHANCE = 1e-4
"""Smaller p-values are shown as smaller than this."""

_STYLE = (
    ".quorate{font-size:13px;line-height:1.45;max-width:72em}"
    ".quorate .head{font-weight:600;margin:.4em 0 .3em}"
    ".quorate .note{opacity:.75;margin:.3em 0;max-width:52em}"
    ".quorate table{border-collapse:collapse;margin:.3em 0 .6em;border:0}"
    ".quorate th,.quorate td{padding:.15em .7em;border:0;border-bottom:1px solid rgba(128,128,128,.35);"
    "text-align:left;vertical-align:top;background:none;color:inherit}"
    ".quorate td.n,.quorate th.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".quorate code{background:rgba(128,128,128,.16);padding:0 .25em;border-radius:3px;color:inherit}"
    ".quorate svg{max-width:100%;height:auto}"
)
"""Colours are those of the page: only greys with transparency are added."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as HTML: escaped, unless it is `Markup`."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


class Probability(float):
    """A p-value: very small ones are shown as a bound."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"<{LEAST_CHANCE:g}" if self < LEAST_CHANCE else f"{float(self):.6g}"


def digits(value: float) -> str:
    """A number as text, with six digits; what is not there as a dash."""
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "–"
    if isinstance(value, Probability):
        return str(value)
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def number(value: Any) -> Markup:
    """A number as HTML, as of `digits`; anything else as its text."""
    return text(digits(value) if isinstance(value, int | float) and not isinstance(value, bool) else value)


def bytes_text(count: int) -> str:
    """A number of bytes for people: "812 B", "3.2 MB"."""
    size = float(count)
    for name in ("B", "kB", "MB", "GB"):
        if size < 1000 or name == "GB":
            return f"{count:,} B" if name == "B" else f"{size:,.3g} {name}"
        size /= 1000
    raise AssertionError  # the loop always ends above


def table(headings: Sequence[object], rows: Iterable[Sequence[Any]], most: int = MOST_ROWS) -> Markup:
    """A table; numbers stand on the right. Of more than `most` rows the first and the last are shown."""
    found = [list(row) for row in rows]
    numeric = [
        all(isinstance(row[k], int | float) and not isinstance(row[k], bool) for row in found)
        for k in range(len(headings))
    ]
    shown = [_row(row, numeric) for row in _ends(found, most)]
    head = "".join(f"<th{_class(numeric[k] and bool(found))}>{text(title)}</th>" for k, title in enumerate(headings))
    return Markup(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(shown)}</tbody></table>")


def _ends(rows: list[list[Any]], most: int) -> list[list[Any] | None]:
    if len(rows) <= most:
        return list(rows)
    return [*rows[: most // 2], None, *rows[len(rows) - most // 2 :]]


def _row(row: list[Any] | None, numeric: Sequence[bool]) -> str:
    if row is None:
        return f'<tr><td colspan="{len(numeric)}">…</td></tr>'
    cells = (f"<td{_class(right)}>{number(value)}</td>" for value, right in zip(row, numeric, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _class(right: bool) -> str:
    return ' class="n"' if right else ""


def facts(pairs: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Markup:
    """Names and values, one pair per line."""
    found = pairs.items() if isinstance(pairs, Mapping) else pairs
    rows = "".join(f"<tr><th>{text(name)}</th><td>{number(value)}</td></tr>" for name, value in found)
    return Markup(f"<table><tbody>{rows}</tbody></table>")


def folded(title: object, content: str) -> Markup:
    """Something that is shown when its title is clicked."""
    return Markup(f"<details><summary>{text(title)}</summary>{text(content)}</details>")


def panel(title: object, *parts: str, note: object = "") -> Markup:
    """A whole display: a heading, its parts, and a remark below."""
    below = f'<div class="note">{text(note)}</div>' if note else ""
    body = "".join(text(part) for part in parts)
    return Markup(
        f'<div class="quorate"><style>{_STYLE}</style><div class="head">{text(title)}</div>{body}{below}</div>'
    )
