"""The ring of integers modulo 2^128: elements are pairs (low, high) of uint64 arrays of one shape.

Elementwise functions broadcast as NumPy does. With a ghost among the arguments nothing is computed and ghosts are
returned. Wrong dtypes and shapes raise InternalError. Products of 64-bit words are put together from 32-bit halves,
because vector units have no 64 x 64 -> 128 bit product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from quorate.errors import InternalError
from quorate.kernels._jit import Array, Words, device, kernel
from quorate.kernels.ghost import contiguous, ghost, is_ghost

__all__ = ["Pair", "add", "beaver", "dot", "matmul", "mul", "neg", "sub", "sum_axis", "weigh"]

Pair = tuple[Array, Array]
"""The low and the high words."""

_32 = np.uint64(32)
_WORD32 = np.uint64(0xFFFFFFFF)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


def add(x: Pair, y: Pair) -> Pair:
    """x + y."""
    return _elementwise(_add, *x, *y)


def sub(x: Pair, y: Pair) -> Pair:
    """x - y."""
    return _elementwise(_sub, *x, *y)


def neg(x: Pair) -> Pair:
    """-x."""
    return _elementwise(_neg, *x)


def mul(x: Pair, y: Pair) -> Pair:
    """x * y."""
    return _elementwise(_mul, *x, *y)


def sum_axis(x: Pair, axis: int) -> Pair:
    """Sums over one axis."""
    if is_ghost(*x):
        low = np.add.reduce(x[0], axis=axis)
        return low, low
    low, high = (np.moveaxis(part, axis, -1) for part in x)
    shape = low.shape[:-1]
    count = math.prod(shape)
    out = np.empty((2, count), np.uint64)
    _sums(out[0], out[1], low.reshape(count, low.shape[-1]), high.reshape(count, low.shape[-1]))
    return out[0, ...].reshape(shape), out[1, ...].reshape(shape)


def dot(x: Pair, y: Pair) -> Pair:
    """Inner products of the rows of two (rows, k) arrays: (rows,)."""
    shape = x[0].shape
    if len(shape) != 2 or any(part.shape != shape for part in (*x, *y)):
        raise InternalError(f"row-wise dot product of shapes {[part.shape for part in (*x, *y)]}")
    if is_ghost(*x, *y):
        return ghost(shape[:1], np.uint64), ghost(shape[:1], np.uint64)
    out = np.empty((2, shape[0]), np.uint64)
    _dot(out[0], out[1], *x, *y)
    return out[0, ...], out[1, ...]


def weigh(words: Words, x: Pair) -> Pair:
    """The sum of words[i] * x[i], words without sign, over flat arrays: of shape ()."""
    if is_ghost(words, *x):
        return ghost((), np.uint64), ghost((), np.uint64)
    out = np.empty(2, np.uint64)
    _weigh(out, words, *x)
    return out[:1].reshape(()), out[1:].reshape(())


def matmul(a: Pair, b: Pair) -> Pair:
    """The matrix product of (m, k) and (k, n): (m, n)."""
    first, second = a[0].shape, b[0].shape
    if len(first) != 2 or len(second) != 2 or first[1] != second[0]:
        raise InternalError(f"matrix product of shapes {first} and {second}: the inner sizes differ")
    shape = (first[0], second[1])
    if is_ghost(*a, *b):
        return ghost(shape, np.uint64), ghost(shape, np.uint64)
    out = np.zeros((2, *shape), np.uint64)
    _matmul(out[0], out[1], *a, *b)
    return out[0, ...], out[1, ...]


def beaver(d: Pair, e: Pair, a: Pair, b: Pair, c: Pair, whole: Pair) -> Pair:
    """c + d * b + e * a + d * e * whole, elementwise for one shape; `whole` of shape ()."""
    arrays, shape = (*d, *e, *a, *b, *c), d[0].shape
    if any(array.shape != shape for array in arrays):
        raise InternalError(f"beaver: shapes {[array.shape for array in arrays]} differ")
    if is_ghost(*arrays):
        return ghost(shape, np.uint64), ghost(shape, np.uint64)
    out = np.empty((2, *shape), np.uint64)
    d0, d1, e0, e1, a0, a1, b0, b1, c0, c1 = (contiguous(array).reshape(-1) for array in arrays)
    low, high = out[0, ...].reshape(-1), out[1, ...].reshape(-1)
    _beaver(low, high, d0, d1, e0, e1, a0, a1, b0, b1, c0, c1, np.uint64(whole[0]), np.uint64(whole[1]))
    return out[0, ...], out[1, ...]


def _elementwise(loop: Any, *arrays: Array) -> Pair:
    shape = arrays[0].shape
    if any(array.shape != shape for array in arrays):
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
        except ValueError as error:
            raise InternalError(f"ring128 {loop.__name__}: shapes do not fit: {error}") from error
        arrays = tuple(np.broadcast_to(array, shape) for array in arrays)
    if is_ghost(*arrays):
        return ghost(shape, np.uint64), ghost(shape, np.uint64)
    out = np.empty((2, *shape), np.uint64)
    loop(
        out[0, ...].reshape(-1), out[1, ...].reshape(-1), *[np.ascontiguousarray(array).reshape(-1) for array in arrays]
    )
    return out[0, ...], out[1, ...]


@device
def high_product(x: Any, y: Any) -> Any:
    """The high word of the product of two words, in a way that vectorises."""
    x0, x1, y0, y1 = x & _WORD32, x >> _32, y & _WORD32, y >> _32
    low, left, right = x0 * y0, x1 * y0, x0 * y1
    middle = (low >> _32) + (left & _WORD32) + right  # at most (2^32 - 1)^2 + 2 (2^32 - 1) < 2^64
    return x1 * y1 + (left >> _32) + (middle >> _32)


def _high_word(typing: Any, x: Any, y: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


high_word = cast(Callable[[Any, Any], Any], intrinsic(_high_word))
"""The same with the processor's own product of words, for loops that do not vectorise anyway."""


