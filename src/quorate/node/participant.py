"""Outside data owners and recipients: wait for a session at the parties' nodes, and take part in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quorate.coordination.federation import Member
from quorate.coordination.program import Outcome
from quorate.coordination.roster import roster
from quorate.coordination.spec import decode_spec, differences
from quorate.coordination.synthetic import check_rows
from quorate.data.prepare import Prepared
from quorate.errors import AgreementError, EnvironmentFault, PeerError, PeerTimeout, QuorateError, UserError
from quorate.node.approval import Approved, compare, made_up_inputs, prepare_inputs, spec_name
from quorate.node.client import hosts
from quorate.node.control import Control, call, dial
from quorate.node.identity import Identity
from quorate.node.invitation import Invitation, check_invitation, invitations_queue, opened
from quorate.node.lasting import Lasting
from quorate.node.messages import Await, Differs, Finished, Found, Report, Response
from quorate.node.place import Place, begun
from quorate.node.results import default_home, results_path, write_openings, write_results
from quorate.node.routes import check_places, inbox_of, opener
from quorate.node.seat import Seat
from quorate.transport.carrier import Carrier, Delivery, Queue

__all__ = ["Participant", "check_outside"]

_POLL_SECONDS = 20.0
_RETRY_SECONDS = 1.0


@dataclass
class Participant:
    """A member without a node of its own in this spec, with its data checked and ready.

    Attributes:
        identity: who we are.
        approved: our own copy of the spec and plan.
        inputs: our data by input.
        on_wait: called with a sentence for people when there is something to wait for.
        progress: called with (operations done, operations in all).
        pulse: called about once a second during the session; ends it by raising.
        rehearses: it takes part in rehearsals only, with made-up data; otherwise in none.
        rehearsal: the rows of every input in the rehearsal, once they are known.
        folder: where to keep what a later process needs; by default `default_home` beside the spec.
        insecure_session_seed_for_tests: see `quorate.node.lasting`.
    """

    identity: Identity
    approved: Approved
    inputs: Mapping[str, Prepared] = field(repr=False)
    on_wait: Callable[[str], None] | None = None
    progress: Callable[[int, int], None] | None = None
    pulse: Callable[[], None] | None = None
    rehearses: bool = False
    rehearsal: Mapping[str, int] | None = None
    folder: Path | None = None
    insecure_session_seed_for_tests: str = ""

    @classmethod
    def ready(cls, identity: Identity, approved: Approved, data: Mapping[str, str]) -> Participant:
        """Check role and data; `data` is input -> path.

        Raises:
            UserError: the member takes no outside part in this spec, or a file is missing.
            DataError: the data does not fit the spec.
        """
        check_outside(identity.name, approved)
        return cls(identity, approved, prepare_inputs(approved.spec, identity.name, data))

    @classmethod
    def rehearsing(cls, identity: Identity, approved: Approved, rows: Mapping[str, int] | None = None) -> Participant:
        """Check the role; the data is made up, for `rows` or what the coordinator says. Raises as `ready`."""
        check_outside(identity.name, approved)
        made = cls(identity, approved, {}, rehearses=True)
        if rows is not None:
            made._make_up(rows)
        return made

    def _make_up(self, rows: Mapping[str, int]) -> None:
        self.rehearsal = check_rows(self.approved.spec, rows)
        self.inputs = made_up_inputs(self.approved.spec, self.identity.name, rows)

    def join(self, patience: float | None = None) -> tuple[Outcome, Report]:
        """Wait for a session (at most `patience` seconds) and take part in it.

        Raises:
            AgreementError: the session that waits is of another version of the spec.
            EnvironmentFault: no session was started in time.
            QuorateError: as the session ends.
        """
        session = self.unfinished()
        if session is not None:
            self._wait(f"taking up session {session} again ...")
        return self.take_part(session or self.await_session(patience))

    def take_part(self, session: str) -> tuple[Outcome, Report]:
        """Take part in a session that is known to be started; in a lasting one, go on where we were."""
        seat = Seat(self.identity, self.approved, session, self.inputs)
        seat.progress, seat.pulse, seat.rehearsal = self.progress, self.pulse, self.rehearsal
        check_places(self.approved.spec, self.identity.federation, seat.who)
        if self.approved.spec.lasting and not self.rehearses:
            return self._last(seat, None)
        result = seat.take_part(None)
        if not self.rehearses:
            write_openings(self.home, self.identity.name, session, self.inputs)
        return result

    # ---- lasting sessions

    @property
    def home(self) -> Path:
        """Where we keep what a later process needs."""
        return self.folder or default_home(self.approved.path)

    def _last(self, seat: Seat, visit: float | None) -> tuple[Outcome, Report]:
        """Take part until we have our result and nobody needs us, or on a visit nothing more comes.

        Raises:
            PeerTimeout: the visit is over before the result is there.
        """
        found: list[tuple[Outcome, Report]] = []
        place = Place(self.home, self.identity.name, seat.session)

        def result(outcome: Outcome, report: Report) -> None:
            found.append((outcome, report))
            where = results_path(self.home, self.identity.name, seat.session)
            write_results(where, seat.approved, seat.session, outcome)
            write_openings(self.home, self.identity.name, seat.session, seat.inputs)
            place.note_end(Finished(report=report))

        seed = self.insecure_session_seed_for_tests
        Lasting(seat, place, self.home, result, visit=visit, insecure_session_seed_for_tests=seed).take_part(None)
        if not found:
            raise PeerTimeout(f"session {seat.session} waits for others; come again with the same command")
        return found[-1]

    def unfinished(self) -> str | None:
        """A session of our spec that we began and that is not over; the oldest."""
        for place in begun(self.home, self.identity.name):
            if place.spec_of() == self.approved.digest:
                return place.session
        return None

    def visit(self, idle: float) -> tuple[Outcome, Report]:
        """Do our part in the session that waits for us, in one that we began or are invited to, and leave.

        Raises:
            EnvironmentFault: there is none.
            PeerTimeout: our part is done as far as it goes, and others have to do theirs; come again.
        """
        session = self.unfinished() or self._invited()
        if session is None:
            raise EnvironmentFault(
                f"nobody has invited {self.identity.name} to a session of {self.approved.spec.name!r} yet"
            )
        return self._last(Seat(self.identity, self.approved, session, self.inputs, progress=self.progress), idle)

    def _invited(self) -> str | None:
        """The session of the oldest invitation to our spec; it is taken out of the queue once it has begun here."""
        queue = invitations_queue(self.identity.name)
        carrier = opener(self.identity, inbox_of(self.identity.member))()
        try:
            if not carrier.depth(queue):
                return None
            for delivery in _one_by_one(carrier, queue):
                try:
                    invitation = opened(delivery.parcel.body, Invitation, self.identity.federation)
                    check_invitation(invitation, self.identity.federation)
                    mine = spec_name(invitation.prepare) == self.approved.spec.name
                except QuorateError as problem:
                    self._wait(f"an invitation was refused: {problem}")
                    carrier.reject(delivery, str(problem))
                    continue
                if not mine:
                    continue  # another command of ours takes it
                try:
                    compare(self.approved, invitation.prepare)
                except QuorateError as problem:
                    carrier.reject(delivery, str(problem))
                    raise
                place = Place(self.home, self.identity.name, invitation.session)
                if place.end is None:
                    place.open(self.approved.digest).close()
                carrier.acknowledge([delivery])
                if place.end is None:
                    return invitation.session
        finally:
            carrier.close()
        return None

    def await_session(self, patience: float | None = None) -> str:
        """The id of the next session in which we take part; errors as `join`.

        The first party's node is asked: it tells each of its sessions once, so that two runs of one spec do not mix.
        """
        deadline = None if patience is None else time.monotonic() + patience
        control: Control[Response] | None = None
        try:
            while deadline is None or time.monotonic() < deadline:
                try:
                    control = control or dial(self.identity, self._first)
                    session = self._ask(control, deadline)
                except (EnvironmentFault, PeerError) as problem:
                    if isinstance(problem, PeerError) and not self.approved.spec.lasting:
                        raise
                    if control is not None:
                        control.close()
                    control = None
                    self._wait(f"waiting for the node of {self._first.name}: {problem}")
                    time.sleep(_RETRY_SECONDS)
                    continue
                if session is not None and not self._was_over(session):
                    return session
        finally:
            if control is not None:
                control.close()
        raise EnvironmentFault(
            f"no session of {self.approved.spec.name!r} was started within {patience:g} s; ask the coordinator"
        )

    def _was_over(self, session: str) -> bool:
        """Whether we have done our part in a session that others are still busy with."""
        place = Place(self.home, self.identity.name, session)
        over = place.end is not None and place.erased
        if over:
            time.sleep(_RETRY_SECONDS)
        return over

    @property
    def _first(self) -> Member:
        return self.identity.federation.member(hosts(self.approved.spec)[0])

    def _ask(self, control: Control[Response], deadline: float | None) -> str | None:
        what = "rehearse" if self.rehearses else "start"
        self._wait(f"waiting for the coordinator to {what} {self.approved.spec.name!r} ...")
        left = _POLL_SECONDS if deadline is None else max(0.1, min(_POLL_SECONDS, deadline - time.monotonic()))
        question = Await(
            spec_name=self.approved.spec.name,
            spec_digest=self.approved.digest,
            seconds=left,
            rehearsal=self.rehearses,
        )
        answer = call(control, question, left + _POLL_SECONDS)
        if isinstance(answer, Differs):
            raise AgreementError(self._difference(control.peer, answer))
        if not isinstance(answer, Found):
            raise PeerError(f"{control.peer} gave an answer that does not fit the question; compare releases")
        if answer.session is not None and self.rehearses != (answer.rehearsal is not None):
            raise PeerError(f"{control.peer} named a rehearsal where a run was asked for, or the other way round")
        if answer.rehearsal is not None:
            self._make_up(answer.rehearsal)
        return answer.session

    def _difference(self, peer: str, answer: Differs) -> str:
        theirs = decode_spec(answer.spec.encode(), f"the spec of {peer}")
        lines = differences(self.approved.spec, theirs) or ["the plan, which was compiled from another source"]
        name = self.approved.spec.name
        return f"{peer} runs another version of {name!r} than our copy (here); they differ in: {'; '.join(lines)}"

    def _wait(self, sentence: str) -> None:
        if self.on_wait is not None:
            self.on_wait(sentence)


def check_outside(name: str, approved: Approved) -> None:
    """Raises `UserError` unless the member is an owner or recipient that is neither party nor dealer."""
    index = roster(approved.spec).index(name)
    if name in hosts(approved.spec):
        role = "a party" if index < len(approved.spec.parties) else "the dealer"
        raise UserError(
            f"{name} is {role} of this spec and takes part through its node; start that with 'quorate node', with its "
            "data as --data"
        )


def _one_by_one(carrier: Carrier, queue: Queue) -> Iterator[Delivery]:
    """What lies in a queue, each handed out when it is looked at: what we do not get to keeps its count of tries."""
    while deliveries := carrier.consume(queue, 1, 0.0):
        yield from deliveries
