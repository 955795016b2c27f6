"""Ways on which parcels reach a peer, and the queue in which they reach us."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from quorate.durable.breaker import Breaker
from quorate.errors import BrokerFault, EnvironmentFault, QueueFull
from quorate.transport.arrivals import Arrival, Arrivals, Connected, Lost
from quorate.transport.backoff import Backoff
from quorate.transport.carrier import Carrier, Delivery, Limits, Parcel, Queue

__all__ = ["BrokerWay", "Inbox", "InboxReader", "Token", "Way"]

Opener = Callable[[], Carrier]

_WAIT = 0.25
_BATCH = 32
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class Way(Protocol):
    """One way to one peer.

    Attributes:
        name: for reports and audits, like "amqps" or "direct".
        reports: it puts `Connected` and `Lost` into the arrivals itself, and may lose what it has taken when it is
            lost: whoever sent has to send again what the peer has not acknowledged end to end.
    """

    name: str
    reports: bool

    def permit(self) -> bool:
        """Whether to try it now; then `publish` follows."""

    def wait(self) -> float:
        """Seconds until it makes sense to try it again, as far as known."""

    def watch(self, call: Callable[[], None]) -> None:
        """Have `call` called, in any thread, when the way may work again, if it can know that."""

    def quick(self, parcels: Sequence[Parcel]) -> bool:
        """Take all parcels without waiting for anything, or none (False)."""

    def publish(self, parcels: Sequence[Parcel]) -> None:
        """Bring the parcels to the peer or to its queue, in order. Raises `EnvironmentFault`, also `QueueFull`."""

    def pending(self) -> int:
        """Bytes that were taken and have not left this process."""

    def state(self) -> str:
        """How it stands, for reports."""

    def close(self) -> None:
        """Leave; never raises."""


class BrokerWay:
    """The queue of a peer at a broker; used by one thread.

    Args:
        name: see `Way`.
        opener: connects to the broker.
        queue: the inbox of the peer.
        limits: of that queue, which we make if the peer has not done so yet and the broker lets us; None: only the
            peer makes it.
        breaker: shared by all that use this broker.
    """

    reports = False

    def __init__(self, name: str, opener: Opener, queue: Queue, limits: Limits | None, breaker: Breaker) -> None:
        self.name = name
        self._opener, self._queue, self._limits, self._breaker = opener, queue, limits, breaker
        self._carrier: Carrier | None = None

    def permit(self) -> bool:
        """See `Way`."""
        return self._breaker.permit()

    def wait(self) -> float:
        """See `Way`."""
        return self._breaker.condition().wait

    def watch(self, call: Callable[[], None]) -> None:
        """See `Way`: only trying tells."""

    def quick(self, parcels: Sequence[Parcel]) -> bool:
        """See `Way`: a broker has to confirm."""
        del parcels
        return False

    def publish(self, parcels: Sequence[Parcel]) -> None:
        """See `Way`; returns when the broker has confirmed."""
        try:
            if self._carrier is None:
                self._carrier = self._connected()
            self._carrier.publish(self._queue, parcels)
        except QueueFull:
            self._breaker.success()
            raise
        except BaseException as problem:
            self.close()
            self._breaker.failure(str(problem))
            raise
        self._breaker.success()

    def _connected(self) -> Carrier:
        """A connection. The queue is made once: its owner may delete it when the session is over."""
        carrier = self._opener()
        if self._limits is None:
            return carrier
        try:
            carrier.provision(self._queue, self._limits)
        except BrokerFault:
            carrier.close()
            return self._opener()  # perhaps only the peer may make it; if it has, that is enough
        except BaseException:
            carrier.close()
            raise
        self._limits = None
        return carrier

    def pending(self) -> int:
        """See `Way`: nothing is taken before it is confirmed."""
        return 0

    def state(self) -> str:
        """See `Way`."""
        return str(self._breaker.condition())

    def close(self) -> None:
        """See `Way`."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()


