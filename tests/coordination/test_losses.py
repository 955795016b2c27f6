"""Whole sessions from a spec go on without parties that are lost, and end with the same results."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow
import pytest

import quorate
from quorate.coordination.program import Job, session_program
from quorate.coordination.roster import roster
from quorate.coordination.spec import load_spec
from quorate.crypto.entropy import SeededEntropyForTests
from quorate.data.prepare import prepare
from quorate.engine.names import Scope
from quorate.engine.simulate import survive

SPEC = """\
spec: 1
name: costs
plan: costs.plan.json
protocol: {name: shamir_quorum, adversary: semi-honest, threshold: THRESHOLD}
parties: [p0, p1, p2, p3, p4]
inputs:
  - name: inside
    owner: p1
    columns: [{name: cost, type: fixed, scale: 16, range: [0, 1000]}, {name: sick, type: bool}]
    min_rows: 3
    max_rows: 9
  - name: outside
    owner: clinic
    columns: [{name: cost, type: fixed, scale: 16, range: [0, 1000]}, {name: sick, type: bool}]
    min_rows: 3
    max_rows: 9
outputs:
  - {name: mean, to: [p0, p3, ministry]}
  - {name: dear, to: all}
  - {name: ordered, to: [clinic]}
"""
DATA = {
    "inside": {"cost": [123.5, 17.25, 999.0, 0.5], "sick": [True, False, True, True]},
    "outside": {"cost": [431.75, 21.5, 77.0], "sick": [False, False, True]},
}


def costs(inside, outside):
    cost = quorate.concatenate([inside.cost, outside.cost])
    sick = quorate.concatenate([inside.sick, outside.sick])
    return {"mean": cost.mean(where=sick), "dear": (cost > 100).sum(), "ordered": quorate.sort(cost)}


@pytest.fixture(params=[1, pytest.param(2, marks=pytest.mark.slow)])
def jobs(request, tmp_path: Path):
    """One for every participant, and who has begun with the plan."""
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.replace("THRESHOLD", str(request.param)))
    spec = load_spec(path)
    columns = {item.name: {column.name: column.dtype for column in item.columns} for item in spec.inputs}
    plan, who, begun = quorate.computation(costs).trace(columns), roster(spec), set()
    given = {item.name: prepare(pyarrow.table(DATA[item.name]), item, salt=b"s" * 32) for item in spec.inputs}

    def job(me: int) -> Job:
        mine = {name: given[name] for name, owner in who.owners.items() if owner == me}
        return Job(spec, plan, me, inputs=mine, on_setup=partial(begun.add, me))

    return [job(me) for me in range(len(who.participants))], begun


def run(jobs, lost, seed, *, rejoin=False):
    programs = [
        session_program(job, job.session(seed=SeededEntropyForTests(4, str(me)).bytes(32)), Scope.root())
        for me, job in enumerate(jobs)
    ]
    return survive(programs, lost, random.Random(seed).randrange, rejoin=rejoin)


def values(party):
    return {name: np.asarray(value).tolist() for name, value in party.result.values.items()}


@pytest.mark.slow
def test_any_two_may_be_lost_once_the_inputs_are_there(jobs):
    everybody, begun = jobs
    whole = run(everybody, {}, 1)
    expected = [values(party) for party in whole]
    assert expected[-1]["mean"] == pytest.approx(np.mean([123.5, 999, 0.5, 77]), abs=0.01)
    assert expected[5]["ordered"] == pytest.approx(sorted(DATA["inside"]["cost"] + DATA["outside"]["cost"]))
    for chosen, share in (((0, 4), 0.95), ((1, 2), 0.9), ((3, 0), 0.99)):
        begun.clear()
        lost = {party: round(share * whole[party].messages) for party in chosen}
        parties = run(everybody, lost, share)
        assert begun >= set(chosen)  # later than everything that takes all parties
        assert [party.done for party in parties] == [party not in chosen for party in range(7)]
        assert [values(party) for party in parties if party.done] == [
            value for party, value in enumerate(expected) if party not in chosen
        ]
        again = run(everybody, lost, share, rejoin=True)
        assert [values(party) for party in again] == expected


def test_whoever_is_lost_while_all_are_needed_is_waited_for(jobs):
    everybody, _ = jobs
    parties = run(everybody, {2: 3}, 7)
    assert not any(party.done for party in parties)
    assert all(party.done for party in run(everybody, {2: 3}, 7, rejoin=True))
