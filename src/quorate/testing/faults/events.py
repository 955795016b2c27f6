"""Virtual time, a heap of events, and choices that a printed seed determines: nothing waits or looks at a clock."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from quorate.crypto.entropy import SeededEntropyForTests

__all__ = ["Choices", "Event", "Timeline"]

T = TypeVar("T")
_WORD = 1 << 64


class Choices:
    """Choices that (seed, label) determine; each purpose has a label of its own, so that it does not shift others."""

    def __init__(self, seed: int, label: str) -> None:
        self._seed = seed
        self._label = label
        self._source = SeededEntropyForTests(seed, f"faults {label}")

    def child(self, label: str) -> Choices:
        """Choices for a part of this purpose."""
        return Choices(self._seed, f"{self._label}/{label}")

    def bytes(self, count: int) -> bytes:
        """`count` bytes."""
        return self._source.bytes(count)

    def below(self, count: int) -> int:
        """One of 0 ... `count` - 1; the bias is below 2**-40 for the small counts of a simulation."""
        return int.from_bytes(self._source.bytes(8), "big") % count

    def fraction(self) -> float:
        """A number of [0, 1)."""
        return int.from_bytes(self._source.bytes(8), "big") / _WORD

    def between(self, low: float, high: float) -> float:
        """A number of [low, high)."""
        return low + (high - low) * self.fraction()

    def chance(self, probability: float) -> bool:
        """True with this probability; draws nothing where there is no doubt."""
        return probability > 0 and (probability >= 1 or self.fraction() < probability)

    def exponential(self, mean: float) -> float:
        """A waiting time with this mean."""
        return -mean * math.log(1 - self.fraction())

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]


class Event:
    """Something that will happen, unless it is cancelled before."""

    __slots__ = ("action", "label")

    def __init__(self, label: str, action: Callable[[], None]) -> None:
        self.label = label
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """It will not happen."""
        self.action = None


class Timeline:
    """Virtual time in seconds; events of one moment happen in the order in which they were planned.

    Attributes:
        now: virtual seconds since the beginning.
        happened: how many events there were.
        recent: (time, label) of the last of them, for messages.
    """

    def __init__(self, remembered: int = 40) -> None:
        self.now = 0.0
        self.happened = 0
        self.recent: deque[tuple[float, str]] = deque(maxlen=remembered)
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Event]] = []

    def after(self, delay: float, label: str, action: Callable[[], None]) -> Event:
        """Plan `action` in `delay` seconds; now if that is not positive."""
        return self.at(self.now + delay, label, action)

    def at(self, moment: float, label: str, action: Callable[[], None]) -> Event:
        """Plan `action` for a moment; for now if it is past."""
        event = Event(label, action)
        heapq.heappush(self._heap, (max(moment, self.now), next(self._order), event))
        return event

    def step(self) -> bool:
        """Let the next event happen; False if there is none."""
        while self._heap:
            moment, _, event = heapq.heappop(self._heap)
            if event.action is None:
                continue
            self.now = moment
            self.happened += 1
            self.recent.append((moment, event.label))
            action, event.action = event.action, None
            action()
            return True
        return False
