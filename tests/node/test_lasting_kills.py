"""Durable and queued sessions on real nodes whose workers, or which themselves, are killed at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time

import pytest
from tests.node.conftest import Source
from tests.node.lasting_lab import NODES, REP3, VALUES, Lab, expected, until

from quorate.durable.audit import session_hash
from quorate.durable.audit_check import verify
from quorate.durable.trace import load
from quorate.node.messages import Finished
from quorate.node.observer import audit_folder

SESSION = "5e" * 16


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Lab(tmp_path)
    yield made
    made.close()


def deaths(lab, name):
    path = lab.home / f"{name}.deaths"
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize("delivery", ["durable", pytest.param("queued", marks=pytest.mark.slow)])
def test_killed_workers_leave_result_and_transcripts_as_they_are(lab, tmp_path, delivery):
    """The same session twice, with the same seeds: once in peace, once with workers that die at seeded moments."""
    approved = lab.spec("sum", delivery)
    lab.fixed = True
    lab.start()
    reports = lab.submit(approved, SESSION).wait()
    calm = lab.transcripts(SESSION)
    assert {name: report.transcript for name, report in reports.items()} == calm
    assert all(report.incarnation == 1 for report in reports.values())
    assert lab.result(SESSION) == expected()
    lab.nothing_left(SESSION)
    lab.stop()

    lab.home, lab.state = tmp_path / "again", tmp_path / "other-fences"
    lab.start(trick="doomed:7:2:8")
    reports = lab.submit(approved, SESSION).wait()
    assert lab.transcripts(SESSION) == calm
    assert lab.result(SESSION) == expected()
    for name in NODES:
        assert deaths(lab, name) == 2
        assert reports[name].incarnation in (2, 3)  # a death may come after the result
    lab.nothing_left(SESSION)


def grown(lab, name, by):
    """Wait until a node's journal has grown by so much, or the session has ended there."""
    journal = lab.place(name, SESSION).journal

    def size():
        return journal.stat().st_size if journal.exists() else 0

    before = size()
    until(lambda: name in lab.ends(SESSION) or size() >= before + by, f"the journal of {name} grows", lab=lab)


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["durable", "queued"])
@pytest.mark.parametrize("seed", range(3))
def test_whole_nodes_are_killed_and_started_again(lab, tmp_path, delivery, seed):
    """Node, nursery and workers at once; whoever waits for the session is not disturbed."""
    approved = lab.spec("sum", delivery, chain=40)
    lab.fixed = True
    lab.start()
    lab.submit(approved, SESSION).wait()
    calm = lab.transcripts(SESSION)
    lab.nothing_left(SESSION)
    lab.stop()

    lab.home, lab.state = tmp_path / "again", tmp_path / "other-fences"
    lab.start()
    submission = lab.submit(approved, SESSION)
    moments = Draws(seed)
    kills = 0
    while len(lab.ends(SESSION)) < len(NODES) and kills < 8:
        victims = moments.some(NODES)
        grown(lab, victims[0], moments.upto(3000))
        lab.kill(*victims)
        lab.start(*victims)
        kills += len(victims)
    assert kills >= 3
    reports = submission.wait()
    assert {name: report.transcript for name, report in reports.items()} == calm
    assert lab.transcripts(SESSION) == calm
    assert lab.result(SESSION) == expected()
    lab.nothing_left(SESSION)


class Draws:
    """Choices that a seed determines."""

    def __init__(self, seed):
        self._seed, self._drawn = seed, 0

    def upto(self, most):
        """0 ... most."""
        self._drawn += 1
        return int.from_bytes(hashlib.sha256(f"{self._seed} {self._drawn}".encode()).digest()[:4], "big") % (most + 1)

    def some(self, names):
        """At least one of them."""
        chosen = 1 + self.upto(2 ** len(names) - 2)
        return [name for index, name in enumerate(names) if chosen >> index & 1]


@pytest.mark.slow
def test_killed_with_its_result_before_others_have_theirs(lab):
    """Whoever has its result may still be needed by others, after a crash as before."""
    source = Source()
    plan = source.plan("sum", {"total": source.sum(source.read("p1"))})
    outputs = "  - {name: total, to: [p1, p2, p3]}\n"
    times = "{round: 10, join: 60, session: 300}"  # so long they stay for who has left without a word
    approved = lab.approve("sum", plan, f"{REP3}delivery: durable\n", outputs, times)
    lab.start()
    calm = lab.submit(approved).session
    lab.all_ended(calm)
    lab.stop()
    sent = [event for event in load(lab.place("p1", calm).trace).messages if event.what == "out"]
    late, number = NODES[sent[-1].peer], sum(event.peer == sent[-1].peer for event in sent)

    lab.start("p1", trick="dies with its result")
    lab.start(late, trick=f"deaf:{number}")
    lab.start(*{"p2", "p3"} - {late})
    session = lab.submit(approved).session
    assert lab.wait("p1") == -signal.SIGKILL
    assert late not in lab.ends(session)
    lab.kill(late)
    lab.start("p1", late)
    ends = lab.all_ended(session)
    assert all(isinstance(end, Finished) for end in ends.values()), ends
    for name in NODES:
        assert lab.result(session, name) == {"total": sum(VALUES)}
    lab.nothing_left(session)


@pytest.mark.slow
def test_workers_killed_from_outside_at_any_time(lab):
    """SIGKILL for whatever worker runs, ten times; the node starts another one each time."""
    approved = lab.spec("sum", "durable", chain=60)
    lab.start()
    submission = lab.submit(approved)
    moments, kills = Draws(11), 0
    for _ in range(10):
        time.sleep(moments.upto(150) / 1000)
        for pid in lab.workers(NODES[moments.upto(2)]):
            os.kill(pid, signal.SIGKILL)
            kills += 1
    reports = submission.wait()
    assert kills >= 3
    assert sum(report.incarnation for report in reports.values()) > len(NODES)
    assert lab.result(submission.session) == expected()
    lab.nothing_left(submission.session)


def test_what_stays_of_a_session_tells_nothing(lab):
    """Its end, an audit that can be verified, a schedule; none of them, nor any log, holds the data or the result."""
    lab.start()
    session = lab.submit(lab.spec("sum", "durable")).session
    ends = lab.all_ended(session)
    assert all(isinstance(end, Finished) for end in ends.values())
    lab.nothing_left(session)
    lab.stop()
    secrets = [form for value in (*VALUES, sum(VALUES)) for form in (str(value).encode(), value.to_bytes(8, "little"))]
    for name in NODES:
        place = lab.place(name, session)
        assert sorted(path.name for path in place.folder.iterdir()) == ["ended.json", "trace.jsonl"]
        audit = audit_folder(lab.home, name)
        assert verify(audit).sound
        lines = [json.loads(line) for line in (audit / "audit.jsonl").read_text().splitlines()]
        mine = [line for line in lines if line.get("session") == session_hash(session)]
        assert {"began", "message", "closed"} <= {line["what"] for line in mine}
        assert {line["direction"] for line in mine if line["what"] == "message"} == {"in", "out"}
        assert all(session not in line for line in (audit / "audit.jsonl").read_text().splitlines())
        for path in [*place.folder.iterdir(), audit / "audit.jsonl", lab.home / f"{name}.log"]:
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path
    results = (lab.home / "results" / f"{session}.p1.json").read_bytes()
    assert str(sum(VALUES)).encode() in results  # the search finds what is there
