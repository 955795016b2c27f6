"""Loops of OT extension: weighted sums of the leaves of trees, and bit matrices of 128 columns.

Source of the sums: Roy, "SoftSpokenOT", CRYPTO 2022, section 3.1: for leaves r_x the sum of all, and for every bit b of
x the sum of those with that bit; halving the leaves bit by bit takes about two additions per leaf.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels import _clmul, _simd
from quorate.kernels._jit import Words, device, kernel

__all__ = ["correct", "fold_leaves", "hash_columns", "interleave", "reduce_products"]

WORDS = _simd.WIDTH
_COLUMNS = 128


def fold_leaves(leaves: Words, out_sum: Words, out_planes: Words) -> None:
    """For leaves (2^k, n): out_sum (n,) is the xor of all, out_planes[b] that of those whose index has bit b.

    n must be a multiple of 8. `leaves` is used up.
    """
    if leaves.shape[0] != 1 << out_planes.shape[0] or leaves.shape[1] % WORDS or out_sum.shape != leaves.shape[1:]:
        raise InternalError(f"fold_leaves: {leaves.shape}, {out_sum.shape}, {out_planes.shape} do not fit")
    (_fold_sixteen if len(leaves) == 16 else _fold)(out_sum, out_planes, leaves)


def correct(planes: Words, correction: Words, digit: int) -> None:
    """planes[b] ^= correction for every bit b of `digit`."""
    for bit in range(len(planes)):
        if digit >> bit & 1:
            np.bitwise_xor(planes[bit], correction, out=planes[bit])


def interleave(planes: Words, out: Words) -> None:
    """128 columns of at most 64 n bits, (128, n) words, as rows of 128 bits: as many as `out` (rows, 2) takes."""
    if planes.ndim != 2 or planes.shape[0] != _COLUMNS or out.shape[1:] != (2,) or len(out) > 64 * planes.shape[1]:
        raise InternalError(f"interleave: {planes.shape} are not 128 columns for {out.shape} rows")
    _interleave(out, planes)


def hash_columns(columns: Words, coefficients: Words) -> Words:
    """The sum of coefficients[j] * column[j] over words j, unreduced products of binary polynomials: (columns, 2).

    A linear universal hash of every row of `columns` (m, n) with `coefficients` (n,): n must be a multiple of 8.
    Words of all columns are taken as polynomials over GF(2) with the lowest bit as constant term.
    """
    if columns.ndim != 2 or coefficients.shape != columns.shape[1:] or columns.shape[1] % WORDS:
        raise InternalError(f"hash_columns: {columns.shape} with {coefficients.shape} coefficients")
    out = np.zeros((columns.shape[0], 2), np.uint64)
    _hash_columns(out, columns, coefficients)
    return out


def reduce_products(products: Words) -> Words:
    """Polynomials (..., 2) of degree below 128, low word first, modulo x^64 + x^4 + x^3 + x + 1: (...)."""
    low: Words = products[..., 0]
    high: Words = products[..., 1]
    over = (high >> np.uint64(63)) ^ (high >> np.uint64(61)) ^ (high >> np.uint64(60))
    reduced: Words = low ^ _times_tail(high) ^ _times_tail(over)
    return reduced


def _times_tail(x: Words) -> Words:
    """x (x^4 + x^3 + x + 1) without what goes beyond 64 bits."""
    times: Words = x ^ (x << np.uint64(1)) ^ (x << np.uint64(3)) ^ (x << np.uint64(4))
    return times


@kernel(dtype=np.uint64)
def _fold(out_sum: Words, out_planes: Words, leaves: Words) -> None:
    xor, n, depth = _simd.bit_xor, leaves.shape[1], out_planes.shape[0]
    work = np.empty((leaves.shape[0], WORDS), np.uint64)
    for i in range(0, n, WORDS):
        for x in range(leaves.shape[0]):
            _simd.store(work, x * WORDS, _simd.load(leaves, x * n + i))
        for step in range(depth):
            bit = depth - 1 - step
            half = 1 << bit
            total = _simd.load(work, half * WORDS)
            _simd.store(work, 0, xor(_simd.load(work, 0), total))
            for x in range(1, half):
                upper = _simd.load(work, (x + half) * WORDS)
                total = xor(total, upper)
                _simd.store(work, x * WORDS, xor(_simd.load(work, x * WORDS), upper))
            _simd.store(out_planes, bit * n + i, total)
        _simd.store(out_sum, i, _simd.load(work, 0))


@device
def _four(leaves: Words, first: int, step: int, i: int) -> tuple[Any, Any, Any]:
    """Of four leaves: the sum of all, of numbers 1 and 3, of numbers 2 and 3."""
    xor, at = _simd.bit_xor, first * step + i
    one, three = _simd.load(leaves, at + step), _simd.load(leaves, at + 3 * step)
    upper = xor(_simd.load(leaves, at + 2 * step), three)
    return xor(xor(_simd.load(leaves, at), one), upper), xor(one, three), upper


@kernel(dtype=np.uint64)
def _fold_sixteen(out_sum: Words, out_planes: Words, leaves: Words) -> None:
    """As `_fold` for k = 4, without intermediate values in memory."""
    xor, n = _simd.bit_xor, leaves.shape[1]
    for i in range(0, n, WORDS):
        sum0, one0, two0 = _four(leaves, 0, n, i)
        sum1, one1, two1 = _four(leaves, 4, n, i)
        sum2, one2, two2 = _four(leaves, 8, n, i)
        sum3, one3, two3 = _four(leaves, 12, n, i)
        upper = xor(sum2, sum3)
        _simd.store(out_planes, i, xor(xor(one0, one1), xor(one2, one3)))
        _simd.store(out_planes, n + i, xor(xor(two0, two1), xor(two2, two3)))
        _simd.store(out_planes, 2 * n + i, xor(sum1, sum3))
        _simd.store(out_planes, 3 * n + i, upper)
        _simd.store(out_sum, i, xor(xor(sum0, sum1), upper))


@device
def _swapped(a: Any, b: Any, shift: Any, mask: Any) -> tuple[Any, Any]:
    """Exchange the high bits of every group in a with the low bits of those in b."""
    t = _simd.bit_and(_simd.bit_xor(_simd.shift_right(a, shift), b), mask)
    return _simd.bit_xor(a, _simd.shift_left(t, shift)), _simd.bit_xor(b, t)


@device
def _two_steps(block: Words, far: int, far_mask: Any, near_mask: Any) -> None:
    """Two steps of the transposition of 64 x 64 bits, eight blocks at once: distances far and far / 2."""
    near = far // 2
    outer, inner = np.uint64(far), np.uint64(near)
    far_lanes, near_lanes = _simd.splat(far_mask), _simd.splat(near_mask)
    for start in range(0, 64, 2 * far):
        for row in range(start, start + near):
            p, q = row * WORDS, near * WORDS
            a, b = _simd.load(block, p), _simd.load(block, p + q)
            c, d = _simd.load(block, p + 2 * q), _simd.load(block, p + 3 * q)
            a, c = _swapped(a, c, outer, far_lanes)
            b, d = _swapped(b, d, outer, far_lanes)
            a, b = _swapped(a, b, inner, near_lanes)
            c, d = _swapped(c, d, inner, near_lanes)
            _simd.store(block, p, a)
            _simd.store(block, p + q, b)
            _simd.store(block, p + 2 * q, c)
            _simd.store(block, p + 3 * q, d)


@device
def _transpose(block: Words) -> None:
    _two_steps(block, 32, np.uint64(0x00000000FFFFFFFF), np.uint64(0x0000FFFF0000FFFF))
    _two_steps(block, 8, np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0F0F0F0F0F0F0F0F))
    _two_steps(block, 2, np.uint64(0x3333333333333333), np.uint64(0x5555555555555555))


@kernel(dtype=np.uint64)
def _interleave(out: Words, planes: Words) -> None:
    n, rows = planes.shape[1], out.shape[0]
    low, high = np.empty((64, WORDS), np.uint64), np.empty((64, WORDS), np.uint64)
    for i in range(0, n, WORDS):
        width = min(WORDS, n - i)
        if width == WORDS:
            for row in range(64):
                _simd.store(low, row * WORDS, _simd.load(planes, row * n + i))
                _simd.store(high, row * WORDS, _simd.load(planes, (64 + row) * n + i))
        else:
            for row in range(64):
                for lane in range(width):
                    low[row, lane], high[row, lane] = planes[row, i + lane], planes[64 + row, i + lane]
        _transpose(low)
        _transpose(high)
        for lane in range(width):
            at = 64 * (i + lane)
            for row in range(min(64, max(rows - at, 0))):
                out[at + row, 0], out[at + row, 1] = low[row, lane], high[row, lane]


@kernel(dtype=np.uint64)
def _hash_columns(out: Words, columns: Words, coefficients: Words) -> None:
    m, n = columns.shape
    lanes = np.empty(WORDS, np.uint64)
    for column in range(m):
        even, odd = _simd.zero(), _simd.zero()
        for i in range(0, n, WORDS):
            x, c = _simd.load(columns, column * n + i), _simd.load(coefficients, i)
            even = _simd.bit_xor(even, _clmul.low_low(x, c))
            odd = _simd.bit_xor(odd, _clmul.high_high(x, c))
        _simd.store(lanes, 0, _simd.bit_xor(even, odd))
        for k in range(WORDS):
            out[column, k % 2] ^= lanes[k]
