"""The rehearsal of a computation: made-up data, real nodes, and what was measured beside what was quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quorate.cli.approved import parse_rows
from quorate.cli.common import Meter, print_json
from quorate.coordination.captions import duration

if TYPE_CHECKING:
    from pathlib import Path

    from quorate.coordination.federation import Federation
    from quorate.coordination.quote import ParticipantCost, Quote
    from quorate.node.approval import Approved
    from quorate.node.messages import Report

__all__ = ["Rehearsal", "print_part"]

NOTE = (
    "REHEARSAL: all data was made up from the declared types and ranges. No file of data was read; what came out was "
    "dropped, and nothing was kept."
)


@dataclass(frozen=True)
class Rehearsal:
    """What is to be rehearsed, and how.

    Attributes:
        approved: the spec and plan.
        federation: with the nodes.
        name: the coordinator; None to run all participants in this process instead.
        rows: INPUT=N entries; by default the most that the spec allows.
        rtt, bandwidth, measured: the network to predict for, as for `quorate quote`.
    """

    approved: Approved
    federation: Federation
    name: str | None
    rows: Sequence[str] | None
    rtt: str | None
    bandwidth: str | None
    measured: Path | None

    def run(self, meter: Meter, *, as_json: bool) -> None:
        """Rehearse, and print what every participant needed beside what was quoted."""
        from quorate.coordination.quote import assumed_rows

        rows = assumed_rows(self.approved.spec, parse_rows(self.rows or []))
        quoted = self._quote(rows)
        session, reports = self._session(rows, meter)
        document = _compared(session, rows, quoted, reports)
        if as_json:
            print_json(document)
        else:
            _show(document)

    def _quote(self, rows: Mapping[str, int]) -> Quote:
        """What is predicted; for a rehearsal in one process, with one core for all."""
        from dataclasses import replace

        from quorate.cli.conditions import conditions
        from quorate.coordination.quote import quote

        here = self.name is None
        links, machine = conditions(self.approved.spec, self.rtt, self.bandwidth, self.measured, here)
        return quote(
            self.approved.spec, self.approved.plan, rows, links, replace(machine, cores=1) if here else machine
        )

    def _session(self, rows: Mapping[str, int], meter: Meter) -> tuple[str, Mapping[str, Report]]:
        if self.name is None:
            from quorate.node.simulation import simulated
            from quorate.node.warm import warm

            warm()  # so that the time is that of the work
            done = simulated(self.approved, {}, lambda now, total: meter.progress("simulation", now, total), rows)
            return "simulation", done.reports
        from quorate.node.coordinator import coordinate
        from quorate.node.identity import Identity

        identity = Identity(self.federation, self.name)
        finished = coordinate(identity, self.approved, {}, meter.progress, meter.say, rows)
        return finished.session, finished.reports


def _compared(session: str, rows: Mapping[str, int], quoted: Quote, reports: Mapping[str, Report]) -> dict[str, Any]:
    """Quoted and measured, by participant; what outside owners measured is printed on their side."""
    participants = {
        cost.name: {"role": cost.role, "quoted": _quoted(cost), "measured": _measured(reports.get(cost.name))}
        for cost in quoted.participants
    }
    pairs = [(cost, reports[cost.name]) for cost in quoted.participants if cost.name in reports]
    exact = ("rounds", "messages", "bytes_sent")
    return {
        "rehearsal": True,
        "spec": quoted.spec,
        "session": session,
        "rows": dict(rows),
        "network": quoted.network,
        "as_quoted": all(getattr(cost, key) == getattr(report, key) for cost, report in pairs for key in exact),
        "participants": participants,
        "note": NOTE,
    }


def _quoted(cost: ParticipantCost) -> dict[str, Any]:
    return {
        "rounds": cost.rounds,
        "messages": cost.messages,
        "bytes_sent": cost.bytes_sent,
        "seconds": cost.seconds,
        "memory_mb": cost.memory_mb,
    }


def _measured(report: Report | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "rounds": report.rounds,
        "messages": report.messages,
        "bytes_sent": report.bytes_sent,
        "seconds": report.compute_seconds,
        "connect_seconds": report.connect_seconds,
        "memory_mb": round(report.peak_mb),
    }


def print_part(report: Report, *, as_json: bool) -> None:
    """Print what one participant measured in a rehearsal."""
    if as_json:
        print_json(
            {"rehearsal": True, "session": report.session, "participants": {report.member: report}, "note": NOTE}
        )
        return
    print(NOTE)
    print(
        f"{report.member}: {report.rounds} rounds, {report.bytes_sent:,} bytes sent, "
        f"{duration(report.compute_seconds)} ({duration(report.connect_seconds)} to connect), {report.peak_mb:.0f} MiB"
    )


def _show(document: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{NOTE}[/bold]")
    counts = ", ".join(f"{name} {count:,}" for name, count in document["rows"].items())
    console.print(f"{document['spec']}, session {document['session']}; rows: {counts}")
    table = Table(title="measured / quoted", title_justify="left")
    table.add_column("participant", overflow="fold")
    for heading in ("rounds", "bytes sent", "time", "memory, MiB", "to connect"):
        table.add_column(heading, justify="right", overflow="fold")
    for name, part in document["participants"].items():
        table.add_row(name, *_cells(part["measured"], part["quoted"]))
    console.print(table)
    if document["as_quoted"]:
        console.print("Rounds, messages and bytes are exactly as quoted.")
    else:
        console.print("[bold red]Rounds, messages or bytes differ from the quote; please report this.[/bold red]")


def _cells(measured: Mapping[str, Any] | None, quoted: Mapping[str, Any]) -> list[str]:
    if measured is None:
        return [
            *(f"– / {quoted[key]:,}" for key in ("rounds", "bytes_sent")),
            f"– / {duration(quoted['seconds'])}",
            "",
            "",
        ]
    return [
        f"{measured['rounds']:,} / {quoted['rounds']:,}",
        f"{measured['bytes_sent']:,} / {quoted['bytes_sent']:,}",
        f"{duration(measured['seconds'])} / {duration(quoted['seconds'])}",
        f"{measured['memory_mb']:,} / {quoted['memory_mb']:,}",
        duration(measured["connect_seconds"]),
    ]
