"""Submitted shares at a member: where keys and stores lie, which table a spec asks for, and the way to the vault."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from cryptography import x509

from quorate.coordination.federation import Federation
from quorate.coordination.spec import Input, Spec
from quorate.crypto.pki import load_certificate
from quorate.crypto.sealed import key_file
from quorate.data.prepare import prepare
from quorate.durable.audit import Audit
from quorate.durable.consumer import Consumer, Note, Seat
from quorate.durable.cut import Agreed
from quorate.durable.dead_letters import Standing
from quorate.durable.layout import Layout
from quorate.durable.region import Place as Location
from quorate.durable.region import check_region
from quorate.durable.share_store import Entry, ShareStore
from quorate.errors import DataError, UserError
from quorate.node.identity import Identity
from quorate.node.place import Place
from quorate.node.vault import Owner, Vault
from quorate.sharing.dtype import DType
from quorate.transport.carrier import Limits

__all__ = [
    "as_csv",
    "audited",
    "certificates_of",
    "check_agreed",
    "check_inboxes",
    "keep",
    "layout_of",
    "limits_of",
    "master_key",
    "opened",
    "raw_values",
    "sessions",
    "standing",
    "store_path",
    "submitted_input",
]


_MOST_NAMED = 5
"""Producers that a message names."""


def submitted_input(spec: Spec, name: str | None) -> Input:
    """The stored input of `spec` that producers fill: the one called `name`, or the only one.

    Raises:
        UserError: there is none, or there are several and none was named.
    """
    stored = [item for item in spec.inputs if item.stored is not None]
    chosen = [item for item in stored if name is None or item.name == name]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(item.name for item in stored) or "none"
    raise UserError(f"say with --input which input of {spec.name} is submitted; its stored inputs: {names}")


def layout_of(spec: Spec, item: Input) -> Layout:
    """How the table of an input is shared. Raises `UserError` if its columns are of several types."""
    dtypes = {str(column.dtype) for column in item.columns}
    if len(dtypes) > 1:
        raise UserError(
            f"the columns of input {item.name!r} have the types {', '.join(sorted(dtypes))}; a submitted table has "
            "one: declare one type, or an input for each"
        )
    names = tuple(column.name for column in item.columns)
    return Layout(spec.protocol.name, spec.parties, spec.threshold, dtypes.pop(), names)


def raw_values(path: str, item: Input) -> npt.NDArray[np.int64]:
    """A producer's table, checked against the columns of `item`: raw values of shape (rows, columns).

    Raises:
        DataError: a value does not fit; the message names file, row and column.
    """
    prepared = prepare(path, msgspec.structs.replace(item, min_rows=1))
    return np.stack([prepared.columns[column.name] for column in item.columns], axis=1)


def limits_of(spec: Spec) -> Limits:
    """What queues of a session keep: as long as the session may last."""
    return Limits(ttl=spec.timeouts.session)


def master_key(home: Path, member: str, *, create: bool) -> bytes:
    """The submission key of a member; raises as `key_file`."""
    return key_file(home / f"{member}.submission.key", create=create)


def store_path(home: Path, member: str, session: str) -> Path:
    """Where the submitted shares of a session lie."""
    return home / "submissions" / member / f"{session}.shares"


def sessions(home: Path, member: str) -> list[str]:
    """The sessions known here: collections of shares, computations that last, and those that we invited to."""
    collections = {path.stem for path in (home / "submissions" / member).glob("*.shares")}
    folders = [path for what in ("sessions", "asked") for path in (home / what / member).glob("*") if path.is_dir()]
    return sorted(collections | {path.name for path in folders})


def standing(home: Path, member: str, session: str) -> Standing:
    """How a computation that lasts stands here."""
    place = Place(home, member, session)
    if place.end is not None:
        return "ended"
    return "running" if place.prepared or place.started or not place.erased else "unknown"


def opened(home: Path, member: str, session: str, note: Note | None = None) -> Consumer | None:
    """The consumer of a session that was begun here; None if there is no such session."""
    path = store_path(home, member, session)
    if not path.exists():
        return None
    store = ShareStore(path)
    document = store.fact("table")
    if document is None:
        return None
    layout = Layout.read(document)
    party = member in layout.parties
    seat = Seat.party(session, layout, member) if party else Seat.recipient(session, layout, member)
    return Consumer(seat, master_key(home, member, create=False), store, note)


def audited(audit: Audit, session: str, scheme: str) -> Note:
    """Writes what a consumer does into the audit; to be flushed by the caller."""

    def note(what: str, message: str, size: int) -> None:
        good = what in ("taken", "known")
        event, reason = (f"share {what}", "") if good else ("dead-lettered", what)
        audit.note(event, session, direction="in", message=message, size=size, carrier=scheme, note=reason)

    return note


def keep(vault: Vault, consumer: Consumer, agreed: Agreed, name: str) -> int:
    """Put our share of what the parties agreed on into the vault as `name`, a stored input; its rows.

    Raises:
        UserError: they agreed on nothing.
        EnvironmentFault: see `Vault.save`.
    """
    share, layout = consumer.share(agreed.entries), consumer.seat.layout
    owner = Owner(
        parties=layout.parties,
        index=layout.parties.index(consumer.seat.name),
        protocol=layout.protocol,
        threshold=layout.threshold,
    )
    vault.save(name, share, layout.dtype, agreed.origin, owner)
    return share.shape[0]


def check_agreed(agreed: Agreed, item: Input) -> None:
    """Refuse what a computation would refuse: more rows than `item` may have, or fewer than it needs.

    Raises:
        DataError: the message says who submitted most, and how all parties leave it out.
    """
    rows = sum(entry.rows for entry in agreed.entries)
    held = f"the parties hold {rows} rows in {len(agreed.entries)} submissions alike"
    if rows > item.max_rows:
        counts = Counter[str]()
        for entry in agreed.entries:
            counts[entry.producer] += entry.rows
        most = ", ".join(f"{producer} ({count} rows)" for producer, count in counts.most_common(_MOST_NAMED))
        large = max(agreed.entries, key=lambda entry: entry.rows)
        raise DataError(
            f"{held}, and input {item.name!r} may have at most {item.max_rows}; nothing was kept. Settle with the "
            "others what to leave out, and all run 'quorate collect freeze' with the same --leave-out, a producer or "
            f"the ID of a submission. Most came from {most}; the largest is {large.submission.hex()}"
        )
    if agreed.entries and rows < item.min_rows:
        raise DataError(
            f"{held}, and input {item.name!r} needs at least {item.min_rows}; nothing was kept. Take more, and freeze "
            "under another name: what was stated is final for this 'stored'"
        )


def certificates_of(identity: Identity, layout: Layout) -> Mapping[str, x509.Certificate]:
    """The pinned certificates of the parties."""
    members = {party: identity.federation.member(party) for party in layout.parties}
    return {party: load_certificate(Path(member.certificate)) for party, member in members.items()}


def check_inboxes(spec: Spec, federation: Federation, members: Iterable[str]) -> None:
    """Refuse to leave shares outside of the region that the spec is bound to; raises `UserError`."""
    inboxes = dict.fromkeys(members)
    check_region(spec.region, [Location(f"the inbox of {name}", federation.member(name).region) for name in inboxes])


def as_csv(layout: Layout, tables: Mapping[Entry, npt.NDArray[np.int64]]) -> bytes:
    """Opened tables as one, with a column for who submitted a row."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["producer", *layout.columns])
    for entry, table in tables.items():
        values = DType.parse(layout.dtype).decode(table)
        writer.writerows([entry.producer, *row] for row in values.tolist())
    return text.getvalue().encode()
