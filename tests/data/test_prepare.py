"""From tables to raw integers: right values from every kind of source, and a clear message for every bad one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.data.commitment import verify
from quorate.data.prepare import Prepared, prepare
from quorate.data.schema import BoolColumn, CategoryColumn, Column, FixedColumn, IntColumn, TimestampColumn
from quorate.data.source import open_table
from quorate.errors import DataError, UserError
from quorate.sharing.dtype import fixed


@dataclass
class Schema:
    columns: Sequence[Column]
    name: str = "st_mary"
    min_rows: int = 1
    max_rows: int = 10**6


@dataclass
class Case:
    """A CSV text, the columns it is read with and what the error must say."""

    text: str | bytes
    says: list[str]
    columns: Sequence[Column] = field(default_factory=lambda: [IntColumn(name="a")])


DIAGNOSIS = CategoryColumn(name="diagnosis", categories=("Cardiac", "trauma", "other"))
FULL: list[Column] = [
    DIAGNOSIS,
    FixedColumn(name="cost", range=(0, 500000)),
    IntColumn(name="stay_days", range=(0, 365)),
    TimestampColumn(name="admitted", zone="UTC"),
    BoolColumn(name="smoker"),
]
TEXT = """diagnosis,cost,stay_days,admitted,smoker,unused
 cardiac,1.5,3,1970-01-01T00:00:10Z,yes,x
