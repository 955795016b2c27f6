"""The options that say on which network and machines a prediction is for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.errors import UserError

if TYPE_CHECKING:
    from quorate.coordination.machine import Machine
    from quorate.coordination.spec import Spec
    from quorate.coordination.timeline import Links
    from quorate.engine.network import Network

__all__ = ["Bandwidth", "Measured", "OneMachine", "Rtt", "conditions", "network_of"]

Rtt = Annotated[
    str | None,
    typer.Option("--rtt", metavar="TIME", help="Round trip to predict for, such as 40ms.", show_default=False),
]
Bandwidth = Annotated[
    str | None,
    typer.Option("--bandwidth", metavar="RATE", help="What each participant sends per second, such as 100Mbit."),
]
Measured = Annotated[
    Path | None,
    typer.Option("--measured", metavar="FILE", help="Predict for the network that 'quorate doctor --measure' found."),
]
OneMachine = Annotated[
    bool, typer.Option("--one-machine", help="Predict for all participants as processes of this machine.")
]


def network_of(spec: Spec, rtt: str | None, bandwidth: str | None) -> Network:
    """The network to predict for: that of the spec, but for what is given. Raises `UserError` for other texts."""
    from quorate.engine.network import Network

    apart = spec.network.model
    return Network.parse(rtt or apart.rtt, bandwidth or apart.rate)


def conditions(
    spec: Spec, rtt: str | None, bandwidth: str | None, measured: Path | None, one_machine: bool
) -> tuple[Links, Machine]:
    """What to predict for: by default the network of the spec, everybody on a machine like this one.

    Raises:
        UserError: options that exclude each other, texts that are no times or rates, or a file that is no measurement.
    """
    from quorate.coordination.machine import load_machine
    from quorate.coordination.measured import load_measurement
    from quorate.coordination.roster import roster
    from quorate.coordination.timeline import LOOPBACK, Links
    from quorate.engine.network import Network

    given = [name for name, value in (("--rtt", rtt), ("--bandwidth", bandwidth)) if value is not None]
    if measured is not None and (given or one_machine):
        raise UserError(f"--measured already says what {' and '.join(given) or '--one-machine'} would; leave one out")
    machine = load_machine(os.cpu_count() if one_machine else None)
    if measured is not None:
        return load_measurement(measured).links(roster(spec)), machine
    if one_machine:
        return Links(Network.parse(rtt or LOOPBACK.rtt, bandwidth or LOOPBACK.rate)), machine
    return Links(network_of(spec, rtt, bandwidth)), machine
