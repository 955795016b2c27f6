"""quorate collect: a party takes the shares that outside producers left for it, and makes an input of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import FederationFile, Home, Json, Meter, SpecFile, federation_beside, print_json
from quorate.errors import BrokerFault, PeerTimeout, UserError

if TYPE_CHECKING:
    from quorate.coordination.spec import Input, Spec
    from quorate.durable.audit import Audit
    from quorate.durable.consumer import Consumer, Tally
    from quorate.durable.cut import Cut
    from quorate.node.identity import Identity
    from quorate.transport.carrier import Carrier

__all__ = ["collect"]

collect = typer.Typer(
    help="Take shares that outside producers submit to a stored input of a spec, and compute on them later.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Option("--as", metavar="NAME", help="The party that you are.")]
Session = Annotated[
    str, typer.Option("--session", metavar="ID", help="Letters a-z and digits, at most 64; all parties use the same.")
]
InputName = Annotated[
    str | None, typer.Option("--input", metavar="NAME", help="Which stored input; by default the only one.")
]


@dataclass(frozen=True)
class _Desk:
    """What a party has at hand in a session."""

    identity: Identity
    spec: Spec
    item: Input
    home: Path
    carrier: Carrier
    consumer: Consumer
    audit: Audit


@contextmanager
def _desk(
    file: Path, federation: Path | None, name: str, session: str, home: Path | None, input_name: str | None
) -> Iterator[_Desk]:
    from quorate.coordination.spec import load_spec
    from quorate.durable.consumer import Consumer, Seat
    from quorate.durable.cut import sets_queue
    from quorate.durable.share_store import ShareStore
    from quorate.node.identity import Identity
    from quorate.node.results import default_home
    from quorate.node.submissions import (
        audit_of,
        audited,
        credentials,
        layout_of,
        limits_of,
        master_key,
        store_path,
        submitted_input,
    )
    from quorate.transport.carrier import check_queue, open_carrier

    loaded = federation_beside(file, federation)
    identity, spec, where = Identity(loaded, name), load_spec(file), home or default_home(federation or file)
    item = submitted_input(spec, input_name)
    seat = Seat.party(session, layout_of(spec, item), name)
    check_queue(seat.queue)
    if identity.member.inbox is None:
        raise UserError(f"{name} has no inbox; add 'inbox:' to the federation file")
    audit, store = audit_of(where, name), ShareStore(store_path(where, name, session))
    carrier = open_carrier(identity.member.inbox, credentials(identity))
    note = audited(audit, session, carrier.scheme)
    try:
        if store.fact("closed"):
            raise UserError(f"the session {session} was closed at {name}; begin another one, with another --session ID")
        consumer = Consumer(seat, master_key(where, name, create=True), store, note)
        for queue in (seat.queue, sets_queue(session, name)):
            carrier.provision(queue, limits_of(spec))
        yield _Desk(identity, spec, item, where, carrier, consumer, audit)
    finally:
        carrier.close()
        store.close()
        audit.close()


@collect.command()
def enrol(
    spec: SpecFile,
    name: Name,
    session: Session,
    producer: Annotated[str, typer.Option(metavar="NAME", help="A name or pseudonym for who may submit.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="The key ring to hand over, in secret.")],
    federation: FederationFile = None,
    input_name: InputName = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Make a key ring for a producer, and the queue for its shares. Hand it over by a way that keeps it secret."""
    from quorate.durable.submission import enrol as make_ring
    from quorate.node.submissions import master_key

    with _desk(spec, federation, name, session, home, input_name) as desk:
        ring = make_ring(master_key(desk.home, name, create=True), session, producer, name)
        ring.save(output)
    if json:
        print_json({"producer": producer, "party": name, "session": session, "file": str(output)})
    else:
        print(f"give {output} to {producer}, in secret; with it, it can submit shares to {name} in {session}")


@collect.command()
def take(
    spec: SpecFile,
    name: Name,
    session: Session,
    federation: FederationFile = None,
    input_name: InputName = None,
    home: Home = None,
    seconds: Annotated[
        float, typer.Option("--for", metavar="SECONDS", help="How long to wait for more when there is nothing.")
    ] = 2.0,
    json: Json = False,
) -> None:
    """Take the shares that wait: good ones are kept, encrypted; others become dead letters, see 'quorate dlq'."""
    with _desk(spec, federation, name, session, home, input_name) as desk:
        taken, known, rejected = 0, 0, 0
        for tally in _tallies(desk, seconds):
            taken, known, rejected = taken + tally.taken, known + tally.known, rejected + sum(tally.rejected.values())
        entries = desk.consumer.entries()
    rows = sum(entry.rows for entry in entries)
    if json:
        counts = {"taken": taken, "known": known, "rejected": rejected}
        print_json({**counts, "submissions": len(entries), "rows": rows})
    else:
        print(f"{name}: {taken} frames taken, {known} known already, {rejected} rejected")
        print(f"{name}: {len(entries)} submissions are complete, {rows} rows")


