"""SQLite files of one process, with errors that say what to do: what is committed is on the disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from quorate.errors import EnvironmentFault
from quorate.files import ensure_folder

__all__ = ["TableFile"]

_BUSY_SECONDS = 30.0


class TableFile:
    """A database file of mode 0600; one thread at a time.

    Raises (everywhere):
        EnvironmentFault: the file is damaged or locked for long, or the disk is full.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        ensure_folder(path.parent, 0o700)
        with self._guarded():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            for setting in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY"):
                self._db.execute(f"PRAGMA {setting}")
            self._db.executescript(schema)

    def close(self) -> None:
        """Leave; never raises."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, for queries."""
        with self._guarded():
            yield self._db

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything or nothing, durable at the end."""
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as problem:
            code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
            hints = {
                sqlite3.SQLITE_FULL: "the disk is full; free some space and start again, nothing confirmed is lost",
                sqlite3.SQLITE_BUSY: "in use by another process; only one at a time may work with it",
                sqlite3.SQLITE_CORRUPT: "damaged; restore it from a backup",
                sqlite3.SQLITE_NOTADB: "not a file of this kind; check the path",
            }
            raise EnvironmentFault(f"{self.path}: {hints.get(code, str(problem))}") from problem
