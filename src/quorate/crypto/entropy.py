"""The only place that asks the operating system for randomness, and where its health is watched."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import Protocol

from quorate.crypto.health import START_SAMPLES, Health
from quorate.errors import EnvironmentFault

__all__ = ["Entropy", "SeededEntropyForTests", "SystemEntropy", "Watched", "examine"]

Bytes = bytes


class Entropy(Protocol):
    """A source of uniform bytes."""

    def bytes(self, count: int) -> bytes:
        """`count` fresh uniform bytes."""
        ...


class Watched:
    """A source of bytes under the health tests of `quorate.crypto.health`. Thread-safe.

    At its first use, and again in every process that is forked, `START_SAMPLES` bytes are tested and thrown away;
    then everything that is drawn is tested before it is handed out. After one failure nothing is handed out any more.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._health: Health | None = None
        self._failure: str | None = None
        self._lock = threading.Lock()

    def bytes(self, count: int) -> bytes:
        """`count` fresh bytes.

        Raises:
            EnvironmentFault: a health test has failed, now or before.
        """
        with self._lock:
            if self._health is None and self._failure is None:
                self._health = Health()
                self._drawn(START_SAMPLES)
            return self._drawn(count)

    def _drawn(self, count: int) -> Bytes:
        if self._failure is None:
            data = self._read(count)
            if len(data) != count:
                self._failure = f"it gave {len(data)} bytes where {count} were asked for"
            elif self._health is not None:
                self._failure = self._health.feed(data)
            if self._failure is None:
                return data
        raise EnvironmentFault(
            f"the random number source of this machine is broken: {self._failure}; with it nothing would be secret, so "
            "this process draws nothing any more. Find out what provides randomness here (the kernel, the virtual "
            "machine, a preloaded library), check with 'quorate doctor', then restart; keys that were made on this "
            "machine lately should be made anew"
        )

    def forked(self) -> None:
        """Start anew in a forked process, which has a stream of its own; a failure stays."""
        self._lock = threading.Lock()
        self._health = None


def examine(count: int) -> Health:
    """The health tests on `count` fresh bytes of the system's source: what they saw.

    Raises:
        EnvironmentFault: one has failed.
    """
    health = Health()

    def read(size: int) -> bytes:
        data = os.urandom(size)
        health.feed(data)
        return data

    Watched(read).bytes(count)
    return health


_SYSTEM = Watched(os.urandom)
os.register_at_fork(after_in_child=_SYSTEM.forked)


class SystemEntropy:
    """The operating system's generator, watched; one for the whole process."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes from the operating system. Raises `EnvironmentFault` when its health tests fail."""
        return _SYSTEM.bytes(count)


class SeededEntropyForTests:
    """Reproducible bytes for simulations and tests. Never for real data: who knows the seed knows every share."""

    def __init__(self, seed: int, label: str = "") -> None:
        self._prefix = f"quorate simulation {seed} {label} ".encode()
        self._count = 0

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes of the sequence that (seed, label) determines."""
        self._count += 1
        return hashlib.shake_256(self._prefix + self._count.to_bytes(8, "big")).digest(count)
