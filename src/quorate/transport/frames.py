"""The frames that two parties exchange on a connection: a fixed header, then `length` bytes of body.

Header, 28 bytes, little-endian: kind u32 (one byte used), scope u64, step u32, length u32, sequence u64. The sequence
counts the frames of one direction from 0. A frame out of sequence was replayed, dropped or reordered, and ends the
session. TLS alone would notice too; the count also guards transports where something else sits in between.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from quorate import errors
from quorate.engine.names import Name
from quorate.errors import AgreementError, InternalError, PeerError, QuorateError

__all__ = [
    "ALIVE",
    "BYE",
    "CONTROL_LIMIT",
    "DATA",
    "FAIL",
    "HEADER",
    "HEADER_SIZE",
    "HELLO",
    "MESSAGE_LIMIT",
    "WIRE_VERSION",
    "check_hello",
    "decode_failure",
    "encode_failure",
    "hello_body",
    "pack_header",
    "unpack_header",
]

HEADER = struct.Struct("<IQIIQ")
HEADER_SIZE = HEADER.size
DATA, FAIL, BYE, ALIVE, HELLO = 1, 2, 3, 4, 5
WIRE_VERSION = 1
CONTROL_LIMIT = 4096
"""Bytes in the body of a FAIL or HELLO frame, at most."""
MESSAGE_LIMIT = (1 << 32) - 1
"""Bytes in one message, at most; larger vectors are tiled."""

_LENGTHS = {FAIL: CONTROL_LIMIT, BYE: 0, ALIVE: 0, HELLO: CONTROL_LIMIT}
_TELLABLE = (PeerError, AgreementError)
_GENERIC = {
    "DataError": "its input data did not pass the checks",
    "UserError": "it was asked for something that cannot be done",
    "EnvironmentFault": "something is wrong with its machine",
    "InternalError": "an internal error",
}


def pack_header(kind: int, name: Name, length: int, sequence: int) -> bytes:
    """The header of a frame. Raises `InternalError` when the body is longer than a frame can be."""
    if length > MESSAGE_LIMIT:
        raise InternalError(f"a message of {length} bytes is longer than a frame can be ({MESSAGE_LIMIT}); tile it")
    return HEADER.pack(kind, name[0], name[1], length, sequence)


def unpack_header(view: memoryview, at: int, sequence: int, peer: str) -> tuple[int, Name, int]:
    """(kind, name, length) of the header at `view[at:]`, which must hold it completely.

    Raises:
        PeerError: not the frame number `sequence`, an unknown kind, or a length that its kind cannot have.
    """
    kind, scope, step, length, number = HEADER.unpack_from(view, at)
    if number != sequence:
        raise PeerError(
            f"{peer} sent frame {number} where {sequence} was due: frames were replayed or reordered; "
            "run the session again, and look for what sits between the two machines if this repeats"
        )
    if kind != DATA:
        _check_control(kind, length, peer)
    elif not length:
        raise PeerError(f"{peer} sent an empty message, which the protocol does not know; compare software versions")
    return kind, (scope, step), length


def _check_control(kind: int, length: int, peer: str) -> None:
    limit = _LENGTHS.get(kind)
    if limit is None:
        raise PeerError(f"{peer} sent a frame of unknown kind {kind}; compare the software versions of both")
    if length > limit:
        raise PeerError(f"{peer} sent a frame of kind {kind} with {length} bytes where at most {limit} are allowed")


def hello_body() -> bytes:
    """What both sides say first: which version of this wire format they speak."""
    return json.dumps({"wire": WIRE_VERSION}).encode()


def check_hello(body: bytes, peer: str) -> None:
    """Raises `PeerError` for a malformed greeting, `AgreementError` when the peer speaks another version."""
    version = _object(body, peer).get("wire")
    if version != WIRE_VERSION:
        raise AgreementError(
            f"{peer} speaks wire version {str(version)[:20]!r}, we speak {WIRE_VERSION}; install the same release"
        )


def encode_failure(problem: BaseException) -> bytes:
    """The body of a FAIL frame. Only what concerns other parties is told: a local error may quote local data."""
    code = problem.public_name() if isinstance(problem, QuorateError) else "InternalError"
    if isinstance(problem, KeyboardInterrupt):
        code, text = "EnvironmentFault", "it was stopped: by its operator, by a cancellation, or since its node ended"
    elif isinstance(problem, _TELLABLE):
        text = str(problem)
    else:
        text = _GENERIC.get(code, _GENERIC["InternalError"]) + "; its own report says more"
    # The limit counts bytes of JSON, where one character may take up to 12 ("\\ud83d\\ude00").
    return json.dumps({"code": code, "message": text[: (CONTROL_LIMIT - 100) // 12]}).encode()


def decode_failure(body: bytes, peer: str) -> str:
    """What a FAIL frame says, for people, with control characters taken out. Raises `PeerError` if malformed."""
    content = _object(body, peer)
    code, message = content.get("code"), content.get("message")
    if not (isinstance(code, str) and isinstance(message, str)):
        raise PeerError(f"{peer} failed, and its explanation is malformed; see the report on its side")
    known = code if code in errors.__all__ else "an error of unknown kind"
    return f"{known}: " + "".join(c if c.isprintable() else " " for c in message)


def _object(body: bytes, peer: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise PeerError(f"{peer} sent a control frame that is not a JSON object; compare software versions")
    return content
