"""What a participant of a durable session writes down: the kinds of records in its journal, and their form.

Bodies are kept of what was received only. What was sent is computed again from the seed, and compared with the digest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from quorate.engine.names import Name

__all__ = [
    "CHECKPOINT",
    "CONFIRMED",
    "DONE",
    "ENDED",
    "GREETED",
    "NOTE",
    "PENDING",
    "RECEIVED",
    "SEED",
    "SENT",
    "Buffer",
    "Entry",
    "Log",
]

SEED, GREETED, RECEIVED, SENT, CONFIRMED, NOTE, DONE, ENDED, CHECKPOINT, PENDING = range(1, 11)
"""Seed and our HELLO; a peer's HELLO; a message that came; one that we made; up to where a broker has them; what the
program learned outside; the program's end; the session's failure; live values of a stage; a message made before it."""

Buffer = bytes | bytearray | memoryview
_ENTRY = struct.Struct("<HQQIQd32s32s64s")


class Log(Protocol):
    """An append-only, durable, encrypted log; see `quorate.durable.journal`."""

    def append(self, kind: int, *parts: Buffer) -> None:
        """Add a record; it is durable after the next `commit`."""

    def commit(self) -> None:
        """Make all that was appended durable. Raises `EnvironmentFault`."""

    def records(self) -> Iterator[tuple[int, bytes]]:
        """All committed records, oldest first."""

    def rewrite(self, records: Iterable[tuple[int, list[Buffer]]]) -> None:
        """Replace all records, atomically."""


class Entry(NamedTuple):
    """A message at its position in the channel with a peer.

    Attributes:
        digest: SHA-256 of its plaintext.
        sealed, signature: of one received: digest of the ciphertext, and the sender's signature over it.
        time: when it was received (Unix time).
    """

    peer: int
    seq: int
    name: Name
    size: int
    digest: bytes
    time: float = 0.0
    sealed: bytes = bytes(32)
    signature: bytes = bytes(64)

    def pack(self) -> bytes:
        """As bytes; a body may follow."""
        return _ENTRY.pack(
            self.peer, self.seq, *self.name, self.size, self.time, self.digest, self.sealed, self.signature
        )

    @classmethod
    def unpack(cls, data: bytes) -> tuple[Entry, memoryview]:
        """The inverse, and the body that follows."""
        peer, seq, scope, step, size, time, digest, sealed, signature = _ENTRY.unpack_from(data)
        return cls(peer, seq, (scope, step), size, digest, time, sealed, signature), memoryview(data)[_ENTRY.size :]
