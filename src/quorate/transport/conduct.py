"""The conductor that drives a party over the links of a mesh: one thread, no waiting except in one place."""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from quorate.engine.names import Name, Scope
from quorate.engine.party import Party
from quorate.errors import InternalError, PeerError, PeerTimeout
from quorate.transport.frames import BYE, encode_failure
from quorate.transport.link import Link

__all__ = ["bid_farewell", "conduct", "with_names"]

FAREWELL_SECONDS = 1.0
"""How long a failed party tries to tell its peers why."""
YIELDS = 50
"""How often we look again, leaving the core to others in between, before we sleep: about 50 µs.

To fall asleep and to be woken costs more than the answer of a peer on the same machine or rack takes.
"""
_PEER = re.compile(r"\bpeer \d+\b")
_BROKEN = select.POLLHUP | select.POLLERR | select.POLLNVAL
_ARRIVED = select.POLLIN | _BROKEN


def conduct(
    party: Party,
    links: Mapping[int, Link],
    *,
    root_scope: Scope,
    names: Sequence[str],
    round_timeout: float,
    session_timeout: float,
    on_progress: Callable[[Party], None] | None = None,
) -> Any:
    """Run the program of `party` to its end and return its result; the links are closed in any case.

    Args:
        party: the program, not started yet.
        links: peer index -> connection, as made by `connect_mesh`.
        root_scope: the root from which the program draws its names; turns them into text for messages.
        names: the participants of the session, by index.
        round_timeout: seconds of silence from a peer that we wait for, after which the session fails. A busy peer is
            not silent: it gives a sign of life between its tasks, so this has to exceed the longest single task.
        session_timeout: seconds for the whole program.
        on_progress: called about once a second, and once at the end.

    Raises:
        PeerTimeout: a peer was silent, or the session took too long; names the peers and the step.
        PeerError: a peer failed (with its reason), left, or broke the protocol.
    """
    conductor = _Conductor(party, links, root_scope, names, round_timeout, session_timeout, on_progress)
    try:
        return conductor.run()
    except BaseException as problem:
        bid_farewell(links.values(), problem)
        raise
    finally:
        for link in links.values():
            link.close()


def with_names(text: str, names: Sequence[str]) -> str:
    """A text about peers by index, as a party makes it, with their names."""
    people = {f"peer {index}": name for index, name in enumerate(names)}
    return _PEER.sub(lambda found: people.get(found[0], found[0]), text)


