"""One participant of a durable session as a pure state machine: it does no I/O but for its log.

Whoever drives it (`quorate.durable.conduct`, or a simulation) repeats:

    core.take(data, token, now)          # for every parcel that has arrived
    core.run(now)                        # the party goes on as far as it can
    core.commit()                        # now everything that happened is durable
    core.outgoing()                      # parcels to carry
    core.settled(), core.refused()       # parcels that may be acknowledged to their carrier, and those of no use

Nothing that depends on an event leaves before that event is committed. After a crash the same log gives the same
state: the party runs again on the messages that were received and makes the same messages; each is compared with the
digest of what was made before (`InternalError` if it differs, and nothing leaves). What peers have not acknowledged is
sent again, byte for byte.

Its parts: `execution` runs the party and logs its messages, `receiver` and `sender` are the two halves of the channels,
`acknowledgements` says what carriers may forget, `timers` what is due; `state` is what they share.

Sources: pessimistic message logging (Strom, Yemini, TOCS 1985; Elnozahy et al., ACM Computing Surveys 2002), here with
the sender's copies recomputed. Why replay tells nothing: docs/explanation/durability.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from quorate.durable import history, records
from quorate.durable.acknowledgements import Acknowledgements
from quorate.durable.execution import Execution, Schedule
from quorate.durable.facts import Evidence, Limits, Membership, Spent
from quorate.durable.keys import Keys, derive
from quorate.durable.peer import Peer
from quorate.durable.receiver import Receiver, Unusable
from quorate.durable.records import Buffer, Log
from quorate.durable.sender import Sender
from quorate.durable.state import Phase, State
from quorate.durable.timers import Timers
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import EnvironmentFault, QuorateError
from quorate.transport.carrier import Parcel
from quorate.transport.conduct import with_names
from quorate.transport.frames import encode_failure

__all__ = ["Core", "Program"]

Program = Callable[[bytes, bytes | None], Step[Any]]
"""Makes the party's program from its seed and from what it saved at the last checkpoint, if it did."""


