"""A session with outside producers: keys, producers, consumers and their queues in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np

from quorate.crypto.sealed import key_file
from quorate.durable.consumer import Consumer, Seat
from quorate.durable.layout import Layout
from quorate.durable.outbox import Outbox
from quorate.durable.producer import Producer
from quorate.durable.share_store import ShareStore
from quorate.durable.submission import KeyRing, enrol
from quorate.transport.carrier import Carrier, Credentials, Limits, Queue, open_carrier

SESSION = "0123456789abcdef0123456789abcdef"
PARTIES = ("p1", "p2", "p3")
LIMITS = Limits(ttl=600.0)

REP3 = Layout("rep3", PARTIES, 1, "int", ("lat", "lon"))
SHAMIR = Layout("shamir", PARTIES, 1, "int", ("lat", "lon"))
SEMI2K = Layout("semi2k", PARTIES, 2, "int", ("lat", "lon"))
LAYOUTS = {"rep3": REP3, "shamir": SHAMIR, "semi2k": SEMI2K}


@dataclass
class Field:
    """Everything below `folder`; queues at `address`."""

    folder: Path
    layout: Layout = REP3
    session: str = SESSION
    address: str = ""
    credentials: Credentials = field(default_factory=Credentials)

    def carrier(self) -> Carrier:
        return open_carrier(self.address or f"embedded:{self.folder / 'broker'}", self.credentials)

    def master(self, consumer: str) -> bytes:
        return key_file(self.folder / f"{consumer}.submission.key", create=True)

    def ring(self, producer: str, consumers: tuple[str, ...] = PARTIES) -> KeyRing:
        rings = [enrol(self.master(name), self.session, producer, name) for name in consumers]
        return reduce(KeyRing.joined, rings)

    def producer(self, name: str = "phone-1", **more) -> Producer:
        return Producer(self.ring(name), self.layout, Outbox(self.folder / f"{name}.outbox"), **more)

    def consumer(self, name: str = "p1", **more) -> Consumer:
        seat = Seat.party(self.session, self.layout, name)
        return Consumer(seat, self.master(name), ShareStore(self.folder / f"{name}.shares"), **more)

    def queue(self, name: str = "p1") -> Queue:
        return Seat.party(self.session, self.layout, name).queue

    def send(self, producer: Producer, carrier: Carrier) -> int:
        return producer.send(dict.fromkeys(self.layout.parties, carrier), LIMITS)


def table(rows: int = 3, seed: int = 1) -> np.ndarray:
    """Coordinates in 10^-7 degrees."""
    draw = np.random.default_rng(seed)
    return np.stack([draw.integers(-90 * 10**7, 90 * 10**7, rows), draw.integers(-180 * 10**7, 180 * 10**7, rows)], 1)
