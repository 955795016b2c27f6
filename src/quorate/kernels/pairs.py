"""Pairs of bits within words, and single bits out of words: what normalisation looks at.

Words are unsigned of 8, 16, 32 or 64 bits. With a ghost among the arguments a ghost is returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels._jit import Array, device, kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["bits_of", "split_pairs"]

HALF = {8: np.uint8, 16: np.uint8, 32: np.uint16, 64: np.uint32}

_M1, _M2, _M4 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_M8, _M16, _M32 = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0x00000000FFFFFFFF)
_S1, _S2, _S4, _S8, _S16 = (np.uint64(n) for n in (1, 2, 4, 8, 16))


def split_pairs(words: Array) -> tuple[Array, Array]:
    """The bits at even positions, and those at odd ones, of every word: words of half the bits (8 at least)."""
    kind = HALF[8 * words.dtype.itemsize]
    if is_ghost(words):
        return ghost(words.shape, kind), ghost(words.shape, kind)
    even, odd = np.empty(words.shape, kind), np.empty(words.shape, kind)
    _split(even.reshape(-1), odd.reshape(-1), words.reshape(-1))
    return even, odd


def bits_of(words: Array, start: int, count: int) -> Array:
    """The bits at positions start, start + 1, ... of every word as uint8 0 and 1: (count, *words.shape)."""
    shape = (count, *words.shape)
    if start < 0 or count < 0 or start + count > 8 * words.dtype.itemsize:
        raise InternalError(f"bits {start} to {start + count} of words of {8 * words.dtype.itemsize} bits")
    if is_ghost(words):
        return ghost(shape, np.uint8)
    out = np.empty(shape, np.uint8)
    _spread(out.reshape(count, words.size), words.reshape(-1), words.dtype.type(start))
    return out


@device
def _gathered(x: Any) -> Any:
    """The 32 bits at even positions of a 64-bit word."""
    x &= _M1
    x = (x | (x >> _S1)) & _M2
    x = (x | (x >> _S2)) & _M4
    x = (x | (x >> _S4)) & _M8
    x = (x | (x >> _S8)) & _M16
    return (x | (x >> _S16)) & _M32


@kernel
def _split(out_even: Array, out_odd: Array, words: Array) -> None:
    for i in range(words.size):
        word = np.uint64(words[i])
        out_even[i] = _gathered(word)
        out_odd[i] = _gathered(word >> _S1)


@kernel
def _spread(out: Array, words: Array, start: Any) -> None:
    for k in range(out.shape[0]):
        place = start + words.dtype.type(k)
        for i in range(words.size):
            out[k, i] = (words[i] >> place) & words.dtype.type(1)
