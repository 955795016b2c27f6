"""Methods of `quorate.analytics` in a computation that organisations approve: whole results in specs and afterwards."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import py_compile
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import quorate
from quorate.cli.common import print_outcome
from quorate.cli.example import copy_example, free_ports
from quorate.cli.main import main
from quorate.cli.results_view import plain
from quorate.coordination.federation import load_federation
from quorate.coordination.spec import decode_spec, encode_spec, load_spec
from quorate.coordination.whole import with_parts, write_parts
from quorate.errors import UserError
from quorate.node.approval import load

OWNERS = ("st_mary", "st_luke", "st_anna")

SOURCE = """
import quorate
from quorate import analytics


def together(tables):
    return [quorate.concatenate([table[name] for table in tables]) for name in ("cost", "diagnosis")]


@quorate.computation
def sizes(st_mary, st_luke, st_anna):
    cost, _ = together([st_mary, st_luke, st_anna])
    return {"spread": analytics.histogram(cost, bins=[0, 1, 5000, 250000]), "patients": cost.size}
"""


WHOLE = "outputs:\n  - {name: spread, to: [institute]} # shown later\n  - name: patients # how many\n    to: all\n"


def write(folder, function, outputs):
    """The spec of a function of SOURCE, with these lines in place of the example's outputs."""
    (folder / "study.py").write_text(SOURCE)
    spec = folder / "protocol_spec.yaml"
    head = re.split("outputs:|timeouts:", spec.read_text())[0].replace("treatment_costs.plan.json", "study.plan.json")
    source = head.replace("treatment_costs.py:treatment_costs", f"study.py:{function}")
    spec.write_text(f"{source}{outputs}timeouts: {{round: 30, join: 60, session: 600}}\n")
    return spec