def _tallies(desk: _Desk, seconds: float) -> Iterator[Tally]:
    while True:
        tally = desk.consumer.take(desk.carrier, 100, seconds)
        desk.audit.flush()
        yield tally
        if not tally.total:
            return


@collect.command()
def freeze(
    spec: SpecFile,
    name: Name,
    session: Session,
    federation: FederationFile = None,
    input_name: InputName = None,
    home: Home = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for the other parties.")] = 60.0,
    json: Json = False,
) -> None:
    """Agree with the other parties on what all of you hold, and keep your share of it as the stored input.

    What you state here is final for this input. Submissions that come later are not part of it.
    """
    from quorate.durable.cut import Cut
    from quorate.node.submissions import FileSigner, certificates_of, keep
    from quorate.node.vault import Vault

    with _desk(spec, federation, name, session, home, input_name) as desk, Meter(quiet=json) as meter:
        stored = str(desk.item.stored)
        layout = desk.consumer.seat.layout
        cut = Cut(desk.consumer, stored, FileSigner(desk.identity), certificates_of(desk.identity, layout))
        _exchange(desk, cut, timeout, meter)
        agreed = cut.agreed()
        if agreed is None:
            raise PeerTimeout(
                f"{', '.join(cut.missing)} did not state in {timeout:g} s what it holds of {session}; nothing is "
                "lost: have it run 'quorate collect freeze', and run it here again"
            )
        rows = keep(Vault(desk.home, name), desk.consumer, agreed, stored)
        desk.audit.note("submissions agreed", session, message=stored, note=f"{len(agreed.entries)} of {agreed.origin}")
    facts = {"rows": rows, "submissions": len(agreed.entries), "partial": agreed.partial, "disputed": agreed.disputed}
    if json:
        print_json({"kept": stored, "origin": agreed.origin, **facts})
        return
    print(f"{name}: kept {rows} rows of {len(agreed.entries)} submissions as {stored!r} (set {agreed.origin[:16]})")
    if agreed.partial:
        print(f"{name}: {agreed.partial} submissions are not complete at all parties and left out")
    if agreed.disputed:
        print(f"{name}: left out what parties got differently from {', '.join(agreed.disputed)}; ask these producers")


def _exchange(desk: _Desk, cut: Cut, timeout: float, meter: Meter) -> None:
    """Tell the others, and hear them, within the time."""
    me, deadline = desk.identity.name, time.monotonic() + timeout
    untold = [party for party in desk.consumer.seat.layout.parties if party != me]
    while True:
        untold = [party for party in untold if not _told(desk, cut, party, meter)]
        left = deadline - time.monotonic()
        cut.take(desk.carrier, max(0.0, min(1.0, left)))
        if (not untold and not cut.missing) or left <= 0:
            return
        meter.say(f"waiting for {', '.join(cut.missing or untold)}")


def _told(desk: _Desk, cut: Cut, party: str, meter: Meter) -> bool:
    """Whether `party` could be told what we hold."""
    from quorate.node.submissions import credentials
    from quorate.transport.carrier import open_carrier

    inbox = desk.identity.federation.member(party).inbox
    try:
        carrier = open_carrier(str(inbox), credentials(desk.identity))
    except BrokerFault as problem:
        meter.say(f"{party}: {problem}")
        return False
    try:
        cut.publish({party: carrier})
    except BrokerFault as problem:
        meter.say(f"{party}: {problem}")
        return False
    finally:
        carrier.close()
    return True


@collect.command()
def close(
    spec: SpecFile,
    name: Name,
    session: Session,
    federation: FederationFile = None,
    input_name: InputName = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """End a session of submissions here: delete its queues, dead letters included, and erase the shares.

    What was kept with 'freeze' stays.
    """
    from quorate.durable.cut import sets_queue
    from quorate.durable.opening import tear_down

    with _desk(spec, federation, name, session, home, input_name) as desk:
        tear_down(desk.consumer, desk.carrier, [desk.consumer.seat.queue, sets_queue(session, name)])
        desk.audit.note("submissions closed", session)
    if json:
        print_json({"session": session, "party": name, "closed": True})
    else:
        print(f"{name}: closed {session}; its queues are deleted and its shares erased")
