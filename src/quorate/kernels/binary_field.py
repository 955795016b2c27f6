"""The field of 2**64 elements, GF(2)[x] / (x^64 + x^4 + x^3 + x + 1): uint64 arrays, bit k stands for x^k.

Addition is exclusive or. `bit_points` and `bit_fold` start from words of 64 bits, each bit being an element 0 or 1.
With a ghost among the arguments nothing is computed and a ghost returned.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels import _clmul, _simd, hypercube
from quorate.kernels._jit import Array, Words, device, flat_result, kernel, result
from quorate.kernels.ghost import contiguous, ghost, is_ghost
from quorate.kernels.squares import turn_square

__all__ = ["bit_fold", "bit_points", "dot", "fold", "mul", "points", "row_dots", "scale"]

TAIL = np.uint64(0x1B)
"""x^64 is x^4 + x^3 + x + 1."""
_ROOM = 8
_PIECE = 128  # positions that are carried over to all points at once


def mul(x: Words, y: Words, out: Words | None = None) -> Words:
    """Products, elementwise; shapes broadcast as in NumPy. `out` may be one of the factors."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    if is_ghost(x, y, out):
        return result(out, shape, np.uint64)
    count = math.prod(shape)
    exact = out is not None and count % _ROOM == 0
    room = flat_result(_mul, out, shape) if out is not None and exact else np.empty(_rounded(count), np.uint64)
    _mul(room, _whole(np.broadcast_to(x, shape)), _whole(np.broadcast_to(y, shape)))
    if out is None:
        return room[:count].reshape(shape)
    if not exact:
        out[...] = room[:count].reshape(shape)
    return out


def scale(x: Words, by: Words) -> Words:
    """Every element of a 1-D array times one, `by` (shape () or (1,))."""
    if is_ghost(x, by):
        return ghost(x.shape, np.uint64)
    out = np.empty(_rounded(x.size), np.uint64)
    _scale(out, _whole(x), np.uint64(by.reshape(())))
    return out[: x.size]


def dot(x: Words, y: Words) -> Words:
    """The sum of products of two 1-D arrays: shape (1,)."""
    if x.ndim != 1 or x.shape != y.shape:
        raise InternalError(f"inner product of shapes {x.shape} and {y.shape}")
    if is_ghost(x, y):
        return ghost(1, np.uint64)
    out = np.empty(1, np.uint64)
    _dot(out, _whole(x), _whole(y))
    return out


def row_dots(rows: Words, y: Words) -> Words:
    """The sums of products of every row of (k, n) with (n,): (k,)."""
    if rows.ndim != 2 or y.shape != rows.shape[1:]:
        raise InternalError(f"inner products of rows of shape {rows.shape} with shape {y.shape}")
    if is_ghost(rows, y):
        return ghost(rows.shape[0], np.uint64)
    out = np.empty(rows.shape[0], np.uint64)
    _row_dots(out, _rows(rows).reshape(-1), _whole(y))
    return out


def points(left: Words, right: Words) -> Words:
    """The sum over positions j of left[:, j] * right[:, j], each function of the block carried over to
    {0, 1, infinity}^nu, see `quorate.kernels.hypercube`: (2**nu, n) each gives (3**nu,)."""
    nu = left.shape[0].bit_length() - 1
    if nu < 1 or left.ndim != 2 or left.shape != right.shape:
        raise InternalError(f"blocks of shapes {left.shape} and {right.shape}")
    if is_ghost(left, right):
        return ghost(3**nu, np.uint64)
    x, y = _rows(left), _rows(right)
    lanes = min(x.shape[1], _PIECE)
    rooms = np.empty((2, hypercube.room(nu, lanes)), np.uint64)
    sums = np.zeros(8 * 3**nu, np.uint64)
    _points(sums, x.reshape(-1), y.reshape(-1), rooms, nu, lanes)
    return _totals(sums, 8)


