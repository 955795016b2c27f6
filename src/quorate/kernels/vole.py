"""Loops of vector oblivious linear evaluation over p = 2^61 - 1 and modulo 2^128: weighted sums of the leaves of trees.

For leaves r_x, x in [0, 2^k), U is the sum of all and V that of x r_x. Numbers modulo 2^128 are pairs of words: rows
(low, high) of (2, n) arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels import _simd
from quorate.kernels._jit import Words, device, kernel
from quorate.kernels.field import P, canonical, partly, product, remainder

__all__ = [
    "STRETCH",
    "combine_bits",
    "field_leaves",
    "field_receive",
    "field_send",
    "ring_leaves",
    "ring_multiply",
    "ring_receive",
    "ring_send",
]

Bytes = npt.NDArray[np.uint8]
STRETCH = 64
"""Elements at a time: lengths given to the loops on leaves are multiples of this."""

_P = np.uint64(P)
_BITS = np.uint64(61)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_FIELD_DEPTH = 4  # sums of eight numbers below 2^61 fit into a word


def field_leaves(leaves: Words, out_sum: Words, out_weighted: Words) -> None:
    """U and V modulo p, canonical, (n,) each, of leaves (2^k, n): any words, of which the low 61 bits count; k <= 4."""
    n = leaves.shape[1]
    if len(leaves) > 1 << _FIELD_DEPTH or n % STRETCH or out_sum.shape != (n,) or out_weighted.shape != (n,):
        raise InternalError(f"field_leaves: {leaves.shape}, {out_sum.shape}, {out_weighted.shape} do not fit")
    _field_leaves(out_sum, out_weighted, leaves, len(leaves).bit_length() - 1)


def field_receive(out_total: Words, weighted: Words, bits: int) -> None:
    """total = 2^bits total + V: the receiver's step from a digit to the next lower one."""
    _field_receive(out_total, weighted, np.uint64(bits))


def field_send(out_total: Words, summed: Words, weighted: Words, correction: Words, digit: int, bits: int) -> None:
    """total = 2^bits total + V - digit (U + correction): the sender's."""
    _field_send(out_total, summed, weighted, correction, np.uint64(digit), np.uint64(bits))


def ring_leaves(leaves: Words, out_sum: Words, out_weighted: Words) -> None:
    """U and V modulo 2^128 of leaves (2^k, 2, n): (2, n) each."""
    shape = leaves.shape[1:]
    if len(shape) != 2 or shape[0] != 2 or shape[1] % STRETCH or {out_sum.shape, out_weighted.shape} != {shape}:
        raise InternalError(f"ring_leaves: {leaves.shape}, {out_sum.shape}, {out_weighted.shape} do not fit")
    _ring_leaves(out_sum, out_weighted, leaves)


def ring_receive(out_total: Words, weighted: Words, bits: int) -> None:
    """As `field_receive`, modulo 2^128: (2, n) arrays."""
    _ring_receive(out_total, weighted, np.uint64(bits))


def ring_send(out_total: Words, summed: Words, weighted: Words, correction: Words, digit: int, bits: int) -> None:
    """As `field_send`, modulo 2^128: (2, n) arrays, digit < 2^32."""
    _ring_send(out_total, summed, weighted, correction, np.uint64(digit), np.uint64(bits))


def ring_multiply(x: Words, factor: int) -> Words:
    """x * factor modulo 2^128 for (n, 2) rows (low, high) and 0 <= factor < 2^64."""
    out = np.empty_like(x)
    _ring_multiply(out, x, np.uint64(factor))
    return out


def combine_bits(x: Words, choice: Bytes, out: Words) -> None:
    """out[8 a + b] += the sum modulo 2^128 of the rows x_j for which bit b of choice[a, j] is one.

    x is (n, 2), choice (m, n), out (8 m, 2): rows are (low, high). Every row is added to one of 256 buckets per byte.
    """
    if x.shape != (choice.shape[1], 2) or out.shape != (8 * len(choice), 2):
        raise InternalError(f"combine_bits: {x.shape}, {choice.shape} and {out.shape} do not fit")
    _combine_bits(out, x, choice)


