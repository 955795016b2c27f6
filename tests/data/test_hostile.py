"""Whatever bytes a file holds, an owner gets an error that says what is wrong with it, or the right numbers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.tables import Schema, write

from quorate.data.agreed import load_schema
from quorate.data.column import LATER, content_of
from quorate.data.prepare import check, prepare
from quorate.data.schema import CategoryColumn, FixedColumn, IntColumn, KeyColumn, TimestampColumn
from quorate.data.suggest import suggest
from quorate.errors import QuorateError

COLUMNS = [
    IntColumn(name="a", missing="drop"),
    FixedColumn(name="b", missing="fill", fill=0),
    TimestampColumn(name="t", missing="drop"),
    CategoryColumn(name="c", categories=("x", "y"), missing="drop"),
    KeyColumn(name="k", domain="d", unique=True, missing="drop"),
]
PIECES = st.sampled_from(
    [
        "a,b,t,c,k\n",
        "1,2,3,x,z\n",
        ",",
        "\n",
        '"',
        "\r\n",
        "NaN",
        "inf",
        "1e400",
        "-",
        "2024-01-01",
        "T25",
        "x",
        "\u00e4",
        "\ufeff",
    ]
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(path: Path) -> None:
    for work in (
        lambda: check(path, Schema(COLUMNS, min_rows=0)),
        lambda: prepare(path, Schema(COLUMNS)),
        lambda: suggest(path),
    ):
        assert "\n" not in said(work)


def said(work) -> str:
    """The message of the error that `work` ends with, if it does."""
    try:
        work()
    except QuorateError as problem:
        return str(problem)
    return ""


@given(st.lists(PIECES, max_size=30))
@QUICK
def test_texts(tmp_path, pieces):
    outcome(write(tmp_path, "".join(pieces)))


@given(st.binary(max_size=200), st.sampled_from(["t.csv", "t.parquet", "t.arrow"]))
@QUICK
def test_bytes(tmp_path, data, name):
    outcome(write(tmp_path, data, name))


LINES = [
    "schema: 1\n", "name: x\n", "columns:\n", "  - {name: a, type: int}\n", "  - {name: a, type: key}\n",
    "    unit: [1]\n", "  - {name: b, type: fixed, unit: kg, units: {lb: {factor: x}}}\n", "min_rows: -1\n",
    "  - {name: c, units: {a: 1}, type: int}\n", "  - {name: e, type: nope}\n",
    "  - {name: d, type: category, categories: [a], synonyms: {a: 3}}\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(LINES), max_size=8))
@QUICK
def test_schema_documents(tmp_path, lines):
    message = said(lambda: load_schema(write(tmp_path, "".join(lines), "s.yaml")))
    assert not message or str(tmp_path) in message


@pytest.mark.parametrize("column", COLUMNS)
def test_later_fields_enter_digests_only_where_they_say_something(column):
    plain = content_of(column)
    assert not set(plain) & set(LATER) - {"unique"}
    assert ("unique" in plain) == column.unique
    assert msgspec.convert(plain, type(column)) == column
    assert content_of(msgspec.structs.replace(column, aliases=("z",)))["aliases"] == ("z",)


def test_progress_is_told_in_bytes_or_rows(tmp_path):
    path = write(tmp_path, "a\n" + "1\n" * 1000)
    seen = []
    check(path, Schema([IntColumn(name="a")]), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
