"""quorate node: run the node of one member."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quorate.cli.common import DataFiles, Home, Json, Specs, StocksFile, log_level, print_json, stocks_beside

__all__ = ["node"]

_IDLE, _VISIT_IDLE = 30.0, 2.0


def node(
    federation: Annotated[Path, typer.Argument(metavar="FEDERATION", help="The federation file.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="The member whose node this is.")],
    specs: Specs = None,
    data: DataFiles = None,
    home: Home = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your private key; by default NAME.key beside your certificate.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where to listen, if not at the address in FEDERATION.")
    ] = None,
    stocks: StocksFile = None,
    visit: Annotated[
        bool,
        typer.Option(
            "--visit", help="Come online, do what can be done with what lies in your inbox, leave word, and go away."
        ),
    ] = False,
    idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Leave a queued session without news after this time [30; 2 on a visit]."),
    ] = None,
    json: Json = False,
) -> None:
    """Run the node of one member of a federation, until it is stopped.

    The node runs only computations whose spec and plan lie in its --specs folder: putting them there approves them.
    Sessions with 'delivery: durable' or 'queued' that a crash interrupted are taken up again.
    """
    from quorate.coordination.federation import load_federation, parse_address
    from quorate.errors import EnvironmentFault
    from quorate.node.approval import parse_data
    from quorate.node.launch import set_up_logging
    from quorate.node.results import default_home
    from quorate.node.server import Node, Settings

    set_up_logging(log_level(), name)
    loaded = load_federation(federation)
    settings = Settings(
        specs or federation.parent,
        home or default_home(federation),
        parse_data(data or []),
        key,
        None if listen is None else parse_address(listen),
        stocks_beside(federation, stocks, loaded),
        (_VISIT_IDLE if visit else _IDLE) if idle is None else idle,
    )
    served = Node(loaded, name, settings, listens=not visit)
    if visit:
        waiting, interrupted = served.visit()
        if json:
            print_json({"member": name, "waiting": waiting, "interrupted": interrupted})
        elif not interrupted:
            how = "1 session waits" if len(waiting) == 1 else f"{len(waiting)} sessions wait"
            print(f"{name}: {how} for others" if waiting else f"{name}: nothing is left to do")
        if interrupted:
            raise EnvironmentFault(f"{', '.join(interrupted)} could not go on; the log above says why")
        return
    address = str(settings.listen or served.identity.member.endpoint)
    served.run(lambda: print_json({"member": name, "address": address}) if json else None)
