"""The process of one participant in `quorate chaos`: a node, an outside owner, or the coordinator.

Run as `python -m quorate.cli.chaos_member CONFIGURATION`. It does what `quorate node`, `quorate join` and `quorate run`
do, with two differences: its randomness follows from a seed, so that two runs can be compared, and it notes what it
seals. So it must never see data that matters to anybody.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Literal

import msgspec

from quorate.coordination.federation import load_federation
from quorate.coordination.roster import roster
from quorate.errors import QuorateError
from quorate.files import write_atomic
from quorate.node.approval import Approved, load
from quorate.node.client import Submission, hosts, submit
from quorate.node.identity import Identity
from quorate.node.launch import set_up_logging
from quorate.node.messages import Failure, Report
from quorate.node.participant import Participant
from quorate.node.process import die_with_parent, run_and_exit
from quorate.node.results import default_home, results_path, write_results
from quorate.node.server import Node, Settings
from quorate.testing.chaos.tap import install

__all__ = ["Configuration", "Ended", "main"]

log = logging.getLogger(__name__)


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told.

    Attributes:
        folder: of the run: spec, federation, keys and what is kept.
        seed: of the run; hexadecimal.
        session: which one is run.
        data: input -> path, of this member's inputs.
        tap: where to note what is sealed.
    """

    role: Literal["node", "owner", "coordinator"]
    member: str
    folder: str
    spec: str
    session: str
    seed: str
    data: dict[str, str]
    tap: str


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a session ended, as its coordinator was told."""

    reports: dict[str, Report] = {}
    failure: Failure | None = None


def main(path: str) -> int:
    """Be the participant that the file at `path` describes."""
    die_with_parent(os.getppid(), signal.SIGKILL)
    told = msgspec.json.decode(Path(path).read_bytes(), type=Configuration)
    set_up_logging(20, told.member)
    install(Path(told.tap), hashlib.sha256(f"tap {told.seed}".encode()).digest())
    seed = hashlib.sha256(f"{told.seed} {told.member}".encode()).hexdigest()
    federation = load_federation(Path(told.folder) / "federation.yaml")
    if told.role == "node":
        settings = Settings(
            Path(told.folder), default_home(Path(told.folder) / "x"), told.data, insecure_session_seed_for_tests=seed
        )
        Node(federation, told.member, settings).run()
        return 0
    approved = load(Path(told.folder) / told.spec, federation)
    identity = Identity(federation, told.member)
    if told.role == "owner":
        return _take_part(_seeded(identity, approved, told, seed), told, join=True)
    return _coordinate(identity, approved, told, seed)


def _seeded(identity: Identity, approved: Approved, told: Configuration, seed: str) -> Participant:
    participant = Participant.ready(identity, approved, told.data)
    participant.insecure_session_seed_for_tests = seed
    return participant


def _take_part(participant: Participant, told: Configuration, *, join: bool) -> int:
    """As an outside owner or recipient; at once over if an earlier process had come to its end."""
    where = results_path(participant.home, told.member, told.session)
    place = participant.home / "sessions" / told.member / told.session
    if (place / "ended.json").exists() and not (place / "journal").exists():
        return 0  # nobody needs us any more
    outcome, _ = participant.join() if join else participant.take_part(told.session)
    write_results(where, participant.approved, told.session, outcome)
    return 0


def _coordinate(identity: Identity, approved: Approved, told: Configuration, seed: str) -> int:
    """Start the session, say so, take part if the member does, and write down how it ended."""
    ended = Ended()
    try:
        submission = submit(identity, approved, told.session)
        write_atomic(Path(told.folder) / "started", b"")
        mine = roster(approved.spec).participants
        if told.member in mine and told.member not in hosts(approved.spec):
            ended = _watched(submission, _seeded(identity, approved, told, seed), told)
        else:
            ended = Ended(reports=submission.wait())
    except QuorateError as problem:
        ended = Ended(failure=Failure.of(problem))
    write_atomic(Path(told.folder) / "ended.json", msgspec.json.encode(ended))
    return 0


def _watched(submission: Submission, participant: Participant, told: Configuration) -> Ended:
    """Take part, while another thread watches the nodes."""
    found: list[Any] = []

    def watch() -> None:
        try:
            found.append(Ended(reports=submission.wait()))
        except QuorateError as problem:
            found.append(Ended(failure=Failure.of(problem)))

    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    _take_part(participant, told, join=False)
    watcher.join()
    ended: Ended = found[0]
    return ended


def _told(path: str) -> int:
    try:
        return main(path)
    except QuorateError as problem:
        log.error("%s: %s", type(problem).__name__, problem)
        return problem.exit_code


if __name__ == "__main__":
    run_and_exit(lambda: _told(sys.argv[1]))
