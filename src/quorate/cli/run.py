"""quorate run: run a computation as its coordinator, try it out in this process, or rehearse it without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.approved import Rows
from quorate.cli.common import (
    AsMember,
    DataFiles,
    FederationFile,
    Home,
    Json,
    Meter,
    SpecFile,
    coordinator_of,
    federation_beside,
    print_json,
    print_outcome,
)
from quorate.cli.conditions import Bandwidth, Measured, Rtt
from quorate.cli.rehearse import Rehearsal
from quorate.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from quorate.coordination.federation import Federation
    from quorate.node.approval import Approved

__all__ = ["run"]


def run(
    spec: SpecFile,
    federation: FederationFile = None,
    name: AsMember = None,
    data: DataFiles = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Run all participants here, with --data for every input; no network.")
    ] = False,
    rehearse: Annotated[
        bool,
        typer.Option("--rehearse", help="The same on made-up data: nobody's files are read, no result is kept."),
    ] = False,
    asynchronous: Annotated[
        bool,
        typer.Option(
            "--async", help="Leave invitations in the participants' inboxes and go away; nobody needs to be online."
        ),
    ] = False,
    home: Home = None,
    rows: Rows = None,
    rtt: Rtt = None,
    bandwidth: Bandwidth = None,
    measured: Measured = None,
    json: Json = False,
) -> None:
    """Run a computation: prepare it at all nodes, start it, and print what every participant needed.

    If you own an input or receive a result, you take part in the same process. --as is by default the only member with
    the role coordinator. With --async, which needs 'delivery: queued', ask 'quorate status' later. --rows, --rtt,
    --bandwidth and --measured are for --rehearse, which compares with the quote.
    """
    from quorate.node.approval import load, parse_data
    from quorate.node.results import default_home

    loaded = federation_beside(spec, federation)
    approved = load(spec, loaded)
    files = parse_data(data or [])
    _check_options(
        rehearse, bool(files), {"--rows": rows, "--rtt": rtt, "--bandwidth": bandwidth, "--measured": measured}
    )
    place = home or default_home(federation or spec)
    coordinator = None if simulate else name or coordinator_of(loaded)
    with Meter(quiet=json) as meter:
        if asynchronous:
            _invite(approved, loaded, coordinator, files, place, simulate or rehearse, as_json=json)
        elif rehearse:
            Rehearsal(approved, loaded, coordinator, rows, rtt, bandwidth, measured).run(meter, as_json=json)
        elif coordinator is None:
            _simulate(approved, files, meter, as_json=json)
        else:
            _submit(approved, loaded, coordinator, files, place, meter, as_json=json)


def _check_options(rehearse: bool, with_data: bool, others: Mapping[str, object]) -> None:
    given = [option for option, value in others.items() if value is not None]
    if rehearse and with_data:
        raise UserError("a rehearsal takes no data: leave out --data, or leave out --rehearse to run on the data")
    if given and not rehearse:
        raise UserError(f"{' and '.join(given)}: only for --rehearse; a run takes the rows that its owners bring")


def _invite(
    approved: Approved,
    federation: Federation,
    name: str | None,
    files: Mapping[str, str],
    home: Path,
    otherwise: bool,
    *,
    as_json: bool,
) -> None:
    from quorate.coordination.roster import roster
    from quorate.node.identity import Identity
    from quorate.node.invite import invite

    if otherwise or files or name is None:
        raise UserError(
            "--async only leaves invitations: leave out --simulate, --rehearse and --data; if you own an input or "
            "receive a result, take part with 'quorate join --visit'"
        )
    asked = invite(Identity(federation, name), approved, home)
    if as_json:
        print_json({"session": asked.session, "spec": asked.spec, "members": asked.members})
        return
    print(f"session {asked.session}: invitations are left for {', '.join(roster(approved.spec).participants)}")
    print(
        f"each does its part with 'quorate node --visit', or while its node runs; see 'quorate status {asked.session}'"
    )


def _simulate(approved: Approved, files: Mapping[str, str], meter: Meter, *, as_json: bool) -> None:
    from quorate.node.simulation import simulated

    simulation = simulated(approved, files, lambda done, total: meter.progress("simulation", done, total))
    print_outcome(approved, "simulation", simulation.values, simulation.reports, as_json=as_json)


def _submit(
    approved: Approved,
    federation: Federation,
    name: str,
    files: Mapping[str, str],
    home: Path,
    meter: Meter,
    *,
    as_json: bool,
) -> None:
    from quorate.node.coordinator import coordinate
    from quorate.node.identity import Identity
    from quorate.node.results import results_path

    finished = coordinate(Identity(federation, name), approved, files, meter.progress, meter.say, home=home)
    keep = results_path(home, name, finished.session)
    print_outcome(approved, finished.session, finished.values, finished.reports, as_json=as_json, keep=keep)
