"""The conductor of durable sessions: drives a core over a router, until the session is closed or nothing more comes.

One thread. What arrives is written down before it is acknowledged, what is made before it leaves; many messages share
one commit.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from quorate.durable.core import Core
from quorate.durable.router import Arrival, Broken, Connected, Full, Lost, Router
from quorate.engine.party import Party
from quorate.errors import EnvironmentFault, QuorateError
from quorate.transport.arrivals import Item, Refused
from quorate.transport.carrier import Parcel
from quorate.transport.direct import NAME as DIRECT

__all__ = ["Observer", "Patience", "conduct_durably"]

_FAREWELL = 3.0
_BATCH = 256


class Observer(Protocol):
    """Who hears what happens: for the audit, the trace and people; every method returns at once."""

    def sent(self, peer: int, parcel: Parcel) -> None:
        """A parcel is about to leave."""

    def arrived(self, arrival: Arrival) -> None:
        """A parcel has come, of whatever quality."""

    def refused(self, reason: str) -> None:
        """A parcel that had come is of no use."""

    def route(self, event: Connected | Lost | Full | Refused) -> None:
        """A way to a peer works, or does not."""

    def committed(self) -> None:
        """Called after every commit, before anything leaves. May raise `EnvironmentFault`: then nothing leaves."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to stay where nothing happens.

    Attributes:
        visit: seconds without news after which we leave, to come back later; None: stay.
        linger: seconds that we stay, once we have our result, for peers that still need us.
    """

    visit: float | None = None
    linger: float = 30.0


def conduct_durably(
    core: Core,
    router: Router,
    *,
    observer: Observer,
    patience: Patience,
    on_result: Callable[[Any], None],
    on_progress: Callable[[Party], None] | None = None,
) -> Literal["closed", "suspended"]:
    """Run a session to its end, or as far as it goes.

    Args:
        core: not begun yet.
        on_result: called once with what the program returned, as soon as it is durable.
        on_progress: called at the start and about once a second; may end the session by raising.

    Returns "closed" if nobody needs us any more (or `linger` is over), "suspended" if we left for lack of news: then
    everything that we had to say is with brokers, and a later call goes on.

    Raises:
        QuorateError: what ended the session; the peers have been told as far as they can be reached.
    """
    loop = _Loop(core, router, observer, patience, on_result, on_progress)
    try:
        return loop.run()
    except BaseException as problem:
        loop.part(problem)
        raise


class _Loop:
    def __init__(
        self,
        core: Core,
        router: Router,
        observer: Observer,
        patience: Patience,
        on_result: Callable[[Any], None],
        on_progress: Callable[[Party], None] | None,
    ) -> None:
        self.core, self.router, self.observer, self.patience = core, router, observer, patience
        self.on_result, self.on_progress = on_result, on_progress
        self.offset = time.time() - time.monotonic()
        self.news = self.now
        self.result_at: float | None = None
        self.next_beat = 0.0
        self.begun = False

    @property
    def now(self) -> float:
        """Unix time that does not jump."""
        return time.monotonic() + self.offset

    def run(self) -> Literal["closed", "suspended"]:
        core = self.core
        core.begin(self.now)
        self.begun = True
        self.flush()
        while True:
            self.beat()
            core.run(self.now)
            self.flush()
            if core.problem is not None:
                raise core.problem
            self.note_result()
            if core.state == "closed" or self.lingered():
                self.router.flush(_FAREWELL)
                return "closed"
            if self.bored():
                return "closed" if self.forgotten() else self.leave()
            self.wait(0.0 if core.busy else max(0.0, min(core.wakeup, self.leaves_at) - self.now))

    def flush(self) -> None:
        """Commit, then send."""
        core, router = self.core, self.router
        core.commit()
        self.observer.committed()
        by_peer: dict[int, list[Parcel]] = {}
        for peer, parcel in core.outgoing():
            by_peer.setdefault(peer, []).append(parcel)
            self.observer.sent(peer, parcel)
        for peer, parcels in by_peer.items():
            router.send(peer, parcels)
        if settled := core.settled():
            router.acknowledge(settled)
        for token, reason in core.refused():
            self.observer.refused(reason)
            router.reject(token, reason)

    def wait(self, seconds: float) -> None:
        """Take in what arrives; returns after a batch, or when it is time to go on."""
        event = self.router.arrivals.get(seconds)
        for _ in range(_BATCH):
            if event is None:
                return
            self.take(event)
            event = self.router.arrivals.get(0)
        if event is not None:
            self.take(event)

    def take(self, event: Item) -> None:
        if isinstance(event, Arrival):
            self.news = self.now
            self.observer.arrived(event)
            self.core.take(event.parcel.body, event.token, self.now)
        elif isinstance(event, Broken):
            raise event.problem
        else:
            self.observer.route(event)
            if isinstance(event, Lost) and event.peer is not None and event.way == DIRECT:
                self.core.lost(event.peer)

    def note_result(self) -> None:
        if self.result_at is None and self.core.state in ("done", "closed"):
            self.result_at = self.now
            self.on_result(self.core.party.result)

    def lingered(self) -> bool:
        return (
            self.patience.visit is None
            and self.result_at is not None
            and self.now - max(self.result_at, self.news) > self.patience.linger
        )

    @property
    def leaves_at(self) -> float:
        """When a visit is over, if no news come."""
        visit = self.patience.visit
        return float("inf") if visit is None else self.news + visit

    def bored(self) -> bool:
        return not self.core.busy and self.now >= self.leaves_at

    def forgotten(self) -> bool:
        """Whether we have had our result for long, and nobody has asked us for anything on this visit."""
        return self.core.state == "done" and self.now - self.core.done_at > self.patience.linger

    def leave(self) -> Literal["closed", "suspended"]:
        """Everything that we said has to be safe with a broker before we go."""
        self.core.say_all()
        self.flush()
        if not self.router.flush(60.0):
            raise EnvironmentFault(
                "what we had to say could not be left with the brokers of our peers; come back when they can be reached"
            )
        self.core.handed_over()
        self.flush()
        return "suspended"

    def beat(self) -> None:
        now = self.now
        if self.on_progress is not None and now >= self.next_beat:
            self.next_beat = now + 1.0
            self.on_progress(self.core.party)

    def part(self, problem: BaseException) -> None:
        """Write down that the session has failed, and tell the peers; never raises."""
        if isinstance(problem, (KeyboardInterrupt, SystemExit)) or not isinstance(problem, QuorateError):
            return  # our process ends, the session does not: it goes on when we are started again
        with contextlib.suppress(QuorateError):
            if self.core.problem is None and (isinstance(problem, EnvironmentFault) or not self.begun):
                return  # of this machine, or of files that can be put back: the same
            self.core.fail(problem)
            self.flush()
            self.router.flush(_FAREWELL)
