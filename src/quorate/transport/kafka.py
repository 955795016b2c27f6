"""Parcels through Kafka, `kafka://host:port` or `kafka://host:port,host:port`: one topic of one partition per queue.

Kafka knows us by our certificate (mutual TLS). How many copies it keeps is its default, or `?replicas=3` behind the
address. How it differs from other brokers:

- The latest consumer of a queue takes it over; an earlier one that still lives gets nothing more. There are no consumer
  groups to balance: we read from where the ledger (`transport.kafka_ledger`) says that the last consumer came.
- A parcel that was acknowledged stays on the brokers' disks, like all others, until it is twice as old as `Limits.ttl`
  (at least an hour); nobody has to consume for that. So a parcel that nobody looks at for so long is deleted without
  becoming a dead letter.
- Dead letters are made by whoever consumes, or looks at them: too old (`expired`), handed out too often
  (`undeliverable`).
- Nobody can ask how many bytes wait. A sender counts its own exactly; those of others, and of its own earlier
  connections, it takes to be of the size of its own.
- Copies are noticed by the consumer, as long as it stays connected.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import ClassVar
from urllib.parse import SplitResult, parse_qs

from quorate.errors import BrokerFault, QueueFull, UserError
from quorate.transport.carrier import Credentials, DeadLetter, Delivery, Limits, Parcel, Queue, check_queue
from quorate.transport.kafka_link import KafkaLink, Record, open_link
from quorate.transport.kafka_queue import AGAIN, BOX, IDENT, REASON, Consumption, Sending, parcel_of

__all__ = ["KafkaCarrier", "connect"]

_REASON_LIMIT = 500
_SHORTEST_RETENTION = 3600.0
_FOREVER = "-1"


def connect(parts: SplitResult, credentials: Credentials) -> KafkaCarrier:
    """A carrier on the cluster at `parts`.

    Raises:
        UserError: confluent-kafka is not installed, or the address has parts that mean nothing.
        BrokerFault: no connection, or we were refused.
    """
    options = parse_qs(parts.query, keep_blank_values=True)
    values = options.pop("replicas", [_FOREVER])
    if options or parts.path.strip("/") or values[-1] not in {_FOREVER, "1", "2", "3", "5"}:
        raise UserError(f"kafka://{parts.netloc}: write kafka://host:port, if need be with ?replicas=3 behind")
    return KafkaCarrier(open_link(parts, credentials), int(values[-1]))


class KafkaCarrier:
    """See the module and `quorate.transport.carrier.Carrier`."""

    scheme: ClassVar[str] = "kafka"

    def __init__(self, link: KafkaLink, replicas: int) -> None:
        self._link = link
        self._replicas = replicas
        self._consumed: dict[Queue, Consumption] = {}
        self._sent: defaultdict[Queue, Sending] = defaultdict(Sending)

    def provision(self, queue: Queue, limits: Limits) -> None:
        """See `Carrier.provision`."""
        with self._faults(queue):
            self._link.create(queue.dead_letters, self._replicas, {"retention.ms": _FOREVER, **self._settings()})
            retention = max(2 * limits.ttl, _SHORTEST_RETENTION)
            settings = {"retention.ms": str(int(retention * 1000)), **self._settings()}
            made = self._link.create(queue.name, self._replicas, settings)
            ledger = self._link.ledger(queue.name)
            if made or ledger.limits != limits:
                ledger.limits = limits
                ledger.start = 0 if made else ledger.start
                self._link.note(queue.name, ledger)

    def _settings(self) -> dict[str, str]:
        settings = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
        return settings | ({"min.insync.replicas": str(self._replicas // 2 + 1)} if self._replicas > 0 else {})

    def publish(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """See `Carrier.publish`."""
        with self._faults(queue):
            self._must_exist(queue)
            sending = self._sent[queue]
            fitting = sending.fitting(parcels, lambda: self._backlog(queue))
            records = [(body, {IDENT: ident.encode()}) for ident, body in parcels[:fitting]]
            numbers = self._link.publish(queue.name, records)
            sending.note(numbers, [len(body) for body, _ in records])
        if fitting < len(parcels):
            raise QueueFull(f"{queue.name} at {self._link.place} is full: its receiver does not keep up, or is away")

    def consume(self, queue: Queue, most: int, wait: float) -> list[Delivery]:
        """See `Carrier.consume`."""
        end = time.monotonic() + wait
        with self._faults(queue):
            consumption = self._consumption(queue)
            while True:
                records = consumption.take(most, max(0.0, end - time.monotonic()))
                found = [each for record in records if (each := self._handed(consumption, record))]
                if records:
                    consumption.note()
                if found or time.monotonic() >= end:
                    return [] if consumption.is_over else found

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See `Carrier.acknowledge`."""
        numbers: defaultdict[Queue, list[int]] = defaultdict(list)
        for delivery in deliveries:
            numbers[delivery.queue].append(_number(delivery))
        for queue, mine in numbers.items():
            with self._faults(queue):
                self._settle(queue, mine)

    def reject(self, delivery: Delivery, reason: str) -> None:
        """See `Carrier.reject`."""
        with self._faults(delivery.queue):
            self._bury(delivery.queue, delivery.parcel, f"rejected: {reason}")
            self._settle(delivery.queue, [_number(delivery)])

    def depth(self, queue: Queue) -> int:
        """See `Carrier.depth`."""
        with self._faults(queue):
            return self._backlog(queue)[0] if self._link.exists(queue.name) else 0

    def dead(self, queue: Queue, most: int = 1000) -> list[DeadLetter]:
        """See `Carrier.dead`."""
        with self._faults(queue):
            self._expire(queue)
            letters = self._letters(queue, queue.box)
            return [_letter(record) for record, _ in zip(letters, range(most), strict=False)]

    def retry(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """See `Carrier.retry`."""
        with self._faults(queue):
            again = [(body, {IDENT: ident.encode(), AGAIN: b"1"}) for (ident, body), *_ in letters]
            self._link.publish(queue.name, again)
            self._discard(queue, letters)

    def drop(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """See `Carrier.drop`."""
        with self._faults(queue):
            self._discard(queue, letters)

    def remove(self, queue: Queue) -> None:
        """See `Carrier.remove`."""
        with self._faults(queue):
            if consumption := self._consumed.pop(queue, None):
                consumption.close()
            self._sent.pop(queue, None)
            self._link.delete(queue.name)
            if self._link.exists(queue.dead_letters):
                self._discard(queue, [_letter(record) for record in self._letters(queue, queue.box)])
                if next(self._letters(queue, None), None) is None:  # no other box has letters there
                    self._link.delete(queue.dead_letters)

    def close(self) -> None:
        """See `Carrier.close`."""
        self._link.close()

    # --- the queue ---

    def _must_exist(self, queue: Queue) -> None:
        if not self._link.exists(queue.name):
            raise BrokerFault(
                f"{self._link.place} has no topic {queue.name}; its receiver has to make it, and to allow us to use it"
            )

    def _consumption(self, queue: Queue) -> Consumption:
        if queue not in self._consumed:
            self._must_exist(queue)
            self._consumed[queue] = Consumption(self._link, queue)
        return self._consumed[queue]

    def _handed(self, consumption: Consumption, record: Record) -> Delivery | None:
        """What the consumer gets of a record; nothing if it is a copy, or went to the dead letters instead."""
        queue, attempt, parcel = consumption.queue, consumption.count(record), parcel_of(record)
        reason = consumption.fault(record, attempt)
        if reason is None:
            return Delivery(queue, parcel, attempt, record.number)
        if reason:
            self._bury(queue, parcel, reason)
        consumption.ledger.settle([record.number])
        return None

    def _settle(self, queue: Queue, numbers: list[int]) -> None:
        if queue in self._consumed:
            self._consumed[queue].ledger.settle(numbers)
            self._consumed[queue].note()
            return
        ledger = self._link.ledger(queue.name)
        ledger.settle(numbers)
        self._link.note(queue.name, ledger)

    def _backlog(self, queue: Queue) -> tuple[int, int, Limits]:
        """How many records wait, the number of the first, and the limits of the queue."""
        ledger = self._link.ledger(queue.name)
        low, end = self._link.bounds(queue.name)
        ledger.skip_to(low)
        return ledger.waiting(end), ledger.start, ledger.limits

    def _expire(self, queue: Queue) -> None:
        """Move what is too old to the dead letters, even if nobody consumes."""
        if not self._link.exists(queue.name):
            return
        ledger = self._link.ledger(queue.name)
        old = []
        for record in self._between(queue.name, ledger.start):
            if time.time() - record.since <= ledger.limits.ttl:
                break
            if record.number not in ledger.done:
                self._bury(queue, parcel_of(record), "expired")
                old.append(record.number)
        if old:
            self._settle(queue, old)

    # --- dead letters ---

    def _bury(self, queue: Queue, parcel: Parcel, reason: str) -> None:
        plain = " ".join(reason.split()).encode("ascii", "replace")[:_REASON_LIMIT]
        headers = {IDENT: parcel.ident.encode(), BOX: queue.box.encode(), REASON: plain}
        self._link.publish(queue.dead_letters, [(parcel.body, headers)])

    def _letters(self, queue: Queue, box: str | None) -> Iterator[Record]:
        """Those of one box, or of all that share the place."""
        if not self._link.exists(queue.dead_letters):
            return
        ledger = self._link.ledger(queue.dead_letters)
        for record in self._between(queue.dead_letters, ledger.start):
            if record.number not in ledger.done and box in {None, record.headers.get(BOX, b"").decode()}:
                yield record

    def _discard(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        ledger = self._link.ledger(queue.dead_letters)
        ledger.settle(_number(letter) for letter in letters)
        self._link.note(queue.dead_letters, ledger)

    def _between(self, topic: str, start: int) -> Iterator[Record]:
        """The records from `start` to the end as it is now."""
        low, end = self._link.bounds(topic)
        following = max(low, start)
        if following >= end:
            return
        with contextlib.closing(self._link.reader(topic, following)) as reader:
            while following < end and (records := reader.take(end - following, 5.0)):
                yield from records
                following = records[-1].number + 1

    @contextlib.contextmanager
    def _faults(self, queue: Queue) -> Iterator[None]:
        """After a `BrokerFault` the connection is closed."""
        check_queue(queue)
        try:
            yield
        except BrokerFault:
            self.close()
            raise


def _letter(record: Record) -> DeadLetter:
    return DeadLetter(
        parcel_of(record), record.headers.get(REASON, b"").decode("ascii", "replace"), record.since, record.number
    )


def _number(item: Delivery | DeadLetter) -> int:
    return int(str(item.receipt))