def fold(blocks: Words, factors: Words) -> Words:
    """The sum over k of factors[k] * blocks[k], for (k, n) and (k,): (n,)."""
    if blocks.ndim != 2 or factors.shape != blocks.shape[:1]:
        raise InternalError(f"blocks of shape {blocks.shape} and factors of shape {factors.shape}")
    if is_ghost(blocks, factors):
        return ghost(blocks.shape[1], np.uint64)
    x = _rows(blocks)
    out = np.empty(x.shape[1], np.uint64)
    _fold(out, x.reshape(-1), contiguous(factors))
    return out[: blocks.shape[1]]


def bit_points(xa: Words, xb: Words, ya: Words, ys: Words, weights: Words) -> Words:
    """The sum over positions j of weights[j] * (xa[:, j] & ys[:, j] ^ xb[:, j] & ya[:, j]), each function of the block
    carried over to {0, 1, infinity}^nu.

    Args:
        xa, xb, ya, ys: (2**nu, positions) words of 64 bits; the number of positions is a multiple of 8. See
            `quorate.kernels.hypercube`. The words of ands are taken for elements of the field.
        weights: an element for each position.

    Returns:
        (3**nu,) elements.
    """
    nu = _variables(weights.size, xa, xb, ya, ys)
    if is_ghost(xa, xb, ya, ys, weights):
        return ghost(3**nu, np.uint64)
    out = np.zeros(8 * 3**nu, np.uint64)
    a, b, c, s = (contiguous(x).reshape(-1) for x in (xa, xb, ya, ys))
    _bit_points(out, a, b, c, s, contiguous(weights), np.empty((4, hypercube.room(nu, 8)), np.uint64), nu)
    return _totals(out, 8)


def bit_fold(x: Words, factors: Words, out: Words | None = None) -> Words:
    """The sum over blocks of factors[block] * bit, for every bit of every position: (64 * positions,) elements.

    Args:
        x: (blocks, positions) words of 64 bits, the number of blocks being a multiple of 64.
        factors: (blocks,) elements.
    """
    if x.ndim != 2 or x.shape[0] % 64 or not x.shape[0] or factors.shape != x.shape[:1]:
        raise InternalError(f"words of shape {x.shape} and factors of shape {factors.shape} are not of 64 blocks")
    shape = (64 * x.shape[1],)
    if is_ghost(x, factors, out):
        return result(out, shape, np.uint64)
    if out is None:
        out = np.empty(shape, np.uint64)
    loop, constants = (_affine_fold, _matrices(factors)) if _clmul.AFFINE else (_table_fold, _tables(factors))
    loop(flat_result(loop, out, shape), contiguous(x).reshape(-1), constants, x.shape[1])
    return out


def _rows(blocks: Words) -> Words:
    """Contiguous, and every row filled up with zeros to whole lanes."""
    if blocks.shape[1] % _ROOM == 0:
        return contiguous(blocks)  # type: ignore[no-any-return]
    room = np.zeros((blocks.shape[0], _rounded(blocks.shape[1])), np.uint64)
    room[:, : blocks.shape[1]] = blocks
    return room


def _totals(sums: Words, lanes: int) -> Words:
    """Elements from 128-bit sums, of which so many lanes belong to one element."""
    out = np.empty(sums.size, np.uint64)
    _reduced_pairs(out, sums)
    return np.asarray(np.bitwise_xor.reduce(out.reshape(-1, lanes), axis=1))


def _variables(positions: int, *arrays: Words) -> int:
    """nu, if all these are (2**nu, positions) and positions are a multiple of 8."""
    nu = int(arrays[0].shape[0]).bit_length() - 1
    if positions % 8 or nu < 1 or any(x.shape != (1 << nu, positions) for x in arrays):
        raise InternalError(f"{[x.shape for x in arrays]} words are not 2**nu blocks of {positions} positions")
    return nu


