"""A schema guessed from data is one that the data fits."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.tables import write

from quorate.data.agreed import load_schema
from quorate.data.prepare import check
from quorate.data.schema import BoolColumn, CategoryColumn, FixedColumn, IntColumn, KeyColumn, TimestampColumn
from quorate.data.suggest import suggest
from quorate.errors import DataError


def guess(tmp_path, source):
    return load_schema(write(tmp_path, suggest(source), "guess.yaml"))


TEXT = """id,cost,stay,diagnosis,admitted,smoker,note,empty,Größe (cm)
p1,1.5,3,cardiac,2024-01-01,yes,so it was,,180
p2,,12,trauma,2024-01-02T10:00:00,no,so it was,,
p3,99.75,0,Cardiac,2024-01-03,yes,else,,172.5
"""


def test_types_and_ranges(tmp_path):
    rows = "".join(f"q{k},10,1,trauma,2024-02-01,no,text {k // 2},,170\n" for k in range(200))
    path = write(tmp_path, TEXT + rows)
    text = suggest(path)
    columns = {column.name: column for column in guess(tmp_path, path).columns}
    assert columns["id"] == KeyColumn(name="id", domain="write a text here that all owners use", unique=True)
    assert columns["cost"] == FixedColumn(name="cost", scale=16, range=(0, 100), missing="drop")
    assert columns["stay"] == IntColumn(name="stay", range=(0, 12))
    assert columns["diagnosis"] == CategoryColumn(name="diagnosis", categories=("cardiac", "trauma"))
    assert columns["admitted"] == TimestampColumn(name="admitted")
    assert columns["smoker"] == BoolColumn(name="smoker")
    assert columns["Größe (cm)"].range == (0, 180)
    assert "empty" not in columns
    assert "note" not in columns
    assert "# empty: all values are missing" in text
    assert "# note: left out: texts of many kinds, some of them repeated" in text
    assert "# cost: missing in 1 of 203 rows: drop, fill or reject?" in text
    assert check(path, guess(tmp_path, path)).fine


@given(
    st.lists(
        st.tuples(
            st.floats(-1e9, 1e9) | st.none(), st.integers(-(2**50), 2**50),
            st.sampled_from(["x", "y, z", "no: [1]", "7"]), st.booleans(), st.datetimes(),
        ),
        min_size=1, max_size=30,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_was_guessed_from_a_table_fits_it(tmp_path_factory, entries):
    low, high = 0, 253402300799
    frame = pd.DataFrame(entries, columns=["f", "i", "t", "b", "m"])
    frame = frame[[low <= moment.timestamp() <= high for moment in frame["m"]]]
    if frame.empty or frame["f"].isna().all():
        return
    table = pa.table({name: frame[name].tolist() for name in frame}, pa.schema(
        {"f": pa.float64(), "i": pa.int64(), "t": pa.string(), "b": pa.bool_(), "m": pa.timestamp("us")}))  # fmt: skip
    folder = tmp_path_factory.mktemp("guess")
    report = check(table, guess(folder, table))
    assert report.fine, report.problems
    assert check(pl.from_arrow(table), guess(folder, pl.from_arrow(table))).fine


def test_times_with_and_without_zone_are_pointed_out(tmp_path):
    text = suggest(write(tmp_path, "t\n2024-01-01T00:00:00\n2024-01-01T00:00:00Z\n"))
    assert "which zone are these in?" in text
    assert "zone: UTC" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("ward,cost\n", "has no rows; there is nothing to guess from"),
        ("ward,cost\nA\n", "no row has as many fields as the header, which has 2"),
        ("ward;cost\nA;1,5\n", r"'ward;cost': columns must be separated by commas, not by ';'; .*delim=';'"),
        ("ward\tcost\nA\t1\n", r"not by '\\t'"),
    ],
)
def test_nothing_to_guess_from(tmp_path, text, says):
    with pytest.raises(DataError, match=says):
        suggest(write(tmp_path, text))


def test_rows_that_are_left_out_are_named(tmp_path):
    text = suggest(write(tmp_path, "ward,cost\nA,12.5,3\nB\nC,5\n"))
    assert text.startswith("# Guessed from 1 row. ")
    assert "# Left out for more or fewer fields than the header has: rows 2, 3. Check" in text


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["€ 1.50", '"1,234.50"', "-"], "looks like numbers"),
        (["1.234", "12%", "7"], "looks like numbers"),
        (["31/01/2026", "2026-02-01", "2026-02-30"], "looks like dates"),
        (["31.01.26 08:30", "01.02.26 17:00"], "looks like dates"),
        (["A1", "B 2", "7"], None),
        (["2026-A", "2026-B"], None),
    ],
)
def test_what_is_written_otherwise_is_pointed_out(tmp_path, values, says):
    text = suggest(write(tmp_path, "\n".join(["v", *values])))
    assert "type: category" in text
    assert ("# v: looks" in text) == (says is not None)
    assert says is None or says in text


def test_bits_are_truth_values_and_prose_is_left_out(tmp_path):
    path = write(tmp_path, "died,one,note\n" + "".join(f"{k % 2},1,he said {k}\n" for k in range(60)))
    assert guess(tmp_path, path).columns == (BoolColumn(name="died"), IntColumn(name="one", range=(0, 1)))
    assert "# note: left out: free text, or names" in suggest(path)
    assert "# died: only 0 and 1 occur; if it counts something" in suggest(path)
    assert check(path, guess(tmp_path, path)).fine
    alone = suggest(write(tmp_path, "note\n" + "".join(f"he said {k}\n" for k in range(60))))
    assert "columns: []" in alone


@pytest.mark.parametrize("header", ["Surgery,12.5", "p7,2026-01-31", "surgery,cost"])
def test_a_header_that_could_be_data_is_pointed_out(tmp_path, header):
    rows = "Surgery,3\nMedicine,4\n"
    assert "The first row may be no header" in suggest(write(tmp_path, f"{header}\n{rows}"))
    assert "The first row" not in suggest(write(tmp_path, f"ward,cost\n{rows}"))
