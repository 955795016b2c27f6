"""Which submissions a computation is on: all parties tell one another what is complete with them, and take the rest.

Each party states once, signed with the key of its certificate, which submissions it holds completely, with digests of
their manifests. From the same statements everybody gets the same set: what all hold, with one and the same digest.
Who tells different parties different things is found out by the digest of the set, which parties compare when a
session starts (it is the origin of the stored input), and leaves two statements that contradict each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from cryptography import x509

from quorate.crypto.hashing import digest_parts
from quorate.crypto.pki import signed_by
from quorate.durable.consumer import Consumer, Tally
from quorate.durable.keys import Signer
from quorate.durable.share_store import Entry
from quorate.errors import BrokerFault, IntegrityError, UserError
from quorate.transport.carrier import Carrier, Parcel, Queue

__all__ = ["Agreed", "Cut", "Page", "sets_queue"]

_MOST_ENTRIES = 5000
_MOST_PAGES = 10_000
_SIGNED = "quorate/submission/cut/1"


def sets_queue(session: str, party: str) -> Queue:
    """Where statements for `party` wait."""
    return Queue(session, f"sets.{party}")


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A part of a party's statement: what it holds for cut `name`; page `number` (from 0) of `pages`."""

    session: str
    table: bytes
    name: str
    party: str
    number: int
    pages: int
    entries: tuple[Entry, ...]
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed."""
        return digest_parts([msgspec.msgpack.encode(msgspec.structs.replace(self, signature=b""))], _SIGNED)


@dataclass(frozen=True)
class Agreed:
    """The outcome of a cut.

    Attributes:
        entries: what all parties hold alike, in order, but for what is left out.
        origin: digest of these (64 hexadecimal characters), the same at all parties that leave out the same.
        partial: how many submissions are not complete everywhere.
        disputed: producers that told parties different things; their submissions are left out.
        left_out: what all parties hold alike, and was left out because we asked for it.
    """

    entries: tuple[Entry, ...]
    origin: str
    partial: int
    disputed: tuple[str, ...]
    left_out: tuple[Entry, ...] = ()


class Cut:
    """One cut of a session's submissions as one party goes through it; `certificates` are those of all parties."""

    def __init__(
        self, consumer: Consumer, name: str, signer: Signer, certificates: Mapping[str, x509.Certificate]
    ) -> None:
        seat = consumer.seat
        if missing := set(seat.layout.parties) - set(certificates):
            raise UserError(f"the certificate of {', '.join(sorted(missing))} is missing; get it from the federation")
        self._consumer, self._name, self._signer, self._certificates = consumer, name, signer, certificates
        self._said: dict[str, dict[int, Page]] = {party: {} for party in seat.layout.parties}
        for data in consumer.store.pages(name):
            page = self._read(data)
            if isinstance(page, Page):
                self._keep(page)

    def publish(self, routes: Mapping[str, Carrier]) -> None:
        """State, once and for all, what we hold, and tell other parties; `routes` are party -> carrier.

        Raises:
            BrokerFault: a broker fails, or has no queue for the party; the others were told before. Try again later.
        """
        pages = self._ours()
        failed: BrokerFault | None = None
        for party, carrier in routes.items():
            queue = sets_queue(self._consumer.seat.session, party)
            try:
                carrier.publish(queue, pages)
            except BrokerFault as problem:
                failed = problem
        if failed is not None:
            raise failed

    def take(self, carrier: Carrier, wait: float = 1.0) -> Tally:
        """Take statements of other parties; they are on the disk before they are acknowledged.

        Raises:
            BrokerFault: the broker fails.
            IntegrityError: a party has stated two different things.
        """
        seat, tally = self._consumer.seat, Tally()
        for delivery in carrier.consume(sets_queue(seat.session, seat.name), 100, wait):
            page = self._read(delivery.parcel.body)
            if isinstance(page, str):
                carrier.reject(delivery, page)
                tally.rejected[page] = tally.rejected.get(page, 0) + 1
                continue
            self._consumer.store.keep_page(self._name, page.party, page.number, delivery.parcel.body)
            carrier.acknowledge([delivery])
            tally.taken += 1
            self._keep(page)
        return tally

    @property
    def missing(self) -> list[str]:
        """The parties whose statement is not complete here."""
        return [party for party, pages in self._said.items() if not pages or len(pages) < pages[min(pages)].pages]

    def agreed(self, leave_out: Collection[str] = ()) -> Agreed | None:
        """What the parties agree on; None while a statement is missing.

        `leave_out` names producers and submissions (32 hexadecimal digits) that are no part of it. Parties that do not
        leave out the same get sets of different origin, which no session takes together.

        Raises:
            UserError: the parties hold nothing alike of this name.
        """
        if self.missing:
            return None
        said = {
            party: [entry for k in sorted(pages) for entry in pages[k].entries] for party, pages in self._said.items()
        }
        return _agreed(self._consumer.seat.session, self._consumer.seat.layout.digest, said, leave_out)

    def _ours(self) -> list[Parcel]:
        """Our pages; made at the first call, and kept: we state one thing only."""
        seat, store = self._consumer.seat, self._consumer.store
        kept = store.state(self._name, seat.name, ())
        if not kept:
            entries = self._consumer.entries()
            pieces = [entries[k : k + _MOST_ENTRIES] for k in range(0, len(entries), _MOST_ENTRIES)] or [[]]
            kept = [msgspec.msgpack.encode(self._page(k, len(pieces), piece)) for k, piece in enumerate(pieces)]
            kept = store.state(self._name, seat.name, kept)
        for data in kept:
            page = self._read(data)
            if isinstance(page, Page):
                self._keep(page)
        return [Parcel(f"{self._name}.{seat.name}.{number}", data) for number, data in enumerate(kept)]

    def _page(self, number: int, pages: int, entries: Sequence[Entry]) -> Page:
        seat = self._consumer.seat
        page = Page(seat.session, seat.layout.digest, self._name, seat.name, number, pages, tuple(entries))
        return msgspec.structs.replace(page, signature=self._signer.sign(page.statement()))

    def _read(self, data: bytes) -> Page | str:
        """A page, or why it is none for us; never raises."""
        seat = self._consumer.seat
        try:
            page = msgspec.msgpack.decode(data, type=Page)
        except (ValueError, RecursionError):
            return "no statement about submissions"
        if (page.session, page.name) != (seat.session, self._name) or page.party not in self._said:
            return "a statement about other submissions"
        if page.table != seat.layout.digest:
            return f"{page.party} speaks of another table, protocol or other parties"
        if not 0 <= page.number < page.pages <= _MOST_PAGES:
            return "no statement about submissions"
        return (
            page
            if signed_by(self._certificates[page.party], page.signature, page.statement())
            else f"not signed by {page.party}"
        )

    def _keep(self, page: Page) -> None:
        pages = self._said[page.party]
        known = pages.setdefault(page.number, page)
        first = pages[min(pages)]
        if known.statement() != page.statement() or first.pages != page.pages:
            raise IntegrityError(
                f"{page.party} has signed two different statements about cut {self._name!r}; it cheats, or runs twice "
                "with different data: both are kept, show them to its operator"
            )


