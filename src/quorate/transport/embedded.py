"""Durable queues without a server: a folder that several processes of one host share, `embedded:PATH`.

Each queue is a file of its own (`quorate.transport.queue_file`), so that who writes to different queues does not
wait for one another. A queue has one active consumer, the holder of a lock beside the file; the operating system
releases the lock when the process dies, and the next consumer gets what was not acknowledged.

Who may read and write is a matter of file permissions: folder 0700, files 0600.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import SplitResult

from quorate.errors import BrokerFault, InternalError, QueueFull, UserError
from quorate.files import ensure_folder
from quorate.transport.backoff import Backoff
from quorate.transport.carrier import Credentials, DeadLetter, Delivery, Limits, Parcel, Queue, check_queue
from quorate.transport.queue_file import QueueFile
from quorate.transport.queue_layout import QueueDamaged, QueueGone, create, delete, fault

__all__ = ["EmbeddedCarrier", "connect"]

_FIRST_LOOK, _LONGEST_LOOK = 0.0002, 0.02
_REMOTE = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2"),
    *("gfs2", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.ceph"),
}


def connect(parts: SplitResult, credentials: Credentials) -> EmbeddedCarrier:
    """The carrier of the folder in an address like `embedded:queues` or `embedded:/var/lib/quorate/queues`.

    The credentials are not needed: the permissions of the files decide.
    """
    del credentials
    if parts.netloc or parts.query or parts.fragment or not parts.path:
        raise UserError(
            f"{parts.geturl()!r}: write embedded:FOLDER, the path of a folder on this machine without ? or #"
        )
    return EmbeddedCarrier(Path(parts.path))


class EmbeddedCarrier:
    """See `quorate.transport.carrier.Carrier`.

    A parcel whose ident the queue has seen, in whatever state it is now, is not taken again until `remove`. Parcels
    that were handed out at least once do not expire; they become dead letters after `Limits.most_deliveries`.

    Raises:
        UserError: the folder cannot be made, is on a network file system, or everybody may write to it.
    """

    scheme: ClassVar[str] = "embedded"

    def __init__(self, folder: Path) -> None:
        folder = folder.absolute()
        ensure_folder(folder, 0o700)
        _check_folder(folder)
        self._folder = folder
        self._files: dict[Queue, QueueFile] = {}
        self._locks: dict[Queue, int] = {}
        self._closed = False

    def provision(self, queue: Queue, limits: Limits) -> None:
        """See `Carrier`; the limits of an existing queue are replaced."""
        path = self._path(queue)
        with self._alone():
            if path.is_file() and self._limit(queue, limits):
                return
            delete(path)
            create(path, limits)

    def _limit(self, queue: Queue, limits: Limits) -> bool:
        """Set the limits of a queue; False if it is gone, with a file that a process left which died removing it."""
        for _ in range(2):  # what we have open may be a predecessor of the file that is there now
            try:
                with self._using(queue) as file:
                    file.limit(limits)
                return True
            except QueueGone:
                continue
        return False

    def publish(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """See `Carrier`; one transaction, so one write to the disk, however many there are."""
        with self._using(queue) as file:
            file.publish(parcels)

    def consume(self, queue: Queue, most: int, wait: float) -> list[Delivery]:
        """See `Carrier`; while another consumer is active, there is nothing."""
        deadline = time.monotonic() + wait
        looks = Backoff(_FIRST_LOOK, _LONGEST_LOOK)
        with self._using(queue) as file:
            while True:
                version = file.version()
                if self._active(queue) and (found := file.take(most)):
                    return [Delivery(queue, parcel, attempt, place) for place, parcel, attempt in found]
                while file.version() == version:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return []
                    time.sleep(min(left, looks.pause()))
                    if queue not in self._locks:
                        break

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See `Carrier`; one transaction for each queue."""
        places: dict[Queue, list[int]] = {}
        for delivery in deliveries:
            places.setdefault(delivery.queue, []).append(_place(delivery.receipt))
        for queue, those in places.items():
            with self._using(queue) as file:
                file.forget(those)

    def reject(self, delivery: Delivery, reason: str) -> None:
        """See `Carrier`."""
        with self._using(delivery.queue) as file:
            file.bury(_place(delivery.receipt), f"rejected: {reason}")

    def depth(self, queue: Queue) -> int:
        """See `Carrier`."""
        with contextlib.suppress(QueueGone), self._using(queue) as file:
            return file.depth()
        return 0

    def dead(self, queue: Queue, most: int = 1000) -> list[DeadLetter]:
        """See `Carrier`."""
        with contextlib.suppress(QueueGone), self._using(queue) as file:
            return [DeadLetter(parcel, reason, since, place) for place, parcel, reason, since in file.dead(most)]
        return []

    def retry(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """See `Carrier`."""
        with self._using(queue) as file:
            file.revive([_place(letter.receipt) for letter in letters])

    def drop(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        """See `Carrier`."""
        with self._using(queue) as file:
            file.discard([_place(letter.receipt) for letter in letters])

    def remove(self, queue: Queue) -> None:
        """See `Carrier`; removes a damaged file too."""
        path = self._path(queue)
        with self._alone():
            for _ in range(2):  # as in `_limit`
                with contextlib.suppress(QueueGone, QueueDamaged), self._using(queue) as file:
                    file.remove()
                self._leave(queue)
            delete(path)
            self._lock_path(queue).unlink(missing_ok=True)

    def close(self) -> None:
        """See `Carrier`."""
        self._closed = True
        for queue in {*self._files, *self._locks}:
            self._leave(queue)

    # ---- files

    def _path(self, queue: Queue) -> Path:
        if self._closed:
            raise BrokerFault(f"the queues of {self._folder} were left already; open them again")
        return self._folder / f"{check_queue(queue).name}.queue"

    def _lock_path(self, queue: Queue) -> Path:
        return self._path(queue).with_suffix(".consumer")

    @contextlib.contextmanager
    def _using(self, queue: Queue) -> Iterator[QueueFile]:
        """The open file of a queue; after a fault it is closed, and opened again at the next use."""
        path = self._path(queue)
        try:
            if queue not in self._files:
                self._files[queue] = QueueFile(path)
            yield self._files[queue]
        except BrokerFault as problem:
            if not isinstance(problem, QueueFull):
                self._leave(queue)
            raise

    def _leave(self, queue: Queue) -> None:
        file = self._files.pop(queue, None)
        if file is not None:
            file.close()
        lock = self._locks.pop(queue, None)
        if lock is not None:
            os.close(lock)

    def _active(self, queue: Queue) -> bool:
        """Whether we are the active consumer of the queue; become it if nobody is."""
        if queue in self._locks:
            return True
        descriptor = _lock_file(self._lock_path(queue))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._locks[queue] = descriptor
        return True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else makes or removes queues of this folder meanwhile."""
        descriptor = _lock_file(self._folder / ".lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _lock_file(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as problem:
        raise fault(problem, path) from None


def _place(receipt: object) -> int:
    if not isinstance(receipt, int):
        raise InternalError("a receipt that is not of this carrier; please report this")
    return receipt


def _check_folder(folder: Path) -> None:
    if folder.stat().st_mode & stat.S_IWOTH:
        raise UserError(f"everybody may write to the folder {folder}, so it cannot hold queues; chmod 700 it")
    kind = _file_system(folder.resolve())
    if kind in _REMOTE:
        raise UserError(
            f"the folder {folder} is on a network file system ({kind}), whose locks cannot be relied on; choose a "
            "folder on a disk of this machine, or a message broker"
        )


def _file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system a folder is on; empty where the system does not tell."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    kind, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) > 4 and rest and folder.is_relative_to(point := _plain(fields[4])) and len(point) >= longest:
            kind, longest = rest[0], len(point)
    return kind


def _plain(text: str) -> str:
    """A path of the mount table without its escapes."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
