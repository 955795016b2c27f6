"""The shares that a consumer has taken, in a file: frames as they came, so that they lie there encrypted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

from quorate.crypto.hashing import digest_parts
from quorate.durable.table_file import TableFile
from quorate.errors import UserError

__all__ = ["Arrival", "Entry", "ShareStore", "Taken"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frames (
    producer TEXT NOT NULL, submission BLOB NOT NULL, share INTEGER NOT NULL, block INTEGER NOT NULL,
    blocks INTEGER NOT NULL, rows INTEGER NOT NULL, manifest BLOB NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (producer, submission, share, block));
CREATE INDEX IF NOT EXISTS digests ON frames (digest);
CREATE TABLE IF NOT EXISTS pages (
    name TEXT NOT NULL, party TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (name, party, number, body));
"""

Taken = Literal["new", "same", "other"]


class Arrival(NamedTuple):
    """A frame that was found to be genuine."""

    producer: str
    submission: bytes
    share: int
    block: int
    blocks: int
    rows: int
    manifest: bytes
    digest: bytes
    body: bytes


class Entry(NamedTuple):
    """A submission of which every block is here: who sent it, its id, how many rows, and a digest of its manifests."""

    producer: str
    submission: bytes
    rows: int
    digest: bytes


@dataclass
class ShareStore:
    """The store of one consumer in one session, in the file `path`; raises as `TableFile`."""

    path: Path
    _file: TableFile = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._file = TableFile(self.path, _SCHEMA)

    def close(self) -> None:
        """Leave; never raises."""
        self._file.close()

    def bind(self, facts: dict[str, bytes]) -> None:
        """Say what this store is for; raises `UserError` if it was made for something else."""
        with self._file.transaction() as db:
            for key, value in facts.items():
                db.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (key, value))
                (found,) = db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
                if found != value:
                    raise UserError(f"{self.path}: holds shares of another {key}; use another file for this one")

    def fact(self, key: str) -> bytes | None:
        """What was said of the store."""
        with self._file.reading() as db:
            row = db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, arrivals: Sequence[Arrival]) -> list[Taken]:
        """Keep those that are new; for each whether it was "new", the "same" as before, or "other" in its place."""
        with self._file.transaction() as db:
            verdicts: list[Taken] = []
            for arrival in arrivals:
                place = arrival[:4]
                known = db.execute(
                    "SELECT digest FROM frames WHERE producer = ? AND submission = ? AND share = ? AND block = ?", place
                ).fetchone()
                sibling = db.execute(
                    "SELECT blocks FROM frames WHERE producer = ? AND submission = ? AND share = ? LIMIT 1", place[:3]
                ).fetchone()
                if known is not None:
                    verdicts.append("same" if known[0] == arrival.digest else "other")
                elif sibling is not None and sibling[0] != arrival.blocks:
                    verdicts.append("other")
                else:
                    db.execute("INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*arrival, time.time()))
                    verdicts.append("new")
        return verdicts

    def complete(self, share: int) -> list[Entry]:
        """The submissions of which all blocks of one share are here, by producer and id."""
        with self._file.reading() as db:
            rows = db.execute(
                "SELECT producer, submission, blocks, rows, manifest FROM frames WHERE share = ? "
                "ORDER BY producer, submission, block",
                (share,),
            ).fetchall()
        groups = [(key, list(blocks)) for key, blocks in groupby(rows, key=itemgetter(0, 1, 2))]
        return [_entry(key[0], key[1], blocks) for key, blocks in groups if len(blocks) == key[2]]

    def bodies(self, entry: Entry, share: int) -> Iterator[bytes]:
        """The frames of a submission, in order of blocks."""
        with self._file.reading() as db:
            found = db.execute(
                "SELECT body FROM frames WHERE producer = ? AND submission = ? AND share = ? ORDER BY block",
                (entry.producer, entry.submission, share),
            ).fetchall()
        return (body for (body,) in found)

    def has(self, digest: bytes) -> bool:
        """Whether a frame with this SHA-256 was taken."""
        with self._file.reading() as db:
            return db.execute("SELECT 1 FROM frames WHERE digest = ? LIMIT 1", (digest,)).fetchone() is not None

    def state(self, name: str, party: str, pages: Sequence[bytes]) -> list[bytes]:
        """Keep our statement for the cut `name`; the one that was made first, if there is one."""
        with self._file.transaction() as db:
            mine = "FROM pages WHERE name = ? AND party = ?"
            if not db.execute(f"SELECT 1 {mine}", (name, party)).fetchone():
                rows = [(name, party, number, body) for number, body in enumerate(pages)]
                db.executemany("INSERT INTO pages VALUES (?, ?, ?, ?)", rows)
            found = db.execute(f"SELECT body {mine} ORDER BY number", (name, party)).fetchall()
        return [body for (body,) in found]

    def keep_page(self, name: str, party: str, number: int, body: bytes) -> None:
        """Keep a page of somebody's statement; a second one with other bytes is evidence, and kept too."""
        with self._file.transaction() as db:
            db.execute("INSERT OR IGNORE INTO pages VALUES (?, ?, ?, ?)", (name, party, number, body))

    def pages(self, name: str) -> list[bytes]:
        """All pages that are here for the cut `name`."""
        with self._file.reading() as db:
            found = db.execute("SELECT body FROM pages WHERE name = ? ORDER BY party, number", (name,)).fetchall()
        return [body for (body,) in found]

    def erase(self) -> None:
        """Delete all shares, for good; what the store was for stays, and that the session is closed."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM frames")
            db.execute("INSERT OR IGNORE INTO facts VALUES ('closed', x'01')")
        with self._file.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("VACUUM")


def _entry(producer: str, submission: bytes, blocks: Sequence[tuple[str, bytes, int, int, bytes]]) -> Entry:
    rows = sum(block[3] for block in blocks)
    parts = [producer.encode(), submission, rows.to_bytes(8, "big"), *(block[4] for block in blocks)]
    return Entry(producer, submission, rows, digest_parts(parts, "quorate/submission/entry/1"))
