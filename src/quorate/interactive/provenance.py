"""Where results come from: the runs that opened them, with session, plan, parties and cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from quorate.coordination.captions import counted
from quorate.html import bytes_text, facts, panel, table

if TYPE_CHECKING:
    from quorate.interactive.backend import Run

__all__ = ["KEY", "Described", "Receipt", "stamp", "told"]

KEY = "quorate"
"""Under this name provenance stands in `DataFrame.attrs`, and as JSON in the metadata of Arrow schemas."""

Opened = TypeVar("Opened")


class Described:
    """What every run can tell of itself; never its values."""

    def as_dict(self) -> dict[str, Any]:
        """Session, plan, protocol, parties, cost, time and software as plain data for JSON."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "values"}  # type: ignore[arg-type]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    def to_json(self) -> str:
        """`as_dict` as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        said = self.as_dict()
        cost = f"{counted(said['rounds'], 'round')}, {bytes_text(said['bytes_sent'])} sent, {said['seconds']:.3g} s"
        return f"<run {said['session'][:8]} with {said['protocol']}: {cost}>"

    def _repr_html_(self) -> str:
        said = self.as_dict()
        by_party = zip(said["parties"], said["bytes_by_party"], strict=False)
        return panel(
            f"Run {said['session'][:8]}, {said['protocol']}",
            facts(
                {
                    "rounds": said["rounds"],
                    "bytes sent": bytes_text(said["bytes_sent"]),
                    "seconds": round(said["seconds"], 3),
                    "finished": said["finished"],
                    "session": said["session"],
                    "plan": said["plan"],
                    "software": f"quorate {said['software']}",
                }
            ),
            table(["party", "bytes sent"], [[name, count] for name, count in by_party]),
        )


class Receipt(dict[str, Any]):
    """All runs of an interactive session as plain data; what `net.receipt()` gives."""

    def to_json(self, file: Path | str | None = None) -> str:
        """The receipt as JSON, also written into `file`."""
        written = json.dumps(self, indent=2)
        if file is not None:
            Path(file).write_text(f"{written}\n", encoding="utf-8")
        return written

    def __repr__(self) -> str:
        runs = self["runs"]
        sent = bytes_text(sum(run["bytes_sent"] for run in runs))
        return f"<receipt of {counted(len(runs), 'run')} with {self['protocol']}, {sent} sent; to_json() has them all>"

    def _repr_html_(self) -> str:
        runs = self["runs"]
        rows = [
            [run["finished"], run["session"][:8], run["plan"][:8], run["rounds"], run["bytes_sent"], run["seconds"]]
            for run in runs
        ]
        return panel(
            f"{counted(len(runs), 'run')}, {self['protocol']} of {', '.join(self['parties'])}",
            table(["finished", "session", "plan", "rounds", "bytes", "seconds"], rows),
            note=f"In all {bytes_text(sum(run['bytes_sent'] for run in runs))}. Sessions and plans in full: to_json().",
        )


def told(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Runs as plain data, each once."""
    return list({run.session: run.as_dict() for run in runs}.values())


def stamp(value: Opened, runs: Sequence[Run]) -> Opened:
    """Note on an opened result from which runs it comes, where it has a place for that.

    A data frame takes it in `attrs["quorate"]`, opened results of a method in `provenance`; both are lists with one
    dictionary per run. Numbers and arrays have no such place; see `Net.frame` and `Net.receipt`.
    """
    noted = told(runs)
    for one in value if isinstance(value, tuple) else value.values() if isinstance(value, Mapping) else ():
        _note(one, noted)
    _note(value, noted)
    return value


def _note(value: Any, runs: list[dict[str, Any]]) -> None:
    if isinstance(getattr(value, "attrs", None), dict):
        value.attrs[KEY] = runs
    elif hasattr(value, "provenance"):
        value.provenance = runs
