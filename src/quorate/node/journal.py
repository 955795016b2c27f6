"""Which session made or spent which tuples: a log that is only ever added to, without any content of tuples."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from quorate.files import file_error, read_bytes

__all__ = ["Event", "Journal"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Positions `start` ... `stop` - 1 of a kind were made or spent by a session, or all destroyed (`session`: why).

    `seconds` is how long making took, `time` is seconds since 1970.
    """

    what: Literal["made", "spent", "destroyed"]
    session: str
    kind: str = ""
    start: int = 0
    stop: int = 0
    seconds: float = 0.0
    time: float = msgspec.field(default_factory=time.time)


class Journal:
    """The file `path`, one event per line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, event: Event) -> None:
        """Add an event, durably. Raises as `file_error`."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, msgspec.json.encode(event) + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as problem:
            raise file_error(problem, self._path, "write") from problem

    def events(self) -> Iterator[Event]:
        """All events, oldest first; a line that a crash cut off is skipped."""
        if not self._path.exists():
            return
        for line in read_bytes(self._path).splitlines():
            with contextlib.suppress(msgspec.MsgspecError):
                yield msgspec.json.decode(line, type=Event)
