"""A run without being online with anybody: invite members to a session by letter, and later collect their replies."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quorate.coordination.roster import roster
from quorate.errors import BrokerFault, PeerError, QuorateError, UserError
from quorate.files import ensure_folder, read_bytes, write_atomic
from quorate.node.approval import Approved
from quorate.node.client import hosts, new_session, request_of
from quorate.node.identity import Identity
from quorate.node.invitation import Cancellation, Invitation, Reply, invitations_queue, opened, replies_queue, signed
from quorate.node.mail import LETTERS
from quorate.node.messages import Failure, Finished, check_session
from quorate.node.routes import check_places, inbox_of, limits_of, opener, rounds_queue
from quorate.transport.backoff import jittered
from quorate.transport.carrier import Limits, Queue

__all__ = ["Asked", "Standing", "cancel", "invite", "standing"]

log = logging.getLogger(__name__)

_POLL = 1.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a coordinator remembers of a session that it invited to."""

    session: str
    spec: str
    members: tuple[str, ...]
    issued: float
    expires: float


@dataclass(frozen=True)
class Standing:
    """How a session stands, as far as replies have come: member -> its end."""

    asked: Asked
    ends: Mapping[str, Finished | Failure]

    @property
    def missing(self) -> list[str]:
        """The members that have not replied yet."""
        return sorted(set(self.asked.members) - set(self.ends))


def invite(identity: Identity, approved: Approved, home: Path) -> Asked:
    """Make the queues of a new session, and leave an invitation for every participant.

    Raises:
        UserError: the spec does not say `delivery: queued`, or we are no coordinator.
        BrokerFault: the inbox of a participant cannot be reached; nobody has been invited then who comes after it.
    """
    spec, federation = approved.spec, identity.federation
    if spec.delivery != "queued":
        raise UserError("a spec is run without anybody being online together if it says 'delivery: queued'; add that")
    if not identity.member.has("coordinator"):
        raise UserError(f"{identity.name} lacks the role coordinator in federation {federation.name!r}")
    who = roster(spec)
    check_places(spec, federation, who)
    session, now = new_session(), time.time()
    expires = now + spec.timeouts.session
    asked = Asked(session=session, spec=spec.name, members=hosts(spec), issued=now, expires=expires)
    prepare = request_of(approved, session, None)
    letter = Invitation(session=session, sender=identity.name, issued=now, prepare=prepare, expires=expires)
    _note(home, identity.name, asked)
    for name in who.participants:
        _prepare(identity, name, rounds_queue(session, name), limits_of(spec))
        _prepare(identity, name, invitations_queue(name), LETTERS)
    _prepare(identity, identity.name, replies_queue(session, identity.name), LETTERS)
    for name in who.participants:
        carrier = opener(identity, inbox_of(federation.member(name)))()
        try:
            carrier.publish(invitations_queue(name), [signed(identity, letter)])
        finally:
            carrier.close()
    return asked


def _prepare(identity: Identity, member: str, queue: Queue, limits: Limits) -> None:
    """Make a queue before anybody sends to it; where only its owner may, its owner does."""
    carrier = opener(identity, inbox_of(identity.federation.member(member)))()
    try:
        carrier.provision(queue, limits)
    except BrokerFault as problem:
        log.info("%s has to make its queue %s by itself: %s", member, queue.name, problem)
    finally:
        carrier.close()


def cancel(identity: Identity, session: str, home: Path) -> Asked:
    """Give a session up that we invited to: leave word for everybody who was.

    Raises:
        UserError: we know no such session.
        BrokerFault: the inbox of a participant cannot be reached.
    """
    asked = _asked(home, identity.name, session)
    letter = signed(identity, Cancellation(session=session, sender=identity.name, issued=time.time()))
    for name in asked.members:
        carrier = opener(identity, inbox_of(identity.federation.member(name)))()
        try:
            carrier.publish(invitations_queue(name), [letter])
        finally:
            carrier.close()
    return asked


def _asked(home: Path, member: str, session: str) -> Asked:
    folder = _folder(home, member, check_session(session))
    if not (folder / "asked.json").exists():
        raise UserError(f"no session {session} was started from here with 'quorate run --async'; see {folder.parent}")
    return msgspec.json.decode(read_bytes(folder / "asked.json"), type=Asked)


def standing(identity: Identity, session: str, home: Path, patience: float = 0.0) -> Standing:
    """How a session stands that we invited to; waits up to `patience` seconds for all replies.

    Raises:
        UserError: we know no such session.
        BrokerFault: our inbox cannot be reached.
    """
    asked, folder = _asked(home, identity.name, session), _folder(home, identity.name, session)
    deadline = time.monotonic() + patience
    while True:
        _collect(identity, asked, folder)
        found = Standing(asked, _ends(folder, asked))
        if not found.missing or time.monotonic() >= deadline:
            return found
        time.sleep(min(jittered(_POLL), max(0.0, deadline - time.monotonic())))


def _collect(identity: Identity, asked: Asked, folder: Path) -> None:
    """Take the replies that have come, and keep them."""
    queue = replies_queue(asked.session, identity.name)
    carrier = opener(identity, inbox_of(identity.member))()
    try:
        if not carrier.depth(queue):
            return
        for delivery in carrier.consume(queue, 64, 0.0):
            try:
                reply = opened(delivery.parcel.body, Reply, identity.federation)
                if reply.session != asked.session or reply.sender not in asked.members:
                    raise PeerError("a reply of another session, or from somebody who takes no part")
            except QuorateError as problem:
                carrier.reject(delivery, str(problem))
                continue
            write_atomic(folder / f"{reply.sender}.reply.json", msgspec.json.encode(reply.end), 0o600)
            carrier.acknowledge([delivery])
        if not set(asked.members) - set(_ends(folder, asked)):
            carrier.remove(queue)
    finally:
        carrier.close()


def _ends(folder: Path, asked: Asked) -> dict[str, Finished | Failure]:
    ends: dict[str, Finished | Failure] = {}
    for name in asked.members:
        path = folder / f"{name}.reply.json"
        if path.exists():
            ends[name] = msgspec.json.decode(read_bytes(path), type=Finished | Failure)
    return ends


def _note(home: Path, member: str, asked: Asked) -> None:
    folder = _folder(home, member, asked.session)
    ensure_folder(folder, 0o700)
    write_atomic(folder / "asked.json", msgspec.json.encode(asked), 0o600)


def _folder(home: Path, member: str, session: str) -> Path:
    return home / "asked" / member / session
