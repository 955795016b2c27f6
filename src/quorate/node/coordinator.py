"""A whole run from the coordinator's chair: submit, take part if the coordinator's member does, and collect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quorate.coordination.program import Outcome
from quorate.coordination.roster import roster
from quorate.errors import PeerError, QuorateError
from quorate.node.approval import Approved
from quorate.node.client import OnProgress, Submission, hosts, submit
from quorate.node.identity import Identity
from quorate.node.messages import Report
from quorate.node.participant import Participant

__all__ = ["Finished", "coordinate", "together"]


@dataclass(frozen=True)
class Finished:
    """A session that ended well: what the coordinator's member learned, and the reports that reached it."""

    session: str
    values: dict[str, npt.NDArray[np.generic]] = field(repr=False)
    reports: dict[str, Report]


def coordinate(
    identity: Identity,
    approved: Approved,
    data: Mapping[str, str],
    on_progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
    rehearsal: Mapping[str, int] | None = None,
    session: str | None = None,
    home: Path | None = None,
) -> Finished:
    """Run a spec on the nodes; blocks until its end. An interrupt cancels the session at all nodes.

    Args:
        identity: a member with role coordinator.
        approved: its copy of the spec and plan.
        data: input -> path, for inputs that this member owns without being a party.
        on_progress: called with (member, operations done, operations in all).
        say: called with sentences for people.
        rehearsal: the rows of every input, for a rehearsal with made-up data; `data` is not looked at then.
        session: its id; a fresh one by default.
        home: where our own part is kept; by default beside the spec.

    Raises:
        QuorateError: as `submit` and `Submission.wait`, and as the member's own part ends.
    """
    participant = _outside_part(identity, approved, data, rehearsal)  # own data is checked before anybody is bothered
    if participant is not None:
        participant.folder = home
    submission = submit(identity, approved, session, rehearsal)
    try:
        what = "session" if rehearsal is None else "REHEARSAL, without real data, as session"
        say(f"{what} {submission.session} started at {', '.join(hosts(approved.spec))}")
        if participant is None:
            reports = submission.wait(on_progress)
            return Finished(submission.session, {}, reports)
        return together(submission, lambda: participant.take_part(submission.session), on_progress)
    except KeyboardInterrupt:
        submission.cancel(identity)
        raise
    finally:
        submission.close()


def _outside_part(
    identity: Identity, approved: Approved, data: Mapping[str, str], rehearsal: Mapping[str, int] | None
) -> Participant | None:
    takes_part = identity.name in roster(approved.spec).participants
    if not takes_part or identity.name in hosts(approved.spec):
        return None
    if rehearsal is not None:
        return Participant.rehearsing(identity, approved, rehearsal)
    return Participant.ready(identity, approved, data)


def together(
    submission: Submission, part: Callable[[], tuple[Outcome, Report]], on_progress: OnProgress | None = None
) -> Finished:
    """Do our own part in this thread while another one watches the nodes; raises as `coordinate`."""
    watched: list[dict[str, Report] | QuorateError] = []

    def watch() -> None:
        try:
            watched.append(submission.wait(on_progress))
        except QuorateError as problem:
            watched.append(problem)

    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    outcome: Outcome | None = None
    own: Report | None = None
    mine: QuorateError | None = None
    try:
        outcome, own = part()
    except QuorateError as problem:
        mine = problem
    watcher.join()
    theirs = watched[0]
    # What a node says of itself explains more than what we noticed of it.
    if mine is not None and not (isinstance(mine, PeerError) and isinstance(theirs, QuorateError)):
        raise mine
    if isinstance(theirs, QuorateError):
        raise theirs
    if outcome is None or own is None:
        raise mine or PeerError("the session ended without a result; run it again")
    return Finished(submission.session, dict(outcome.values), {**theirs, own.member: own})
