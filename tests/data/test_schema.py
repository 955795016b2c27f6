"""Column types: data types, bounds, fill values and refused declarations."""

from __future__ import annotations

import pytest

from quorate.data.column import content_of
from quorate.data.schema import (
    BoolColumn,
    CategoryColumn,
    Column,
    FixedColumn,
    Int8Column,
    Int16Column,
    Int32Column,
    IntColumn,
    TimestampColumn,
)
from quorate.data.times import written
from quorate.sharing.dtype import BOOL, INT, fixed, int8, int16, int32


@pytest.mark.parametrize(
    ("column", "dtype", "bounds"),
    [
        (CategoryColumn(name="c", categories=("a", "b", "x")), INT, (0, 2)),
        (FixedColumn(name="c"), fixed(16), (-(2.0**31), 2.0**31)),
        (FixedColumn(name="c", scale=30, range=(0, 1)), fixed(30), (0, 1)),
        (IntColumn(name="c"), INT, (-(2**31), 2**31)),
        (IntColumn(name="c", range=(0, 365)), INT, (0, 365)),
        (Int8Column(name="c"), int8, (-128, 127)),
        (Int16Column(name="c", range=(0, 365)), int16, (0, 365)),
        (Int32Column(name="c"), int32, (-(2**31), 2**31 - 1)),
        (TimestampColumn(name="c"), INT, (0, 2**40)),
        (TimestampColumn(name="c", range=("1970-01-02", "1970-01-02")), INT, (86400, 2 * 86400 - 1)),
        (TimestampColumn(name="c", range=("1970-01-01", "1970-01-01T12:00"), zone="Etc/GMT-1"), INT, (-3600, 39600)),
        (TimestampColumn(name="c", range=(5, "1970-01-01T00:01:00Z"), zone="Asia/Tokyo"), INT, (5, 60)),
        (BoolColumn(name="c"), BOOL, (0, 1)),
    ],
)
def test_types_and_bounds(column: Column, dtype: object, bounds: object) -> None:
    assert list(column.problems()) == []
    assert column.dtype == dtype
    assert column.bounds == bounds


@pytest.mark.parametrize(
    ("column", "number"),
    [
        (CategoryColumn(name="c", categories=("a", "B"), missing="fill", fill=" b"), 1),
        (FixedColumn(name="c", missing="fill", fill=1.5), 1.5),
        (IntColumn(name="c", missing="fill", fill=0), 0),
        (TimestampColumn(name="c", missing="fill", fill="1970-01-02"), 86400),
        (TimestampColumn(name="c", missing="fill", fill="1970-01-01T02:00:00+01:00"), 3600),
        (TimestampColumn(name="c", missing="fill", fill=7), 7),
        (BoolColumn(name="c", missing="fill", fill=False), 0),
    ],
)
def test_fill_values(column: Column, number: float) -> None:
    assert list(column.problems()) == []
    assert column.fill_number == number


@pytest.mark.parametrize(
    ("column", "key", "text"),
    [
        (IntColumn(name=" c"), "name", "cannot name a column"),
        (IntColumn(name=""), "name", "cannot name a column"),
        (IntColumn(name="c", range=(5, 4)), "range", "lower limit 5 is above the upper limit 4"),
        (IntColumn(name="c", range=(0, 2**62)), "range", "more than 62 bits"),
        (Int8Column(name="c", range=(0, 128)), "range", "no range within that of int8, [-128, 127]"),
        (Int16Column(name="c", range=(2, 1)), "range", "no range within that of int16"),
        (IntColumn(name="c", range=(0, 10**400)), "range", "more than 62 bits"),
        (FixedColumn(name="c", range=(0, 2.0**46)), "range", "more than 62 bits"),
        (FixedColumn(name="c", range=(0, float("inf"))), "range", "more than 62 bits"),
        (FixedColumn(name="c", range=(0, float("nan"))), "range", "must be numbers"),
        (FixedColumn(name="c", scale=21), "range", "is missing"),
        (FixedColumn(name="c", scale=99), "scale", "between -32 and 48"),
        (CategoryColumn(name="c", categories=()), "categories", "is empty"),
        (CategoryColumn(name="c", categories=("a", "A ")), "categories[1]", "equals 'a'"),
        (CategoryColumn(name="c", categories=("a", " ")), "categories[1]", "is empty"),
        (CategoryColumn(name="c", categories=("a",), missing="fill", fill="b"), "fill", "none of the categories"),
        (IntColumn(name="c", missing="fill"), "fill", "if, and only if"),
        (IntColumn(name="c", fill=3), "fill", "if, and only if"),
        (IntColumn(name="c", range=(0, 2), missing="fill", fill=3), "fill", "outside the range [0, 2]"),
        (TimestampColumn(name="c", missing="fill", fill="yesterday"), "fill", "no ISO 8601 time"),
        (TimestampColumn(name="c", range=("2026-01-01", "31.12.2026")), "range", "'31.12.2026' is no ISO 8601 time"),
        (TimestampColumn(name="c", range=("2026-01-02", "2026-01-01")), "range", "above the upper limit"),
        (TimestampColumn(name="c", range=("2026-01-01", 2**40), zone="Nowhere"), "zone", "no time zone"),
    ],
)
def test_refused_declarations(column: Column, key: str, text: str) -> None:
    problems = list(column.problems())
    assert [found for found, _ in problems] == [key]
    assert text in problems[0][1]


def test_a_range_of_dates_is_agreed_on_in_seconds() -> None:
    dates = TimestampColumn(name="c", range=("2026-01-01", "2026-12-31"), zone="Europe/Berlin")
    seconds = TimestampColumn(name="c", range=(1767222000, 1798757999), zone="Europe/Berlin")
    assert dates == seconds
    assert content_of(dates) == content_of(seconds)
    assert content_of(seconds)["range"] == (1767222000, 1798757999)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (-62_135_596_800, "0001-01-01T00:00:00Z"),
        (-62_135_596_801, "-62135596801"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (2**40, "1099511627776"),
    ],
)
def test_times_as_they_are_shown(number: int, text: str) -> None:
    assert written(number) == text


def test_widest_allowed_ranges() -> None:
    assert list(IntColumn(name="c", range=(-(2**62) + 1, 2**62 - 1)).problems()) == []
    assert list(FixedColumn(name="c", range=(0, 2.0**45)).problems()) == []
