"""The audit of a node: what came in and what went out, in files that are only ever added to, each line chained.

    FOLDER/audit.jsonl           the newest lines
    FOLDER/audit-000001.jsonl    earlier ones, oldest first

A line is a JSON object; its last field `chain` is SHA-256 of the chain value before and of the line up to that field.
So nobody can change, remove or insert a line without recomputing all that follow, and whoever has noted a chain value
somewhere else (an anchor) sees that, or that lines are missing at the end. It holds sizes, times, peers and message
numbers, never content; sessions appear as hashes of their identifiers.

Any number of processes may write: a lock is held while lines are added. A line that a crash cut off is removed, and a
line says so. Lines that were changed by anybody stay as they are, for `verify` to find.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from quorate.crypto.hashing import digest, digest_parts, hex_digest
from quorate.errors import EnvironmentFault
from quorate.files import ensure_folder, file_error

__all__ = ["GENESIS", "NAME", "Audit", "Direction", "Line", "chained", "files", "session_hash", "split"]

NAME = "audit.jsonl"
GENESIS = "0" * 64
"""The chain value before the first line."""
MOST_BYTES = 64 << 20
"""A file that is larger is put aside, and another one begun."""
SYNC_SECONDS = 3.0
"""The operating system may keep lines in memory so long before they are on disk."""

_CHAIN = b',"chain":"'
_TAIL = len(_CHAIN) + 64 + len(b'"}\n')
_HEXADECIMAL = frozenset(b"0123456789abcdef")
_MOST_LINE = 8192
_MOST_TEXT = 300

Direction = Literal["in", "out", ""]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry without its chain value.

    Attributes:
        n: lines are numbered from 1, over all files.
        time: seconds since 1970.
        what: "message", or an event: "connected", "lost", "rejected", "dead-lettered", "resumed", "finished", ...
        session: see `session_hash`.
        direction: of a message, seen from this node.
        peer: the member at the other end.
        message: number of the message in its channel, or what its carrier knows it by.
        bytes: as they travelled.
        carrier: scheme of what carried it ("amqps", "direct").
        note: class of an error, a reason, a number; no content.
        after: in the first line of a file, the chain value before it.
    """

    n: int
    time: float
    what: str
    session: str = ""
    direction: Direction = ""
    peer: str = ""
    message: str = ""
    bytes: int = 0
    carrier: str = ""
    note: str = ""
    after: str = ""


def session_hash(session: str) -> str:
    """What stands for a session: 32 hexadecimal digits that tell nobody its identifier."""
    return hex_digest(session.encode(), "quorate/audit/session/1")[:32]


def chained(before: str, body: bytes) -> str:
    """The chain value of a line that begins with `body`, after the chain value `before`."""
    return digest_parts((bytes.fromhex(before), body), "quorate/audit/line/1").hex()


def split(line: bytes) -> tuple[bytes, str] | None:
    """What is chained of a whole line, and the chain value it states; None if there is none."""
    body, end = line[:-_TAIL], line[-_TAIL:]
    value = end[len(_CHAIN) : -3]
    if not (end.startswith(_CHAIN) and end.endswith(b'"}\n') and set(value) <= _HEXADECIMAL):
        return None
    return body, value.decode()


def files(folder: Path) -> list[Path]:
    """The files of an audit, oldest first."""
    found = sorted(path for path in folder.glob("audit-*.jsonl") if path.stem[6:].isdigit())
    return [*found, *([folder / NAME] if (folder / NAME).exists() else [])]


