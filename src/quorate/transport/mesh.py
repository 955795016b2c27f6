"""Connections between all participants of a session: who dials whom, retries, and the proof of identity."""

from __future__ import annotations

import logging
import math
import select
import socket
import time
from collections.abc import Generator, Sequence

from quorate.errors import IdentityError, PeerError, PeerTimeout
from quorate.transport.conduct import bid_farewell
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
from quorate.transport.link import Link
from quorate.transport.listener import session_host
from quorate.transport.tls import Contexts
from quorate.transport.wire import TlsWire

__all__ = ["Incoming", "PeerAddress", "connect_mesh", "dials"]

_TICK = 0.25
_ALIVE_SECONDS = 0.5

_log = logging.getLogger(__name__)


def connect_mesh(
    me: int,
    members: Sequence[PeerAddress],
    session: str,
    contexts: Contexts,
    incoming: Incoming | None,
    join_timeout: float,
) -> dict[int, Link]:
    """Connect to all participants that we exchange messages with; peer index -> link.

    Args:
        me: our index in `members`.
        members: all participants of the session, in the order of their indices.
        session: names the session towards the listeners of the others, see `session_host`.
        contexts: our certificate, key and authority.
        incoming: connections to us; None if nobody has to connect to us.
        join_timeout: seconds to wait for the others; unreachable ones are tried again until then.

    Raises:
        PeerTimeout: somebody is missing after `join_timeout`; names who, where, and what happened there.
        IdentityError: a peer that we dialed is not who it should be, or refuses our certificate.
        AgreementError: a peer speaks another version of the wire format.
        PeerError: a peer failed or left meanwhile.
    """
    meeting = _Meeting(me, members, session_host(session), contexts, incoming, join_timeout)
    try:
        return meeting.run()
    except BaseException as problem:
        bid_farewell(meeting.known, problem)
        for link in meeting.known:
            link.close()
        raise
    finally:
        meeting.close()


