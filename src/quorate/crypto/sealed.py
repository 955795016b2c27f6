"""Encryption of files at rest: AES-256-GCM with a random nonce, under a key in a file of its own.

A sealed file is magic, length of header (4 bytes), header, nonce (12 bytes), ciphertext with tag. The header is
readable and authenticated. Random nonces are safe for 2**32 files under one key (NIST SP 800-38D, section 8.3).
"""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quorate.crypto.entropy import SystemEntropy
from quorate.errors import EnvironmentFault, UserError
from quorate.files import ensure_folder, read_bytes, write_atomic

__all__ = ["KEY_BYTES", "MOST", "key_file", "new_key", "seal", "unseal"]

KEY_BYTES = 32
MOST = 1 << 31
"""Bytes in one file, less than this: what one call of AES-GCM takes."""
_NONCE_BYTES = 12
_PREFIX = 4


def new_key() -> bytes:
    """A fresh key."""
    return SystemEntropy().bytes(KEY_BYTES)


def key_file(path: Path, *, create: bool) -> bytes:
    """The key in the file `path`, which is made (mode 0600) if it is not there and `create` is true.

    Raises:
        UserError: there is no such file.
        EnvironmentFault: it is no key, or others may read it.
    """
    if create and not path.exists():
        ensure_folder(path.parent, 0o700)
        with contextlib.suppress(UserError):  # another process of this node was faster
            write_atomic(path, new_key(), 0o600, overwrite=False)
    key = read_bytes(path, KEY_BYTES)
    if len(key) != KEY_BYTES:
        raise EnvironmentFault(f"{path}: not a key of {KEY_BYTES} bytes; restore it from a backup")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise EnvironmentFault(f"{path}: other users of this machine may read the key; run chmod 600 on it")
    return key


def seal(key: bytes, magic: bytes, header: bytes, body: bytes, context: bytes = b"") -> bytes:
    """The content of a sealed file. `context` is authenticated with it and not part of it."""
    prefix = magic + len(header).to_bytes(_PREFIX, "big") + header
    nonce = SystemEntropy().bytes(_NONCE_BYTES)
    return prefix + nonce + AESGCM(key).encrypt(nonce, body, prefix + context)


def unseal(key: bytes, magic: bytes, data: bytes, context: bytes = b"") -> tuple[bytes, bytes] | None:
    """Header and body; None if the file is damaged, of another kind, or sealed under another key or context."""
    start = len(magic) + _PREFIX
    stop = start + int.from_bytes(data[len(magic) : start], "big")
    if not data.startswith(magic) or stop + _NONCE_BYTES > len(data):
        return None
    nonce, sealed = data[stop : stop + _NONCE_BYTES], data[stop + _NONCE_BYTES :]
    try:
        return data[start:stop], AESGCM(key).decrypt(nonce, sealed, data[:stop] + context)
    except (InvalidTag, ValueError):
        return None