def _tables(factors: Words) -> Words:
    """For every eight factors the sums of those that the bits of a byte choose: (factors / 8, 256)."""
    tables = np.zeros((factors.size // 8, 256), np.uint64)
    for bit in range(8):
        tables[:, 1 << bit : 2 << bit] = tables[:, : 1 << bit] ^ factors.reshape(-1, 8)[:, bit : bit + 1]
    return tables


def _matrices(factors: Words) -> Words:
    """For every eight factors and every byte of theirs the matrix that `_clmul.affine` takes: (factors,)."""
    octets = factors.astype("<u8").view(np.uint8).reshape(-1, 8, 8)  # eight factors, factor, byte
    bits = np.unpackbits(octets[..., None], axis=-1, bitorder="little")  # ..., bit
    rows = np.packbits(bits.transpose(0, 2, 3, 1), axis=-1, bitorder="little")  # eight factors, byte, bit: of 8 factors
    return np.ascontiguousarray(rows[:, :, ::-1, 0]).view("<u8").astype(np.uint64).reshape(-1)


def _rounded(size: int) -> int:
    return -(-size // _ROOM) * _ROOM


def _whole(x: Words) -> Words:
    """Flat and contiguous, and filled up with zeros to whole lanes."""
    flat: Words = contiguous(x).reshape(-1)
    if flat.size % _ROOM == 0:
        return flat
    room = np.zeros(_rounded(flat.size), np.uint64)
    room[: flat.size] = flat
    return room


@device
def reduced(e: Any, o: Any, tail: Any) -> Any:
    """Eight elements from their 128-bit products: those of even places in e, of odd places in o."""
    te, to = _clmul.high_low(e, tail), _clmul.high_low(o, tail)
    e, o = _simd.bit_xor(e, te), _simd.bit_xor(o, to)
    e = _simd.bit_xor(e, _clmul.high_low(te, tail))
    o = _simd.bit_xor(o, _clmul.high_low(to, tail))
    return _clmul.pairs(e, o)


@kernel(dtype=np.uint64)
def _mul(out: Words, x: Words, y: Words) -> None:
    tail = _simd.splat(TAIL)
    for i in range(0, out.size, 8):
        a, b = _simd.load(x, i), _simd.load(y, i)
        _simd.store(out, i, reduced(_clmul.low_low(a, b), _clmul.high_high(a, b), tail))


@kernel
def _scale(out: Words, x: Words, by: Any) -> None:
    tail, b = _simd.splat(TAIL), _simd.splat(by)
    for i in range(0, out.size, 8):
        a = _simd.load(x, i)
        _simd.store(out, i, reduced(_clmul.low_low(a, b), _clmul.high_high(a, b), tail))


@kernel(dtype=np.uint64)
def _dot(out: Words, x: Words, y: Words) -> None:
    even, odd = _simd.zero(), _simd.zero()
    for i in range(0, x.size, 8):
        a, b = _simd.load(x, i), _simd.load(y, i)
        even = _simd.bit_xor(even, _clmul.low_low(a, b))
        odd = _simd.bit_xor(odd, _clmul.high_high(a, b))
    lanes = np.empty(8, np.uint64)
    _simd.store(lanes, 0, reduced(even, odd, _simd.splat(TAIL)))
    total = np.uint64(0)
    for k in range(8):
        total ^= lanes[k]
    out[0] = total


@kernel(dtype=np.uint64)
def _fold(out: Words, x: Words, factors: Words) -> None:
    tail = _simd.splat(TAIL)
    for i in range(0, out.size, 8):
        even, odd = _simd.zero(), _simd.zero()
        for k in range(factors.size):
            a, b = _simd.load(x, k * out.size + i), _simd.splat(factors[k])
            even = _simd.bit_xor(even, _clmul.low_low(a, b))
            odd = _simd.bit_xor(odd, _clmul.high_high(a, b))
        _simd.store(out, i, reduced(even, odd, tail))


@device
def _dot_into(out: Words, to: int, x: Words, y: Words, start: int, lanes: int) -> None:
    total = _simd.load(out, to)
    for at in range(start, start + lanes, 8):
        a, b = _simd.load(x, at), _simd.load(y, at)
        total = _simd.bit_xor(total, _simd.bit_xor(_clmul.low_low(a, b), _clmul.high_high(a, b)))
    _simd.store(out, to, total)


@kernel(dtype=np.uint64)
def _points(out: Words, x: Words, y: Words, out_rooms: Words, nu: int, lanes: int) -> None:
    rx, ry = out_rooms[0], out_rooms[1]
    stride = x.size >> nu
    third = out.size // 3
    for first in range(0, stride, lanes):
        count = min(lanes, stride - first)
        hypercube.extend_bits(rx, x, first, stride, nu, count, 1)
        hypercube.extend_bits(ry, y, first, stride, nu, count, 1)
        half = third // 8 * count
        for k in range(third // 8):
            low, high, to = k * count, half + k * count, 8 * k
            _dot_into(out, to, rx, ry, low, count)
            _dot_into(out, third + to, rx, ry, high, count)
            for at in range(0, count, 8):
                _simd.store(rx, low + at, _simd.bit_xor(_simd.load(rx, low + at), _simd.load(rx, high + at)))
                _simd.store(ry, low + at, _simd.bit_xor(_simd.load(ry, low + at), _simd.load(ry, high + at)))
            _dot_into(out, 2 * third + to, rx, ry, low, count)


@kernel(dtype=np.uint64)
def _row_dots(out: Words, rows: Words, y: Words) -> None:
    lanes = np.empty(8, np.uint64)
    for k in range(out.size):
        even, odd = _simd.zero(), _simd.zero()
        for i in range(0, y.size, 8):
            a, b = _simd.load(rows, k * y.size + i), _simd.load(y, i)
            even = _simd.bit_xor(even, _clmul.low_low(a, b))
            odd = _simd.bit_xor(odd, _clmul.high_high(a, b))
        _simd.store(lanes, 0, reduced(even, odd, _simd.splat(TAIL)))
        total = np.uint64(0)
        for j in range(8):
            total ^= lanes[j]
        out[k] = total


@kernel(dtype=np.uint64)
def _reduced_pairs(out: Words, x: Words) -> None:
    """Elements from 128-bit sums; every pair of lanes becomes an element and a zero."""
    tail, none = _simd.splat(TAIL), _simd.zero()
    for i in range(0, out.size, 8):
        _simd.store(out, i, reduced(_simd.load(x, i), none, tail))


@device
def _and_part(a: Any, b: Any, c: Any, s: Any) -> Any:
    return _simd.bit_xor(_simd.bit_and(a, s), _simd.bit_and(b, c))


@device
def _weighed(out: Array, at: int, z: Any, weights: Any) -> None:
    both = _simd.bit_xor(_clmul.low_low(z, weights), _clmul.high_high(z, weights))
    _simd.store(out, at, _simd.bit_xor(_simd.load(out, at), both))


@kernel(dtype=np.uint64)
def _bit_points(
    out: Words, xa: Words, xb: Words, ya: Words, ys: Words, weights: Words, out_room: Words, nu: int
) -> None:
    positions, half = weights.size, out_room.shape[1] // 2
    ra, rb, rc, rs = out_room[0], out_room[1], out_room[2], out_room[3]
    for first in range(0, positions, 8):
        hypercube.extend_bits(ra, xa, first, positions, nu, 8, 1)
        hypercube.extend_bits(rb, xb, first, positions, nu, 8, 1)
        hypercube.extend_bits(rc, ya, first, positions, nu, 8, 1)
        hypercube.extend_bits(rs, ys, first, positions, nu, 8, 1)
        w = _simd.load(weights, first)
        for at in range(0, half, 8):
            a, b, c, s = _simd.load(ra, at), _simd.load(rb, at), _simd.load(rc, at), _simd.load(rs, at)
            _weighed(out, at, _and_part(a, b, c, s), w)
            to = half + at
            d, e, f, t = _simd.load(ra, to), _simd.load(rb, to), _simd.load(rc, to), _simd.load(rs, to)
            _weighed(out, to, _and_part(d, e, f, t), w)
            a, b, c, s = _simd.bit_xor(a, d), _simd.bit_xor(b, e), _simd.bit_xor(c, f), _simd.bit_xor(s, t)
            _weighed(out, half + to, _and_part(a, b, c, s), w)


@kernel(dtype=np.uint64)
def _table_fold(out: Words, x: Words, tables: Words, positions: int) -> None:
    """Eight look-ups per element and 64 blocks."""
    square = np.empty(64, np.uint64)
    low = np.uint64(0xFF)
    for j in range(positions):
        for first in range(0, tables.shape[0], 8):
            for block in range(64):
                square[block] = x[(8 * first + block) * positions + j]
            turn_square(square)
            for bit in range(64):
                w = square[bit]
                total = out[64 * j + bit] if first else np.uint64(0)
                for k in range(8):
                    total ^= tables[first + k, (w >> np.uint64(8 * k)) & low]
                out[64 * j + bit] = total


@device
def _store_columns(out: Words, at: int, c04: Any, c26: Any, c15: Any, c37: Any) -> None:
    """32 words from their bytes 0 and 4, 2 and 6, 1 and 5, 3 and 7."""
    even, odd = _simd.zip_low(c04, c26), _simd.zip_low(c15, c37)
    _simd.store(out, at, _simd.zip_low(even, odd))
    _simd.store(out, at + 8, _simd.zip_high(even, odd))
    even, odd = _simd.zip_high(c04, c26), _simd.zip_high(c15, c37)
    _simd.store(out, at + 16, _simd.zip_low(even, odd))
    _simd.store(out, at + 24, _simd.zip_high(even, odd))


@kernel(dtype=np.uint64)
def _affine_fold(out: Words, x: Words, matrices: Words, positions: int) -> None:
    """Eight products of 8 x 8 bits at a time; c0 ... c7 are the bytes of the 64 results, one byte of each."""
    eight = np.empty(8, np.uint64)
    unit = _simd.splat(np.uint64(0x8040201008040201))
    for j in range(positions):
        c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = _simd.zero()
        for first in range(0, matrices.size, 8):
            for k in range(8):
                eight[k] = x[(first + k) * positions + j]
            w = _clmul.affine(unit, _clmul.octets_reversed(_simd.load(eight, 0)))
            c0 = _simd.bit_xor(c0, _clmul.affine(w, _simd.splat(matrices[first])))
            c1 = _simd.bit_xor(c1, _clmul.affine(w, _simd.splat(matrices[first + 1])))
            c2 = _simd.bit_xor(c2, _clmul.affine(w, _simd.splat(matrices[first + 2])))
            c3 = _simd.bit_xor(c3, _clmul.affine(w, _simd.splat(matrices[first + 3])))
            c4 = _simd.bit_xor(c4, _clmul.affine(w, _simd.splat(matrices[first + 4])))
            c5 = _simd.bit_xor(c5, _clmul.affine(w, _simd.splat(matrices[first + 5])))
            c6 = _simd.bit_xor(c6, _clmul.affine(w, _simd.splat(matrices[first + 6])))
            c7 = _simd.bit_xor(c7, _clmul.affine(w, _simd.splat(matrices[first + 7])))
        _store_columns(
            out, 64 * j, _simd.zip_low(c0, c4), _simd.zip_low(c2, c6), _simd.zip_low(c1, c5), _simd.zip_low(c3, c7)
        )
        _store_columns(
            out,
            64 * j + 32,
            _simd.zip_high(c0, c4),
            _simd.zip_high(c2, c6),
            _simd.zip_high(c1, c5),
            _simd.zip_high(c3, c7),
        )
