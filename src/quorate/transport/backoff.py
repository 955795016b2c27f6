"""How long to wait before the next try: longer each time, and never the same for two who failed together."""

from __future__ import annotations

from quorate.crypto.entropy import Entropy, SystemEntropy

__all__ = ["Backoff", "jittered"]

_FACTOR = 1.6


def jittered(seconds: float, entropy: Entropy | None = None) -> float:
    """A time between 3/4 and 5/4 of `seconds`: those that lost somebody at the same moment should not come back so."""
    return seconds * (0.75 + (entropy or SystemEntropy()).bytes(1)[0] / 512)


class Backoff:
    """Pauses that grow from `first` to `longest` seconds, each with jitter.

    Attributes:
        tries: how many pauses were given since the start or the last `reset`.
    """

    __slots__ = ("_entropy", "_first", "_longest", "tries")

    def __init__(self, first: float, longest: float, entropy: Entropy | None = None) -> None:
        self._first = first
        self._longest = longest
        self._entropy = entropy or SystemEntropy()
        self.tries = 0

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        seconds = min(self._longest, self._first * _FACTOR ** min(self.tries, 40))
        self.tries += 1
        return jittered(seconds, self._entropy)

    def reset(self) -> None:
        """It worked: begin with the shortest pause again."""
        self.tries = 0
