"""What a protocol step asks of the outside world, and how steps are combined.

A step is a generator. It yields an `Exchange` (one round) or a `Fork` (independent work that need not run in step),
and is resumed when that is complete. Protocol code does no I/O and knows no clock.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

import numpy.typing as npt

from quorate.engine.names import Name
from quorate.errors import InternalError

__all__ = ["Array", "Buffers", "Exchange", "Fork", "Step", "parallel"]

T = TypeVar("T")
Array = npt.NDArray[Any]
Buffers = Sequence[Array]


class Exchange:
    """One round: arrays to send to peers, and arrays to be filled with what peers send under the same name.

    Attributes:
        name: unique name of the round; every party that takes part uses the same.
        sends: peer index -> C-contiguous arrays. They must not be written to afterwards.
        receives: peer index -> C-contiguous arrays, filled in place before the step is resumed.

    Every party yields the same sequence of exchanges, empty ones included, so that rounds can be merged.
    """

    __slots__ = ("name", "receives", "sends")

    def __init__(
        self, name: Name, sends: Mapping[int, Buffers] | None = None, receives: Mapping[int, Buffers] | None = None
    ) -> None:
        self.name = name
        self.sends: Mapping[int, Buffers] = sends or {}
        self.receives: Mapping[int, Buffers] = receives or {}


class Fork:
    """Independent steps that progress at their own pace, at most `width` at a time; resumes with their results.

    Used for the tiles of large vectors: while one tile waits for the network, the next one computes.
    """

    __slots__ = ("steps", "width")

    def __init__(self, steps: Sequence[Step[Any]], width: int = 8) -> None:
        self.steps = steps
        self.width = max(1, width)


Step = Generator[Exchange | Fork, Any, T]


def parallel(steps: Sequence[Step[T]]) -> Step[list[T]]:
    """Run steps in lockstep, merging their exchanges into one message per peer and round.

    Costs as many rounds as the longest of the steps. The merged message takes the name of the first live step.
    """
    results: dict[int, T] = {}
    live = list(enumerate(steps))
    while live:
        waiting: list[tuple[int, Step[T]]] = []
        round_: list[Exchange] = []
        for index, step in live:
            try:
                request = step.send(None)
            except StopIteration as stop:
                results[index] = stop.value
                continue
            if not isinstance(request, Exchange):
                raise InternalError("a step that forks cannot run in lockstep with others")
            waiting.append((index, step))
            round_.append(request)
        if round_:
            yield round_[0] if len(round_) == 1 else _merge(round_)
        live = waiting
    return [results[index] for index in range(len(steps))]


def _merge(round_: Sequence[Exchange]) -> Exchange:
    sends: dict[int, list[Array]] = {}
    receives: dict[int, list[Array]] = {}
    for request in round_:
        for peer, buffers in request.sends.items():
            sends.setdefault(peer, []).extend(buffers)
        for peer, buffers in request.receives.items():
            receives.setdefault(peer, []).extend(buffers)
    return Exchange(round_[0].name, sends, receives)


def size_of(buffers: Buffers) -> int:
    """Total length in bytes; counts arrays without content (ghosts) at their full size."""
    total = 0
    for array in buffers:
        total += array.nbytes
    return total
