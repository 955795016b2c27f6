"""Columns of categories: texts as their positions in a list that is public, and that all owners agree on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.data.column import fold
from quorate.errors import DataError, UserError
from quorate.lang.categories import Categories

__all__ = ["coded", "declared", "is_missing", "suggestion"]

MOST_SUGGESTED = 12
"""Of more different texts a message does not make a list."""


def declared(series: Any) -> Categories | None:
    """The list that a pandas categorical or a Polars enum has of its own; None for other columns."""
    found: Any = getattr(getattr(series, "dtype", None), "categories", None)
    return tuple(_text(one) for one in found.to_list()) if hasattr(found, "to_list") else None


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, or what pandas has for it."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def coded(values: Any, what: str, categories: Sequence[Any]) -> tuple[npt.NDArray[np.int64], Categories]:
    """Codes of texts (or codes that are checked), and the list.

    Categories match without regard to case and outer spaces, as in schemas. Numbers are codes only where no category is
    a number itself.

    Raises:
        DataError: a value is missing or none of the categories; names the row.
        UserError: an empty list, or a text that is in it twice.
    """
    texts = _checked(categories, what)
    codes = {fold(text): code for code, text in enumerate(texts)}
    numbers = range(0 if any(map(_is_number, texts)) else len(texts))
    found = np.empty(len(values), np.int64)
    for row, value in enumerate(np.asarray(values, dtype=object).tolist()):
        if is_missing(value):
            raise DataError(f"{what}, row {row}: a value is missing; fill it in, or make 'missing' a category")
        code = _position(value, codes, numbers)
        if code is None:
            raise DataError(f"{what}, row {row}: {value!r} is none of the categories {', '.join(texts)}")
        found[row] = code
    return found, texts


def _position(value: Any, codes: dict[str, int], numbers: range) -> int | None:
    """The code of a value: by its text, or of a number that is one of `numbers` the number itself."""
    code = codes.get(fold(str(value)), codes.get(fold(_text(value))))
    if code is None and isinstance(value, int | float) and not isinstance(value, bool) and value in numbers:
        return int(value)
    return code


def _text(value: Any) -> str:
    """The text of a category; whole floats read as integers, which pandas makes floats where some are missing."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _checked(categories: Sequence[Any], what: str) -> Categories:
    if isinstance(categories, str) or not len(categories):
        raise UserError(f"categories of {what} is a list of texts, in the order of their codes")
    texts = tuple(_text(one) for one in categories)
    folded = [fold(text) for text in texts]
    if twice := [text for text in texts if folded.count(fold(text)) > 1]:
        raise UserError(f"categories of {what}: {twice[0]!r} is there twice (case does not matter)")
    return texts


def suggestion(values: npt.NDArray[Any], what: str) -> str:
    """What to write for a column of texts called "INPUT.COLUMN"; said to who has the data."""
    texts = sorted({value for value in values.tolist() if isinstance(value, str)}, key=fold)
    listed = f"[{', '.join(map(repr, texts[:MOST_SUGGESTED]))}{', ...' if len(texts) > MOST_SUGGESTED else ''}]"
    _, dot, label = what.partition(".")
    given = f"{{{label!r}: {listed}}}" if dot else listed
    return f"for categories give categories={given}, the same list for all owners, or a schema"
