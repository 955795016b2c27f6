"""What sixteen pseudorandom streams add up to, made and summed in registers; see `quorate.preprocessing.softspoken`.

The streams are those of `quorate.crypto.stream`, AES-128 in counter mode, so whoever makes them in another way gets the
same. Only for processors with AES instructions (`fixed_aes.available`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels import _simd
from quorate.kernels._jit import Words, device, kernel
from quorate.kernels.fixed_aes import SCHEDULE, encrypt

__all__ = ["LEAVES", "counters", "fill_streams", "fold_streams"]

LEAVES = 16


def counters(name: tuple[int, int], width: int) -> Words:
    """The counter blocks of the first `width` words of the streams' draw under `name`: whole vectors of them."""
    width = -(-width // _simd.WIDTH) * _simd.WIDTH
    blocks = np.empty((width // 2, 2), np.uint64)
    blocks[:, 0] = np.uint64(name[0])
    blocks[:, 1] = np.arange(width // 2, dtype=np.uint64) | np.uint64(name[1] << 32)
    flat: Words = blocks.byteswap().reshape(-1)
    return flat


def fold_streams(blocks: Words, keys: Words, lacks_first: bool, out_sum: Words, out_planes: Words) -> None:
    """For rows r_x of words under 16 key schedules `keys` (16, 88): their sum, and for k < 4 that of all x with bit k.

    `blocks` (width,) are `counters`, width a multiple of 8; `out_sum` (width,), `out_planes` (4, width). With
    `lacks_first` the first row is zero and its key does not matter.
    """
    width = blocks.shape[0]
    if keys.shape != (LEAVES, SCHEDULE) or out_sum.shape != (width,) or out_planes.shape != (4, width):
        raise InternalError(f"streams of {width} words into {out_sum.shape} and {out_planes.shape}")
    if width % _simd.WIDTH:
        raise InternalError(f"{width} words are no whole vectors")
    _fold_streams(out_sum, out_planes, blocks, keys, np.uint64(0 if lacks_first else 0xFFFFFFFFFFFFFFFF))


def fill_streams(blocks: Words, keys: Words, turn: int, lacks: int, out: Words) -> None:
    """Row x of `out` (16, width) from the key schedule in row x ^ `turn` of `keys` (16, 88); row `lacks` is zero.

    `blocks` are `counters` for this width, any number.
    """
    width = out.shape[1]
    if keys.shape != (LEAVES, SCHEDULE) or out.shape[0] != LEAVES or not 0 <= blocks.shape[0] - width < _simd.WIDTH:
        raise InternalError(f"streams of {blocks.shape[0]} words into {out.shape}")
    _fill_streams(out, blocks, keys, turn, lacks)


@kernel(dtype=np.uint64)
def _fill_streams(out: Words, blocks: Words, keys: Words, turn: int, lacks: int) -> None:
    rows, n = out.shape
    whole, last = n - n % _simd.WIDTH, np.empty(_simd.WIDTH, np.uint64)
    for x in range(rows):
        start = (x ^ turn) * SCHEDULE
        if x == lacks:
            for i in range(n):
                out[x, i] = np.uint64(0)
            continue
        for i in range(0, whole, _simd.WIDTH):
            _simd.store(out, x * n + i, encrypt(_simd.load(blocks, i), keys, start))
        if whole < n:
            _simd.store(last, 0, encrypt(_simd.load(blocks, whole), keys, start))
            for i in range(whole, n):
                out[x, i] = last[i - whole]


@device
def _four(block: Any, keys: Words, first: int) -> tuple[Any, Any, Any, Any]:
    """Of four rows: the first one, the sum of the others, of numbers 1 and 3, of numbers 2 and 3."""
    zero, one = encrypt(block, keys, first * SCHEDULE), encrypt(block, keys, (first + 1) * SCHEDULE)
    two, three = encrypt(block, keys, (first + 2) * SCHEDULE), encrypt(block, keys, (first + 3) * SCHEDULE)
    upper = _simd.bit_xor(two, three)
    return zero, _simd.bit_xor(one, upper), _simd.bit_xor(one, three), upper


@kernel(dtype=np.uint64)
def _fold_streams(out_sum: Words, out_planes: Words, blocks: Words, keys: Words, first: Any) -> None:
    xor, n = _simd.bit_xor, blocks.size
    for i in range(0, n, _simd.WIDTH):
        block = _simd.load(blocks, i)
        zero, sum0, one0, two0 = _four(block, keys, 0)
        sum0 = xor(sum0, _simd.bit_and(zero, _simd.splat(first)))
        zero, sum1, one1, two1 = _four(block, keys, 4)
        sum1 = xor(sum1, zero)
        zero, sum2, one2, two2 = _four(block, keys, 8)
        sum2 = xor(sum2, zero)
        zero, sum3, one3, two3 = _four(block, keys, 12)
        sum3 = xor(sum3, zero)
        upper = xor(sum2, sum3)
        _simd.store(out_planes, i, xor(xor(one0, one1), xor(one2, one3)))
        _simd.store(out_planes, n + i, xor(xor(two0, two1), xor(two2, two3)))
        _simd.store(out_planes, 2 * n + i, xor(sum1, sum3))
        _simd.store(out_planes, 3 * n + i, upper)
        _simd.store(out_sum, i, xor(xor(sum0, sum1), upper))