@dataclass(frozen=True)
class Inbox:
    """Our own queue at a broker; arguments as of `BrokerWay`."""

    name: str
    opener: Opener
    queue: Queue
    limits: Limits | None
    breaker: Breaker = field(default_factory=Breaker)


class Token(NamedTuple):
    """Of an arrival: the reader whose it is, the connection (counted) over which it came, and the delivery."""

    reader: InboxReader
    connection: int
    delivery: Delivery


class InboxReader:
    """The thread that empties one inbox into the arrivals, and acknowledges what was handled.

    Acknowledgements of a connection that is lost meanwhile are dropped: those parcels come again.
    """

    def __init__(self, inbox: Inbox, arrivals: Arrivals) -> None:
        self._inbox, self._arrivals = inbox, arrivals
        self._connection = 0
        self._changed = threading.Condition()
        self._handled: deque[tuple[Token, str | None]] = deque()
        self._settling = False
        self._closing = False
        self._says: bool | None = None
        self.name = inbox.name
        arrivals.on_room.append(self._wake)

    def settle(self, token: Token, reason: str | None) -> None:
        """Acknowledge the parcel, or reject it for a reason; done by the thread, soon."""
        with self._changed:
            if token.connection == self._connection:
                self._handled.append((token, reason))
                self._changed.notify_all()

    def wait_settled(self, timeout: float) -> bool:
        """Wait until everything handled is acknowledged; False if it takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._handled or self._settling), timeout)

    def stop(self) -> None:
        """Let `run` end, soon."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def run(self) -> None:
        """The thread. Raises what trying again would not mend."""
        pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while not self._closing:
            if self._inbox.breaker.permit():
                try:
                    self._read(pauses)
                    continue
                except EnvironmentFault as problem:
                    self._inbox.breaker.failure(str(problem))
                    self._say(False, str(problem))
                except BaseException:
                    self._inbox.breaker.failure("our own error")
                    raise
            with self._changed:
                wait = max(pauses.pause(), min(_LONGEST_PAUSE, self._inbox.breaker.condition().wait))
                self._changed.wait_for(lambda: self._closing, wait)

    def state(self) -> str:
        """For reports."""
        return str(self._inbox.breaker.condition())

    def _read(self, pauses: Backoff) -> None:
        """One connection, until it fails or we are told to stop."""
        inbox = self._inbox
        carrier = _opened(inbox.opener, inbox.queue, inbox.limits)
        try:
            while not self._closing:
                self._settle(carrier)
                if self._arrivals.full:
                    with self._changed:
                        self._changed.wait(_WAIT)
                    continue
                got = carrier.consume(inbox.queue, _BATCH, 0.0 if self._handled else _WAIT)
                self._say(True, "")
                inbox.breaker.success()
                pauses.reset()
                for delivery in got:
                    self._arrivals.put(Arrival(inbox.name, delivery.parcel, Token(self, self._connection, delivery)))
            self._settle(carrier)
        finally:
            with self._changed:
                self._connection += 1
                self._handled.clear()
                self._settling = False
                self._changed.notify_all()
            carrier.close()

    def _settle(self, carrier: Carrier) -> None:
        with self._changed:
            handled = list(self._handled)
            self._handled.clear()
            self._settling = bool(handled)
        if not handled:
            return
        good = [token.delivery for token, reason in handled if reason is None]
        if good:
            carrier.acknowledge(good)
        for token, reason in handled:
            if reason is not None:
                carrier.reject(token.delivery, reason)
        with self._changed:
            self._settling = False
            self._changed.notify_all()

    def _say(self, works: bool, reason: str) -> None:
        if works is not self._says:
            self._says = works
            self._arrivals.put(Connected(None, self.name) if works else Lost(None, self.name, reason))

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _opened(opener: Opener, queue: Queue, limits: Limits | None) -> Carrier:
    carrier = opener()
    try:
        if limits is not None:
            carrier.provision(queue, limits)
    except BaseException:
        with contextlib.suppress(BrokerFault):
            carrier.close()
        raise
    return carrier
