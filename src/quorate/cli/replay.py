"""quorate replay: why a session came to a halt, found by running its schedule again on made-up data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.approved import parse_rows
from quorate.cli.common import AsMember, FederationFile, Home, Json, federation_beside, print_json
from quorate.errors import AgreementError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.durable.rerun import Participant, Rerun
    from quorate.durable.trace import Recorded

__all__ = ["replay"]

_MOST_WAITS = 5
_SHOWN_OTHERWISE = ("in", "out", "rows", "stock", "failed")
_NOTE = "Run again on made-up data: contents mean nothing, names and sizes of messages and their order do."


def replay(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session's identifier.")],
    spec: Annotated[Path, typer.Option("--spec", metavar="SPEC", help="The spec that the session ran.")],
    federation: FederationFile = None,
    home: Home = None,
    name: AsMember = None,
    rows: Annotated[
        list[str] | None,
        typer.Option("--rows", metavar="INPUT=N", help="Rows, if they had not been agreed on yet; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Run the schedule of a session again in this process, from the trace that a node left of its messages.

    All participants are made here, with made-up data of as many rows; no file of data is read, and nothing of the
    session's secrets is needed. Says whether names and sizes are those of the plan, where the session stood, and who
    waited for whom. The exit code is 4 if the schedule is not that of the plan.
    """
    from quorate.durable.trace import load as load_trace
    from quorate.node.approval import load
    from quorate.node.replay import recorded_rows, replayed, traces
    from quorate.node.results import default_home

    loaded = federation_beside(spec, federation)
    approved = load(spec, loaded)
    given = parse_rows(rows or [])
    documents = []
    for member, path in traces(home or default_home(federation or spec), session, name).items():
        recorded = load_trace(path)
        used = recorded_rows(approved.spec, recorded, given)
        found = replayed(approved, recorded, used)
        documents.append(_as_dict(member, recorded, used, found))
        if not json:
            _show(member, recorded, found)
    if json:
        print_json({"session": session, "spec": approved.spec.name, "note": _NOTE, "traces": documents})
    else:
        print(_NOTE)
    if not all(document["agrees"] for document in documents):
        raise typer.Exit(AgreementError.exit_code)


def _as_dict(member: str, recorded: Recorded, rows: dict[str, int], found: Rerun) -> dict[str, Any]:
    names, failure = recorded.header.participants, recorded.failure
    return {
        "member": member,
        "software": recorded.header.software,
        "rows": rows,
        "rows_agreed": bool(recorded.rows),
        "stock": recorded.stock,
        "failure": None if failure is None else {"error": failure.error, "text": failure.text, "seconds": failure.time},
        "events": [
            {"what": event.what, "seconds": event.time, "text": event.text}
            for event in recorded.events
            if event.what not in _SHOWN_OTHERWISE
        ],
        "agrees": found.agrees,
        "differences": found.differences,
        "more_differences": found.more,
        "taken": found.taken,
        "made": found.made,
        "unsent": found.unsent,
        "stood_at": found.last,
        "participants": {
            name: {
                "done": standing.done,
                "rounds": standing.rounds,
                "error": standing.error,
                "waits": [
                    {"for": names[wait.peer], "at": wait.where, "was_made": wait.made} for wait in standing.waits
                ],
            }
            for name, standing in zip(names, found.participants, strict=True)
        },
    }


def _show(member: str, recorded: Recorded, found: Rerun) -> None:
    names, failure = recorded.header.participants, recorded.failure
    events = recorded.messages
    came = sum(event.what == "in" for event in events)
    print(f"{recorded.header.name}, session {recorded.header.session}, as {member} saw it")
    print(f"  {came:,} messages came, {len(events) - came:,} were made; the last at {found.last or 'no operation'}")
    for event in recorded.events:
        if event.what not in _SHOWN_OTHERWISE:
            print(f"  after {event.time:.3f} s: {event.what}{f' ({event.text})' if event.text else ''}")
    if failure is not None:
        print(f"  after {failure.time:.3f} s it failed: {failure.error}{': ' if failure.text else ''}{failure.text}")
    if found.agrees:
        print("  names and sizes of all these messages are those of the plan")
    for difference in found.differences:
        print(f"  NOT AS PLANNED: {difference}")
    if found.more:
        print(f"  and {found.more:,} more differences")
    if found.unsent:
        print(f"  {found.unsent:,} messages that {member} could make from these had not been made")
    for name, standing in zip(names, found.participants, strict=True):
        print(f"  {name} {_standing(standing, names)}")


def _standing(standing: Participant, names: Sequence[str]) -> str:
    if standing.error:
        return f"stopped: {standing.error}"
    if standing.done:
        return "had its result"
    shown = [
        f"{names[wait.peer]} at {wait.where} ({'which had been made' if wait.made else 'not made yet'})"
        for wait in standing.waits[:_MOST_WAITS]
    ]
    more = len(standing.waits) - len(shown)
    return f"waited for {'; '.join(shown) or 'nothing'}{f'; and {more:,} more' if more else ''}"
