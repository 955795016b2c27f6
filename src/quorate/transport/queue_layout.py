"""The file of a queue (`quorate.transport.queue_file`) before and after its life: tables, creation, removal, faults."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from quorate.errors import BrokerFault
from quorate.transport.carrier import Limits

__all__ = ["BUSY_SECONDS", "SETTINGS", "QueueDamaged", "QueueGone", "create", "delete", "fault"]

_SCHEMA = """
CREATE TABLE facts (
    ttl REAL NOT NULL, most_bytes INTEGER NOT NULL, most_deliveries INTEGER NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0, parcels INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE idents (ident TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE bodies (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE waiting (
    place INTEGER PRIMARY KEY AUTOINCREMENT, ident TEXT NOT NULL, body INTEGER NOT NULL, size INTEGER NOT NULL,
    since REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0);
CREATE INDEX fresh ON waiting (place) WHERE attempts = 0;
CREATE TABLE dead (
    place INTEGER PRIMARY KEY AUTOINCREMENT, ident TEXT NOT NULL, body INTEGER NOT NULL, size INTEGER NOT NULL,
    since REAL NOT NULL, reason TEXT NOT NULL);
CREATE TRIGGER came AFTER INSERT ON waiting BEGIN
    UPDATE facts SET bytes = bytes + NEW.size, parcels = parcels + 1; END;
CREATE TRIGGER went AFTER DELETE ON waiting BEGIN
    UPDATE facts SET bytes = bytes - OLD.size, parcels = parcels - 1; END;
"""
_PAGE = 16384
BUSY_SECONDS = 60.0
SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 2000",
    f"PRAGMA journal_size_limit = {64 << 20}",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
)
_SUFFIXES = ("-wal", "-shm", "")


class QueueGone(BrokerFault):
    """There is no such queue, or not any more."""


class QueueDamaged(BrokerFault):
    """The file is not what a queue has to be."""


def create(path: Path, limits: Limits) -> None:
    """Make an empty queue; the caller sees to it that nobody else does at the same time."""
    temporary = path.with_suffix(".new")
    try:
        _unlink(temporary)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _fill(temporary, limits)
        os.rename(temporary, path)
        _sync_folder(path.parent)
    except (OSError, sqlite3.Error) as problem:
        raise fault(problem, path) from None


def delete(path: Path) -> None:
    """Delete the file; whoever has it open must have been told by `QueueFile.remove`."""
    try:
        _unlink(path)
    except OSError as problem:
        raise fault(problem, path) from None


def fault(problem: OSError | sqlite3.Error, path: Path) -> BrokerFault:
    """The error to raise for what SQLite or the system reports."""
    if isinstance(problem, OSError):
        text = f"{(problem.strerror or 'input/output error').lower()}; check the disk and the permissions of its folder"
        return BrokerFault(f"the queue file {path}: {text}")
    code = getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH):
        return QueueDamaged(
            f"the queue file {path} is damaged ({problem}): keep a copy to look at, remove it, and let everybody "
            "send again what was in it"
        )
    texts = {
        sqlite3.SQLITE_FULL: "the disk is full; free some space, nothing that was confirmed is lost",
        sqlite3.SQLITE_BUSY: f"locked by another process for {BUSY_SECONDS:g} s; see which one hangs",
        sqlite3.SQLITE_READONLY: "cannot be written; check the permissions of the file and its folder",
        sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the permissions of the file and its folder",
        sqlite3.SQLITE_IOERR: "the disk reports an error; check the disk and the log of this machine",
    }
    return BrokerFault(f"the queue file {path}: {texts.get(code, str(problem))}")


def _fill(path: Path, limits: Limits) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute(f"PRAGMA page_size = {_PAGE}")
        for setting in SETTINGS:
            db.execute(setting)
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        values = (limits.ttl, limits.most_bytes, limits.most_deliveries)
        db.execute("INSERT INTO facts (ttl, most_bytes, most_deliveries) VALUES (?, ?, ?)", values)
    finally:
        db.close()


def _unlink(path: Path) -> None:
    for suffix in _SUFFIXES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