@device
def carry(total: Any, term: Any) -> Any:
    """1 if `total`, a sum with `term`, wrapped, else 0."""
    return _ONE if total < term else _ZERO


@device
def times(x0: Any, x1: Any, y0: Any, y1: Any) -> Any:
    """The product of two elements, as (low, high)."""
    return x0 * y0, high_product(x0, y0) + x0 * y1 + x1 * y0


@device
def plus(x0: Any, x1: Any, y0: Any, y1: Any) -> Any:
    """The sum of two elements, as (low, high)."""
    low = x0 + y0
    return low, x1 + y1 + carry(low, x0)


@kernel(dtype=np.uint64)
def _add(out_low: Words, out_high: Words, x0: Words, x1: Words, y0: Words, y1: Words) -> None:
    for i in range(out_low.size):
        low = x0[i] + y0[i]
        out_low[i] = low
        out_high[i] = x1[i] + y1[i] + carry(low, x0[i])


@kernel(dtype=np.uint64)
def _sub(out_low: Words, out_high: Words, x0: Words, x1: Words, y0: Words, y1: Words) -> None:
    for i in range(out_low.size):
        borrow = carry(x0[i], y0[i])
        out_low[i] = x0[i] - y0[i]
        out_high[i] = x1[i] - y1[i] - borrow


@kernel(dtype=np.uint64)
def _neg(out_low: Words, out_high: Words, x0: Words, x1: Words) -> None:
    for i in range(out_low.size):
        out_low[i] = _ZERO - x0[i]
        out_high[i] = _ZERO - x1[i] - (_ONE if x0[i] != _ZERO else _ZERO)


@kernel(dtype=np.uint64)
def _mul(out_low: Words, out_high: Words, x0: Words, x1: Words, y0: Words, y1: Words) -> None:
    for i in range(out_low.size):
        out_low[i], out_high[i] = times(x0[i], x1[i], y0[i], y1[i])


@kernel(dtype=np.uint64)
def _weigh(out: Words, words: Words, x0: Words, x1: Words) -> None:
    """Halves of the low products are added up apart, as in `_dot`."""
    bottom = middle = top = _ZERO
    for i in range(words.size):
        low = words[i] * x0[i]
        bottom += low & _WORD32
        middle += low >> _32
        top += high_product(words[i], x0[i]) + words[i] * x1[i]
    middle += bottom >> _32
    out[0] = (bottom & _WORD32) | (middle << _32)
    out[1] = top + (middle >> _32)


@kernel(dtype=np.uint64)
def _sums(out_low: Words, out_high: Words, low: Words, high: Words) -> None:
    for i in range(out_low.size):
        s0 = s1 = _ZERO
        for j in range(low.shape[1]):
            s0, s1 = plus(s0, s1, low[i, j], high[i, j])
        out_low[i], out_high[i] = s0, s1


@kernel(dtype=np.uint64)
def _dot(out_low: Words, out_high: Words, x0: Words, x1: Words, y0: Words, y1: Words) -> None:
    """The 32-bit halves of the low products are added up apart, so that no carry has to be followed."""
    for i in range(out_low.size):
        bottom = middle = top = _ZERO
        for j in range(x0.shape[1]):
            low = x0[i, j] * y0[i, j]
            bottom += low & _WORD32
            middle += low >> _32
            top += high_product(x0[i, j], y0[i, j]) + x0[i, j] * y1[i, j] + x1[i, j] * y0[i, j]
        middle += bottom >> _32
        out_low[i] = (bottom & _WORD32) | (middle << _32)
        out_high[i] = top + (middle >> _32)


@kernel(dtype=np.uint64)
def _matmul(out_low: Words, out_high: Words, a0: Words, a1: Words, b0: Words, b1: Words) -> None:
    for i in range(a0.shape[0]):
        for q in range(a0.shape[1]):
            x0, x1 = a0[i, q], a1[i, q]
            for j in range(b0.shape[1]):
                s0, s1 = times(x0, x1, b0[q, j], b1[q, j])
                low = out_low[i, j] + s0
                out_high[i, j] += s1 + carry(low, s0)
                out_low[i, j] = low


@kernel(dtype=np.uint64)
def _beaver(
    out_low: Words,
    out_high: Words,
    d0: Words,
    d1: Words,
    e0: Words,
    e1: Words,
    a0: Words,
    a1: Words,
    b0: Words,
    b1: Words,
    c0: Words,
    c1: Words,
    whole0: Any,
    whole1: Any,
) -> None:
    for i in range(out_low.size):
        p0, p1 = times(d0[i], d1[i], e0[i], e1[i])
        p0, p1 = times(p0, p1, whole0, whole1)
        s0, s1 = times(d0[i], d1[i], b0[i], b1[i])
        p0, p1 = plus(p0, p1, s0, s1)
        s0, s1 = times(e0[i], e1[i], a0[i], a1[i])
        p0, p1 = plus(p0, p1, s0, s1)
        out_low[i], out_high[i] = plus(p0, p1, c0[i], c1[i])