def _agreed(session: str, table: bytes, said: Mapping[str, Iterable[Entry]], leave_out: Collection[str] = ()) -> Agreed:
    digests: dict[tuple[str, bytes], list[Entry]] = {}
    for entries in said.values():
        for entry in set(entries):
            digests.setdefault((entry.producer, entry.submission), []).append(entry)
    disputed = {key for key, found in digests.items() if len(set(found)) > 1}
    whole = sorted(found[0] for key, found in digests.items() if key not in disputed and len(found) == len(said))
    left_out = _named(whole, leave_out)
    kept = tuple(entry for entry in whole if entry not in left_out)
    state = hashlib.sha256()
    for entry in kept:
        state.update(entry.digest)
    origin = digest_parts([session.encode(), table, state.digest()], "quorate/submission/set/1").hex()
    producers = tuple(sorted({producer for producer, _ in disputed}))
    return Agreed(kept, origin, len(digests) - len(whole) - len(disputed), producers, tuple(sorted(left_out)))


def _named(entries: Iterable[Entry], names: Collection[str]) -> set[Entry]:
    """The submissions that have one of these ids, or are of one of these producers."""
    found: set[Entry] = set()
    every = list(entries)
    for name in names:
        some = {entry for entry in every if name in (entry.producer, entry.submission.hex())}
        if not some:
            raise UserError(
                f"the parties hold nothing alike of {name!r}; leave out a producer, or a submission by its ID"
            )
        found |= some
    return found
