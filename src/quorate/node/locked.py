"""One process at a time: workers are processes of their own, and some files of a node are changed by any of them."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from quorate.files import ensure_folder, file_error

__all__ = ["locked"]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within it, nobody else is inside `locked` with this folder, which is made if it is not there.

    Raises:
        EnvironmentFault: this machine refuses the folder or the file of the lock.
    """
    ensure_folder(folder, 0o700)
    path = folder / ".lock"
    try:
        file = open(path, "a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise file_error(error, path, "open") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
