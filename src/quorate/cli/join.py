"""quorate join: take part as an outside data owner or recipient."""

from __future__ import annotations

from typing import Annotated

import typer

from quorate.cli.common import (
    DataFiles,
    FederationFile,
    Home,
    Json,
    Meter,
    SpecFile,
    federation_beside,
    print_outcome,
)
from quorate.cli.rehearse import print_part

__all__ = ["join"]

_IDLE = 2.0
"""Seconds without news after which a visit ends."""


def join(
    spec: SpecFile,
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="The member that you are.")],
    federation: FederationFile = None,
    data: DataFiles = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up when no session starts within this time.")
    ] = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Take part in a rehearsal, with made-up data, and in nothing else.")
    ] = False,
    home: Home = None,
    visit: Annotated[
        bool,
        typer.Option("--visit", help="Do what can be done now in a session that you are invited to, and go away."),
    ] = False,
    json: Json = False,
) -> None:
    """Take part in a computation as an outside data owner or recipient.

    Checks your data, waits until the coordinator starts a session of your copy of the spec, and prints what you learn.
    With --visit (for 'delivery: queued') nobody needs to be online; come again until you have your part done. The exit
    code is 6 as long as others have to do theirs first. A session with 'delivery: durable' or 'queued' that was
    interrupted is taken up again.
    """
    from quorate.errors import UserError
    from quorate.node.approval import load, parse_data
    from quorate.node.identity import Identity
    from quorate.node.participant import Participant
    from quorate.node.results import default_home, results_path

    loaded = federation_beside(spec, federation)
    approved = load(spec, loaded)
    if visit and approved.spec.delivery != "queued":
        raise UserError("--visit needs a spec with 'delivery: queued'")
    if rehearse and data:
        raise UserError("a rehearsal takes no data: leave out --data, or leave out --rehearse to take part with it")
    identity = Identity(loaded, name)
    if rehearse:
        participant = Participant.rehearsing(identity, approved)
    else:
        participant = Participant.ready(identity, approved, parse_data(data or []))
    participant.folder = home or default_home(federation or spec)
    with Meter(quiet=json) as meter:
        participant.on_wait = meter.say
        participant.progress = lambda done, total: meter.progress(name, done, total)
        outcome, report = participant.visit(_IDLE) if visit else participant.join(timeout)
        if approved.spec.lasting and not rehearse:
            meter.say(f"session {report.session}")
    if rehearse:
        print_part(report, as_json=json)
        return
    keep = results_path(participant.folder, name, report.session)
    print_outcome(approved, report.session, outcome.values, {name: report}, as_json=json, keep=keep)