class Audit:
    """The audit in a folder, for one process and one thread; lines wait in memory until `flush`."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        """Nothing is read or written yet."""
        self.folder = folder
        self._most = most_bytes
        self._waiting: list[Line] = []
        self._known: tuple[int, int] | None = None  # inode and size of the file as we left it
        self._chain, self._number = GENESIS, 0
        self._unsynced = False
        self._synced = time.monotonic()

    def note(
        self,
        what: str,
        session: str = "",
        *,
        direction: Direction = "",
        peer: str = "",
        message: str = "",
        size: int = 0,
        carrier: str = "",
        note: str = "",
    ) -> None:
        """Keep an entry for the next `flush`; `session` is the identifier, of which only the hash is written."""
        line = Line(
            n=0,
            time=round(time.time(), 6),
            what=what,
            session=session_hash(session) if session else "",
            direction=direction,
            peer=peer[:_MOST_TEXT],
            message=message[:_MOST_TEXT],
            bytes=size,
            carrier=carrier,
            note=note[:_MOST_TEXT],
        )
        self._waiting.append(line)

    def flush(self, *, sync: bool = False) -> None:
        """Write what waits, in one piece; on disk at the latest some seconds later, with `sync` at once.

        Raises:
            EnvironmentFault: the disk is full, or this machine refuses. The lines wait on.
        """
        due = sync or time.monotonic() - self._synced > SYNC_SECONDS
        if self._waiting or (self._unsynced and due):
            path = self.folder / NAME
            ensure_folder(self.folder, 0o700)
            try:
                with self._locked():
                    self._write(path, due)
            except OSError as problem:
                self._known = None
                raise file_error(problem, path, "write") from problem

    def close(self) -> None:
        """Write what waits, durably. Raises as `flush`."""
        self.flush(sync=True)

    @property
    def anchor(self) -> str:
        """The chain value of the last line that this process wrote; whoever notes it elsewhere can prove more."""
        return self._chain

    # ---- files

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "audit.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, path: Path, due: bool) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._catch_up(descriptor)
            self._append(descriptor, self._waiting)
            self._waiting, self._unsynced = [], True
            if due:
                os.fsync(descriptor)
                self._unsynced, self._synced = False, time.monotonic()
            if os.fstat(descriptor).st_size > self._most:
                self._rotate(descriptor, path)
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int, lines: list[Line]) -> None:
        """Add lines in one write, all or none."""
        chain, number, data = self._chain, self._number, []
        for line in lines:
            number += 1
            body = msgspec.json.encode(msgspec.structs.replace(line, n=number))[:-1]
            chain = chained(chain, body)
            data.append(body + _CHAIN + chain.encode() + b'"}\n')
        before = os.fstat(descriptor)
        whole = b"".join(data)
        try:
            written = os.write(descriptor, whole)
            while written < len(whole):
                written += os.write(descriptor, whole[written:])
        except OSError:
            os.ftruncate(descriptor, before.st_size)
            raise
        self._chain, self._number = chain, number
        self._known = (before.st_ino, before.st_size + len(whole))

    def _catch_up(self, descriptor: int) -> None:
        """Where the chain stands, unless nobody else has written since we did."""
        seen = os.fstat(descriptor)
        if (seen.st_ino, seen.st_size) == self._known:
            return
        if not seen.st_size:
            self._begin(descriptor)
            return
        last, stop = _last_line(descriptor, seen.st_size)
        if last:
            self._continue(last)
        self._repair(descriptor, stop, os.pread(descriptor, seen.st_size - stop, stop))

    def _continue(self, last: bytes) -> None:
        parts = split(last)
        if parts is None:
            raise EnvironmentFault(
                f"{self.folder}: the last line of the audit has no chain value, so somebody changed it; move the files "
                "away, and look into them with 'quorate audit verify'"
            )
        self._chain, self._number = parts[1], _number(last)

    def _repair(self, descriptor: int, size: int, rest: bytes) -> None:
        """Remove a line that was cut off, and say so."""
        self._known = (os.fstat(descriptor).st_ino, size)
        if not rest:
            return
        os.ftruncate(descriptor, size)
        if not size:
            self._begin(descriptor)
        note = f"{len(rest)} bytes of a line that was cut off, SHA-256 {digest(rest, 'quorate/audit/rest/1').hex()}"
        self._append(descriptor, [Line(n=0, time=round(time.time(), 6), what="repaired", note=note)])

    def _begin(self, descriptor: int) -> None:
        """The first line of a file: it goes on from the file before, if there is one."""
        earlier = files(self.folder)[:-1]
        self._chain, self._number = GENESIS, 0
        if earlier:
            with open(earlier[-1], "rb") as file:
                self._continue(_last_line(file.fileno(), earlier[-1].stat().st_size)[0])
        first = Line(n=0, time=round(time.time(), 6), what="begun", after=self._chain)
        self._append(descriptor, [first])

    def _rotate(self, descriptor: int, path: Path) -> None:
        os.fsync(descriptor)
        older = files(self.folder)[:-1]
        number = int(older[-1].stem[6:]) + 1 if older else 1
        path.rename(self.folder / f"audit-{number:06d}.jsonl")
        self._known = None


def _number(line: bytes) -> int:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(line, type=Line).n
    return 0


def _last_line(descriptor: int, size: int) -> tuple[bytes, int]:
    """The last whole line of a file, and where it ends; zeros behind it, left by a loss of power, are skipped."""
    start, tail = size, b""
    while start and not tail:
        stop, start = start, max(0, start - 2 * _MOST_LINE)
        tail = os.pread(descriptor, stop - start, start).rstrip(b"\0")
    end = tail.rfind(b"\n") + 1
    if not end and start:
        raise EnvironmentFault("the end of the audit holds no lines; move its files away, and look into them")
    return tail[tail.rfind(b"\n", 0, max(0, end - 1)) + 1 : end], start + end
