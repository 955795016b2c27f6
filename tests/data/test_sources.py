"""Where data may come from: files, data frames, queries; in batches, with the same result as at once."""

from __future__ import annotations

import csv
import gc
import os
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.tables import Schema, kinds, raw, rows, write

from quorate.data import csv_table, scan, spool, table
from quorate.data.commitment import commit
from quorate.data.prepare import check, prepare
from quorate.data.schema import CategoryColumn, FixedColumn, IntColumn, KeyColumn
from quorate.data.source import open_source, open_sql, open_table
from quorate.errors import DataError, EnvironmentFault, UserError

COLUMNS = [
    IntColumn(name="n"),
    FixedColumn(name="x", scale=4, missing="drop"),
    CategoryColumn(name="c", categories=("a", "b")),
]
SALT = b"s" * 32


def frame(count):
    return pd.DataFrame(
        {"c": np.where(np.arange(count) % 3, "a", "b"), "n": np.arange(count), "x": np.arange(count) / 2.0}
    )


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of a few rows, so that small tables have many."""
    monkeypatch.setattr(table, "BATCH_ROWS", 7)
    monkeypatch.setattr(csv_table, "_BLOCK", 64)


def sources(folder, data):
    whole = pa.Table.from_pandas(data, preserve_index=False)
    data.to_csv(folder / "t.csv", index=False)
    parquet.write_table(whole, folder / "t.parquet", row_group_size=10)
    feather.write_feather(whole, folder / "t.feather", chunksize=9)
    with pa.ipc.new_stream(folder / "t.ipc", whole.schema) as stream:
        stream.write_table(whole, max_chunksize=5)
    yield from (folder / name for name in ("t.csv", "t.parquet", "t.feather", "t.ipc"))
    yield from (
        data,
        whole,
        whole.to_reader(4),
        pl.from_pandas(data),
        pl.from_pandas(data).with_columns(pl.col("c").cast(pl.Categorical)),
    )
    yield data.astype({"c": "category", "x": "float32", "n": "int16"})
    yield pa.table(
        {"c": whole["c"].cast(pa.large_string()), "n": whole["n"].cast(pa.decimal128(21, 2)), "x": whole["x"]}
    )
    yield open_sql("SELECT * FROM 't.parquet' ORDER BY n", folder=folder)
    yield duckdb.sql(f"SELECT * FROM '{folder}/t.csv' ORDER BY n")


@pytest.mark.usefixtures("small_batches")
def test_all_sources_give_the_same(tmp_path):
    expected: dict[str, list[int]] = {}
    for source in sources(tmp_path, frame(100)):
        prepared = prepare(source, Schema(COLUMNS), salt=SALT)
        expected = expected or raw(prepared)
        assert raw(prepared) == expected, source
        assert prepared.commitment == commit({name: np.array(v, np.int64) for name, v in expected.items()}, SALT)
    assert expected["n"] == list(range(100))
    assert expected["x"] == [8 * k for k in range(100)]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@given(where=st.lists(st.integers(0, 59), min_size=1, max_size=5, unique=True), noise=st.data())
@settings(max_examples=25, deadline=None)
def test_rows_are_named_rightly_across_batches(newline, where, noise):
    """Against Python's own reader: quoted line ends, empty lines, rows that are left out before."""
    import tempfile

    odd = noise.draw(
        st.dictionaries(st.integers(0, 59), st.sampled_from(['"two\nlines"', "", "ragged", "plain"]), max_size=9)
    )
    lines, expected, ragged, line = ["n,x,c,note"], [], [], 2
    for k in range(60):
        note = odd.get(k, "plain")
        if note == "":
            lines.append("")
            line += 1
        if note == "ragged":
            lines.append("1,2")
            ragged.append(line)
            line += 1
        bad = k in where
        lines.append(f"{'bad' if bad else k},{k},a,{note if note.startswith(chr(34)) else 'plain'}")
        if bad:
            expected.append(line)
        line += 2 if note.startswith('"') else 1
    with tempfile.TemporaryDirectory() as folder:
        path = write(
            Path(folder), newline.join(lines).replace("two\n", f"two{newline}").replace("two\r\r", "two\r") + newline
        )
        found = check(path, Schema(COLUMNS), most=100)
    assert rows(found, "n", "type") == expected
    assert (rows(found, None, "fields") if ragged else []) == ragged
    assert kinds(found).get(("n", "type")) == len(where)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_rows_of_other_files_count_from_one(tmp_path, suffix):
    data = frame(50)
    data.loc[[3, 41], "c"] = "z"
    list(sources(tmp_path, data))
    assert rows(check(tmp_path / f"t.{suffix}", Schema(COLUMNS)), "c", "category") == [4, 42]


