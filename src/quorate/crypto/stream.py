"""Named pseudorandom streams: AES-128 in counter mode, addressed by name instead of read in order.

The 128-bit counter block is scope identity (64 bits), step (32 bits), block (32 bits), so each name owns a range of
64 GiB of one stream and the key schedule is computed once per key. Whoever holds the key draws the same bytes under
the same name, in any order.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quorate.errors import InternalError

__all__ = ["KEY_BYTES", "NullStream", "Stream"]

KEY_BYTES = 16
NAME_BITS = 36
_PIECE = 1 << 17
_ZEROS = memoryview(bytes(_PIECE))
_counter_block = struct.Struct(">QII").pack


class Stream:
    """A pseudorandom stream under one key. Drawing twice under one name raises `InternalError`."""

    __slots__ = ("_encryptor", "_last")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise InternalError(f"a stream key has {KEY_BYTES} bytes, not {len(key)}")
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        self._last: dict[int, int] = {}

    def fill(self, name: tuple[int, int], out: npt.NDArray[Any]) -> None:
        """Overwrite the C-contiguous array `out` with uniform bytes belonging to `name`."""
        size = out.nbytes
        self._seek(name, size)
        if 0 < size <= _PIECE:
            self._encryptor.update_into(_ZEROS[:size], out.data.cast("B"))
            return
        view = out.data.cast("B") if size else memoryview(b"")
        for start in range(0, size, _PIECE):
            piece = view[start : start + _PIECE]
            self._encryptor.update_into(_ZEROS[: len(piece)], piece)

    def mask(self, name: tuple[int, int], data: npt.NDArray[Any]) -> None:
        """Exclusive-or the C-contiguous array `data` with the bytes that `fill` would give for `name`."""
        self._seek(name, data.nbytes)
        if data.nbytes:
            view = data.data.cast("B")
            self._encryptor.update_into(view, view)

    def _seek(self, name: tuple[int, int], size: int) -> None:
        scope, step = name
        if size >> NAME_BITS:
            raise InternalError("a draw of 64 GiB or more under one name would run into the next name")
        if self._last.get(scope, 0) >= step:
            raise InternalError("the same randomness was about to be used twice")
        self._last[scope] = step
        self._encryptor.reset_nonce(_counter_block(scope, step, 0))


class NullStream:
    """Stands in for a stream where arrays have no content: draws nothing."""

    __slots__ = ()

    def fill(self, name: tuple[int, int], out: npt.NDArray[Any]) -> None:
        """Leaves `out` as it is."""

    def mask(self, name: tuple[int, int], data: npt.NDArray[Any]) -> None:
        """Leaves `data` as it is."""
