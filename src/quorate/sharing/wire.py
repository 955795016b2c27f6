"""How Boolean words travel: packed to their width, so that a bit costs a bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels import bits
from quorate.kernels.ghost import contiguous

__all__ = ["pack", "packed_size", "unpack", "word_type"]

Array = npt.NDArray[Any]


def word_type(width: int) -> np.dtype[Any]:
    """The smallest unsigned type that holds words of `width` bits (1 ... 64)."""
    for bound, kind in ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.uint64)):
        if width <= bound:
            return np.dtype(kind)
    raise InternalError(f"no word type has {width} bits")


def packed_size(count: int, width: int) -> int:
    """Bytes of `count` words of `width` bits on the wire."""
    if width == 1:
        return -(-count // 8)
    return count * word_type(width).itemsize


def pack(words: Array, width: int) -> Array:
    """The words as they travel: a 1-D array of `packed_size` bytes, C-contiguous; may be a view."""
    if width == 1:
        return bits.pack(words)
    packed: Array = contiguous(np.asanyarray(words))
    return packed


def unpack(packed: Array, shape: tuple[int, ...], width: int) -> Array:
    """The inverse of `pack`, for an array that `pack` made (or a received uint8 one)."""
    if width == 1:
        return bits.unpack(packed, shape)
    return packed.view(word_type(width)).reshape(shape)
