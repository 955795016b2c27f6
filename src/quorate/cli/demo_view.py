"""The demo's result as tables and a picture for the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

__all__ = ["show"]

_WIDTH = 40
_PREFIX = "mean_cost_"


def show(document: Mapping[str, Any]) -> None:
    """Print the document that `quorate demo --json` prints, for people."""
    console = Console(highlight=False)
    console.print(_results(document))
    console.print(_chart(document["result"]), soft_wrap=True)
    console.print(_participants(document))
    console.print(_summary(document))


def _results(document: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"{sum(document['rows'].values())} patients of three hospitals, euros",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("what", no_wrap=True)
    for heading in ("computed on shares", "plaintext truth", "difference", "stated precision"):
        table.add_column(heading, justify="right", overflow="fold")
    for name, value in document["result"].items():
        numbers = (value, document["expected"][name])
        shown = [f"{number:,.4f}" if isinstance(number, float) else f"{number:,}" for number in numbers]
        table.add_row(name, *shown, f"{document['difference'][name]:.6f}", f"{document['precision'][name]:.6f}")
    return table


def _chart(result: Mapping[str, Any]) -> str:
    """A bar per diagnosis, longest first."""
    means = {name.removeprefix(_PREFIX): value for name, value in result.items() if name.startswith(_PREFIX)}
    ordered = sorted(means.items(), key=lambda item: -item[1])
    largest, block = max(means.values()), _block()
    bars = (f"  {name:<13}{block * max(1, round(_WIDTH * mean / largest))} {mean:,.0f}" for name, mean in ordered)
    return "\nmean cost per diagnosis\n" + "\n".join(bars) + "\n"


def _block() -> str:
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"


def _participants(document: Mapping[str, Any]) -> Table:
    table = Table(title="what each participant sent and saw", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("who", no_wrap=True)
    for heading in ("rounds", "bytes sent", "seconds"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("saw", overflow="fold")
    for name, part in document["participants"].items():
        table.add_row(name, f"{part['rounds']}", f"{part['bytes_sent']:,}", f"{part['seconds']:.2f}", part["saw"])
    return table


def _summary(document: Mapping[str, Any]) -> str:
    protocol = document["protocol"]
    verdict = "every result is within the stated precision" if document["ok"] else "A RESULT IS OUT OF BOUNDS"
    most = protocol["threshold"]
    who = "any 1 party alone learns nothing" if most == 1 else f"any {most} parties together learn nothing"
    return (
        f"{protocol['name']} ({protocol['adversary']}, {who}): "
        f"{document['rounds']} rounds, {document['bytes_sent']:,} bytes, {document['seconds']:.2f} s for the session, "
        f"{document['total_seconds']:.2f} s in all; {verdict}"
    )
