"""Connections between all participants of a session: who dials whom, retries, and the proof of identity."""

from __future__ import annotations

import errno
import logging
import math
import os
import select
import socket
import ssl
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from quorate.errors import IdentityError, PeerError, PeerTimeout
from quorate.transport.backoff import Backoff
from quorate.transport.conduct import bid_farewell
from quorate.transport.frames import encode_failure
from quorate.transport.link import Link
from quorate.transport.listener import session_host
from quorate.transport.tls import Contexts, describe_refusal, peer_fingerprint, verify_peer
from quorate.transport.wire import TlsWire, tune

__all__ = ["Incoming", "PeerAddress", "connect_mesh", "dials"]

_ATTEMPT_SECONDS = 15.0
"""For one connection until it is usable. Longer than a listener keeps one to a session that it does not know."""
_TICK = 0.25
_ALIVE_SECONDS = 0.5
_STRANGERS = 64
"""Accepted connections that have not proved who they are, at most."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PeerAddress:
    """A participant of a session.

    Attributes:
        name: for messages to people.
        fingerprint: `sha256:...` of its pinned certificate in DER form.
        address: (host, port) of its listener; None if it has none and only dials.
        computes: whether it is a compute party. Two participants of which neither computes are not connected.
    """

    name: str
    fingerprint: str
    address: tuple[str, int] | None
    computes: bool = True


class Incoming(Protocol):
    """Where the connections to us come from: a listening socket, or a channel from the process that owns the port."""

    def fileno(self) -> int:
        """A descriptor that is readable when a connection may have arrived."""

    def accept(self) -> socket.socket | None:
        """The next connection, untouched; None if there is none now. Does not wait."""


def dials(members: Sequence[PeerAddress], me: int, peer: int) -> bool | None:
    """Whether `me` dials `peer`: who has no listener does, else the lower index. None: the two are not connected."""
    mine, other = members[me], members[peer]
    if me == peer or not (mine.computes or other.computes):
        return None
    if mine.address is None or other.address is None:
        return None if other.address is mine.address else mine.address is None
    return me < peer


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


Progress = Generator[int, None, Link]
"""A connection under way: yields the poll events that it waits for, returns the link."""


class _Dial:
    """A peer that we dial: how often we tried, when we try next, and why it did not work."""

    def __init__(self) -> None:
        self.tries = 0
        self.due = 0.0
        self.reason = "no answer"
        self._pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)

    def postpone(self, reason: str) -> None:
        self.due = time.monotonic() + self._pauses.pause()
        self.reason = reason


@dataclass
class _Attempt:
    sock: socket.socket
    progress: Progress
    deadline: float
    peer: int | None
    """Whom we dialed; None for an accepted connection."""


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
        self.dials = {peer: _Dial() for peer, role in roles.items() if role}
        self.awaited = {members[peer].fingerprint: peer for peer, role in roles.items() if role is False}
        self.missing = {peer for peer, role in roles.items() if role is not None}
        self.links: dict[int, Link] = {}
        self.known: list[Link] = []  # those that proved who they are, complete or not
        self.attempts: dict[int, _Attempt] = {}
        self.refused = ""
        self.next_tick = self.next_alive = 0.0
        self.poller = select.poll()
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
        for descriptor in list(self.attempts):
            self._drop(descriptor)

    def _wait(self, now: float) -> float:
        due = min((dial.due for dial in self.dials.values()), default=math.inf)
        return max(0.0, min(due, self.next_tick, self.deadline) - now)

    # ---- beginning connections

    def _dial_due(self, now: float) -> None:
        for peer, dial in self.dials.items():
            if dial.due <= now:
                try:
                    self._dial(peer, dial)
                except OSError as problem:
                    dial.postpone(_reason(problem))

    def _dial(self, peer: int, dial: _Dial) -> None:
        host, port = self.members[peer].address or ("", 0)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[dial.tries % len(found)]
        dial.tries += 1
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        status = sock.connect_ex(address)
        if status not in (0, errno.EINPROGRESS):
            sock.close()
            raise OSError(status, os.strerror(status))
        dial.due = math.inf
        self._begin(_Attempt(sock, self._dialed(sock, peer), self._limit(), peer))

    def _accept(self) -> None:
        while self.incoming is not None and (sock := self.incoming.accept()) is not None:
            if len(self.attempts) - len(self.dials) >= _STRANGERS:
                sock.close()
                continue
            self._begin(_Attempt(sock, self._accepted(sock), self._limit(), None))

    def _limit(self) -> float:
        return time.monotonic() + _ATTEMPT_SECONDS

    def _begin(self, attempt: _Attempt) -> None:
        descriptor = attempt.sock.fileno()
        self.attempts[descriptor] = attempt
        self.poller.register(descriptor, 0)
        self._go_on(descriptor)

    # ---- what happens on a connection until it is usable

    def _dialed(self, sock: socket.socket, peer: int) -> Progress:
        member = self.members[peer]
        yield select.POLLOUT
        status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            raise OSError(status, os.strerror(status))
        tune(sock)
        wire = TlsWire(sock, self.contexts.client, self.host)
        yield from _handshake(wire, member.name)
        verify_peer(wire.tls, member.name, member.fingerprint)
        link = self._known(wire, peer)
        # The other side speaks first: only then do we know that it accepted our certificate and this session.
        yield from _greeting(link)
        link.greet()
        return link

    def _accepted(self, sock: socket.socket) -> Progress:
        tune(sock)
        wire = TlsWire(sock, self.contexts.server)
        yield from _handshake(wire, "somebody who connected to us")
        link = self._known(wire, self._recognise(wire))
        link.greet()
        yield from _greeting(link)
        return link

    def _recognise(self, wire: TlsWire) -> int:
        """The index of the dialer; whoever has no business here is told so."""
        shown = peer_fingerprint(wire.tls)
        peer = self.awaited.get(shown)
        if peer is not None and peer not in self.links:
            return peer
        if peer is None:
            problem = IdentityError(f"the certificate {shown} is not pinned for anybody who dials us in this session")
        else:
            problem = IdentityError(f"there is a connection from {self.members[peer].name} already")
        link = Link(wire, -1, "a stranger")
        link.fail(encode_failure(problem))
        link.end_sending()
        raise problem

    def _known(self, wire: TlsWire, peer: int) -> Link:
        link = Link(wire, peer, self.members[peer].name)
        self.known.append(link)
        return link

    # ---- driving them

    def _go_on(self, descriptor: int) -> None:
        attempt = self.attempts[descriptor]
        try:
            self.poller.modify(descriptor, next(attempt.progress))
        except StopIteration as end:
            self._complete(descriptor, end.value)
        except (OSError, EOFError) as problem:
            self._failed(descriptor, _reason(problem))
        except IdentityError as problem:
            # Anybody can connect to us and show a wrong certificate; that must not end the session of the others.
            if attempt.peer is not None:
                raise
            self._failed(descriptor, str(problem))

    def _complete(self, descriptor: int, link: Link) -> None:
        if link.index in self.links:
            self._failed(descriptor, f"{link.name} connected twice")
            return
        del self.attempts[descriptor]
        self.poller.unregister(descriptor)
        self.links[link.index] = link
        self.missing.discard(link.index)
        self.dials.pop(link.index, None)

    def _failed(self, descriptor: int, reason: str) -> None:
        attempt = self._drop(descriptor)
        if attempt.peer is not None:
            self.dials[attempt.peer].postpone(reason)
        else:
            self.refused = reason
            _log.info("a connection to us came to nothing: %s", reason)

    def _drop(self, descriptor: int) -> _Attempt:
        attempt = self.attempts.pop(descriptor)
        self.poller.unregister(descriptor)
        attempt.progress.close()
        self.known = [link for link in self.known if link.wire.fileno() != descriptor]
        attempt.sock.close()
        return attempt

    def _tick(self, now: float) -> None:
        if now < self.next_tick:
            return
        self.next_tick = now + _TICK
        if self.awaited:
            # The owner of the channel may have taken connections from it before we came to look.
            self._accept()
        for descriptor in [d for d, attempt in self.attempts.items() if attempt.deadline < now]:
            self._failed(descriptor, f"no answer within {_ATTEMPT_SECONDS:g} s")
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


def _handshake(wire: TlsWire, peer: str) -> Generator[int, None, None]:
    try:
        while event := wire.handshake():
            yield event
    except ssl.SSLError as problem:
        refusal = describe_refusal(problem, peer)
        if refusal is None:
            raise
        raise refusal from None


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


def _reason(problem: OSError | EOFError) -> str:
    """Why a connection failed, for people."""
    if isinstance(problem, EOFError):
        return "it closed the connection: it may not know this session, or not yet"
    if isinstance(problem, ssl.SSLError):
        return f"what answers there does not speak TLS 1.3 with us: {problem.reason or 'protocol error'}"
    return (problem.strerror or str(problem)).lower()
