"""Parcels straight between the nodes of a session, over mutual TLS that is made again whenever it is lost.

One thread dials, accepts, reads, and writes what did not go at once. Identities and who dials whom are as for the
meshes of live sessions (`quorate.transport.dialing`), but nothing ends the session: what is lost is told (`Lost`) and
tried again, and a newer connection of a peer takes the place of the older. Parcels that were under way when a
connection was lost may be lost with it; whoever sent them sends them again after `Lost`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence

from quorate.errors import BrokerFault, QueueFull, QuorateError
from quorate.transport.arrivals import Arrival, Arrivals, Broken, Connected, Lost, Refused
from quorate.transport.carrier import Parcel
from quorate.transport.dialing import Incoming, PeerAddress, explain
from quorate.transport.doors import LONGEST_PAUSE, Doors
from quorate.transport.frames import encode_failure
from quorate.transport.parcel_link import ParcelLink
from quorate.transport.tls import Contexts

__all__ = ["NAME", "Direct", "DirectWay"]

NAME = "direct"
"""Of these ways, in reports and audits."""

_TICK = 0.5
_MOST_PENDING = 8 << 20
"""Bytes that wait for the kernel towards one peer; then whoever sends has to wait."""
_ROOM_SECONDS = 1.0
_PROVEN_SECONDS = 5.0
"""A connection that lived so long was a good one: the next is tried at once."""
_PART_SECONDS = 1.0
_ARRIVED = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Direct:
    """The connections of participant `me` to all others of a session; see the module.

    Args:
        me: our index in `members`.
        members: all participants, in the order of their indices.
        session: names the session towards the listeners of the others, see `session_host`.
        contexts: our certificate, key and authority.
        incoming: connections to us; None if nobody has to connect to us. Stays the caller's.
        arrivals: where parcels and events go.
        silence: seconds without a sign of life after which a connection counts as lost.
        slow: seconds to wait at least before a peer is tried again who is not who it should be, or refuses us.

    `start` it once the ways are watched (a `Router` does that for its ways), and `close` it in the end.
    """

    def __init__(
        self,
        me: int,
        members: Sequence[PeerAddress],
        session: str,
        contexts: Contexts,
        incoming: Incoming | None,
        arrivals: Arrivals,
        *,
        silence: float = 20.0,
        slow: float = 15.0,
    ) -> None:
        self._members, self._arrivals = members, arrivals
        self._silence, self._slow = silence, slow
        self._poller = select.poll()
        self._doors = Doors(me, members, session, contexts, incoming, self._poller, self._connected, self._failed, slow)
        self.peers = self._doors.peers
        self._links: dict[int, ParcelLink] = {}
        self._said: dict[int, str | None] = {}
        self._unread: set[ParcelLink] = set()
        self._masks: dict[int, int] = {}
        self._watchers: dict[int, list[Callable[[], None]]] = {}
        self._changed = threading.Condition()
        self._closing = self._woken = False
        self._next_tick = self._next_refusal = self._last_tick = 0.0
        self._ring, self._bell = socket.socketpair()
        self._ring.setblocking(False)
        self._bell.setblocking(False)
        self._poller.register(self._bell, select.POLLIN)
        arrivals.on_room.append(self._wake)
        self._thread = threading.Thread(target=self._run, name="quorate-direct", daemon=True)

    def way(self, peer: int) -> DirectWay:
        """The way to one of `peers`."""
        return DirectWay(self, peer, self._members[peer].name)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self) -> None:
        """End all connections, after what was sent has left as far as that works within a second; never raises."""
        self._closing = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join(_PART_SECONDS + 5.0)

    # ---- for the ways, in their threads

    def offer(self, peer: int, parcels: Sequence[Parcel]) -> bool:
        """Take all parcels if there is a connection with room; else none."""
        link = self._links.get(peer)
        if link is None:
            return False
        with link.lock:
            if link.broken is not None or link.pending > _MOST_PENDING:
                return False
            link.send([parcel.body for parcel in parcels])
            quiet = link.idle
        if not quiet:
            self._wake()
        return True

    def connected(self, peer: int) -> bool:
        """Whether there is a connection."""
        return peer in self._links

    def reason(self, peer: int) -> str:
        """Why there is none; empty if there is."""
        return "" if peer in self._links else self._said.get(peer) or "not connected yet"

    def pending(self, peer: int) -> int:
        """Bytes that wait for the kernel."""
        link = self._links.get(peer)
        return link.pending if link is not None else 0

    def watch(self, peer: int, call: Callable[[], None]) -> None:
        """Have `call` called, in our thread, when the peer is connected."""
        self._watchers.setdefault(peer, []).append(call)

    def wait_room(self, peer: int) -> None:
        """Wait until the peer may take more, a second at most."""
        with self._changed:
            self._changed.wait_for(lambda: self.pending(peer) <= _MOST_PENDING, _ROOM_SECONDS)

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):
                self._ring.send(b"w")

    # ---- the thread

    def _run(self) -> None:
        try:
            while not self._closing:
                self._round()
            self._part()
        except BaseException as problem:
            self._arrivals.put(Broken(problem))
        finally:
            self._release()

    def _round(self) -> None:
        now = time.monotonic()
        self._doors.dial(now, self._links)
        full = self._arrivals.full
        self._listen(full)
        wait = 0.0 if self._unread and not full else max(0.0, min(self._doors.due(self._links), self._next_tick) - now)
        by_descriptor = {link.wire.fileno(): link for link in self._links.values()}
        for descriptor, event in self._poller.poll(wait * 1000 + (1 if wait else 0)):
            if descriptor == self._bell.fileno():
                self._hear_bell()
            elif descriptor in by_descriptor:
                self._serve(by_descriptor[descriptor], event)
            else:
                self._doors.serve(descriptor)
        if not full:
            for link in list(self._unread):
                self._receive(link)
        for link in list(self._links.values()):
            if link.broken is not None:
                self._receive(link)  # what it said before it left explains more
                self._lose(link, explain(link.broken))
        self._tick(time.monotonic())

    def _hear_bell(self) -> None:
        with contextlib.suppress(OSError):
            self._bell.recv(4096)
        self._woken = False  # only now: whoever rings in between has changed what we look at next

    def _listen(self, full: bool) -> None:
        """Say what we wait for: while nobody takes what arrived, nothing more is read."""
        for link in self._links.values():
            mask = (0 if full else select.POLLIN) | (select.POLLOUT if link.blocked else 0)
            descriptor = link.wire.fileno()
            if self._masks.get(descriptor) != mask:
                self._masks[descriptor] = mask
                self._poller.register(descriptor, mask)

    def _serve(self, link: ParcelLink, event: int) -> None:
        if event & select.POLLOUT:
            with link.lock:
                link.push()
            with self._changed:
                self._changed.notify_all()
        if event & _ARRIVED:
            self._receive(link)

    def _receive(self, link: ParcelLink) -> None:
        if self._links.get(link.index) is not link:
            self._unread.discard(link)
            return
        try:
            with link.lock:
                bodies, more = link.receive()
        except EOFError as problem:
            self._lose(link, str(problem).lower() or "it closed the connection")
            return
        except QuorateError as problem:
            with link.lock:
                if link.idle:
                    link.refuse(encode_failure(problem))
            self._lose(link, str(problem), self._slow)
            return
        (self._unread.add if more else self._unread.discard)(link)
        for body in bodies:
            self._arrivals.put(Arrival(NAME, Parcel("", body), None))

    def _tick(self, now: float) -> None:
        if now < self._next_tick:
            return
        # After a gap in which we did not look, what the peers said meanwhile is still to be read.
        deaf = self._arrivals.full or now - self._last_tick > 4 * _TICK
        self._last_tick, self._next_tick = now, now + _TICK
        self._doors.tick(now)
        for link in list(self._links.values()):
            if deaf:
                link.heard = now
            elif now - link.heard > self._silence:
                self._lose(link, f"no sign of life for {self._silence:g} s")
            elif now - link.spoke > self._silence / 4:
                with link.lock:
                    link.keep_alive()

    def _connected(self, link: ParcelLink) -> None:
        old = self._links.get(link.index)
        if old is not None:
            self._lose(old, "it has connected anew")
        link.since = link.heard = time.monotonic()
        self._links[link.index] = link
        self._unread.add(link)
        self._say(link.index, None)
        for call in self._watchers.get(link.index, ()):
            call()

    def _failed(self, peer: int | None, reason: str, final: bool) -> None:
        if peer is not None:
            self._say(peer, reason, again=final)
        elif final and time.monotonic() >= self._next_refusal:
            self._next_refusal = time.monotonic() + 1.0  # whoever knocks without end does not fill our memory
            self._arrivals.put(Refused(NAME, reason))

    # ---- and end

    def _lose(self, link: ParcelLink, reason: str, pause: float = 0.0) -> None:
        """Close a connection, if it is still in use."""
        if self._links.get(link.index) is not link:
            return
        del self._links[link.index]
        self._unread.discard(link)
        self._shut(link)
        self._doors.lost(link.index, reason, pause, time.monotonic() - link.since > _PROVEN_SECONDS)
        self._say(link.index, reason)
        with self._changed:
            self._changed.notify_all()

    def _shut(self, link: ParcelLink) -> None:
        descriptor = link.wire.fileno()
        if self._masks.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)
        with link.lock:
            link.broken = link.broken or ConnectionAbortedError("closed by us")
            link.pending = 0
            link.close()

    def _say(self, peer: int, problem: str | None, *, again: bool = False) -> None:
        """Tell that a peer is connected (None) or why not: when that changes, or `again` for another reason."""
        if self._closing:
            return
        before = self._said.get(peer, "")
        self._said[peer] = problem
        if problem is None:
            self._arrivals.put(Connected(peer, NAME))
        elif not before or (again and before != problem):
            self._arrivals.put(Lost(peer, NAME, problem))

    def _part(self) -> None:
        """Send what is queued, half-close, and wait until the others close too: closing at once might lose it."""
        self._doors.close()
        deadline = time.monotonic() + _PART_SECONDS
        ending: set[ParcelLink] = set()
        while self._links and time.monotonic() < deadline:
            for link in list(self._links.values()):
                with link.lock:
                    if link.blocked:
                        link.push()
                    elif link not in ending:
                        ending.add(link)
                        link.end_sending()
                self._receive(link)
            self._poller.poll(5)
            self._listen(False)

    def _release(self) -> None:
        for link in list(self._links.values()):
            self._shut(link)
        self._links.clear()
        self._doors.close()
        self._ring.close()
        self._bell.close()


class DirectWay:
    """See `quorate.durable.ways.Way`: one peer of `Direct`."""

    name = NAME
    reports = True

    def __init__(self, direct: Direct, peer: int, member: str) -> None:
        self._direct, self._peer, self._member = direct, peer, member

    def permit(self) -> bool:
        """See `Way`."""
        return self._direct.connected(self._peer)

    def wait(self) -> float:
        """See `Way`: we tell when it works."""
        return 0.0 if self._direct.connected(self._peer) else LONGEST_PAUSE

    def watch(self, call: Callable[[], None]) -> None:
        """See `Way`."""
        self._direct.watch(self._peer, call)

    def quick(self, parcels: Sequence[Parcel]) -> bool:
        """See `Way`."""
        return self._direct.offer(self._peer, parcels)

    def publish(self, parcels: Sequence[Parcel]) -> None:
        """See `Way`; returns once the parcels are in the buffer of the connection."""
        for _ in range(2):
            if self._direct.offer(self._peer, parcels):
                return
            if not self._direct.connected(self._peer):
                raise BrokerFault(f"no direct connection to {self._member}: {self._direct.reason(self._peer)}")
            self._direct.wait_room(self._peer)
        raise QueueFull(f"{self._member} takes nothing more for now over the direct connection")

    def pending(self) -> int:
        """See `Way`."""
        return self._direct.pending(self._peer)

    def state(self) -> str:
        """See `Way`."""
        return self._direct.reason(self._peer) or "works"

    def close(self) -> None:
        """See `Way`: the connection is closed by `Direct.close`."""
