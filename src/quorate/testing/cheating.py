"""Parties that really cheat: every message of a small run is altered, dropped, replayed or swapped, one at a time.

runs = Cheating(World("rep3_malicious", seed=7), program)
for attempt in runs.attempts():
    runs.check(attempt)        # AssertionError unless the honest parties abort, or get what they get without cheating

The cheater's own program runs as it should, and what it sends is changed on the way, which gives the cheater all
knowledge of an honest sender and the power to send what it likes at one point of the protocol. `program` returns what
was opened to the participant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from quorate.engine.names import Name
from quorate.errors import IntegrityError, PeerError, QuorateError
from quorate.testing.world import Program, World

__all__ = ["TAMPERS", "Attempt", "Cheating", "Sent", "Tamper"]


class Sent(NamedTuple):
    """A message of the honest run: its place in the order of sending, the k-th of its name from this sender."""

    place: int
    sender: int
    receiver: int
    name: Name
    body: bytes


Tamper = Callable[[Sent, list[Sent]], bytes | None]
"""(message, all messages of the honest run) -> what is delivered instead, or None for nothing."""


class Attempt(NamedTuple):
    """One way to cheat: what is done to which messages."""

    how: str
    messages: tuple[Sent, ...]

    def __str__(self) -> str:
        first = self.messages[0]
        receivers = ", ".join(str(message.receiver) for message in self.messages)
        return (
            f"{self.how} message {first.place} of participant {first.sender} to {receivers} ({len(first.body)} bytes)"
        )


def _flip(place: float) -> Tamper:
    def tamper(message: Sent, _: list[Sent]) -> bytes | None:
        altered = np.frombuffer(message.body, np.uint8).copy()
        position = min(int(place * len(altered)), len(altered) - 1)
        altered[position] ^= 1 << (7 if place == 1 else message.place % 8)
        return altered.tobytes()

    return tamper


def _add_one(message: Sent, _: list[Sent]) -> bytes | None:
    """One unit more in the first word: for field elements and ring words a change that stays in range."""
    altered = np.frombuffer(message.body, np.uint8).copy()
    if len(altered) >= 8:
        altered[:8].view(np.uint64)[0] += np.uint64(1)
    else:
        altered[0] ^= 1
    return altered.tobytes()


def _another_representative(message: Sent, _: list[Sent]) -> bytes | None:
    """Seven times 2**61 - 1 more in every word: the same elements of the field, for whoever reduces what it gets."""
    whole = len(message.body) // 8 * 8
    words = np.frombuffer(message.body[:whole], np.uint64) + np.uint64(7 * ((1 << 61) - 1))
    return words.tobytes() + message.body[whole:]


def _drop(_: Sent, __: list[Sent]) -> bytes | None:
    return None


def _shorten(message: Sent, _: list[Sent]) -> bytes | None:
    return message.body[:-1]


def _replay(message: Sent, everything: list[Sent]) -> bytes | None:
    """What the sender had sent to the same receiver in an earlier step."""
    same = [other for other in everything[: message.place] if _alike(other, message, same_receiver=True)]
    return same[-1].body if same else message.body


def _swap_steps(message: Sent, everything: list[Sent]) -> bytes | None:
    """What the sender will send to the same receiver in a later step."""
    same = [other for other in everything[message.place + 1 :] if _alike(other, message, same_receiver=True)]
    return same[0].body if same else message.body


def _swap_parties(message: Sent, everything: list[Sent]) -> bytes | None:
    """What the sender sends to somebody else under the same name."""
    same = [other for other in everything if other.name == message.name and _alike(other, message, same_receiver=False)]
    return same[0].body if same else message.body


def _echo(message: Sent, everything: list[Sent]) -> bytes | None:
    """What the receiver sent to us, sent back: a rushing party that copies."""
    back = [
        other
        for other in everything[: message.place]
        if (other.sender, other.receiver) == (message.receiver, message.sender) and len(other.body) == len(message.body)
    ]
    return back[-1].body if back else message.body


def _alike(other: Sent, message: Sent, *, same_receiver: bool) -> bool:
    fits = other.sender == message.sender and len(other.body) == len(message.body)
    return fits and (other.receiver == message.receiver) is same_receiver


TAMPERS: dict[str, Tamper] = {
    "flip a bit at the start of": _flip(0.0),
    "flip a bit in the middle of": _flip(0.5),
    "flip the last bit of": _flip(1.0),
    "add one to": _add_one,
    "write otherwise the numbers of": _another_representative,
    "drop": _drop,
    "shorten": _shorten,
    "replay an earlier message instead of": _replay,
    "send a later message instead of": _swap_steps,
    "send another party's message instead of": _swap_parties,
    "send back a message instead of": _echo,
}


@dataclass
class Cheating:
    """All ways to cheat once in a run of `program`, and what comes of them.

    Attributes:
        world: with a fixed seed, so that runs are alike but for the cheating; not to be used for anything else.
        program: what participants run; small, because it is run once for every message and tamper.
        corrupt: who may cheat; everybody by default, which is too much where a dealer is trusted.
        outcomes: how often parties aborted by a check, by another error, or were not affected at all.
    """

    world: World
    program: Program
    corrupt: Collection[int] | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    _honest: list[Any] = field(default_factory=list)
    _sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._honest = self.world.play(self.program, self._listen)
        for participant, result in enumerate(self._honest):
            if isinstance(result, QuorateError):
                raise AssertionError(f"participant {participant} fails without cheating: {result}")

    def _listen(self, sender: int, receiver: int, name: Name, body: bytes) -> bytes:
        self._sent.append(Sent(len(self._sent), sender, receiver, name, body))
        return body

    def _corrupt(self, participant: int) -> bool:
        return self.corrupt is None or participant in self.corrupt

    @property
    def messages(self) -> list[Sent]:
        """Everything that was sent in the honest run, in order."""
        return self._sent

    def attempts(self, tampers: dict[str, Tamper] | None = None, every: int = 1) -> Iterator[Attempt]:
        """All attempts that change something, each on one message; and each on all messages of one name and sender.

        Args:
            tampers: what may be done, by name; `TAMPERS` by default.
            every: only every so many of the attempts, where all of them would take too long.
        """
        chosen = TAMPERS if tampers is None else tampers
        for number, attempt in enumerate(self._all_attempts(chosen)):
            if number % every == 0:
                yield attempt

    def _all_attempts(self, tampers: dict[str, Tamper]) -> Iterator[Attempt]:
        groups: dict[tuple[int, Name], list[Sent]] = {}
        for message in self._sent:
            groups.setdefault((message.sender, message.name), []).append(message)
        targets: list[tuple[Sent, ...]] = [(message,) for message in self._sent if self._corrupt(message.sender)]
        targets += [tuple(group) for (sender, _), group in groups.items() if len(group) > 1 and self._corrupt(sender)]
        for target in targets:
            for how, tamper in tampers.items():
                if any(tamper(message, self._sent) != message.body for message in target):
                    yield Attempt(how, target)

    def run(self, attempt: Attempt, tampers: dict[str, Tamper] | None = None) -> list[Any | QuorateError]:
        """What every participant gets, or the error that ends it."""
        tamper = (TAMPERS if tampers is None else tampers)[attempt.how]
        targets = {(message.sender, message.receiver, message.name) for message in attempt.messages}

        def intercept(sender: int, receiver: int, name: Name, body: bytes) -> bytes | None:
            if (sender, receiver, name) not in targets:
                return body
            message = next(m for m in attempt.messages if (m.receiver, m.name) == (receiver, name))
            return tamper(message._replace(body=body), self._sent)

        return self.world.play(self.program, intercept)

    def check(self, attempt: Attempt, tampers: dict[str, Tamper] | None = None) -> list[Any | QuorateError]:
        """Run an attempt; every honest participant must fail with an error that blames peers, or get what is right.

        Raises:
            AssertionError: an honest participant accepted something else, or failed as if it were its own fault.
        """
        ends = self.run(attempt, tampers)
        cheater, affected = attempt.messages[0].sender, False
        for participant, (end, wanted) in enumerate(zip(ends, self._honest, strict=True)):
            if participant == cheater:
                continue
            if isinstance(end, QuorateError):
                if not isinstance(end, PeerError):
                    raise AssertionError(f"{attempt}: participant {participant} fails with {end!r}")
                self.outcomes["check failed" if isinstance(end, IntegrityError) else "other abort"] += 1
                affected = True
            elif repr(end) != repr(wanted) or not _equal(end, wanted):
                raise AssertionError(
                    f"{attempt}: participant {participant} accepted a wrong result (seed {self.world.seed})"
                )
        if not affected:
            self.outcomes["no effect"] += 1
        return ends


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return one is None and other is None if one is None or other is None else bool(np.array_equal(one, other))
