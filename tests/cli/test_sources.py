"""Whole computations on what owners may name as data: source documents, and owners without rows."""

from __future__ import annotations

import json

import pytest

SOURCE = """
import quorate

@quorate.computation
def costs(a, b):
    cost = quorate.concatenate([a.cost, b.cost])
    linked = quorate.analytics.link(a, b, on="id", size=3)
    return {
        "n": quorate.concatenate([a.id, b.id]).size,
        "total": cost.sum(),
        "mean": cost.mean(),
        "linked": linked.valid.sum(),
        "both": (linked.cost_a + linked.cost_b).sum(),
    }
""".replace('on="id", size=3)', 'on="id", size=3, suffixes=["_a", "_b"])')
SPEC = """spec: 1
name: costs
plan: costs.plan.json
source: costs.py:costs
protocol: {name: PROTOCOL, adversary: semi-honest}
parties: [alder, birch, cedar]
inputs:
  - name: a
    owner: st-mary
    columns: &c
      - {name: id, type: key, domain: d, unique: true}
      - {name: cost, type: fixed, range: [0, 100], unit: EUR, units: {ct: {factor: 0.01}}, aliases: [Preis]}
    min_rows: 0
    max_rows: 1000
  - name: b
    owner: st-luke
    columns: *c
    min_rows: 0
    max_rows: 1000
outputs:
  - {name: n, to: all}
  - {name: total, to: all}
  - {name: mean, to: all}
  - {name: linked, to: all}
  - {name: both, to: all}
"""
COLUMNS = SPEC.split("&c\n")[1].split("    min_rows")[0]


@pytest.fixture
def place(example, here, request):
    """The example's folder with a computation that takes empty inputs, compiled."""
    federation = (example / "federation.yaml").read_text()
    assert "alder" in federation
    text = SPEC.replace("&c\n", "\n").replace("*c\n", "\n" + COLUMNS).replace("PROTOCOL", request.param)
    (example / "costs.py").write_text(SOURCE)
    (example / "protocol_spec.yaml").write_text(text)
    assert here("pki", "init", example / "federation.yaml").code == 0
    compiled = here("compile", example / "protocol_spec.yaml")
    assert compiled.code == 0, compiled.err
    return example


@pytest.mark.parametrize("place", ["rep3", "shamir"], indirect=True)
def test_source_documents_and_an_owner_without_rows(place, here):
    (place / "a.csv").write_text("Nr,Cent\np1,150\np2,250\n")
    (place / "a.yaml").write_text("file: a.csv\ncolumns: {id: {column: Nr}, cost: {column: Cent, unit: ct}}")
    (place / "b.csv").write_text("id,PREIS\np2,7.5\np3,1\n")
    (place / "b.yaml").write_text("sql: FROM 'b.csv' ORDER BY id")
    (place / "empty.csv").write_text("id,cost\n")

    def run(a, b):
        ended = here(
            "run",
            place / "protocol_spec.yaml",
            "--simulate",
            "--json",
            "--data",
            f"a={place / a}",
            "--data",
            f"b={place / b}",
        )
        assert ended.code == 0, ended.err
        found = json.loads(ended.out)["results"]
        return [pytest.approx(found[name], abs=1e-3) for name in ("n", "total", "mean", "linked", "both")]

    assert run("a.yaml", "b.yaml") == [4, 12.5, 3.125, 1, 10.0]
    assert run("a.yaml", "empty.csv") == [2, 4.0, 2.0, 0, 0]
    assert run("empty.csv", "b.yaml") == [2, 8.5, 4.25, 0, 0]


@pytest.mark.parametrize("place", ["rep3"], indirect=True)
def test_what_is_wrong_in_a_source_is_told_to_its_owner(place, here):
    (place / "a.yaml").write_text("sql: SELECT 'x' AS id, 5 AS cost\ncolumns: {cost: {unit: ct}, age: {}}")
    (place / "b.csv").write_text("id,cost\np2,7\np2,7\n")
    data = ["--data", f"a={place / 'a.yaml'}", "--data", f"b={place / 'b.csv'}"]
    ended = here("run", place / "protocol_spec.yaml", "--simulate", *data)
    assert ended.code == 3
    assert "the source describes the column 'age', which is not agreed" in ended.err
    (place / "a.yaml").write_text("sql: SELECT 'x' AS id, 5 AS cost\ncolumns: {cost: {unit: ct}}")
    ended = here("run", place / "protocol_spec.yaml", "--simulate", *data)
    assert (ended.code, "b.csv: row 3, column 'id': the same value stands in an earlier row" in ended.err) == (3, True)
