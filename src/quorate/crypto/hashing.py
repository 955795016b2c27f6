"""Domain-separated SHA-256, canonical JSON and commitment salts.

Every digest in quorate names what it is for (its domain), so that a digest of one kind of thing can never be taken
for a digest of another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from quorate.crypto.entropy import SystemEntropy

__all__ = ["SALT_BYTES", "canonical_json", "digest", "digest_parts", "hex_digest", "new_salt"]

SALT_BYTES = 32

Buffer = bytes | memoryview


def digest(data: Buffer, domain: str) -> bytes:
    """SHA-256 (32 bytes) over the length-prefixed `domain` (2 bytes, big endian, then UTF-8) followed by `data`."""
    return _start(domain, data).digest()


def hex_digest(data: Buffer, domain: str) -> str:
    """`digest` as 64 lower-case hexadecimal characters."""
    return _start(domain, data).hexdigest()


def digest_parts(parts: Iterable[Buffer], domain: str) -> bytes:
    """SHA-256 (32 bytes) over `domain` and several parts, each prefixed by its length (8 bytes, big endian).

    Parts of multi-byte items must be contiguous; they are hashed as their bytes.
    """
    state = _start(domain, b"")
    for part in parts:
        size = part.nbytes if isinstance(part, memoryview) else len(part)
        state.update(size.to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def canonical_json(value: object) -> bytes:
    """JSON of builtins and msgspec Structs with sorted keys and no white space: equal content, equal bytes."""
    return msgspec.json.encode(value, order="sorted")


def new_salt() -> bytes:
    """32 fresh random bytes that hide what a commitment commits to."""
    return SystemEntropy().bytes(SALT_BYTES)


def _start(domain: str, data: Buffer) -> hashlib._Hash:
    name = domain.encode()
    state = hashlib.sha256(len(name).to_bytes(2, "big") + name)
    state.update(data)
    return state