class _Conductor:
    def __init__(
        self,
        party: Party,
        links: Mapping[int, Link],
        root_scope: Scope,
        names: Sequence[str],
        round_timeout: float,
        session_timeout: float,
        on_progress: Callable[[Party], None] | None,
    ) -> None:
        self.party = party
        self.links = links
        self.scope = root_scope
        self.names = names
        self.round_timeout = round_timeout
        self.on_progress = on_progress
        self.session_timeout = session_timeout
        self.tick = min(1.0, round_timeout / 8)
        self.clock = time.monotonic()
        self.deadline = self.clock + session_timeout
        self.silence = dict.fromkeys(links, 0.0)
        self.ended: set[int] = set()
        self.pending: set[Link] = set()
        self.writing: set[int] = set()
        self.parting = False
        self.poller = select.poll()
        self.by_descriptor = {link.wire.fileno(): link for link in links.values()}
        for link in links.values():
            link.name = names[link.index]
            self.poller.register(link.wire.fileno(), select.POLLIN)

    def run(self) -> Any:
        party, poll, by_descriptor, clock = self.party, self.poller.poll, self.by_descriptor, time.monotonic
        wait_ms = self.tick * 1000
        next_tick = self.clock + self.tick
        self.pending = set(self.links.values())
        while True:
            if self.pending:
                self._receive_pending()
            if party.ready:
                self._advance()
            if party.done and self._finished():
                break
            for descriptor, event in poll(0) if party.ready or self.pending else self._wait(wait_ms):
                link = by_descriptor[descriptor]
                if event & select.POLLOUT:
                    self._push(link)
                if event & _ARRIVED and link not in self.pending:
                    self._receive(link)
            now = clock()
            if now >= next_tick:
                self._tick(now)
                next_tick = now + self.tick
        if self.on_progress:
            self.on_progress(party)
        return party.result

    def _wait(self, milliseconds: float) -> list[tuple[int, int]]:
        poll = self.poller.poll
        for _ in range(YIELDS):
            if events := poll(0):
                return events
            os.sched_yield()
        return poll(milliseconds)

    def _advance(self) -> None:
        try:
            self.party.advance()
        except PeerError as problem:
            raise self._named(problem) from problem.__cause__
        if self.party.outbox:
            self._dispatch()

    def _named(self, problem: PeerError, where: str = "") -> PeerError:
        """The same error with names: a party knows its peers by index only."""
        return type(problem)(with_names(str(problem), self.names) + where)

    def _dispatch(self) -> None:
        outbox, links, writing = self.party.outbox, self.links, self.writing
        while outbox:
            message = outbox.popleft()
            link = links.get(message.peer)
            if link is None:
                raise InternalError(f"the program sends to {self.names[message.peer]}, to whom there is no connection")
            link.send(message)
            if message.peer not in writing and not link.idle:
                writing.add(message.peer)
                self.poller.modify(link.wire.fileno(), select.POLLIN | select.POLLOUT)

    def _push(self, link: Link) -> None:
        link.push()
        if link.idle and link.index in self.writing:
            self.writing.discard(link.index)
            if link.index not in self.ended:
                self.poller.modify(link.wire.fileno(), select.POLLIN)

    def _receive_pending(self) -> None:
        pending, self.pending = self.pending, set()
        for link in pending:
            self._receive(link)

    def _receive(self, link: Link) -> None:
        if link.index in self.ended:
            return
        try:
            if link.receive(self.party):
                self.pending.add(link)
                link.heard = True  # what it sent may be left unread for a while; it is not silent
            if link.said_bye:
                self._check_left(self._awaited())
        except EOFError as problem:
            self._closed(link, problem)
        except PeerError as problem:
            raise self._named(problem, self._where(link.index)) from None

    def _closed(self, link: Link, problem: EOFError) -> None:
        if not link.said_bye:
            reason = f" ({problem})" if str(problem) else ""
            where = self._where(link.index) or " before the end of the session"
            raise PeerError(
                f"{link.name} closed the connection{reason}{where}; its own report says why, or its process died"
            ) from None
        self.ended.add(link.index)
        self.poller.unregister(link.wire.fileno())

    def _where(self, peer: int) -> str:
        """Where we are, for messages: what we wait for from that peer, else from others; empty if for nothing."""
        awaited = self._awaited()
        if peer in awaited:
            return f" while we waited for it at {self.scope.describe(awaited[peer])}"
        return f" while we waited for {self._people(awaited)}{self._stuck(awaited, list(awaited))}" if awaited else ""

    def _awaited(self) -> dict[int, Name]:
        """Peer -> the oldest message that we wait for."""
        steps: dict[int, Name] = {}
        for peer, name in self.party.waiting():
            steps.setdefault(peer, name)
        return steps

    def _finished(self) -> bool:
        """Whether everybody has ended in order; starts our own part of it."""
        if not self.parting:
            self.parting = True
            for link in self.links.values():
                link.send_control(BYE)
                if not link.idle:
                    self.writing.add(link.index)
                    self.poller.modify(link.wire.fileno(), select.POLLIN | select.POLLOUT)
        for link in self.links.values():
            if not (link.said_bye and link.idle):
                return False
        if self.party.leftovers():
            peer, name = self.party.leftovers()[0]
            raise PeerError(
                f"{self.names[peer]} sent a message that nobody asked for ({self.scope.describe(name)}); "
                "compare the plan and the software version of both"
            )
        return True

    def _tick(self, now: float) -> None:
        elapsed, self.clock = now - self.clock, now
        # A gap means that we computed and did not listen: what the peers said meanwhile is still to be read.
        listened = elapsed < 4 * self.tick
        awaited = self._awaited()
        if not (awaited or self.party.ready or self.party.done):
            raise InternalError("the program neither runs nor waits for a message; please report this")
        for peer, link in self.links.items():
            if link.heard:
                self.silence[peer] = 0.0
            elif listened:
                self.silence[peer] += elapsed
            link.heard = False
            if not self.parting:  # BYE is the last that we say
                link.keep_alive()
        self._check(now, awaited)
        if self.on_progress:
            self.on_progress(self.party)

    def _check_left(self, awaited: Mapping[int, Name]) -> None:
        for peer, name in awaited.items():
            if self.links[peer].said_bye:
                raise PeerError(
                    f"{self.names[peer]} ended the session while we still wait for its message at "
                    f"{self.scope.describe(name)}; compare the plan and the software version of both"
                )

    def _check(self, now: float, awaited: Mapping[int, Name]) -> None:
        self._check_left(awaited)
        leaving = [peer for peer, link in self.links.items() if self.parting and not link.said_bye]
        silent = [peer for peer in (awaited or leaving) if self.silence[peer] >= self.round_timeout]
        if silent:
            raise PeerTimeout(
                f"no message from {self._people(silent)} for {self.round_timeout:g} s{self._stuck(awaited, silent)}; "
                "check that its process runs and that the network between you works"
            )
        if now > self.deadline:
            raise PeerTimeout(
                f"the session did not end within {self.session_timeout:g} s: waiting for "
                f"{self._people(awaited or leaving)}{self._stuck(awaited, list(awaited))}; raise timeouts.session "
                "in the spec if the work simply takes longer"
            )

    def _people(self, peers: Mapping[int, Name] | Sequence[int]) -> str:
        return " and ".join(sorted(self.names[peer] for peer in peers)) or "our own work"

    def _stuck(self, awaited: Mapping[int, Name], peers: Sequence[int]) -> str:
        steps = sorted({self.scope.describe(awaited[peer]) for peer in peers if peer in awaited})
        return " at " + " and ".join(steps) if steps else " at the end of the session"


def bid_farewell(links: Iterable[Link], problem: BaseException) -> None:
    """Tell all peers why we fail, as far as that works within `FAREWELL_SECONDS`; never raises."""
    body = encode_failure(problem)
    live: dict[int, Link] = {}
    poller = select.poll()
    for link in links:
        link.fail(body)
        if link.broken is None and not link.said_bye:
            live[link.wire.fileno()] = link
            poller.register(link.wire.fileno(), select.POLLIN | select.POLLOUT)
    deadline = time.monotonic() + FAREWELL_SECONDS
    while live and time.monotonic() < deadline:
        for descriptor, event in poller.poll(50):
            if not _part(live[descriptor], event, poller):
                poller.unregister(descriptor)
                del live[descriptor]


def _part(link: Link, event: int, poller: select.poll) -> bool:
    """One step of a farewell: write, half-close, then read until the peer closes; False when that is over.

    Closing with unread data would reset the connection, and the peer might lose our explanation with it.
    """
    if event & select.POLLOUT:
        link.push()
        if link.idle:
            link.end_sending()
            poller.modify(link.wire.fileno(), select.POLLIN)
    if event & _ARRIVED:
        with contextlib.suppress(EOFError):
            link.discard()
            return link.broken is None
        return False
    return link.broken is None
