"""Sines and powers of two of ring and field elements: what one party computes from its summand of a secret.

An element a of Z/M, M = 2**64 or 2**61 - 1, is read as an angle or an exponent: a / M turns. Results are fixed point.
Several parties compute the same result and must agree to the last bit, so every step is a sum or product of doubles in
a fixed order, which IEEE 754 defines completely; nothing is reassociated or fused, and no mathematical library is
called. The first use checks a sample against known results, so that a machine that computes otherwise is refused.

Accuracy before the last rounding, which is to the nearest: cos and sin of k a / M turns within k 2**-46, powers within
a relative 2**-44.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from quorate.errors import InternalError
from quorate.kernels._jit import Words, device, kernel, result
from quorate.kernels.ghost import is_ghost

__all__ = ["column_dot", "powers", "waves", "weighted_powers", "weighted_waves"]

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

BLOCK = 512
MAGIC = 1.5 * 2.0**52
"""A double near it has its unit at 1: adding it rounds to the nearest integer, which then stands in the low bits."""
MAGIC_BITS = np.int64(0x4338000000000000)
SAMPLE = 1111


def waves(words: Words, harmonics: int, stride: int, digits: int, modulus_bits: int) -> Integers:
    """cos and sin of k a / M turns times 2**digits, for `harmonics` multiples k = 1, 1 + stride, ...: (2 harmonics, n).

    Args:
        words: (n,), elements a; each below M.
        stride: 1 or 2.
        digits: fraction bits, at most 49.
        modulus_bits: 64 or 61.
    """
    _trust()
    return _waves(words, np.ones(harmonics), np.zeros(harmonics), stride, digits, modulus_bits, False)


def weighted_waves(words: Words, cosines: Reals, sines: Reals, stride: int, digits: int, modulus_bits: int) -> Integers:
    """The other factor of a series: inner products with `waves` give sum_k c_k cos(k t) + s_k sin(k t), t the sum.

    For every k the rows c_k cos + s_k sin and s_k cos - c_k sin of k a / M turns, times 2**digits. Weights times
    2**digits lie below 2**50.
    """
    _trust()
    return _waves(words, cosines, sines, stride, digits, modulus_bits, True)


def _waves(
    words: Words, cosines: Reals, sines: Reals, stride: int, digits: int, modulus_bits: int, conjugate: bool
) -> Integers:
    shape = (2 * len(cosines), words.size)
    if is_ghost(words):
        return result(None, shape, np.int64)
    if float(np.abs(cosines).max(initial=0) + np.abs(sines).max(initial=0)) * 2.0**digits >= 2.0**50:
        raise InternalError(f"weights up to 2**50 fit a series, not {cosines} and {sines} with {digits} bits")
    out = np.empty(shape, np.int64)
    lift, sign = np.uint64(64 - modulus_bits), -1.0 if conjugate else 1.0
    _fill_waves(out, words, lift, cosines * 2.0**digits, sines * 2.0**digits, stride == 2, sign)
    return out


def powers(words: Words, blocks: int, width: int, digits: int, modulus_bits: int) -> Integers:
    """2**(width * g + digits) in the row J of every column, else 0: (blocks, n).

    The circle is cut into `blocks` (a power of two) of `width` binary orders each: blocks * a / M = J + g.
    """
    _trust()
    return _powers(words, blocks, width, np.full(blocks, float(digits)), modulus_bits, True)


def weighted_powers(words: Words, width: int, exponents: Reals, modulus_bits: int) -> Integers:
    """The other factor of a power: in row j 2**(width * g + exponents[J + j modulo blocks]), rounded; (blocks, n).

    Exponents are whole numbers below 50. Results of 2**51 or more are meaningless, those below 1/2 are 0.
    """
    _trust()
    return _powers(words, len(exponents), width, exponents, modulus_bits, False)


def _powers(words: Words, blocks: int, width: int, exponents: Reals, modulus_bits: int, single: bool) -> Integers:
    if is_ghost(words):
        return result(None, (blocks, words.size), np.int64)
    if blocks & (blocks - 1) or float(exponents.max()) + width * single >= 50:
        raise InternalError(f"{blocks} blocks of {width} binary orders with exponents {exponents}")
    out = np.empty((blocks, words.size), np.int64)
    factors = np.ldexp(1.0, np.maximum(exponents, -1000).astype(np.int64))
    shifts = (np.uint64(64 - modulus_bits), np.uint64(blocks.bit_length() - 1))
    _fill_powers(out, words, shifts[0], shifts[1], float(width), factors, single)
    return out


def column_dot(x: Words, y: Words) -> Words:
    """Inner products of columns modulo 2**64: (m, n) and (m, n) give (n,)."""
    if is_ghost(x, y):
        return result(None, x.shape[1:], np.uint64)
    if x.shape != y.shape or x.ndim != 2:
        raise InternalError(f"column_dot: shapes {x.shape} and {y.shape}")
    out = np.zeros(x.shape[1], np.uint64)
    _column_dot(out, x, y)
    return out


@cache
def _trust() -> None:
    """Raises `InternalError` on a machine whose doubles do not behave as IEEE 754 says."""
    words = np.arange(SAMPLE, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    weights = np.array([1.25, -3.0, 0.6875, 2.0])
    results = _waves(words, weights, weights[::-1], 1, 40, 64, True), _powers(words, 4, 4, weights * 16, 64, False)
    if tuple(int(found.view(np.uint64).sum(dtype=np.uint64)) for found in results) != SUMS_OF_SAMPLE:
        raise InternalError("the floating-point arithmetic of this machine is not that of IEEE 754; use another one")


SUMS_OF_SAMPLE = (2435216508351, 25884970659222)


def _bits_of(typing: Any, x: Any) -> Any:
    """The bits of a double as int64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


