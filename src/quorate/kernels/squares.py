"""Squares of 64 by 64 bits, one word per row."""

from __future__ import annotations

import numpy as np

from quorate.kernels._jit import Words, device

__all__ = ["turn_square"]


@device
def turn_square(square: Words) -> None:
    """64 words as a square of bits, mirrored: bit i of word k becomes bit k of word i."""
    mask, step = np.uint64(0x00000000FFFFFFFF), 32
    while step:
        shift = np.uint64(step)
        for start in range(0, 64, 2 * step):
            for k in range(start, start + step):
                t = ((square[k] >> shift) ^ square[k + step]) & mask
                square[k] ^= t << shift
                square[k + step] ^= t
        step //= 2
        mask ^= mask << np.uint64(step)