def test_a_line_longer_than_a_block_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_table, "_BLOCK", 32)
    path = write(tmp_path, f"n,x,c\n1,2,a\n2,3,{'a' * 100}\n3,4,b\n")
    with pytest.raises(DataError, match="a row is longer than 32 bytes"):
        prepare(path, Schema(COLUMNS))


@pytest.mark.parametrize("block", [1, 2, 3, 5, 64])
def test_wrong_encodings_are_found_wherever_blocks_end(tmp_path, monkeypatch, block):
    text = "n,x,c\n1,2,a\n2,3,\u20ac\n".encode() + b"3,4,\xe4\n4,5,a\n"
    path = write(tmp_path, text)
    monkeypatch.setattr(csv_table, "_BLOCK", block)
    assert csv_table._first_line_not_utf8(path) == 4
    assert csv_table._first_line_not_utf8(write(tmp_path, text[:16], "cut.csv")) is None
    assert csv_table._first_line_not_utf8(write(tmp_path, "a\n\u20ac".encode()[:-1], "end.csv")) == 2


# -- large columns -----------------------------------------------------------------------------------------------------


def test_large_columns_go_to_files_and_commit_alike(tmp_path, monkeypatch):
    data = frame(1000)
    data.to_csv(tmp_path / "t.csv", index=False)
    small = prepare(tmp_path / "t.csv", Schema(COLUMNS), salt=SALT)
    monkeypatch.setattr(csv_table, "_BLOCK", 512)
    monkeypatch.setattr(scan, "Spool", lambda names: spool.Spool(names, 1000))
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    large = prepare(tmp_path / "t.csv", Schema(COLUMNS), salt=SALT)
    assert raw(large) == raw(small)
    assert large.commitment == small.commitment
    column = large.columns["n"]
    assert column.dtype == np.int64
    assert column.flags.writeable
    column[0] = 99  # a private copy: nothing is written back
    assert len(os.listdir(tmp_path)) == 1
    del large, column
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(EnvironmentFault, match="set TMPDIR"):
        spool.Spool(["a"], 1).add({"a": np.arange(9)})


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A process reads 60 MB of CSV; what it holds of its own is far less than the file with its columns."""
    import subprocess
    import sys

    duckdb.sql(f"COPY (SELECT i AS n, i / 7 AS x, 'a' AS c FROM range(3000000) t(i)) TO '{tmp_path}/t.csv' (header)")
    program = """
import resource, sys
import pyarrow.csv, pyarrow.compute
from quorate.data.prepare import check
from tests.data.test_sources import COLUMNS
from tests.data.tables import Schema
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = check(sys.argv[1], Schema(COLUMNS, max_rows=10**7))
assert report.fine and report.rows == 3000000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "t.csv")], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert int(done.stdout) < 500


# -- source documents --------------------------------------------------------------------------------------------------


