"""quorate up: run all nodes of a federation on this machine."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from quorate.cli.common import DataFiles, Home, Json, Specs, StocksFile, log_level, print_json, stocks_beside

__all__ = ["up"]


def up(
    federation: Annotated[Path, typer.Argument(metavar="FEDERATION", help="The federation file.")],
    specs: Specs = None,
    data: DataFiles = None,
    home: Home = None,
    stocks: StocksFile = None,
    json: Json = False,
) -> None:
    """Run all nodes of a federation as processes of this machine, until Ctrl-C. Their logs go to the --home folder."""
    from quorate.coordination.federation import load_federation
    from quorate.errors import EnvironmentFault
    from quorate.node import launch
    from quorate.node.approval import parse_data
    from quorate.node.results import default_home

    loaded = load_federation(federation)
    place = home or default_home(federation)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kept = stocks_beside(federation, stocks, loaded)
    folder, files = specs or federation.parent, parse_data(data or [])
    with launch.up(loaded, folder, place, files, log_level=log_level(), stocks=kept) as nodes:
        addresses = {name: str(loaded.member(name).endpoint) for name in nodes.pids}
        if json:
            print_json({"nodes": addresses, "home": str(place)})
        else:
            print("\n".join(f"{name} listens on {address}" for name, address in addresses.items()))
            print(f"logs are in {place}; stop with Ctrl-C", flush=True)
        while (ended := nodes.ended()) is None:
            time.sleep(0.2)
    raise EnvironmentFault(f"{ended}; the others were stopped")
