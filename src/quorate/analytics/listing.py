"""Tables for people: what they hold, and how they read as plain text."""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.html import Probability

__all__ = ["MOST_OPEN", "WIDTH", "Listing", "as_lines", "bare", "shown_as", "told_label"]

WIDTH = 80
"""Characters of a line in a terminal."""

MOST_OPEN = 20
"""Longer tables are folded up."""

CHANCES = ("p_value", "pvalue", "p-value", "P>|z|", "P>|t|")
"""How names of p-values end."""


class Listing(NamedTuple):
    """A table for people; the one without title has names and single numbers."""

    title: str
    headings: list[str]
    rows: list[list[Any]]


def as_lines(listing: Listing) -> list[str]:
    """A table in plain text: long ones are cut in the middle, wide ones at the right."""
    rows = [[_short(cell) for cell in row] for row in listing.rows]
    if len(rows) > MOST_OPEN:
        rows = [*rows[: MOST_OPEN // 2], ["…"] * len(listing.headings), *rows[-MOST_OPEN // 2 :]]
    if listing.title:
        rows = [listing.headings, *rows]
    first, *others = zip(*rows, strict=True)
    lines = [cell.ljust(max(map(len, first))) for cell in first]
    for column in others:
        reach = max(map(len, column))
        if len(lines[0]) + 2 + reach > WIDTH:
            return [f"{line}  …" for line in lines]
        lines = [f"{line}  {cell.rjust(reach)}" for line, cell in zip(lines, column, strict=True)]
    return lines


def _short(cell: Any) -> str:
    if isinstance(cell, Probability):
        return str(cell)
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def shown_as(name: str, value: Any) -> Any:
    """A value as tables for people show it: those of results or columns that are p-values in a type of their own."""
    title = bare(name)
    chance = title == "p" or title.removesuffix("s").endswith(CHANCES)
    return Probability(value) if chance and isinstance(value, float) else value


def told_label(label: Any) -> str:
    """A label as text."""
    return f"{label:g}" if isinstance(label, float) else str(label)


def bare(name: str) -> str:
    """A name without its underscores."""
    return name.strip("_")
