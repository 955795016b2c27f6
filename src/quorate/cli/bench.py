"""`quorate bench`: how fast this machine computes, in real processes over real connections."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from quorate.cli.common import Json
from quorate.errors import UserError

if TYPE_CHECKING:
    from quorate.bench.runner import Record, Setting, Transport
    from quorate.engine.network import Network

__all__ = ["bench"]

JOB, GROWING, TUPLES, METHODS = "hospital_job", "growth", "tuples", "analytics"


class _Task(NamedTuple):
    """One measurement to be made."""

    label: str
    measure: Callable[[], Record]


class _Options(NamedTuple):
    """What was asked for, but for the names of workloads."""

    protocols: list[str] | None
    parties: int | None
    threshold: int | None
    transports: list[Transport]
    sizes: tuple[int, ...]
    repeats: int
    network: Network | None
    dealer: bool


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to measure; 'growth': how it grows with size; 'tuples': how fast correlated randomness of each "
            "kind is made; product_online, comparison_online: with tuples made beforehand; 'analytics': statistics and "
            "models. All but these by default."
        ),
    ] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="A protocol, such as rep3 or spdz2k; repeatable.")] = None,
    parties: Annotated[int | None, typer.Option(help="Number of parties, where the protocol leaves a choice.")] = None,
    threshold: Annotated[int | None, typer.Option(help="Corrupted parties to withstand (shamir).")] = None,
    transport: Annotated[
        list[str] | None,
        typer.Option(
            help="tls, plain (no encryption, for comparison only), simulate; with journals: durable (TLS), embedded, "
            "amqp, redis, nats, kafka (a broker is started); repeatable."
        ),
    ] = None,
    size: Annotated[list[int] | None, typer.Option(help="Number of elements; repeatable.")] = None,
    repeats: Annotated[int, typer.Option(min=5, help="Repetitions; the median is reported.")] = 5,
    rtt: Annotated[str | None, typer.Option(help="Round trip of a simulated network, such as 40ms.")] = None,
    bandwidth: Annotated[str | None, typer.Option(help="What each participant can send in it: 100Mbit.")] = None,
    dealer: Annotated[
        bool, typer.Option("--dealer", help="With a trusted dealer, for protocols that allow one.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure workloads between processes on this machine.

    Without options: everything for rep3, products for shamir (1, 3), shamir (2, 5) and semi2k, over TLS and plain.
    """
    from quorate.engine.network import Network

    network = None if rtt is None and bandwidth is None else Network.parse(rtt, bandwidth)
    options = _Options(
        protocol, parties, threshold, _transports(transport, network), tuple(size or ()), repeats, network, dealer
    )
    records = _run(list(_tasks(names or [], options)))
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode([record.as_dict() for record in records])).decode())
    else:
        _table(records)


def _run(tasks: list[_Task]) -> list[Record]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    records = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown = progress.add_task("", total=len(tasks))
        for task in tasks:
            progress.update(shown, description=task.label)
            records.append(task.measure())
            progress.advance(shown)
    return records


def _transports(wanted: list[str] | None, network: Network | None) -> list[Transport]:
    """In their usual order; over a simulated network TLS alone by default."""
    from quorate.bench.runner import TRANSPORTS

    if unknown := set(wanted or ()) - set(TRANSPORTS):
        raise UserError(f"--transport {', '.join(sorted(unknown))}: choose from {', '.join(TRANSPORTS)}")
    default = ("tls", "plain") if network is None else ("tls",)
    return [transport for transport in TRANSPORTS if transport in (wanted or default)]


def _tasks(names: list[str], options: _Options) -> Iterator[_Task]:
    from quorate.bench.job import DELIVERIES, hospital_job
    from quorate.bench.runner import run

    for name, setting, sizes in _chosen(names, options):
        if setting is None:
            chosen: list[str | None] = [*options.protocols] if options.protocols else [None]
            for protocol in chosen:
                for way in [way for way in options.transports if way in DELIVERIES]:
                    job = partial(hospital_job, options.repeats, protocol, way)
                    yield _Task(f"{JOB}, {way}", job)
            continue
        for size in sizes:
            label = f"{name} {size:,}, {setting.protocol} ({setting.threshold}, {setting.parties}), {setting.transport}"
            yield _Task(label, lambda name=name, setting=setting, size=size: run(name, setting, size, options.repeats))  # type: ignore[misc]


def _chosen(names: list[str], options: _Options) -> Iterator[tuple[str, Setting | None, tuple[int, ...]]]:
    """(workload, setting, sizes) in the order of measuring; no setting for the whole job."""
    from quorate.bench.runner import setting_for, tuple_kinds, workload_named
    from quorate.bench.workloads import ANALYSIS, GROWTH, ONLINE, WORKLOADS
    from quorate.bench.workloads.tuples import PREFIX

    settings = [(name, options.parties, options.threshold) for name in options.protocols or ("rep3",)]
    groups: dict[str, list[str]] = {GROWING: [*GROWTH], METHODS: [*ANALYSIS]}
    wanted = [name for asked in names or [*WORKLOADS, JOB] for name in groups.get(asked, [asked])]
    if unknown := sorted(set(wanted) - {*WORKLOADS, *ONLINE, *ANALYSIS, TUPLES, JOB}):
        offered = [*WORKLOADS, *ONLINE, *ANALYSIS, TUPLES, JOB, *groups]
        raise UserError(f"there is no benchmark {', '.join(unknown)}; choose from {', '.join(offered)}")
    plan = [(name, setting) for setting in settings for name in wanted]
    if not names and options.protocols is None:
        plan += [("product", ("shamir", 3, 1)), ("product", ("shamir", 5, 2)), ("product", ("semi2k", 2, 1))]
    if JOB in wanted:
        yield JOB, None, ()
    for asked, (protocol, count, tolerated) in plan:
        for transport in options.transports if asked != JOB else ():
            setting = setting_for(protocol, transport, count, tolerated, options.network, dealer=options.dealer)
            for name in [PREFIX + kind for kind in tuple_kinds(setting)] if asked == TUPLES else [asked]:
                usual = GROWTH[name] if GROWING in names and name in GROWTH else workload_named(name).sizes
                yield name, setting, options.sizes or usual


def _table(records: list[Record]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a file has room for every column
    table = Table(
        title=f"{platform.machine()}, {os.cpu_count()} cores shared by all parties, Python {platform.python_version()}"
    )
    for heading in ("workload", "protocol", "n", "transport"):
        table.add_column(heading)
    for heading in ("seconds", "predicted", "CPU/party", "per second", "bytes/party", "rounds", "peak MB", "× clear"):
        table.add_column(heading, justify="right")
    for record in records:
        table.add_row(*_cells(record))
    console.print(table)


def _cells(record: Record) -> list[str]:
    network = f", {record.rtt}, {record.bandwidth}" if record.rtt else ""
    return [
        record.name,
        f"{record.protocol} ({record.threshold}, {record.parties})",
        f"{record.n:,}",
        record.transport + network,
        f"{record.seconds:.4f}",
        "" if record.predicted_seconds is None else f"{record.predicted_seconds:.4f}",
        "" if record.cpu_seconds_per_party is None else f"{record.cpu_seconds_per_party:.4f}",
        f"{record.per_second:,.0f}",
        f"{record.bytes_sent_per_party:,.0f}",
        f"{record.rounds:,}",
        f"{record.peak_mb_per_party:.0f}",
        f"{record.seconds / record.clear_seconds:,.0f}" if record.clear_seconds else "",
    ]