@kernel(dtype=np.uint64)
def _field_leaves(out_sum: Words, out_weighted: Words, leaves: Words, depth: int) -> None:
    """As `quorate.kernels.oblivious.fold_leaves`. Sums of the upper halves have 8 numbers below 2^61, then 4 below
    2^62, 2 below 2^63 and 1: none reaches 2^64; nor do the two that are left, of which the sum is reduced."""
    n, add, lanes = leaves.shape[1], _simd.add, _simd.WIDTH
    work = np.empty((leaves.shape[0], STRETCH), np.uint64)
    planes = np.empty((depth, STRETCH), np.uint64)
    total = np.empty(STRETCH, np.uint64)
    mask = _simd.splat(_P)
    for i in range(0, n, STRETCH):
        for j in range(0, STRETCH, lanes):
            for x in range(leaves.shape[0]):
                _simd.store(work, x * STRETCH + j, _simd.bit_and(_simd.load(leaves, x * n + i + j), mask))
            for step in range(depth):
                half = 1 << (depth - 1 - step)
                upper = _simd.load(work, half * STRETCH + j)
                of_plane = upper
                if half > 1:
                    _simd.store(work, j, add(_simd.load(work, j), upper))
                for x in range(1, half):
                    upper = _simd.load(work, (x + half) * STRETCH + j)
                    of_plane = add(of_plane, upper)
                    _simd.store(work, x * STRETCH + j, add(_simd.load(work, x * STRETCH + j), upper))
                _simd.store(planes, (depth - 1 - step) * STRETCH + j, of_plane)
        total[:] = np.uint64(0)
        for bit in range(depth):
            _add_plane(total, planes[bit], np.uint64(bit))
        for j in range(STRETCH):
            out_weighted[i + j] = total[j]
            out_sum[i + j] = remainder(partly(work[0, j]) + partly(work[1, j]))


@device
def _add_plane(total: Words, plane: Words, bit: Any) -> None:
    for j in range(STRETCH):
        total[j] = remainder(total[j] + _turned(remainder(plane[j]), bit))


@device
def _turned(x: Any, by: Any) -> Any:
    """2^by x modulo p for canonical x: a rotation of 61 bits."""
    return ((x << by) & _P) | (x >> (_BITS - by))


@kernel(dtype=np.uint64)
def _field_receive(out_total: Words, weighted: Words, bits: Any) -> None:
    for i in range(out_total.size):
        out_total[i] = remainder(_turned(out_total[i], bits) + weighted[i])


@kernel(dtype=np.uint64)
def _field_send(out_total: Words, summed: Words, weighted: Words, correction: Words, digit: Any, bits: Any) -> None:
    for i in range(out_total.size):
        used = product(digit, canonical(summed[i] + correction[i]))
        out_total[i] = remainder(_turned(out_total[i], bits) + weighted[i] + (_P - used))


@kernel(dtype=np.uint64)
def _ring_leaves(out_sum: Words, out_weighted: Words, leaves: Words) -> None:
    """From the last leaf down: running sums of the leaves, and the sum of those, in which leaf x counts x times."""
    n, top = leaves.shape[2], leaves.shape[0] - 1
    s0, s1 = np.empty(STRETCH, np.uint64), np.empty(STRETCH, np.uint64)
    v0, v1 = np.empty(STRETCH, np.uint64), np.empty(STRETCH, np.uint64)
    for i in range(0, n, STRETCH):
        for j in range(STRETCH):
            s0[j], s1[j] = leaves[top, 0, i + j], leaves[top, 1, i + j]
            v0[j], v1[j] = s0[j], s1[j]
        for down in range(1, top):
            _ring_step(s0, s1, leaves, top - down, i)
            for j in range(STRETCH):
                low = v0[j] + s0[j]
                v1[j] += s1[j] + np.uint64(low < s0[j])
                v0[j] = low
        _ring_step(s0, s1, leaves, 0, i)
        for j in range(STRETCH):
            out_sum[0, i + j], out_sum[1, i + j] = s0[j], s1[j]
            out_weighted[0, i + j], out_weighted[1, i + j] = v0[j], v1[j]