def test_a_source_document_names_a_file_and_columns(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", "Nummer,Wert,Art\n1,2,b\n")
    text = "file: data/t.csv\ncolumns: {n: {column: Nummer}, x: {column: Wert}, c: {column: Art}}"
    assert raw(prepare(write(tmp_path, text, "source.yaml"), Schema(COLUMNS))) == {"n": [1], "x": [32], "c": [1]}
    wrong = write(tmp_path, text.replace("Nummer", "Nomer"), "wrong.yaml")
    with pytest.raises(DataError, match=r"no column 'Nomer'.*did you mean 'Nummer'"):
        prepare(wrong, Schema(COLUMNS))


def test_a_source_document_holds_a_query(tmp_path):
    write(tmp_path, "n,x\n1,2\n2,4\n", "a.csv")
    write(tmp_path, "n,c\n2,b\n1,a\n", "b.csv")
    text = "sql: SELECT n, x, c FROM 'a.csv' JOIN 'b.csv' USING (n) ORDER BY n DESC"
    source = write(tmp_path, text, "source.yaml")
    assert raw(prepare(source, Schema(COLUMNS))) == {"n": [2, 1], "x": [64, 32], "c": [1, 0]}
    with pytest.raises(DataError, match=r"source.yaml: row 1, column 'c': 'b' is none of the agreed categories"):
        prepare(source, Schema([CategoryColumn(name="c", categories=("x",))]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file: a.csv\nsql: SELECT 1", "either 'file' or 'sql'"),
        ("columns: {}", "either 'file' or 'sql'"),
        ("file: a.csv\ndatabase: postgresql://x", "database: needs 'sql'"),
        ("fiel: a.csv", "unknown key 'fiel'.*did you mean 'file'"),
        ("file: none.csv", r"none\.csv: no such file"),
        ("file: source.yaml", r"'\.yaml' are not read"),
        ("sql: SELEC 1", "DuckDB refuses the query: Parser Error"),
        ("sql: SELECT * FROM 'none.csv'", "DuckDB refuses the query"),
        ("sql: SELECT 1\ndatabase: mysql://x", "a database is postgresql://"),
        ("sql: SELECT 1\ndatabase: $QUORATE_NOT_SET", "QUORATE_NOT_SET is not set"),
    ],
)
def test_refused_source_documents(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        prepare(write(tmp_path, text, "source.yaml"), Schema(COLUMNS))


def test_what_fails_while_a_query_runs_is_told(tmp_path):
    source = open_sql("SELECT CAST(CASE WHEN i = 150000 THEN 'x' ELSE '1' END AS INT) AS n FROM range(200000) t(i)")
    with pytest.raises((DataError, UserError), match="Could not convert string 'x'"):
        prepare(source, Schema([IntColumn(name="n")]))


def test_queries_fetch_nothing_from_a_network():
    with pytest.raises(UserError, match="DuckDB refuses the query"):
        open_sql("SELECT * FROM 'https://127.0.0.1:1/t.parquet'")


def test_unusable_objects():
    with pytest.raises(UserError, match=r"collect\(\) it first"):
        open_source(pl.LazyFrame({"a": [1]}))
    with pytest.raises(UserError, match="from dict"):
        open_source({"a": [1]})
    with pytest.raises(UserError, match=r"'\.txt' are not read; use one of \.csv"):
        open_table("t.txt")


def test_keys_of_a_large_table_are_quick(tmp_path):
    """Distinct keys are hashed once per batch; a repeated one costs nothing."""
    count = 200_000
    data = pa.table({"k": [f"p{k % 1000}" for k in range(count)]})
    assert len(set(raw(prepare(data, Schema([KeyColumn(name="k", domain="d")])))["k"])) == 1000


def test_python_reads_the_same_lines(tmp_path):
    """The numbering of records that messages use is that of the csv module."""
    path = write(tmp_path, 'a,b\n1,"x\n\ny"\n\n2,z\n')
    with open(path, newline="") as file:
        assert [fields for _, fields in csv_table._records(path)] == [fields for fields in csv.reader(file) if fields]
    assert [line for line, _ in csv_table._records(path)] == [1, 2, 6]


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "SELECT 1; COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'out.csv' AS a; CREATE TABLE a.t AS SELECT 1; SELECT 1",
        "INSTALL httpfs",
        "SET threads = 1",
    ],
)
def test_a_query_is_one_select_and_writes_nothing(tmp_path, query):
    with pytest.raises(UserError, match="one SELECT"):
        open_sql(query, None, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_queries_spill_is_private_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = open_sql("SELECT range AS n FROM range(100)", None, tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sum(batch.num_rows for batch in source.batches(["n"])) == 100
    assert not list(tmp_path.iterdir())


def test_variables_of_the_program_are_no_tables(tmp_path):
    secret_frame = pd.DataFrame({"n": [1]})
    with pytest.raises(UserError, match="DuckDB refuses"):
        open_sql("SELECT * FROM secret_frame", None, tmp_path)
    assert len(secret_frame) == 1


def test_passwords_are_taken_out_however_they_are_written():
    from quorate.data.sql import _without_secrets

    url = "postgresql://me:p%40ss@host/db?password=hun%20ter2"
    said = _without_secrets(RuntimeError("no: p@ss, p%40ss, hun ter2 and hun%20ter2"), url)
    assert said == "no: ..., ..., ... and ..."
