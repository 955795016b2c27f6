"""The hospital example in stages, from its agreement to its results: quoted, interrupted, and gone on with."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest

from quorate.coordination.program import Job, session_program
from quorate.coordination.spec import load_spec
from quorate.crypto.entropy import SeededEntropyForTests
from quorate.data.prepare import prepare
from quorate.engine.count import count
from quorate.engine.names import Scope
from quorate.engine.simulate import simulate
from quorate.lang.plan import Plan
from quorate.lang.snapshot import Snapshot
from quorate.lang.stages import Stages
from quorate.testing.determinism import alone, scattered

EXAMPLE = files("quorate.examples") / "hospital"
IDENT = "ab" * 16
LEAST = 1


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    for name in ("protocol_spec.yaml", "treatment_costs.plan.json", "federation.yaml"):
        (folder / name).write_bytes((EXAMPLE / name).read_bytes())
    spec = load_spec(folder / "protocol_spec.yaml")
    plan = Plan.from_json((EXAMPLE / "treatment_costs.plan.json").read_bytes())
    made = []
    for me in range(len(Job(spec, plan, 0).roster.participants)):
        who = Job(spec, plan, me).roster
        mine = {}
        for item in spec.inputs:
            if who.owners[item.name] == me:
                source = folder / f"{item.name}.csv"
                source.write_bytes((EXAMPLE / f"{item.name}.csv").read_bytes())
                mine[item.name] = prepare(source, item, salt=b"s" * 32)
        made.append(Job(spec, plan, me, inputs=mine, ident=IDENT))
    return made


def program(job, save=None, restored=None):
    staged = replace(job, stages=Stages(save, restored, LEAST))
    seed = SeededEntropyForTests(4, str(job.me)).bytes(32)
    return session_program(staged, staged.session(seed=seed), Scope.root())


def shown(outcome):
    return {name: values.tolist() for name, values in outcome.values.items()}, outcome.commitments, outcome.rows


@pytest.fixture(scope="module")
def undisturbed(jobs):
    saved, set_up = {}, []
    watched = [replace(job, on_setup=lambda me=job.me: set_up.append(me)) for job in jobs]

    def save(me):
        return lambda stage, snapshot: saved.update({(me, stage): snapshot.encode()})

    transcript = scattered([program(job, save(job.me)) for job in watched], 1)
    assert sorted(set_up) == list(range(len(jobs)))
    return transcript, saved


def test_the_quote_is_exact_in_stages(jobs, undisturbed):
    transcript, saved = undisturbed
    rows = transcript.results[0].rows
    measured = simulate([program(job) for job in jobs])
    for job, party in zip(jobs, measured, strict=True):
        quoted = replace(job, inputs={}, rows=rows, stages=Stages(least=LEAST))
        counted = count(session_program(quoted, quoted.session(counting=True), Scope.root()))
        assert (counted.rounds, counted.sent) == (party.rounds, party.sent)
        assert sum(party.sent.values()) == sum(map(len, transcript.of(job.me).values()))
    assert {me for me, _ in saved} == set(range(jobs[0].roster.parties))
    assert max(stage for _, stage in saved) >= 1


def test_any_party_goes_on_from_any_stage(jobs, undisturbed):
    transcript, saved = undisturbed
    for (me, stage), state in saved.items():
        restored = Snapshot.decode(state, "test")
        again = alone(program(jobs[me], restored=restored), me, transcript.to(me), stage + me, spare=True)
        assert all(transcript.messages[route] == body for route, body in again.messages.items())
        assert len(again.messages) < len(transcript.of(me))
        assert shown(again.results[0]) == shown(transcript.results[me])
