"""The journal of one session at one participant: encrypted records that are only ever added, and committed in groups.

    PATH.key     the session's random data key, sealed under the node's key; its header is readable and authenticated
    PATH         the records, in the format of `quorate.durable.segments`
    PATH.new     what is being written in place of PATH

Records are small numbers (kinds) and bytes; what they mean is not the journal's business. What `append` took is in
memory or, if it is long, on disk without counting; `commit` makes it count, all of it or nothing, whatever happens.
After `commit` (durable) it survives the loss of power, after `commit(durable=False)` only the end of this process.

What the last commit left behind when it was interrupted is dropped at opening. Damage anywhere else is refused, and so
is whatever was moved, left out or brought from another journal. Only one thing cannot be seen from within: a journal
that ends early because an old copy of it was put back. `quorate.durable.fence` guards against that.

Erasing the data key erases the journal, and all copies of it without PATH.key. Where a disk keeps what was overwritten,
the data key is still sealed under the node's key there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from quorate.crypto.sealed import KEY_BYTES, new_key, seal, unseal
from quorate.durable.segments import HEAD, MOST_RECORD, Broken, Buffer, Keys, Mark, Reader, Writer, torn
from quorate.durable.storage import DISK, File, Storage, named, read_whole, write_whole
from quorate.errors import EnvironmentFault, InternalError, QuorateError, UserError
from quorate.files import file_error

__all__ = ["MOST_BYTES", "Journal", "Record", "destroy", "exists", "read_header"]

Record = tuple[int, Sequence[Buffer]]
"""Kind (0 ... 254) and content in pieces, to be written."""

MOST_BYTES = 16 << 30
"""Limit on the size of a journal, unless another is given."""
RESERVE = 1 << 20
"""Bytes beyond the limit that records of up to `_SMALL` may still use: why a session ends must find room."""

_SMALL = 4096
_KEY_MAGIC = b"quorate-log-key-1\n"
_MOST_HEADER = 60_000
_KEY_FILE = 1 << 16
_OVERHEAD = 256


class Journal:
    """A journal that is open, for one process and one thread; made by `create` and `open`."""

    def __init__(self, path: Path, header: bytes, data_key: bytes, storage: Storage, most_bytes: int) -> None:
        """For `create` and `open`."""
        self.path = path
        self.header = header
        self.dropped = 0
        self._data_key = data_key
        self._storage = storage
        self._most = most_bytes
        with named(path, "open"):
            self._file = storage.open(path)
        try:
            with named(path, "read"):
                self._keys = self._keyed(self._file)
                self._end = self._recovered()
        except BaseException:
            self._file.close()
            raise
        self._durable = self._end.number
        self._writer: Writer | None = None
        self._fault: QuorateError | None = None

    @classmethod
    def create(
        cls, path: Path, node_key: bytes, header: bytes, *, storage: Storage = DISK, most_bytes: int = MOST_BYTES
    ) -> Journal:
        """A new, empty journal at `path`, durably; `header` (up to 60000 bytes) must hold no secret.

        Raises:
            UserError: there is one already.
            EnvironmentFault: the disk is full, or this machine refuses the write.
        """
        if len(header) > _MOST_HEADER:
            raise InternalError(f"a journal's header has {len(header)} bytes, which is too long; please report this")
        if storage.exists(path):
            raise UserError(f"{path}: there is a journal already; open it, or destroy that session first")
        data_key = new_key()
        with named(path, "write"):
            storage.make_folder(path.parent)
            write_whole(storage, _key_path(path), seal(node_key, _KEY_MAGIC, header, data_key))
            write_whole(storage, path, Keys.fresh(data_key, 0).head)
        return cls(path, header, data_key, storage, most_bytes)

    @classmethod
    def open(cls, path: Path, node_key: bytes, *, storage: Storage = DISK, most_bytes: int = MOST_BYTES) -> Journal:
        """The journal at `path`, as its last commit left it; what is in it is durable from now on.

        Raises:
            UserError: there is none.
            EnvironmentFault: it is damaged, or encrypted under another key; or this machine refuses.
        """
        header, data_key = _unlocked(path, node_key, storage)
        return cls(path, header, data_key, storage, most_bytes)

    # ---- reading

    @property
    def size(self) -> int:
        """Bytes in the file, with what is not committed yet."""
        return self._end.position + (self._writer.size if self._writer else 0)

    @property
    def commits(self) -> int:
        """How often something was committed since the journal was made; it only grows."""
        return self._end.number

    @property
    def room(self) -> int:
        """Bytes that can still be written, by the journal's limit and by the disk."""
        with named(self.path, "look at"):
            return max(0, min(self._most - self.size, self._storage.free(self.path.parent)))

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Kind and content of all that is committed, in order.

        Raises:
            EnvironmentFault: something is damaged, or cannot be read.
        """
        limit, mark = self._end.position, self._keys.origin
        reader = Reader(self._file, self._keys, limit)
        try:
            with named(self.path, "read"):
                while mark.position < limit:
                    mark = yield from reader.records(mark)
        except Broken as broken:
            raise _damaged(self.path, broken) from None

    # ---- writing

    def append(self, kind: int, *parts: Buffer) -> None:
        """Add a record of this kind (0 ... 254), the pieces one after the other; it counts after the next `commit`.

        The pieces may be changed as soon as this returns.

        Raises:
            EnvironmentFault: the journal is as large as it may be, and nothing was added; or a write failed, and
                nothing can be added any more.
        """
        self._check_room(kind, sum([memoryview(part).nbytes for part in parts]))
        if self._fault is not None:
            raise self._fault
        try:
            if self._writer is None:
                self._writer = Writer(self._file, self._keys, self._end, self._durable)
            self._writer.add(kind, parts)
        except BaseException as problem:
            raise self._failed(problem) from problem

    def commit(self, durable: bool = True) -> None:
        """Make everything that was appended count: one write, one fdatasync (none with `durable` false).

        With nothing appended, and nothing committed that is not durable yet, the operating system is not called.

        Raises:
            EnvironmentFault: the disk is full, or refuses. Nothing of it counts, the journal stays as it was committed
                last, and nothing can be added any more: open it anew.
        """
        if self._writer is None and self._fault is None and (self._durable == self._end.number or not durable):
            return
        with self._writing():
            end = self._end if self._writer is None else self._writer.finish()
            if durable:
                self._file.sync()
                self._durable = end.number
            self._end, self._writer = end, None

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace everything by `records`, durably and in one step; counts as one commit.

        `records` may be made from `self.records()`. Whatever goes wrong, the old content stays.

        Raises:
            EnvironmentFault: the disk is full, or this machine refuses the write.
        """
        if self._writer is not None:
            raise InternalError("a journal is rewritten only after a commit; please report this")
        self._check_fault()
        temporary = _new_path(self.path)
        keys = Keys.fresh(self._data_key, self._end.number + 1)
        with named(self.path, "write"):
            file = self._storage.create(temporary)
            try:
                end = self._rewritten(file, keys, records)
                self._storage.rename(temporary, self.path)
            except BaseException:
                file.close()
                with contextlib.suppress(OSError):
                    self._storage.unlink(temporary)
                raise
            self._file.close()
            self._file, self._keys, self._end, self._durable = file, keys, end, end.number
        with self._writing():
            self._storage.sync_folder(self.path.parent)

    def close(self) -> None:
        """Let go of the file; what is not committed is lost."""
        self._writer = None
        self._fault = self._fault or InternalError(f"{self.path.name}: the journal is closed; please report this")
        self._file.close()

    def destroy(self) -> None:
        """Close it and erase it, key first; see `destroy`."""
        self.close()
        destroy(self.path, self._storage)

    # ---- inside

    def _keyed(self, file: File) -> Keys:
        keys = Keys.of(self._data_key, file.read(0, HEAD))
        if keys is None:
            raise EnvironmentFault(f"{self.path}: not a journal, or its beginning is damaged; start a new session")
        return keys

    def _recovered(self) -> Mark:
        """The end of what is committed; what an interrupted write left behind it is cut off."""
        size = self._file.size()
        end = before = self._keys.origin
        try:
            for mark in Reader(self._file, self._keys, size).survey():
                before, end = end, mark
            if end.position > before.position:
                self._check_last(before, end)
        except Broken as broken:
            if not torn(self._file, self._keys, broken, size):
                raise _damaged(self.path, broken) from None
            end = before if broken.begun == before.position else end
        if end.number < self._keys.base:  # it was on disk as a whole before it got its name
            raise _damaged(self.path, Broken(self._keys.base, HEAD, HEAD, HEAD, cut=True))
        self._storage.unlink(_new_path(self.path))
        if end.position < size:
            self._file.truncate(end.position)
            self.dropped = size - end.position
        self._file.sync()
        self._storage.sync_folder(self.path.parent)  # who made the file may have been killed before doing so
        return end

    def _check_last(self, before: Mark, end: Mark) -> None:
        """Look at the bodies of the last segment too, of which a part may be missing."""
        for _ in Reader(self._file, self._keys, end.position).records(before):
            pass

    def _rewritten(self, file: File, keys: Keys, records: Iterable[Record]) -> Mark:
        file.write(0, keys.head)
        writer = Writer(file, keys, keys.origin, keys.base)
        for kind, parts in records:
            _check_record(kind, sum(memoryview(part).nbytes for part in parts))
            writer.add(kind, parts)
        end = writer.finish()
        file.sync()
        return end

    def _check_room(self, kind: int, size: int) -> None:
        _check_record(kind, size)
        most = self._most + (RESERVE if size <= _SMALL else 0)
        if self.size + size + _OVERHEAD > most:
            raise EnvironmentFault(
                f"{self.path}: the journal of this session would be larger than {self._most:,} bytes, its limit; "
                "raise the limit, or compute on fewer rows"
            )

    def _check_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._check_fault()
        try:
            yield
        except BaseException as problem:
            raise self._failed(problem) from problem

    def _failed(self, problem: BaseException) -> BaseException:
        """After a write that failed nobody knows what is in memory and what on disk: nothing follows it."""
        told = file_error(problem, self.path, "write") if isinstance(problem, OSError) else problem
        self._writer = None
        self._fault = told if isinstance(told, QuorateError) else InternalError("a write was interrupted")
        with contextlib.suppress(OSError):
            self._file.truncate(self._end.position)
        return told


