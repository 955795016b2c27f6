"""What carries parcels between participants that need not be online together: durable queues, at least once.

A carrier is one connection to one broker (or to a folder on this machine). It keeps parcels until their receiver has
acknowledged them. Names, encryption, order and deduplication end to end are not its business: whoever runs the broker
learns who sends how many bytes to whom and when, and nothing else. Carriers are found by the scheme of their address,
see `open_carrier`; a new one is a module and a line in `SCHEMES`, and passes `quorate.testing.carrier_conformance`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from quorate.errors import UserError

__all__ = [
    "CHUNK",
    "CLIENTS",
    "SCHEMES",
    "Carrier",
    "Credentials",
    "DeadLetter",
    "Delivery",
    "Limits",
    "Parcel",
    "Queue",
    "check_address",
    "check_queue",
    "open_carrier",
]

CHUNK = 768 << 10
"""Bytes of the largest parcel, all headers of ours included: every broker takes it with its default limits."""

SCHEMES = {
    "amqps": "quorate.transport.amqp",
    "rediss": "quorate.transport.redis",
    "nats": "quorate.transport.nats",
    "kafka": "quorate.transport.kafka",
    "embedded": "quorate.transport.embedded",
}
"""Scheme of an address -> the module whose `connect(address, credentials)` gives a `Carrier`."""

CLIENTS = {"amqps": "aio_pika", "rediss": "redis", "nats": "nats", "kafka": "confluent_kafka"}
"""Scheme -> the package that its module needs, which may not be installed."""

_SESSION = re.compile(r"[0-9a-z]{1,64}")
_BOX = re.compile(r"[a-z0-9]([a-z0-9.-]{0,120}[a-z0-9])?")


class Queue(NamedTuple):
    """A durable queue with one consumer: of a session (32 hexadecimal digits, or "invitations"), named by its `box`.

    A broker object is called `mpc.<session>.<box>`, its dead letters `mpc.<session>.dlq` followed by what comes after
    the first dot of the box: the box "shares" has "dlq", "rounds.alice" has "dlq.alice".
    """

    session: str
    box: str

    @property
    def name(self) -> str:
        """The queue itself: "mpc.<session>.shares", "mpc.<session>.rounds.alice"."""
        return f"mpc.{self.session}.{self.box}"

    @property
    def exchange(self) -> str:
        """The exchange, stream or topic prefix of the session: "mpc.<session>.exchange"."""
        return f"mpc.{self.session}.exchange"

    @property
    def dead_letters(self) -> str:
        """Where what cannot be used is kept: "mpc.<session>.dlq", "mpc.<session>.dlq.alice"."""
        _, dot, rest = self.box.partition(".")
        return f"mpc.{self.session}.dlq{dot}{rest}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a queue keeps, for how long.

    Attributes:
        ttl: seconds after which a parcel that nobody took becomes a dead letter; from the session's round budget.
        most_bytes: of waiting parcels; when they are exceeded, publishing is refused with `QueueFull`.
        most_deliveries: a parcel that was handed out so often and never acknowledged becomes a dead letter.
    """

    ttl: float = 86_400.0
    most_bytes: int = 1 << 30
    most_deliveries: int = 10


class Parcel(NamedTuple):
    """What is carried: `ident`, unique in its queue (at most 120 characters of a-z, 0-9, '.' and '-'), and its bytes.

    The same parcel may be published again; a carrier may drop the copy if it notices.
    """

    ident: str
    body: bytes


class Delivery(NamedTuple):
    """A parcel on its way to us, handed out for the time `attempt` (1 is the first, if the broker counts at all)."""

    queue: Queue
    parcel: Parcel
    attempt: int
    receipt: object


class DeadLetter(NamedTuple):
    """A parcel that nobody could use: why (`rejected: ...`, `expired`, `undeliverable`), and since when (Unix time)."""

    parcel: Parcel
    reason: str
    since: float
    receipt: object


@dataclass(frozen=True)
class Credentials:
    """How we prove to a broker who we are: certificate, key and authority (PEM files) for mutual TLS 1.3.

    `user` and `password` are a fallback for brokers that cannot tell users by certificate; never from an address.
    Without `insecure_plaintext_for_tests` there is no connection without TLS.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    insecure_plaintext_for_tests: bool = False


class Carrier(Protocol):
    """A connection to a broker; used by one thread at a time.

    Every method may raise `BrokerFault`: the broker cannot be reached, refuses us, or broke off. Then the carrier is of
    no use any more (except after `QueueFull`): close it and open a new one. What was published and not confirmed may or
    may not have arrived. After `close`, every other method raises `BrokerFault`.
    """

    scheme: ClassVar[str]

    def provision(self, queue: Queue, limits: Limits) -> None:
        """Make sure that the queue, its exchange and its dead-letter queue exist, durably; idempotent."""

    def publish(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """Put parcels into a queue, in this order; returns once the broker has confirmed that it keeps them all.

        Raises:
            QueueFull: the queue's limit is reached; some of the parcels may have been taken.
            BrokerFault: there is no such queue, or as above.
        """

    def consume(self, queue: Queue, most: int, wait: float) -> list[Delivery]:
        """Up to `most` parcels, oldest first, those that were not acknowledged earlier included; waits for the first.

        Returns as soon as there is anything, and nothing after `wait` seconds.
        """

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """These are safe with us: never hand them out again."""

    def reject(self, delivery: Delivery, reason: str) -> None:
        """This can never be used: to the dead letters, with the reason (no secret in it)."""

    def depth(self, queue: Queue) -> int:
        """How many parcels wait, those handed out and not acknowledged included; 0 if there is no such queue."""

    def dead(self, queue: Queue, most: int = 1000) -> list[DeadLetter]:
        """The dead letters, oldest first; they stay."""

    def retry(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """Put dead letters back at the end of the queue."""

    def drop(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """Delete dead letters."""

    def remove(self, queue: Queue) -> None:
        """Delete the queue and its dead letters, and the exchange if it was the last; nothing if it is gone."""

    def close(self) -> None:
        """Leave; never raises. What was handed out and not acknowledged is handed out again to the next consumer."""


def check_queue(queue: Queue) -> Queue:
    """`queue` itself if it can name objects of every broker; else `UserError`."""
    if not (_SESSION.fullmatch(queue.session) and _BOX.fullmatch(queue.box) and ".." not in queue.box):
        raise UserError(f"{queue.name!r} cannot name a queue; use letters a-z, digits, '.' and '-'")
    return queue


def open_carrier(address: str, credentials: Credentials) -> Carrier:
    """Connect to the broker at `address`.

    Raises:
        UserError: a malformed address, an unknown scheme, a password in the address, or an extra is not installed.
        BrokerFault: no connection, or we were refused.
    """
    parts = check_address(address)
    module = importlib.import_module(SCHEMES[parts.scheme])
    carrier: Carrier = module.connect(parts, credentials)
    return carrier


def check_address(address: str) -> SplitResult:
    """The parts of the address of a broker. Raises `UserError` as `open_carrier` does."""
    try:
        parts = urlsplit(address)
        if "," not in parts.netloc:  # several hosts: their carrier looks at each
            _ = parts.port
    except ValueError:
        raise UserError("the address of a broker is malformed; write scheme://host:port") from None
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        raise UserError(f"{parts.scheme + ':' if parts.scheme else 'an address'} is no kind of broker; use {known}")
    if parts.password is not None or parts.username is not None:
        raise UserError(
            "the address of a broker holds a user name or password; remove it there: brokers know us by certificate, "
            "or by the password file given to the node"
        )
    return parts