def quietly(*arguments):
    """Runs a command that has to succeed; what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 0
    return out.getvalue()


def simulation(spec, *more):
    given = [part for name in OWNERS for part in ("--data", f"{name}={spec.parent / name}.csv")]
    return ["run", spec, "--simulate", *given, *more]


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A compiled spec of `sizes`, what compiling noted, and `run.json` of a simulation."""
    folder = tmp_path_factory.mktemp("sizes")
    copy_example(folder / "hospital", free_ports(3))
    spec = write(folder / "hospital", "sizes", WHOLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        (folder / "compiled.json").write_text(quietly("compile", spec, "--json"))
        (folder / "hospital" / "run.json").write_text(quietly(*simulation(spec, "--json")))
    return folder


@pytest.fixture
def sizes(once, tmp_path):
    """A copy of it: the spec file."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "hospital" / "protocol_spec.yaml"


@pytest.fixture
def run(sizes):
    return sizes.parent / "run.json"


def test_compile_writes_the_parts_of_whole_results_into_the_spec(here, sizes, edit, once):
    assert "  - {name: spread, parts: [counts, shown], to: [institute]} # shown later\n" in sizes.read_text()
    approved = load(sizes, load_federation(sizes.parent / "federation.yaml"))
    assert [output.name for output in approved.spec.outputs] == ["spread.counts", "spread.shown", "patients"]
    assert approved.digest == json.loads((once / "compiled.json").read_text())["spec_digest"]
    edit(sizes, "parts: [counts, shown]", "parts: [counts]")
    told = here("compile", sizes, "--check")
    assert told.code == 4
    assert "the parts of whole results" in told.err
    told = here("quote", sizes)
    assert told.code == 2
    assert "spread.shown" in told.err


def test_parts_listed_one_by_one_are_the_same_agreement(here, sizes):
    whole = load_spec(sizes)
    each = "".join(f"  - {{name: spread.{part}, to: [institute]}}\n" for part in ("counts", "shown"))
    write(sizes.parent, "sizes", f"outputs:\n{each}  - {{name: patients, to: all}}\n")
    assert load_spec(sizes).digest("p") == whole.digest("p")
    assert here("compile", sizes, "--check").code == 0


NAMES = ["spread.counts", "spread.shown", "patients"]


def test_a_part_may_go_to_others_than_the_rest(example):
    shown = "outputs:\n  - {name: spread.shown, to: [st-mary]}\n"
    spec = write(example, "sizes", WHOLE.replace("outputs:\n", shown))
    assert write_parts(spec, with_parts(load_spec(spec, spread=False), spec, NAMES))
    given = {output.name: output.to for output in load_spec(spec).outputs}
    assert given == {"spread.shown": ("st-mary",), "spread.counts": ("institute",), "patients": "all"}


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ("", "does not list spread.counts, spread.shown, patients."),
        ("outputs:\n  - {name: patients, to: [institute]}\n", "does not list spread.counts, spread.shown."),
        ("outputs:\n  - {name: spread.counts, to: [institute]}\n", "does not list spread.shown, patients."),
        ("outputs:\n  - {name: spred, to: [institute]}\n", "lists spred, which the source does not return"),
    ],
)
def test_wrong_outputs_are_told_with_right_ones_to_paste(here, example, outputs, said):
    told = here("compile", write(example, "sizes", outputs))
    assert told.code == 2
    assert said in told.err
    advice = "outputs:\n" + told.err.rpartition("\noutputs:\n")[2]
    assert "institute" in advice
    spec = write(example, "sizes", advice)
    assert {one.name for one in with_parts(load_spec(spec, spread=False), spec, NAMES).spread.outputs} == set(NAMES)


@pytest.mark.parametrize(
    ("names", "change", "said"),
    [
        (NAMES, ("to: [institute]", "keep: spread"), "list spread.counts, spread.shown"),
        (["spread", "patients"], ("to: [inst", "parts: [counts], to: [inst"), "remove its key 'parts'"),
    ],
)
def test_parts_that_cannot_be(example, names, change, said):
    spec = write(example, "sizes", WHOLE.replace(*change))
    with pytest.raises(UserError, match=re.escape(said)):
        with_parts(load_spec(spec, spread=False), spec, names)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("parts: []", "outputs[0].parts: is written by 'quorate compile'"),
        ("parts: [a, a]", "outputs[0].parts[1]: 'a' occurs twice"),
        ("parts: [a], keep: b", "outputs[0]: keeps parts of a result under one name"),
        ("parts: [a]}\n  - {name: spread.a", "outputs[0].parts[0]: 'spread.a' is listed by itself too"),
    ],
)
def test_bad_parts_in_a_spec_are_told_with_their_place(example, parts, said):
    spec = write(example, "sizes", WHOLE.replace("to: [institute]", f"{parts}, to: [institute]"))
    with pytest.raises(UserError, match=re.escape(said)):
        load_spec(spec)


def test_parts_written_line_by_line_are_replaced(example):
    lines = "parts:\n      - old\n      - older  # two\n    to: all\n"
    spec = write(example, "sizes", "outputs:\n  - name: spread\n    " + lines + "  - {name: patients, to: all}\n")
    made = with_parts(load_spec(spec, spread=False), spec, NAMES)
    assert write_parts(spec, made, write=False)
    assert "older" in spec.read_text()
    assert write_parts(spec, made)
    assert not write_parts(spec, made)
    assert [output.name for output in load_spec(spec).outputs] == NAMES


def test_a_run_finishes_results_only_with_the_source_that_was_compiled_here(here, sizes, run, tmp_path, monkeypatch):
    finished = json.loads(run.read_text())
    assert sum(finished["rows"].values()) == finished["finished"]["patients"]
    assert set(finished["results"]) == set(NAMES)
    assert finished["finished"]["spread"] == plain(quorate.results(sizes, run))["spread"]
    ran = sizes.parent / "ran"
    (sizes.parent / "study.py").write_text(f"{SOURCE}\nopen({str(ran)!r}, 'w')\n")
    told = here(*simulation(sizes))
    assert told.code == 0
    assert "spread.counts = " in told.out
    assert "quorate results" in told.err
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another user"))
    assert "was not compiled here" in here(*simulation(sizes)).err
    assert not ran.exists()


def test_compiled_files_beside_the_source_are_not_executed(here, sizes, run):
    """A folder of others may hold some that pretend to be of the source that was compiled here."""
    source = sizes.parent / "study.py"
    ran = sizes.parent / "ran"
    other = sizes.parent / "other.py"
    other.write_text(f"open({str(ran)!r}, 'w')\n")
    stale = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(str(other), str(stale), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert here("results", sizes, run).code == 0
    assert not ran.exists()


def test_results_are_refused_where_the_source_is_another_one(here, sizes, run, edit):
    edit(sizes.parent / "study.py", "5000", "6000")
    told = here("results", sizes, run)
    assert told.code == 4
    assert "has changed since" in told.err


def test_results_without_a_note_compile_once_more(here, sizes, run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another user"))
    first = here("results", sizes, run, "--json")
    assert first.code == 0, first.err
    monkeypatch.setattr("quorate.author.results.compiled", None)  # noted now
    assert here("results", sizes, run, "--json").json() == first.json()


def test_the_newest_file_of_a_home_folder_is_taken(here, sizes, run):
    assert "no results of 'treatment-costs'" in here("results", sizes).err
    held = json.loads(run.read_text())
    folder = sizes.parent / "state" / "results"
    folder.mkdir(parents=True)
    for time, session in enumerate(("old", "new", "other")):
        path = folder / f"{session}.institute.json"
        path.write_text(
            json.dumps({**held, "session": session, "spec": "other" if session == "other" else held["spec"]})
        )
        os.utime(path, (time, time))
    assert here("results", sizes, "--json").json()["session"] == "new"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"results": None}, "no results"),
        ({"spec": "other"}, "results of 'other'"),
        ({"rows": {"st_mary": 1}}, "names other inputs"),
        ({"results": {"more": 1}}, "no output 'more'"),
        ({"results": {"spread.counts": [1, 2]}}, "results of another plan"),
        ({"results": {"spread.counts": ["a", "b", "c"]}}, "results of another plan"),
    ],
)
def test_files_that_are_no_results_of_the_plan(here, sizes, run, change, said):
    run.write_text(json.dumps(json.loads(run.read_text()) | change))
    told = here("results", sizes, run)
    assert told.code == 2
    assert said in told.err


def test_parts_that_somebody_else_received_leave_the_rest_as_it_is(sizes, run):
    run.write_text(json.dumps(json.loads(run.read_text()) | {"results": {"spread.counts": [0, 150, 150]}}))
    found = quorate.results(sizes, run)
    assert list(found) == ["spread"]
    assert found["spread"]["counts"].tolist() == [0, 150, 150]


def test_what_members_agreed_on_names_every_part(sizes):
    sent = encode_spec(load_spec(sizes))
    assert decode_spec(sent, "peer").digest("p") == load_spec(sizes).digest("p")
    with pytest.raises(UserError, match="names every part by itself"):
        decode_spec(sent.replace(b'"name":"patients"', b'"name":"patients","parts":["a"]'), "peer")


def test_a_bad_recipient_of_a_whole_result_is_told_once(sizes, edit):
    edit(sizes, "to: [institute]", "to: [institut]")
    with pytest.raises(UserError) as told:
        load(sizes, load_federation(sizes.parent / "federation.yaml"))
    assert str(told.value).count("outputs[0].to[0]") == 1
    assert "outputs[1]" not in str(told.value)


def test_results_of_another_plan_are_refused(here, sizes, run):
    run.write_text(json.dumps(json.loads(run.read_text()) | {"plan": "0" * 64}))
    told = here("results", sizes, run)
    assert told.code == 4
    assert "ran plan 0000" in told.err


def test_what_a_run_cannot_finish_is_kept_for_later(sizes, run, monkeypatch, capsys, tmp_path):
    opened = json.loads(run.read_text())
    approved = load(sizes, load_federation(sizes.parent / "federation.yaml"))
    plan = approved.plan
    values = {
        name: plan.operations[plan.outputs[name]].type.dtype.decode(np.asarray(value))
        for name, value in opened["results"].items()
    }
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another user"))
    keep = sizes.parent / "state" / "results" / "s.institute.json"
    report = SimpleNamespace(rows=opened["rows"], findings=[], rounds=1, bytes_sent=1, seconds=1.0, connect_seconds=1.0)
    report.peak_mb = 1
    print_outcome(approved, "s", values, {"alder": report}, as_json=False, keep=keep)
    told = capsys.readouterr()
    assert "spread.counts = " in told.out
    assert str(keep) in told.err
    assert "was not compiled here" in told.err
    assert plain(quorate.results(sizes)) == opened["finished"]
