"""How a connection between two participants begins: who dials whom, TLS, the proof of identity, tries and pauses."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from quorate.errors import IdentityError, QuorateError
from quorate.transport.backoff import Backoff
from quorate.transport.tls import Contexts, describe_refusal, peer_fingerprint, verify_peer
from quorate.transport.wire import TlsWire, tune

__all__ = [
    "STRANGERS",
    "Attempt",
    "Attempts",
    "Dial",
    "Incoming",
    "PeerAddress",
    "accepted_wire",
    "dialed_wire",
    "dials",
    "explain",
    "recognise",
]

T = TypeVar("T")

_ATTEMPT_SECONDS = 15.0
"""For one connection until it is usable. Longer than a listener keeps one to a session that it does not know."""
STRANGERS = 64
"""Accepted connections that have not proved who they are, at most."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


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


class Dial:
    """A peer that we dial: how often we tried, when we try next, and why it did not work."""

    def __init__(self, pauses: Backoff | None = None) -> None:
        self.tries = 0
        self.due = 0.0
        self.reason = "no answer"
        self._pauses = pauses or Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)

    def postpone(self, reason: str, least: float = 0.0) -> None:
        """It did not work: try again after a pause of at least so many seconds."""
        self.due = time.monotonic() + max(least, self._pauses.pause())
        self.reason = reason

    def succeeded(self) -> None:
        """It worked: the next pause is a short one again."""
        self._pauses.reset()

    def begin(self, address: tuple[str, int]) -> socket.socket:
        """A socket that connects; with the next of the host's addresses each time. Raises `OSError`."""
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = found[self.tries % len(found)]
        self.tries += 1
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        status = sock.connect_ex(place)
        if status not in (0, errno.EINPROGRESS):
            sock.close()
            raise OSError(status, os.strerror(status))
        return sock


# ---- what happens on a connection until the other side is known; each yields the poll events that it waits for


def dialed_wire(
    sock: socket.socket, contexts: Contexts, host: str, member: PeerAddress
) -> Generator[int, None, TlsWire]:
    """Complete a connection to `member`, for the session behind the name `host`.

    The other side has to speak first afterwards: only then do we know that it accepted our certificate.

    Raises:
        IdentityError: it is not `member`, or refuses our certificate.
        OSError, EOFError: no connection.
    """
    yield select.POLLOUT
    status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if status:
        raise OSError(status, os.strerror(status))
    tune(sock)
    wire = TlsWire(sock, contexts.client, host)
    yield from _handshake(wire, member.name)
    verify_peer(wire.tls, member.name, member.fingerprint)
    return wire


def accepted_wire(sock: socket.socket, contexts: Contexts) -> Generator[int, None, TlsWire]:
    """Complete a connection that somebody made to us; `recognise` says who it is. Errors as in `dialed_wire`."""
    tune(sock)
    wire = TlsWire(sock, contexts.server)
    yield from _handshake(wire, "somebody who connected to us")
    return wire


def recognise(wire: TlsWire, awaited: Mapping[str, int]) -> int:
    """The participant whose certificate the dialer has proved to own; `awaited`: fingerprint -> participant.

    Raises:
        IdentityError: it is none of them.
    """
    shown = peer_fingerprint(wire.tls)
    if shown not in awaited:
        raise IdentityError(f"the certificate {shown} is not pinned for anybody who dials us in this session")
    return awaited[shown]


def _handshake(wire: TlsWire, peer: str) -> Generator[int, None, None]:
    try:
        while event := wire.handshake():
            yield event
    except ssl.SSLError as problem:
        refusal = describe_refusal(problem, peer)
        if refusal is None:
            raise
        raise refusal from None


# ---- driving them


@dataclass
class Attempt(Generic[T]):
    """A connection under way."""

    sock: socket.socket
    progress: Generator[int, None, T]
    deadline: float
    peer: int | None
    """Whom we dialed; None for an accepted connection."""


class Attempts(Generic[T]):
    """The connections under way, by descriptor; they share a poller with other things."""

    def __init__(self, poller: select.poll) -> None:
        self._poller = poller
        self._all: dict[int, Attempt[T]] = {}

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._all

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, descriptor: int) -> Attempt[T]:
        return self._all[descriptor]

    def add(self, sock: socket.socket, progress: Generator[int, None, T], peer: int | None) -> int:
        """Take a connection; `step` has to follow."""
        descriptor = sock.fileno()
        self._all[descriptor] = Attempt(sock, progress, time.monotonic() + _ATTEMPT_SECONDS, peer)
        self._poller.register(descriptor, 0)
        return descriptor

    def step(self, descriptor: int) -> T | OSError | EOFError | QuorateError | None:
        """Go on with an attempt: its result (then it is no attempt any more), a problem (then `drop` it), or None."""
        attempt = self._all[descriptor]
        try:
            self._poller.modify(descriptor, next(attempt.progress))
        except StopIteration as end:
            del self._all[descriptor]
            self._poller.unregister(descriptor)
            made: T = end.value
            return made
        except (OSError, EOFError, QuorateError) as problem:
            return problem
        return None

    def overdue(self, now: float) -> list[int]:
        """Those that take too long."""
        return [descriptor for descriptor, attempt in self._all.items() if attempt.deadline < now]

    def next_deadline(self) -> float:
        """When the first of them takes too long; infinite if there is none."""
        return min((attempt.deadline for attempt in self._all.values()), default=float("inf"))

    def drop(self, descriptor: int) -> Attempt[T]:
        """Close a connection."""
        attempt = self._all.pop(descriptor)
        self._poller.unregister(descriptor)
        attempt.progress.close()
        attempt.sock.close()
        return attempt

    def drop_all(self) -> None:
        """Close all."""
        for descriptor in list(self._all):
            self.drop(descriptor)


def explain(problem: OSError | EOFError) -> str:
    """Why a connection failed, for people."""
    if isinstance(problem, EOFError):
        return "it closed the connection: it may not know this session, or not yet"
    if isinstance(problem, TimeoutError) and not problem.strerror:
        return f"no answer within {_ATTEMPT_SECONDS:g} s"
    if isinstance(problem, ssl.SSLError):
        return f"what answers there does not speak TLS 1.3 with us: {problem.reason or 'protocol error'}"
    return (problem.strerror or str(problem)).lower()
