"""Rehearsals: the whole job on real nodes with made-up data, which can neither be mistaken for a run nor reach data."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.coordination.program import Job, session_program
from quorate.coordination.spec import load_spec
from quorate.coordination.synthetic import check_rows, synthetic
from quorate.engine.names import Scope
from quorate.engine.simulate import simulate
from quorate.errors import AgreementError, UserError
from quorate.lang.plan import Plan
from quorate.node import messages
from quorate.node.approval import load
from quorate.node.client import submit
from quorate.node.control import call, dial
from quorate.node.coordinator import coordinate
from quorate.node.participant import Participant

OWNERS = ("o1", "o2", "o3")
ROWS = {"o1": 7, "o2": 8, "o3": 9}
OPTIONS = [part for name, count in ROWS.items() for part in ("--rows", f"{name}={count}")]


def test_a_whole_rehearsal_measures_what_was_quoted_and_leaves_nothing(running, bodies, command):
    site, _ = running
    spec = site.total_spec("rehearsed", bodies["rep3"], "  - {name: total, to: [o1, boss, p2]}\n")
    owners = [command("join", spec, "--as", owner, "--rehearse", "--json") for owner in OWNERS]
    told = command("run", spec, "--rehearse", *OPTIONS, "--json").json()
    assert told["rehearsal"]
    assert told["as_quoted"]
    assert told["rows"] == ROWS
    assert "results" not in told
    for name in ("p1", "p2", "p3", "boss"):
        part = told["participants"][name]
        for key in ("rounds", "messages", "bytes_sent"):
            assert part["measured"][key] == part["quoted"][key]
        assert part["measured"]["seconds"] > 0
    for owner in owners:
        mine = owner.json()
        assert mine["rehearsal"]
        assert mine["session"] == told["session"]
        assert "results" not in mine
        (report,) = mine["participants"].values()
        assert report["rehearsal"]
        assert report["rows"] == ROWS
        assert report["bytes_sent"] == told["participants"][report["member"]]["quoted"]["bytes_sent"]
    assert not list(site.home.glob(f"**/*{told['session']}*"))
    assert "REHEARSAL" in (site.home / "p1.log").read_text()


def test_no_file_of_data_is_opened(site, source, bodies):
    """p1 owns an input; its node does not even have to be told where the data is."""
    site.data.clear()
    plan = source()
    whole = plan.plan("own", {"total": plan.sum(plan.read("p1"))})
    spec = site.write_spec("own", whole, bodies["rep3"], "  - {name: total, to: [boss]}\n", ["p1"])
    with site.up(["p1", "p2", "p3"]):
        approved = load(spec, site.federation)
        finished = coordinate(site.identity(), approved, {}, rehearsal={"p1": 12})
        assert finished.values == {}
        assert finished.reports["p1"].rehearsal
        assert finished.reports["p1"].rows == {"p1": 12}
        with pytest.raises(UserError, match="name its file with --data"):
            submit(site.identity(), approved)


def test_shares_that_are_kept_are_neither_used_nor_replaced(running, source, bodies, join):
    site, _ = running
    keeping = source()
    plan = keeping.plan("stock", {"doubled": keeping.add(keeping.read("o1"), keeping.read("o1"))})
    spec = site.write_spec("stock", plan, bodies["rep3"], "  - {name: doubled, keep: stock}\n", ["o1"])
    join(site, spec, ["o1"])
    coordinate(site.identity(), load(spec, site.federation), {})
    kept = {path: path.read_bytes() for path in site.home.glob("kept/*/stock.share")}
    assert len(kept) == 3

    using = source()
    again = using.add(using.read("before"), using.read("before"))
    plan = using.plan("restock", {"again": again, "sum": using.sum(again)})
    outputs = "  - {name: again, keep: stock}\n  - {name: sum, to: [boss]}\n"
    later = site.write_spec("restock", plan, bodies["rep3"], outputs, ["before"])
    later.write_text(later.read_text().replace("owner: before", "stored: never-kept"))
    finished = coordinate(site.identity(), load(later, site.federation), {}, rehearsal={"before": 4})
    assert finished.values == {}
    assert {path: path.read_bytes() for path in site.home.glob("kept/*/stock.share")} == kept


def test_a_spec_must_be_approved_for_a_rehearsal_too(running, bodies, tmp_path):
    site, _ = running
    spec = site.total_spec("unapproved", bodies["rep3"])
    approved = load(spec, site.federation)
    spec.unlink()
    with pytest.raises(UserError, match="no approved spec is called 'unapproved'"):
        submit(site.identity(), approved, rehearsal=ROWS)


@pytest.mark.parametrize("rows", [{}, {"o1": 5, "o2": 5}, {**ROWS, "o9": 5}, {**ROWS, "o1": 0}, {**ROWS, "o1": 10**9}])
def test_rows_that_the_spec_forbids(running, bodies, rows):
    site, _ = running
    approved = load(site.total_spec("forbidden", bodies["rep3"]), site.federation)
    with pytest.raises(UserError, match="rehearsal"):
        submit(site.identity(), approved, rehearsal=rows)


def test_who_waits_for_a_run_is_told_of_no_rehearsal(running, bodies):
    site, _ = running
    approved = load(site.total_spec("apart", bodies["rep3"]), site.federation)
    submission = submit(site.identity(), approved, rehearsal=ROWS)
    control = dial(site.identity("o1"), site.federation.member("p1"))
    try:
        ask = messages.Await(spec_name="apart", spec_digest=approved.digest, seconds=0.3)
        assert call(control, ask, 5) == messages.Found(session=None)
        told = call(control, messages.Await(**{**_fields(ask), "rehearsal": True}), 5)
        assert told == messages.Found(session=submission.session, rehearsal=ROWS)
    finally:
        control.close()
        submission.cancel(site.identity())
        submission.close()


def _fields(message):
    return {name: getattr(message, name) for name in message.__struct_fields__}


def test_real_data_never_gets_into_a_rehearsal(site, bodies):
    """A coordinator that tells some a rehearsal and others a run: the first round ends the session at all of them."""
    spec = load_spec(site.total_spec("mixed", bodies["rep3"]))
    plan = Plan.from_json((site.folder / "mixed.plan.json").read_bytes())
    made_up = {item.name: synthetic(item, ROWS[item.name]) for item in spec.inputs}
    jobs = []
    for me, name in enumerate(Job(spec, plan, 0).roster.participants):
        mine = {input_: data for input_, data in made_up.items() if input_ == name}
        jobs.append(Job(spec, plan, me, mine, rehearsal=None if name == "o2" else ROWS))
    with pytest.raises(AgreementError, match="another purpose"):
        simulate([session_program(job, job.session(), Scope.root()) for job in jobs])


def test_made_up_data_is_in_range_and_fresh(site, bodies):
    spec = load_spec(site.total_spec("ranges", bodies["rep3"]))
    one, other = (synthetic(spec.inputs[0], 2000) for _ in range(2))
    values = one.columns["value"]
    assert values.dtype == np.int64
    assert 0 <= values.min() < 50
    assert 950 < values.max() <= 1000
    assert not np.array_equal(values, other.columns["value"])
    assert one.commitment.digest != other.commitment.digest
    assert check_rows(spec, ROWS) == ROWS


def test_options_that_contradict_each_other(site, bodies, command):
    spec = site.total_spec("options", bodies["rep3"])
    for arguments, said in (
        (("run", spec, "--rehearse", "--data", f"o1={site.data['o1']}"), "takes no data"),
        (("run", spec, "--rows", "o1=5"), "only for --rehearse"),
        (("join", spec, "--as", "o1", "--rehearse", "--data", f"o1={site.data['o1']}"), "takes no data"),
    ):
        code, _, errors = command(*arguments).end()
        assert code == 2
        assert said in errors


def _leaves(value):
    match value:
        case dict():
            return [leaf for each in value.values() for leaf in _leaves(each)]
        case list():
            return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def test_a_rehearsal_in_one_process(site, bodies, command):
    spec = site.total_spec("alone", bodies["shamir"])
    ended = command("run", spec, "--simulate", "--rehearse", *OPTIONS, "--json")
    told = ended.json()
    assert told["as_quoted"]
    assert told["session"] == "simulation"
    assert set(told["participants"]) == {"p1", "p2", "p3", *OWNERS, "boss"}
    assert not {330, "330", "330.0"} & set(_leaves({**told, "participants": {}}))  # the sum of the real data


def test_a_participant_refuses_the_other_kind_of_session(site, bodies):
    approved = load(site.total_spec("kinds", bodies["rep3"]), site.federation)
    waiting = Participant.rehearsing(site.identity("o1"), approved)
    assert waiting.inputs == {}
    ready = Participant.rehearsing(site.identity("o1"), approved, ROWS)
    assert ready.inputs["o1"].rows == ROWS["o1"]
    with pytest.raises(UserError, match="is a party of this spec"):
        Participant.rehearsing(site.identity("p1"), approved)
