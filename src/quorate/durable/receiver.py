"""The receiving half of the channels: checks every parcel, puts messages together, convicts who says two things.

What does not come from a peer - malformed, changed, for somebody else - is refused and changes nothing; what a peer has
authenticated and should not have said ends the session.
"""

from __future__ import annotations

import hashlib
from collections import deque

from quorate.durable import parcel, records
from quorate.durable.acknowledgements import Acknowledgements
from quorate.durable.execution import Execution
from quorate.durable.facts import Evidence, Signed, Spent
from quorate.durable.parcel import DATA, HEADER_SIZE, HELLO, STATUS, Header, Status
from quorate.durable.peer import Arriving, Peer, split_sealed
from quorate.durable.records import Entry
from quorate.durable.sender import Sender
from quorate.durable.state import State
from quorate.errors import IntegrityError, PeerError
from quorate.transport.frames import decode_failure

__all__ = ["Receiver", "Unusable"]

_AHEAD = 1 << 16
"""A message may be so many positions after the oldest that is missing."""
_PREMATURE = 1 << 20
"""Bytes of parcels that are kept of a peer that has not greeted us; nobody can vouch for them."""
_INCOMPLETE = 1 << 26
"""Bytes of messages of a peer of which pieces are missing, beyond the oldest."""
_PARCEL = 512
_CONTROL = 4096


class Unusable(Exception):
    """A parcel that no peer can be blamed for; it changes nothing."""


