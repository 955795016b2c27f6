"""What the planner's passes did: as a table, as data, and as the plan before and after each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from quorate.files import ensure_folder, write_atomic
from quorate.lang.passes import PASSES, Applied

__all__ = ["passes_data", "show_passes", "write_passes"]

_NOTE = (
    "Rounds are those of the longest chain, without the openings of results; bytes are those of all participants. "
    "Both are for the most rows that the spec allows."
)


def passes_data(passes: Sequence[Applied]) -> list[dict[str, Any]]:
    """For JSON: every pass with operations, rounds and bytes before and after, each a pair; None where not counted."""
    described = []
    for applied in passes:
        figures = applied.figures
        described.append(
            {
                "name": applied.name,
                "operations": [len(applied.before.operations), len(applied.after.operations)],
                "rounds": None if figures is None else [one.rounds for one in figures],
                "bytes_sent": None if figures is None else [one.bytes_sent for one in figures],
                "refused": applied.refused or None,
            }
        )
    return described


def show_passes(passes: Sequence[Applied]) -> None:
    """Print a table of the passes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("pass", no_wrap=True)
    for name in ("operations", "rounds", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what it did")
    summaries = {one.name: one.summary for one in PASSES}
    for applied, row in zip(passes, passes_data(passes), strict=True):
        did = f"not taken: {row['refused']}" if row["refused"] else summaries[applied.name]
        if applied.after is applied.before and not row["refused"]:
            did = ""
        table.add_row(applied.name, *(_change(row[key]) for key in ("operations", "rounds", "bytes_sent")), did)
    console = Console(highlight=False)
    console.print(table)
    if any(applied.figures is not None for applied in passes):
        console.print(_NOTE)


def _change(pair: Sequence[int] | None) -> str:
    if pair is None:
        return ""
    before, after = pair
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"


def write_passes(passes: Sequence[Applied], folder: Path) -> None:
    """Write the plan before and after every pass that changed it, as text: NUMBER-NAME.before.txt and .after.txt.

    Raises:
        EnvironmentFault: the disk is full, or this machine refuses the write.
    """
    ensure_folder(folder)
    for number, applied in enumerate(passes, 1):
        if applied.after is not applied.before:
            for side, plan in (("before", applied.before), ("after", applied.after)):
                write_atomic(folder / f"{number:02}-{applied.name}.{side}.txt", f"{plan.dump()}\n".encode())
