"""quorate dlq: messages that nobody could use: what they are, putting them back, deleting them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import Home, Json, print_json
from quorate.errors import UserError

if TYPE_CHECKING:
    from quorate.durable.audit import Audit
    from quorate.durable.dead_letters import Decision, Found, Rule
    from quorate.transport.carrier import Carrier, Queue

__all__ = ["dlq"]

dlq = typer.Typer(
    help="Dead letters: messages that nobody could use. Show them, put them back, or delete them.",
    no_args_is_help=True,
)

_Federation = Annotated[Path, typer.Argument(metavar="FEDERATION", help="The federation file.")]
_Name = Annotated[str, typer.Option("--as", metavar="NAME", help="The member whose dead letters these are.")]
_Sessions = Annotated[
    list[str] | None,
    typer.Option(
        "--session",
        metavar="ID",
        help="Only of this session; repeatable. By default all known at --home, and invitations.",
    ),
]
_Broker = Annotated[
    str | None, typer.Option(metavar="URL", help="The broker; by default the member's inbox in FEDERATION.")
]
_Idents = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Which ones, as 'list' names them.")]
_All = Annotated[bool, typer.Option("--all", help="All of them.")]
_Reason = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Only those whose reason begins so: expired, undeliverable, rejected."),
]


@dataclass(frozen=True)
class _Office:
    """The dead letters of one member at one broker."""

    member: str
    home: Path
    carrier: Carrier
    queues: list[Queue]
    audit: Audit

    def letters(self) -> list[Found]:
        from quorate.durable.dead_letters import found

        return found(self.carrier, self.queues)


@contextmanager
def _office(file: Path, name: str, home: Path | None, named: list[str] | None, broker: str | None) -> Iterator[_Office]:
    from quorate.coordination.federation import load_federation
    from quorate.durable.audit import Audit
    from quorate.durable.dead_letters import queues_of
    from quorate.node.identity import Identity
    from quorate.node.observer import audit_folder
    from quorate.node.results import default_home
    from quorate.node.routes import opener
    from quorate.node.submissions import sessions
    from quorate.transport.carrier import check_queue

    identity = Identity(load_federation(file), name)
    where = home or default_home(file)
    address = broker or identity.member.inbox
    if address is None:
        raise UserError(f"{name} has no inbox in {file}; name its broker with --broker URL")
    queues = [check_queue(queue) for queue in queues_of(name, named or sessions(where, name))]
    carrier = opener(identity, address)()
    audit = Audit(audit_folder(where, name))
    try:
        yield _Office(name, where, carrier, queues if not named else queues[:-1], audit)
    finally:
        audit.close()
        carrier.close()


@dlq.command("list")
def list_letters(
    federation: _Federation,
    name: _Name,
    session: _Sessions = None,
    broker: _Broker = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show dead letters: when each died, in which queue, why, and its size; never what is in it."""
    with _office(federation, name, home, session, broker) as office:
        rows = [_row(each) for each in office.letters()]
        known, folder = len({queue.session for queue in office.queues} - {"invitations"}), office.home
    if json:
        print_json({"member": name, "dead_letters": rows})
    elif not rows:
        where = (
            f"in {known} sessions" if session else f"among its invitations and in {known} sessions known in {folder}"
        )
        print(f"{name} has no dead letters {where}; name others with --session ID")
    else:
        _table(rows)


@dlq.command()
def retry(
    federation: _Federation,
    name: _Name,
    ids: _Idents = None,
    everything: _All = False,
    reason: _Reason = None,
    session: _Sessions = None,
    broker: _Broker = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Put dead letters back into their queue: they are handed out once more, and checked as at the first time."""
    _act("retry", _chosen(ids, reason, everything=everything), (federation, name, home, session, broker), reason, json)


@dlq.command()
def drop(
    federation: _Federation,
    name: _Name,
    ids: _Idents = None,
    everything: _All = False,
    reason: _Reason = None,
    session: _Sessions = None,
    broker: _Broker = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Delete dead letters, for good."""
    _act("drop", _chosen(ids, reason, everything=everything), (federation, name, home, session, broker), reason, json)


@dlq.command()
def reconcile(
    federation: _Federation,
    name: _Name,
    session: _Sessions = None,
    broker: _Broker = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Deal with dead letters by rule: put back what is still wanted, delete what was taken already, keep the rest."""
    from quorate.durable import dead_letters

    counts: Counter[Decision] = Counter()
    with _office(federation, name, home, session, broker) as office:
        for queue in office.queues:
            counts += dead_letters.reconcile(office.carrier, queue, _rule(office, queue), office.audit)
    _say(name, {"retried": counts["retry"], "dropped": counts["drop"], "kept": counts["keep"]}, json)


def _rule(office: _Office, queue: Queue) -> Rule:
    from quorate.durable import dead_letters
    from quorate.node.submissions import opened, standing

    box, _, _ = queue.box.partition(".")
    if box == "shares":
        return dead_letters.rule_for(opened(office.home, office.member, queue.session))
    if box == "rounds":
        return dead_letters.rule_for_rounds(standing(office.home, office.member, queue.session))
    return dead_letters.rule_for_statements


def _chosen(ids: list[str] | None, reason: str | None, *, everything: bool) -> list[str]:
    if (bool(ids), everything, reason is not None).count(True) != 1:
        raise UserError("say which: name dead letters by their ID, or choose with --reason TEXT or --all")
    return ids or []


def _act(
    decision: Decision,
    ids: list[str],
    where: tuple[Path, str, Path | None, list[str] | None, str | None],
    reason: str | None,
    as_json: bool,
) -> None:
    from quorate.durable.dead_letters import AT_ONCE, apply, select

    count, seen = 0, ids
    with _office(*where) as office:
        while chosen := select(office.letters(), ids, reason):
            apply(office.carrier, chosen, decision, office.audit, "by hand")
            count += len(chosen)
            seen = [each for each in seen if each not in {letter.parcel.ident for _, letter in chosen}]
            if ids or len(chosen) < AT_ONCE:  # what comes back meanwhile is for the next time
                break
    if seen:
        raise UserError(f"there is no dead letter {seen[0]!r}; see 'quorate dlq list'")
    _say(where[1], {"retried" if decision == "retry" else "dropped": count}, as_json)


def _say(name: str, counts: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json({"member": name, **counts})
    else:
        print(f"{name}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))


def _row(each: Found) -> dict[str, object]:
    queue, letter = each
    return {
        "session": queue.session,
        "box": queue.box,
        "id": letter.parcel.ident,
        "reason": letter.reason,
        "since": letter.since,
        "age_seconds": round(max(0.0, time.time() - letter.since), 1),
        "bytes": len(letter.parcel.body),
    }


def _table(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for heading, right in (("id", False), ("queue", False), ("age", True), ("bytes", True), ("reason", False)):
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        queue, age = f"{row['session']} {row['box']}", f"{row['age_seconds']} s"
        table.add_row(*(escape(_shown(cell)) for cell in (row["id"], queue, age, row["bytes"], row["reason"])))
    Console(highlight=False).print(table)


def _shown(cell: object) -> str:
    """As text without control characters: IDs are foreign, and must not steer a terminal."""
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in str(cell))
