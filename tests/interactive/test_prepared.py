"""Data with a schema in interactive sessions; frames of Polars and Arrow without one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import quorate as q
from quorate.data.agreed import load_schema
from quorate.errors import DataError, UserError

SCHEMA = """schema: 1
name: visits
columns:
  - {name: patient, type: key, domain: registry, unique: true}
  - {name: cost, type: fixed, scale: 8, range: [0, 500], missing: drop, aliases: [Kosten]}
  - {name: diagnosis, type: category, categories: [cardiac, trauma]}
  - {name: smoker, type: bool}
min_rows: 0
"""
FRAME = {
    "patient": ["p1", "p2", "p3"],
    "Kosten": [1.5, None, 99.0],
    "diagnosis": ["Cardiac", "trauma", "trauma"],
    "smoker": ["yes", "no", "no"],
}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    pd.DataFrame(FRAME).to_csv(tmp_path / "visits.csv", index=False)
    (tmp_path / "source.yaml").write_text("sql: SELECT * FROM 'visits.csv' ORDER BY patient")
    return tmp_path


def test_data_is_prepared_as_agreed(place):
    schema = place / "schema.yaml"
    sources = [
        FRAME,
        pd.DataFrame(FRAME),
        pl.DataFrame(FRAME),
        pa.table(FRAME),
        place / "visits.csv",
        place / "source.yaml",
    ]
    with q.simulate(protocol="rep3") as net:
        for source in sources:
            table = net.secret(source, schema=schema)
            cost, codes, smokers, keys = net.reveal(table.cost, table.diagnosis, table.smoker.sum(), table.patient)
            assert cost.tolist() == [1.5, 99.0]
            assert codes.tolist() == [0, 1]
            assert smokers == 1
            assert len(set(keys.tolist())) == 2
            assert table.cost.limits == (0, 500)
        agreed = load_schema(schema)
        assert net.secret(FRAME, schema=agreed).cost.sum().reveal() == 100.5


def test_tables_of_two_owners_are_linked_by_prepared_keys(place):
    with q.simulate(protocol="shamir") as net:
        left = net.secret(FRAME, schema=place / "schema.yaml")
        right = net.secret(
            {"id": ["p3", "p9"], "died": [True, True]},
            schema=load_schema_text(place, "{name: patient, type: key, domain: registry, aliases: [id]}\n"
                                    "  - {name: died, type: bool}"),
        )  # fmt: skip
        linked = q.analytics.link(left, right, on="patient")
        assert net.reveal(linked.valid.sum(), (linked.cost * linked.died).sum()) == (1, 99.0)


def load_schema_text(folder, columns):
    path = folder / "other.yaml"
    path.write_text(f"schema: 1\nname: other\ncolumns:\n  - {columns}\n")
    return path


def test_an_owner_without_rows(place):
    with q.simulate(protocol="rep3") as net:
        empty = net.secret({name: pa.array([], pa.string()) for name in FRAME}, schema=place / "schema.yaml")
        full = net.secret(FRAME, schema=place / "schema.yaml")
        assert q.concatenate([empty.cost, full.cost]).sum().reveal() == 100.5


def test_what_does_not_fit_is_named(place):
    schema = place / "schema.yaml"
    with q.simulate() as net:
        with pytest.raises(DataError, match=r"table: row 2, column 'diagnosis': 'hart' is none of the agreed"):
            net.secret(FRAME | {"diagnosis": ["trauma", "hart", "trauma"]}, schema=schema)
        with pytest.raises(UserError, match="are those of the schema; remove them"):
            net.secret(FRAME, schema=schema, range=(0, 1))
        with pytest.raises(UserError, match="an input is chosen of specs"):
            net.secret(FRAME, schema=schema, input="x")
        with pytest.raises(UserError, match="int is no schema"):
            net.secret(FRAME, schema=3)
        with pytest.raises(UserError, match="no table can be made"):
            net.secret(FRAME | {"smoker": ["yes"]}, schema=schema)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_frames_without_a_schema(make):
    data = {"x": [1.5, -2.0], "n": [3, 4], "b": [True, False]}
    with q.simulate() as net:
        table = net.secret(make(data))
        for name, values in data.items():
            np.testing.assert_array_equal(table[name].reveal(), values)
    for column in ({"x": [1.0, None]}, {"n": [1, None]}, {"t": ["a", "b"]}, {"b": [True, None]}):
        with q.simulate() as net, pytest.raises(DataError, match=r"schema|value is nan"):
            net.secret(make(column))


def test_chunks_of_arrow_are_joined():
    chunked = pa.chunked_array([[1, 2], [3]])
    with q.simulate() as net:
        table = net.secret(pa.table({"n": chunked, "b": pa.chunked_array([[True], [False, True]])}))
        assert table.n.reveal().tolist() == [1, 2, 3]
        assert table.b.sum().reveal() == 2
