"""One run of the laboratory: processes that start, take turns, are killed and start again, in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from quorate.errors import EnvironmentFault, QuorateError
from quorate.testing.faults.events import Choices, Event, Timeline
from quorate.testing.faults.ledger import Ledger, Violation
from quorate.testing.faults.network import Arrival, Link, carriage
from quorate.testing.faults.plan import Cut, FullDisk, Plan, Wipe
from quorate.testing.faults.process import Core, Killed, Life
from quorate.testing.faults.rig import Outcome, Place, Rig
from quorate.transport.carrier import Parcel

__all__ = ["Run"]

EVENTS = 2_000_000
LINGER = 30.0
_OVER = ("done", "closed", "failed")


class Seat:
    """One participant: its processes, one at a time, and what they share.

    Attributes:
        core: of the process that runs; None while there is none.
        ended: state, result and failure, once it came to an end; it may be killed after that, and end again.
    """

    def __init__(self, index: int, life: Life) -> None:
        self.index = index
        self.life = life
        self.core: Core | None = None
        self.ended: tuple[str, Any, str] | None = None
        self.inbox: list[Arrival] = []
        self.next: Event | None = None
        self.busy = 0.0
        self.unconfirmed = False
        self.starts = 0

    def place(self) -> str:
        """Where it is, for messages."""
        if self.core is None:
            return f"is down ({self.life.to_come} kills to come)"
        return f"is {self.core.state}, {self.life.lived} points, wakes at {self.core.wakeup}"


class Run:
    """A rig under a plan, once."""

    def __init__(self, rig: Rig, plan: Plan, patience: float) -> None:
        self.rig, self.plan, self.patience = rig, plan, patience
        self.timeline = Timeline()
        self.ledger = Ledger()
        self.said: Counter[int] = Counter()
        cuts = [fault for fault in plan.faults if isinstance(fault, Cut)]
        self.carriage = carriage(self.timeline, plan.network, plan.seed, cuts)
        self.seats = [Seat(index, self._life(index)) for index in range(rig.size)]
        self.kills = 0
        self.refused: list[str] = []
        self.last_fault = max((cut.end for cut in cuts), default=0.0)

    def _life(self, index: int) -> Life:
        full = [f for f in self.plan.faults if isinstance(f, FullDisk) and f.participant == index]
        return Life(self.plan.kills(index), full, lambda: self.said[index], self.rig.covered)

    # ---- the run as a whole

    def play(self) -> Outcome:
        """Until everybody is at an end; then who has not left starts once more, and must be where it was."""
        for fault in self.plan.faults:
            if isinstance(fault, Wipe):
                self.last_fault = max(self.last_fault, fault.moment)
                self.timeline.at(fault.moment, "everything under way is lost", self.carriage.wipe)
        for seat in self.seats:
            self._plan_start(seat, 0.0)
        self._until_over()
        lived = [seat.life.lived for seat in self.seats]
        self._linger()
        outcome = self._outcome(lived)
        self._start_again(outcome)
        return outcome

    def _until_over(self) -> None:
        while not all(seat.ended is not None for seat in self.seats):
            if self.timeline.now > self.last_fault + self.patience:
                raise Violation("no progress", f"no end {self.patience:g} s after the last fault: {self._where()}")
            if self.timeline.happened > EVENTS or not self.timeline.step():
                raise Violation("no progress", f"nothing would ever happen any more: {self._where()}")

    def _linger(self) -> None:
        """Let them finish: whoever learns that nobody needs it any more leaves."""
        until = self.timeline.now + LINGER
        while self.timeline.now < until and any(seat.core is not None or seat.ended is None for seat in self.seats):
            if not self.timeline.step():
                return
        self._until_over()

    def _outcome(self, lived: list[int]) -> Outcome:
        ends = [seat.ended or ("running", None, "") for seat in self.seats]
        states, results, failures = (list(part) for part in zip(*ends, strict=True))
        return Outcome(
            states,
            results,
            failures,
            lived=lived,
            syncing=[[point for point in seat.life.syncing if point < lived[seat.index]] for seat in self.seats],
            kills=self.kills,
            stale=[seat.life.stale for seat in self.seats],
            seconds=self.timeline.now,
            ledger=self.ledger,
            counts=self.carriage.counts,
            refused=self.refused,
        )

    def _start_again(self, outcome: Outcome) -> None:
        """After the end processes restart: an aborted session stays aborted, a result stays what it is."""
        again = [seat for seat in self.seats if outcome.states[seat.index] != "closed"]
        for seat in again:
            self._bury(seat)
            seat.ended = None
            self._note_fault(1.0)
            self._plan_start(seat, 1.0)
        self._until_over()
        for seat in again:
            before, result = outcome.states[seat.index], outcome.results[seat.index]
            state, value, why = seat.ended or ("running", None, "")
            if (state == "failed") != (before == "failed"):
                text = f"participant {seat.index} was {before}, and is {state} after a restart; {why}"
                raise Violation("came back", text)
            if state != "failed" and not self.rig.equal(value, result):
                raise Violation("another result", f"participant {seat.index} has another result after a restart")

    # ---- one participant

    def _plan_start(self, seat: Seat, delay: float) -> None:
        """In place of a turn, or of another start, that was planned."""
        if seat.next is not None:
            seat.next.cancel()
        label = f"participant {seat.index} starts"
        seat.next = self.timeline.after(delay, label, partial(self._guarded, seat, partial(self._start, seat)))

    def _guarded(self, seat: Seat, action: Callable[[], None]) -> None:
        """Do something that may be the end of a process."""
        try:
            action()
        except Killed:
            self.kills += 1
            self._bury(seat)
            seat.ended = None
            kill = seat.life.buried()
            self._note_fault(kill.down)
            self._plan_start(seat, kill.down)
        except (EnvironmentFault, OSError) as problem:
            filled, seat.life.filled = seat.life.filled, None
            if filled is not None:
                self._bury(seat)
                seat.ended = None
                self._note_fault(filled.seconds)
                self.timeline.after(filled.seconds, f"room for {seat.index}", partial(self._make_room, seat))
                self._plan_start(seat, filled.seconds)
            elif isinstance(problem, EnvironmentFault):
                self._refuse(seat, problem)
            else:
                raise
        except QuorateError as problem:
            self._refuse(seat, problem)

    def _refuse(self, seat: Seat, problem: QuorateError) -> None:
        """The process ends with an error, for good."""
        self._bury(seat)
        seat.ended = ("failed", None, f"{type(problem).__name__}: {problem}")

    def _note_fault(self, seconds: float) -> None:
        self.last_fault = max(self.last_fault, self.timeline.now + seconds)

    def _make_room(self, seat: Seat) -> None:
        seat.life.disk.room = None

    def _bury(self, seat: Seat) -> None:
        self.carriage.detach(seat.index)
        self.ledger.forget(seat.index)
        seat.core = None
        seat.inbox.clear()
        seat.unconfirmed = False
        seat.life.disk.release()
        if seat.next is not None:
            seat.next.cancel()
        seat.next = None

    def _start(self, seat: Seat) -> None:
        seat.life.point("start")
        seat.starts += 1
        fresh = Choices(self.plan.seed, f"start {seat.starts} of {seat.index}")
        seat.core = self.rig.start(seat.index, Place(seat.life.disk, fresh, self.ledger))
        seat.core.begin(self.timeline.now)
        if seat.core.state != "failed":
            self.carriage.attach(seat.index, partial(self._arrived, seat), partial(self._connected, seat))
        self._turn(seat)

    def _arrived(self, seat: Seat, arrival: Arrival) -> None:
        seat.inbox.append(arrival)
        self._wake(seat, self.timeline.now)

    def _connected(self, seat: Seat, peer: int) -> None:
        if seat.core is not None:
            seat.core.connected(peer)
            self._wake(seat, self.timeline.now)

    def _wake(self, seat: Seat, moment: float) -> None:
        if seat.next is not None:
            seat.next.cancel()
        label = f"participant {seat.index} goes on"
        turn = partial(self._guarded, seat, partial(self._turn, seat))
        seat.next = self.timeline.at(max(moment, seat.busy), label, turn)

    def _turn(self, seat: Seat) -> None:
        """What the loop around a core does once: take, run, commit, send, acknowledge."""
        core, life, now = seat.core, seat.life, self.timeline.now
        if core is None:
            return
        if seat.next is not None:
            seat.next.cancel()
        seat.next = None
        if seat.unconfirmed and not self.carriage.unconfirmed(seat.index):
            seat.unconfirmed = False
            core.handed_over()
        arrivals, seat.inbox = seat.inbox, []
        for arrival in arrivals:
            core.take(arrival.parcel.body, arrival.ticket, now)
        life.point("run")
        core.run(now)
        before = life.disk.syncs
        life.point("commit")
        core.commit()
        life.point("committed")
        network = self.plan.network
        lag = (life.disk.syncs - before) * network.sync * network.slow_sync.get(seat.index, 1.0)
        seat.busy = now + lag
        for receiver, parcel in core.outgoing():
            life.point(f"send {parcel.ident}")
            self._send(seat, receiver, parcel, lag)
            seat.unconfirmed = True
        life.point("acknowledge")
        self._acknowledge(seat, core)
        life.point("acknowledged")
        self._rest(seat, core)

    def _acknowledge(self, seat: Seat, core: Core) -> None:
        refusals = core.refusals()
        self.refused += [f"participant {seat.index}: {reason}" for _, reason in refusals]
        tokens = [*core.receipts(), *(token for token, _ in refusals)]
        self.carriage.acknowledge(seat.index, [token for token in tokens if isinstance(token, int)])

    def _rest(self, seat: Seat, core: Core) -> None:
        if core.state != "running":
            seat.ended = (core.state, None if core.state == "failed" else core.result, core.failure)
        if seat.inbox or core.busy:
            self._wake(seat, seat.busy)
        elif core.state == "closed":
            self.carriage.leave(seat.index)  # nobody needs it any more
            seat.core, seat.next = None, None
            seat.life.disk.release()
        elif core.wakeup is not None:
            self._wake(seat, core.wakeup)

    def _send(self, seat: Seat, receiver: int, parcel: Parcel, lag: float) -> None:
        for path in seat.life.disk.unsynchronised():
            if self.rig.covered(path) and seat.index not in self.rig.corrupt:
                raise Violation("said too early", f"participant {seat.index} sends {parcel.ident}, {path} not durable")
        link = Link(seat.index, receiver)
        honest = seat.index not in self.rig.corrupt
        for sighting in self.rig.sightings(link, parcel) if honest else ():
            if sighting.kind == "greeting" and seat.life.born_again:
                continue  # with other keys; whoever was greeted before ends the session
            known = self.ledger.positions[sighting.kind]
            if sighting.kind == "message" and not seat.life.born_again:
                self.ledger.confirm(seat.index)
            self.ledger.note(sighting)
            if sighting.kind == "message":
                self.said[seat.index] += self.ledger.positions[sighting.kind] - known
        self.carriage.send(link, parcel, lag)

    # ---- for messages

    def _where(self) -> str:
        return "; ".join(f"participant {seat.index} {seat.place()}" for seat in self.seats)

    def story(self) -> str:
        """The last events, and the last points of every participant."""
        lines = [f"  {moment:10.4f} {label}" for moment, label in self.timeline.recent]
        lines += [f"  participant {seat.index}: {', '.join(list(seat.life.labels)[-8:])}" for seat in self.seats]
        return "\n".join(["last events, virtual seconds:", *lines])