def exists(path: Path, storage: Storage = DISK) -> bool:
    """Whether there is a journal at `path` that can be opened, as far as one can see without its key."""
    return storage.exists(path) and storage.exists(_key_path(path))


def read_header(path: Path, storage: Storage = DISK) -> bytes:
    """The header of the journal at `path`, not authenticated: enough to list sessions without a key.

    Raises:
        UserError: there is none.
        EnvironmentFault: it is damaged, or cannot be read.
    """
    data = _key_data(path, storage)
    start = len(_KEY_MAGIC) + 4
    stop = start + int.from_bytes(data[start - 4 : start], "big")
    if not data.startswith(_KEY_MAGIC) or stop > len(data):
        raise EnvironmentFault(f"{_key_path(path)}: damaged; start a new session")
    return data[start:stop]


def destroy(path: Path, storage: Storage = DISK) -> None:
    """Erase the journal at `path`: first its data key, without which the rest is noise, then the files. Idempotent.

    Raises:
        EnvironmentFault: this machine refuses.
    """
    key = _key_path(path)
    with named(path, "erase"):
        for one in (key, _new_path(key)):
            if storage.exists(one):
                _overwrite(one, storage)
                storage.unlink(one)
                storage.sync_folder(path.parent)
        for one in (path, _new_path(path)):
            if storage.exists(one):
                storage.unlink(one)
                storage.sync_folder(path.parent)


