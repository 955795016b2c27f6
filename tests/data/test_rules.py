"""Every agreed rule: what it makes of values, and what it says of those that break it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.data.tables import Schema, kinds, raw, rows, schema, write

from quorate.data.keys import key_number, key_numbers
from quorate.data.prepare import check, prepare
from quorate.data.schema import CategoryColumn, FixedColumn, IntColumn, KeyColumn, TimestampColumn, column_problems
from quorate.errors import DataError, UserError


def seconds(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["cost", "COST", " Cost ", "Kosten", "KOSTEN ", "Preis"])
def test_aliases_of_column_names(tmp_path, header):
    agreed = schema(tmp_path, "{name: cost, type: int, aliases: [Kosten, preis]}")
    assert raw(prepare(pa.table({"u": [0], header: [7]}), agreed)) == {"cost": [7]}


def test_the_exact_name_comes_before_aliases(tmp_path):
    agreed = schema(tmp_path, "{name: cost, type: int, aliases: [Kosten]}")
    assert raw(prepare(pa.table({"Kosten": [1], "cost": [2], "COST": [3]}), agreed)) == {"cost": [2]}
    with pytest.raises(DataError, match="'Kosten' and 'COST' could both be the column 'cost'"):
        prepare(pa.table({"Kosten": [1], "COST": [3]}), agreed)


def test_an_alias_takes_no_column_that_is_agreed_by_its_own_name(tmp_path):
    agreed = schema(tmp_path, "{name: a, type: int}\n{name: A, type: int}")
    assert raw(prepare(pa.table({"A": [1], "a": [2]}), agreed)) == {"a": [2], "A": [1]}
    with pytest.raises(DataError, match="no column 'a'"):
        prepare(pa.table({"A": [1]}), agreed)


@pytest.mark.parametrize(
    ("column", "key", "text"),
    [
        (IntColumn(name="c", aliases=("x ",)), "aliases[0]", "cannot name a column"),
        (IntColumn(name="c", most_missing=0.1), "most_missing", "allows nothing with missing: reject"),
        (IntColumn(name="c", missing="drop", most_missing=20), "most_missing", "no share"),
        (FixedColumn(name="c", units={"lb": {}}), "unit", "is missing"),
        (FixedColumn(name="c", unit=" "), "unit", "is empty"),
        (TimestampColumn(name="c", zone="Europe/Nowhere"), "zone", "no time zone"),
        (KeyColumn(name="c", domain=" "), "domain", "is empty"),
        (KeyColumn(name="c", domain="d" * 70000), "domain", "longer than 256"),
        (KeyColumn(name="c", domain="d", missing="fill"), "missing", "cannot be made up"),
        (CategoryColumn(name="c", categories=("a",), synonyms={"b": ("c",)}), "synonyms", "none of the categories"),
        (CategoryColumn(name="c", categories=("a", "b"), synonyms={"a": ("B ",)}), "synonyms", "a category, or"),
        (CategoryColumn(name="c", categories=("a", "b"), synonyms={"a": ("x",), "b": ("X",)}), "synonyms", "synonym"),
    ],
)
def test_refused_declarations(column, key, text):
    if isinstance(column, FixedColumn) and column.units:
        from quorate.data.conversion import Conversion

        column = FixedColumn(name="c", units={"lb": Conversion(factor=2)})
    problems = list(column.problems())
    assert [found for found, _ in problems] == [key]
    assert text in problems[0][1]


def test_refused_lists_of_columns():
    columns = [IntColumn(name="a", aliases=("x",)), IntColumn(name="b", aliases=("X", "a")), IntColumn(name="a")]
    assert [path for path, _ in column_problems(columns)] == [
        "columns[1].aliases", "columns[1].aliases", "columns[2].name"]  # fmt: skip
    assert [path for path, _ in column_problems([])] == ["columns"]


# -- units -------------------------------------------------------------------------------------------------------------

WEIGHTS = """
{name: weight, type: fixed, scale: 20, range: [0, 300], unit: kg, units: {lb: {factor: 0.45359237}}}
{name: temp, type: fixed, scale: 20, range: [30, 45], unit: degC, units: {degF: {factor: "5/9", offset: "-160/9"}}}
{name: stay, type: int, range: [0, 10000], unit: min, units: {h: {factor: 60}}}
"""


def test_agreed_conversions_of_units(tmp_path):
    agreed = schema(tmp_path, WEIGHTS)
    write(tmp_path, "weight,temp,stay\n220.46226218487757,98.6,1.5\n,,\n".replace("\n,,", ""))
    source = write(
        tmp_path, "file: t.csv\ncolumns: {weight: {unit: lb}, temp: {unit: degF}, stay: {unit: h}}", "o.yaml"
    )
    assert raw(prepare(source, agreed)) == {"weight": [100 << 20], "temp": [37 << 20], "stay": [90]}
    plain = write(tmp_path, "file: t.csv\ncolumns: {weight: {unit: kg}}", "k.yaml")
    assert kinds(check(plain, agreed)) == {("temp", "range"): 1, ("stay", "type"): 1}


def test_what_does_not_come_out_whole_is_refused(tmp_path):
    agreed = schema(tmp_path, WEIGHTS)
    source = write(tmp_path, "file: t.csv\ncolumns: {stay: {unit: h}}", "o.yaml")
    write(tmp_path, "weight,temp,stay\n1,37,0.501\n1,37,inf\n1,37,999\n1,37,1e300\n")
    found = check(source, agreed)
    assert kinds(found) == {("stay", "unit"): 2, ("stay", "infinite"): 1, ("stay", "range"): 1}
    assert rows(found, "stay", "unit") == [2, 5]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("{weight: {unit: stone}}", "the unit 'stone' of column 'weight' is not agreed: agreed are kg, lb"),
        ("{weight: {zone: UTC}}", "column 'weight' has no times"),
        ("{height: {unit: m}}", "describes the column 'height', which is not agreed"),
        ("{weight: {unti: lb}}", "unti"),
    ],
)
def test_refused_statements_of_an_owner(tmp_path, columns, says):
    write(tmp_path, "weight,temp,stay\n1,37,1\n")
    with pytest.raises(UserError, match=says):
        prepare(write(tmp_path, f"file: t.csv\ncolumns: {columns}", "o.yaml"), schema(tmp_path, WEIGHTS))


@pytest.mark.parametrize("factor", ["0", '"1/0"', '"x"', '"nan"', '"1e999999999"', f'"1/{"9" * 99}"', "1e999"])
def test_refused_conversions(tmp_path, factor):
    line = f"{{name: w, type: fixed, unit: kg, units: {{lb: {{factor: {factor}}}}}}}"
    with pytest.raises(UserError, match=r"columns\[0\].units: lb: "):
        schema(tmp_path, line)


# -- categories --------------------------------------------------------------------------------------------------------


def test_synonyms_of_categories(tmp_path):
    agreed = schema(
        tmp_path, "{name: d, type: category, categories: [cardiac, trauma], synonyms: {cardiac: [I21, Heart]}}"
    )
    assert raw(prepare(pa.table({"d": [" i21", "heart", "TRAUMA", "Cardiac"]}), agreed)) == {"d": [0, 0, 1, 0]}


def test_categories_outside_the_agreed_list(tmp_path):
    agreed = schema(tmp_path, "{name: d, type: category, categories: [cardiac, trauma]}")
    found = check(write(tmp_path, "d\ncardiac\nhart\n\ntrauma\nstroke\nhart\n"), agreed, most=2)
    assert kinds(found) == {("d", "category"): 3}
    assert rows(found, "d", "category") == [3, 6]
    assert [example.value for example in found.problems[0].examples] == ["'hart'", "'stroke'"]


@pytest.mark.parametrize("values", [[5.0, 7.0], [Decimal("5"), Decimal("7.0")], ["5", "7"], [5, 7]])
def test_categories_that_are_numbers(tmp_path, values):
    agreed = schema(tmp_path, '{name: d, type: category, categories: ["5", "7"]}')
    assert raw(prepare(pa.table({"d": values}), agreed)) == {"d": [0, 1]}


# -- times -------------------------------------------------------------------------------------------------------------


def test_times_with_and_without_zone_are_refused(tmp_path):
    agreed = schema(tmp_path, "{name: t, type: timestamp}")
    path = write(tmp_path, "t\n5\n2024-01-01T00:00:00\n\n2024-01-01T00:00:00Z\n2024-01-01\n")
    with pytest.raises(DataError, match=r"row 3, column 't': is a time without zone, while row 5 states one"):
        prepare(path, agreed)
    assert kinds(check(path, agreed)) == {("t", "zone"): 1}


def test_an_agreed_zone_is_that_of_times_without(tmp_path):
    agreed = schema(tmp_path, "{name: t, type: timestamp, zone: Europe/Berlin, missing: fill, fill: 2024-07-01T12:00}")
    times = ["2024-01-01T01:00", "2024-07-01T02:00", "2024-07-01T02:00Z", "7", "", "2024-10-27T02:30"]
    utc = ["2024-01-01T00:00", "2024-07-01T00:00", "2024-07-01T02:00", "1970-01-01T00:00:07", "2024-07-01T10:00",
           "2024-10-27T00:30"]  # fmt: skip
    assert raw(prepare(pa.table({"t": times}), agreed)) == {"t": list(map(seconds, utc))}
    typed = pa.table({"t": pa.array([0, 3600], pa.timestamp("s"))})
    lenient = schema(tmp_path, "{name: t, type: timestamp, zone: Europe/Berlin, range: [-9999, 9999]}")
    assert raw(prepare(typed, lenient)) == {"t": [-3600, 0]}


def test_an_hour_that_a_clock_skips_is_no_time(tmp_path):
    agreed = schema(tmp_path, "{name: t, type: timestamp, zone: Europe/Berlin}")
    found = check(write(tmp_path, "t\n2024-03-31T01:30\n2024-03-31T02:30\n2024-03-31T03:30\n"), agreed)
    assert rows(found, "t", "type") == [3]


def test_formats_units_and_zones_of_an_owner(tmp_path):
    agreed = schema(tmp_path, "{name: t, type: timestamp}\n{name: u, type: timestamp}")
    write(tmp_path, "t,u\n01.07.2024 02:00,1500\n")
    text = 'file: t.csv\ncolumns: {t: {format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}, u: {unit: ms}}'
    assert raw(prepare(write(tmp_path, text, "o.yaml"), agreed)) == {"t": [seconds("2024-07-01")], "u": [1]}
    for bad, says in [("{format: '%z'}", "%z"), ("{zone: Nowhere}", "no time zone"), ("{unit: h}", "s, ms, us, ns")]:
        with pytest.raises(UserError, match=says):
            prepare(write(tmp_path, f"file: t.csv\ncolumns: {{t: {bad}}}", "b.yaml"), agreed)


def test_typed_and_written_times_agree(tmp_path):
    agreed = schema(tmp_path, "{name: t, type: timestamp}")
    texts = ["2024-01-01T00:00:00+01:00", "2024-06-30T12:00:00.5Z", None]
    frame = pd.DataFrame({"t": pd.to_datetime(pd.Series(texts), utc=True, format="ISO8601")}).dropna()
    assert raw(prepare(frame, agreed)) == raw(prepare(pa.table({"t": texts[:2]}), agreed))


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_are_the_same_at_every_owner(tmp_path):
    agreed = schema(tmp_path, "{name: k, type: key, domain: registry}")
    texts = raw(prepare(write(tmp_path, "k\n17\n A1\n"), agreed))["k"]
    assert texts == raw(prepare(pa.table({"k": ["17 ", "A1"]}), agreed))["k"]
    assert texts[:1] * 3 == [
        raw(prepare(pa.table({"k": [number]}), agreed))["k"][0] for number in (17, 17.0, Decimal("17.00"))]  # fmt: skip
    assert texts[1] != raw(prepare(pa.table({"k": ["a1"]}), agreed))["k"][0]
    folded = schema(tmp_path, "{name: k, type: key, domain: registry, fold: true}")
    assert raw(prepare(pa.table({"k": ["A1"]}), folded)) == raw(prepare(pa.table({"k": ["a1"]}), folded))
    other = schema(tmp_path, "{name: k, type: key, domain: elsewhere}")
    assert raw(prepare(pa.table({"k": ["17"]}), other))["k"] != texts[:1]


def test_known_key_numbers():
    """A vector: the first 8 bytes of SHA-256 over the prefixed domain and the text, without their lowest 6 bits."""
    column = KeyColumn(name="k", domain="registry")
    import hashlib

    domain = b"quorate/key/1/registry"
    for key, text in ((" A1 ", b"A1"), ("e\u0301", "\u00e9".encode()), ("\u00e9", "\u00e9".encode())):
        expected = hashlib.sha256(len(domain).to_bytes(2, "big") + domain + text).digest()
        assert key_number(column, key) == int.from_bytes(expected[:8], "big") >> 6
    numbers = key_numbers(column, [str(k) for k in range(2000)])
    assert len(set(numbers.tolist())) == 2000
    assert 0 <= numbers.min() < 1 << 53 < 1 << 57 < numbers.max() < 1 << 58


@pytest.mark.parametrize("values", [[1.5], [True], [[1]], pa.array([1], pa.timestamp("s")), [float("inf")]])
def test_what_is_no_key(values):
    found = check(pa.table({"k": values}), Schema([KeyColumn(name="k", domain="d")]))
    assert kinds(found) == {("k", "type"): 1}


def test_duplicate_keys(tmp_path):
    agreed = schema(tmp_path, "{name: k, type: key, domain: d, unique: true}\n{name: x, type: int, missing: drop}")
    path = write(tmp_path, "k,x\na,1\nb,2\na,\n\nb,4\na,5\nb,6\nc,7\n")
    with pytest.raises(
        DataError, match=r"row 6, column 'k': the same value stands in an earlier row; .*\(first in row 3\)"
    ):
        prepare(path, agreed)
    found = check(path, agreed)
    assert kinds(found) == {("k", "duplicate"): 3}  # the row without x is dropped, and no duplicate
    assert rows(found, "k", "duplicate") == [6, 7, 8]
    assert [example.todo for example in found.problems[0].examples] == [
        " (first in row 3)", " (first in row 2)", " (first in row 3)"]  # fmt: skip
    assert kinds(check(pa.table({"n": [1, 2, 1]}), Schema([IntColumn(name="n", unique=True)]))) == {
        ("n", "duplicate"): 1
    }
    assert (
        prepare(pa.table({"n": [1, None, 2, None]}), Schema([IntColumn(name="n", unique=True, missing="drop")])).rows
        == 2
    )


# -- missing values, infinities ----------------------------------------------------------------------------------------


def test_nan_is_missing_and_infinity_is_refused(tmp_path):
    agreed = schema(tmp_path, "{name: x, type: fixed, missing: drop}\n{name: n, type: int}")
    nan, inf = float("nan"), float("inf")
    for table in (
        pa.table({"x": [1.0, nan, inf, None, -inf, 2.0], "n": [1.0, 2.0, inf, 4.0, 5.0, nan]}),
        pa.table({"x": ["1", "NaN", "inf", "", "-Infinity", "2"], "n": ["1", "2", "Inf", "4", "5", "nan"]}),
        pd.DataFrame({"x": [1.0, nan, inf, nan, -inf, 2.0], "n": [1, 2, inf, 4, 5, nan]}),
    ):
        found = check(table, agreed)
        assert kinds(found) == {("x", "infinite"): 2, ("n", "infinite"): 1, ("n", "missing"): 1}
        assert (rows(found, "x", "infinite"), rows(found, "n", "missing")) == ([3, 5], [6])
        assert (found.rows, found.kept, found.dropped) == (6, 4, 2)
    with pytest.raises(DataError, match="table: row 3, column 'x': inf is infinite; supply a number"):
        prepare(pa.table({"x": [1.0, nan, inf], "n": [1, 2, 3]}), agreed)
    assert kinds(check(pa.table({"x": ["1e999"], "n": [1]}), agreed)) == {("x", "infinite"): 1}


@pytest.mark.parametrize("rule", ["reject", "drop", "fill, fill: 1"])
def test_columns_without_any_value(tmp_path, rule):
    agreed = schema(tmp_path, f"{{name: a, type: int, missing: {rule}}}\n{{name: b, type: int}}")
    with pytest.raises(DataError, match=r"^\S*t.csv: column 'a': the value is missing in all 2 rows"):
        prepare(write(tmp_path, "a,b\n,1\n,2\n"), agreed)
    assert kinds(check(pa.table({"a": pa.nulls(2), "b": [1, 2]}), agreed)) == {("a", "all-missing"): 2}


def test_the_share_of_missing_values_may_be_limited(tmp_path):
    agreed = schema(tmp_path, "{name: a, type: int, missing: drop, most_missing: 0.2}")
    assert prepare(pa.table({"a": [1, 2, 3, 4, None]}), agreed).rows == 4
    with pytest.raises(DataError, match=r"column 'a': the value is missing in 2 of 6 rows, agreed are at most 0\.2"):
        prepare(pa.table({"a": [1, 2, 3, 4, None, None]}), agreed)
    all_of_them = schema(tmp_path, "{name: a, type: int, missing: fill, fill: 3, most_missing: 1}")
    assert raw(prepare(pa.table({"a": pa.nulls(2)}), all_of_them)) == {"a": [3, 3]}


# -- rows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "pandas", "dropped"])
def test_an_owner_without_rows(tmp_path, kind):
    import pyarrow.feather as feather
    import pyarrow.parquet as parquet

    empty = pa.table({"a": pa.array([], pa.int64()), "k": pa.array([], pa.string())})
    parquet.write_table(empty, tmp_path / "t.parquet")
    feather.write_feather(empty, tmp_path / "t.arrow")
    source = {
        "csv": write(tmp_path, "a,k\n"),
        "parquet": tmp_path / "t.parquet",
        "arrow": tmp_path / "t.arrow",
        "pandas": pd.DataFrame({"a": [], "k": []}),
        "dropped": pa.table({"a": pa.nulls(2), "k": ["x", "y"]}),
    }[kind]
    columns = "{name: a, type: int, missing: drop, most_missing: 1}\n{name: k, type: key, domain: d, unique: true}"
    prepared = prepare(source, schema(tmp_path, columns, min_rows=0))
    assert raw(prepared) == {"a": [], "k": []}
    assert (prepared.rows, prepared.commitment.rows) == (0, 0)
    assert all(column.dtype == np.int64 for column in prepared.columns.values())
    with pytest.raises(DataError, match="min_rows"):
        prepare(source, schema(tmp_path, columns))


def test_ragged_rows_are_all_told(tmp_path):
    text = 'a,b\n1,2\n3\n"x\ny",4\n\n5,6,7\n8,9\n,\n'
    found = check(write(tmp_path, text), schema(tmp_path, "{name: b, type: int}"))
    assert kinds(found) == {(None, "fields"): 2, ("b", "missing"): 1}
    assert rows(found, None, "fields") == [3, 7]
    assert [example.value for example in found.problems[0].examples] == ["(1 field)", "(3 fields)"]
    assert rows(found, "b", "missing") == [9]


def test_everything_is_told_at_once(tmp_path):
    agreed = schema(
        tmp_path, "{name: a, type: int, range: [0, 9]}\n{name: b, type: bool}\n{name: c, type: int}", max_rows=2
    )
    found = check(write(tmp_path, "a,b\nx,yes\n11,maybe\n,no\n1.5,\n"), agreed)
    assert kinds(found) == {
        (None, "column"): 1, ("a", "type"): 2, ("a", "range"): 1, ("b", "type"): 1,
        ("a", "missing"): 1, ("b", "missing"): 1}  # fmt: skip
    assert "no column 'c'; the columns are 'a', 'b'" in found.problems[0].what
    with pytest.raises(DataError, match=r"no column 'c'.* \(7 problems of 6 kinds; 'quorate check-data' lists them\)"):
        prepare(tmp_path / "t.csv", agreed)


def test_summary_of_data_that_fits(tmp_path):
    columns = """
    {name: a, type: int, missing: drop}
    {name: b, type: fixed, missing: fill, fill: 0}
    {name: c, type: category, categories: [x, y, z]}
    {name: k, type: key, domain: d}
    """
    found = check(write(tmp_path, "a,b,c,k\n3,1.5,x,1\n,9,y,2\n-4,,X,3\n"), schema(tmp_path, columns))
    assert (found.fine, found.rows, found.kept, found.dropped, found.filled) == (True, 3, 2, 1, 1)
    summaries = {summary.column: summary for summary in found.columns}
    assert (summaries["a"].low, summaries["a"].high, summaries["a"].missing) == (-4, 3, 1)
    assert (summaries["b"].low, summaries["b"].high, summaries["b"].missing) == (1.5, 1.5, 1)
    assert (summaries["c"].distinct, summaries["c"].low) == (1, None)
    assert summaries["k"].low is None
