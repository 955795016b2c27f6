"""What travels between a coordinator and members that are not online together: signed invitations and replies.

Both are JSON documents with an ECDSA signature of the sender's certificate key, left in queues: invitations in
("invitations", MEMBER) at the member's broker, replies in (SESSION, "replies.COORDINATOR") at the coordinator's. They
hold no data, no share and no key, but the spec, which brokers can read.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeVar

import msgspec

from quorate.coordination.federation import Federation
from quorate.crypto.hashing import canonical_json, digest
from quorate.crypto.pki import load_certificate, signed_by
from quorate.errors import IdentityError, PeerError, UserError
from quorate.node.identity import Identity
from quorate.node.messages import Failure, Finished, Prepare, check_session
from quorate.transport.carrier import Parcel, Queue

__all__ = [
    "Cancellation",
    "Invitation",
    "Reply",
    "Signed",
    "check_invitation",
    "invitations_queue",
    "is_cancellation",
    "opened",
    "replies_queue",
    "signed",
]

_DOMAIN = "quorate/letter/1"
_LIMIT = 4 << 20


class _Letter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    session: str
    sender: str
    issued: float


class Invitation(_Letter, frozen=True):
    """Take part in this session, which may begin until `expires` (Unix time)."""

    prepare: Prepare
    expires: float


class Cancellation(_Letter, frozen=True):
    """Its coordinator gives the session up."""


class Reply(_Letter, frozen=True):
    """How the session ended at the sender."""

    end: Finished | Failure


class _Kind(msgspec.Struct, frozen=True):
    type: str


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A letter and the signature of its sender over exactly these bytes."""

    letter: bytes
    signature: bytes


L = TypeVar("L", Invitation, Reply, Cancellation)


def invitations_queue(member: str) -> Queue:
    """Where invitations wait for a member."""
    return Queue("invitations", member)


def replies_queue(session: str, coordinator: str) -> Queue:
    """Where the coordinator of a session finds how it ended."""
    return Queue(session, f"replies.{coordinator}")


def signed(identity: Identity, letter: Invitation | Reply | Cancellation) -> Parcel:
    """The letter as a parcel."""
    body = canonical_json(letter)
    sealed = Signed(letter=body, signature=identity.signer.sign(digest(body, _DOMAIN)))
    kind = type(letter).__name__.lower()
    return Parcel(f"{letter.session}.{identity.name}.{kind}", msgspec.json.encode(sealed))


def opened(data: bytes, kind: type[L], federation: Federation) -> L:
    """The letter, if a member of the federation has signed it; whether it may say so is to be checked by the caller.

    Raises:
        PeerError: malformed.
        IdentityError: not signed by the member that it names.
    """
    if len(data) > _LIMIT:
        raise PeerError(f"a letter of {len(data)} bytes is too long to be one")
    try:
        outer = msgspec.json.decode(data, type=Signed)
        letter = msgspec.json.decode(outer.letter, type=kind)
        check_session(letter.session)
        sender = federation.member(letter.sender)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, UserError) as problem:
        raise PeerError(f"a malformed letter ({type(problem).__name__}); compare releases") from None
    if not signed_by(load_certificate(Path(sender.certificate)), outer.signature, digest(outer.letter, _DOMAIN)):
        raise IdentityError(f"a letter in the name of {sender.name} is not signed by its certificate's key")
    return letter


def is_cancellation(data: bytes) -> bool:
    """Whether a letter says that it is one; nothing is checked."""
    try:
        kind = msgspec.json.decode(msgspec.json.decode(data, type=Signed).letter, type=_Kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return kind.type == Cancellation.__name__.lower()


def check_invitation(invitation: Invitation, federation: Federation) -> None:
    """Raises `IdentityError` or `UserError` unless it is for now, and from a coordinator."""
    if not federation.member(invitation.sender).has("coordinator"):
        raise IdentityError(f"{invitation.sender} invites to a session, and lacks the role coordinator")
    if invitation.session != invitation.prepare.session:
        raise UserError("an invitation names two sessions")
    if time.time() > invitation.expires:
        raise UserError(f"the invitation of {invitation.sender} to session {invitation.session} has expired")