def _overwrite(path: Path, storage: Storage) -> None:
    file = storage.open(path)
    try:
        file.write(0, bytes(file.size()))
        file.sync()
    finally:
        file.close()


def _unlocked(path: Path, node_key: bytes, storage: Storage) -> tuple[bytes, bytes]:
    """Header and data key."""
    data = _key_data(path, storage)
    opened = unseal(node_key, _KEY_MAGIC, data)
    if opened is None or len(opened[1]) != KEY_BYTES:
        raise EnvironmentFault(
            f"{_key_path(path)}: damaged, or encrypted under another key of this node; put the node's key back, or "
            "start a new session"
        )
    return opened


def _key_data(path: Path, storage: Storage) -> bytes:
    with named(path, "open"):
        if not storage.exists(path):
            raise UserError(f"{path}: there is no journal of this session; it ended, or never began here")
        if not storage.exists(_key_path(path)):
            raise UserError(f"{path}: the key of this journal was erased: its session has ended")
        return read_whole(storage, _key_path(path), _KEY_FILE)


def _key_path(path: Path) -> Path:
    return path.with_name(path.name + ".key")


def _new_path(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _check_record(kind: int, size: int) -> None:
    if not 0 <= kind < 255 or size > MOST_RECORD:
        raise InternalError(f"a record of kind {kind} with {size} bytes does not fit a journal; please report this")


def _damaged(path: Path, broken: Broken) -> EnvironmentFault:
    return EnvironmentFault(
        f"{path}: the journal is damaged in commit {broken.number}, at byte {broken.start}; a part of it that was safe "
        "on disk is not there any more, so this session cannot go on: start a new one, and have the disk checked"
    )
