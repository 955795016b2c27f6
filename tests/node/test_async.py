"""Sessions whose participants are never online together; invitations and replies, and what is made up of both."""

from __future__ import annotations

import contextlib
import json
import time

import msgspec
import pytest
from tests.node.lasting_lab import NODES, VALUES, Lab

from quorate.errors import PeerTimeout, UserError
from quorate.node.client import hosts, new_session, request_of
from quorate.node.identity import Identity
from quorate.node.invitation import Invitation, Reply, invitations_queue, replies_queue, signed
from quorate.node.invite import invite, standing
from quorate.node.messages import Failure, Finished
from quorate.node.participant import Participant
from quorate.node.routes import inbox_of, opener
from quorate.transport.carrier import Limits, Parcel

TIMES = "{round: 600, join: 60, session: 3600}"
LETTERS = Limits(ttl=3600.0, most_bytes=64 << 20)
MOST_VISITS = 20


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def approved(lab):
    """A plan of few rounds."""
    return lab.spec("sum", "queued", chain=0, times=TIMES)


def visits(lab, session, names=NODES):
    """One after the other, until nobody waits any more; how many rounds of visits."""
    for turn in range(MOST_VISITS):
        for name in names:
            assert lab.visit(name) == 0, lab.log(name)
        if len(lab.ends(session)) == len(NODES) and all(lab.place(name, session).erased for name in NODES):
            return turn + 1
    raise AssertionError(lab.log("p1")[-3000:])


def state(lab, session):
    return standing(lab.site.identity(), session, lab.home)


def test_no_two_parties_are_ever_online_together(lab, approved):
    asked = invite(lab.site.identity(), approved, lab.home)
    assert state(lab, asked.session).missing == list(NODES)
    assert visits(lab, asked.session) > 1
    found = state(lab, asked.session)
    assert found.missing == []
    assert all(isinstance(end, Finished) for end in found.ends.values())
    assert lab.result(asked.session) == {"total": sum(VALUES)}
    assert lab.result(asked.session, "p2") == {"total": sum(VALUES)}
    assert "VISIT [[], []]" in lab.log("p1").splitlines()[-1]
    lab.nothing_left(asked.session, 5, queues=False)


@pytest.mark.slow
def test_visits_in_any_order_and_killed_ones(lab, approved):
    """Processes die at seeded commits on each of their first visits."""
    session = invite(lab.site.identity(), approved, lab.home).session
    lab.options["trick"] = "doomed:3:4:6"
    for _ in range(2):
        for name in ("p3", "p3", "p1", "p2", "p1"):
            lab.visit(name)
    visits(lab, session, ("p2", "p3", "p1"))
    assert all((lab.home / f"{name}.deaths").stat().st_size == 4 for name in NODES)
    assert all(isinstance(end, Finished) for end in state(lab, session).ends.values())
    assert lab.result(session) == {"total": sum(VALUES)}
    lab.nothing_left(session, 5, queues=False)


@pytest.mark.slow
def test_owners_outside_come_and_go_too(lab):
    approved = lab.spec("sum", "queued", chain=0, times=TIMES, owners=("p1", "o1", "o2"))
    session = invite(lab.site.identity(), approved, lab.home).session
    done = set()
    for turn in range(MOST_VISITS):
        for owner in ("o1", "o2"):
            if (lab.place(owner, session).journal.exists()) or not turn:
                participant = Participant.ready(lab.site.identity(owner), approved, {owner: lab.site.data[owner]})
                with contextlib.suppress(PeerTimeout):
                    participant.visit(0.3)
                    done.add(owner)
        for name in NODES:
            assert lab.visit(name) == 0, lab.log(name)
        if all(lab.place(name, session).erased for name in (*NODES, "o1", "o2")):
            break
    assert state(lab, session).missing == []
    assert done == {"o1", "o2"}
    assert lab.result(session)["total"] == 3 * sum(VALUES)
    lab.nothing_left(session, 5, queues=False)


@pytest.mark.slow
def test_nodes_that_run_find_invitations_and_messages_by_themselves(lab, approved):
    """p3 only comes on visits, the others run; workers leave when nothing comes, and are started again."""
    lab.start("p1", "p2", idle=0.3)
    session = invite(lab.site.identity(), approved, lab.home).session
    for _ in range(MOST_VISITS):
        assert lab.visit("p3") == 0, lab.log("p3")
        if "p3" in lab.ends(session):
            break
        time.sleep(2)
    lab.all_ended(session, ("p1", "p2"))
    assert lab.result(session) == {"total": sum(VALUES)}
    found = standing(lab.site.identity(), session, lab.home, 30)
    assert found.missing == []


# -- letters that are refused ------------------------------------------------------------------------------------------


def post(lab, queue, letter, name="p1"):
    """Leave a parcel at the broker of a member."""
    carrier = opener(lab.site.identity(), inbox_of(lab.site.federation.member(name)))()
    try:
        carrier.provision(queue, LETTERS)
        carrier.publish(queue, [letter])
    finally:
        carrier.close()


