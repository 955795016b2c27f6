"""Bits of many numbers, eight to a byte: what works on rows of bits is as much faster, and sends as much.

A row of n bits (width 1) becomes a row of ceil(n / 8) words of width 8, with zeros at its end. All circuits on Boolean
words take either form.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quorate.sharing.share import Boolean

__all__ = ["BYTE", "LEAST", "in_bits", "in_bytes", "packed", "packed_ones", "unpacked"]

BYTE = 8
LEAST = 256
"""Bits in a row from which on packing pays: a row that is not a multiple of eight travels with up to seven zeros."""


def packed(x: Boolean, axis: int = -1) -> Boolean:
    """Bits (width 1) as bytes along `axis`; local."""
    return Boolean(x.scheme, tuple(np.packbits(part, axis=axis, bitorder="little") for part in x.parts), BYTE)


def unpacked(x: Boolean, count: int, axis: int = -1) -> Boolean:
    """The inverse of `packed` for rows of `count` bits; local."""
    parts = tuple(np.unpackbits(part, axis=axis, count=count, bitorder="little") for part in x.parts)
    return Boolean(x.scheme, parts)


def in_bytes(x: Boolean) -> Boolean:
    """Bits (k, n) as bytes (k, ceil(n / 8)) if the rows are long enough for that to pay, else as they are."""
    return packed(x) if x.shape[1] >= LEAST else x


def in_bits(x: Boolean, count: int) -> Boolean:
    """The inverse of `in_bytes` for rows of `count` bits."""
    return unpacked(x, count) if x.width == BYTE else x


def packed_ones(count: int) -> npt.NDArray[np.uint8]:
    """A row of `count` public ones, packed."""
    return np.packbits(np.ones(count, np.uint8), bitorder="little")
