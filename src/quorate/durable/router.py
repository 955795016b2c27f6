"""The threads that carry parcels between the conductor of a session and its peers, over whatever way works.

    router = Router({peer: [BrokerWay(...), DirectWay(...)], ...}, [Inbox(...)], arrivals)
    router.send(peer, parcels)                     # returns at once
    item = router.arrivals.get(timeout)            # a parcel, or what happened to a way
    router.acknowledge([arrival.token])            # once it is safe with us
    router.flush(10.0)
    router.close()

Parcels may arrive twice and, when ways change, in another order than they were sent: whoever drives the router has
to number them. To each peer there is one thread and a list of ways in order of preference; what is to be sent stays
here until a way has confirmed it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from quorate.durable.ways import BrokerWay, Inbox, InboxReader, Token, Way
from quorate.errors import EnvironmentFault, InternalError, QueueFull
from quorate.transport.arrivals import Arrival, Arrivals, Broken, Connected, Full, Lost, Refused
from quorate.transport.backoff import Backoff
from quorate.transport.carrier import Parcel

__all__ = [
    "Arrival",
    "Arrivals",
    "Broken",
    "BrokerWay",
    "Connected",
    "Full",
    "Inbox",
    "Lost",
    "Refused",
    "Router",
    "Way",
]

_BATCH_PARCELS, _BATCH_BYTES = 256, 4 << 20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_JOIN_SECONDS = 5.0


class Router:
    """See the module. Used by one thread, the conductor.

    Args:
        routes: peer index -> its ways, the preferred one first.
        inboxes: our own queues; none if we are only reached directly.
        arrivals: where everything that comes in goes; also that of `Direct`, if there is one.
    """

    def __init__(
        self, routes: Mapping[int, Sequence[Way]], inboxes: Sequence[Inbox] = (), arrivals: Arrivals | None = None
    ) -> None:
        self.arrivals = Arrivals() if arrivals is None else arrivals
        self._lanes = {peer: _Lane(peer, list(ways), self.arrivals) for peer, ways in routes.items()}
        self._readers = [InboxReader(inbox, self.arrivals) for inbox in inboxes]
        self._threads = [self._thread(lane.run, f"quorate-to-{peer}") for peer, lane in self._lanes.items()]
        self._threads += [self._thread(reader.run, "quorate-inbox") for reader in self._readers]

    def _thread(self, work: object, name: str) -> threading.Thread:
        thread = threading.Thread(target=self._watched, args=(work,), name=name, daemon=True)
        thread.start()
        return thread

    def _watched(self, work: object) -> None:
        try:
            if callable(work):
                work()
        except BaseException as problem:
            self.arrivals.put(Broken(problem))

    def send(self, peer: int, parcels: Iterable[Parcel]) -> None:
        """Send parcels to a peer, as soon as a way to it works."""
        lane = self._lanes.get(peer)
        if lane is None:
            raise InternalError(f"there is no route to participant {peer}; please report this")
        lane.send(list(parcels))

    def waiting(self, peer: int) -> int:
        """Bytes that were given to `send` and no way has taken for good; stop sending while there are many."""
        return self._lanes[peer].waiting()

    def acknowledge(self, tokens: Iterable[object]) -> None:
        """The arrivals of these tokens are safe with us."""
        for token in tokens:
            if isinstance(token, Token):
                token.reader.settle(token, None)

    def reject(self, token: object, reason: str) -> None:
        """This arrival can never be used: to the dead letters, if its way has any. No secret in the reason."""
        if isinstance(token, Token):
            token.reader.settle(token, reason)

    def flush(self, timeout: float) -> bool:
        """Wait until everything is sent and confirmed, and all acknowledgements are done; False if it takes longer."""
        deadline = time.monotonic() + timeout
        done = [lane.wait_empty(deadline) for lane in self._lanes.values()]
        return all([*done, *(reader.wait_settled(deadline - time.monotonic()) for reader in self._readers)])

    @property
    def stable(self) -> bool:
        """Whether a broker keeps what was sent last to each peer; False while a way is in use that may lose things."""
        return not any(lane.loses for lane in self._lanes.values())

    def report(self) -> list[tuple[int | None, str, str]]:
        """For every way its peer (None: our own inbox), its name and how it stands."""
        ways: list[tuple[int | None, str, str]] = [
            (peer, way.name, way.state()) for peer, lane in self._lanes.items() for way in lane.ways
        ]
        return ways + [(None, reader.name, reader.state()) for reader in self._readers]

    def close(self) -> None:
        """Stop all threads and leave all brokers; what was not sent is dropped. Never raises."""
        for lane in self._lanes.values():
            lane.stop()
        for reader in self._readers:
            reader.stop()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


class _Lane:
    """What is to be sent to one peer, and the thread that does."""

    def __init__(self, peer: int, ways: list[Way], arrivals: Arrivals) -> None:
        self.ways = ways
        self._peer, self._arrivals = peer, arrivals
        self._changed = threading.Condition()
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self._woken = self._closing = False
        self.loses = False
        self._said: dict[int, type] = {}
        self._pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        for way in ways:
            way.watch(self.wake)

    def send(self, parcels: list[Parcel]) -> None:
        with self._changed:
            if not self._parcels and self.ways[0].quick(parcels):
                self.loses = self.ways[0].reports
            else:
                self._parcels.extend(parcels)
                self._bytes += sum(len(parcel.body) for parcel in parcels)
                self._changed.notify_all()

    def waiting(self) -> int:
        return self._bytes + sum(way.pending() for way in self.ways)

    def wait_empty(self, deadline: float) -> bool:
        with self._changed:
            if not self._changed.wait_for(lambda: not self._parcels, max(0.0, deadline - time.monotonic())):
                return False
        while any(way.pending() for way in self.ways):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def run(self) -> None:
        """The thread. Raises what trying again would not mend."""
        try:
            while batch := self._next():
                if self._carry(batch):
                    self._pauses.reset()
                    self._sent(batch)
                else:
                    self._rest()
        finally:
            for way in self.ways:
                way.close()

    def _next(self) -> list[Parcel]:
        """The next parcels to carry, which stay queued; none when we are to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._parcels or self._closing)
            batch: list[Parcel] = []
            size = 0
            for parcel in self._parcels if not self._closing else ():
                batch.append(parcel)
                size += len(parcel.body)
                if len(batch) == _BATCH_PARCELS or size >= _BATCH_BYTES:
                    break
            return batch

    def _carry(self, batch: list[Parcel]) -> bool:
        """Bring the parcels on the first way that works."""
        for index, way in enumerate(self.ways):
            if not way.permit():
                continue
            try:
                way.publish(batch)
            except QueueFull as problem:
                # The broker works, the peer does not keep up: another way would not make it faster.
                self._say(index, Full(self._peer, way.name, str(problem)))
                return False
            except EnvironmentFault as problem:
                if not way.reports:
                    self._say(index, Lost(self._peer, way.name, str(problem)))
                continue
            if not way.reports:
                self._say(index, Connected(self._peer, way.name))
            self.loses = way.reports
            return True
        return False

    def _say(self, index: int, event: Connected | Lost | Full) -> None:
        """Tell what has changed since we last told of this way."""
        if self._said.get(index) is not type(event):
            self._said[index] = type(event)
            self._arrivals.put(event)

    def _sent(self, batch: list[Parcel]) -> None:
        with self._changed:
            for _ in batch:
                self._bytes -= len(self._parcels.popleft().body)
            if not self._parcels:
                self._changed.notify_all()

    def _rest(self) -> None:
        pause = max(self._pauses.pause(), min(way.wait() for way in self.ways))
        with self._changed:
            self._changed.wait_for(lambda: self._woken or self._closing, pause)
            self._woken = False