class Core:
    """See the module.

    Attributes:
        problem: why the session failed.
    """

    def __init__(
        self,
        seat: Membership,
        program: Program,
        log: Log,
        limits: Limits,
        *,
        scope: Scope,
        seed: bytes,
        schedule: Schedule | None = None,
        waiting: Callable[[int], int] = lambda _: 0,
    ) -> None:
        """
        Args:
            scope: the root of the program's names, for messages to people.
            seed: 32 fresh random bytes, used if the log is empty.
            schedule: told of every message that the party takes or makes.
            waiting: bytes that wait to be carried to a peer.
        """
        self.problem: QuorateError | None = None
        self._program, self._fresh_seed = program, seed
        self._state = State(seat, limits, scope, log)
        self._acknowledgements = Acknowledgements()
        self._execution = Execution(self._state, schedule)
        self._sender = Sender(self._state, waiting)
        self._receiver = Receiver(self._state, self._acknowledgements, self._execution, self._sender)
        self._timers = Timers(self._state, self._execution)

    # ---- how it stands

    @property
    def seat(self) -> Membership:
        """The fixed facts of our place."""
        return self._state.seat

    @property
    def state(self) -> Phase:
        """ "running", "done" (we have our result; peers may still need us), "closed" (nobody does), "failed"."""
        return self._state.phase

    @property
    def party(self) -> Party:
        """The state machine of the program, after `begin`."""
        return self._execution.party

    @property
    def evidence(self) -> list[Evidence]:
        """Of peers that said two things."""
        return self._receiver.evidence

    @property
    def replayed(self) -> int:
        """Messages that were taken from the log at the beginning."""
        return self._execution.replayed

    @property
    def notes(self) -> Mapping[str, bytes]:
        """What the program learned outside, by label; secret."""
        return self._execution.notes

    @property
    def done_at(self) -> float:
        """When the party had ended, in this or an earlier process (Unix time)."""
        return self._execution.done_at

    @property
    def busy(self) -> bool:
        """Whether `run` has more to do at once."""
        return self._execution.busy

    @property
    def wakeup(self) -> float:
        """When `run` is to be called next, if nothing arrives before."""
        return self._timers.wakeup

    def transcript(self) -> str:
        """64 hexadecimal digits over all messages of ours and to us, see `history.transcript`."""
        return history.transcript(self.seat.me, self._state.peers.values()).hex()

    # ---- the beginning and the end

    def begin(self, now: float) -> None:
        """Start, or go on where the log ends.

        If it has failed before, if its time is over, or if now something else is computed than before, that is in
        `problem`.

        Raises:
            EnvironmentFault: the log cannot be read or written.
            QuorateError: the program cannot be made, and may be made later: the data of an input is not as it was.
        """
        state, seat = self._state, self.seat
        state.began = state.now = now
        self._timers.begin()
        state.peers = {index: Peer(index, seat.names[index], now) for index in seat.peers}
        past = history.read(state.log, state.peers)
        if past.ended:
            state.phase = "failed"
            state.peers = {}
            self.problem = EnvironmentFault(
                f"the session has failed before ({past.ended[:400]}), which is final: its keys must not be used again; "
                "start a new session"
            )
            return
        seed = self._introduce(past)
        self._execution.remember(past)
        party = Party(self._program(derive(seed, "party", seat.session.encode()), past.restored))
        try:
            self._execution.begin(party, past)
            if now > state.limits.deadline and state.phase == "running":
                self._timers.check()
        except QuorateError as problem:
            self._ended_by(problem)

    def _introduce(self, past: history.History) -> bytes:
        """Make or take up our keys, and the channels to peers that have greeted us; returns our seed."""
        state, seat = self._state, self.seat
        seed = past.seed or self._fresh_seed
        state.keys = Keys(seed, seat.session, seat.me)
        state.hello = past.hello or state.keys.greet(seat.spec, seat.signer)
        if not past.seed:
            state.log.append(records.SEED, seed, state.hello)
        for peer in state.peers.values():
            state.open_channel(peer)
            peer.say = True
        return seed

    def _ended_by(self, problem: QuorateError) -> None:
        """An error ends the session, unless it is one of this machine that can be mended: then raise it."""
        if isinstance(problem, EnvironmentFault) and not isinstance(problem, Spent):
            raise problem
        self.fail(problem)

    def fail(self, problem: QuorateError) -> None:
        """The session ends, for good; all peers are told at the next `outgoing`. Nothing happens after its result."""
        state = self._state
        if state.phase != "running":
            return
        named = with_names(str(problem), self.seat.names)
        self.problem = problem if named == str(problem) else type(problem)(named)
        state.phase = "failed"
        with contextlib.suppress(EnvironmentFault):  # a full disk; the fence says it too
            state.log.append(records.ENDED, named[:1000].encode())
        self._sender.farewell = encode_failure(self.problem)
        for peer in state.peers.values():
            peer.say = True

    # ---- the party goes on

    def run(self, now: float) -> None:
        """Let the party go on for a while, and look at the clock. What ends the session is in `problem` then.

        Raises:
            EnvironmentFault: this machine fails; a later process can go on.
        """
        self._state.now = now
        try:
            if self.state == "running":
                self._execution.advance()
                self._timers.check()
            self._timers.tick()
        except QuorateError as problem:
            self._ended_by(problem)

    def note(self, label: str, make: Callable[[], bytes]) -> bytes:
        """What `make` gave the first time it was asked for under `label`: for what comes from outside, such as tuples
        that are spent. Durable before it is used."""
        return self._execution.note(label, make)

    def setup_over(self) -> None:
        """The program has agreed on its keys: what it received so far it needs again after every restart."""
        self._execution.setup_over()

    def checkpoint(self, saved: Sequence[Buffer]) -> None:
        """A stage of the plan is over and everything rests: `saved` is all that the program needs to go on from here.

        It is written at the next `commit`, and what led to it is forgotten.
        """
        self._execution.checkpoint(saved)

    # ---- parcels come and go

    def take(self, data: bytes, token: object, now: float) -> None:
        """A parcel has arrived; `token` comes back through `settled` or `refused`. Raises as `run`."""
        self._take(data, token, now)
        while self._receiver.early:
            self._take(*self._receiver.early.popleft(), now)

    def _take(self, data: bytes, token: object, now: float) -> None:
        try:
            self._receiver.take(data, token, now)
        except Unusable as problem:
            self._acknowledgements.refuse([token], str(problem))
        except QuorateError as problem:
            self._acknowledgements.give_up(token)
            self._ended_by(problem)

    def commit(self) -> None:
        """Make everything durable that has happened. Raises `EnvironmentFault`: then nothing may leave."""
        self._state.log.commit()
        self._execution.write_checkpoint()
        self._acknowledgements.commit()
        self._sender.commit()

    def outgoing(self) -> Iterator[tuple[int, Parcel]]:
        """The parcels to carry now, by receiver, oldest first; call after `commit`, and carry all."""
        return self._sender.outgoing()

    def settled(self) -> list[object]:
        """Tokens of parcels that are safe with us, each once."""
        return self._acknowledgements.settled()

    def refused(self) -> list[tuple[object, str]]:
        """Tokens of parcels that are of no use, with the reason, each once."""
        return self._acknowledgements.refused()

    # ---- what the conductor knows

    def say_all(self) -> None:
        """We are about to leave for a while: every peer is to hear what we have of it."""
        for peer in self._state.peers.values():
            peer.say |= peer.unsaid > 0 or (self.state == "done" and not peer.done)

    def lost(self, index: int) -> None:
        """A connection to a peer was lost, and what was under way with it: everything goes again."""
        self._sender.repeat(self._state.peers[index])

    def handed_over(self) -> None:
        """Brokers keep all that has left so far: after a restart it need not be sent again without being asked for."""
        self._sender.handed_over()
