"""quorate quote: what a session will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.cli.approved import Rows, open_spec, parse_rows
from quorate.cli.common import Json, SpecFile, print_json

if TYPE_CHECKING:
    from quorate.coordination.quote import Quote

__all__ = ["quote"]

NOTE = (
    "Rounds and bytes are exact: the real program was run on arrays without content. They count message bodies; "
    "framing and TLS add about 50 bytes per message (28 of header, 22 per TLS record of up to 16 KiB) and some "
    "kilobytes per connection for the handshake."
)


def quote(spec: SpecFile, rows: Rows = None, json: Json = False) -> None:
    """Say exactly how many rounds and bytes a session costs every participant, before anybody runs it."""
    from quorate.coordination.quote import assumed_rows
    from quorate.coordination.quote import quote as price

    loaded, plan = open_spec(spec)
    made = price(loaded, plan, assumed_rows(loaded, parse_rows(rows or [])))
    if json:
        print_json({**made.as_dict(), "note": NOTE})
    else:
        _show(made)


def _show(made: Quote) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    counts = ", ".join(f"{name} {count:,}" for name, count in made.rows.items())
    console.print(f"{made.spec}: {made.protocol}, {made.adversary}, threshold {made.threshold}; rows: {counts}")
    if made.dealer is not None:
        console.print(f"[bold red]TRUSTED DEALER: {made.dealer}[/bold red]. {dealer_warning(made.dealer)}")
    table = Table()
    for heading in ("participant", "role"):
        table.add_column(heading, overflow="fold")
    for heading in ("rounds", "messages", "bytes sent"):
        table.add_column(heading, justify="right", overflow="fold")
    for cost in made.participants:
        numbers = [f"{number:,}" for number in (cost.rounds, cost.messages, cost.bytes_sent)]
        table.add_row(cost.name, cost.role, *numbers)
    messages = sum(cost.messages for cost in made.participants)
    table.add_section()
    table.add_row("all", "", f"{made.rounds:,}", f"{messages:,}", f"{made.bytes_sent:,}")
    console.print(table)
    console.print(NOTE)


def dealer_warning(dealer: str) -> str:
    """What it means that a protocol has a trusted dealer."""
    return (
        f"{dealer} deals the correlated randomness and gets no shares, but knows all of it: together with the messages "
        "that any ONE party sees it could work out all inputs. Choose a dealer that colludes with no party, or a "
        "protocol that needs none (rep3, shamir)."
    )
