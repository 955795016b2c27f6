"""Sessions that took tuples from stock are run again with a stock that is made for it."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.coordination.program import Job, needs, session_program
from quorate.coordination.roster import roster
from quorate.durable.audit import session_hash
from quorate.durable.audit_check import verify
from quorate.durable.trace import Event, Header, Recorded
from quorate.durable.trace import load as load_trace
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.node.approval import load, made_up_inputs
from quorate.node.coordinator import coordinate
from quorate.node.launch import up
from quorate.node.observer import audit_folder
from quorate.node.replay import replayed, traces
from quorate.node.stand_in import stand_ins

ROWS = {"p1": 4}


@pytest.fixture
def approved(request, site, source):
    """A comparison at two parties, with the protocol that the test is parametrised with."""
    made = source()
    plan = made.plan("chain", {"bits": made.chain(made.read("p1"), 2)})
    adversary = "semi-honest" if request.param == "semi2k" else "malicious"
    body = f"protocol: {{name: {request.param}, adversary: {adversary}}}\nparties: [p1, p2]\n"
    spec = site.write_spec("chain", plan, body, "  - {name: bits, to: [boss]}\n", ["p1"])
    return load(spec, site.federation)


def recorded(approved, member, amounts):
    """The trace of `member` in a whole session that takes so many tuples from stock; None: there is no stock."""
    spec, names = approved.spec, roster(approved.spec).participants
    stores = [] if amounts is None else stand_ins(spec, amounts)
    parties = []
    for me, name in enumerate(names):
        store = stores[me] if me < len(stores) else None
        job = Job(spec, approved.plan, me, made_up_inputs(spec, name, ROWS), rehearsal=ROWS, store=store)
        parties.append(Party(session_program(job, job.session(), Scope.root())))
    me, events = names.index(member), [Event(what="rows", counts=ROWS)]
    if amounts:
        events.append(Event(what="stock", counts=amounts))
    while not all(party.done for party in parties):
        for index, party in enumerate(parties):
            while party.advance():
                pass
            while party.outbox:
                message = party.outbox.popleft()
                ends = {index: ("out", message.peer), message.peer: ("in", index)}
                if me in ends:
                    scope, step = message.name
                    what, peer = ends[me]
                    events.append(Event(what=what, peer=peer, scope=f"{scope:016x}", step=step, size=message.size))
                body = b"".join(np.ascontiguousarray(array).tobytes() for array in message.buffers)
                parties[message.peer].deliver(index, message.name, body)
    header = Header(
        session="ab" * 16, name=spec.name, spec=approved.digest, software="", participants=names, me=me, started=0
    )
    return Recorded(header, tuple(events))


@pytest.mark.parametrize(
    ("approved", "share", "member"),
    [
        *[("semi2k", share, member) for share in (0.0, 0.5, 1.0) for member in ("p2", "boss")],
        pytest.param("spdz2k", 0.5, "p2", marks=pytest.mark.slow),
    ],
    indirect=["approved"],
)
def test_the_same_amounts_are_in_stock_again(approved, share, member):
    wanted = needs(approved.spec, approved.plan, ROWS)
    assert wanted
    trace = recorded(approved, member, {kind: int(amount * share) for kind, amount in wanted.items()})
    found = replayed(approved, trace, ROWS)
    assert found.differences == []
    assert all(each.done for each in found.participants)
    without = Recorded(trace.header, tuple(event for event in trace.events if event.what != "stock"))
    assert replayed(approved, without, ROWS).agrees == (share == 0.0 or member == "boss")


@pytest.mark.parametrize("approved", ["semi2k"], indirect=True)
def test_without_a_common_stock_none_is_made(approved):
    found = replayed(approved, recorded(approved, "p1", None), ROWS)
    assert found.agrees


@pytest.mark.slow
def test_what_real_nodes_leave_of_a_session(site, source):
    """Audits are whole and fit together, and the schedules are those of the plan."""
    made = source()
    plan = made.plan("chain", {"bits": made.chain(made.read("p1"), 2)})
    body = "protocol: {name: semi2k, adversary: semi-honest}\nparties: [p1, p2]\ndelivery: durable\n"
    path = site.write_spec("chain", plan, body, "  - {name: bits, to: [p2]}\n", ["p1"])
    approved = load(path, site.federation)
    with up(site.federation, site.folder, site.home, {"p1": site.data["o1"]}, ("p1", "p2")):
        session = coordinate(site.identity(), approved, {}).session
        found = {member: verify(audit_folder(site.home, member)) for member in ("p1", "p2")}
    assert all(each.sound for each in found.values())
    here, there = (found[member].sessions[session_hash(session)] for member in ("p1", "p2"))
    assert here["p2"].messages_out >= there["p1"].messages_in > 10
    assert there["p1"].messages_out >= here["p2"].messages_in > 10
    for member, trace in traces(site.home, session).items():
        seen = load_trace(trace)
        assert seen.rows, member
        again = replayed(approved, seen, seen.rows)
        assert again.differences == []
        assert again.taken > 10
        assert all(each.done for each in again.participants)
