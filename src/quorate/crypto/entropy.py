"""The only place that asks the operating system for randomness."""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

__all__ = ["Entropy", "SeededEntropyForTests", "SystemEntropy"]


class Entropy(Protocol):
    """A source of uniform bytes."""

    def bytes(self, count: int) -> bytes:
        """`count` fresh uniform bytes."""
        ...


class SystemEntropy:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes from the operating system."""
        return os.urandom(count)


class SeededEntropyForTests:
    """Reproducible bytes for simulations and tests. Never for real data: who knows the seed knows every share."""

    def __init__(self, seed: int, label: str = "") -> None:
        self._prefix = f"quorate simulation {seed} {label} ".encode()
        self._count = 0

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes of the sequence that (seed, label) determines."""
        self._count += 1
        return hashlib.shake_256(self._prefix + self._count.to_bytes(8, "big")).digest(count)
