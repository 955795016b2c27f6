"""quorate explain: what a computation does, what it costs, how exact it is, and who learns what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quorate.cli.approved import Rows, open_spec
from quorate.cli.common import Json, SpecFile, print_json
from quorate.cli.conditions import Bandwidth, Rtt, network_of

__all__ = ["explain"]


def explain(
    spec: SpecFile,
    rows: Rows = None,
    rtt: Rtt = None,
    bandwidth: Bandwidth = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the plan into this file.")] = None,
    json: Json = False,
) -> None:
    """Show a computation as a tree: its operations with types, ranges, cost and precision, and who learns what.

    Costs and ranges are for the most rows that the spec allows, or for those given with --rows.
    """
    from quorate.coordination.describe import explanation
    from quorate.files import write_atomic

    opened = open_spec(spec, rows)
    network = network_of(opened.spec, rtt, bandwidth)
    found = explanation(opened.spec, opened.plan, opened.rows, network, opened.choice)
    if svg is not None:
        write_atomic(svg, found.svg().encode())
    if json:
        print_json(found.document)
        return
    from quorate.cli.explain_view import show

    for line in opened.remarks:
        print(line)
    show(found.document, found.drawn)
    if svg is not None:
        print(f"drawn in {svg}")
