"""The plan as a tree and as a drawing."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

ROWS = ("--rows", "st_mary=150", "--rows", "st_luke=100", "--rows", "st_anna=120")
SVG = "{http://www.w3.org/2000/svg}"
LOOP = """\
import quorate


@quorate.computation
def treatment_costs(st_mary, st_luke, st_anna):
    x = st_mary["cost"].sum() * 0.0001
    for _ in range(200):
        x = x * 0.5 + x * x * 0.001
    return {"x": x}
"""


@pytest.fixture
def spec(example):
    return example / "protocol_spec.yaml"


def test_the_tree_leads_from_results_to_inputs(here, spec, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    told = here("explain", spec, *ROWS).out
    lines = told.splitlines()
    of_std = next(index for index, line in enumerate(lines) if line.startswith("std_cost"))
    assert "longest chain" in lines[of_std + 1]
    assert lines[of_std + 2].startswith("└── %13 sqrt")
    assert "shown elsewhere" in told
    assert "and 7 alike" in told
    assert told.count("%6 concat  ") == 1


def test_what_is_said_of_the_adversary_is_true_of_the_protocol(here, spec):
    text = spec.read_text()
    told = " ".join(here("explain", spec, *ROWS).out.split())
    assert "are taken to run the agreed program" in told
    spec.write_text(text.replace("name: rep3, adversary: semi-honest", "name: rep3_malicious, adversary: malicious"))
    told = " ".join(here("explain", spec, *ROWS).out.split())
    assert "parties may send what they like" in told
    assert "2^-40" in told
    assert "are taken to run" not in told


def test_digests_are_shown_in_full(here, spec):
    document = here("explain", spec, *ROWS, "--json").json()
    told = here("explain", spec, *ROWS).out
    assert document["plan_digest"] in told
    assert document["spec_digest"] in told
    assert len(document["plan_digest"]) == 64


def test_outputs_have_a_longest_chain_that_exists(here, spec):
    document = here("explain", spec, *ROWS, "--rtt", "40ms", "--json").json()
    operations = document["operations"]
    for output in document["outputs"].values():
        path = output["critical_path"]
        rounds = sum(operations[index]["rounds"] for index in path) + output["rounds"]
        assert rounds == output["critical_rounds"]
        assert output["critical_seconds"] >= rounds * 0.01
        if path:
            assert operations[path[0]]["kind"] == "input"
    assert set(document["outputs"]["std_cost"]["to"]) == {"institute", "st-anna", "st-luke", "st-mary"}


def test_the_drawing_is_svg_with_text_that_can_be_read(here, spec, tmp_path):
    file = tmp_path / "plan.svg"
    assert here("explain", spec, *ROWS, "--svg", file).code == 0
    root = ElementTree.fromstring(file.read_text())
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert "treatment-costs" in (title.text or "")
    assert description is not None
    assert "mean_cost_cardiac" in (description.text or "")
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "std_cost" in texts
    assert "mean_cost_cardiac and 7 more" in texts
    _, _, width, height = (float(part) for part in root.get("viewBox", "").split())
    for box in root.iter(f"{SVG}rect"):
        assert float(box.get("x", 0)) + float(box.get("width", 0)) <= width + 1
        assert float(box.get("y", 0)) + float(box.get("height", 0)) <= height + 1


def test_a_long_loop_is_folded(here, example, spec, edit, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (example / "treatment_costs.py").write_text(LOOP)
    text = spec.read_text()
    start, end = text.index("outputs:"), text.index("timeouts:")
    spec.write_text(text[:start] + "outputs:\n  - {name: x, to: [institute]}\n" + text[end:])
    edit(spec, "range: [0, 250000]", "range: [0, 10]")
    assert here("compile", spec).code == 0
    told = here("explain", spec, *ROWS, "--svg", tmp_path / "loop.svg")
    assert told.code == 0, told.err
    assert "share a box" in told.out
    assert len(told.out.splitlines()) < 80
    assert len((tmp_path / "loop.svg").read_text()) < 40_000


def test_a_drawing_that_cannot_be_written(here, spec, tmp_path):
    ended = here("explain", spec, *ROWS, "--svg", tmp_path / "no" / "plan.svg")
    assert ended.code == 2
    assert "check the path" in ended.err


@pytest.mark.parametrize(("option", "value", "said"), [("--rtt", "40", "us, ms or s"), ("--bandwidth", "9MB", "bits")])
def test_networks_that_are_none(here, spec, option, value, said):
    for command in ("quote", "explain"):
        ended = here(command, spec, *ROWS, option, value)
        assert ended.code == 2
        assert said in ended.err
