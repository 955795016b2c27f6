"""What this user compiled on this machine, by plan: so that a source is recognised without compiling it again.

Planning takes seconds to minutes, tracing a fraction of a second. A note says which file a plan was compiled from, and
what its trace was. Notes lie in the user's cache folder; who deletes them loses time only.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from quorate.errors import QuorateError
from quorate.files import cache_folder, ensure_folder, read_bytes, write_atomic

__all__ = ["Note", "note_of", "take_note"]

_LIMIT = 1 << 12


class Note(msgspec.Struct, frozen=True):
    """Digests of a source file, and of the plan that was traced from it before all passes."""

    source: str
    traced: str


def take_note(plan_digest: str, note: Note) -> None:
    """Write down what a plan was compiled from. If that cannot be written, nothing is lost but time."""
    path = _path(plan_digest)
    with contextlib.suppress(QuorateError):
        ensure_folder(path.parent, 0o700)
        write_atomic(path, msgspec.json.encode(note), 0o600)


def note_of(plan_digest: str) -> Note | None:
    """What this user compiled the plan from; None if that is not known here."""
    try:
        return msgspec.json.decode(read_bytes(_path(plan_digest), _LIMIT), type=Note)
    except (QuorateError, msgspec.DecodeError):
        return None


def _path(plan_digest: str) -> Path:
    return cache_folder() / "compiled" / f"{plan_digest}.json"
