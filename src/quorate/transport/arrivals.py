"""What comes in over all ways, in one queue for one thread: parcels, and what happens to the ways."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

from quorate.transport.carrier import Parcel

__all__ = ["Arrival", "Arrivals", "Broken", "Connected", "Full", "Item", "Lost", "Refused"]


class Arrival(NamedTuple):
    """A parcel that came over the way of that name; the `token` is for acknowledging or rejecting it."""

    way: str
    parcel: Parcel
    token: object

    @property
    def body(self) -> bytes:
        """What was sent."""
        return self.parcel.body


class Connected(NamedTuple):
    """A way to a peer (None: to our own inbox) works, for the first time or again."""

    peer: int | None
    way: str


class Lost(NamedTuple):
    """A way to a peer (None: to our own inbox) does not work; it is tried again."""

    peer: int | None
    way: str
    reason: str


class Full(NamedTuple):
    """The inbox of a peer takes nothing more for now; what is to be sent to it waits here."""

    peer: int
    way: str
    reason: str


class Refused(NamedTuple):
    """Somebody connected to us who is not who he should be; he was sent away."""

    way: str
    reason: str


class Broken(NamedTuple):
    """A thread has ended with an error that trying again would not mend: the session cannot go on."""

    problem: BaseException


Item = Arrival | Connected | Lost | Full | Refused | Broken


class Arrivals:
    """The queue; any thread puts, one gets.

    Nothing is refused, but whoever brings parcels should stop while the queue is `full`, and go on when `on_room` is
    called.

    Attributes:
        on_room: called, in the thread that gets, once the queue was full and half of it has been taken. Must not wait.
    """

    def __init__(self, most_bytes: int = 64 << 20) -> None:
        self.on_room: list[Callable[[], None]] = []
        self._most = most_bytes
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._bytes = 0
        self._full = False

    def put(self, item: Item) -> None:
        """Append an item."""
        if isinstance(item, Arrival):
            with self._lock:
                self._bytes += len(item.parcel.body)
                self._full = self._full or self._bytes >= self._most
        self._items.put(item)

    def get(self, timeout: float | None = None) -> Item | None:
        """The next item; None if there is none within `timeout` seconds (None: wait as long as it takes)."""
        try:
            item = self._items.get(timeout=timeout) if timeout != 0 else self._items.get_nowait()
        except queue.Empty:
            return None
        if isinstance(item, Arrival):
            self._took(len(item.parcel.body))
        return item

    @property
    def full(self) -> bool:
        """Whether nothing more should be brought for now."""
        return self._full

    def _took(self, size: int) -> None:
        with self._lock:
            self._bytes -= size
            room = self._full and self._bytes <= self._most // 2
            if room:
                self._full = False
        if room:
            for call in self.on_room:
                call()
