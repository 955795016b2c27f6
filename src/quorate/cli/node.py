"""quorate node: run the node of one member."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quorate.cli.common import DataFiles, Home, Json, Specs, StocksFile, log_level, print_json, stocks_beside

__all__ = ["node"]


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
    json: Json = False,
) -> None:
    """Run the node of one member of a federation, until it is stopped.

    The node runs only computations whose spec and plan lie in its --specs folder: putting them there approves them.
    """
    from quorate.coordination.federation import load_federation, parse_address
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
    )
    served = Node(loaded, name, settings)
    address = str(settings.listen or served.identity.member.endpoint)
    served.run(lambda: print_json({"member": name, "address": address}) if json else None)
