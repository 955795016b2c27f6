"""The schedule of a session at one participant, without anything secret: what came and went in which order, how large.

A file of JSON lines: first the `Header`, then an `Event` per line. Messages appear by peer, name and size, as the party
took and made them; a message that is computed again after a restart appears once. `quorate replay` runs the same
schedule again on made-up data, to find out where and why a session came to a halt.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from quorate.engine.names import Name
from quorate.errors import DataError, EnvironmentFault, QuorateError, UserError
from quorate.files import ensure_folder, file_error, read_bytes

__all__ = ["Direction", "Event", "Header", "Recorded", "Trace", "load"]

Direction = Literal["in", "out"]
T = TypeVar("T")

MOST_BYTES = 256 << 20
"""Once a trace is as large, messages are not added any more, and a line says so."""
_MOST_FILE = MOST_BYTES + (16 << 20)
_MOST_TEXT = 1000
_VERSION = 1


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose schedule it is.

    Attributes:
        session: identifier of the session.
        name: of the spec; `spec` is its digest with the plan.
        software: what ran it.
        participants: in the order of the roster; `me` is the index of whose schedule this is.
        started: Unix time.
    """

    session: str
    name: str
    spec: str
    software: str
    participants: tuple[str, ...]
    me: int
    started: float
    version: int = _VERSION


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened, `time` seconds after the start.

    Attributes:
        what: "in" and "out": a message that the party took or made; "rows" and "stock": by input and by kind of tuple,
            see `counts`; "failed"; anything else, such as "restart", "stage", "suspended", "full", is for people.
        peer, scope, step, size: of a message; `scope` and `step` are its name.
        error, text: class and text of an error.
        counts: rows that were agreed, or tuples that were taken from stock.
    """

    what: str
    time: float = 0.0
    peer: int = -1
    scope: str = ""
    step: int = 0
    size: int = 0
    error: str = ""
    text: str = ""
    counts: dict[str, int] = {}

    @property
    def message(self) -> Name:
        """The name of the message."""
        return int(self.scope, 16), self.step


@dataclass(frozen=True)
class Recorded:
    """A trace that was read."""

    header: Header
    events: tuple[Event, ...]

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of every input; empty if the session did not come so far."""
        return next((event.counts for event in reversed(self.events) if event.what == "rows"), {})

    @property
    def stock(self) -> dict[str, int]:
        """How many tuples of each kind were taken from stock."""
        return next((event.counts for event in reversed(self.events) if event.what == "stock"), {})

    @property
    def failure(self) -> Event | None:
        """How the session failed, if it did."""
        return next((event for event in reversed(self.events) if event.what == "failed"), None)

    @property
    def messages(self) -> tuple[Event, ...]:
        """The messages, in order."""
        return tuple(event for event in self.events if event.what in ("in", "out"))


