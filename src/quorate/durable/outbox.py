"""What a producer has said and is to say: sealed frames in a file, written before the first of them leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from quorate.durable.submission import new_id
from quorate.durable.table_file import TableFile
from quorate.errors import UserError
from quorate.transport.carrier import Parcel

__all__ = ["Outbox", "Outgoing", "Prepared"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (
    id BLOB PRIMARY KEY, session TEXT NOT NULL, name TEXT NOT NULL, proof BLOB NOT NULL, rows INTEGER NOT NULL,
    at REAL NOT NULL, UNIQUE (session, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frames (
    place INTEGER PRIMARY KEY AUTOINCREMENT, submission BLOB NOT NULL, session TEXT NOT NULL, consumer TEXT NOT NULL,
    ident TEXT NOT NULL, body BLOB NOT NULL, sent INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS unsent ON frames (session, consumer, sent, place);
"""


class Prepared(NamedTuple):
    """A submission in the outbox: its id, a keyed digest of its values, and how many rows it has."""

    id: bytes
    proof: bytes
    rows: int


class Outgoing(NamedTuple):
    """A frame to send, and its place in the outbox."""

    place: int
    parcel: Parcel


class Outbox:
    """The outbox of one producer in the file `path`; raises as `TableFile`. It holds nothing in plaintext."""

    def __init__(self, path: Path) -> None:
        self._file = TableFile(path, _SCHEMA)

    def close(self) -> None:
        """Leave; never raises."""
        self._file.close()

    def find(self, session: str, name: str) -> Prepared | None:
        """The submission of this name."""
        with self._file.reading() as db:
            row = db.execute(
                "SELECT id, proof, rows FROM submissions WHERE session = ? AND name = ?", (session, name)
            ).fetchone()
        return None if row is None else Prepared(*row)

    def next_id(self) -> bytes:
        """A fresh id, later than all that are here."""
        with self._file.reading() as db:
            (last,) = db.execute("SELECT max(id) FROM submissions").fetchone()
        return new_id(last or b"")

    def add(self, session: str, name: str, what: Prepared, frames: Sequence[tuple[str, Parcel]]) -> None:
        """Keep a submission: (consumer, frame) pairs in the order in which they are sent."""
        with self._file.transaction() as db:
            if db.execute("SELECT 1 FROM submissions WHERE session = ? AND name = ?", (session, name)).fetchone():
                raise UserError(f"another process submits {name!r} in {session} right now; wait for it to end")
            db.execute(
                "INSERT INTO submissions VALUES (?, ?, ?, ?, ?, ?)", (what.id, session, name, *what[1:], time.time())
            )
            db.executemany(
                "INSERT INTO frames (submission, session, consumer, ident, body) VALUES (?, ?, ?, ?, ?)",
                [(what.id, session, consumer, parcel.ident, parcel.body) for consumer, parcel in frames],
            )

    def unsent(self, session: str, consumer: str, most: int) -> list[Outgoing]:
        """The next frames for a consumer that its broker has not confirmed."""
        with self._file.reading() as db:
            rows = db.execute(
                "SELECT place, ident, body FROM frames WHERE session = ? AND consumer = ? AND sent = 0 "
                "ORDER BY place LIMIT ?",
                (session, consumer, most),
            ).fetchall()
        return [Outgoing(place, Parcel(ident, body)) for place, ident, body in rows]

    def confirm(self, sent: Sequence[Outgoing]) -> None:
        """The broker keeps these."""
        with self._file.transaction() as db:
            db.executemany("UPDATE frames SET sent = 1 WHERE place = ?", [(each.place,) for each in sent])

    def send_again(self, session: str, name: str) -> int:
        """Send the frames of a submission once more, byte for byte: for a broker that lost them. How many."""
        with self._file.transaction() as db:
            done = db.execute(
                "UPDATE frames SET sent = 0 WHERE submission IN "
                "(SELECT id FROM submissions WHERE session = ? AND name = ?)",
                (session, name),
            )
            return done.rowcount

    def forget(self, session: str) -> None:
        """Delete all frames of a session that has ended; its names stay, so that nothing is submitted twice."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM frames WHERE session = ?", (session,))
