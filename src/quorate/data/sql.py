"""Tables that are the result of a query: by DuckDB over local files, or by a PostgreSQL server.

Connection strings may hold passwords. They appear in no message, and what a driver says is searched for them first.
"""

from __future__ import annotations

import os
import re
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from quorate.data.table import BATCH_ROWS, Arrow, ArrowTable, Table, Translate
from quorate.errors import DataError, EnvironmentFault, UserError

__all__ = ["duckdb_table", "postgres_table"]

_SCHEMES = ("postgresql://", "postgres://")
_SECRETS = (
    (re.compile(r"(\w+://)[^\s'\"]*"), r"\1..."),
    (re.compile(r"(?i)(password|passfile|sslpassword)\s*=\s*('[^']*'|\S+)"), r"\1=..."),
)
_LOCKED = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,  # else the name of a variable of ours would be a table
}
_REASONS = {
    "Connection refused": "nothing listens there; check host and port, and that the server runs",
    "could not translate host name": "its host is not known; check the name",
    "authentication failed": "user or password are wrong; check both",
    "no password supplied": "it asks for a password; set PGPASSWORD, or write it to ~/.pgpass",
    "does not exist": "there is no such user or database; check both names",
    "SSL": "TLS failed; check sslmode and the certificates",
    "certificate": "TLS failed; check sslmode and the certificates",
    "imeout": "it does not answer; check host, port and firewalls",
    "timed out": "it does not answer; check host, port and firewalls",
    "too many": "it has no free connections; try again later",
    "invalid": "the address is malformed; special characters of a password are written as %40 and the like",
}
"""What drivers say -> why we did not get in, in our words: theirs may quote the address."""


def duckdb_table(query: str, folder: Path) -> Table:
    """The result of a query that DuckDB runs over files; relative names of files are looked up in `folder`.

    Rows come in the order that the query states, or else in that of the files. The query is one SELECT, so it changes
    nothing; nothing is fetched from a network. What does not fit into memory goes to a folder that only we can read.

    Raises:
        UserError: DuckDB is not installed, refuses the query, or it is more than a SELECT.
        DataError: a file that the query reads is damaged, or a value cannot be converted as it asks.
    """
    duckdb = _library("duckdb", "data")
    spill = tempfile.TemporaryDirectory(prefix="quorate-")  # mode 0700
    connection = duckdb.connect(config=_LOCKED)
    connection.execute("SET file_search_path = $1", [str(folder.resolve())])
    connection.execute("SET temp_directory = $1", [spill.name])
    connection.execute("SET lock_configuration = true")
    held = [connection, _Folder(spill)]
    try:
        kinds = [statement.type for statement in duckdb.extract_statements(query)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise UserError("the query has to be one SELECT; other statements, such as COPY, are not run")
        reader = connection.sql(query).to_arrow_reader(BATCH_ROWS)
    except (duckdb.Error, UserError) as error:
        _close(*held)
        if isinstance(error, UserError):
            raise
        raise UserError(f"DuckDB refuses the query: {_first_lines(error)}") from error
    return _Query("the query", reader, held, lambda e: DataError(f"the query failed: {_first_lines(e)}"))


class _Folder:
    """A temporary folder that goes when it is closed."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.close = folder.cleanup


def postgres_table(query: str, address: str) -> Table:
    """The result of a query that the PostgreSQL server at `address` runs, a URL or "$NAME" of an environment variable.

    What the URL leaves out is taken from where libpq looks for it: PGPASSWORD, ~/.pgpass, PGSSLMODE and so on. The
    transaction is read-only.

    Raises:
        UserError: the driver is not installed, the address is malformed, or the server refuses the query.
        EnvironmentFault: the server cannot be reached, or does not let us in.
        DataError: the server broke off while it answered.
    """
    url = _url(address)
    dbapi = _library("adbc_driver_postgresql.dbapi", "postgres")
    try:
        connection = dbapi.connect(url, autocommit=False)
    except dbapi.Error as error:
        why = next((reason for said, reason in _REASONS.items() if said in str(error)), "try the same with psql")
        raise EnvironmentFault(f"the database does not let us in: {why}") from None
    cursor = connection.cursor()
    try:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(query)
        reader = cursor.fetch_record_batch()
    except dbapi.Error as error:
        said = _without_secrets(error, url)
        _close(cursor, connection)
        raise UserError(f"the database refuses the query: {said}") from None
    what = "the database broke off"
    held = [cursor, connection]
    return _Query("the query", reader, held, lambda e: DataError(f"{what}: {_without_secrets(e, url)}"))


class _Query(ArrowTable):
    """The rows of a result; what it holds is closed after the last."""

    def __init__(self, label: str, reader: Arrow, held: Sequence[Any], translate: Translate) -> None:
        super().__init__(label, reader, translate=translate)
        self._close = weakref.finalize(self, _close, reader, *held)  # also if nobody reads it

    def _read(self, columns: list[str]) -> Iterator[Arrow]:
        try:
            yield from super()._read(columns)
        finally:
            self._close()


def _close(*held: Any) -> None:
    for each in held:
        with suppress(Exception):  # drivers object to closing after an error
            each.close()


def _url(address: str) -> str:
    url = address
    if address.startswith("$"):
        url = os.environ.get(address[1:], "")
        if not url:
            raise UserError(f"the environment variable {address[1:]} is not set; set it to postgresql://...")
    if not url.startswith(_SCHEMES):
        raise UserError(
            "a database is postgresql://USER@HOST:PORT/NAME, or $NAME of an environment variable that says so"
        )
    return url


def _library(name: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise UserError(f"{package} is not installed; pip install 'quorate[{extra}]'") from error


def _without_secrets(error: Exception, url: str) -> str:
    """What a driver said, on one line, without the address and whatever else looks like one."""
    text = str(error).replace(url, "...")
    parts = urlsplit(url)
    written = [parts.password or "", *(pair.partition("=")[2] for pair in parts.query.split("&"))]
    for secret in {form for one in written for form in (one, unquote(one))} - {""}:
        text = text.replace(secret, "...")
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return _first_lines(text)


def _first_lines(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."
