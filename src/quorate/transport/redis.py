"""Durable queues at Redis (7.0 or newer, no cluster): `rediss://host:port` or `rediss://host:port/database`.

Per queue a stream with one consumer group, and two hashes that belong to it: what is in it by ident, so that a copy is
noticed as long as the original waits, and its limits and counters. Whoever consumes, and whoever asks for depth or
dead letters, moves what has expired to the dead letters; nobody else does.

Redis has to write to disk before it answers (`appendonly yes`, `appendfsync always`) and must not evict
(`maxmemory-policy noeviction`); `connect` looks if it may, and refuses or warns.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar
from urllib.parse import SplitResult

from quorate.errors import BrokerFault, QueueFull
from quorate.transport import redis_scripts as scripts
from quorate.transport.carrier import Credentials, DeadLetter, Delivery, Limits, Parcel, Queue, check_queue
from quorate.transport.redis_connect import TROUBLE, opened, refusal, text
from quorate.transport.redis_scripts import GROUP

__all__ = ["RedisCarrier", "connect"]

T = TypeVar("T")
Entry = tuple[bytes, dict[bytes, bytes]]
_NUMBER = re.compile(rb"[0-9]{1,12}(\.[0-9]{1,9})?")
_log = logging.getLogger(__name__)
_BLOCK = 10.0
_TIDY = 1.0
_BATCH, _BATCH_BYTES = 128, 1 << 20
_PAGE = 100
_LOST = 60.0
"""Seconds after which a delivery that we do not hold, though the broker believes so, is handed out again."""


def connect(parts: SplitResult, credentials: Credentials) -> RedisCarrier:
    """A connection to the broker of an address; see `quorate.transport.carrier.open_carrier`."""
    return RedisCarrier(*opened(parts, credentials))


class RedisCarrier:
    """See `quorate.transport.carrier.Carrier`."""

    scheme: ClassVar[str] = "rediss"

    def __init__(self, client: Any, where: str) -> None:
        self._client: Any = client
        self._where = where
        self._scripts: dict[str, Any] = {}
        self._inboxes: dict[Queue, _Inbox] = {}

    def provision(self, queue: Queue, limits: Limits) -> None:
        check_queue(queue)
        facts = (max(1, round(limits.ttl * 1000)), limits.most_bytes, max(1, limits.most_deliveries))
        self._run(scripts.PROVISION, queue, queue.box, *facts)

    def publish(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        for group in _groups(parcels):
            taken = self._run(scripts.PUBLISH, queue, *itertools.chain.from_iterable(group))
            if taken < 0:
                raise self._no_such(queue)
            if taken < len(group):
                raise QueueFull(f"{queue.name} is full; its receiver does not keep up, or is away: wait and try again")

    def consume(self, queue: Queue, most: int, wait: float) -> list[Delivery]:
        inbox = self._inboxes.setdefault(queue, _Inbox())
        end = time.monotonic() + wait
        self._tidy(queue, inbox)
        got = self._again(queue, inbox, most)
        while not got:
            left = min(end - time.monotonic(), _BLOCK)
            found = self._do(partial(_entries, queue=queue, after=">", most=most, wait=left))
            got = [(key, parcel, 1) for key, parcel in self._usable(queue, found)]
            if left <= 0:
                break
        return [self._delivery(queue, inbox, *entry) for entry in got]

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        for queue, group in itertools.groupby(deliveries, key=lambda delivery: delivery.queue):
            facts = [(str(delivery.receipt), delivery.parcel.ident) for delivery in group]
            for page in _pages(facts):
                self._run(scripts.ACKNOWLEDGE, queue, *itertools.chain.from_iterable(page))
            self._let_go(queue, [receipt for receipt, _ in facts])

    def reject(self, delivery: Delivery, reason: str) -> None:
        queue, receipt = delivery.queue, str(delivery.receipt)
        self._run(scripts.REJECT, queue, queue.box, receipt, f"rejected: {reason}")
        self._let_go(queue, [receipt])

    def depth(self, queue: Queue) -> int:
        self._walk(scripts.EXPIRE, queue)
        return self._do(lambda client: int(client.xlen(queue.name)))

    def dead(self, queue: Queue, most: int = 1000) -> list[DeadLetter]:
        self._walk(scripts.EXPIRE, queue)
        letters: list[DeadLetter] = []
        start = "-"
        while len(letters) < most:
            page = self._do(partial(_page, name=queue.dead_letters, start=start))
            letters += [_letter(key, value) for key, value in page if text(value.get(b"q", b"")) == queue.box]
            if len(page) < _PAGE:
                break
            start = "(" + text(page[-1][0])
        return letters[:most]

    def retry(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        for page in _pages([str(letter.receipt) for letter in letters]):
            if self._run(scripts.RETRY, queue, queue.box, *page) < 0:
                raise self._no_such(queue)

    def drop(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        for page in _pages([str(letter.receipt) for letter in letters]):
            self._run(scripts.DROP, queue, queue.box, *page)

    def remove(self, queue: Queue) -> None:
        self._inboxes.pop(queue, None)
        self._run(scripts.REMOVE, queue, queue.box, queue.box.partition(".")[2])

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except TROUBLE:
                _log.debug("the connection to %s was broken already", self._where)

    # -- what is in our hands ----------------------------------------------------------------------------------------

    def _tidy(self, queue: Queue, inbox: _Inbox) -> None:
        """Once a second at most: move to the dead letters what expired, find what nobody holds any more."""
        now = time.monotonic()
        if now < inbox.tidied + _TIDY:
            return
        self._walk(scripts.EXPIRE, queue)
        if inbox.tidied < 0:
            self._walk(scripts.TIRED, queue)
        elif now > inbox.searched + _LOST / 2:
            inbox.searched = now
            self._search(queue, inbox)
        inbox.tidied = now

    def _again(self, queue: Queue, inbox: _Inbox, most: int) -> list[tuple[str, Parcel, int]]:
        """What an earlier consumer, or we over a connection that broke, had in hand and did not acknowledge."""
        if inbox.lost:
            ids = [inbox.lost.popleft() for _ in range(min(most, len(inbox.lost)))]
            entries = self._do(lambda client: list(client.xclaim(queue.name, GROUP, GROUP, 0, ids)))
        elif inbox.cursor is not None:
            entries = self._do(lambda client: _entries(client, queue, inbox.cursor, most, 0.0))
            inbox.cursor = text(entries[-1][0]) if entries else None
        else:
            return []
        counts = self._counts(queue, [text(key) for key, _ in entries])
        return [(key, parcel, counts.get(key, 2)) for key, parcel in self._usable(queue, entries)]

    def _usable(self, queue: Queue, entries: Sequence[Entry]) -> Iterator[tuple[str, Parcel]]:
        """The parcels among entries; what somebody else has put there becomes a dead letter."""
        for key, fields in entries:
            parcel = _parcel(fields)
            if parcel is None:
                self._run(scripts.REJECT, queue, queue.box, text(key), "rejected: malformed")
            else:
                yield text(key), parcel

    def _counts(self, queue: Queue, ids: list[str]) -> dict[str, int]:
        """How often each was handed out, by now."""
        if not ids:
            return {}
        first, last = min(ids, key=_order), max(ids, key=_order)
        held = self._do(lambda client: client.xpending_range(queue.name, GROUP, first, last, 10_000))
        return {text(fact["message_id"]): int(fact["times_delivered"]) for fact in held}

    def _search(self, queue: Queue, inbox: _Inbox) -> None:
        """What the broker believes to be in our hands for long, though it is not: its answer never reached us."""
        idle = int(_LOST * 1000)
        held = self._do(lambda client: client.xpending_range(queue.name, GROUP, "-", "+", 10_000, idle=idle))
        if inbox.cursor is None:
            known = inbox.held.union(inbox.lost)
            inbox.lost.extend(key for fact in held if (key := text(fact["message_id"])) not in known)

    def _delivery(self, queue: Queue, inbox: _Inbox, key: str, parcel: Parcel, attempt: int) -> Delivery:
        inbox.held.add(key)
        return Delivery(queue, parcel, attempt, key)

    def _let_go(self, queue: Queue, receipts: Sequence[str]) -> None:
        if queue in self._inboxes:
            self._inboxes[queue].held.difference_update(receipts)

    # -- talking to the broker ----------------------------------------------------------------------------------------

    def _walk(self, script: str, queue: Queue) -> None:
        """Run a script that works in pages."""
        start = "-"
        while after := text(self._run(script, queue, queue.box, start)):
            start = "(" + after

    def _run(self, script: str, queue: Queue, *arguments: object) -> Any:
        keys = [queue.name, f"{queue.name}:idents", f"{queue.name}:state", queue.dead_letters, queue.exchange]

        def call(client: Any) -> Any:
            if script not in self._scripts:
                self._scripts[script] = client.register_script(script)
            return self._scripts[script](keys, arguments)

        return self._do(call)

    def _do(self, action: Callable[[Any], T]) -> T:
        if self._client is None:
            raise BrokerFault(f"the connection to the broker {self._where} is closed; open a new one")
        try:
            return action(self._client)
        except TROUBLE as problem:
            self.close()
            raise BrokerFault(f"the broker {self._where} broke off: {refusal(problem, self._where)}") from None

    def _no_such(self, queue: Queue) -> BrokerFault:
        self.close()
        return BrokerFault(f"there is no queue {queue.name} at the broker; its receiver has to make it first")


class _Inbox:
    """What a consumer knows of its queue: how far it has read what was in hand before, and what it holds now."""

    def __init__(self) -> None:
        self.cursor: str | None = "0"
        self.held: set[str] = set()
        self.lost: deque[str] = deque()
        self.tidied = -1.0
        self.searched = time.monotonic()


def _entries(client: Any, queue: Queue, after: str | None, most: int, wait: float) -> list[Entry]:
    block = round(wait * 1000) if wait > 0.001 else None  # 0 would be: for ever
    answer: Any = client.xreadgroup(GROUP, GROUP, {queue.name: after or "0"}, count=most, block=block)
    return list(answer[0][1]) if answer else []


def _page(client: Any, name: str, start: str) -> list[Entry]:
    return list(client.xrange(name, start, "+", _PAGE))


def _parcel(fields: dict[bytes, bytes]) -> Parcel | None:
    """A parcel as we publish it, None for anything else."""
    ident, body = fields.get(b"i"), fields.get(b"b")
    return Parcel(ident.decode(), body) if ident and body is not None and ident.isascii() else None


def _letter(key: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    parcel = Parcel(text(fields.get(b"i", b"")), fields.get(b"b", b""))
    since = fields.get(b"t", b"")
    when = float(since) if _NUMBER.fullmatch(since) else 0.0
    return DeadLetter(parcel, text(fields.get(b"r", b"undeliverable")), when, text(key))


def _order(key: str) -> tuple[int, int]:
    first, _, second = key.partition("-")
    return int(first), int(second)


def _groups(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    """Parcels that go in one call: one call blocks the broker for everybody."""
    group, size = list[Parcel](), 0
    for parcel in parcels:
        if group and (len(group) == _BATCH or size + len(parcel.body) > _BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append(parcel)
        size += len(parcel.body)
    if group:
        yield group


def _pages(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + 1000] for start in range(0, len(items), 1000))
