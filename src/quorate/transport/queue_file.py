"""A durable queue in one file: SQLite with a write-ahead log, shared by the processes of one host.

What is published is on the disk before `publish` returns. What consumers note (handed out, acknowledged) survives the
death of a process, but the last of it may be lost with the power: then a parcel is handed out once more.

Nothing but SQLite may open the file: closing a descriptor of one's own would release SQLite's locks on it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from quorate.errors import BrokerFault, QueueFull
from quorate.transport.carrier import Limits, Parcel
from quorate.transport.queue_layout import BUSY_SECONDS, SETTINGS, QueueGone, fault

__all__ = ["Letter", "QueueFile", "Waiting"]


class Waiting(NamedTuple):
    """A parcel that is handed out: its place in the queue, and for which time."""

    place: int
    parcel: Parcel
    attempt: int


class Letter(NamedTuple):
    """A dead letter and its place among them."""

    place: int
    parcel: Parcel
    reason: str
    since: float


class QueueFile:
    """The queue in the file `path`; one thread at a time, any number of processes.

    Raises (everywhere):
        QueueGone: the queue is removed, or was never made.
        QueueDamaged: the file cannot be read as a queue.
        BrokerFault: it is locked for long, or the disk is full or broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._durable = True
        self._taken = 0  # up to this place everything was handed out by us
        self._db: sqlite3.Connection | None = None
        if not path.is_file():
            raise QueueGone(f"there is no queue {path.stem} in {path.parent}: it was never made there, or is removed")
        self._inode = _inode(path)
        with self._guarded():
            uri = f"{path.absolute().as_uri()}?mode=rw"
            self._db = sqlite3.connect(
                uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for setting in SETTINGS:
                self._db.execute(setting)

    def close(self) -> None:
        """Leave; never raises."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    # ---- senders

    def publish(self, parcels: Sequence[Parcel]) -> None:
        """Append the parcels whose idents are new, in one transaction. Raises `QueueFull` with a part of them taken."""
        with self._transaction() as db:
            self._expire(db)
            most, used = db.execute("SELECT most_bytes, bytes FROM facts").fetchone()
            full = not self._append(db, parcels, most, used)
        if _inode(self.path) != self._inode:
            raise QueueGone(f"the file of the queue {self.path.stem} was deleted from outside; make the queue anew")
        if full:
            raise QueueFull(
                f"the queue {self.path.stem} holds {most} bytes, which is its limit: whoever should empty it is away "
                "or too slow; the rest is sent when there is room again"
            )

    def _append(self, db: sqlite3.Connection, parcels: Sequence[Parcel], most: int, used: int) -> bool:
        now = time.time()
        for ident, body in parcels:
            if used and used + len(body) > most:
                # A copy of what is here already needs no room.
                if db.execute("SELECT 1 FROM idents WHERE ident = ?", (ident,)).fetchone():
                    continue
                return False
            if db.execute("INSERT OR IGNORE INTO idents VALUES (?)", (ident,)).rowcount:
                number = db.execute("INSERT INTO bodies (body) VALUES (?)", (body,)).lastrowid
                row = (ident, number, len(body), now)
                db.execute("INSERT INTO waiting (ident, body, size, since) VALUES (?, ?, ?, ?)", row)
                used += len(body)
        return True

    # ---- the consumer

    def version(self) -> int:
        """Another number whenever somebody else has changed the queue."""
        with self._guarded():
            number: int = self._open().execute("PRAGMA data_version").fetchone()[0]
            return number

    def take(self, most: int) -> list[Waiting]:
        """The next parcels that we were not given before, at most so many; those given out too often are dead."""
        with self._guarded():
            if not self._open().execute("SELECT 1 FROM waiting WHERE place > ?", (self._taken,)).fetchone():
                self._check_present(self._open())
                return []
        with self._transaction(durable=False) as db:
            self._expire(db)
            rows = self._next(db, most)
            db.executemany("UPDATE waiting SET attempts = attempts + 1 WHERE place = ?", [(row[0],) for row in rows])
        if rows:
            self._taken = rows[-1][0]
        return [Waiting(place, Parcel(ident, body), attempts + 1) for place, ident, body, attempts in rows]

    def _next(self, db: sqlite3.Connection, most: int) -> list[tuple[int, str, bytes, int]]:
        """(place, ident, body, attempts) of the next parcels; on the way, those tried too often are buried."""
        (tries,) = db.execute("SELECT most_deliveries FROM facts").fetchone()
        while True:
            rows = db.execute(
                "SELECT place, ident, bodies.body, attempts FROM waiting JOIN bodies ON id = waiting.body "
                "WHERE place > ? ORDER BY place LIMIT ?",
                (self._taken, most),
            ).fetchall()
            good = [row for row in rows if row[3] < tries]
            for place in (row[0] for row in rows if row[3] >= tries):
                _bury(db, "undeliverable", "place = ?", place)
            if good or not rows:
                return good

    def forget(self, places: Iterable[int]) -> None:
        """Delete parcels of these places; their idents stay known."""
        with self._transaction(durable=False) as db:
            for place in places:
                db.execute("DELETE FROM bodies WHERE id = (SELECT body FROM waiting WHERE place = ?)", (place,))
                db.execute("DELETE FROM waiting WHERE place = ?", (place,))

    def bury(self, place: int, reason: str) -> None:
        """Make a dead letter of a parcel; nothing if it is gone."""
        with self._transaction() as db:
            _bury(db, reason, "place = ?", place)

    def _expire(self, db: sqlite3.Connection) -> None:
        """Bury what was never handed out in time."""
        (ttl,) = db.execute("SELECT ttl FROM facts").fetchone()
        due = time.time() - ttl
        first = db.execute("SELECT since FROM waiting WHERE attempts = 0 ORDER BY place LIMIT 1").fetchone()
        if first is not None and first[0] < due:
            _bury(db, "expired", "attempts = 0 AND since < ?", due)

    # ---- anybody

    def limit(self, limits: Limits) -> None:
        """Replace the limits, if they are others."""
        values = (limits.ttl, limits.most_bytes, limits.most_deliveries)
        with self._transaction() as db:
            if db.execute("SELECT ttl, most_bytes, most_deliveries FROM facts").fetchone() != values:
                db.execute("UPDATE facts SET ttl = ?, most_bytes = ?, most_deliveries = ?", values)

    def depth(self) -> int:
        """Parcels that wait or are handed out."""
        with self._transaction(durable=False) as db:
            self._expire(db)
            number: int = db.execute("SELECT parcels FROM facts").fetchone()[0]
        return number

    def dead(self, most: int) -> list[Letter]:
        """The oldest dead letters."""
        with self._transaction(durable=False) as db:
            self._expire(db)
            rows = db.execute(
                "SELECT place, ident, bodies.body, reason, since FROM dead JOIN bodies ON id = dead.body "
                "ORDER BY place LIMIT ?",
                (most,),
            ).fetchall()
        return [Letter(place, Parcel(ident, body), reason, since) for place, ident, body, reason, since in rows]

    def revive(self, places: Iterable[int]) -> None:
        """Put dead letters back at the end of the queue."""
        now = time.time()
        with self._transaction() as db:
            for place in places:
                db.execute(
                    "INSERT INTO waiting (ident, body, size, since) SELECT ident, body, size, ? FROM dead "
                    "WHERE place = ?",
                    (now, place),
                )
                db.execute("DELETE FROM dead WHERE place = ?", (place,))

    def discard(self, places: Iterable[int]) -> None:
        """Delete dead letters."""
        with self._transaction() as db:
            for place in places:
                db.execute("DELETE FROM bodies WHERE id = (SELECT body FROM dead WHERE place = ?)", (place,))
                db.execute("DELETE FROM dead WHERE place = ?", (place,))

    def remove(self) -> None:
        """Tell everybody who has the file open that the queue is gone."""
        with self._transaction() as db:
            db.execute("UPDATE facts SET removed = 1")

    # ---- the database

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise BrokerFault(f"the queue {self.path.stem} was left already; open it again")
        return self._db

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            raise fault(problem, self.path) from None

    @contextlib.contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Everything or nothing; if `durable`, it is on the disk at the end."""
        db = self._open()
        with self._guarded():
            if durable != self._durable:
                db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            db.execute("BEGIN IMMEDIATE")
            try:
                self._check_present(db)
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    def _check_present(self, db: sqlite3.Connection) -> None:
        if db.execute("SELECT removed FROM facts").fetchone() != (0,):
            raise QueueGone(f"the queue {self.path.stem} was removed")


def _inode(path: Path) -> int:
    """Which file it is; 0 if there is none. Looks without opening it."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _bury(db: sqlite3.Connection, reason: str, which: str, *values: float) -> None:
    """Move the waiting parcels that fit the condition (a constant of this module) to the dead letters."""
    db.execute(
        "INSERT INTO dead (ident, body, size, since, reason) SELECT ident, body, size, ?, ? FROM waiting "  # noqa: S608
        f"WHERE {which} ORDER BY place",
        (time.time(), reason, *values),
    )
    db.execute(f"DELETE FROM waiting WHERE {which}", values)  # noqa: S608