TRAUMA,0, 4,1970-01-02,0,"y, ""z""!"
"Other",500000,365,1970-01-01T01:00:00.7+01:00,True,
"""
RAW = {
    "diagnosis": [0, 1, 2],
    "cost": [98304, 0, 500000 << 16],
    "stay_days": [3, 4, 365],
    "admitted": [10, 86400, 0],
    "smoker": [1, 0, 1],
}


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def raw(prepared: Prepared) -> dict[str, list[int]]:
    assert all(column.dtype == np.int64 for column in prepared.columns.values())
    return {name: column.tolist() for name, column in prepared.columns.items()}


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "smoker": [True, False, True],
            "diagnosis": pd.Categorical(["cardiac", "trauma", "other"]),
            "cost": [1.5, 0.0, 500000.0],
            "stay_days": [3, 4, 365],
            "admitted": pd.to_datetime(["1970-01-01T00:00:10Z", "1970-01-02T00:00:00Z", "1970-01-01T00:00:00Z"]),
        },
        index=[7, 8, 9],
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv(tmp_path: Path, newline: str) -> None:
    prepared = prepare(write(tmp_path, "\ufeff" + TEXT.replace("\n", newline)), Schema(FULL))
    assert raw(prepared) == RAW
    assert (prepared.rows, prepared.dropped, prepared.filled) == (3, 0, 0)
    assert list(prepared.columns) == [column.name for column in FULL]
    verify(prepared.commitment, prepared.columns, prepared.salt)


def test_pandas_arrow_parquet_and_feather_agree_with_csv(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    parquet.write_table(table, tmp_path / "t.parquet")
    feather.write_feather(table, tmp_path / "t.feather")
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as stream:
        stream.write_table(table)
    sources = [frame(), table, tmp_path / "t.parquet", str(tmp_path / "t.feather"), tmp_path / "t.arrow"]
    for source in sources:
        assert raw(prepare(source, Schema(FULL))) == RAW
    assert raw(prepare(open_table(table), Schema(FULL))) == RAW


@pytest.mark.parametrize(
    ("array", "column", "expected"),
    [
        (pa.array([1.0, 2.0]), IntColumn(name="a"), [1, 2]),
        (pa.array([1, 2], pa.uint8()), FixedColumn(name="a", scale=1), [2, 4]),
        (pa.array(["1", "2"], pa.large_string()), IntColumn(name="a"), [1, 2]),
        (pa.array([7, 5]), CategoryColumn(name="a", categories=("5", "7")), [1, 0]),
        (pa.array([1, 0]), BoolColumn(name="a"), [1, 0]),
        (pa.array([0, 1], pa.date32()), TimestampColumn(name="a"), [0, 86400]),
        (pa.array([1_999, -1], pa.timestamp("ms")), TimestampColumn(name="a", range=(-10, 10)), [1, -1]),
        (pa.array(["5", "6"]), TimestampColumn(name="a"), [5, 6]),
        (
            pa.array(["1970-01-01T00:00:05", "1970-01-01 00:00:05Z", "6"]),
            TimestampColumn(name="a", zone="UTC"),
            [5, 5, 6],
        ),
        (pa.array(["1e2", "+.5"]), FixedColumn(name="a", scale=1), [200, 1]),
    ],
)
def test_types_of_columns(array: object, column: Column, expected: list[int]) -> None:
    assert raw(prepare(pa.table({"a": array}), Schema([column]))) == {"a": expected}


@given(st.lists(st.floats(-(2.0**31), 2.0**31), min_size=1, max_size=20), st.integers(0, 20))
def test_fixed_point_values_are_the_nearest_raw_integers(values: list[float], scale: int) -> None:
    column = FixedColumn(name="a", scale=scale)
    texts = prepare(pa.table({"a": [repr(value) for value in values]}), Schema([column])).columns["a"]
    assert np.array_equal(texts, fixed(scale).encode(values))


def test_missing_values_by_rule(tmp_path: Path) -> None:
    columns: list[Column] = [
        IntColumn(name="a", missing="drop"),
        FixedColumn(name="b", missing="fill", fill=0.5, scale=1),
        CategoryColumn(name="c", categories=("na", "x"), missing="fill", fill="x"),
    ]
    text = "a,b,c\n1,,na\nN/A,,\n3,NaN,\n4,2,X\nnull,1,x\n"
    prepared = prepare(write(tmp_path, text), Schema(columns))
    assert raw(prepared) == {"a": [1, 3, 4], "b": [1, 1, 4], "c": [0, 1, 1]}
    assert (prepared.rows, prepared.dropped, prepared.filled) == (3, 2, 3)


@pytest.mark.parametrize("column", [IntColumn(name="a"), BoolColumn(name="a"), DIAGNOSIS, TimestampColumn(name="a")])
def test_missing_values_of_typed_columns(column: Column) -> None:
    with pytest.raises(DataError, match=r"^table: column .*: the value is missing in all 2 rows; supply the column"):
        prepare(pd.DataFrame({column.name: [None, None]}), Schema([column]))


def test_missing_values_have_no_range() -> None:
    column = IntColumn(name="a", range=(5, 9), missing="drop")
    assert raw(prepare(pa.table({"a": ["7", "", "9"]}), Schema([column]))) == {"a": [7, 9]}


def test_all_rows_may_be_dropped_but_then_there_are_too_few() -> None:
    with pytest.raises(DataError, match=r"0 rows \(1 of 1 dropped for missing values\), but input 'st_mary' needs"):
        prepare(pd.DataFrame({"a": [None]}), Schema([IntColumn(name="a", missing="drop", most_missing=1)]))


@pytest.mark.parametrize(
    "case",
    [
        Case("", ["t.csv: the file is empty"]),
        Case("\n\n", ["t.csv: the file is empty"]),
        Case("a,b\n", ["t.csv: has a header but no rows"]),
        Case("aa,b\n1,2\n", ["no column 'a'", "'aa', 'b'", "did you mean 'aa'"]),
        Case("a;b\n1;2\n", ["'a;b'", "separated by commas, not by ';'"]),
        Case("a,b,a\n1,2,3\n", ["'a' occurs twice in the header"]),
        Case("a,b\n1,2\n3\n", ["t.csv: row 3: (1 field) does not fit the header, which has 2 columns"]),
        Case("a,b\n1,2\n\n\n3,4,5\n", ["t.csv: row 5: (3 fields) does not fit the header, which has 2 columns"]),
        Case('a,b\n1,"x\n2,y\n', ["row 2: a quote is opened and never closed"]),
        Case(b"a,b\n1,x\n2,\xe4\n", ["row 3: is not UTF-8 text"], [CategoryColumn(name="b", categories=("x",))]),
        Case("a,b\n1,2\n".encode("utf-16"), ["not UTF-8", "UTF-16"]),
        Case("a\n1\n2\nx\n4\n", ["t.csv: row 4, column 'a': 'x' is not a whole number"]),
        Case('a,b\n1,"two\nlines"\nx,2\n', ["t.csv: row 4, column 'a': 'x'"]),
        Case("a\n1.5\n", ["row 2", "'1.5' is not a whole number", "agree on type fixed"]),
        Case('a\n1\n"1,234"\n', ["row 3", "'1,234' is not a whole number", "without thousands separators"]),
        Case('a\n"3,5"\n', ["'3,5' is not a number", "decimal point"], [FixedColumn(name="a")]),
        Case("a\n0x10\n", ["row 2", "'0x10' is not a whole number"]),
        Case("a\n3\n\n5\n99\n", ["row 5, column 'a': '99' is outside the agreed range [0, 10]"], [
            IntColumn(name="a", range=(0, 10))]),
        Case("a\n1\ninf\n", ["row 3", "'inf' is infinite"], [FixedColumn(name="a")]),
        Case("a\n-0.001\n", ["'-0.001' is outside the agreed range [0, 1]"], [FixedColumn(name="a", range=(0, 1))]),
        Case("a\n99999999999999999999\n", ["'99999999999999999999' is outside the agreed range"]),
        Case("diagnosis\nother\ncardio\n", ["row 3, column 'diagnosis': 'cardio' is none of the agreed categories",
                                            "Cardiac, trauma, other"], [DIAGNOSIS]),
        Case("a\nyes\nmaybe\n", ["row 3", "'maybe' is not true or false"], [BoolColumn(name="a")]),
        Case("a\n2024-01-01\n2024-02-30\n", ["row 3", "'2024-02-30' is not a time"], [TimestampColumn(name="a")]),
        Case("a\n1700000000000\n", ["outside the agreed range", "not milliseconds"], [TimestampColumn(name="a")]),
        Case("a\n2026-12-31\n2027-01-01\n", ["row 3", "'2027-01-01' is outside the agreed range "
                                             "[2026-01-01T00:00:00Z, 2026-12-31T23:59:59Z]; correct"],
             [TimestampColumn(name="a", range=("2026-01-01", "2026-12-31"))]),
        Case("a,b\n1,1\n,2\n", ["row 3, column 'a': the value is missing", "missing: drop"]),
    ],
)  # fmt: skip
def test_bad_csv(tmp_path: Path, case: Case) -> None:
    with pytest.raises(DataError) as caught:
        prepare(write(tmp_path, case.text), Schema(case.columns))
    for part in case.says:
        assert part in str(caught.value)


def test_row_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n1\n2\n3\n")
    with pytest.raises(DataError, match=r"t\.csv: 3 rows, but input 'st_mary' needs at least 4"):
        prepare(path, Schema([IntColumn(name="a")], min_rows=4))
    with pytest.raises(DataError, match=r"t\.csv: 3 rows, but input 'st_mary' may have at most 2"):
        prepare(path, Schema([IntColumn(name="a")], max_rows=2))
    assert prepare(path, Schema([IntColumn(name="a")], min_rows=3, max_rows=3)).rows == 3


@pytest.mark.parametrize("position", [0, 1, 77, 4095])
def test_the_first_bad_row_is_the_one_named(position: int) -> None:
    values = ["1"] * 4096
    for index in range(position, 4096, 100):
        values[index] = "bad"
    with pytest.raises(DataError, match=rf"table: row {position + 1}, column 'a': 'bad'"):
        prepare(pa.table({"a": values}), Schema([IntColumn(name="a")]))


@pytest.mark.parametrize(
    ("column", "array"),
    [
        (IntColumn(name="a"), pa.array([[1], [2]])),
        (FixedColumn(name="a"), pa.array([b"x"])),
        (BoolColumn(name="a"), pa.array([2])),
        (IntColumn(name="a"), pa.array([1.5])),
        (IntColumn(name="a"), pa.array([2**64 - 1], pa.uint64())),
        (CategoryColumn(name="a", categories=("x",)), pa.array([[1]])),
    ],
)
def test_columns_of_a_wrong_type(column: Column, array: object) -> None:
    with pytest.raises(DataError, match="row 1, column 'a'"):
        prepare(pa.table({"a": array}), Schema([column]))


def test_unusable_sources(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.dta: tables of kind '\.dta' are not read; use one of \.csv"):
        open_table(write(tmp_path, "x", "t.dta"))
    with pytest.raises(UserError, match=r"nothing\.csv: no such file"):
        open_table(tmp_path / "nothing.csv")
    with pytest.raises(UserError, match="from list"):
        open_table([1, 2])
    for name in ("t.parquet", "t.arrow"):
        with pytest.raises(DataError, match=r"not a readable"):
            open_table(write(tmp_path, "not this", name))
    with pytest.raises(UserError, match=r"from Series; to_frame\(\) it first"):
        open_table(pd.Series([1, 2]))
    with pytest.raises(DataError, match="'a' mixes values"):
        prepare(pd.DataFrame({"a": [1, "x", [2]], "b": 1}, dtype=object), Schema([IntColumn(name="a")]))
    assert raw(prepare(pd.DataFrame({"a": [1j], "b": 1}), Schema([IntColumn(name="b")]))) == {"b": [1]}


def test_unused_columns_may_be_anything(tmp_path: Path) -> None:
    path = write(tmp_path, b"u,a,u\nx,1,y\n")
    assert raw(prepare(path, Schema([IntColumn(name="a")]))) == {"a": [1]}


def test_no_value_in_reprs(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n123456789\n")
    prepared = prepare(path, Schema([IntColumn(name="a")]), salt=b"S" * 32)
    for text in (repr(prepared), repr(open_table(path))):
        assert "123456789" not in text
        assert "SSSS" not in text


def test_quotes_inside_values_are_no_open_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b\n1,5" pipe\n2,x\n')
    assert raw(prepare(path, Schema([IntColumn(name="a")]))) == {"a": [1, 2]}
