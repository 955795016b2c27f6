"""Whole sessions from a spec, among simulated participants: results, exact quotes, and agreement before any data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

import quorate
from quorate.coordination.agreement import Statement
from quorate.coordination.program import Job, check_plan, session_program
from quorate.coordination.quote import assumed_rows, quote
from quorate.coordination.roster import roster
from quorate.coordination.spec import load_spec
from quorate.crypto.entropy import SeededEntropyForTests
from quorate.data.prepare import Prepared, prepare
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import AgreementError, UserError

SPEC = """\
spec: 1
name: costs
plan: costs.plan.json
protocol: {name: PROTOCOL, adversary: semi-honest}
parties: PARTIES
DEALER
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
  - {name: mean, to: [p0, ministry]}
  - {name: sick, to: all}
  - {name: rows, to: [clinic]}
  - {name: costs, keep: costs}
"""

SETUPS = {
    "rep3": ("[p0, p1, p2]", ""),
    "shamir": ("[p0, p1, p2, p3, p4]", ""),
    "semi2k": ("[p0, p1]", "dealer: notary"),
}

DATA = {
    "inside": {"cost": [123.5, 17.25, 999.0, 0.5], "sick": [True, False, True, True]},
    "outside": {"cost": [431.75, 21.5, 77.0], "sick": [False, False, True]},
}


def costs(inside, outside):
    cost = quorate.concatenate([inside.cost, outside.cost])
    sick = quorate.concatenate([inside.sick, outside.sick])
    return {"mean": cost.mean(where=sick), "sick": sick.sum(), "rows": cost.size, "costs": cost * 2}


@pytest.fixture(params=SETUPS)
def spec(request, tmp_path: Path):
    parties, dealer = SETUPS[request.param]
    path = tmp_path / "spec.yaml"
    path.write_text(
        SPEC.replace("PROTOCOL", request.param)
        .replace("PARTIES", parties)
        .replace("DEALER\n", dealer and dealer + "\n")
    )
    return load_spec(path)


def plan_of(spec, function=costs):
    return quorate.computation(function).trace(
        {item.name: {c.name: c.dtype for c in item.columns} for item in spec.inputs}
    )


def prepared(spec, data=DATA) -> dict[str, Prepared]:
    import pyarrow

    return {item.name: prepare(pyarrow.table(data[item.name]), item, salt=b"s" * 32) for item in spec.inputs}


def jobs_of(spec, data=DATA):
    plan, who, given = plan_of(spec), roster(spec), prepared(spec, data)
    return [
        Job(spec, plan, me, inputs={name: given[name] for name, owner in who.owners.items() if owner == me})
        for me in range(len(who.participants))
    ]


def run(jobs, intercept=None):
    programs = [
        session_program(job, job.session(seed=SeededEntropyForTests(4, str(me)).bytes(32)), Scope.root())
        for me, job in enumerate(jobs)
    ]
    return simulate(programs, intercept)


def test_everybody_gets_what_the_spec_says_at_the_quoted_cost(spec):
    jobs = jobs_of(spec)
    who = jobs[0].roster
    finished = run(jobs)
    outcomes = dict(zip(who.participants, [party.result for party in finished], strict=True))
    inside = range(who.parties)
    for me, (name, outcome) in enumerate(outcomes.items()):
        wanted = [output for output, to in who.recipients.items() if me in to]
        assert sorted(outcome.values) == sorted(wanted), name
        assert outcome.rows == {"inside": 4, "outside": 3}
        assert outcome.commitments == {name: item.commitment.digest for name, item in prepared(spec).items()}
        assert ("costs" in outcome.kept) == (me in inside or me == who.dealer)
    assert abs(outcomes["ministry"].values["mean"] - (123.5 + 999 + 0.5 + 77) / 4) < 2**-13
    assert outcomes["p0"].values["sick"] == 4
    assert outcomes["clinic"].values["rows"] == 7
    quoted = quote(spec, jobs[0].plan, {"inside": 4, "outside": 3})
    for cost, party in zip(quoted.participants, finished, strict=True):
        assert (cost.rounds, cost.messages) == (party.rounds, party.messages), cost.name
        assert cost.sent_to == {who.participants[peer]: size for peer, size in sorted(party.sent.items())}
    assert [cost.role for cost in quoted.participants[: who.parties]] == ["party"] * who.parties
    assert quoted.bytes_sent == sum(sum(party.sent.values()) for party in finished)


@pytest.mark.parametrize("fails", [False, True])
def test_keys_are_forgotten_after_a_session_however_it_ends(fails, spec, monkeypatch):
    erased, original = [], Session.erase

    def erase(self):
        if not self.counting:  # circuits count what a way would cost in sessions without keys
            erased.append(self.me)
        original(self)

    monkeypatch.setattr(Session, "erase", erase)
    if fails:
        monkeypatch.setattr("quorate.coordination.program.execute", lambda *_, **__: 1 / 0)
    jobs = jobs_of(spec)
    try:
        run(jobs)
    except ZeroDivisionError:
        assert fails
        assert erased
    else:
        assert sorted(erased) == list(range(len(jobs)))


class Wire:
    """Notes the names of the steps that messages belong to, and may change a message."""

    def __init__(self, change=None):
        self.names: set = set()
        self.first: object = None
        self.change = change

    def __call__(self, sender, receiver, name, body):
        self.names.add(name)
        return body if self.change is None else self.change(sender, receiver, name, body)

    def only_agreement(self):
        at = Scope.root().child("agreement")
        return self.names <= {at.step(), at.step()}


def other_plan(spec):
    return plan_of(spec, lambda inside, outside: {**costs(inside, outside), "rows": inside.cost.size})


DIFFERENCES = {
    "spec": lambda job: replace(job, spec=msgspec.structs.replace(job.spec, name="other")),
    "plan": lambda job: replace(job, plan=other_plan(job.spec)),
    "certificates": lambda job: replace(job, certificates={"p0": "sha256:of-somebody-else"}),
}


@pytest.mark.parametrize("what", DIFFERENCES)
@pytest.mark.parametrize("role", ["p0", "p1", "clinic", "ministry"])
def test_a_difference_ends_the_session_before_any_data_is_sent(what, role, spec):
    jobs = jobs_of(spec)
    me = jobs[0].roster.index(role)
    jobs[me] = DIFFERENCES[what](jobs[me])
    wire = Wire()
    with pytest.raises(AgreementError, match=r"holds another (spec|plan|list of certificates) than we do"):
        run(jobs, wire)
    assert wire.only_agreement()


def test_another_version_of_the_software_is_named(spec, monkeypatch):
    jobs = jobs_of(spec)
    versions = iter(["quorate 1", "quorate 2", *["quorate 1"] * 9])
    monkeypatch.setattr(
        "quorate.coordination.program.Statement", lambda **facts: Statement(**facts, software=next(versions))
    )
    wire = Wire()
    with pytest.raises(AgreementError, match="holds another software than we do"):
        run(jobs, wire)
    assert wire.only_agreement()


def test_an_owner_who_tells_parties_different_rows_is_found_out(spec):
    jobs = jobs_of(spec)
    clinic = jobs[0].roster.index("clinic")

    def lie(sender, receiver, name, body):
        if sender == clinic and receiver == 1 and wire.first is None:
            wire.first = name
            return body[:-40] + (9).to_bytes(8, "little") + body[-32:]
        return body

    wire = Wire(lie)
    with pytest.raises(AgreementError, match="another number of rows"):
        run(jobs, wire)
    assert wire.only_agreement()


@pytest.mark.parametrize("rows", [2, 10, -5])
def test_rows_that_the_spec_forbids_are_refused_by_the_others(rows, spec):
    jobs = jobs_of(spec)
    clinic = jobs[0].roster.index("clinic")
    item = jobs[clinic].inputs["outside"]
    jobs[clinic] = replace(jobs[clinic], inputs={"outside": replace(item, rows=rows)})
    wire = Wire()
    with pytest.raises(AgreementError, match=r"'outside' has"):
        run(jobs, wire)
    assert wire.only_agreement()


def test_an_owner_without_data_is_named(spec):
    jobs = [replace(job, inputs={}) for job in jobs_of(spec)]
    with pytest.raises(AgreementError, match="nobody stated how many rows input 'inside' has"):
        run(jobs)


def test_no_raw_value_crosses_the_wire(spec):
    """The leak test: all bytes of a session are searched for every owner's values, as integers and as text."""
    seen = []
    run(jobs_of(spec), Wire(lambda sender, receiver, name, body: seen.append(body) or body))
    traffic = b"|".join(seen)
    assert len(traffic) > 1000
    for item in prepared(spec).values():
        for value in item.columns["cost"].tolist():
            assert value.to_bytes(8, "little") not in traffic
            assert value.to_bytes(8, "big") not in traffic
            assert str(value).encode() not in traffic
    for table in DATA.values():
        for value in table["cost"]:
            assert len(str(value)) < 4 or str(value).encode() not in traffic


