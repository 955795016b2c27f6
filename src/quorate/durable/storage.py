"""The few operations on files that journals and fences need, so that tests can put a disk with faults under them.

Whatever is not said to be durable may be lost, in part or as a whole, when the power fails; none of it is lost when
only this process is killed. Every method raises `OSError`, as the operating system does (`ENOSPC`: the disk is full);
`named` turns it into the error for people.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from quorate.files import file_error

__all__ = ["DISK", "Closeable", "Disk", "File", "Storage", "named", "read_whole", "write_whole"]

Buffer = bytes | bytearray | memoryview


class Closeable(Protocol):
    """Something held until it is closed, or its process ends."""

    def close(self) -> None:
        """Let go of it; the second time does nothing."""


class File(Protocol):
    """An open file."""

    def size(self) -> int:
        """Bytes in it."""

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on; fewer where the file ends."""

    def write(self, offset: int, data: Buffer) -> None:
        """Write all of `data`, up to one byte behind the present end; a part of it may be there when it fails."""

    def truncate(self, size: int) -> None:
        """Cut the file off after `size` bytes."""

    def sync(self) -> None:
        """Make content and size durable (fdatasync)."""

    def close(self) -> None:
        """Let go of it, without `sync`."""


class Storage(Protocol):
    """A file system."""

    def make_folder(self, path: Path) -> None:
        """Create a folder (mode 0700) and those above, durably, unless it is there."""

    def exists(self, path: Path) -> bool:
        """Whether there is such a file."""

    def create(self, path: Path) -> File:
        """A new empty file, for reading and writing by this user alone; an old one of that name is emptied."""

    def open(self, path: Path) -> File:
        """An existing file, for reading and writing; `FileNotFoundError` if there is none."""

    def rename(self, source: Path, target: Path) -> None:
        """In one step; a file `target` is replaced. Durable after `sync_folder`."""

    def unlink(self, path: Path) -> None:
        """Remove a file, if it is there. Durable after `sync_folder`."""

    def sync_folder(self, folder: Path) -> None:
        """Make durable which files there are in a folder."""

    def free(self, folder: Path) -> int:
        """Bytes that can still be written there."""

    def lock(self, path: Path) -> Closeable | None:
        """The lock of this name (a file that stays), until it is closed or the process ends; None: another has it."""


class _Descriptor:
    """A file of the operating system."""

    def __init__(self, path: Path, flags: int) -> None:
        self._descriptor = os.open(path, flags | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, count: int) -> bytes:
        data = os.pread(self._descriptor, count, offset)
        if not data or len(data) == count:
            return data
        pieces, missing = [data], count - len(data)  # one call reads 2 GiB at most
        while missing and (data := os.pread(self._descriptor, missing, offset + count - missing)):
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def write(self, offset: int, data: Buffer) -> None:
        rest = memoryview(data)
        while rest:
            done = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[done:], offset + done

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Disk:
    """The file system of this machine."""

    def make_folder(self, path: Path) -> None:
        if not path.is_dir():
            self.make_folder(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
            self.sync_folder(path.parent)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def create(self, path: Path) -> File:
        return _Descriptor(path, os.O_CREAT | os.O_TRUNC)

    def open(self, path: Path) -> File:
        return _Descriptor(path, 0)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free(self, folder: Path) -> int:
        seen = os.statvfs(folder)
        return seen.f_bavail * seen.f_frsize

    def lock(self, path: Path) -> Closeable | None:
        held = open(path, "ab")  # noqa: SIM115
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            held.close()
            if problem.errno in (errno.EAGAIN, errno.EACCES):
                return None
            raise
        return held


DISK = Disk()
"""The file system of this machine."""


@contextlib.contextmanager
def named(path: Path, action: str) -> Iterator[None]:
    """Turn an `OSError` into the error that says what could not be done ("read", "write") with which file."""
    try:
        yield
    except OSError as problem:
        raise file_error(problem, path, action) from problem


def read_whole(storage: Storage, path: Path, limit: int) -> bytes:
    """Up to `limit` bytes of a file. Raises `OSError`."""
    file = storage.open(path)
    try:
        return file.read(0, limit)
    finally:
        file.close()


def write_whole(storage: Storage, path: Path, data: bytes) -> None:
    """Write a file, durably and in one step: a reader sees the old content or the new. Raises `OSError`."""
    temporary = path.with_name(path.name + ".new")
    file = storage.create(temporary)
    try:
        file.write(0, data)
        file.sync()
    finally:
        file.close()
    storage.rename(temporary, path)
    storage.sync_folder(path.parent)
