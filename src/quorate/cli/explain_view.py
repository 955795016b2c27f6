"""An explanation as tables and a tree for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

__all__ = ["show"]

_NOTE = (
    "Rounds and bytes (of all participants) are those of each operation alone; what does not wait for each other "
    "shares rounds. The error is the worst case, absolute; 'open': it depends on how small a divisor gets.\n"
)


def show(document: Mapping[str, Any]) -> None:
    """Print what `quorate explain --json` prints, for people."""
    console = Console(highlight=False)
    protocol = document["protocol"]
    console.print(f"[bold]{document['spec']}[/bold], {protocol['name']}, plan {document['plan_digest'][:16]}")
    console.print(f"{document['protection']}\n")
    console.print(_operations(document))
    opened = sum(cost["bytes_sent"] for cost in document["openings"].values())
    console.print(f"Opening the results costs {opened:,} bytes more. {_NOTE}")
    console.print(_learns(document))


def _operations(document: Mapping[str, Any]) -> Table:
    rows = ", ".join(f"{name} {count:,}" for name, count in document["rows"].items())
    table = Table(title=f"operations for rows: {rows}", title_justify="left", box=None, pad_edge=False)
    table.add_column("operation", overflow="fold")
    table.add_column("type and range", overflow="fold")
    for heading in ("error", "rounds", "bytes"):
        table.add_column(heading, justify="right", overflow="fold")
    for row in document["operations"]:
        table.add_row(*(escape(cell) for cell in _cells(row)))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    operands = ", ".join(f"%{operand}" for operand in row["operands"])
    output = f"\n  -> {row['output']}" if row["output"] else ""
    low, high = (f"{end:.4g}" for end in row["range"])
    error = "open" if row["error"] is None else f"{row['error']:.2g}" if row["error"] else ""
    return [
        f"%{row['index']} {row['kind']} {operands}{output}",
        f"{row['bound_type'].removeprefix('secret ')}\n  {low if low == high else f'{low} .. {high}'}",
        error,
        f"{row['rounds']}" if row["rounds"] else "",
        f"{row['bytes_sent']:,}" if row["bytes_sent"] else "",
    ]


def _learns(document: Mapping[str, Any]) -> Tree:
    tree = Tree("[bold]who learns what[/bold]")
    for name, part in document["learns"].items():
        branch = tree.add(f"{name} ({part['role']})")
        if part["knows"]:
            branch.add(f"brings {', '.join(part['knows'])}")
        learnt = [f"{output} {type_.partition(' ')[2]}" for output, type_ in part["results"].items()]
        branch.add(escape(f"learns {', '.join(learnt) or 'no result'}"))
        if part["keeps_shares_of"]:
            branch.add(escape(f"keeps shares of {', '.join(part['keeps_shares_of'])}"))
    first = next(iter(document["learns"].values()))
    tree.add(f"everybody: {first['public'].partition(';')[0]}; parties also see sizes and times of messages")
    tree.add("; ".join(document["opened_inside"]) or "nothing else is opened to anybody")
    return tree
