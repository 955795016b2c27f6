"""Running the schedule of an interrupted session again, from the trace that a node left."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.coordination.program import Job, session_program
from quorate.coordination.roster import roster
from quorate.durable.trace import Header, Trace
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import PeerTimeout
from quorate.node.approval import made_up_inputs
from quorate.node.replay import traces

SESSION = "c0ffee"
ROWS = {"st_mary": 100, "st_luke": 120, "st_anna": 101}


def interrupted(example, member, messages, *, rows=ROWS, told=True):
    """The trace that `member` leaves of a session in which birch falls silent after so many messages of its own."""
    from quorate.coordination.federation import load_federation
    from quorate.node.approval import load

    approved = load(example / "protocol_spec.yaml", load_federation(example / "federation.yaml"))
    names = roster(approved.spec).participants
    me, silent = names.index(member), names.index("birch")
    header = Header(
        session=SESSION,
        name=approved.spec.name,
        spec=approved.digest,
        software="quorate",
        participants=names,
        me=me,
        started=0,
    )
    trace = Trace(example / "state" / "sessions" / member / SESSION / "trace.jsonl", header)
    if told:
        trace.rows(rows)
    parties = []
    for index, name in enumerate(names):
        job = Job(approved.spec, approved.plan, index, made_up_inputs(approved.spec, name, rows), rehearsal=rows)
        parties.append(Party(session_program(job, job.session(), Scope.root())))
    _play(parties, me, silent, messages, trace)
    trace.failed(PeerTimeout("no message from birch for 30 s"))
    trace.close()


def _play(parties, me, silent, left, trace):
    progress = True
    while progress:
        progress = False
        for index, party in enumerate(parties):
            while party.advance():
                progress = True
            while party.outbox:
                message = party.outbox.popleft()
                if index == silent:
                    left -= 1
                    if left < 0:
                        continue
                if index == me:
                    trace.message("out", message.peer, message.name, message.size)
                body = b"".join(np.ascontiguousarray(array).tobytes() for array in message.buffers)
                parties[message.peer].deliver(index, message.name, body)
                if message.peer == me:
                    trace.message("in", index, message.name, message.size)


@pytest.fixture
def replay(here, example):
    """Runs the command on the example."""

    def run(*options):
        return here("replay", SESSION, "--spec", example / "protocol_spec.yaml", *options)

    return run


def test_who_waited_for_whom(example, replay):
    interrupted(example, "alder", 20)
    told = replay("--json").json()
    (trace,) = told["traces"]
    assert (trace["member"], trace["agrees"], trace["differences"]) == ("alder", True, [])
    assert trace["rows"] == ROWS
    assert trace["failure"]["error"] == "PeerTimeout"
    assert trace["taken"] > 10
    assert trace["made"] > 10
    alder = trace["participants"]["alder"]
    assert {wait["for"] for wait in alder["waits"]} == {"birch"}
    assert all(wait["at"].startswith("session/plan/") and wait["was_made"] for wait in alder["waits"])
    assert not alder["done"]
    ended = replay()
    assert ended.code == 0
    assert "it failed: PeerTimeout: no message from birch for 30 s" in ended.out
    assert "names and sizes of all these messages are those of the plan" in ended.out
    assert "alder waited for birch at session/plan/" in ended.out
    assert "(which had been made)" in ended.out


def test_several_nodes_and_one_of_them(example, replay):
    interrupted(example, "alder", 20)
    interrupted(example, "cedar", 20)
    assert [trace["member"] for trace in replay("--json").json()["traces"]] == ["alder", "cedar"]
    assert [trace["member"] for trace in replay("--json", "--as", "cedar").json()["traces"]] == ["cedar"]
    ended = replay("--as", "birch")
    assert ended.code == 2
    assert "there is one of alder, cedar" in ended.err


def test_an_owner_has_a_trace_too(example, replay):
    interrupted(example, "st-luke", 20)
    (trace,) = replay("--json").json()["traces"]
    assert trace["agrees"]
    assert not trace["participants"]["st-luke"]["done"]


def test_a_session_that_ended_before_rows_were_agreed(example, replay):
    interrupted(example, "alder", 2, told=False)
    (trace,) = replay("--json").json()["traces"]
    assert trace["agrees"]
    assert not trace["rows_agreed"]
    assert trace["rows"] == dict.fromkeys(ROWS, 100)
    assert trace["stood_at"].startswith("session/agreement")
    assert replay("--json", "--rows", "st_luke=300").json()["traces"][0]["rows"]["st_luke"] == 300
    assert "the spec has no input" in replay("--rows", "nobody=300").err
    assert replay("--rows", "st_luke=1").code == 2


def test_another_schedule_than_the_plan(example, replay):
    """With other rows than those of the trace, sizes differ, and the exit code says so."""
    interrupted(example, "alder", 20, told=False)
    ended = replay("--rows", "st_mary=150")
    assert ended.code == 4
    assert "NOT AS PLANNED: " in ended.out
    assert "by this plan and these rows they are" in ended.out


def test_another_spec(example, replay, edit):
    interrupted(example, "alder", 20)
    edit(example / "protocol_spec.yaml", "max_rows: 100000", "max_rows: 99999")
    ended = replay()
    assert ended.code == 4
    assert "use spec and plan as they were then" in ended.err


def test_no_trace(replay, here, example):
    ended = replay()
    assert ended.code == 2
    assert f"no trace of session {SESSION}" in ended.err
    with pytest.raises(Exception, match="is no session"):
        traces(example, "../../etc")