class Receiver:
    """See the module.

    Attributes:
        evidence: of peers that said two things.
        early: parcels that came before the sender's HELLO, which is here now: take them next.
    """

    def __init__(self, state: State, acknowledgements: Acknowledgements, execution: Execution, sender: Sender) -> None:
        self.evidence: list[Evidence] = []
        self.early: deque[tuple[bytes, object]] = deque()
        self._state, self._acknowledgements = state, acknowledgements
        self._execution, self._sender = execution, sender

    def take(self, data: bytes, token: object, now: float) -> None:
        """A parcel has arrived.

        Raises:
            Unusable: it is not from a peer, or not as the peer sent it.
            PeerError: the peer breaks the protocol, or says that it failed.
            IntegrityError: the peer says two things.
            Spent: the peer has more of our messages than our journal knows of.
        """
        try:
            header = parcel.unpack(data)
        except PeerError as problem:
            raise Unusable(str(problem)) from None
        state = self._state
        peer = state.peers.get(header.sender)
        if header.session != state.session or header.receiver != state.seat.me or peer is None:
            raise Unusable("it is for another session or participant, or from one that has nothing to say to us")
        if state.phase in ("closed", "failed"):
            self._acknowledgements.take(token)
        elif header.kind == HELLO:
            self._greeted(peer, data[HEADER_SIZE:], token, now)
        elif peer.channel is None:
            self._hold(peer, data, token)
        elif header.kind == DATA:
            self._piece(peer, header, data, token, now)
        else:
            self._control(peer, header, data, token, now)

    # ---- keys

    def _hold(self, peer: Peer, data: bytes, token: object) -> None:
        """A parcel that overtook the sender's HELLO. Of too many some are dropped: what is missing is asked for."""
        peer.premature_bytes += len(data) + _PARCEL
        if peer.premature_bytes > _PREMATURE:
            self._acknowledgements.take(token)
        else:
            peer.premature.append((data, token))

    def _greeted(self, peer: Peer, hello: bytes, token: object, now: float) -> None:
        state = self._state
        try:
            said = state.read_hello(peer, hello)
        except PeerError as problem:
            raise Unusable(str(problem)) from None
        if peer.hello is not None:
            before = state.read_hello(peer, peer.hello)
            if said.statement() != before.statement():  # signatures of the same may differ
                raise IntegrityError(
                    f"{peer.name} began this session a second time, with other keys: it lost its journal, or cheats; "
                    "start a new session"
                )
            self._acknowledgements.take(token)
            peer.greet |= peer.last_control == (0, 0) and not peer.received  # it may not have ours
            return
        peer.hello = hello
        state.open_channel(peer)
        state.log.append(records.GREETED, peer.index.to_bytes(2, "little"), hello)
        self._acknowledgements.take(token)
        peer.heard = now
        peer.say = True
        self.early.extend(peer.premature)
        peer.premature = []

    # ---- messages

    def _piece(self, peer: Peer, header: Header, data: bytes, token: object, now: float) -> None:
        split = split_sealed(header, data)
        if split is None or peer.channel is None:
            raise Unusable(f"a message of {peer.name} is shorter or longer than it says")
        sealed, signature = split
        body = peer.channel.open(data[:HEADER_SIZE], sealed)
        if body is None:
            raise Unusable(f"a message of {peer.name} was changed on its way, or is not from it")
        peer.heard = peer.fed = now
        if header.seq > peer.received + _AHEAD:
            raise PeerError(f"{peer.name} sent message {header.seq} before {peer.received + 1}; compare releases")
        again = peer.has(header.seq)
        oldest = min(peer.arriving, default=header.seq)
        if peer.incomplete > _INCOMPLETE and header.pieces > 1 and (again or header.seq > oldest):
            self._acknowledgements.take(token)  # asked for again once there is room
            return
        assembly = peer.repeated if again else peer.arriving
        arriving = assembly.setdefault(header.seq, Arriving(header._replace(piece=0)))
        if arriving.header != header._replace(piece=0):
            raise IntegrityError(f"{peer.name} sent pieces of two messages at one place; start a new session")
        arriving.add(header.piece, b"" if again else body, sealed, signature, token)
        peer.incomplete += len(data)
        if not arriving.complete:
            return
        if not peer.channel.signed(parcel.pack(arriving.header), arriving.digest, arriving.signature):
            # The signature is outside of what is sealed, so anybody on the way can have spoilt it.
            why = f"the signature of a message of {peer.name} was changed on its way"
            self._acknowledgements.refuse(arriving.drop_last(), why)
            return
        del assembly[header.seq]
        peer.incomplete = sum(one.size for one in (*peer.arriving.values(), *peer.repeated.values()))
        for tokens in arriving.tokens.values():
            self._acknowledgements.take(*tokens)
        if again:
            self._compare(peer, arriving)
        else:
            self._arrived(peer, arriving, now)

    def _arrived(self, peer: Peer, arriving: Arriving, now: float) -> None:
        """A message is complete: write it down, give it to the party."""
        header, sealed, body = arriving.header, arriving.digest, arriving.body
        digest = hashlib.sha256(body).digest()
        entry = Entry(peer.index, header.seq, header.name, header.size, digest, now, sealed, arriving.signature)
        running = self._state.phase == "running"
        if running:
            self._state.log.append(records.RECEIVED, entry.pack(), body)
        peer.note(entry)
        peer.unsaid += header.size
        if running:
            self._execution.deliver(entry, body)

    def _compare(self, peer: Peer, arriving: Arriving) -> None:
        """A message came again: it must be the same."""
        header, known = arriving.header, peer.entries.get(arriving.header.seq)
        if known is None:
            return
        first = header._replace(name=known.name, size=known.size, pieces=parcel.piece_count(known.size))
        if (first, known.sealed) == (header, arriving.digest):
            return
        second = Signed(parcel.pack(header), arriving.digest, arriving.signature)
        one = Signed(parcel.pack(first), known.sealed, known.signature)
        self.evidence.append(Evidence(peer.index, peer.hello or b"", one, second))
        raise IntegrityError(
            f"{peer.name} sent two different messages at one place ({self._state.scope.describe(header.name)}); "
            "what it signed is kept as evidence"
        )

    # ---- how peers stand

    def _control(self, peer: Peer, header: Header, data: bytes, token: object, now: float) -> None:
        counter, incarnation = header.seq, header.name[1]
        if peer.channel is None or len(data) > HEADER_SIZE + _CONTROL:
            raise Unusable("a control message that is too long")
        body = peer.channel.open_control(data[:HEADER_SIZE], data[HEADER_SIZE:])
        if body is None:
            raise Unusable(f"a message of {peer.name} was changed on its way, or is not from it")
        self._acknowledgements.take(token)
        if (incarnation, counter) <= peer.last_control:
            return
        peer.last_control = (incarnation, counter)
        peer.heard = now
        if header.kind == STATUS:
            self._status(peer, body)
        elif self._state.phase == "done":
            peer.done = True
        else:
            raise PeerError(f"{peer.name} failed: {decode_failure(body, peer.name)}")

    def _status(self, peer: Peer, body: bytes) -> None:
        try:
            status = Status.unpack(body)
        except ValueError:
            raise PeerError(f"{peer.name} sent a malformed status; compare releases") from None
        if status.received > peer.sent:
            raise Spent(
                f"{peer.name} has {status.received} messages of ours, our journal knows of {peer.sent}: our data "
                "folder was put back to an old state; going on could tell secrets, so this session is given up: "
                "start a new one"
            )
        peer.met = True
        peer.acknowledged(status.received)
        peer.tail = max(peer.tail, status.sent)
        peer.done |= status.done
        if status.want:
            self._sender.repeat(peer)