_bits = cast(Callable[[Any], Any], intrinsic(_bits_of))


@device
def _rounded(x: Any) -> Any:
    """The nearest integer to a double below 2**51, ties to even."""
    return _bits(x + MAGIC) - MAGIC_BITS


@device
def _turn(c: Reals, s: Reals, words: Words, lift: Any) -> None:
    """cos and sin of a full turn times words / 2**64, by Taylor series for a quarter of the angle, doubled twice.

    The quarter angle is at most pi / 4: the first term left out is below (pi / 4)**16 / 16! < 2**-49.
    """
    for i in range(words.size):
        x = np.float64(np.int64(words[i] << lift)) * TURN
        v = x * x
        cc = 1.0 + v * (C2 + v * (C4 + v * (C6 + v * (C8 + v * (C10 + v * (C12 + v * C14))))))
        ss = x * (1.0 + v * (S3 + v * (S5 + v * (S7 + v * (S9 + v * (S11 + v * (S13 + v * S15)))))))
        c2, s2 = cc * cc - ss * ss, 2.0 * (cc * ss)
        c[i] = c2 * c2 - s2 * s2
        s[i] = 2.0 * (c2 * s2)


TURN = 2.0**-66 * 6.283185307179586
C2, C4, C6, C8, C10, C12, C14 = -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800, 1 / 479001600, -1 / 87178291200
S3, S5, S7, S9, S11 = -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800
S13, S15 = 1 / 6227020800, -1 / 1307674368000


@device
def _step(p: Integers, q: Integers, c: Reals, s: Reals, c1: Reals, s1: Reals, a: Any, b: Any, sign: Any) -> None:
    """Two rows of a series; then (c, s) is turned on by (c1, s1)."""
    for i in range(c.size):
        u, v = c[i], s[i]
        p[i] = _rounded(a * u + b * v)
        q[i] = _rounded(sign * (a * v - b * u))
        c[i] = u * c1[i] - v * s1[i]
        s[i] = u * s1[i] + v * c1[i]


@device
def _double(c: Reals, s: Reals) -> None:
    """Twice the angle."""
    for i in range(c.size):
        u, v = c[i], s[i]
        c[i] = u * u - v * v
        s[i] = 2.0 * (u * v)


@kernel
def _fill_waves(out: Integers, words: Words, lift: Any, cosines: Reals, sines: Reals, double: bool, sign: Any) -> None:
    c1, s1, c, s = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, words.size, BLOCK):
        stop = min(start + BLOCK, words.size)
        size = stop - start
        _turn(c1[:size], s1[:size], words[start:stop], lift)
        c[:size] = c1[:size]
        s[:size] = s1[:size]
        if double:
            _double(c1[:size], s1[:size])
        for k in range(cosines.size):
            first, second = out[2 * k, start:stop], out[2 * k + 1, start:stop]
            _step(first, second, c[:size], s[:size], c1[:size], s1[:size], cosines[k], sines[k], sign)


@device
def _power(y: Any) -> Any:
    """2**y for 0 <= y <= 16: the series of exp at y ln 2 / 32 <= 0.35, to the 32nd power.

    The first term left out is below 2**-52, and 2**-47 after the squarings.
    """
    x = y * LN2_32
    tail = E8 + x * (E9 + x * (E10 + x * (E11 + x * E12)))
    z = 1.0 + x * (1.0 + x * (E2 + x * (E3 + x * (E4 + x * (E5 + x * (E6 + x * (E7 + x * tail)))))))
    for _ in range(5):
        z = z * z
    return z


LN2_32 = 0.6931471805599453 / 32
E2, E3, E4, E5, E6, E7 = 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040
E8, E9, E10, E11, E12 = 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800, 1 / 479001600


@kernel
def _fill_powers(out: Integers, words: Words, lift: Any, turn: Any, width: Any, factors: Reals, single: bool) -> None:
    blocks = factors.size
    mask = blocks - 1
    for i in range(words.size):
        a = words[i] << lift
        place = np.int64((a >> np.uint64(32)) >> (np.uint64(32) - turn))
        rest = np.float64(np.int64((a << turn) >> np.uint64(1))) * 2.0**-63
        z = _power(width * rest)
        for j in range(blocks):
            if single:
                out[j, i] = _rounded(z * factors[0]) if j == place else 0
            else:
                out[j, i] = _rounded(z * factors[(place + j) & mask])


@kernel(dtype=np.uint64)
def _column_dot(out: Words, x: Words, y: Words) -> None:
    for start in range(0, out.size, BLOCK):
        stop = min(start + BLOCK, out.size)
        for m in range(x.shape[0]):
            for i in range(start, stop):
                out[i] += x[m, i] * y[m, i]