class Trace:
    """A trace that is being written, by one process and one thread."""

    def __init__(self, path: Path, header: Header, *, most_bytes: int = MOST_BYTES) -> None:
        """Begin the trace `path`, or go on with it.

        Raises:
            EnvironmentFault: it belongs to another session, is damaged, or this machine refuses.
        """
        self._path, self._most = path, most_bytes
        self._waiting: list[bytes] = []
        self._known: set[tuple[str, int, Name]] = set()
        self._full = False
        ensure_folder(path.parent, 0o700)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise file_error(problem, path, "write") from problem
        try:
            self._start = self._begun(header)
        except BaseException:
            os.close(self._descriptor)
            raise

    def message(self, direction: Direction, peer: int, name: Name, size: int, again: bool = False) -> None:
        """The party has taken or made a message; `again`: perhaps before this process began, too."""
        if again and (direction, peer, name) in self._known:
            return
        if not again and self._known:
            self._known = set()  # from here on everything is new
        if not self._full:
            self._add(Event(what=direction, peer=peer, scope=f"{name[0]:016x}", step=name[1], size=size))

    def rows(self, rows: Mapping[str, int]) -> None:
        """The participants have agreed on how many rows every input has."""
        self._add(Event(what="rows", counts=dict(rows)))

    def stock(self, amounts: Mapping[str, int]) -> None:
        """So many tuples of each kind were taken from stock."""
        self._add(Event(what="stock", counts=dict(amounts)))

    def note(self, what: str, text: str = "") -> None:
        """Something for people; no secret."""
        self._add(Event(what=what, text=text[:_MOST_TEXT]))

    def failed(self, problem: QuorateError) -> None:
        """The session has failed. What an error says of a data file stays out."""
        text = "" if isinstance(problem, DataError) else str(problem)[:_MOST_TEXT]
        self._add(Event(what="failed", error=type(problem).__name__, text=text))

    def flush(self, *, sync: bool = False) -> None:
        """Write what waits.

        Raises:
            EnvironmentFault: the disk is full, or this machine refuses.
        """
        try:
            if self._waiting:
                self._write(b"".join(self._waiting))
                self._waiting = []
                self._note_full()
            if sync:
                os.fsync(self._descriptor)
        except OSError as problem:
            raise file_error(problem, self._path, "write") from problem

    def close(self) -> None:
        """Write what waits, durably. Raises as `flush`."""
        if self._descriptor >= 0:
            try:
                self.flush(sync=True)
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def _begun(self, header: Header) -> float:
        """Where the clock of the trace stands still; reads what there is."""
        try:
            size = os.fstat(self._descriptor).st_size
            recorded = _parsed(self._path, os.pread(self._descriptor, size, 0)) if size else None
            if recorded is None:
                os.ftruncate(self._descriptor, 0)
                self._size = 0
                self._waiting = [msgspec.json.encode(header) + b"\n"]
                return header.started
            self._size = recorded[1]
            os.ftruncate(self._descriptor, self._size)  # without a line that was cut off
        except OSError as problem:
            raise file_error(problem, self._path, "read") from problem
        found = recorded[0]
        if (found.header.session, found.header.spec, found.header.me) != (header.session, header.spec, header.me):
            raise EnvironmentFault(f"{self._path}: the trace of another session; move it away")
        self._known = {(event.what, event.peer, event.message) for event in found.messages}
        self._full = any(event.what == "full" for event in found.events)
        return found.header.started

    def _add(self, event: Event) -> None:
        moment = round(max(0.0, time.time() - self._start), 3)
        self._waiting.append(msgspec.json.encode(msgspec.structs.replace(event, time=moment)) + b"\n")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def _note_full(self) -> None:
        if self._size > self._most and not self._full:
            self._full = True
            self.note("full", f"this trace has more than {self._most} bytes; later messages are left out")


def load(path: Path) -> Recorded:
    """Read a trace; a line that a crash cut off is left out.

    Raises:
        UserError: there is no such file, or it is no trace, or one of another release.
        EnvironmentFault: it is damaged.
    """
    recorded = _parsed(path, read_bytes(path, _MOST_FILE))
    if recorded is None:
        raise UserError(f"{path}: the trace is empty: the session was interrupted before it began")
    return recorded[0]


def _parsed(path: Path, data: bytes) -> tuple[Recorded, int] | None:
    """The trace and the size of its whole lines; None if not even the header is there."""
    size = data.rstrip(b"\0").rfind(b"\n") + 1
    lines = data[:size].splitlines()
    if not lines:
        return None
    header = _decoded(path, 1, lines[0], Header)
    if header.version != _VERSION or not 0 <= header.me < len(header.participants):
        raise UserError(f"{path}: written by {header.software[:40]!r}, which this release cannot read")
    events = tuple(_decoded(path, number, line, Event) for number, line in enumerate(lines[1:], 2))
    for number, event in enumerate(events, 2):
        if event.what in ("in", "out") and not _is_message(event, header):
            raise EnvironmentFault(f"{path}: line {number}: no message of this session; the trace is damaged")
    return Recorded(header, events), size


def _is_message(event: Event, header: Header) -> bool:
    try:
        number = int(event.scope, 16)
    except ValueError:
        return False
    return 0 <= number < 1 << 64 and 0 <= event.peer < len(header.participants) and event.peer != header.me


def _decoded(path: Path, number: int, line: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise EnvironmentFault(f"{path}: line {number}: the trace is damaged, or no trace") from None