def test_plans_must_belong_to_the_spec(spec):
    check_plan(spec, plan_of(spec))
    with pytest.raises(UserError, match="does not compute the outputs rows"):
        check_plan(
            spec,
            plan_of(spec, lambda inside, outside: {k: v for k, v in costs(inside, outside).items() if k != "rows"}),
        )
    with pytest.raises(UserError, match="opens to nobody"):
        check_plan(spec, plan_of(spec, lambda inside, outside: {**costs(inside, outside), "all": inside.cost}))
    types = {"cost": quorate.fixed(8), "sick": quorate.BOOL}
    with pytest.raises(UserError, match=r"takes inside.cost as fixed\(8\), the spec declares fixed\(16\)"):
        check_plan(spec, quorate.computation(costs).trace({"inside": types, "outside": types}))


def test_row_counts_to_quote_for(spec):
    assert assumed_rows(spec, {"inside": 5}) == {"inside": 5, "outside": 9}
    with pytest.raises(UserError, match="allows 3 to 9"):
        assumed_rows(spec, {"inside": 10})
    with pytest.raises(UserError, match="no input 'x'"):
        assumed_rows(spec, {"x": 10})


@pytest.mark.parametrize("reordered", [False, True])
def test_a_dealer_gets_no_shuffled_rows(reordered):
    @quorate.computation
    def rows(a):
        return {"rows": quorate.shuffle(a) * 2 if reordered else a * 2}

    column = SimpleNamespace(name="value", dtype=quorate.INT)
    spec = SimpleNamespace(
        inputs=[SimpleNamespace(name="a", columns=[column])],
        outputs=[SimpleNamespace(name="rows")],
        dealer="notary",
        recipients=lambda output: ("notary",),
    )
    plan = rows.trace({"a": quorate.INT})
    if reordered:
        with pytest.raises(UserError, match="go to the dealer notary"):
            check_plan(spec, plan)
    else:
        check_plan(spec, plan)
