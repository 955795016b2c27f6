"""The two ends of a queue in Kafka: what its consumer remembers, and what a sender counts."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence

from quorate.crypto.entropy import SystemEntropy
from quorate.transport.carrier import Limits, Parcel, Queue
from quorate.transport.kafka_link import KafkaLink, Record

__all__ = ["AGAIN", "BOX", "IDENT", "REASON", "Consumption", "Sending", "parcel_of"]

IDENT, BOX, REASON, AGAIN = "ident", "box", "reason", "again"
_REMEMBERED = 100_000


def parcel_of(record: Record) -> Parcel:
    """The parcel in a record."""
    return Parcel(record.headers.get(IDENT, b"").decode("ascii", "replace"), record.body)


class Consumption:
    """Taking the records of one queue, which belongs to us from now on."""

    def __init__(self, link: KafkaLink, queue: Queue) -> None:
        self.queue = queue
        self.is_over = False
        self._link = link
        self._seen: dict[bytes, None] = {}
        self.ledger = link.ledger(queue.name)
        low, _ = link.bounds(queue.name)
        self.ledger.skip_to(low)
        self.ledger.begin(SystemEntropy().bytes(8).hex())
        link.note(queue.name, self.ledger)
        self._next = self.ledger.start
        self._reader = link.reader(queue.name, self._next)

    def take(self, most: int, wait: float) -> list[Record]:
        """Records that are not done with; nothing more after another consumer has come."""
        if self.is_over:
            time.sleep(wait)
            return []
        records = self._reader.take(most, wait)
        for record in records:
            self.ledger.settle(range(self._next, record.number))  # what does not exist is done with
            self._next = record.number + 1
        return [
            record for record in records if record.number >= self.ledger.start and record.number not in self.ledger.done
        ]

    def count(self, record: Record) -> int:
        """How often this was handed out, this time included."""
        return self.ledger.hand_out(record.number)

    def fault(self, record: Record, attempt: int) -> str | None:
        """Why a record is not handed out: the reason of a dead letter, or "" for a copy; None if it is."""
        if self._is_copy(record):
            return ""
        if time.time() - record.since > self.ledger.limits.ttl:
            return "expired"
        return "undeliverable" if attempt > self.ledger.limits.most_deliveries else None

    def _is_copy(self, record: Record) -> bool:
        if AGAIN in record.headers:
            return False
        digest = hashlib.sha256(record.headers.get(IDENT, b"") + b"\0" + record.body).digest()
        known = digest in self._seen
        self._seen[digest] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return known

    def note(self) -> None:
        """Put down how far we are, unless another consumer has taken over."""
        if not self.ledger.learn(self._link.ledger(self.queue.name)):
            self.is_over = True
        if not self.is_over:
            self._link.note(self.queue.name, self.ledger)

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()


class Sending:
    """What a sender knows of a queue: how many bytes of its own wait there."""

    def __init__(self) -> None:
        self._own: deque[tuple[int, int]] = deque()
        self._room = 0

    def fitting(self, parcels: Sequence[Parcel], backlog: Callable[[], tuple[int, int, Limits]]) -> int:
        """How many of these have room; looks at the queue only if they might have none."""
        sizes = [len(parcel.body) for parcel in parcels]
        if sum(sizes) > self._room:
            waiting, start, limits = backlog()
            used = self._used(waiting, start, sizes)
            fits = 0
            while fits < len(sizes) and used + sizes[fits] <= limits.most_bytes:
                used += sizes[fits]
                fits += 1
            # Others send too: look again long before the queue is full.
            self._room = (limits.most_bytes - used) // 4
            return fits
        self._room -= sum(sizes)
        return len(sizes)

    def _used(self, waiting: int, start: int, coming: Sequence[int]) -> int:
        while self._own and self._own[0][0] < start:
            self._own.popleft()
        mine = [size for _, size in self._own]
        samples = [*mine, *coming]
        mean = sum(samples) / len(samples) if samples else 0
        return int(sum(mine) + max(0, waiting - len(mine)) * mean)

    def note(self, numbers: Sequence[int], sizes: Sequence[int]) -> None:
        """These were published."""
        self._own.extend(zip(numbers, sizes, strict=True))
