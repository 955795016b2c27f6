"""Queries at a real PostgreSQL server; skipped, with the reason, where none answers."""

from __future__ import annotations

import os
import uuid

import pytest
from tests.data.tables import Schema, kinds, raw, rows, write

from quorate.data.prepare import check, prepare
from quorate.data.schema import BoolColumn, CategoryColumn, Column, FixedColumn, IntColumn, KeyColumn, TimestampColumn
from quorate.data.source import Opened, open_sql
from quorate.errors import DataError, EnvironmentFault, UserError

dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")

SERVER = os.environ.get("QUORATE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
COLUMNS: list[Column] = [
    KeyColumn(name="k", domain="d", unique=True),
    FixedColumn(name="cost", scale=4),
    IntColumn(name="stay", missing="drop"),
    CategoryColumn(name="c", categories=("a", "b")),
    TimestampColumn(name="t"),
    BoolColumn(name="b"),
]
CREATE = """
CREATE TYPE {name}_kind AS ENUM ('a', 'b');
CREATE TABLE {name} (k uuid, cost numeric(9, 2), stay smallint, c {name}_kind, t timestamptz, b boolean, note text);
INSERT INTO {name} SELECT ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, i / 4.0, NULLIF(i, 3),
    (CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END)::{name}_kind, timestamptz '2024-01-01 00:00+01' + i * interval '1 s',
    i % 2 = 0, 'free text' FROM generate_series(1, 5) t(i);
"""


def run(*statements):
    with dbapi.connect(SERVER, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="module")
def visits():
    """A table on the server with five rows."""
    name = f"quorate_{uuid.uuid4().hex[:8]}"
    try:
        run("SELECT 1")
    except dbapi.Error as problem:
        pytest.skip(f"no PostgreSQL server answers at QUORATE_TEST_POSTGRES: {type(problem).__name__}")
    run(*(part for part in CREATE.format(name=name).split(";") if part.strip()))
    yield name
    run(f"DROP TABLE {name}", f"DROP TYPE {name}_kind")


def test_types_of_the_server(visits):
    found = prepare(Opened(open_sql(f"SELECT * FROM {visits} ORDER BY k", SERVER)), Schema(COLUMNS))
    values = raw(found)
    assert (found.rows, found.dropped) == (4, 1)
    assert values["cost"] == [4, 8, 16, 20]
    assert values["stay"] == [1, 2, 4, 5]
    assert values["c"] == [1, 0, 0, 1]
    assert values["t"] == [1704063600 + k for k in (1, 2, 4, 5)]
    assert values["b"] == [0, 1, 1, 0]
    written = prepare(
        open_sql(f"SELECT k::text, cost, stay, c, t, b FROM {visits} ORDER BY k", SERVER), Schema(COLUMNS)
    )
    assert raw(written)["k"] == values["k"]  # a uuid is the key that its text is


def test_many_rows_stream(visits):
    query = "SELECT i AS n FROM generate_series(1, 300000) t(i)"
    assert prepare(open_sql(query, SERVER), Schema([IntColumn(name="n")])).rows == 300000
    found = check(
        open_sql("SELECT nullif(i, 250000) AS n FROM generate_series(1, 300000) t(i)", SERVER),
        Schema([IntColumn(name="n")]),
    )
    assert (kinds(found), rows(found, "n", "missing")) == ({("n", "missing"): 1}, [250000])


def test_no_rows(visits):
    empty = open_sql(f"SELECT stay FROM {visits} WHERE false", SERVER)
    assert prepare(empty, Schema([IntColumn(name="stay")], min_rows=0)).rows == 0


def test_a_source_document_with_the_address_from_the_environment(visits, tmp_path, monkeypatch):
    monkeypatch.setenv("QUORATE_TEST_ADDRESS", SERVER)
    query = f'sql: SELECT cost AS "Preis" FROM {visits} ORDER BY k'
    text = f"{query}\ndatabase: $QUORATE_TEST_ADDRESS\ncolumns: {{cost: {{column: Preis}}}}"
    assert raw(prepare(write(tmp_path, text, "source.yaml"), Schema([COLUMNS[1]])))["cost"] == [4, 8, 12, 16, 20]


def test_nothing_can_be_changed(visits):
    for statement in (f"DELETE FROM {visits} RETURNING k", f"DROP TABLE {visits}", "CREATE TABLE quorate_new (a int)"):
        with pytest.raises((UserError, DataError), match="read-only transaction"):
            prepare(open_sql(statement, SERVER), Schema(COLUMNS))
    with pytest.raises(UserError, match="cannot insert multiple commands"):
        open_sql(f"SELECT 1 AS a; COMMIT; DROP TABLE {visits}", SERVER)


def test_refused_queries(visits):
    with pytest.raises(UserError, match=r'the database refuses the query: .*column "nope" does not exist'):
        open_sql(f"SELECT nope FROM {visits}", SERVER)
    with pytest.raises(DataError, match=r"the database broke off: .*division by zero"):
        prepare(
            open_sql("SELECT 1 / (i - 40000) AS n FROM generate_series(1, 90000) t(i)", SERVER),
            Schema([IntColumn(name="n")]),
        )


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://u:sesame@127.0.0.1:1/x", "nothing listens there"),
        ("postgresql://u:ses%ame@@127.0.0.1:1/x?y=1", "the address is malformed"),
        ("postgresql://u:sesame@no.such.host.invalid:1/x", "host is not known"),
        ("postgresql://u@127.0.0.1:1/x?password=sesame&nonsense=1", "malformed"),
        (
            "postgresql://u:sesame@127.0.0.1:5432/no_such_db",
            "there is no such user or database|user or password|nothing",
        ),
        ("u:sesame@127.0.0.1", r"a database is postgresql://"),
    ],
)
def test_no_password_is_ever_shown(address, says, capfd):
    with pytest.raises((EnvironmentFault, UserError), match=says) as caught:
        open_sql("SELECT 1", address)
    shown = [caught.value]
    while shown[-1] is not None:
        shown.append(shown[-1].__cause__)
    texts = [repr(problem) + str(problem) for problem in shown] + list(capfd.readouterr())
    assert not any("sesame" in text or "ses%ame" in text for text in texts)


def test_what_a_server_quotes_is_searched_for_the_password(visits):
    user, _, rest = SERVER.partition("://")[2].partition("@")
    address = f"postgresql://{user.partition(':')[0]}:sesame7@{rest}"
    with pytest.raises(UserError, match="the database refuses the query") as caught:  # a server that trusts takes any
        open_sql("SELECT sesame7 AS a", address)
    assert "sesame7" not in str(caught.value)
    table = open_sql("SELECT 1 AS a", address)
    assert "sesame7" not in repr(table) + repr(vars(table))
