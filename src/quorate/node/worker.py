"""The process of one session at a node: gets ready, waits for the start, takes part, leaves results and shares."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from quorate.coordination.program import Outcome
from quorate.coordination.roster import roster
from quorate.coordination.synthetic import check_rows
from quorate.durable.fence import Fence
from quorate.errors import InternalError, UserError
from quorate.node import messages
from quorate.node.approval import (
    Approved,
    compare,
    find,
    kept_inputs,
    made_up_inputs,
    prepare_inputs,
    spec_name,
    stored_inputs,
)
from quorate.node.channel import Channel
from quorate.node.desk import Assignment, Desk, FromWorker, Go, Making, Pause, Ready, Suspended, ToWorker
from quorate.node.identity import Identity
from quorate.node.lasting import Lasting
from quorate.node.making import Maker
from quorate.node.mesh import Doorway
from quorate.node.messages import Failure, Finished, Report
from quorate.node.place import Place
from quorate.node.results import keep_shares, results_path, write_openings, write_results
from quorate.node.room import Room
from quorate.node.routes import check_places, provision, remove_inbox
from quorate.node.seat import Seat, throttled
from quorate.node.tuples import Group, Shelf
from quorate.node.vault import Vault

__all__ = ["Assignment", "FromWorker", "Go", "Ready", "ToWorker", "work"]

log = logging.getLogger(__name__)

_LEASE_SECONDS = 10.0
"""How long to wait for the stock of tuples; making some ends within a batch when a session comes."""


def work(sock: socket.socket) -> int:
    """Run one session as the channel says, and report its end on it; the exit code of the process."""
    channel: Channel[Assignment | Making | Go | Pause] = Channel(sock, ToWorker)
    worker: _Worker | Maker | None = None
    try:
        received = channel.receive()
        task, doorway = received or (None, None)
        if doorway is None or not isinstance(task, (Assignment, Making)):
            raise InternalError("a worker was started without an assignment; please report this")
        desk, door = Desk(channel), Doorway(doorway)
        worker = _Worker(desk, task, door) if isinstance(task, Assignment) else Maker(desk, task, door)
        worker.run()
    except BaseException as problem:
        failure = Failure.of(problem)
        log.debug("session failed: %s: %s", failure.code, failure.message)
        log.debug("details", exc_info=problem)
        if isinstance(worker, _Worker) and worker.unfinished:
            level = logging.INFO if isinstance(problem, KeyboardInterrupt) else logging.ERROR
            log.log(level, "session %s is interrupted: %s", worker.session, failure.message)
        else:
            channel.send(failure)
        return messages.as_quorate_error(problem).exit_code
    return 0


class _Worker:
    """Runs one session with data.

    Attributes:
        session: its id.
        unfinished: it is a lasting session that has begun and is needed, by peers if not by us: whatever happens,
            another worker goes on.
    """

    def __init__(self, desk: Desk, task: Assignment, doorway: Doorway) -> None:
        self._desk, self._task, self._doorway = desk, task, doorway
        asked = task.prepare.interactive
        self._room = None if asked is None else Room(task, asked)
        self.session = self._session = task.session
        self._begun = False

    @property
    def unfinished(self) -> bool:
        begun = self._begun or (self._task.resumed and self._place.started)
        return begun and not ((self._begun and self._place.erased) or isinstance(self._place.end, Failure))

    def run(self) -> None:
        task = self._task
        what = "prepares" if task.prepare.rehearsal is None else "prepares a REHEARSAL, without real data"
        log.info("session %s: worker %d %s", self._session, os.getpid(), "goes on" if task.resumed else what)
        if task.resumed and self._is_over():
            return
        identity = Identity(task.federation, task.member, Path(task.key))
        approved = self._approved()
        compare(approved, task.prepare)
        seat = self._seat(identity, approved)
        check_places(approved.spec, task.federation, seat.who)
        lasting = approved.spec.lasting and seat.rehearsal is None
        if lasting:
            self._prepare_to_last(seat)
        self._tell_ready(approved, lasting=lasting)
        if not (lasting and self._place.started):
            self._await_start(seat, lasting=lasting)
        if lasting:
            self._last(seat)
            return
        if self._room is not None:
            self._room.charge()
        outcome, report = seat.take_part(self._doorway)
        self._leave(seat, outcome, report)
        self._desk.send(Finished(report=report))

    def _approved(self) -> Approved:
        task = self._task
        if self._room is not None:
            return self._room.admit()
        return find(spec_name(task.prepare), Path(task.specs), task.federation)

    def _leave(self, seat: Seat, outcome: Outcome, report: Report) -> None:
        """Write down what the member takes away; the same if it is done again."""
        approved, task = seat.approved, self._task
        if self._room is not None:
            self._room.leave(approved, seat.me, outcome)
            return
        if not report.rehearsal:
            keep_shares(self._vault, approved, seat.me, self._session, outcome)
            write_results(self._results, approved, self._session, outcome)
            write_openings(Path(task.home), task.member, self._session, seat.inputs)

    # ---- sessions that survive this process

    @property
    def _place(self) -> Place:
        return Place(Path(self._task.home), self._task.member, self._session)

    def _is_over(self) -> bool:
        """Whether nothing is left to do but what we were killed over: to erase the rest."""
        end, place = self._place.end, self._place
        if end is None or not (place.erased or isinstance(end, Failure)):
            return False
        folder = self._task.fence
        place.erase(Fence(self._session, self._task.member, None if folder is None else Path(folder)))
        self._desk.send(end)
        return True

    def _await_start(self, seat: Seat, *, lasting: bool) -> None:
        try:
            self._desk.await_start(seat.approved.spec.timeouts.join)
        except BaseException:
            if lasting:  # nothing was said yet, and nothing is to be taken up
                self._place.abandon()
                if seat.approved.spec.delivery == "queued":
                    remove_inbox(seat.identity, self._session)
            raise

    def _check_cancelled(self) -> None:
        self._desk.check()
        if self._place.cancelled:
            raise UserError("cancelled by the coordinator")

    def _prepare_to_last(self, seat: Seat) -> None:
        if self._place.end is not None and not self._task.resumed:
            raise UserError(f"session {self._session} has ended already; every run needs an id of its own")
        if seat.approved.spec.delivery == "queued":
            provision(seat.identity, seat.approved.spec, self._session)
        if not self._task.resumed:
            self._place.begin(self._task)

    def _last(self, seat: Seat) -> None:
        """Run a lasting session as far as it goes."""
        task, place = self._task, self._place
        place.start()
        self._begun = True
        seat.pulse = self._check_cancelled

        def result(outcome: Outcome, report: Report) -> None:
            self._leave(seat, outcome, report)
            place.note_end(Finished(report=report))
            self._desk.send(Finished(report=report))

        lasting = Lasting(
            seat,
            place,
            Path(task.home),
            result,
            task.fence,
            task.visit if seat.approved.spec.delivery == "queued" else None,
            insecure_session_seed_for_tests=task.insecure_session_seed_for_tests,
        )
        if lasting.take_part(self._doorway) == "suspended":
            self._desk.send(Suspended())

    def _seat(self, identity: Identity, approved: Approved) -> Seat:
        seat = Seat(identity, approved, self._session)
        seat.progress, seat.pulse = throttled(self._desk.tell_progress), self._desk.check
        asked = self._task.prepare.rehearsal
        if asked is not None:  # no file of data and no kept share is opened on this path
            seat.rehearsal = check_rows(approved.spec, asked)
            seat.inputs = made_up_inputs(approved.spec, identity.name, seat.rehearsal)
            return seat
        who = roster(approved.spec)
        seat.inputs = prepare_inputs(approved.spec, identity.name, self._task.data)
        seat.store = self._stock(approved, who.index(identity.name))
        if self._room is not None:
            seat.stored = self._room.stored(approved)
            return seat
        found = kept_inputs(approved.spec, who, who.index(identity.name), self._vault)
        seat.stored = stored_inputs(approved.spec, found)
        return seat

    def _stock(self, approved: Approved, me: int) -> Shelf | None:
        """The tuples of this session's parties, if there are any; leased, if no other session uses them."""
        spec = approved.spec
        if me >= len(spec.parties) or spec.dealer is not None:
            return None
        group = Group(
            parties=spec.parties, protocol=spec.protocol.name, threshold=spec.threshold, security=spec.security
        )
        fence = None if self._task.fence is None else Path(self._task.fence)
        shelf = Shelf(Path(self._task.home), self._task.member, group, fence)
        if not shelf.exists():
            return shelf if spec.lasting else None  # where it lasts, there may be one when it goes on
        if not shelf.lease(_LEASE_SECONDS, self._session if spec.lasting else ""):
            log.info("session %s: another session uses the stock of tuples; they are made while it runs", self._session)
        return shelf

    @property
    def _vault(self) -> Vault:
        return Vault(Path(self._task.home), self._task.member)

    @property
    def _results(self) -> Path:
        return results_path(Path(self._task.home), self._task.member, self._session)

    def _tell_ready(self, approved: Approved, *, lasting: bool) -> None:
        spec = approved.spec
        self._desk.send(
            Ready(
                spec_name=spec.name,
                spec_digest=approved.digest,
                spec=self._task.prepare.spec,  # equal to our own copy by now
                participants=roster(spec).participants,
                rehearsal=self._task.prepare.rehearsal,
                lasting=lasting,
                started=lasting and self._place.started,
            )
        )
