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
    _fold(out_sum, out_planes, leaves)


def correct(planes: Words, correction: Words, digit: int) -> None:
    """planes[b] ^= correction for every bit b of `digit`."""
    for bit in range(len(planes)):
        if digit >> bit & 1:
            np.bitwise_xor(planes[bit], correction, out=planes[bit])


def interleave(planes: Words) -> Words:
    """128 columns of 64 n bits, (128, n) words, as rows of 128 bits: (64 n, 2)."""
    if planes.ndim != 2 or planes.shape[0] != _COLUMNS:
        raise InternalError(f"interleave: {planes.shape} are not 128 columns")
    out = np.empty((64 * planes.shape[1], 2), np.uint64)
    _interleave(out, planes)
    return out


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
def _swap(block: Words, distance: int, mask: Any) -> None:
    """One step of the transposition of 64 x 64 bits, for eight blocks at once."""
    shift = np.uint64(distance)
    for start in range(0, 64, 2 * distance):
        for row in range(start, start + distance):
            for lane in range(WORDS):
                a, b = block[row, lane], block[row + distance, lane]
                t = ((a >> shift) ^ b) & mask
                block[row, lane] = a ^ (t << shift)
                block[row + distance, lane] = b ^ t


@device
def _transpose(block: Words) -> None:
    _swap(block, 32, np.uint64(0x00000000FFFFFFFF))
    _swap(block, 16, np.uint64(0x0000FFFF0000FFFF))
    _swap(block, 8, np.uint64(0x00FF00FF00FF00FF))
    _swap(block, 4, np.uint64(0x0F0F0F0F0F0F0F0F))
    _swap(block, 2, np.uint64(0x3333333333333333))
    _swap(block, 1, np.uint64(0x5555555555555555))


@kernel(dtype=np.uint64)
def _interleave(out: Words, planes: Words) -> None:
    n = planes.shape[1]
    block = np.empty((64, WORDS), np.uint64)
    for i in range(0, n, WORDS):
        width = min(WORDS, n - i)
        for half in range(2):
            for row in range(64):
                for lane in range(width):
                    block[row, lane] = planes[64 * half + row, i + lane]
            _transpose(block)
            for lane in range(width):
                for row in range(64):
                    out[64 * (i + lane) + row, half] = block[row, lane]


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
