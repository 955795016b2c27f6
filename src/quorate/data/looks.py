"""What columns look like that are not written as the agreed types want them, for hints in a first draft of a schema."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

__all__ = ["header_doubt", "is_prose", "other_separator", "written_otherwise"]

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_UNIT = r"(?:[A-Z]{3}|[^\w\s.,'+-])?"
_AMOUNT = re.compile(rf"[-+]?\s*{_UNIT}\s*[-+]?\d[\d.,'\s]*{_UNIT}")
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([T\s].*)?")
_WORDS_OF_PROSE = 3


def other_separator(names: Sequence[str]) -> str | None:
    """What is wrong with a header whose columns are not separated by commas; None if that is not to be seen."""
    mark = next((mark for mark in (";", "\t", "|") if len(names) == 1 and mark in names[0]), None)
    if mark is None:
        return None
    way = f"save the file with commas, or read it with the query FROM read_csv('FILE', delim='{mark}')"
    shown = way.replace("\t", "\\t")
    return f"the header is {names[0]!r}: columns must be separated by commas, not by {mark!r}; {shown}"


def header_doubt(columns: Mapping[str, Collection[str]]) -> str | None:
    """Why names of columns may be values: they read as such, or stand (casefolded) among those of their column."""
    doubtful = [
        name
        for name, folded in columns.items()
        if _NUMBER.fullmatch(name) or _DATE.fullmatch(name) or name.casefold() in folded
    ]
    if not doubtful:
        return None
    few = ", ".join(map(repr, doubtful[:3]))
    return f"The first row may be no header ({few} could be values): if so, put a row with the names above it."


def written_otherwise(texts: Collection[str]) -> str | None:
    """What to do about texts of which at least half look like dates, or like amounts; None for others."""
    if _half(_DATE, texts):
        return "looks like dates: write all as 2026-01-31, or state 'format' in a source document; then type timestamp"
    if _half(_AMOUNT, texts):
        return "looks like numbers: write all as 1234.5 without units, or convert them with a query; then type fixed"
    return None


def is_prose(texts: Collection[str]) -> bool:
    """Whether more than half of the texts have several words."""
    return sum(len(text.split()) >= _WORDS_OF_PROSE for text in texts) * 2 > len(texts)


def _half(pattern: re.Pattern[str], texts: Collection[str]) -> bool:
    return sum(pattern.fullmatch(text) is not None for text in texts) * 2 >= len(texts)
