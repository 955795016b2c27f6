"""The side of a consumer: takes frames, checks them, keeps the good ones and makes dead letters of the rest.

A frame is acknowledged only after it is on the disk; so a consumer may be killed at any moment and is handed the rest
again, and what it has taken already it recognises. No bytes, however made, end it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from quorate.crypto.hashing import digest_parts
from quorate.durable import frames
from quorate.durable.frames import Fault
from quorate.durable.layout import Array, Integers, Layout
from quorate.durable.producer import shares_queue
from quorate.durable.share_store import Arrival, Entry, ShareStore
from quorate.durable.submission import Content, Envelope, KeyRing, Keys, derive, envelope_of, is_name, opened, sealed
from quorate.errors import EnvironmentFault, UserError
from quorate.sharing.share import Arithmetic
from quorate.transport.carrier import Carrier, Delivery, Parcel, Queue

__all__ = ["Consumer", "Seat", "Tally"]

MOST_BLOCKS = 1 << 16
_NOBODY = Envelope("nobody", b"", 0, b"")
_MOST_KNOWN = 4096

Note = Callable[[str, str, int], None]
"""(what was done: "taken", "known" or the reason to reject; message id; bytes)."""


@dataclass(frozen=True)
class Seat:
    """Where a consumer sits: the session, what is shared how, its name, and its place among the parties.

    `shares` are those it accepts: its own from producers, or, at an authorised recipient of the values, those of all
    parties, each passed on by its party.
    """

    session: str
    layout: Layout
    name: str
    shares: frozenset[int]

    @classmethod
    def party(cls, session: str, layout: Layout, name: str) -> Seat:
        """The seat of one of the parties. Raises `UserError` if it is none."""
        if name not in layout.parties:
            raise UserError(f"{name} is none of the parties {', '.join(layout.parties)}; act as one of them")
        return cls(session, layout, name, frozenset({layout.parties.index(name) + 1}))

    @classmethod
    def recipient(cls, session: str, layout: Layout, name: str) -> Seat:
        """The seat of a recipient. Raises `UserError` if it is a party, which learns nothing of the values."""
        if name in layout.parties:
            raise UserError(f"{name} is one of the parties, which open nothing; act as the recipient")
        return cls(session, layout, name, frozenset(range(1, len(layout.parties) + 1)))

    @property
    def opens(self) -> bool:
        """Whether this is a recipient."""
        return self.name not in self.layout.parties

    @property
    def queue(self) -> Queue:
        """Where its shares arrive."""
        return shares_queue(self.session, self.name)


@dataclass
class Tally:
    """What became of deliveries: frames taken, known already, and rejected by reason."""

    taken: int = 0
    known: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return self.taken + self.known + sum(self.rejected.values())


class _Judged(NamedTuple):
    arrival: Arrival
    content: Content


class Consumer:
    """One consumer in one session; `master` is its submission key, `store` its memory."""

    def __init__(self, seat: Seat, master: bytes, store: ShareStore, note: Note | None = None) -> None:
        self.seat, self._master, self.store, self._note = seat, master, store, note
        self._known: dict[str, Keys] = {}
        store.bind({"session": seat.session.encode(), "consumer": seat.name.encode(), "table": seat.layout.document})

    # ---- taking

    def take(self, carrier: Carrier, most: int = 100, wait: float = 1.0) -> Tally:
        """Take up to `most` waiting frames; waits at most `wait` seconds for the first.

        Raises:
            BrokerFault: the broker fails; nothing is lost.
            EnvironmentFault: the store cannot be written; nothing is acknowledged then.
        """
        deliveries = carrier.consume(self.seat.queue, most, wait)
        verdicts = self.admit([delivery.parcel.body for delivery in deliveries])
        tally = Tally()
        good = []
        for delivery, verdict in zip(deliveries, verdicts, strict=True):
            if isinstance(verdict, Fault):
                carrier.reject(delivery, verdict)
                tally.rejected[verdict] = tally.rejected.get(verdict, 0) + 1
            else:
                good.append(delivery)
                tally.taken += verdict
                tally.known += not verdict
            self._tell(delivery, verdict)
        if good:
            carrier.acknowledge(good)
        return tally

    def _tell(self, delivery: Delivery, verdict: bool | Fault) -> None:
        if self._note is not None:
            what = str(verdict) if isinstance(verdict, Fault) else "taken" if verdict else "known"
            self._note(what, delivery.parcel.ident, len(delivery.parcel.body))

    def admit(self, bodies: Sequence[bytes]) -> list[bool | Fault]:
        """Keep the good ones, durably; for each whether it was new, or what is wrong with it."""
        judged = [self.judge(body) for body in bodies]
        places = self.store.put([each.arrival for each in judged if not isinstance(each, Fault)])
        stored = iter(places)
        verdicts: list[bool | Fault] = []
        for each in judged:
            place = None if isinstance(each, Fault) else next(stored)
            verdicts.append(each if isinstance(each, Fault) else Fault.OTHER if place == "other" else place == "new")
        return verdicts

    def judge(self, data: bytes) -> _Judged | Fault:
        """What a frame holds, or what is wrong with it; never raises, whatever the bytes are."""
        frame = frames.parse(data)
        if frame is None:
            return Fault.LENGTH
        envelope = envelope_of(frame.payload)
        keys = self._keys((envelope or _NOBODY).producer)
        fault = frames.check(frame, self.seat.session, keys.mac)
        if fault is not None:
            return fault
        if frame.index not in self.seat.shares:
            return Fault.INDEX
        content = None if envelope is None else opened(frame, envelope, self.seat.session, keys)
        if envelope is None or content is None:
            return Fault.FORM
        return self._fitting(data, frame.index, envelope, content)

    def _fitting(self, data: bytes, index: int, envelope: Envelope, content: Content) -> _Judged | Fault:
        layout = self.seat.layout
        if not self._source_fits(index, envelope, content):
            return Fault.INDEX
        if content.layout != layout.digest or not envelope.block < content.blocks <= MOST_BLOCKS:
            return Fault.LAYOUT
        if not layout.genuine(index - 1, content.rows, content.manifest, content.salts, content.parts):
            return Fault.COMMITMENT
        manifest = digest_parts(content.manifest, "quorate/submission/manifest/1")
        place = (
            content.origin or envelope.producer,
            envelope.submission,
            index,
            envelope.block,
            content.blocks,
            content.rows,
        )
        return _Judged(Arrival(*place, manifest, hashlib.sha256(data).digest(), data), content)

    def _source_fits(self, index: int, envelope: Envelope, content: Content) -> bool:
        """A recipient takes share i from party i, a party takes its share from the producer itself."""
        if self.seat.opens:
            return is_name(content.origin) and self.seat.layout.parties[index - 1] == envelope.producer
        return not content.origin

    def _keys(self, producer: str) -> Keys:
        if producer not in self._known:
            if len(self._known) >= _MOST_KNOWN:  # names are foreign bytes
                self._known.clear()
            self._known[producer] = Keys.of(derive(self._master, self.seat.session, producer, self.seat.name))
        return self._known[producer]

    # ---- using

    def entries(self, share: int | None = None) -> list[Entry]:
        """The submissions that are complete here, by producer and id; of share `share`, by default our own."""
        return self.store.complete(self._only() if share is None else share)

    def share(self, entries: Sequence[Entry]) -> Arithmetic:
        """Our share of the tables of these submissions, one below the other, as the protocol holds it.

        Raises:
            UserError: there are none.
        """
        if not entries:
            raise UserError("there is no submission to compute on; wait until producers have sent some")
        return self.seat.layout.share(self._parts(entries, self._only()))

    def passed_on(self, entries: Sequence[Entry], ring: KeyRing, recipient: str) -> list[Parcel]:
        """Our shares of these submissions, sealed for a recipient; `ring` holds our key for it. The same each time.

        Raises:
            UserError: we have no key for the recipient.
        """
        keys, session, share = ring.key_for(recipient), self.seat.session, self._only()
        parcels = []
        for entry in entries:
            for block, content in enumerate(self._contents(entry, share)):
                place = Envelope(self.seat.name, entry.submission, block)
                named = msgspec.structs.replace(content, origin=entry.producer)
                body = sealed(named, place, session, share, keys)
                ident = f"{entry.submission.hex()}.{share}.{block}.{entry.producer}"
                parcels.append(Parcel(ident, body))
        return parcels

    def ready(self) -> list[Entry]:
        """At a recipient, the submissions of which enough parties passed on shares that belong together."""
        counts = Counter(entry for share in self.seat.shares for entry in self.entries(share))
        return sorted(entry for entry, count in counts.items() if count >= self.seat.layout.needed)

    def holders(self, entry: Entry) -> list[int]:
        """At a recipient, the parties (from 0) whose shares of a submission are here."""
        return [share - 1 for share in sorted(self.seat.shares) if entry in self.entries(share)]

    def open(self, entry: Entry) -> Integers:
        """At a recipient, the raw values of a submission: int64 of shape (rows, columns).

        Raises:
            UserError: too few shares are here.
            IntegrityError: the shares do not fit together.
        """
        return self.seat.layout.combine({me: self._parts([entry], me + 1) for me in self.holders(entry)})

    def _parts(self, entries: Sequence[Entry], share: int) -> list[Array]:
        layout = self.seat.layout
        columns: list[list[Array]] = [[] for _ in layout.held(share - 1)]
        for entry in entries:
            for content in self._contents(entry, share):
                for column, part in zip(columns, content.parts, strict=True):
                    column.append(layout.array(part))
        return [np.concatenate(column) for column in columns]

    def _contents(self, entry: Entry, share: int) -> Iterator[Content]:
        for body in self.store.bodies(entry, share):
            judged = self.judge(body)
            if isinstance(judged, Fault):
                raise EnvironmentFault(
                    f"a share in {self.store.path} cannot be opened any more; restore the submission key of "
                    f"{self.seat.name} under which it was sent"
                )
            yield judged.content

    def _only(self) -> int:
        if len(self.seat.shares) != 1:
            raise UserError(f"{self.seat.name} takes the shares of several parties; only a party computes on its own")
        return next(iter(self.seat.shares))
