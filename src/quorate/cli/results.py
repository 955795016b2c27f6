"""quorate results: what was opened in a session of an approved computation, as its methods give it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.approved import Rows, parse_rows
from quorate.cli.common import Home, Json, Meter, SpecFile, print_json

if TYPE_CHECKING:
    from quorate.author.results import Finished
    from quorate.node.approval import Approved

__all__ = ["Shown", "finished_or_raw", "results"]


def results(
    spec: SpecFile,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="What 'quorate run --json' printed, or a file of a node's results; by default the newest in --home.",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page of HTML.")] = None,
    home: Home = None,
    rows: Rows = None,
    json: Json = False,
) -> None:
    """Show the results of a session with what follows from them: p-values, confidence limits, names of columns.

    This runs the author's Python code on this machine, as 'quorate compile' does. It needs the source that the plan was
    compiled from. --rows are those that were given to 'quorate compile'.
    """
    from quorate.author.results import read_results
    from quorate.cli.results_view import page, plain, show_results
    from quorate.files import write_atomic

    with _told_warnings(), Meter(quiet=json, wait=0.0) as meter:
        found = read_results(spec, file, home, parse_rows(rows or []), meter.progress)
    if html is not None:
        note = f"Session {found.session}, {found.protocol} of {', '.join(found.parties)}, plan {found.plan[:16]}"
        write_atomic(html, page(found.spec, found.values, note).encode())
    if json:
        print_json({"spec": found.spec, **found.as_dict(), "rows": found.rows, "finished": plain(found.values)})
        return
    show_results(found.values)


@dataclass(frozen=True)
class Shown:
    """Results to print: as they were opened and, where that was possible, finished; else a remark on why not."""

    raw: Mapping[str, Any]
    finished: Finished | None
    remark: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON: `results` as opened, `finished` or null."""
        from quorate.cli.results_view import plain

        return {"results": self.raw, "finished": None if self.finished is None else plain(self.finished.values)}

    def show(self) -> None:
        """Print them for people."""
        if self.finished is not None:
            from quorate.cli.results_view import show_results

            show_results(self.finished.values)
            return
        for name, value in self.raw.items():
            print(f"{name} = {value}")
        if self.remark:
            print(self.remark, file=sys.stderr)


def finished_or_raw(approved: Approved, session: str, values: Mapping[str, Any], rows: Mapping[str, int]) -> Shown:
    """The results of a session that has just ended; what cannot be finished stays as it was opened."""
    from quorate.node.results import as_json

    raw = as_json(values)
    if not any("." in name for name in values):  # nothing has parts that belong together
        return Shown(raw, None, "")
    from quorate.author.results import finished_at_once

    with _told_warnings():
        found = finished_at_once(approved.spec, approved.path, approved.plan, session, _scalars(values), rows)
    if not isinstance(found, str):
        return Shown(raw, found, "")
    how = f"'quorate results {approved.path} FILE' finishes them where the source is"
    return Shown(raw, None, f"these are parts of results ({found}); {how}")


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Single numbers as such, as in interactive sessions."""
    return {name: value if value.ndim else value[()] for name, value in values.items()}


@contextmanager
def _told_warnings() -> Iterator[None]:
    """Warnings of methods as lines on the standard error stream."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for one in dict.fromkeys(str(each.message) for each in caught):
        print(f"warning: {one}", file=sys.stderr)
