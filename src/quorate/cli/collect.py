"""quorate collect: a party takes the shares that outside producers left for it, and makes an input of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.collecting import Desk, InputName, Name, Session, at_desk
from quorate.cli.common import FederationFile, Home, Json, Meter, SpecFile, print_json
from quorate.errors import BrokerFault, PeerTimeout, UserError

if TYPE_CHECKING:
    from quorate.durable.consumer import Tally
    from quorate.durable.cut import Agreed, Cut

__all__ = ["collect"]

collect = typer.Typer(
    help="Take shares that outside producers submit to a stored input of a spec, and compute on them later.",
    no_args_is_help=True,
)


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

    with at_desk(spec, federation, name, session, home, input_name) as desk:
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
    with at_desk(spec, federation, name, session, home, input_name) as desk:
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


def _tallies(desk: Desk, seconds: float) -> Iterator[Tally]:
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
    leave_out: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A producer, or ID of a submission, to leave out; the same at all parties."),
    ] = None,
    json: Json = False,
) -> None:
    """Agree with the other parties on what all of you hold, and keep your share of it as the stored input.

    What you state here is final for this input: submissions that come later are not part of it. What was stated can be
    left out, by all parties alike; they may freeze again for that. More rows than the input may have are refused.
    """
    from quorate.node.submissions import check_agreed, keep
    from quorate.node.vault import Vault

    with at_desk(spec, federation, name, session, home, input_name) as desk, Meter(quiet=json) as meter:
        stored = str(desk.item.stored)
        agreed = _agreement(desk, leave_out or [], timeout, meter)
        check_agreed(agreed, desk.item)
        rows = keep(Vault(desk.home, name), desk.consumer, agreed, stored)
        note = f"{len(agreed.entries)} of {agreed.origin}, {len(agreed.left_out)} left out"
        desk.audit.note("submissions agreed", session, message=stored, note=note)
    if json:
        facts = {"rows": rows, "submissions": len(agreed.entries), "partial": agreed.partial}
        left_out = [entry.submission.hex() for entry in agreed.left_out]
        print_json(
            {"kept": stored, "origin": agreed.origin, **facts, "disputed": agreed.disputed, "left_out": left_out}
        )
        return
    print(f"{name}: kept {rows} rows of {len(agreed.entries)} submissions as {stored!r} (set {agreed.origin[:16]})")
    if agreed.partial:
        print(f"{name}: {agreed.partial} submissions are not complete at all parties and left out")
    if agreed.disputed:
        print(f"{name}: left out what parties got differently from {', '.join(agreed.disputed)}; ask these producers")
    for entry in agreed.left_out:
        print(f"{name}: left out, as you asked, {entry.submission.hex()} of {entry.producer}, {entry.rows} rows")


def _agreement(desk: Desk, leave_out: list[str], timeout: float, meter: Meter) -> Agreed:
    """What the parties agree on. Raises `PeerTimeout` if one of them does not speak."""
    from quorate.durable.cut import Cut
    from quorate.node.submissions import certificates_of

    seat = desk.consumer.seat
    certificates = certificates_of(desk.identity, seat.layout)
    cut = Cut(desk.consumer, str(desk.item.stored), desk.identity.signer, certificates)
    _exchange(desk, cut, timeout, meter)
    agreed = cut.agreed(leave_out)
    if agreed is None:
        raise PeerTimeout(
            f"{', '.join(cut.missing)} did not state in {timeout:g} s what it holds of {seat.session}; nothing is "
            "lost: have it run 'quorate collect freeze', and run it here again"
        )
    return agreed


def _exchange(desk: Desk, cut: Cut, timeout: float, meter: Meter) -> None:
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


def _told(desk: Desk, cut: Cut, party: str, meter: Meter) -> bool:
    """Whether `party` could be told what we hold."""
    from quorate.node.routes import inbox_of, opener

    try:
        carrier = opener(desk.identity, inbox_of(desk.identity.federation.member(party)))()
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

    with at_desk(spec, federation, name, session, home, input_name) as desk:
        tear_down(desk.consumer, desk.carrier, [desk.consumer.seat.queue, sets_queue(session, name)])
        desk.audit.note("submissions closed", session)
    if json:
        print_json({"session": session, "party": name, "closed": True})
    else:
        print(f"{name}: closed {session}; its queues are deleted and its shares erased")


@collect.command("pass-on")
def pass_on(
    spec: SpecFile,
    name: Name,
    session: Session,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="The recipient who is to learn the values.")],
    keys: Annotated[Path, typer.Option(metavar="FILE", help="The key ring that the recipient has made for you.")],
    federation: FederationFile = None,
    input_name: InputName = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Pass on your shares of all complete submissions to a recipient, who opens them with enough others.

    Only for values that the recipient may know, one by one. For statistics, freeze them and run a computation.
    """
    from quorate.durable.opening import Relay
    from quorate.durable.submission import KeyRing
    from quorate.node.routes import inbox_of, opener

    with at_desk(spec, federation, name, session, home, input_name) as desk:
        carrier = opener(desk.identity, inbox_of(desk.identity.federation.member(to)))()
        try:
            passed = Relay(desk.consumer, KeyRing.load(keys), to).pass_on(carrier)
        finally:
            carrier.close()
        desk.audit.note("shares passed on", session, direction="out", peer=to, note=f"{passed} submissions")
    if json:
        print_json({"party": name, "recipient": to, "submissions": passed})
    else:
        print(f"{name}: passed on the shares of {passed} submissions to {to}")


@collect.command("open")
def open_values(
    spec: SpecFile,
    name: Name,
    session: Session,
    expect: Annotated[int, typer.Option(metavar="N", help="How many submissions there are.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the table, as CSV.")],
    budget: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up after this time; by default the spec's round.")
    ] = None,
    federation: FederationFile = None,
    input_name: InputName = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Open submitted values as their recipient, when more than the threshold of the parties passed on their shares.

    When the budget ends before, the session is torn down, and the message says whose shares were missing.
    """
    from quorate.durable.opening import Opening
    from quorate.files import write_atomic
    from quorate.node.submissions import as_csv

    with at_desk(spec, federation, name, session, home, input_name) as desk:
        if not desk.consumer.seat.opens:
            raise UserError(f"{name} is a party, and parties open nothing; act as the recipient")
        seconds = desk.spec.timeouts.round if budget is None else budget
        entries = Opening(desk.consumer, expect, seconds).run(desk.carrier)
        tables = {entry: desk.consumer.open(entry) for entry in entries}
        write_atomic(output, as_csv(desk.consumer.seat.layout, tables), 0o600)
        desk.audit.note("submissions opened", session, note=f"{len(entries)} submissions")
    rows = sum(len(table) for table in tables.values())
    if json:
        print_json({"submissions": len(entries), "rows": rows, "file": str(output)})
    else:
        print(f"{name}: opened {rows} rows of {len(entries)} submissions; they are in {output}")
