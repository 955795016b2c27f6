"""quorate run: run a computation as its coordinator, or try it out in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.common import (
    AsMember,
    DataFiles,
    FederationFile,
    Json,
    Meter,
    SpecFile,
    coordinator_of,
    federation_beside,
    print_outcome,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    json: Json = False,
) -> None:
    """Run a computation: prepare it at all nodes, start it, and print what every participant needed.

    If you own an input or receive a result, you take part in the same process. --as is by default the only member with
    the role coordinator.
    """
    from quorate.node.approval import load, parse_data

    loaded = federation_beside(spec, federation)
    approved = load(spec, loaded)
    files = parse_data(data or [])
    with Meter(quiet=json) as meter:
        if simulate:
            _simulate(approved, files, meter, as_json=json)
        else:
            _submit(approved, loaded, name or coordinator_of(loaded), files, meter, as_json=json)


def _simulate(approved: Approved, files: Mapping[str, str], meter: Meter, *, as_json: bool) -> None:
    from quorate.node.rehearsal import rehearse

    rehearsal = rehearse(approved, files, lambda done, total: meter.progress("simulation", done, total))
    print_outcome(approved.spec.name, "simulation", rehearsal.values, rehearsal.reports, as_json=as_json)


def _submit(
    approved: Approved, federation: Federation, name: str, files: Mapping[str, str], meter: Meter, *, as_json: bool
) -> None:
    from quorate.node.coordinator import coordinate
    from quorate.node.identity import Identity

    finished = coordinate(Identity(federation, name), approved, files, meter.progress, meter.say)
    print_outcome(approved.spec.name, finished.session, finished.values, finished.reports, as_json=as_json)