def letter(lab, approved, sender="boss", **changes):
    """An invitation, with fields as they should be but for `changes`."""
    session = changes.pop("session", None) or new_session()
    now = time.time()
    facts = {"sender": sender, "issued": now, "expires": now + 60, "prepare": request_of(approved, session, None)}
    return Invitation(**{"session": session, **facts, **changes})


def refused(lab, parcel, why, session=None):
    """p1 gets it, says why not, and begins nothing."""
    post(lab, invitations_queue("p1"), parcel)
    before = len(lab.log("p1"))
    assert lab.visit("p1") == 0
    assert why in lab.log("p1")[before:], lab.log("p1")[before:]
    assert not list(lab.home.glob("sessions/p1/*/journal"))
    assert not list(lab.home.glob("sessions/p1/*/task.json"))


def test_forged_and_foreign_invitations_are_refused(lab, approved):
    """Nothing begins, and the node goes on."""
    boss, stranger = lab.site.identity(), Identity(lab.site.federation, "o1")
    proper = letter(lab, approved)
    refused(lab, signed(stranger, proper), "not signed by its certificate's key")
    sealed = json.loads(signed(boss, proper).body)
    sealed["letter"] = json.loads(signed(boss, letter(lab, approved)).body)["letter"]
    refused(lab, Parcel("mixed", json.dumps(sealed).encode()), "not signed by its certificate's key")
    refused(lab, Parcel("junk", b"\x00" * 100), "a malformed letter")
    refused(lab, signed(stranger, letter(lab, approved, "o1")), "lacks the role coordinator")
    refused(lab, signed(boss, letter(lab, approved, expires=time.time() - 1)), "has expired")
    other = request_of(approved, new_session(), None)
    refused(lab, signed(boss, letter(lab, approved, prepare=other)), "names two sessions")
    different = msgspec.structs.replace(other, plan_digest="0" * 64, session=proper.session)
    refused(lab, signed(boss, msgspec.structs.replace(proper, prepare=different)), "another plan")


def test_a_refusal_is_told_to_the_coordinator(lab, approved):
    """With another version of the spec in the folder of the nodes."""
    session = invite(lab.site.identity(), approved, lab.home).session
    approved.path.write_text(approved.path.read_text().replace("2147483647", "2147483646"))
    assert lab.visit("p2") == 0
    found = state(lab, session)
    assert found.missing == ["p1", "p3"]
    end = found.ends["p2"]
    assert isinstance(end, Failure)
    assert end.code == "AgreementError"
    assert "inputs[0].columns[0].range" in end.message


@pytest.mark.slow
def test_an_invitation_that_comes_again_begins_nothing_again(lab, approved):
    boss = lab.site.identity()
    session = invite(boss, approved, lab.home).session
    again = signed(boss, letter(lab, approved, session=session))
    post(lab, invitations_queue("p1"), again)
    visits(lab, session)
    ends = lab.ends(session)
    post(lab, invitations_queue("p1"), again)
    assert lab.visit("p1") == 0
    assert lab.ends(session) == ends
    assert lab.place("p1", session).erased
    assert not (lab.place("p1", session).folder / "invitation.json").exists()
    assert state(lab, session).missing == []


def test_forged_replies_are_refused(lab, approved):
    """Not signed by whom they name; from one who takes no part; of another session."""
    boss = lab.site.identity()
    session = invite(boss, approved, lab.home).session
    end = Failure(code="DataError", message="made up")
    queue = replies_queue(session, "boss")

    def reply(sender, signer, session=session):
        body = Reply(session=session, sender=sender, issued=time.time(), end=end)
        post(lab, queue, signed(Identity(lab.site.federation, signer), body), "boss")

    reply("p1", "p2")
    reply("o1", "o1")
    reply("p1", "p1", new_session())
    post(lab, queue, Parcel("junk", b"{}"), "boss")
    assert state(lab, session).missing == list(NODES)
    assert len(opened_dead(lab, queue)) == 4
    reply("p1", "p1")
    found = state(lab, session)
    assert found.missing == ["p2", "p3"]
    assert found.ends["p1"] == end


def opened_dead(lab, queue):
    carrier = opener(lab.site.identity(), inbox_of(lab.site.identity().member))()
    try:
        return list(carrier.dead(queue))
    finally:
        carrier.close()


def test_who_may_invite_and_to_what(lab, approved):
    with pytest.raises(UserError, match="lacks the role coordinator"):
        invite(lab.site.identity("p1"), approved, lab.home)
    with pytest.raises(UserError, match="delivery: queued"):
        invite(lab.site.identity(), lab.spec("live", "durable", chain=0), lab.home)
    with pytest.raises(UserError, match=r"no session .* was started from here"):
        state(lab, new_session())
    assert hosts(approved.spec) == NODES
