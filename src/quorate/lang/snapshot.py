"""What a participant needs to go on with a plan after some stage, as bytes: live values, results so far, counters.

With a session's keys and inputs it is all of the state. It holds shares and opened results: whoever stores it encrypts
it, and binds it to the place where it lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from quorate.errors import EnvironmentFault
from quorate.lang.boundary import Results
from quorate.lang.operations.base import Value
from quorate.sharing.share import Share
from quorate.sharing.stored import Form, Reader, content_of, form_of, public_form

__all__ = ["Seat", "Snapshot"]

_MAGIC = b"quorate-stage-1\n"
_PREFIX = 4

Key = TypeVar("Key", int, str)


class Seat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose snapshot it is, of what: nobody else, and no other plan, can go on with it."""

    plan: str
    session: str
    protocol: str
    parties: int
    threshold: int
    me: int
    least: int


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    key: int | str
    bundle: bool
    forms: tuple[Form, ...]


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seat: Seat
    stage: int
    progress: tuple[int, ...]
    findings: tuple[str, ...]
    values: tuple[_Entry, ...]
    opened: tuple[_Entry, ...]
    kept: tuple[_Entry, ...]


@dataclass(frozen=True)
class Snapshot:
    """The state of a participant at the end of a stage.

    Attributes:
        seat: whose it is.
        stage: number of the last stage that has ended.
        progress: see `Protocol.progress`.
        findings: see `Session.findings`.
        values: operation -> its value, for those that are still needed; of a bundle a list.
        results: outputs so far.
    """

    seat: Seat
    stage: int
    progress: tuple[int, ...]
    findings: tuple[str, ...]
    values: Mapping[int, Value | list[Value]] = field(repr=False)
    results: Results = field(repr=False)

    def encode(self) -> bytes:
        """The snapshot as bytes."""
        parts: list[bytes] = []
        header = _Header(
            seat=self.seat,
            stage=self.stage,
            progress=self.progress,
            findings=self.findings,
            values=_entries(self.values, parts),
            opened=_entries(self.results.values, parts),
            kept=_entries(self.results.kept, parts),
        )
        encoded = msgspec.json.encode(header)
        return b"".join([_MAGIC, len(encoded).to_bytes(_PREFIX, "big"), encoded, *parts])

    @classmethod
    def decode(cls, data: bytes | memoryview, where: str) -> Snapshot:
        """The inverse of `encode`; `where` is named in messages.

        Raises:
            EnvironmentFault: this is no snapshot, or a damaged one.
        """
        header, body = _opened(memoryview(data), where)
        reader = Reader(body, where, ghosts=True)
        values = {_index(entry, where): _value(entry, reader, where) for entry in header.values}
        opened = {str(entry.key): reader.public(_single(entry, where)) for entry in header.opened}
        kept = {str(entry.key): reader.share(_single(entry, where)) for entry in header.kept}
        reader.end()
        if (len(values), len(opened), len(kept)) != (len(header.values), len(header.opened), len(header.kept)):
            raise _damaged(where)
        return cls(header.seat, header.stage, header.progress, header.findings, values, Results(opened, kept))


def _entries(values: Mapping[Key, Any], parts: list[bytes]) -> tuple[_Entry, ...]:
    """What a header says of these values, whose content is added to `parts`."""
    entries = []
    for key, value in values.items():
        several = value if isinstance(value, list) else [value]
        forms = tuple(form_of(one) if isinstance(one, Share) else public_form(one) for one in several)
        parts.extend(content_of(one.parts if isinstance(one, Share) else (one,)) for one in several)
        entries.append(_Entry(key, isinstance(value, list), forms))
    return tuple(entries)


def _opened(data: memoryview, where: str) -> tuple[_Header, memoryview]:
    start = len(_MAGIC) + _PREFIX
    stop = start + int.from_bytes(data[len(_MAGIC) : start], "big")
    if bytes(data[: len(_MAGIC)]) != _MAGIC or stop > len(data):
        raise _damaged(where)
    try:
        return msgspec.json.decode(data[start:stop], type=_Header), data[stop:]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _damaged(where) from None


def _index(entry: _Entry, where: str) -> int:
    if not isinstance(entry.key, int):
        raise _damaged(where)
    return entry.key


def _single(entry: _Entry, where: str) -> Form:
    if entry.bundle or len(entry.forms) != 1:
        raise _damaged(where)
    return entry.forms[0]


def _value(entry: _Entry, reader: Reader, where: str) -> Value | list[Value]:
    if not entry.bundle:
        return _one(_single(entry, where), reader)
    return [_one(form, reader) for form in entry.forms]


def _one(form: Form, reader: Reader) -> Value:
    return reader.share(form) if form.kind in ("Arithmetic", "Boolean") else reader.public(form)


def _damaged(where: str) -> EnvironmentFault:
    return EnvironmentFault(f"{where}: damaged, or no snapshot of a stage; the session must go on from an earlier one")
