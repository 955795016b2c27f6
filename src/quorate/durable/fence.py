"""Fences: numbers that only rise, kept outside the data folder, so that an old copy of a journal is not continued.

Whoever goes on from an old state would send other messages under the same randomness, which can tell secrets. So
beside the journal of a session there is a small file in another folder, which backups of the data do not cover:

    MEMBER-SESSION.fence  four slots of 512 bytes, each with magic, incarnation, commits, state (8 bytes each), check
    MEMBER-SESSION.lock   locked by the one process that may run this session

What must survive a loss of power is written to the first two slots in turn, all else to the other two in turn; so a
write that is interrupted takes nothing along that was on disk. The highest numbers count.

`commits` is how many commits of the journal have been used. It is written after each of them, without waiting for the
disk: when only the process dies it is exact, after a loss of power it may say less, and it never says more than the
journal holds, unless that was put back. `incarnation` counts the openings; peers refuse an older one. A session that
was given up stays so (`give_up`), whatever happens to its journal. Neither helps when both places are put back
together; peers do, which know how much they received.

Only one process of one machine can hold the lock; on other machines the fence does not know the session, and refuses.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from quorate.durable.facts import Spent
from quorate.durable.storage import DISK, Closeable, File, Storage, named
from quorate.errors import EnvironmentFault, InternalError

__all__ = ["Fence", "default_fence"]

_MAGIC = b"qfence-1"
_SLOT = 512
_LASTING, _PASSING = (0, 1), (2, 3)
_RUNNING, _GIVEN_UP = 0, 1


class _Marks(NamedTuple):
    """What a slot holds."""

    incarnation: int = 0
    commits: int = 0
    state: int = _RUNNING


def default_fence() -> Path:
    """The folder of fences in the user's state folder: XDG_STATE_HOME, or ~/.local/state."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "quorate" / "fence"


