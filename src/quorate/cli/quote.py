"""quorate quote: what a session will cost, and how long it will take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.approved import Rows, open_spec
from quorate.cli.common import Home, Json, SpecFile, print_json
from quorate.cli.conditions import Bandwidth, Measured, OneMachine, Rtt, conditions
from quorate.coordination.captions import box_title, dealer_warning, duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from quorate.coordination.breakdown import OperationCost
    from quorate.coordination.quote import Quote
    from quorate.coordination.spec import Spec
    from quorate.lang.plan import Plan

__all__ = ["quote"]

NOTE = (
    "Rounds, messages, bytes and correlated randomness are exact: the real program was run on arrays without content. "
    "They count message bodies; framing and TLS add about 50 bytes per message (28 of header, 22 per TLS record of up "
    "to 16 KiB) and some kilobytes per connection for the handshake. Times and memory are predictions: the same "
    "messages were replayed on a model of the network and of the machines, from the moment that all are connected."
)
_MOST_SHOWN = 8


def quote(
    spec: SpecFile,
    rows: Rows = None,
    rtt: Rtt = None,
    bandwidth: Bandwidth = None,
    measured: Measured = None,
    one_machine: OneMachine = False,
    stocked: Annotated[
        bool, typer.Option("--stocked", help="Count as if all correlated randomness were in stock at the parties.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Say what a session costs every participant and how long it takes, before anybody runs it.

    Rounds and bytes are exact. Times are predicted for the network that the spec states, or for that of --rtt and
    --bandwidth, or of --measured.
    """
    from dataclasses import replace

    from quorate.coordination.breakdown import breakdown
    from quorate.coordination.quote import quote as price

    opened = open_spec(spec, rows)
    links, machine = conditions(opened.spec, rtt, bandwidth, measured, one_machine)
    made = price(opened.spec, opened.plan, opened.rows, links, machine, stocked=stocked)
    stock = _in_stock(opened.spec, home or spec.parent / "state", made.tuples)
    operations, openings = breakdown(opened.spec, opened.plan, opened.rows, links, replace(machine, cores=None))
    if json:
        choice = None if opened.choice is None else opened.choice.as_dict()
        costs = [part.as_dict() for part in [*operations, *openings.values()]]
        print_json({**made.as_dict(), "in_stock": stock, "operations": costs, "choice": choice, "note": NOTE})
        return
    for line in opened.remarks:
        print(line)
    _show(made, stock, _largest(opened.plan, operations, list(openings.values())))


def _show(made: Quote, stock: Mapping[str, Mapping[str, int]], largest: Table) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    counts = ", ".join(f"{name} {count:,}" for name, count in made.rows.items())
    console.print(f"{made.spec}: {made.protocol}, {made.adversary}, threshold {made.threshold}; rows: {counts}")
    if made.dealer is not None:
        console.print(f"[bold red]TRUSTED DEALER: {made.dealer}[/bold red]. {dealer_warning(made.dealer)}")
    console.print(_participants(made))
    _time(console, made)
    console.print(_tuples(made, stock))
    console.print(largest)
    console.print(NOTE)


def _participants(made: Quote) -> Table:
    from rich.table import Table

    table = Table()
    for heading in ("participant", "role"):
        table.add_column(heading, overflow="fold")
    for heading in ("rounds", "messages", "bytes sent", "time", "busy", "memory"):
        table.add_column(heading, justify="right", overflow="fold")
    for cost in made.participants:
        numbers = [f"{number:,}" for number in (cost.rounds, cost.messages, cost.bytes_sent)]
        times = [duration(cost.seconds), duration(cost.busy_seconds), f"{cost.memory_mb:,} MiB"]
        table.add_row(cost.name, cost.role, *numbers, *times)
    messages = sum(cost.messages for cost in made.participants)
    table.add_section()
    table.add_row(
        "all", "", f"{made.rounds:,}", f"{messages:,}", f"{made.bytes_sent:,}", duration(made.seconds), "", ""
    )
    return table


def _time(console: Console, made: Quote) -> None:
    apart = made.network
    which = "the measured network" if apart["measured"] else f"{apart['rtt']} round trip, {apart['bandwidth']}/s each"
    console.print(
        f"[bold]{duration(made.seconds)}[/bold] on {which}: {duration(made.latency_seconds)} waiting for messages on "
        f"their way, {duration(made.transfer_seconds)} for bytes to pass, {duration(made.computing_seconds)} computing "
        f"(machines: {made.machine} figures)"
    )


def _in_stock(spec: Spec, home: Path, kinds: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """What the stocks below `home` have of these kinds, by party; only parties whose stock lies on this machine."""
    from quorate.node.tuples import Group, Shelf

    if spec.dealer is not None:
        return {}
    group = Group(parties=spec.parties, protocol=spec.protocol.name, threshold=spec.threshold, security=spec.security)
    shelves = {party: Shelf(home, party, group) for party in spec.parties}
    return {
        party: {kind: shelf.look().left(kind) for kind in kinds} for party, shelf in shelves.items() if shelf.exists()
    }


def _tuples(made: Quote, stock: Mapping[str, Mapping[str, int]]) -> str:
    if made.dealer is None and not made.tuples:
        return f"correlated randomness: none; {made.protocol} needs no dealer"
    used = ", ".join(f"{count:,} {kind}" for kind, count in made.tuples.items()) or "none"
    if made.dealer is not None:
        return f"correlated randomness from {made.dealer}: {used}"
    when = "all from stock" if made.stocked else "made during the session, which is counted here"
    lines = [f"correlated randomness of the parties themselves: {used}; {when}"]
    for party, kinds in stock.items():
        lines.append(f"in stock at {party}: " + ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()))
    return "\n".join(lines)


def _largest(plan: Plan, operations: Sequence[OperationCost], openings: Sequence[OperationCost]) -> Table:
    """The operations that take longest, those that are alike in one line if there are many."""
    from rich.markup import escape
    from rich.table import Table

    from quorate.coordination.outline import outline

    table = Table(title="where the time goes: operations by themselves", title_justify="left", box=None, pad_edge=False)
    table.add_column("operation", overflow="fold")
    table.add_column("source", overflow="fold")
    for heading in ("rounds", "bytes", "time"):
        table.add_column(heading, justify="right", overflow="fold")
    rows = [
        (box_title(box), box.where, box.rounds, box.bytes_sent, box.seconds)
        for box in outline(plan, operations).boxes
        if box.seconds
    ]
    if openings:
        rounds, together = max(part.rounds for part in openings), sum(part.bulk_seconds for part in openings)
        seconds = max(part.seconds - part.bulk_seconds for part in openings) + together
        rows.append(("opening the results", "", rounds, sum(part.bytes_sent for part in openings), seconds))
    for title, where, rounds, size, seconds in sorted(rows, key=lambda row: -row[4])[:_MOST_SHOWN]:
        table.add_row(escape(title), escape(where), f"{rounds:,}", f"{size:,}", duration(seconds))
    return table
