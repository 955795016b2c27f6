"""Who is killed when: moments and victims that a seed determines, as far as a real machine can be determined."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from quorate.testing.chaos.crew import Hand
from quorate.testing.faults.events import Choices

__all__ = ["Blow", "Havoc"]


class Blow(msgspec.Struct, frozen=True, kw_only=True):
    """A kill that happened.

    Attributes:
        member: whose.
        what: "all": every process of it; "worker": the process that runs the session, which its node survives.
        after: seconds since the session was started.
        down: seconds until it was started again; a node starts workers again by itself.
        recovered: seconds from then until its first message left; None: none was left to send.
    """

    member: str
    what: str
    after: float
    down: float
    recovered: float | None = None


@dataclass
class Havoc:
    """Kills hands of a crew until `most` kills are done or `over` says that nothing is left to disturb.

    Attributes:
        hands: who may be killed.
        choices: what decides.
        mean: seconds between two kills, on average.
        most: kills, at most.
        workers: how often only a worker is killed, as a probability.
        may: whether kills are allowed by now.
    """

    hands: Sequence[Hand]
    choices: Choices
    mean: float
    most: int
    workers: float = 0.25
    may: Callable[[], bool] = lambda: True
    blows: list[Blow] = field(default_factory=list)
    restarts: list[tuple[int, float]] = field(default_factory=list)
    _down: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begun = time.monotonic()
        self._next = self._begun + self.choices.between(0.0, 2 * self.mean)

    def turn(self) -> None:
        """Kill if it is time, and start again who was down for long enough."""
        now = time.monotonic()
        for hand in self.hands:
            due = self._down.get(hand.name)
            if due is not None and now >= due:
                del self._down[hand.name]
                hand.start()
        if now >= self._next and len(self.blows) < self.most and self.may():
            self._strike(now)
            self._next = now + self.choices.exponential(self.mean)

    def down(self, hand: Hand) -> bool:
        """Whether a hand was killed and is not back yet."""
        return hand.name in self._down

    def restore(self) -> None:
        """Start everybody who is down."""
        for hand in self.hands:
            if self._down.pop(hand.name, None) is not None:
                hand.start()

    def _strike(self, now: float) -> None:
        victims = [hand for hand in self.hands if hand.alive and not self.down(hand)]
        if not victims:
            return
        hand = self.choices.pick(victims)
        after, workers = now - self._begun, hand.workers()
        if hand.serves and len(workers) > 0 and self.choices.chance(self.workers):
            hand.kill_worker(self.choices.pick(workers))
            self.blows.append(Blow(member=hand.name, what="worker", after=after, down=0.0))
            self.restarts.append((len(self.blows) - 1, time.time()))
            return
        pause = self.choices.pick((0.0, 0.0, 0.2, 1.0))
        hand.kill()
        self._down[hand.name] = now + pause
        self.blows.append(Blow(member=hand.name, what="all", after=after, down=pause))
        self.restarts.append((len(self.blows) - 1, time.time() + pause))

    def recovered(self, first_message: Callable[[str, float], float | None]) -> list[Blow]:
        """The blows with their recovery times; `first_message(member, moment)` is when one left after a moment."""
        found = []
        for index, moment in self.restarts:
            blow = self.blows[index]
            later = [when for other, when in self.restarts[index + 1 :] if self.blows[other].member == blow.member]
            left = first_message(blow.member, moment)
            if left is not None and later and left > later[0]:
                left = None  # it was killed again before it said anything
            found.append(msgspec.structs.replace(blow, recovered=None if left is None else max(0.0, left - moment)))
        return found
