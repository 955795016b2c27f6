"""The form of what participants of a durable session send each other: one header, whatever carries it.

Header, 60 bytes, little-endian: version u8, kind u8, unused u16, sender u16, receiver u16, session (16 bytes), seq u64,
scope u64, step u32, piece u32, pieces u32, size u64. `seq` counts the messages of one sender to one receiver from 1;
scope and step are the message's name; `size` is its length. A message is cut into pieces of at most `PIECE` bytes, each
sealed by itself; the last one is followed by a signature.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from quorate.engine.names import Name
from quorate.errors import PeerError
from quorate.transport.carrier import CHUNK, Parcel
from quorate.transport.frames import MESSAGE_LIMIT

__all__ = [
    "CHUNK",
    "DATA",
    "FAIL",
    "HEADER_SIZE",
    "HELLO",
    "OVERHEAD",
    "PIECE",
    "SIGNATURE",
    "STATUS",
    "Header",
    "Status",
    "pack",
    "parcel",
    "piece_count",
    "unpack",
]

VERSION = 1
HELLO, DATA, STATUS, FAIL = 1, 2, 3, 4
_HEADER = struct.Struct("<BBHHH16sQQIIIQ")
HEADER_SIZE = _HEADER.size
OVERHEAD = 28
"""Bytes that sealing adds: nonce and tag."""
SIGNATURE = 64
PIECE = CHUNK - HEADER_SIZE - OVERHEAD - SIGNATURE
"""Bytes of a message in one parcel, at most."""
_STATUS = struct.Struct("<QQB")
_WANT, _DONE = 1, 2


class Header(NamedTuple):
    """The readable beginning of a parcel; it is authenticated with the rest."""

    kind: int
    sender: int
    receiver: int
    session: bytes
    seq: int = 0
    name: Name = (0, 0)
    piece: int = 0
    pieces: int = 1
    size: int = 0

    def ident(self) -> str:
        """The parcel's place: unique in its queue, the same when it is sent again; see `parcel`."""
        kind = {HELLO: "hello", DATA: "m", STATUS: "s", FAIL: "f"}[self.kind]
        return (
            f"{self.sender}.{self.receiver}.{kind}{self.name[1] if self.kind == STATUS else ''}.{self.seq}.{self.piece}"
        )


class Status(NamedTuple):
    """What a participant says of its two channels with another.

    Attributes:
        received: all messages up to this one are here, durably.
        sent: how many messages it has sent.
        want: send again what is missing.
        done: it has its results, and needs nothing more.
    """

    received: int
    sent: int
    want: bool = False
    done: bool = False

    def pack(self) -> bytes:
        """As bytes."""
        return _STATUS.pack(self.received, self.sent, _WANT * self.want | _DONE * self.done)

    @classmethod
    def unpack(cls, body: bytes) -> Status:
        """The inverse. Raises `ValueError`."""
        if len(body) != _STATUS.size:
            raise ValueError("a status has another length")
        received, sent, flags = _STATUS.unpack(body)
        return cls(received, sent, bool(flags & _WANT), bool(flags & _DONE))


def pack(header: Header) -> bytes:
    """The header as bytes."""
    return _HEADER.pack(
        VERSION,
        header.kind,
        0,
        header.sender,
        header.receiver,
        header.session,
        header.seq,
        *header.name,
        header.piece,
        header.pieces,
        header.size,
    )


def unpack(data: bytes | memoryview) -> Header:
    """The header at the beginning of a parcel.

    Raises:
        PeerError: it is none of ours, or says what cannot be.
    """
    if len(data) < HEADER_SIZE:
        raise PeerError(f"a parcel of {len(data)} bytes is too short to be one; something else writes to our queue")
    version, kind, zero, sender, receiver, session, seq, scope, step, piece, pieces, size = _HEADER.unpack_from(data)
    if version != VERSION:
        raise PeerError(f"a parcel is of version {version}, we know {VERSION}; install the same release")
    if kind not in (HELLO, DATA, STATUS, FAIL) or zero:
        raise PeerError("a parcel of unknown kind; install the same release")
    if kind == DATA and not (0 < size <= MESSAGE_LIMIT and pieces == piece_count(size) and piece < pieces and seq):
        raise PeerError("a parcel says of its message what cannot be; compare releases")
    return Header(kind, sender, receiver, session, seq, (scope, step), piece, pieces, size)


def piece_count(size: int) -> int:
    """Into how many pieces a message of `size` bytes is cut."""
    return max(1, -(-size // PIECE))


def parcel(header: Header, *body: bytes, digest: bytes = b"", again: str = "") -> Parcel:
    """Header and body, for a carrier.

    Carriers may drop what they take for a copy by its name. So names end with some digits of the content's `digest`
    (SHA-256 of the body unless given): nobody can take the name of another's message for something else. What is sent
    because a peer lacks it has another name, `again`, each time.
    """
    whole = b"".join((pack(header), *body))
    mark = (digest or hashlib.sha256(whole).digest())[:8].hex()
    return Parcel(f"{header.ident()}.{mark}{again}", whole)
