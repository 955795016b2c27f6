"""Parcels through NATS JetStream, `nats://host:port`: one stream per queue, kept in files, emptied by acknowledgement.

The server has to know us by our certificate (`verify_and_map`) and to have JetStream. With several servers, write
`nats://host:port?replicas=3`. How it differs from other brokers:

- A parcel that was acknowledged leaves the disk. A copy published within ten minutes of the first is dropped.
- A stream that is full refuses; since parcels fly in groups, a small one behind a refused large one may be taken.
- JetStream has no dead letters: whoever consumes moves there what is too old (`expired`) or was handed out too often
  (`undeliverable`); what is too old also moves when somebody looks at the dead letters. Nothing is ever deleted
  because of its age. Ages compare the server's clock with ours.
- The space of a queue (`Limits.most_bytes`) is reserved when it is made; the server's `max_file` has to hold them all.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, NamedTuple
from urllib.parse import SplitResult, parse_qs

from quorate.errors import BrokerFault, QueueFull, UserError
from quorate.transport.carrier import Credentials, DeadLetter, Delivery, Limits, Parcel, Queue, check_queue
from quorate.transport.jetstream import JetStream, Message, Refusal, open_jetstream
from quorate.transport.jetstream_store import Stored, Streams, stream_name
from quorate.transport.jetstream_taker import Taker, attempt_of, moment_of

__all__ = ["NatsCarrier", "connect"]

_IDENT, _BOX, _REASON = "Quorate-Ident", "Quorate-Box", "Quorate-Reason"
_FULL = 10077
_NO_ROOM = {10023, 10047}
_NO_QUEUE = {503, 10059}
_REASON_LIMIT = 500


def connect(parts: SplitResult, credentials: Credentials) -> NatsCarrier:
    """A carrier on the server at `parts`.

    Raises:
        UserError: nats-py is not installed, or the address has parts that mean nothing.
        BrokerFault: no connection, or we were refused.
    """
    replicas = _replicas(parts)
    return NatsCarrier(open_jetstream(parts, credentials), replicas)


def _replicas(parts: SplitResult) -> int:
    options = parse_qs(parts.query, keep_blank_values=True)
    values = options.pop("replicas", ["1"])
    if options or parts.path.strip("/") or values[-1] not in {"1", "3", "5"} or not parts.hostname:
        raise UserError(f"nats://{parts.netloc}: write nats://host:port, if need be with ?replicas=3 (or 1, 5) behind")
    return int(values[-1])


class NatsCarrier:
    """See the module and `quorate.transport.carrier.Carrier`."""

    scheme: ClassVar[str] = "nats"

    def __init__(self, link: JetStream, replicas: int) -> None:
        self._link = link
        self._streams = Streams(link, replicas)
        self._consumers: dict[Queue, _Consumer] = {}

    def provision(self, queue: Queue, limits: Limits) -> None:
        """See `Carrier.provision`."""
        with self._faults(queue):
            self._streams.make(queue.dead_letters, None)
            self._streams.make(queue.name, limits)

    def publish(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """See `Carrier.publish`."""
        with self._faults(queue):
            self._link.publish(
                queue.name, [(parcel.body, _headers(parcel.ident, _digest(parcel))) for parcel in parcels]
            )

    def consume(self, queue: Queue, most: int, wait: float) -> list[Delivery]:
        """See `Carrier.consume`."""
        end = time.monotonic() + wait
        with self._faults(queue):
            consumer = self._consumer(queue)
            while True:
                messages = consumer.taker.take(most, max(0.0, end - time.monotonic()))
                usable = [message for message in messages if not self._spoilt(queue, consumer.limits, message)]
                if usable or not messages:
                    return [_delivery(queue, message) for message in usable]

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See `Carrier.acknowledge`."""
        receipts: defaultdict[Queue, list[str]] = defaultdict(list)
        for delivery in deliveries:
            receipts[delivery.queue].append(str(delivery.receipt))
        for queue, replies in receipts.items():
            with self._faults(queue):
                self._confirm(queue, replies)

    def reject(self, delivery: Delivery, reason: str) -> None:
        """See `Carrier.reject`."""
        with self._faults(delivery.queue):
            self._bury(delivery, f"rejected: {reason}")

    def depth(self, queue: Queue) -> int:
        """See `Carrier.depth`."""
        with self._faults(queue):
            return self._streams.count(queue.name) or 0

    def dead(self, queue: Queue, most: int = 1000) -> list[DeadLetter]:
        """See `Carrier.dead`."""
        with self._faults(queue):
            self._expire(queue)
            return [_letter(stored) for stored in self._buried(queue, most)]

    def retry(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """See `Carrier.retry`."""
        with self._faults(queue):
            for letter in letters:
                ident, body = letter.parcel
                # Under another number, lest the server takes it for a copy of what it had.
                self._link.publish(queue.name, [(body, _headers(ident, f"{ident}@letter-{letter.receipt}"))])
                self._streams.erase(queue.dead_letters, _number(letter))

    def drop(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """See `Carrier.drop`."""
        with self._faults(queue):
            for letter in letters:
                self._streams.erase(queue.dead_letters, _number(letter))

    def remove(self, queue: Queue) -> None:
        """See `Carrier.remove`."""
        self._consumers.pop(queue, None)
        with self._faults(queue):
            self._streams.delete(queue.name)
            for stored in list(self._buried(queue, None)):  # other boxes may have letters there
                self._streams.erase(queue.dead_letters, stored.number)
            if self._streams.count(queue.dead_letters) == 0:
                self._streams.delete(queue.dead_letters)

    def close(self) -> None:
        """See `Carrier.close`."""
        self._link.close()

    def _consumer(self, queue: Queue) -> _Consumer:
        if queue not in self._consumers:
            limits = self._streams.limits(queue.name)
            if limits is None:
                raise Refusal(503, "no such stream")
            self._consumers[queue] = _Consumer(Taker(self._link, stream_name(queue.name)), limits)
        return self._consumers[queue]

    def _spoilt(self, queue: Queue, limits: Limits, message: Message) -> bool:
        """Whether this went to the dead letters instead of being handed out."""
        if time.time() - moment_of(message.reply) > limits.ttl:
            self._bury(_delivery(queue, message), "expired")
        elif attempt_of(message.reply) > limits.most_deliveries:
            self._bury(_delivery(queue, message), "undeliverable")
        else:
            return False
        return True

    def _bury(self, delivery: Delivery, reason: str) -> None:
        self._keep_letter(delivery.queue, delivery.parcel, reason, str(delivery.receipt))
        self._confirm(delivery.queue, [str(delivery.receipt)])

    def _confirm(self, queue: Queue, replies: list[str]) -> None:
        self._link.confirm(replies)
        if queue in self._consumers:
            self._consumers[queue].taker.release(replies)

    def _keep_letter(self, queue: Queue, parcel: Parcel, reason: str, identity: str) -> None:
        plain = " ".join(reason.split()).encode("ascii", "replace").decode()[:_REASON_LIMIT]
        headers = _headers(parcel.ident, f"{queue.box}@{identity}") | {_BOX: queue.box, _REASON: plain}
        self._link.publish(queue.dead_letters, [(parcel.body, headers)])

    def _buried(self, queue: Queue, most: int | None) -> Iterator[Stored]:
        number, found = 1, 0
        while (most is None or found < most) and (stored := self._streams.first(queue.dead_letters, number)):
            number = stored.number + 1
            if stored.headers.get(_BOX.lower()) == queue.box:
                found += 1
                yield stored

    def _expire(self, queue: Queue) -> None:
        """Move what is too old to the dead letters, even if nobody consumes."""
        limits = self._streams.limits(queue.name)
        if limits is None:
            return
        while (stored := self._streams.first(queue.name)) and time.time() - stored.since > limits.ttl:
            self._keep_letter(queue, _parcel(stored.headers, stored.body), "expired", str(stored.number))
            self._streams.erase(queue.name, stored.number)

    @contextmanager
    def _faults(self, queue: Queue) -> Iterator[None]:
        """Turn the server's refusals into our errors; after a `BrokerFault` the connection is closed."""
        check_queue(queue)
        try:
            yield
        except Refusal as refusal:
            if refusal.code == _FULL:
                raise QueueFull(
                    f"{queue.name} at {self._link.place} is full: its receiver does not keep up, or is away"
                ) from None
            self.close()
            raise BrokerFault(f"{self._link.place} refused {queue.name}: {_advice(refusal)}") from None
        except BrokerFault:
            self.close()
            raise


class _Consumer(NamedTuple):
    taker: Taker
    limits: Limits


def _advice(refusal: Refusal) -> str:
    if refusal.code in _NO_QUEUE:
        return "there is no such queue, or no JetStream; its receiver has to make it first, and we have to be allowed"
    if refusal.code in _NO_ROOM:
        return f"{refusal}; the limits of all queues have to fit into its max_file, remove old queues or raise it"
    return str(refusal)


def _headers(ident: str, once: str) -> dict[str, str]:
    """`once`: what the server recognises copies by."""
    return {"Nats-Msg-Id": once, _IDENT: ident}


def _digest(parcel: Parcel) -> str:
    """Only the same parcel is a copy: who publishes something else under the name of another's does not replace it."""
    return f"{parcel.ident}@{hashlib.sha256(parcel.body).hexdigest()[:32]}"


def _parcel(headers: dict[str, str], body: bytes) -> Parcel:
    return Parcel(headers.get(_IDENT.lower(), ""), body)


def _delivery(queue: Queue, message: Message) -> Delivery:
    return Delivery(queue, _parcel(message.headers, message.body), attempt_of(message.reply), message.reply)


def _letter(stored: Stored) -> DeadLetter:
    reason = stored.headers.get(_REASON.lower(), "")
    return DeadLetter(_parcel(stored.headers, stored.body), reason, stored.since, stored.number)


def _number(letter: DeadLetter) -> int:
    return int(str(letter.receipt))