@device
def _ring_step(s0: Words, s1: Words, leaves: Words, x: int, i: int) -> None:
    for j in range(STRETCH):
        leaf = leaves[x, 0, i + j]
        low = s0[j] + leaf
        s1[j] += leaves[x, 1, i + j] + np.uint64(low < leaf)
        s0[j] = low


@kernel(dtype=np.uint64)
def _ring_receive(out_total: Words, weighted: Words, bits: Any) -> None:
    rest = np.uint64(64) - bits
    for i in range(out_total.shape[1]):
        low, high = out_total[0, i], out_total[1, i]
        high = (high << bits) | (low >> rest)
        low = (low << bits) + weighted[0, i]
        out_total[0, i] = low
        out_total[1, i] = high + weighted[1, i] + np.uint64(low < weighted[0, i])


@kernel(dtype=np.uint64)
def _ring_send(out_total: Words, summed: Words, weighted: Words, correction: Words, digit: Any, bits: Any) -> None:
    rest = np.uint64(64) - bits
    for i in range(out_total.shape[1]):
        c0 = correction[0, i]
        u0 = summed[0, i] + c0
        u1 = summed[1, i] + correction[1, i] + np.uint64(u0 < c0)
        t0, t1 = u0 * digit, u1 * digit + _high_of_small(u0, digit)
        low, high = out_total[0, i], out_total[1, i]
        high = (high << bits) | (low >> rest)
        low = (low << bits) + weighted[0, i]
        high += weighted[1, i] + np.uint64(low < weighted[0, i])
        out_total[0, i] = low - t0
        out_total[1, i] = high - t1 - np.uint64(low < t0)


@device
def _high_of_small(x: Any, digit: Any) -> Any:
    """The high word of x * digit for digit < 2^32."""
    return ((x >> _HALF) * digit + (((x & _LOW) * digit) >> _HALF)) >> _HALF


@device
def _high_word(x: Any, y: Any) -> Any:
    """The high word of x * y."""
    x0, x1, y0, y1 = x & _LOW, x >> _HALF, y & _LOW, y >> _HALF
    middle = x1 * y0 + ((x0 * y0) >> _HALF)
    other = x0 * y1 + (middle & _LOW)
    return x1 * y1 + (middle >> _HALF) + (other >> _HALF)


@kernel(dtype=np.uint64)
def _ring_multiply(out: Words, x: Words, factor: Any) -> None:
    for i in range(len(x)):
        out[i, 1] = x[i, 1] * factor + _high_word(x[i, 0], factor)
        out[i, 0] = x[i, 0] * factor


@kernel
def _combine_bits(out: Words, x: Words, choice: Bytes) -> None:
    m = choice.shape[0]
    buckets = np.zeros((m, 256, 2), np.uint64)
    for j in range(x.shape[0]):
        low, high = x[j, 0], x[j, 1]
        for a in range(m):
            place = choice[a, j]
            total = buckets[a, place, 0] + low
            buckets[a, place, 1] += high + np.uint64(total < low)
            buckets[a, place, 0] = total
    for a in range(m):
        for place in range(256):
            for bit in range(8):
                if place >> bit & 1:
                    total = out[8 * a + bit, 0] + buckets[a, place, 0]
                    out[8 * a + bit, 1] += buckets[a, place, 1] + np.uint64(total < buckets[a, place, 0])
                    out[8 * a + bit, 0] = total
