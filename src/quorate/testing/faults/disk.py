"""A simulated disk: what a process wrote, what of it is durable, and everything that can happen to the difference.

It is a `quorate.durable.storage.Storage`. A kill loses nothing that was written. A power failure loses what was not
synchronised: a file is cut back at any byte, or some of its sectors never reached the platter; names that were given
since their folder was synchronised are undone. Before every change, and inside writes, the process may be killed.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from quorate.durable.storage import Closeable, File
from quorate.testing.faults.events import Choices
from quorate.testing.faults.plan import Kill

__all__ = ["SECTOR", "Image", "SimulatedDisk"]

SECTOR = 512
"""Bytes that reach the platter together, or not at all."""

Image = dict[Path, bytes]
"""All files with their content: a backup."""

Point = Callable[[str], None]
"""Called where the process may be killed, with what it was about to do."""

Buffer = bytes | bytearray | memoryview


class _Platter:
    """A file: its content as processes see it, and what of that is durable."""

    __slots__ = ("content", "durable", "pending")

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.durable = content
        self.pending: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        _put(self.content, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        del self.content[size:]
        self.pending.append((size, None))

    def sync(self) -> None:
        if self.pending:
            self.durable = bytes(self.content)
            self.pending = []

    def survivor(self, kill: Kill) -> _Platter:
        """The file after a power failure."""
        total = sum(len(data) for _, data in self.pending if data is not None)
        budget = kill.kept if kill.kept >= 0 else max(0, total + kill.kept)
        left = bytearray(self.durable)
        for offset, data in self.pending:
            if data is None:
                if budget > 0:
                    del left[offset:]
                continue
            _put(left, offset, data[:budget])
            budget -= min(budget, len(data))
        return _Platter(self._without_sectors(kill.torn) if kill.torn else bytes(left))

    def _without_sectors(self, seed: int) -> bytes:
        """The size is the new one, but some sectors hold what they held before, or zeros where nothing was."""
        choices, left = Choices(seed, "sectors"), bytearray(self.content)
        old = self.durable[: len(left)].ljust(len(left), b"\0")
        for start in range(0, len(left), SECTOR):
            end = start + SECTOR
            if left[start:end] != old[start:end] and choices.chance(0.5):
                left[start:end] = old[start:end]
        return bytes(left)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content[offset : offset + len(data)] = data


class SimulatedDisk:
    """The storage of one participant; it outlives the participant's processes.

    Attributes:
        point: asked before every change, see `Point`.
        room: bytes that may still be written; None: any number.
        syncs: how often something was synchronised.
    """

    def __init__(self, point: Point) -> None:
        self.point = point
        self.room: int | None = None
        self.syncs = 0
        self._files: dict[Path, _Platter] = {}
        self._durable: dict[Path, _Platter] = {}
        self._locks: set[Path] = set()

    # ---- as a storage

    def make_folder(self, path: Path) -> None:
        """Folders need no making here."""

    def exists(self, path: Path) -> bool:
        """Whether there is such a file."""
        return path in self._files

    def create(self, path: Path) -> File:
        """See `Storage`."""
        self.point(f"create {path.name}")
        self.spend(1)
        platter = self._files[path] = _Platter()
        return _Open(self, path.name, platter)

    def open(self, path: Path) -> File:
        """See `Storage`."""
        return _Open(self, path.name, self._platter(path))

    def rename(self, source: Path, target: Path) -> None:
        """See `Storage`."""
        self.point(f"rename {source.name} to {target.name}")
        self._files[target] = self._platter(source)
        del self._files[source]

    def unlink(self, path: Path) -> None:
        """See `Storage`."""
        self.point(f"unlink {path.name}")
        self._files.pop(path, None)

    def sync_folder(self, folder: Path) -> None:
        """See `Storage`."""
        self.point(f"synchronise {folder.name or folder}")
        kept = {path: platter for path, platter in self._durable.items() if path.parent != folder}
        here = {path: platter for path, platter in self._files.items() if path.parent == folder}
        self._durable = {**kept, **here}
        self.syncs += 1

    def free(self, folder: Path) -> int:
        """See `Storage`."""
        return 1 << 40 if self.room is None else self.room

    def lock(self, path: Path) -> Closeable | None:
        """See `Storage`."""
        if path in self._locks:
            return None
        self._locks.add(path)
        return _Lock(self._locks, path)

    # ---- what happens to it

    def unsynchronised(self) -> list[Path]:
        """The files of which a power failure would lose something, or the name."""
        return [
            path for path, platter in self._files.items() if platter.pending or self._durable.get(path) is not platter
        ]

    def backup(self) -> Image:
        """What there is now."""
        return {path: bytes(platter.content) for path, platter in self._files.items()}

    def restore(self, image: Image, covered: Callable[[Path], bool]) -> None:
        """Put a backup back in place of all that it covers."""
        kept = {path: platter for path, platter in self._files.items() if not covered(path)}
        put_back = {path: _Platter(content) for path, content in image.items() if covered(path)}
        self._files = {**kept, **put_back}
        self._durable = dict(self._files)

    def release(self) -> None:
        """The process is gone: its locks are free."""
        self._locks.clear()

    def fail(self, kill: Kill) -> None:
        """What a kill does to the disk: nothing, unless the power fails with it."""
        if kill.power:
            self._files = {path: platter.survivor(kill) for path, platter in self._durable.items()}
            self._durable = dict(self._files)
        if kill.rot is not None:
            self._rot(kill.rot)

    def spend(self, size: int) -> int:
        """How many of `size` bytes there is room for; raises `OSError` if for none."""
        if self.room is None:
            return size
        if not self.room:
            raise OSError(errno.ENOSPC, "the simulated disk is full")
        granted = min(size, self.room)
        self.room -= granted
        return granted

    def _rot(self, fraction: float) -> None:
        """A bit is flipped, somewhere."""
        place = int(fraction * sum(len(platter.content) for platter in self._files.values()))
        for path in sorted(self._files):
            content = bytearray(self._files[path].content)
            if place < len(content):
                content[place] ^= 1 << (place % 8)
                self._files[path] = self._durable[path] = _Platter(bytes(content))
                return
            place -= len(content)

    def _platter(self, path: Path) -> _Platter:
        if path not in self._files:
            raise FileNotFoundError(errno.ENOENT, "there is no such simulated file", str(path))
        return self._files[path]


class _Open:
    """An open simulated file."""

    def __init__(self, disk: SimulatedDisk, name: str, platter: _Platter) -> None:
        self._disk, self._name, self._platter = disk, name, platter

    def size(self) -> int:
        return len(self._platter.content)

    def read(self, offset: int, count: int) -> bytes:
        return bytes(self._platter.content[offset : offset + count])

    def write(self, offset: int, data: Buffer) -> None:
        self._disk.point(f"write {len(data)} bytes to {self._name}")
        whole = bytes(data)
        for start, end in _parts(len(whole)):
            if start:
                self._disk.point(f"write to {self._name}: {start} of {len(whole)} bytes written")
            granted = self._disk.spend(end - start)
            self._platter.write(offset + start, whole[start : start + granted])
            if granted < end - start:
                raise OSError(errno.ENOSPC, "the simulated disk is full")

    def truncate(self, size: int) -> None:
        self._disk.point(f"truncate {self._name}")
        self._platter.truncate(size)

    def sync(self) -> None:
        self._disk.point(f"synchronise {self._name}")
        self._platter.sync()
        self._disk.syncs += 1

    def close(self) -> None:
        """Nothing is held."""


class _Lock:
    def __init__(self, locks: set[Path], path: Path) -> None:
        self._locks, self._path = locks, path

    def close(self) -> None:
        self._locks.discard(self._path)


def _parts(size: int) -> list[tuple[int, int]]:
    """A write in up to three steps: its first byte, its first half, all of it."""
    ends = sorted({1, size // 2, size} - {0})
    return list(zip([0, *ends], ends, strict=False))
