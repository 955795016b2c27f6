"""Connections for parcels as they begin: dialed again and again where we dial, accepted at any time where we do not."""

from __future__ import annotations

import logging
import math
import select
import socket
from collections.abc import Callable, Container, Generator, Sequence

from quorate.errors import IdentityError, QuorateError
from quorate.transport.backoff import Backoff
from quorate.transport.dialing import (
    STRANGERS,
    Attempts,
    Dial,
    Incoming,
    PeerAddress,
    accepted_wire,
    dialed_wire,
    dials,
    explain,
    recognise,
)
from quorate.transport.frames import encode_failure
from quorate.transport.listener import session_host
from quorate.transport.parcel_link import ParcelLink
from quorate.transport.tls import Contexts

__all__ = ["LONGEST_PAUSE", "Doors"]

_FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds between two tries to reach a peer."""

_log = logging.getLogger(__name__)


class Doors:
    """The beginning of all connections of one participant; see `quorate.transport.direct.Direct` for the arguments.

    Args:
        poller: what is under way is registered there, and so is `incoming`.
        made: called with every complete connection.
        failed: called with (peer or None for somebody who connected to us, reason, whether it was about identity or
            refusal rather than the network).

    Attributes:
        peers: with whom we are connected, by dialing or being dialed.
    """

    def __init__(
        self,
        me: int,
        members: Sequence[PeerAddress],
        session: str,
        contexts: Contexts,
        incoming: Incoming | None,
        poller: select.poll,
        made: Callable[[ParcelLink], None],
        failed: Callable[[int | None, str, bool], None],
        slow: float,
    ) -> None:
        self._members, self._host, self._contexts = members, session_host(session), contexts
        self._incoming, self._made, self._tell, self._slow = incoming, made, failed, slow
        roles = {peer: dials(members, me, peer) for peer in range(len(members))}
        self.peers = frozenset(peer for peer, role in roles.items() if role is not None)
        self._dials = {peer: Dial(Backoff(_FIRST_PAUSE, LONGEST_PAUSE)) for peer, role in roles.items() if role}
        self._awaited = {members[peer].fingerprint: peer for peer, role in roles.items() if role is False}
        self._dialing: set[int] = set()
        self._attempts: Attempts[ParcelLink] = Attempts(poller)
        if incoming is not None:
            poller.register(incoming.fileno(), select.POLLIN)

    def dial(self, now: float, connected: Container[int]) -> None:
        """Begin to dial whoever is due and not among the connected."""
        for peer, dial in self._dials.items():
            if dial.due > now or peer in self._dialing or peer in connected:
                continue
            try:
                sock = dial.begin(self._members[peer].address or ("", 0))
            except OSError as problem:
                self.lost(peer, explain(problem), 0.0, False)
                self._tell(peer, explain(problem), False)
                continue
            self._dialing.add(peer)
            self._step(self._attempts.add(sock, self._dialed(sock, peer), peer))

    def due(self, connected: Container[int]) -> float:
        """When there is something to do next, by the monotonic clock."""
        waiting = (
            dial.due for peer, dial in self._dials.items() if peer not in self._dialing and peer not in connected
        )
        return min(min(waiting, default=math.inf), self._attempts.next_deadline())

    def serve(self, descriptor: int) -> None:
        """Something happened on a descriptor that is ours."""
        if descriptor in self._attempts:
            self._step(descriptor)
        else:
            self._accept()

    def tick(self, now: float) -> None:
        """Now and then: give up what takes too long."""
        # Somebody else who reads the same socket may have been woken in our place.
        self._accept()
        for descriptor in self._attempts.overdue(now):
            self._failed(descriptor, TimeoutError())

    def lost(self, peer: int, reason: str, pause: float, proven: bool) -> None:
        """A connection is lost: dial again after at least `pause` seconds, if it is we who dial.

        `proven`: it had worked for some time, so pauses begin with short ones.
        """
        dial = self._dials.get(peer)
        if dial is not None:
            if proven:
                dial.succeeded()
            dial.postpone(reason, pause)

    def close(self) -> None:
        """Give up everything that is under way."""
        self._attempts.drop_all()
        self._dialing.clear()

    def _accept(self) -> None:
        while self._incoming is not None and (sock := self._incoming.accept()) is not None:
            if len(self._attempts) - len(self._dialing) >= STRANGERS:
                sock.close()
                continue
            self._step(self._attempts.add(sock, self._accepted(sock), None))

    def _dialed(self, sock: socket.socket, peer: int) -> Generator[int, None, ParcelLink]:
        member = self._members[peer]
        link = ParcelLink((yield from dialed_wire(sock, self._contexts, self._host, member)), peer, member.name)
        yield from _greeted(link)
        link.greet()
        return link

    def _accepted(self, sock: socket.socket) -> Generator[int, None, ParcelLink]:
        wire = yield from accepted_wire(sock, self._contexts)
        try:
            peer = recognise(wire, self._awaited)
        except IdentityError as problem:
            ParcelLink(wire, -1, "a stranger").refuse(encode_failure(problem))
            raise
        link = ParcelLink(wire, peer, self._members[peer].name)
        link.greet()
        yield from _greeted(link)
        return link

    def _step(self, descriptor: int) -> None:
        end = self._attempts.step(descriptor)
        if isinstance(end, ParcelLink):
            self._dialing.discard(end.index)
            self._made(end)
        elif end is not None:
            self._failed(descriptor, end)

    def _failed(self, descriptor: int, problem: OSError | EOFError | QuorateError) -> None:
        peer = self._attempts.drop(descriptor).peer
        final = isinstance(problem, QuorateError)
        reason = str(problem) if isinstance(problem, QuorateError) else explain(problem)
        if peer is None:
            _log.info("a connection to us came to nothing: %s", reason)
        else:
            self._dialing.discard(peer)
            self._dials[peer].postpone(reason, self._slow if final else 0.0)
        self._tell(peer, reason, final)


def _greeted(link: ParcelLink) -> Generator[int, None, None]:
    """Wait for the greeting; whoever greets otherwise than we do is told so."""
    try:
        yield from link.greeting()
    except QuorateError as problem:
        link.refuse(encode_failure(problem))
        raise
