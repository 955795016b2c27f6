"""What a protocol step asks of the outside world, and how steps are combined.

A step is a generator. It yields an `Exchange` (one round) or a `Fork` (independent work that need not run in step),
and is resumed when that is complete, which an exchange may be with the messages of some of its peers. Protocol code
does no I/O and knows no clock. `Spawn` and `Join` are the two halves of a fork, for schedulers. `Checkpoint` holds a
step until everything that runs beside it has come to rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy.typing as npt

from quorate.engine.names import Name
from quorate.engine.quorum import Quorum

__all__ = [
    "CHECK",
    "RELIEF",
    "SUPPLY",
    "Array",
    "Branch",
    "Buffers",
    "Checkpoint",
    "Exchange",
    "Fork",
    "Join",
    "Lockstep",
    "Request",
    "Spawn",
    "Step",
    "parallel",
]

T = TypeVar("T")
Array = npt.NDArray[Any]
Buffers = Sequence[Array]


class Exchange:
    """One round: arrays to send to peers, and arrays to be filled with what peers send under the same name.

    Attributes:
        name: unique name of the round; every party that takes part uses the same.
        sends: peer index -> C-contiguous arrays. They must not be written to afterwards.
        receives: peer index -> C-contiguous arrays, filled in place before the step is resumed.
        quorums: what has to be here before the step is resumed; None: everything.

    With `enough`, the step is resumed as soon as the messages of so many of the peers in `receives` are here. It is
    given a frozenset of the peers whose messages are, which may be more; all other arrays are not to be looked at, now
    or later. What comes too late is dropped. Who is there in time depends on the network, so whatever a step makes of
    the messages must be the same for every choice of peers: any t + 1 shares of one polynomial, copies of one word.

    Every party yields the same sequence of exchanges, empty ones included, so that rounds can be merged.
    """

    __slots__ = ("name", "quorums", "receives", "sends")

    def __init__(
        self,
        name: Name,
        sends: Mapping[int, Buffers] | None = None,
        receives: Mapping[int, Buffers] | None = None,
        enough: int | None = None,
    ) -> None:
        self.name = name
        self.sends: Mapping[int, Buffers] = sends or {}
        self.receives: Mapping[int, Buffers] = receives or {}
        self.quorums: tuple[Quorum, ...] | None = None
        if enough is not None:
            peers = frozenset(peer for peer, buffers in self.receives.items() if size_of(buffers))
            self.quorums = (Quorum(peers, min(enough, len(peers))),)


class Fork:
    """Independent steps that progress at their own pace, at most `width` at a time; resumes with their results.

    Used for the tiles of large vectors: while one tile waits for the network, the next one computes.
    """

    __slots__ = ("steps", "width")

    def __init__(self, steps: Sequence[Step[Any]], width: int = 8) -> None:
        self.steps = steps
        self.width = max(1, width)


class Spawn(Fork):
    """A fork that is not waited for: resumes at once with a `Branch`, to be joined later."""

    __slots__ = ()


class Branch(Protocol):
    """Steps under way beside the one that spawned them."""

    results: list[Any]


class Join:
    """Waits for a branch; resumes with the results of its steps."""

    __slots__ = ("branch",)

    def __init__(self, branch: Branch) -> None:
        self.branch = branch


class Checkpoint:
    """Holds a step until the party is at rest: every other step has ended, waits for one that has not, or is held too.

    Then the held requests of the lowest rank are served: `serve` of one of them runs alone, after which the steps that
    asked for that go on. What has been computed up to that moment is the same at all parties, however their work was
    scheduled, so work that was put off can be done together; and no two checks ever run at the same time.

    Attributes:
        serve: makes the step to run. Requests of one rank are alike: whichever is taken serves all of them.
        rank: what is asked for: `SUPPLY` before `RELIEF` before `CHECK`, so that what can still be computed without a
            check is there when the check comes.
    """

    __slots__ = ("rank", "serve")

    def __init__(self, serve: Callable[[], Step[None]], rank: int) -> None:
        self.serve = serve
        self.rank = rank


SUPPLY, RELIEF, CHECK = 0, 10, 20
"""Ranks of checkpoints: correlated randomness is wanted; a check is due if much has piled up; everything is checked."""

Request = Exchange | Fork | Join | Checkpoint
"""What a step may yield."""

Step = Generator[Request, Any, T]


class Lockstep:
    """Steps that advance together, with one message per peer and round for all of them.

    Steps may be added at any time, also while others run: they take part from the round that is being put together on.
    What is merged depends on the order of additions and on the rounds of the steps alone, so it is the same at all
    parties. The merged message takes the name of the first live step.

    A step that forks while others are live stays in step with its first fork; its other forks go on beside, and are
    waited for when the first has ended.
    """

    __slots__ = ("_answers", "_live")

    def __init__(self) -> None:
        self._live: list[tuple[Step[Any], Callable[[Any], None]]] = []
        self._answers: list[Any] = []
        """What the first of the live steps are to be resumed with; nothing for ordinary exchanges."""

    def add(self, step: Step[Any], then: Callable[[Any], None]) -> None:
        """Let `step` take part; `then` is called with its result, and may add further steps to the same round."""
        self._live.append((step, then))

    def run(self) -> Step[None]:
        """Advance until no step is left."""
        while self._live:
            if len(self._live) == 1:
                step, then = self._live.pop()
                then((yield from (_resumed_with(step, self._answers.pop()) if self._answers else step)))
                continue
            round_: list[Exchange] = []
            self._live = yield from self._advance(round_)
            if round_:
                arrived = yield round_[0] if len(round_) == 1 else _merge(round_)
                if arrived is not None:
                    self._answers = [_answer(request, arrived) for request in round_]
                round_.clear()  # what was sent is not held any longer

    def _advance(self, round_: list[Exchange]) -> Step[list[tuple[Step[Any], Callable[[Any], None]]]]:
        """Take every step, and those that are added meanwhile, to its next exchange; returns those that have one."""
        going = []
        answers, self._answers = self._answers, []
        for number, (started, then) in enumerate(self._live):
            step = started
            try:
                request = step.send(answers[number] if number < len(answers) else None)
                while not isinstance(request, Exchange):
                    if type(request) is Fork:
                        step = _resumed(step, request)
                        request = step.send(None)
                    else:
                        request = step.send((yield request))
            except StopIteration as stop:
                then(stop.value)
                continue
            round_.append(request)
            going.append((step, then))
        return going


def _resumed_with(step: Step[T], answer: Any) -> Step[T]:
    """The rest of a step that is to be resumed with `answer`."""
    while True:
        try:
            request = step.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        answer = yield request


def _resumed(step: Step[T], fork: Fork) -> Step[T]:
    """The rest of a step that has just asked for `fork`."""
    answer = yield from _paced(fork)
    return (yield from _with_paced_forks(step, answer))


def _with_paced_forks(step: Step[T], answer: Any = None) -> Step[T]:
    while True:
        try:
            request = step.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        answer = (yield from _paced(request)) if type(request) is Fork else (yield request)


def _paced(fork: Fork) -> Step[list[Any]]:
    """A fork within lockstep: the first step sets the pace, the others go on beside."""
    if not fork.steps:
        return []
    first, others = fork.steps[0], fork.steps[1:]
    branch: Branch | None = (yield Spawn(others, fork.width - 1)) if others else None
    result = yield from _with_paced_forks(first)
    return [result, *((yield Join(branch)) if branch else ())]


def parallel(steps: Sequence[Step[T]]) -> Step[list[T]]:
    """Run steps in lockstep, see `Lockstep`. Costs as many rounds as the longest of the steps."""
    results: list[Any] = [None] * len(steps)
    together = Lockstep()
    for index, step in enumerate(steps):
        together.add(step, partial(results.__setitem__, index))
    yield from together.run()
    return results


def _merge(round_: Sequence[Exchange]) -> Exchange:
    sends: dict[int, list[Array]] = {}
    receives: dict[int, list[Array]] = {}
    for request in round_:
        for peer, buffers in request.sends.items():
            sends.setdefault(peer, []).extend(buffers)
        for peer, buffers in request.receives.items():
            receives.setdefault(peer, []).extend(buffers)
    merged = Exchange(round_[0].name, sends, receives)
    if any(request.quorums is not None for request in round_):
        merged.quorums = tuple(quorum for request in round_ for quorum in _quorums(request))
    return merged


def _quorums(request: Exchange) -> tuple[Quorum, ...]:
    """What a part of a merged round asks for; an ordinary exchange asks for all its messages."""
    if request.quorums is not None:
        return request.quorums
    peers = frozenset(peer for peer, buffers in request.receives.items() if size_of(buffers))
    return (Quorum(peers, len(peers)),)


def _answer(request: Exchange, arrived: frozenset[int]) -> frozenset[int] | None:
    """What a part of a merged round is resumed with."""
    return None if request.quorums is None else arrived.intersection(request.receives)


def size_of(buffers: Buffers) -> int:
    """Total length in bytes; counts arrays without content (ghosts) at their full size."""
    total = 0
    for array in buffers:
        total += array.nbytes
    return total
