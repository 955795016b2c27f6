"""A connection to Kafka as `transport.kafka` needs it: topics of one partition, confirmed publishing, reading.

librdkafka does the work, in threads of its own; every method here blocks. It cannot be told to insist on TLS 1.3, and
its messages say little about certificates; so we shake hands once by ourselves first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult

from quorate.errors import BrokerFault, UserError
from quorate.transport.carrier import Credentials
from quorate.transport.kafka_access import hosts_of, security_of, shake_hands
from quorate.transport.kafka_ledger import Ledger
from quorate.transport.loop import client_context

if TYPE_CHECKING:
    import confluent_kafka

__all__ = ["KafkaLink", "Reader", "Record", "open_link"]

ANSWER_SECONDS = 20.0
CONNECT_SECONDS = 10.0
CHECK_SECONDS = 5.0
GROUP = "quorate"
PUBLISHING = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 1,
    "queue.buffering.max.messages": 1_000_000,
    "delivery.timeout.ms": int(ANSWER_SECONDS * 1000),
}
_SURE_GAP = 0.5
_MOST_BYTES = 64 << 20
"""Of records in one answer."""


class Record(NamedTuple):
    """One record of a topic: its number, since when it is there (Unix time), its headers and body."""

    number: int
    since: float
    headers: dict[str, bytes]
    body: bytes


def open_link(parts: SplitResult, credentials: Credentials) -> KafkaLink:
    """Connect, with mutual TLS 1.3 unless the credentials say that this is a test.

    Raises:
        UserError: confluent-kafka is not installed, or the address is malformed.
        BrokerFault: no connection, or we were refused.
    """
    try:
        import confluent_kafka
        import confluent_kafka.admin as _  # noqa: F401
    except ImportError:
        raise UserError(
            "Kafka needs the package confluent-kafka; install it with: pip install 'quorate[kafka]'"
        ) from None
    hosts = hosts_of(parts)
    context = client_context(credentials)
    if context is not None:
        shake_hands(hosts, context)
    return KafkaLink(confluent_kafka, hosts, credentials)


class KafkaLink:
    """Connections to one cluster; turns what fails into `BrokerFault`, after which it is of no use."""

    def __init__(self, library: Any, hosts: Sequence[tuple[str, int]], credentials: Credentials) -> None:
        names = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)
        self.place = f"Kafka at {names}"
        self._library = library
        self._common = {
            "bootstrap.servers": names,
            "log_level": 0,
            "error_cb": self._on_error,
            "socket.timeout.ms": int(ANSWER_SECONDS * 1000),
            "reconnect.backoff.max.ms": 1000,
            **security_of(credentials),
        }
        self._trouble: confluent_kafka.KafkaError | None = None
        self._closed = False
        self._readers: list[Reader] = []
        self._producer: Any = None
        self._control = library.Consumer(self._reading())
        self.admin = library.admin.AdminClient(self._common)
        self._wait_for_answer()

    def _on_error(self, problem: confluent_kafka.KafkaError) -> None:
        self._trouble = problem

    def _reading(self) -> dict[str, Any]:
        return self._common | {
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "fetch.wait.max.ms": 100,
            "fetch.error.backoff.ms": 50,
            "queued.max.messages.kbytes": _MOST_BYTES >> 10,
        }

    def _wait_for_answer(self) -> None:
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                self.admin.list_topics(timeout=0.5)
                return
            except self._library.KafkaException as problem:
                self.admin.poll(0)
                refused = "SSL routines" in (self._trouble.str() if self._trouble is not None else "")
                if refused or time.monotonic() > end:
                    self.close()
                    raise BrokerFault(f"{self.place} refused us or cannot be reached: {self._why(problem)}") from None

    def _why(self, problem: Exception) -> str:
        reason = problem.args[0].str() if problem.args and hasattr(problem.args[0], "str") else str(problem)
        more = f" ({self._trouble.str()})" if self._trouble is not None else ""
        return f"{reason}{more}; check that it runs, certificates and authorities on both sides, and its log"

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """Turn the library's errors into `BrokerFault`."""
        if self._closed:
            raise BrokerFault(f"the connection to {self.place} is closed; open a new one")
        try:
            yield
        except (self._library.KafkaException, BufferError, RuntimeError) as problem:
            raise BrokerFault(f"{self.place} failed: {self._why(problem)}") from None

    def check(self) -> None:
        """Raise if we cannot reach the cluster any more; asks it only if something has happened since the last time."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            self._control.list_topics(timeout=CHECK_SECONDS)

    def close(self) -> None:
        """Leave; never raises."""
        self._closed = True
        for each in [*self._readers, self._control]:
            with contextlib.suppress(Exception):
                each.close()
        self._readers.clear()
        if self._producer is not None:
            with contextlib.suppress(Exception):
                self._producer.purge()
                self._producer.flush(1)

    # --- topics ---

    def exists(self, topic: str) -> bool:
        """Whether there is such a topic; it is not made by asking."""
        with self.faults():
            found = self._control.list_topics(topic, timeout=ANSWER_SECONDS).topics.get(topic)
        return found is not None and found.error is None and bool(found.partitions)

    def create(self, topic: str, replicas: int, settings: dict[str, str]) -> bool:
        """Make a topic; False if there is one. One that is being deleted is waited for."""
        made = self._library.admin.NewTopic(topic, 1, replicas, config=settings)
        with self.faults():
            try:
                self.admin.create_topics([made], request_timeout=ANSWER_SECONDS)[topic].result()
            except self._library.KafkaException as problem:
                if problem.args[0].code() != self._library.KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
                return False
        self._until(topic, there=True)
        return True

    def delete(self, topic: str) -> None:
        """Delete a topic; nothing if there is none."""
        with self.faults():
            try:
                self.admin.delete_topics([topic], request_timeout=ANSWER_SECONDS)[topic].result()
            except self._library.KafkaException as problem:
                if problem.args[0].code() != self._library.KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        self._until(topic, there=False)

    def _until(self, topic: str, *, there: bool) -> None:
        """Brokers learn of changes one after the other."""
        end = time.monotonic() + ANSWER_SECONDS
        while self.exists(topic) != there and time.monotonic() < end:
            time.sleep(0.05)

    # --- positions ---

    def ledger(self, topic: str) -> Ledger:
        """What is noted of a topic."""
        with self.faults():
            (found,) = self._control.committed([self._partition(topic)], ANSWER_SECONDS)
        return Ledger.read(found.offset, found.metadata)

    def note(self, topic: str, ledger: Ledger) -> None:
        """Note it durably."""
        place = self._library.TopicPartition(topic, 0, ledger.start, ledger.text())
        with self.faults():
            self._control.commit(offsets=[place], asynchronous=False)

    def bounds(self, topic: str) -> tuple[int, int]:
        """Number of the first record that exists, and of the next to come."""
        with self.faults():
            low, high = self._control.get_watermark_offsets(self._partition(topic), ANSWER_SECONDS)
        return int(low), int(high)

    def _partition(self, topic: str) -> Any:
        return self._library.TopicPartition(topic, 0)

    # --- records ---

    def publish(self, topic: str, records: Sequence[tuple[bytes, dict[str, bytes]]]) -> list[int]:
        """Append in this order; returns the numbers once all replicas have confirmed them."""
        numbers: list[int] = []
        problems: list[confluent_kafka.KafkaError] = []

        def on_delivery(problem: confluent_kafka.KafkaError | None, record: Any) -> None:
            numbers.append(record.offset()) if problem is None else problems.append(problem)

        with self.faults():
            producer = self._publishing()
            for body, headers in records:
                producer.produce(topic, body, partition=0, headers=list(headers.items()), on_delivery=on_delivery)
            producer.flush(2 * ANSWER_SECONDS)
            if problems or len(numbers) < len(records):
                raise self._library.KafkaException(problems[0] if problems else "no confirmation in time")
        return numbers

    def _publishing(self) -> Any:
        if self._producer is None:
            self._producer = self._library.Producer(self._common | PUBLISHING)
        return self._producer

    def reader(self, topic: str, start: int) -> Reader:
        """Read a topic from a number on; to be closed."""
        with self.faults():
            consumer = self._library.Consumer(self._reading())
            consumer.assign([self._library.TopicPartition(topic, 0, start)])
        reader = Reader(self, consumer, self._partition(topic), start)
        self._readers.append(reader)
        return reader


class Reader:
    """Reads one topic from where it was told on."""

    def __init__(self, link: KafkaLink, consumer: Any, partition: Any, start: int) -> None:
        self._link = link
        self._consumer = consumer
        self._partition = partition
        self._next = start

    def take(self, most: int, wait: float) -> list[Record]:
        """Up to `most` records: waits for the first, then takes what is there."""
        found: list[Record] = []
        size = 0
        with self._link.faults():
            while len(found) < most and size < _MOST_BYTES:
                message = self._consumer.poll(wait if not found else self._gap())
                if message is None:
                    self._link.check()
                    break
                if message.error() is not None:
                    raise self._link._library.KafkaException(message.error())
                found.append(_record(message))
                self._next = found[-1].number + 1
                size += len(found[-1].body)
        return found

    def _gap(self) -> float:
        """How long the next record may take: it is on its way, or there is none."""
        _, high = self._consumer.get_watermark_offsets(self._partition, cached=True)
        return _SURE_GAP if self._next < high else 0.0

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()
        with contextlib.suppress(ValueError):
            self._link._readers.remove(self)


def _record(message: Any) -> Record:
    _, milliseconds = message.timestamp()
    headers = {key: bytes(value or b"") for key, value in message.headers() or ()}
    return Record(message.offset(), milliseconds / 1000, headers, message.value() or b"")
