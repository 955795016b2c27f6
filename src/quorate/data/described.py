"""Agreed columns in the words of people who compute on them: kind, and what a value may be."""

from __future__ import annotations

import numpy as np

from quorate.data.column import RangedColumn
from quorate.data.schema import CategoryColumn, Column, TimestampColumn
from quorate.lang.array import listed

__all__ = ["described", "kind_of"]


def kind_of(column: Column) -> str:
    """The type as schemas name it: "int", "category", "timestamp" and so on."""
    return str(type(column).__struct_config__.tag)


def described(column: Column) -> tuple[str, str]:
    """The kind of a column, and its categories or its range in real units; nothing of its values."""
    return kind_of(column), _values(column)


def _values(column: Column) -> str:
    if isinstance(column, CategoryColumn):
        return listed(column.categories)
    if not isinstance(column, RangedColumn):
        return ""
    if isinstance(column, TimestampColumn):
        # of NumPy, since ranges may reach beyond the years of `datetime`
        low, high = (str(np.datetime64(end, "s")).replace("T", " ") for end in column.bounds)
        return f"{low} to {high} UTC"
    unit = column.unit
    return " ".join(filter(None, (f"{column.bounds[0]:,.10g} to {column.bounds[1]:,.10g}", unit)))
