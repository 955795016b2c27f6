"""Columns in the words of people who compute on them."""

from __future__ import annotations

import pytest

from quorate.data.described import described
from quorate.data.schema import BoolColumn, CategoryColumn, FixedColumn, Int8Column, KeyColumn, TimestampColumn


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (FixedColumn(name="x", unit="mg", range=(0.5, 1e6)), ("fixed", "0.5 to 1,000,000 mg")),
        (Int8Column(name="x", range=(-3, 9)), ("int8", "-3 to 9")),
        (CategoryColumn(name="x", categories=("a", "b")), ("category", "a, b")),
        (BoolColumn(name="x"), ("bool", "")),
        (KeyColumn(name="x", domain="people"), ("key", "")),
        (
            TimestampColumn(name="x", range=("2024-01-01", "2024-12-31")),
            ("timestamp", "2024-01-01 00:00:00 to 2024-12-31 23:59:59 UTC"),
        ),
    ],
)
def test_kind_and_values(column, wanted):
    assert described(column) == wanted


def test_times_without_a_range_reach_beyond_the_years_of_calendars():
    assert described(TimestampColumn(name="x"))[1].startswith("1970-01-01 00:00:00 to 36812-")
