"""quorate status: how a session stands that was started with 'quorate run --async'."""

from __future__ import annotations

from typing import Annotated

import typer

from quorate.cli.common import AsMember, Home, Json, coordinator_of, print_json
from quorate.errors import PeerTimeout, QuorateError

__all__ = ["status"]


def status(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The id that 'quorate run --async' printed.")],
    federation: Annotated[str, typer.Option(metavar="FILE", help="The federation file.")] = "federation.yaml",
    name: AsMember = None,
    home: Home = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Give the session up: leave word for all nodes that were invited.")
    ] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Wait so long for everybody's reply.")] = 0.0,
    json: Json = False,
) -> None:
    """Say how a session stands: who has finished, who failed and why, and whose reply is missing.

    The exit code is 0 when all nodes have finished, 6 while replies are missing, else that of the failure.
    """
    from pathlib import Path

    from quorate.coordination.federation import load_federation
    from quorate.node.client import root_cause
    from quorate.node.identity import Identity
    from quorate.node.invite import standing
    from quorate.node.messages import Failure, Finished
    from quorate.node.results import default_home

    path = Path(federation)
    loaded = load_federation(path)
    if cancel:
        from quorate.node.invite import cancel as give_up

        asked = give_up(Identity(loaded, name or coordinator_of(loaded)), session, home or default_home(path))
        if json:
            print_json({"session": session, "told": asked.members})
        else:
            print(f"session {session}: word is left for {', '.join(asked.members)}; each ends it when it comes online")
        return
    found = standing(Identity(loaded, name or coordinator_of(loaded)), session, home or default_home(path), timeout)
    if json:
        print_json({"session": session, "spec": found.asked.spec, "missing": found.missing, "ended": dict(found.ends)})
    for member, end in sorted(found.ends.items()):
        if not json and isinstance(end, Finished):
            print(f"{member}: finished after {end.report.rounds} rounds, {end.report.bytes_sent} bytes sent")
    failures = {member: end for member, end in found.ends.items() if isinstance(end, Failure)}
    problem: QuorateError | None = root_cause(failures) if failures else None
    if problem is None and found.missing:
        problem = PeerTimeout(
            f"session {session} goes on: no reply yet from {', '.join(found.missing)}; ask again, or "
            "wait with --timeout"
        )
    if problem is not None and json:
        raise typer.Exit(problem.exit_code)  # the document says it all
    if problem is not None:
        raise problem