class Fence:
    """The fence of one session at one member: `hold` it before the journal is opened, then `enter`."""

    def __init__(self, session: str, member: str, folder: Path | None = None, *, storage: Storage = DISK) -> None:
        """`session` and `member` name files; `folder` is `default_fence` unless given."""
        self.folder = folder or default_fence()
        self._path = self.folder / f"{member}-{session}.fence"
        self._lock_path = self._path.with_suffix(".lock")
        self._title = f"session {session} of {member}"
        self._storage = storage
        self._lock: Closeable | None = None
        self._file: File | None = None
        self._marks = _Marks()
        self._last = {True: 0, False: 2}  # the slots written last, durably and not

    def hold(self) -> None:
        """Keep other processes away from the session: opening a journal mends it, and must not meet who writes to it.

        Raises:
            EnvironmentFault: another process runs this session, or this machine refuses.
        """
        with named(self._path, "write"):
            self._storage.make_folder(self.folder)
            self._lock = self._storage.lock(self._lock_path)
        if self._lock is None:
            raise EnvironmentFault(
                f"another process of this machine runs {self._title}; stop that one first, or let it go on"
            )

    def enter(self, commits: int) -> int:
        """Begin to use the journal, which has this many commits; the new incarnation, 1 for the first. Durable.

        A session without commits may be new, and needs no fence to be there. `hold` comes first, if not before.

        Raises:
            EnvironmentFault: as `hold`. Nothing is held then.
            Spent: the journal is an old copy, or from another machine; or the session was given up.
        """
        if self._lock is None:
            self.hold()
        with named(self._path, "write"):
            try:
                self._checked(commits)
                self._put(_Marks(self._marks.incarnation + 1, commits), durable=True)
            except BaseException:
                self.leave()
                raise
        return self._marks.incarnation

    def advance(self, commits: int) -> None:
        """The journal has this many commits now, and what depends on them may leave. Cheap: does not wait for the disk.

        Raises:
            EnvironmentFault: this machine refuses the write; then nothing may leave.
        """
        if commits < self._marks.commits:
            raise InternalError("a journal cannot have fewer commits than before; please report this")
        if commits > self._marks.commits:
            with named(self._path, "write"):
                self._put(self._marks._replace(commits=commits), durable=False)

    def give_up(self) -> None:
        """This session failed for good and must never go on, also if its journal cannot say so (a full disk). Durable.

        Raises:
            EnvironmentFault: this machine refuses the write.
        """
        with named(self._path, "write"):
            self._put(self._marks._replace(state=_GIVEN_UP), durable=True)

    def leave(self) -> None:
        """Let other processes run the session."""
        for held in (self._file, self._lock):
            if held is not None:
                held.close()
        self._file = self._lock = None

    def remove(self) -> None:
        """The session is over and its journal destroyed: forget it. Idempotent.

        Raises:
            EnvironmentFault: this machine refuses.
        """
        with named(self._path, "erase"):
            if self._storage.exists(self._path):
                self._storage.unlink(self._path)
                self._storage.unlink(self._lock_path)
                self._storage.sync_folder(self.folder)
        self.leave()

    def _checked(self, commits: int) -> None:
        """Open the file, make it if it must be, and refuse what it does not vouch for."""
        if not self._storage.exists(self._path):
            if commits:
                raise Spent(
                    f"the fence in {self.folder} does not know {self._title}: it has ended, or its data comes from "
                    "another machine or a backup; going on could tell secrets. Start a new session"
                )
            self._made()
        self._storage.sync_folder(self.folder)  # who made the file may have been killed before doing so
        self._file = self._storage.open(self._path)
        self._marks = self._read(self._file)
        if self._marks.state == _GIVEN_UP:
            raise Spent(f"{self._title} failed for good and cannot go on; start a new session")
        if self._marks.commits > commits:
            raise Spent(
                f"the data of {self._title} was restored from a backup: its journal has {commits} commits, and "
                f"{self._marks.commits} were in use already; going on could tell secrets. Start a new session"
            )

    def _made(self) -> None:
        temporary = self._path.with_suffix(".new")
        file = self._storage.create(temporary)
        try:
            file.write(0, _packed(_Marks()).ljust(len(_LASTING + _PASSING) * _SLOT, b"\0"))
            file.sync()
        finally:
            file.close()
        self._storage.rename(temporary, self._path)

    def _read(self, file: File) -> _Marks:
        found = {slot: _unpacked(file.read(slot * _SLOT, _SLOT)) for slot in _LASTING + _PASSING}
        known = {slot: marks for slot, marks in found.items() if marks is not None}
        lasting = [slot for slot in known if slot in _LASTING]
        if not lasting:
            raise Spent(f"{self._path}: damaged, so nobody knows how far {self._title} was; start a new one")
        self._last[True] = max(lasting, key=lambda slot: known[slot])
        return max(known.values())

    def _put(self, marks: _Marks, *, durable: bool) -> None:
        """Write a slot that is not the last one of its kind, so that one of each is whole at any moment."""
        if self._file is None:
            raise InternalError("a fence is used before it was entered; please report this")
        first, second = _LASTING if durable else _PASSING
        slot = self._last[durable] = first + second - self._last[durable]
        self._file.write(slot * _SLOT, _packed(marks))
        if durable:
            self._file.sync()
        self._marks = marks


def _packed(marks: _Marks) -> bytes:
    data = _MAGIC + b"".join(number.to_bytes(8, "big") for number in marks)
    return data + hashlib.sha256(data).digest()


def _unpacked(data: bytes) -> _Marks | None:
    stop = len(_MAGIC) + 8 * len(_Marks._fields)
    if not data.startswith(_MAGIC) or data[stop : stop + 32] != hashlib.sha256(data[:stop]).digest():
        return None
    return _Marks(*(int.from_bytes(data[at : at + 8], "big") for at in range(len(_MAGIC), stop, 8)))
