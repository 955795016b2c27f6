"""Loops of vector oblivious linear evaluation over p = 2^61 - 1 and modulo 2^128: weighted sums of the leaves of trees.

For leaves r_x, x in [0, 16), U is the sum of all and V that of x r_x. Numbers modulo 2^128 are pairs of words: rows
(low, high) of (2, n) arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels import _simd
from quorate.kernels._jit import Words, device, kernel
from quorate.kernels.field import P, canonical, product, remainder

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

Lanes = Any
Bytes = npt.NDArray[np.uint8]
STRETCH = _simd.WIDTH
"""Elements at a time: lengths given to the loops on leaves are multiples of this."""

_P = np.uint64(P)
_BITS = np.uint64(61)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_LEAVES = 16


def field_leaves(leaves: Words, out_sum: Words, out_weighted: Words) -> None:
    """U and V modulo p, canonical, (n,) each, of leaves (16, n): any words, of which the low 61 bits count."""
    n = leaves.shape[1]
    if len(leaves) != _LEAVES or n % STRETCH or out_sum.shape != (n,) or out_weighted.shape != (n,):
        raise InternalError(f"field_leaves: {leaves.shape}, {out_sum.shape}, {out_weighted.shape} do not fit")
    _field_leaves(out_sum, out_weighted, leaves)


def field_receive(out_total: Words, weighted: Words, bits: int) -> None:
    """total = 2^bits total + V: the receiver's step from a digit to the next lower one."""
    _field_receive(out_total, weighted, np.uint64(bits))


def field_send(out_total: Words, summed: Words, weighted: Words, correction: Words, digit: int, bits: int) -> None:
    """total = 2^bits total + V - digit (U + correction): the sender's."""
    _field_send(out_total, summed, weighted, correction, np.uint64(digit), np.uint64(bits))


def ring_leaves(leaves: Words, out_sum: Words, out_weighted: Words) -> None:
    """U and V modulo 2^128 of leaves (16, 2, n): (2, n) each."""
    shape = leaves.shape[1:]
    if leaves.shape[:2] != (_LEAVES, 2) or shape[1] % STRETCH or {out_sum.shape, out_weighted.shape} != {shape}:
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


@device
def _four(leaves: Words, at: int, step: int, shift: Any, mask: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """Of a part of the bits of four leaves: the sum of all, of numbers 1 and 3, of numbers 2 and 3."""
    add = _simd.add
    zero = _simd.bit_and(_simd.shift_right(_simd.load(leaves, at), shift), mask)
    one = _simd.bit_and(_simd.shift_right(_simd.load(leaves, at + step), shift), mask)
    two = _simd.bit_and(_simd.shift_right(_simd.load(leaves, at + 2 * step), shift), mask)
    three = _simd.bit_and(_simd.shift_right(_simd.load(leaves, at + 3 * step), shift), mask)
    odd, upper = add(one, three), add(two, three)
    return add(add(zero, one), upper), odd, upper


@device
def _sixteen(leaves: Words, at: int, step: int, shift: Any, mask: Lanes) -> tuple[Any, ...]:
    """Of a part of the bits of 16 leaves: two halves of the sum, and the sums of leaves with bit 0, 1, 2, 3."""
    add = _simd.add
    sum0, one0, two0 = _four(leaves, at, step, shift, mask)
    sum1, one1, two1 = _four(leaves, at + 4 * step, step, shift, mask)
    sum2, one2, two2 = _four(leaves, at + 8 * step, step, shift, mask)
    sum3, one3, two3 = _four(leaves, at + 12 * step, step, shift, mask)
    upper = add(sum2, sum3)
    ones, twos = add(add(one0, one1), add(one2, one3)), add(add(two0, two1), add(two2, two3))
    return add(sum0, sum1), upper, ones, twos, add(sum1, sum3), upper


@device
def _reduced(x: Lanes, mask: Lanes) -> Lanes:
    """Any words to congruent ones of at most p."""
    once = _simd.add(_simd.bit_and(x, mask), _simd.shift_right(x, np.uint64(61)))
    return _simd.add(_simd.bit_and(once, mask), _simd.shift_right(once, np.uint64(61)))


@device
def _doubled(x: Lanes, by: int, mask: Lanes) -> Lanes:
    """2^by x modulo p, of any words: at most p."""
    y = _reduced(x, mask)
    low = _simd.bit_and(_simd.shift_left(y, np.uint64(by)), mask)
    return _simd.add(low, _simd.shift_right(y, np.uint64(61 - by)))


@kernel(dtype=np.uint64)
def _field_leaves(out_sum: Words, out_weighted: Words, leaves: Words) -> None:
    """No sum of eight numbers below 2^61 reaches 2^64."""
    n, add = leaves.shape[1], _simd.add
    mask = _simd.splat(_P)
    for i in range(0, n, _simd.WIDTH):
        lower, upper, ones, twos, fours, eights = _sixteen(leaves, i, n, np.uint64(0), mask)
        _simd.store(out_sum, i, _reduced(add(_reduced(lower, mask), _reduced(upper, mask)), mask))
        first = add(_reduced(ones, mask), _doubled(twos, 1, mask))
        second = add(_doubled(fours, 2, mask), _doubled(eights, 3, mask))
        _simd.store(out_weighted, i, _reduced(add(first, second), mask))
    for i in range(n):
        out_sum[i], out_weighted[i] = canonical(out_sum[i]), canonical(out_weighted[i])


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


@device
def _weighted(sums: tuple[Any, ...]) -> Lanes:
    _, _, ones, twos, fours, eights = sums
    first = _simd.add(ones, _simd.shift_left(twos, np.uint64(1)))
    return _simd.add(first, _simd.add(_simd.shift_left(fours, np.uint64(2)), _simd.shift_left(eights, np.uint64(3))))


@device
def _put(out: Words, i: int, low: Lanes, middle: Lanes, high: Lanes) -> None:
    """low + 2^32 middle + 2^64 high, low and middle below 2^63, as rows of `out`."""
    add = _simd.add
    middle = add(middle, _simd.shift_right(low, _HALF))
    rest = _simd.bit_and(low, _simd.splat(_LOW))
    _simd.store(out, i, add(rest, _simd.shift_left(middle, _HALF)))
    _simd.store(out, out.shape[1] + i, add(high, _simd.shift_right(middle, _HALF)))


@kernel(dtype=np.uint64)
def _ring_leaves(out_sum: Words, out_weighted: Words, leaves: Words) -> None:
    """In three parts, so that no sum carries over: the halves of the low word, and the high word."""
    n, add = leaves.shape[2], _simd.add
    word, half = _simd.splat(~np.uint64(0)), _simd.splat(_LOW)
    for i in range(0, n, _simd.WIDTH):
        low = _sixteen(leaves, i, 2 * n, np.uint64(0), half)
        middle = _sixteen(leaves, i, 2 * n, _HALF, half)
        high = _sixteen(leaves, n + i, 2 * n, np.uint64(0), word)
        _put(out_sum, i, add(low[0], low[1]), add(middle[0], middle[1]), add(high[0], high[1]))
        _put(out_weighted, i, _weighted(low), _weighted(middle), _weighted(high))


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
