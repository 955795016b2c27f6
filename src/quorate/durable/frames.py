"""The share frame: how an outside producer hands one share to one consumer, whatever carries it.

A frame is a header of 52 bytes, little endian and without padding, followed by the payload:

    session   16 bytes   UTF-8, padded with NUL; see `session_field` for longer names
    index      4 bytes   unsigned: which share this is, from 1
    mac       32 bytes   HMAC-SHA256

The MAC covers the whole name of the session (not only what fits into the header), the session field, the index and the
payload, so that no part can be exchanged for that of another frame. Nothing here raises on foreign bytes: `parse` and
`check` return what is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import StrEnum

from quorate.errors import UserError

__all__ = ["HEADER", "HEADER_BYTES", "MOST_BYTES", "Fault", "Frame", "check", "make", "parse", "session_field"]

HEADER = struct.Struct("<16sI32s")
HEADER_BYTES = HEADER.size
"""52."""

MOST_BYTES = 768 << 10
"""Of a frame, header included: a parcel, see `quorate.transport.carrier.CHUNK`."""

_FIELD_BYTES = 16
_LONG = b"~"
_DOMAIN = b"quorate/share-frame/1"
_LONG_DOMAIN = b"quorate/share-frame/long-session/1\0"


class Fault(StrEnum):
    """Why a frame cannot be used; the texts go into dead letters."""

    LENGTH = "too short or too long for a share frame"
    SESSION = "of another session"
    INDEX = "a share with this index does not belong here"
    MAC = "the MAC is wrong"
    FORM = "malformed inside"
    LAYOUT = "shares of another table, or for another protocol or other parties"
    COMMITMENT = "the share is not the one that its commitment says"
    OTHER = "another share came under the same id before; its producer cheats, or reuses ids"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame says, before anything has been checked."""

    session: bytes
    index: int
    mac: bytes
    payload: bytes


def session_field(session: str) -> bytes:
    """The 16 bytes that stand for a session in the header.

    A name of up to 16 bytes is there itself, padded with NUL. A longer one is "~" and 15 characters (base64url, 90
    bits) of its SHA-256, which no short name equals, since none begins with "~"; the MAC covers the whole name.

    Raises:
        UserError: the name is empty, begins with "~", or holds NUL or what is no text.
    """
    try:
        name = session.encode()
    except UnicodeEncodeError:
        name = b""
    if not name or name.startswith(_LONG) or b"\0" in name:
        raise UserError(f"{session!r} cannot name a session; use a text that does not begin with '~' or hold NUL")
    if len(name) <= _FIELD_BYTES:
        return name.ljust(_FIELD_BYTES, b"\0")
    digest = hashlib.sha256(_LONG_DOMAIN + name).digest()
    return _LONG + base64.urlsafe_b64encode(digest)[: _FIELD_BYTES - len(_LONG)]


def make(session: str, index: int, payload: bytes, key: bytes) -> bytes:
    """A frame of share `index` with `payload`, under a MAC key of 32 bytes."""
    field = session_field(session)
    return HEADER.pack(field, index, _mac(session, field, index, payload, key)) + payload


def parse(data: bytes) -> Frame | None:
    """The parts of a frame; None if `data` is too short or too long for one."""
    if not HEADER_BYTES < len(data) <= MOST_BYTES:
        return None
    session, index, mac = HEADER.unpack_from(data)
    return Frame(session, index, mac, data[HEADER_BYTES:])


def check(frame: Frame, session: str, key: bytes) -> Fault | None:
    """What is wrong with a frame that should be of `session` and under `key`; takes the same time whatever it is."""
    field = session_field(session)
    ours = hmac.compare_digest(field, frame.session)
    genuine = hmac.compare_digest(_mac(session, field, frame.index, frame.payload, key), frame.mac)
    if not ours:
        return Fault.SESSION
    return None if genuine else Fault.MAC


def _mac(session: str, field: bytes, index: int, payload: bytes, key: bytes) -> bytes:
    name = session.encode()
    prefix = _DOMAIN + struct.pack("<I", len(name)) + name + field + struct.pack("<I", index)
    state = hmac.new(key, prefix, hashlib.sha256)
    state.update(payload)
    return state.digest()
