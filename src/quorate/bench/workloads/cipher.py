"""AES-128 of many blocks under one secret key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quorate.bench.workloads.base import CHECKED, Workload, first_rows, opened, require_close, shared
from quorate.bench.workloads.data import Integral, spread
from quorate.circuits import aes
from quorate.circuits.bitwise import low_bits
from quorate.circuits.tiles import tiled
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels.ghost import ghost
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["CIPHER"]

WORD = 4
"""Bytes that are shared as one number."""

Bytes = npt.NDArray[np.uint8]


class _Operands(NamedTuple):
    key: Boolean
    blocks: Boolean


class Encryption(Workload):
    """Blocks encrypted with `circuits.aes`."""

    name = "aes"
    sizes = (500_000,)

    def operands(self, p: Protocol, at: Scope, size: int) -> Step[_Operands]:
        key = yield from _bytes(p, at.child("key"), 0, 1)
        blocks = yield from _bytes(p, at.child("blocks"), 1, size)
        return _Operands(key.map(lambda part: part[0]), blocks)

    def blanks(self, p: Protocol, size: int) -> _Operands:
        key, blocks = (p.public_bits(ghost(shape, np.uint8), 8) for shape in ((aes.BLOCK,), (size, aes.BLOCK)))
        return _Operands(key, blocks)

    def work(self, p: Protocol, at: Scope, size: int, operands: _Operands) -> Step[Boolean]:
        return aes.encrypt(p, at, operands.key, operands.blocks)

    def check(self, p: Protocol, at: Scope, size: int, result: Boolean) -> Step[None]:
        got = yield from opened(p, at, first_rows(result))
        if got is not None:
            require_close(self.name, {"blocks": got}, {"blocks": _encrypted(min(size, CHECKED))}, 0)

    def clear(self, size: int) -> Callable[[], Any]:
        return partial(_encrypted, size)


def _words(which: int, start: int, count: int) -> Integral:
    return spread(which, start, count, 8 * WORD, signed=False)


def _plain(which: int, size: int) -> Bytes:
    words = _words(which, 0, size * aes.BLOCK // WORD).astype("<u4")
    return words.view(np.uint8).reshape(size, aes.BLOCK)


def _encrypted(size: int) -> Bytes:
    """The same by another implementation."""
    other = Cipher(algorithms.AES(_plain(0, 1).tobytes()), modes.ECB()).encryptor()  # noqa: S305 - the blocks by themselves
    return np.frombuffer(other.update(_plain(1, size).tobytes()), np.uint8).reshape(size, aes.BLOCK)


def _bytes(p: Protocol, at: Scope, which: int, size: int) -> Step[Boolean]:
    """Blocks as shared bytes: input as numbers of 32 bits, taken apart."""
    shape = (size * aes.BLOCK // WORD,)
    numbers = yield from shared(p, at.child("numbers"), which % p.parties, shape, partial(_words, which))

    def bits(p: Protocol, at: Scope, x: Arithmetic) -> Step[Boolean]:
        return low_bits(p, at, x, 8 * WORD)

    words = yield from tiled(p, at.child("bits"), bits, numbers)
    return Boolean(words.scheme, tuple(_as_bytes(part, size) for part in words.parts), 8)


def _as_bytes(part: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    return part.view(np.uint8).reshape(size, aes.BLOCK)


CIPHER = (Encryption(),)
