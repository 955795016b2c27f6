"""Cost and meaning of a computation, before anybody runs it."""

from __future__ import annotations

import math

import pytest

ROWS = ("--rows", "st_mary=150", "--rows", "st_luke=100", "--rows", "st_anna=120")
SHAMIR = ("{name: rep3, adversary: semi-honest, threshold: 1}", "{name: shamir, adversary: semi-honest, threshold: 1}")
SEMI2K = (
    "{name: rep3, adversary: semi-honest, threshold: 1}\nparties: [alder, birch, cedar]",
    "{name: semi2k, adversary: semi-honest}\nparties: [alder, birch]\ndealer: cedar",
)


QUORUM = (SHAMIR[0], "{name: shamir_quorum, adversary: semi-honest, threshold: 1}")


@pytest.fixture(params=["rep3", "shamir", pytest.param("shamir_quorum", marks=pytest.mark.slow), "semi2k"])
def spec(request, example, edit):
    path = example / "protocol_spec.yaml"
    if request.param != "rep3":
        edit(path, *{"shamir": SHAMIR, "shamir_quorum": QUORUM, "semi2k": SEMI2K}[request.param])
        edit(path, "range: [0, 250000]", "range: [0, 120000]")  # what the division holds in shamir's field
        edit(example / "federation.yaml", "name: cedar, roles: [compute]", "name: cedar, roles: [compute, dealer]")
    return path


def test_a_quote_is_what_a_run_measures(here, example, spec):
    quoted = here("quote", spec, *ROWS, "--json").json()
    data = []
    for name, rows in quoted["rows"].items():
        path = example / f"{name}.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[: rows + 1]))
        data += ["--data", f"{name}={path}"]
    run = here("run", spec, "--simulate", *data, "--json").json()
    for cost in quoted["participants"]:
        measured = run["participants"][cost["name"]]
        assert measured["bytes_sent"] == cost["bytes_sent"]
        assert measured["rounds"] == cost["rounds"]
        assert measured["messages"] == cost["messages"]


def test_a_trusted_dealer_is_named_loudly_and_only_where_there_is_one(here, spec):
    has_dealer = "semi2k" in spec.read_text()
    for command in ("quote", "explain"):
        assert ("TRUSTED DEALER" in here(command, spec, *ROWS).out) == has_dealer
    assert here("quote", spec, *ROWS, "--json").json()["dealer"] == ("cedar" if has_dealer else None)


def test_an_explanation_says_who_learns_what(here, spec):
    told = here("explain", spec, *ROWS, "--json").json()
    assert told["learns"]["alder"]["results"] == {}
    assert set(told["learns"]["st-mary"]["results"]) == set(told["learns"]["institute"]["results"])
    assert told["learns"]["st-mary"]["knows"] == ["st_mary"]
    assert told["learns"]["institute"]["knows"] == []
    assert told["opened_inside"] == []
    operations = {row["output"]: row for row in told["operations"] if row["output"]}
    largest = 250_000 if told["protocol"]["name"] == "rep3" else 120_000
    assert 0 < operations["mean_cost"]["error"] < 0.01
    assert operations["patients"]["range"] == [370, 370]
    assert math.isclose(operations["mean_cost"]["range"][1], largest, rel_tol=1e-3)


def test_the_costs_of_operations_add_up_to_the_quote(here, example):
    spec = example / "protocol_spec.yaml"
    told = here("explain", spec, *ROWS, "--json").json()
    apart = sum(row["bytes_sent"] for row in told["operations"]) + sum(
        c["bytes_sent"] for c in told["openings"].values()
    )
    quoted = here("quote", spec, *ROWS, "--json").json()["bytes_sent"]
    fixed = quoted - apart  # agreement and set-up
    assert 0 < fixed < 20_000
    other = ("--rows", "st_mary=1500", "--rows", "st_luke=100", "--rows", "st_anna=120")
    more = here("explain", spec, *other, "--json").json()
    grown = sum(row["bytes_sent"] for row in more["operations"]) + sum(
        c["bytes_sent"] for c in more["openings"].values()
    )
    assert here("quote", spec, *other, "--json").json()["bytes_sent"] - grown == fixed


@pytest.mark.parametrize(
    ("rows", "said"),
    [("st_mary", "INPUT=N"), ("st_mary=x", "INPUT=N"), ("nobody=5000", "no input 'nobody'"), ("st_mary=3", "100 to")],
)
def test_wrong_row_counts(here, example, rows, said):
    for command in ("quote", "explain"):
        ended = here(command, example / "protocol_spec.yaml", "--rows", rows)
        assert ended.code == 2
        assert said in ended.err


def test_ranges_that_may_overflow_are_refused_with_operation_and_line(here, example, edit):
    edit(example / "protocol_spec.yaml", "range: [0, 250000]", "range: [0, 100000000000]")
    ended = here("quote", example / "protocol_spec.yaml")
    assert ended.code == 2
    assert "treatment_costs.py:1" in ended.err


@pytest.mark.parametrize("command", ["quote", "explain", "compile"])
def test_files_that_are_missing_or_malformed(here, example, command):
    spec = example / "protocol_spec.yaml"
    assert here(command, example / "nothing.yaml").code == 2
    spec.write_text("spec: 1\nname: [")
    ended = here(command, spec, "--json")
    assert ended.code == 2
    assert "line 2" in ended.json()["error"]["message"]


def test_a_missing_or_foreign_plan(here, example):
    plan = example / "treatment_costs.plan.json"
    plan.write_text("{}")
    assert "treatment_costs.plan.json" in here("quote", example / "protocol_spec.yaml").err
    plan.unlink()
    ended = here("quote", example / "protocol_spec.yaml")
    assert ended.code == 2
    assert "quorate compile" in ended.err
