"""What a durable session does as time passes: acknowledge, ask for what is missing, give signs of life, give up."""

from __future__ import annotations

from collections.abc import Iterable

from quorate.durable.execution import Execution
from quorate.durable.peer import Peer
from quorate.durable.state import State
from quorate.engine.names import Name
from quorate.errors import PeerTimeout

__all__ = ["Timers"]


class Timers:
    """See the module.

    Attributes:
        wakeup: when `tick` is to be called next, if nothing arrives before.
    """

    def __init__(self, state: State, execution: Execution) -> None:
        self.wakeup = self._next_alive = 0.0
        self._state, self._execution = state, execution

    def begin(self) -> None:
        """The first signs of life are due at once."""
        self.wakeup = self._next_alive = self._state.now

    def tick(self) -> None:
        """Decide what peers are to be told or asked; close the session if nobody needs it any more."""
        state = self._state
        eager = any(peer.unsaid >= state.limits.acknowledge for peer in state.peers.values())
        if state.now >= self.wakeup or eager:
            self._remind()
            self.wakeup = state.now + state.limits.mindful
        if state.phase == "done" and (state.now > state.limits.deadline or all(map(_over, state.peers.values()))):
            state.phase = "closed"

    def _remind(self) -> None:
        state, now, limits = self._state, self._state.now, self._state.limits
        waited = {index for index, _ in self._execution.party.waiting()} if state.phase == "running" else set()
        alive = limits.alive is not None and now >= self._next_alive
        if alive:
            self._next_alive = now + (limits.alive or 0.0)
        for peer in state.peers.values():
            due = now - max(peer.fed, peer.asked) >= limits.nudge
            lacking = due and (peer.index in waited or peer.tail > peer.settled or peer.channel is None)
            if lacking:
                peer.asked = now
            peer.want |= lacking
            peer.greet |= lacking and peer.channel is None
            peer.say |= lacking or peer.unsaid > 0 or (alive and not peer.done)

    def check(self) -> None:
        """Raises `PeerTimeout` if the session takes too long, or a peer that we wait for is silent for too long."""
        state, limits = self._state, self._state.limits
        awaited: dict[int, Name] = {}
        for index, name in self._execution.party.waiting():
            awaited.setdefault(index, name)
        if state.now > limits.deadline:
            raise PeerTimeout(
                "the session did not end in its time (timeouts.session in the spec): waiting for "
                f"{self._people(awaited)}{self._steps(awaited.values())}"
            )
        silent = {
            index: name
            for index, name in awaited.items()
            if state.now - max(state.peers[index].heard, state.began) >= limits.silence
        }
        if silent and self._execution.party.lacking(set(silent)):
            raise PeerTimeout(
                f"no message from {self._people(silent)} for {limits.silence:g} s{self._steps(silent.values())}; "
                "check that its node runs and that the network or broker between you works, then start a new session"
            )

    def _people(self, indices: Iterable[int]) -> str:
        return " and ".join(sorted(self._state.seat.names[index] for index in indices)) or "our own work"

    def _steps(self, names: Iterable[Name]) -> str:
        steps = sorted({self._state.scope.describe(name) for name in names})
        return f" at {' and '.join(steps)}" if steps else ""


def _over(peer: Peer) -> bool:
    """Neither of us needs anything more of the other, and both know."""
    return peer.done or (peer.acked == peer.sent and peer.channel is not None and peer.settled >= peer.tail > 0)
