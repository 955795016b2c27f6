"""A circuit breaker: whoever fails again and again is left alone for a while, then tried with care."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

from quorate.crypto.entropy import Entropy
from quorate.transport.backoff import Backoff

__all__ = ["Breaker", "Condition"]

State = Literal["closed", "open", "half-open"]


class Condition(NamedTuple):
    """What a breaker says about its broker or peer, for reports.

    Attributes:
        state: "closed" (it works, as far as we know), "open" (left alone) or "half-open" (somebody tries just now).
        failures: since the last success.
        reason: of the last failure; empty if it works.
        wait: seconds until it is tried again.
    """

    state: State
    failures: int
    reason: str
    wait: float

    def __str__(self) -> str:
        if not self.failures:
            return "works"
        again = f", again in {self.wait:.0f} s" if self.wait else ""
        return f"{self.state} after {self.failures} failures{again}: {self.reason}"


class Breaker:
    """Closed: everybody may try. After `most` failures within `window` seconds: open, nobody may, for a cool-down.

    Then one may try (half-open): its success closes the breaker, its failure opens it for longer. One breaker serves
    all threads that use the same broker or peer. Whoever got a permit has to say how it ended.

    Args:
        most: failures within the window that open it.
        window: seconds.
        cool_down: seconds that it stays open: the first time, and at most; with jitter.
        clock: seconds, monotonic.
        entropy: for the jitter.
    """

    def __init__(
        self,
        most: int = 3,
        window: float = 30.0,
        cool_down: tuple[float, float] = (1.0, 60.0),
        *,
        clock: Callable[[], float] = time.monotonic,
        entropy: Entropy | None = None,
    ) -> None:
        self._most, self._window, self._clock = most, window, clock
        self._pauses = Backoff(*cool_down, entropy)
        self._longest = cool_down[1]
        self._lock = threading.Lock()
        self._times: deque[float] = deque(maxlen=most)
        self._state: State = "closed"
        self._due = 0.0
        self._failures = 0
        self._reason = ""

    def permit(self) -> bool:
        """Whether to try now; True has to be followed by `success` or `failure`."""
        with self._lock:
            if self._state == "closed":
                return True
            now = self._clock()
            if now < self._due:
                return False
            # Whoever tries and never says how it ended must not block the others for ever.
            self._state, self._due = "half-open", now + self._longest
            return True

    def success(self) -> None:
        """It worked."""
        with self._lock:
            self._state, self._failures, self._reason = "closed", 0, ""
            self._times.clear()
            self._pauses.reset()

    def failure(self, reason: str) -> None:
        """It did not work."""
        with self._lock:
            now = self._clock()
            self._failures += 1
            self._reason = reason
            self._times.append(now)
            if self._state == "open":
                return  # a try that began before it opened
            often = len(self._times) == self._most and now - self._times[0] <= self._window
            if self._state == "half-open" or often:
                self._state, self._due = "open", now + self._pauses.pause()

    def condition(self) -> Condition:
        """How it stands."""
        with self._lock:
            wait = 0.0 if self._state == "closed" else max(0.0, self._due - self._clock())
            return Condition(self._state, self._failures, self._reason, wait)
