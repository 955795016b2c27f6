"""`quorate bench`: how fast this machine computes, in real processes over real connections."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import Json
from quorate.errors import UserError

if TYPE_CHECKING:
    from quorate.bench.runner import Record

__all__ = ["bench"]

JOB = "hospital_job"


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="What to measure; all by default.")] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="rep3, shamir, semi2k or clear; repeatable.")] = None,
    parties: Annotated[int | None, typer.Option(help="Number of parties, where the protocol leaves a choice.")] = None,
    threshold: Annotated[int | None, typer.Option(help="Corrupted parties to withstand (shamir).")] = None,
    transport: Annotated[
        list[str] | None, typer.Option(help="tls, plain (no encryption, for comparison only) or simulate; repeatable.")
    ] = None,
    size: Annotated[list[int] | None, typer.Option(help="Number of elements; repeatable.")] = None,
    repeats: Annotated[int, typer.Option(min=5, help="Repetitions; the median is reported.")] = 5,
    json: Json = False,
) -> None:
    """Measure workloads between processes on this machine.

    Without options: everything for rep3, products for shamir (1, 3), shamir (2, 5) and semi2k, over TLS and plain.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    records: list[Record] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting")
        for label, measurement in _measurements(names or [], protocol, parties, threshold, transport, size, repeats):
            progress.update(task, description=label)
            records.extend(measurement)
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode([record.as_dict() for record in records])).decode())
    else:
        _table(records)


def _measurements(
    names: list[str],
    protocols: list[str] | None,
    parties: int | None,
    threshold: int | None,
    transports: list[str] | None,
    sizes: list[int] | None,
    repeats: int,
) -> Iterator[tuple[str, Iterator[Record]]]:
    from quorate.bench.job import hospital_job
    from quorate.bench.runner import TRANSPORTS, run, setting_for
    from quorate.bench.workloads import WORKLOADS

    chosen = [transport for transport in TRANSPORTS if transport in (transports or ("tls", "plain"))]
    if unknown := set(transports or ()) - set(TRANSPORTS):
        raise UserError(f"--transport {', '.join(sorted(unknown))}: choose from {', '.join(TRANSPORTS)}")
    settings = [(name, parties, threshold) for name in protocols or ("rep3",)]
    plan = [(name, setting) for setting in settings for name in names or [*WORKLOADS, JOB]]
    if not names and protocols is None:
        plan += [("product", ("shamir", 3, 1)), ("product", ("shamir", 5, 2)), ("product", ("semi2k", 2, 1))]
    for name, (protocol, count, tolerated) in plan:
        if name == JOB:
            yield JOB, hospital_job(repeats)
            continue
        for transport in chosen:
            setting = setting_for(protocol, transport, count, tolerated)
            label = f"{name}, {protocol} ({setting.threshold}, {setting.parties}), {transport}"
            yield label, run(name, setting, tuple(sizes or ()), repeats)


def _table(records: list[Record]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a file has room for every column
    table = Table(
        title=f"{platform.machine()}, {os.cpu_count()} cores shared by all parties, Python {platform.python_version()}"
    )
    for heading in ("workload", "protocol", "n", "transport"):
        table.add_column(heading)
    for heading in ("seconds", "per second", "bytes/party", "rounds", "peak MB", "× clear"):
        table.add_column(heading, justify="right")
    for record in records:
        table.add_row(
            record.name,
            f"{record.protocol} ({record.threshold}, {record.parties})",
            f"{record.n:,}",
            record.transport,
            f"{record.seconds:.4f}",
            f"{record.per_second:,.0f}",
            f"{record.bytes_sent_per_party:,.0f}",
            f"{record.rounds:,}",
            f"{record.peak_mb_per_party:.0f}",
            f"{record.seconds / record.clear_seconds:,.0f}" if record.clear_seconds else "",
        )
    console.print(table)
