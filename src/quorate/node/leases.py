"""Leases: files that a process locks while it has something to itself; the system unlocks them when it dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from quorate.files import ensure_folder

__all__ = ["Leases"]

_POLL = 0.05


class Leases:
    """Those that this object has taken, of the files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: dict[str, int] = {}

    def take(self, name: str, patience: float) -> bool:
        """Whether it is ours from now on; waits up to `patience` seconds for others."""
        ensure_folder(self._folder, 0o700)
        deadline = time.monotonic() + patience
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(_POLL)
        self._taken[name] = descriptor
        return True

    def has(self, name: str) -> bool:
        """Whether it is ours."""
        return name in self._taken

    def free(self, name: str) -> bool:
        """Whether nobody has it, neither we nor anybody else."""
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            return _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def give_back(self, name: str) -> None:
        """Let others have it."""
        os.close(self._taken.pop(name))

    def release(self) -> None:
        """Give all back."""
        while self._taken:
            os.close(self._taken.popitem()[1])


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
