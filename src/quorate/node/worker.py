"""The process of one session at a node: gets ready, waits for the start, takes part, leaves results and shares."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path

import msgspec

from quorate.coordination.federation import Federation
from quorate.coordination.roster import roster
from quorate.coordination.synthetic import check_rows
from quorate.errors import EnvironmentFault, InternalError, PeerTimeout
from quorate.node import messages
from quorate.node.approval import Approved, compare, find, made_up_inputs, prepare_inputs, stored_inputs
from quorate.node.channel import Channel
from quorate.node.identity import Identity
from quorate.node.mesh import Doorway
from quorate.node.messages import Failure, Finished, Prepare, Progress
from quorate.node.results import keep_shares, results_path, write_openings, write_results
from quorate.node.seat import Seat, throttled
from quorate.node.vault import Vault

__all__ = ["Assignment", "FromWorker", "Go", "Ready", "ToWorker", "work"]

log = logging.getLogger(__name__)


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=str.lower):
    pass


class Assignment(_Message, frozen=True):
    """The first message to a worker: where its node finds what, and the request to prepare.

    With it comes the socket through which the node hands over connections (`transport.listener.take_over`).

    Attributes:
        federation: as the node loaded it.
        member: whose node this is.
        key: path of its private key.
        specs: folder of approved specs and plans.
        home: folder for results and kept shares.
        data: input -> path.
        prepare: what the coordinator asked for.
    """

    federation: Federation
    member: str
    key: str
    specs: str
    home: str
    data: dict[str, str]
    prepare: Prepare


class Go(_Message, frozen=True):
    """The session starts."""


class Ready(_Message, frozen=True):
    """Everything is checked; who takes part in what, and for a rehearsal the rows of every input."""

    spec_name: str
    spec_digest: str
    spec: str
    participants: tuple[str, ...]
    rehearsal: dict[str, int] | None = None


ToWorker = Assignment | Go
FromWorker = Ready | Progress | Finished | Failure


def work(sock: socket.socket) -> int:
    """Run one session as the channel says, and report its end on it; the exit code of the process."""
    channel: Channel[Assignment | Go] = Channel(sock, ToWorker)
    try:
        _Worker(channel).run()
    except BaseException as problem:
        failure = Failure.of(problem)
        log.debug("session failed: %s: %s", failure.code, failure.message)
        log.debug("details", exc_info=problem)
        channel.send(failure)
        return messages.as_quorate_error(problem).exit_code
    return 0


class _Worker:
    def __init__(self, channel: Channel[Assignment | Go]) -> None:
        self._channel = channel
        received = channel.receive()
        task, doorway = received or (None, None)
        if not isinstance(task, Assignment) or doorway is None:
            raise InternalError("a worker was started without an assignment; please report this")
        self._task, self._doorway = task, Doorway(doorway)
        self._session = self._task.prepare.session

    def run(self) -> None:
        task = self._task
        what = "prepares" if task.prepare.rehearsal is None else "prepares a REHEARSAL, without real data"
        log.info("session %s: worker %d %s", self._session, os.getpid(), what)
        identity = Identity(task.federation, task.member, Path(task.key))
        approved = find(_spec_name(task.prepare), Path(task.specs), task.federation)
        compare(approved, task.prepare)
        seat = self._seat(identity, approved)
        self._tell_ready(approved)
        self._await_start(approved.spec.timeouts.join)
        outcome, report = seat.take_part(self._doorway)
        if seat.rehearsal is None:
            keep_shares(self._vault, approved, roster(approved.spec).index(task.member), self._session, outcome)
            write_results(self._results, approved.spec.name, self._session, outcome)
            write_openings(Path(task.home), task.member, self._session, seat.inputs)
        self._channel.send(Finished(report=report))

    def _seat(self, identity: Identity, approved: Approved) -> Seat:
        seat = Seat(identity, approved, self._session)
        seat.progress, seat.pulse = throttled(self._tell_progress), self._check_node
        asked = self._task.prepare.rehearsal
        if asked is not None:  # no file of data and no kept share is opened on this path
            seat.rehearsal = check_rows(approved.spec, asked)
            seat.inputs = made_up_inputs(approved.spec, identity.name, seat.rehearsal)
            return seat
        who = roster(approved.spec)
        seat.inputs = prepare_inputs(approved.spec, identity.name, self._task.data)
        seat.stored = stored_inputs(approved.spec, who, who.index(identity.name), self._vault)
        return seat

    @property
    def _vault(self) -> Vault:
        return Vault(Path(self._task.home), self._task.member)

    @property
    def _results(self) -> Path:
        return results_path(Path(self._task.home), self._task.member, self._session)

    def _tell_ready(self, approved: Approved) -> None:
        spec = approved.spec
        self._channel.send(
            Ready(
                spec_name=spec.name,
                spec_digest=approved.digest,
                spec=self._task.prepare.spec,  # equal to our own copy by now
                participants=roster(spec).participants,
                rehearsal=self._task.prepare.rehearsal,
            )
        )

    def _tell_progress(self, done: int, total: int) -> None:
        self._channel.send(Progress(done=done, total=total))

    # ---- what the node tells us

    def _await_start(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        try:
            while not isinstance(self._next(deadline - time.monotonic()), Go):
                pass
        except TimeoutError:
            raise PeerTimeout(
                f"the coordinator prepared the session and did not start it within {patience:g} s; run it again"
            ) from None

    def _next(self, timeout: float | None) -> Assignment | Go:
        received = self._channel.receive(timeout)
        if received is None:
            raise EnvironmentFault("the node ended during the session; start it again, and the session anew")
        return received[0]

    def _check_node(self) -> None:
        while self._channel.ready(0):
            self._next(0)


def _spec_name(asked: Prepare) -> str:
    try:
        return str(msgspec.json.decode(asked.spec)["name"])
    except (msgspec.MsgspecError, KeyError, TypeError) as problem:
        raise EnvironmentFault("the coordinator's spec is malformed; compare the releases") from problem
