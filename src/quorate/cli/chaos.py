"""quorate chaos: run a job on real processes of this machine, kill them, and see whether anything differs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.common import DataFiles, FederationFile, Json, Meter, SpecFile, print_json

if TYPE_CHECKING:
    from quorate.testing.chaos.report import Round, Summary

__all__ = ["chaos"]

_DIFFERS = 1


def chaos(
    spec: SpecFile,
    transport: Annotated[
        str, typer.Option(help="What carries messages: direct, embedded, amqp, redis, nats, kafka; or live.")
    ] = "direct",
    kills: Annotated[int, typer.Option(min=0, metavar="N", help="How many processes to kill altogether.")] = 10,
    seed: Annotated[
        int, typer.Option(min=0, metavar="S", help="Decides who is killed when, and what participants draw.")
    ] = 1,
    federation: FederationFile = None,
    data: DataFiles = None,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="A broker that runs, in place of a test server started here.")
    ] = None,
    pki: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --broker: certificates and keys of all members.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Leave logs, journals and audits in this new folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Kill the nodes of a computation at random moments, and check that nothing differs from an undisturbed run.

    Runs the spec on processes of this machine, with certificates made for the occasion: first undisturbed, then again
    and again with kill -9 and restarts, until N processes were killed. Results, messages and what was encrypted have to
    be the same; then the exit code is 0, else 1. Randomness follows from the seed: use data that matters to nobody.
    """
    from quorate.errors import UserError
    from quorate.node.approval import parse_data
    from quorate.testing.chaos.play import Chaos
    from quorate.testing.chaos.site import read_job

    job = read_job(spec, federation, parse_data(data or []))
    if keep is not None and keep.exists():
        raise UserError(f"{keep} exists already and is not overwritten; choose another folder")
    with tempfile.TemporaryDirectory(prefix="quorate-chaos-") as temporary, Meter(quiet=json) as meter:
        folder = Path(temporary)
        if keep is not None:
            folder = keep.resolve()
            folder.mkdir(mode=0o700, parents=True)
        disturbed = Chaos(
            job,
            folder,
            transport,
            seed,
            broker,
            pki,
            say=meter.say,
            progress=lambda done, total: meter.progress("kills", done, total),
        )
        found = disturbed.run(kills)
    if json:
        print_json(_document(found))
    else:
        _show(found)
    if not found.ok:
        raise typer.Exit(_DIFFERS)


def _document(found: Summary) -> dict[str, Any]:
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(found)
    return document


def _show(found: Summary) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(
        title=f"{found.spec} ({found.protocol}) over {found.transport}, seed {found.seed}",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for heading in ("run", "seconds", "kills", "killed", "sealed again", "as undisturbed"):
        table.add_column(heading, justify="left" if heading in ("run", "killed", "as undisturbed") else "right")
    calm = found.undisturbed
    table.add_row("undisturbed", f"{calm.seconds:.1f}", "", "", str(calm.sealed.repeated), "")
    for number, one in enumerate(found.rounds, 1):
        table.add_row(str(number), *_cells(one))
    console.print(table)
    for number, one in enumerate(found.rounds, 1):
        for problem in one.problems:
            console.print(f"[bold red]run {number}: {problem}[/bold red]", soft_wrap=True)
    console.print(_conclusion(found), soft_wrap=True)


def _cells(one: Round) -> list[str]:
    killed: dict[str, int] = {}
    for blow in one.kills:
        name = blow.member if blow.what == "all" else f"{blow.member}'s worker"
        killed[name] = killed.get(name, 0) + 1
    who = ", ".join(name if count == 1 else f"{name} {count}×" for name, count in killed.items())
    verdict = "[bold red]no[/bold red]" if one.problems else "yes"
    repeated = str(one.remains.sealed.repeated)
    return [f"{one.remains.seconds:.1f}", str(len(one.kills)), who, repeated, verdict]


def _conclusion(found: Summary) -> str:
    if found.undisturbed.failure is not None:
        return f"[bold red]The undisturbed run failed: {found.undisturbed.failure}[/bold red]"
    if any(one.problems for one in found.rounds):
        return "[bold red]Something differs from the undisturbed run: keep it with --keep, and report this.[/bold red]"
    if found.kills < found.wanted:
        return f"[bold red]Only {found.kills} of {found.wanted} kills: the job ends too soon; use more rows.[/bold red]"
    times = found.recovery
    recovery = (
        f"; from a restart to the first message {times['median']:.2f} s, {times['slowest']:.2f} s at most"
        if times
        else ""
    )
    if found.transport == "live":
        return f"{found.kills} kills{recovery}; sessions without journals failed, and told nobody anything wrong."
    return (
        f"{found.kills} kills{recovery}; results, messages and what was encrypted are the same, nothing was used twice."
    )