class _Meeting:
    def __init__(
        self,
        me: int,
        members: Sequence[PeerAddress],
        host: str,
        contexts: Contexts,
        incoming: Incoming | None,
        timeout: float,
    ) -> None:
        self.members = members
        self.host = host
        self.contexts = contexts
        self.incoming = incoming
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        roles = {peer: dials(members, me, peer) for peer in range(len(members))}
        self.dials = {peer: Dial() for peer, role in roles.items() if role}
        self.awaited = {members[peer].fingerprint: peer for peer, role in roles.items() if role is False}
        self.missing = {peer for peer, role in roles.items() if role is not None}
        self.links: dict[int, Link] = {}
        self.known: list[Link] = []  # those that proved who they are, complete or not
        self.refused = ""
        self.next_tick = self.next_alive = 0.0
        self.poller = select.poll()
        self.attempts: Attempts[Link] = Attempts(self.poller)
        if incoming is not None and self.awaited:
            self.poller.register(incoming.fileno(), select.POLLIN)

    def run(self) -> dict[int, Link]:
        while self.missing:
            now = time.monotonic()
            if now > self.deadline:
                raise PeerTimeout(self._absent())
            self._dial_due(now)
            for descriptor, _ in self.poller.poll(self._wait(now) * 1000 + 1):
                if descriptor in self.attempts:
                    self._go_on(descriptor)
                else:
                    self._accept()
            self._tick(time.monotonic())
        return self.links

    def close(self) -> None:
        self.attempts.drop_all()

    def _wait(self, now: float) -> float:
        due = min((dial.due for dial in self.dials.values()), default=math.inf)
        return max(0.0, min(due, self.next_tick, self.deadline) - now)

    # ---- beginning connections

    def _dial_due(self, now: float) -> None:
        for peer, dial in self.dials.items():
            if dial.due <= now:
                try:
                    sock = dial.begin(self.members[peer].address or ("", 0))
                except OSError as problem:
                    dial.postpone(explain(problem))
                    continue
                dial.due = math.inf
                self._go_on(self.attempts.add(sock, self._dialed(sock, peer), peer))

    def _accept(self) -> None:
        while self.incoming is not None and (sock := self.incoming.accept()) is not None:
            if len(self.attempts) - len(self.dials) >= STRANGERS:
                sock.close()
                continue
            self._go_on(self.attempts.add(sock, self._accepted(sock), None))

    # ---- what happens on a connection until it is usable

    def _dialed(self, sock: socket.socket, peer: int) -> Generator[int, None, Link]:
        wire = yield from dialed_wire(sock, self.contexts, self.host, self.members[peer])
        link = self._known(wire, peer)
        # The other side speaks first: only then do we know that it accepted our certificate and this session.
        yield from _greeting(link)
        link.greet()
        return link

    def _accepted(self, sock: socket.socket) -> Generator[int, None, Link]:
        wire = yield from accepted_wire(sock, self.contexts)
        link = self._known(wire, self._recognise(wire))
        link.greet()
        yield from _greeting(link)
        return link

    def _recognise(self, wire: TlsWire) -> int:
        """The index of the dialer; whoever has no business here is told so."""
        try:
            peer = recognise(wire, self.awaited)
            if peer in self.links:
                raise IdentityError(f"there is a connection from {self.members[peer].name} already")
        except IdentityError as problem:
            link = Link(wire, -1, "a stranger")
            link.fail(encode_failure(problem))
            link.end_sending()
            raise
        return peer

    def _known(self, wire: TlsWire, peer: int) -> Link:
        link = Link(wire, peer, self.members[peer].name)
        self.known.append(link)
        return link

    # ---- driving them

    def _go_on(self, descriptor: int) -> None:
        end = self.attempts.step(descriptor)
        if isinstance(end, Link):
            self._complete(end)
        elif isinstance(end, OSError | EOFError):
            self._failed(descriptor, explain(end))
        elif isinstance(end, IdentityError) and self.attempts[descriptor].peer is None:
            # Anybody can connect to us and show a wrong certificate; that must not end the session of the others.
            self._failed(descriptor, str(end))
        elif end is not None:
            raise end

    def _complete(self, link: Link) -> None:
        if link.index in self.links:
            _log.info("a connection to us came to nothing: %s connected twice", link.name)
            self.known.remove(link)
            link.close()
            return
        self.links[link.index] = link
        self.missing.discard(link.index)
        self.dials.pop(link.index, None)

    def _failed(self, descriptor: int, reason: str) -> None:
        self.known = [link for link in self.known if link.wire.fileno() != descriptor]
        attempt = self.attempts.drop(descriptor)
        if attempt.peer is not None:
            self.dials[attempt.peer].postpone(reason)
        else:
            self.refused = reason
            _log.info("a connection to us came to nothing: %s", reason)

    def _tick(self, now: float) -> None:
        if now < self.next_tick:
            return
        self.next_tick = now + _TICK
        if self.awaited:
            # The owner of the channel may have taken connections from it before we came to look.
            self._accept()
        for descriptor in self.attempts.overdue(now):
            self._failed(descriptor, explain(TimeoutError()))
        speak = now >= self.next_alive
        if speak:
            self.next_alive = now + _ALIVE_SECONDS
        for link in self.links.values():
            _check(link)
            if speak:
                link.keep_alive()

    def _absent(self) -> str:
        parts = []
        for peer in sorted(self.missing):
            member = self.members[peer]
            if peer in self.dials:
                host, port = member.address or ("", 0)
                parts.append(f"{member.name} cannot be reached at {host}:{port} ({self.dials[peer].reason})")
            else:
                parts.append(f"{member.name} has not connected to us")
        hint = f" (the last connection to us came to nothing: {self.refused})" if self.refused else ""
        return (
            f"the session could not begin within {self.timeout:g} s: {'; '.join(parts)}{hint}; check that their "
            "processes run, and that addresses and firewalls let you reach each other"
        )


def _greeting(link: Link) -> Generator[int, None, None]:
    while not link.receive_greeting():
        yield select.POLLIN if link.idle else select.POLLIN | select.POLLOUT
        link.push()


def _check(link: Link) -> None:
    try:
        link.check_alive()
    except EOFError:
        raise PeerError(
            f"{link.name} left before everybody was there; its own report says why, or its process or machine died"
        ) from None
