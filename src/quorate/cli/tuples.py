"""quorate tuples: what is in stock of correlated randomness, who spent what, and filling up now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import Home, Json, Meter, StocksFile, print_json, stocks_beside
from quorate.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.coordination.federation import Federation
    from quorate.coordination.stocks import GroupStock
    from quorate.node.inventory import Inventory

__all__ = ["tuples"]

_SHOWN = 10


def tuples(
    federation: Annotated[Path, typer.Argument(metavar="FEDERATION", help="The federation file.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="The member whose stocks these are.")],
    home: Home = None,
    stocks: StocksFile = None,
    produce: Annotated[
        int | None,
        typer.Option(metavar="N", help="Make N tuples of each kind now, with the other parties; as first party."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Only this kind, for --produce; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the stocks of tuples at this node: what is left, how fast they are made, and which session spent what.

    Stocks fill by themselves while nodes are idle. With --produce, tuples are made now; all nodes have to run.
    """
    from quorate.coordination.federation import load_federation
    from quorate.node.results import default_home

    loaded = load_federation(federation)
    loaded.member(name)
    kept = stocks_beside(federation, stocks, loaded)
    if produce is not None:
        _produce(loaded, name, kept.groups, produce, kind, quiet=json)
    found = _inventories(home or default_home(federation), name, kept.groups, kept.fence)
    if json:
        print_json({"member": name, "groups": [each.as_dict() for each in found]})
        return
    for each in found:
        _show(each)
    if not found:
        print(f"{name} has no stock of tuples; say in stocks.yaml beside {federation} what to make ahead of sessions")


def _inventories(home: Path, name: str, groups: Sequence[GroupStock], fence: str | None) -> list[Inventory]:
    """Configured stocks first, then what else there is."""
    from quorate.node.inventory import inventory
    from quorate.node.producing import group_of, shelf_of
    from quorate.node.tuples import shelves

    ours = [group for group in groups if name in group.parties]
    found = [inventory(shelf_of(group, home, name, fence), group.kinds) for group in ours]
    known = [group_of(group) for group in ours]
    others = shelves(home, name, None if fence is None else Path(fence))
    return found + [inventory(shelf) for shelf in others if shelf.group not in known]


def _produce(
    federation: Federation,
    name: str,
    groups: Sequence[GroupStock],
    amount: int,
    kinds: Sequence[str] | None,
    *,
    quiet: bool,
) -> None:
    """Make tuples for every stock whose first party we are, in as many sessions as it takes."""
    from quorate.node.identity import Identity
    from quorate.node.producing import batches, produce

    mine = [group for group in groups if group.parties[0] == name]
    if not mine:
        raise UserError(f"{name} is the first party of no group in stocks.yaml; that member starts production")
    if amount < 1:
        raise UserError(f"--produce {amount}: make at least one")
    if kinds and (unknown := set(kinds) - {kind for group in mine for kind in group.kinds}):
        raise UserError(f"--kind {sorted(unknown)[0]}: no group in stocks.yaml has this kind")
    identity = Identity(federation, name)
    with Meter(quiet=quiet) as meter:
        for group in mine:
            wanted = {kind: amount for kind in group.kinds if not kinds or kind in kinds}
            while made := batches(wanted, group.chunk):
                meter.say(
                    f"making {sum(wanted.values()):,} tuples for {group.protocol} with {', '.join(group.parties)}"
                )
                produce(identity, group, made, meter.progress, now=True)
                for kind, count in made:
                    wanted[kind] -= count


def _show(found: Inventory) -> None:
    from rich.console import Console
    from rich.table import Table

    group = found.group
    console = Console(highlight=False)
    table = Table(
        title=f"{group.protocol} with {', '.join(group.parties)}, threshold {group.threshold}, {group.security} bits",
        title_justify="left",
    )
    table.add_column("kind", overflow="fold")
    for heading in ("in stock", "wanted", "made per second", "spent"):
        table.add_column(heading, justify="right", overflow="fold")
    for kind, stock in found.kinds.items():
        wanted = "" if stock.wanted is None else f"{stock.wanted:,}"
        rate = "" if stock.per_second is None else f"{stock.per_second:,.0f}"
        table.add_row(kind, f"{stock.left:,}", wanted, rate, f"{stock.spent:,}")
    console.print(table)
    for item in found.sessions[-_SHOWN:]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(item.time))
        console.print(
            f"{when}  session {item.session} took {item.stop - item.start:,} {item.kind} from {item.start:,} on"
        )
