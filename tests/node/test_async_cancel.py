"""Giving up a session by letter."""

from __future__ import annotations

import time
from typing import Any

from quorate.coordination.federation import load_federation
from quorate.node.desk import Assignment
from quorate.node.identity import Identity
from quorate.node.invitation import Cancellation, invitations_queue, signed
from quorate.node.mail import LETTERS, Mail
from quorate.node.messages import Prepare
from quorate.node.place import Place
from quorate.node.routes import inbox_of, opener

SESSION = "c" * 32


class NoSessions:
    suspended: tuple[Any, ...] = ()


def prepared(site) -> Place:
    """A session at p1 that boss has started."""
    place = Place(site.home, "p1", SESSION)
    prepare = Prepare(session=SESSION, spec="{}", spec_digest="", plan_digest="", software="")
    place.begin(
        Assignment(
            federation=site.federation,
            member="p1",
            key=str(site.folder / "pki/p1.key"),
            specs=str(site.folder),
            home=str(site.home),
            data={},
            prepare=prepare,
            coordinator="boss",
        )
    )
    place.start()
    return place


def leave(site, sender: str, session: str = SESSION) -> None:
    identity = Identity(load_federation(site.federation_file), sender)
    carrier = opener(identity, inbox_of(identity.federation.member("p1")))()
    carrier.provision(invitations_queue("p1"), LETTERS)
    letter = Cancellation(session=session, sender=sender, issued=time.time())
    carrier.publish(invitations_queue("p1"), [signed(identity, letter)])
    carrier.close()


def look(site) -> list[str]:
    taken: list[str] = []
    identity = Identity(load_federation(site.federation_file), "p1")
    mail = Mail(identity, site.home, NoSessions(), lambda _: None, lambda place: taken.append(place.session))
    mail.look()
    return taken


def dead(site) -> list[str]:
    identity = Identity(load_federation(site.federation_file), "p1")
    carrier = opener(identity, inbox_of(identity.member))()
    found = [letter.reason for letter in carrier.dead(invitations_queue("p1"))]
    carrier.close()
    return found


def test_who_started_a_session_may_cancel_it(site):
    place = prepared(site)
    leave(site, "boss")
    assert look(site) == [SESSION]
    assert place.cancelled
    assert dead(site) == []


def test_nobody_else_may(site):
    place = prepared(site)
    leave(site, "p2")
    leave(site, "boss", session="d" * 32)
    assert look(site) == []
    assert not place.cancelled
    assert len(dead(site)) == 2
    assert "p2 did not start" in dead(site)[0]


def test_what_has_ended_is_left_alone(site):
    place = prepared(site)
    place.abandon()
    place.invited(b"")
    (place.folder / "invitation.json").unlink()
    leave(site, "boss")
    assert look(site) == []
    assert not place.cancelled
