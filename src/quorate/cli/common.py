"""What several commands share: options, opening a federation and a spec, and the form of their output."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from quorate.coordination.federation import Federation
    from quorate.coordination.stocks import Stocks
    from quorate.node.approval import Approved
    from quorate.node.messages import Report

__all__ = [
    "AsMember",
    "DataFiles",
    "FederationFile",
    "Home",
    "Json",
    "Meter",
    "SpecFile",
    "Specs",
    "StocksFile",
    "coordinator_of",
    "federation_beside",
    "log_level",
    "print_json",
    "print_outcome",
    "stocks_beside",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
AsMember = Annotated[str | None, typer.Option("--as", metavar="NAME", help="The member to act as.")]
DataFiles = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="INPUT=PATH", help="File of an input of yours, or a source document; repeatable."),
]
SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="The spec file, protocol_spec.yaml.")]
FederationFile = Annotated[
    Path | None, typer.Option("--federation", metavar="FILE", help="By default federation.yaml beside the spec.")
]
Specs = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the specs and plans that you approve; by default that of FEDERATION."),
]
Home = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for results, logs and kept shares; by default 'state' beside FEDERATION."),
]

StocksFile = Annotated[
    Path | None,
    typer.Option(
        "--stocks", metavar="FILE", help="What to make ahead of sessions; by default stocks.yaml beside FEDERATION."
    ),
]


def stocks_beside(file: Path, given: Path | None, federation: Federation) -> Stocks:
    """The stocks of `--stocks`, or of stocks.yaml beside the federation file; none if there is no such file."""
    from quorate.coordination.stocks import Stocks, load_stocks

    path = given or file.parent / "stocks.yaml"
    return Stocks() if given is None and not path.exists() else load_stocks(path, federation)


def log_level() -> int:
    """DEBUG with --debug, else INFO."""
    return logging.DEBUG if "--debug" in sys.argv else logging.INFO


def federation_beside(spec: Path, given: Path | None) -> Federation:
    """The federation of `--federation`, or federation.yaml beside the spec."""
    from quorate.coordination.federation import load_federation

    path = given or spec.parent / "federation.yaml"
    if given is None and not path.exists():
        raise UserError(f"there is no federation.yaml beside {spec}; name the federation file with --federation FILE")
    return load_federation(path)


def coordinator_of(federation: Federation) -> str:
    """The only member with role coordinator. Raises `UserError` if there is none, or more than one."""
    names = [member.name for member in federation.members if member.has("coordinator")]
    if len(names) != 1:
        found = ", ".join(names) or "nobody"
        raise UserError(f"say who you are with --as NAME: the role coordinator has {found} in {federation.name!r}")
    return names[0]


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on the standard output, at once: whoever started us may wait for it."""
    print(json.dumps(document, indent=2, default=_builtin), flush=True)


def _builtin(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def print_outcome(
    approved: Approved,
    session: str,
    values: Mapping[str, npt.NDArray[np.generic]],
    reports: Mapping[str, Report],
    *,
    as_json: bool,
    keep: Path | None = None,
) -> None:
    """Print results, finished where the source is at hand and was compiled here, and what participants measured.

    They also go into the file `keep`, for `quorate results`.
    """
    from quorate.cli.results import finished_or_raw
    from quorate.coordination.program import Outcome
    from quorate.node.results import write_results

    rows = next((report.rows for report in reports.values()), {})
    if keep is not None:
        write_results(keep, approved, session, Outcome(dict(values), {}, dict(rows), {}))
    shown = finished_or_raw(approved, session, values, rows)
    if as_json:
        run = {"spec": approved.spec.name, "plan": approved.plan.digest, "session": session, "rows": rows}
        print_json({**run, **shown.as_dict(), "participants": dict(reports)})
        return
    shown.show()
    if keep is not None and values:
        print(f"results are kept in {keep}", file=sys.stderr)
    if not values:
        where = "results that are opened to a node's member are in the folder 'results' of that node's --home"
        print(f"{approved.spec.name}: done; {where}")
    width = max((len(name) for name in reports), default=0)
    for name, report in sorted(reports.items()):
        print(
            f"{name:<{width}}  {report.rounds} rounds, {report.bytes_sent} bytes sent, {report.seconds:.3f} s "
            f"({report.connect_seconds:.3f} s to connect), {report.peak_mb:.0f} MiB"
        )
    for finding in sorted({finding for report in reports.values() for finding in report.findings}):
        print(f"warning: {finding}", file=sys.stderr)


class Meter:
    """Progress on the standard error stream: a line per change of phase, a bar on a terminal. Use it in a `with`.

    Bars appear after `wait` seconds: short work needs none.
    """

    def __init__(self, *, quiet: bool, wait: float = 0.5) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._said = ""
        self._due = time.monotonic() + wait

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, sentence: str) -> None:
        """Print a sentence, unless it is the one that was printed last."""
        if not self._quiet and sentence != self._said:
            print(sentence, file=sys.stderr)
        self._said = sentence

    def progress(self, member: str, done: int, total: int) -> None:
        """Show that `member` has done so many operations."""
        if self._quiet or not sys.stderr.isatty() or time.monotonic() < self._due:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
        if member not in self._tasks:
            self._tasks[member] = self._bar.add_task(member, total=total)
        self._bar.update(self._tasks[member], completed=done, total=total)
