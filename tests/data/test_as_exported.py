"""Values as pandas, R, spreadsheets and databases write them: taken for what they mean, or refused with the reason."""

from __future__ import annotations

import datetime
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.data.tables import Schema

from quorate.data.conversion import nearly_whole
from quorate.data.prepare import check, prepare
from quorate.data.schema import (
    BoolColumn,
    CategoryColumn,
    Column,
    FixedColumn,
    IntColumn,
    KeyColumn,
    TimestampColumn,
)
from quorate.data.source import Local, Opened, open_table

WHOLE = IntColumn(name="v", missing="drop")
REAL = FixedColumn(name="v", scale=4, range=(-1000, 1000))
TIME = TimestampColumn(name="v", range=(-(10**10), 10**11))
ZONED = TimestampColumn(name="v", zone="Europe/Paris")
PERIODS = pd.DataFrame({"v": pd.period_range("2024-01", periods=2, freq="M")})


def array(*values: Any, type: Any = None) -> pa.Table:
    return pa.table({"v": pa.array(list(values), type)})


def values(source: Any, column: Column) -> list[int]:
    return prepare(source, Schema([column])).columns["v"].tolist()


def problems(source: Any, column: Column) -> list[tuple[str, str]]:
    """Rule and hint of every problem."""
    return [
        (problem.rule, problem.examples[0].todo if problem.examples else problem.what)
        for problem in check(source, Schema([column])).problems
    ]


@pytest.mark.parametrize(
    ("source", "column", "expected"),
    [
        (array("5.0", "+7", "017", "-0", "None", "<NA>", "#N/A", "NaT"), WHOLE, [5, 7, 17, 0]),
        (array("1.0", "0.0"), BoolColumn(name="v"), [1, 0]),
        (array("none", "a"), CategoryColumn(name="v", categories=("a", "None")), [1, 0]),
        (array(unicodedata.normalize("NFD", "Müller")), CategoryColumn(name="v", categories=("a", "MÜLLER")), [1]),
        (array(1717142400.9), TIME, [1717142400]),
        (array(20240531), TimestampColumn(name="v", range=(0, 10**9)), None),
        (pa.table({"v": pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([4, 5]))}), WHOLE, [4, 4, 5]),
        (pd.DataFrame({"v": pd.array([1, None, 3], "Int64")}), WHOLE, [1, 3]),
        (array(Decimal("5.00"), type=pa.decimal128(10, 2)), WHOLE, [5]),
        (array(datetime.date(1950, 1, 1)), TIME, [-631152000]),
        (array(datetime.datetime(1950, 1, 1), type=pa.timestamp("ns", "Asia/Tokyo")), TIME, [-631152000]),
    ],
)
def test_taken_for_what_it_means(source: Any, column: Column, expected: list[int] | None) -> None:
    if expected is None:
        assert [rule for rule, _ in problems(source, column)] == ["type"]
    else:
        assert values(source, column) == expected


@pytest.mark.parametrize(
    ("source", "column", "rule", "hint"),
    [
        (array("1.000"), WHOLE, "type", "a point must not separate thousands"),
        (array("-"), WHOLE, "type", "leave it empty if it is missing"),
        (array("1.234,5"), REAL, "type", "with a decimal point"),
        (array(2**64 - 1, type=pa.uint64()), WHOLE, "range", "another range"),
        (array(2**63, type=pa.uint64()), WHOLE, "range", "another range"),
        (array(-(2.0**70)), WHOLE, "range", "another range"),
        (array("99999999999999999999"), TIME, "range", "another range"),
        (array(2**60 + 1), REAL, "range", "another range"),
        (array(2**62, type=pa.timestamp("s")), TIME, "range", "another range"),
        (array(2**62, type=pa.timestamp("ms")), ZONED, "range", "another range"),
        (array("20240531"), TIME, "type", "format: '%Y%m%d'"),
        (array("31.05.2024"), TIME, "type", "state how it is written"),
        (array("2024-03-31T02:30:00"), ZONED, "type", "no such hour"),
        (array("2024-02-30"), TIME, "type", "no such day"),
        (array(datetime.timedelta(seconds=5)), TIME, "type", "correct"),
        (array(datetime.timedelta(seconds=5)), WHOLE, "type", "correct"),
        (array(datetime.datetime(2024, 1, 1)), WHOLE, "type", "correct"),
        (array(datetime.datetime(1970, 1, 1)), BoolColumn(name="v"), "type", "correct"),
        (array(datetime.datetime(2024, 1, 1)), REAL, "type", "correct"),
        (PERIODS, WHOLE, "type", "correct"),
        (PERIODS, TIME, "type", "correct"),
        (PERIODS, KeyColumn(name="v", domain="d"), "type", "correct"),
    ],
)
def test_refused_with_the_reason(source: Any, column: Column, rule: str, hint: str) -> None:
    found = problems(source, column)
    assert [name for name, _ in found] == [rule]
    assert hint in found[0][1]


@pytest.mark.parametrize("source", [array("20240531"), array(20240531)])
def test_dates_as_digits_once_it_is_stated_what_they_are(source: pa.Table) -> None:
    for local, expected in ((Local(format="%Y%m%d"), 1717113600), (Local(unit="s"), 20240531)):
        assert values(Opened(open_table(source), {"v": local}), TIME) == [expected]


def test_names_match_however_their_letters_are_composed() -> None:
    source = pa.table({unicodedata.normalize("NFD", "Größe"): [1]})
    column = IntColumn(name="v", aliases=("GRÖSSE",))
    assert values(source, column) == [1]
    assert values(Opened(open_table(source), {"v": Local(column="Größe")}), IntColumn(name="v")) == [1]


@pytest.mark.parametrize("text", ["v", "v\r\n", '"v"', "\ufeffv"])
def test_a_header_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text, "utf-8", newline="")
    assert check(tmp_path / "t.csv", Schema([WHOLE], min_rows=0)).fine
    found = check(tmp_path / "t.csv", Schema([WHOLE], min_rows=1)).problems
    assert "has a header but no rows" in found[0].what


def test_a_data_frame_of_several_batches() -> None:
    rows = 70_000
    found = values(pd.DataFrame({"v": range(rows), "unused": [object()] * rows}), WHOLE)
    assert found == list(range(rows))


def test_how_near_to_a_whole_number_a_converted_value_has_to_be() -> None:
    found = nearly_whole(np.array([1 + 2.0**-41, 1 + 2.0**-39, 2.0**20 + 2.0**-19, 2.0**53, 2.0**54]))
    assert found.tolist() == [True, False, False, True, False]


def test_times_with_a_zone_in_one_batch_and_without_in_the_next() -> None:
    batches = [pa.record_batch({"v": [text]}) for text in ("2024-05-31T08:30:00Z", "2024-05-31T08:30:00")]
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
    assert [rule for rule, _ in problems(reader, TIME)] == ["zone"]
