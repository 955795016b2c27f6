"""The Galois ring GR(2^64, 48) = Z_2^64[x] / (x^48 + x^5 + x^3 + x^2 + 1): arrays uint64 (..., 48), coefficient k at k.

Modulo 2 the polynomial is irreducible, so the ring modulo 2 is the field of 2^48 elements. Hence any two distinct
elements with coefficients 0 and 1 differ by a unit, and a polynomial of degree n over the ring that is not zero has at
most n zeros among them. Addition is that of arrays. `weighed_points` and `weigh` start from uint64 words, elements of
Z_2^64. With a ghost among the arguments nothing is computed and a ghost returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels import _simd, hypercube, ring
from quorate.kernels._jit import Array, Words, device, flat_result, kernel, result
from quorate.kernels.ghost import contiguous, ghost, is_ghost

__all__ = ["DEGREE", "embed_fold", "fold", "mul", "points", "scale", "weigh", "weighed_points"]

DEGREE = 48
TAIL = (0, 2, 3, 5)
"""x^48 is minus the sum of these powers."""
_VECTORS = DEGREE // 8
_WIDE = 2 * DEGREE
_FEW = 40  # elements for which it does not pay to make a matrix of a factor
_TILE = 64  # positions whose weights stay in the cache while all points are gone through


def mul(x: Words, y: Words, out: Words | None = None) -> Words:
    """Products of elements, (n, 48) each; `out` may be one of the factors."""
    if x.shape != y.shape or x.shape[1:] != (DEGREE,):
        raise InternalError(f"products of arrays of shapes {x.shape} and {y.shape}")
    if is_ghost(x, y, out):
        return result(out, x.shape, np.uint64)
    if out is None:
        out = np.empty(x.shape, np.uint64)
    _mul(flat_result(_mul, out, x.shape), contiguous(x).reshape(-1), contiguous(y).reshape(-1))
    return out


def scale(x: Words, by: Words) -> Words:
    """Every element of (n, 48) times one, (48,)."""
    if is_ghost(x, by):
        return ghost(x.shape, np.uint64)
    if len(x) < _FEW:
        return mul(x, np.broadcast_to(by, x.shape))
    return ring.matmul(contiguous(x), _matrix(by))


def fold(blocks: Words, factors: Words) -> Words:
    """The sum over k of factors[k] * blocks[k], for (k, n, 48) and (k, 48): (n, 48)."""
    if blocks.ndim != 3 or factors.shape != (blocks.shape[0], DEGREE) or blocks.shape[2] != DEGREE:
        raise InternalError(f"blocks of shape {blocks.shape} and factors of shape {factors.shape}")
    if is_ghost(blocks, factors):
        return ghost(blocks.shape[1:], np.uint64)
    out = np.zeros(blocks.shape[1:], np.uint64)
    for block, factor in zip(blocks, factors, strict=True):
        if block.any():  # as in `points`
            ring.matmul(contiguous(block), _matrix(factor), out=out, accumulate=True)
    return out


def points(left: Words, right: Words) -> Words:
    """The sum over positions j of left[:, j] * right[:, j], each function of the block carried over to
    {0, 1, infinity}^nu, see `quorate.kernels.hypercube`: (2**nu, n, 48) each gives (3**nu, 48)."""
    nu = int(left.shape[0]).bit_length() - 1
    if nu < 1 or left.shape != right.shape or left.ndim != 3 or left.shape[2] != DEGREE:
        raise InternalError(f"blocks of shapes {left.shape} and {right.shape}")
    if is_ghost(left, right):
        return ghost((3**nu, DEGREE), np.uint64)
    if not left.any():  # parts of what is shared without a message are zero, or else random
        return np.zeros((3**nu, DEGREE), np.uint64)
    sums = np.zeros((8, 3**nu * _WIDE), np.uint64)
    lanes = DEGREE * 16
    rooms = np.empty((2, hypercube.room(nu, lanes)), np.uint64)
    x, y = (contiguous(blocks).reshape(-1) for blocks in (left, right))
    _points(sums, x, y, rooms, left.shape[1], nu, 16)
    return _reduced(_collected(sums.reshape(8, 3**nu, _WIDE)))


def weighed_points(xa: Words, xb: Words, ya: Words, ys: Words, flags: Array) -> Words:
    """The sum over positions j of weight_j * (xa[:, j] * ys[:, j] + xb[:, j] * ya[:, j]), each function of the block
    carried over to {0, 1, infinity}^nu.

    Args:
        xa, xb, ya, ys: (2**nu, positions) words; the number of positions is a multiple of 8.
        flags: (positions, 6) uint8: the coefficients, 0 or 1, of the weights, eight to a byte, the lowest bit first.

    Returns:
        (3**nu, 48) elements.
    """
    nu, positions = xa.shape[0].bit_length() - 1, flags.shape[0]
    if positions % 8 or nu < 1 or any(x.shape != (1 << nu, positions) for x in (xa, xb, ya, ys)):
        raise InternalError(f"words of shape {xa.shape} are not 2**nu blocks of {positions} positions")
    if is_ghost(xa, xb, ya, ys, flags):
        return ghost((3**nu, DEGREE), np.uint64)
    out = np.zeros((3**nu, DEGREE), np.uint64)
    a, b, c, s = (contiguous(x).reshape(-1) for x in (xa, xb, ya, ys))
    rooms, tile = np.empty((4, hypercube.room(nu, 8, min(nu, 2))), np.uint64), np.empty(3**nu * _TILE, np.uint64)
    _weighed_points(out.reshape(-1), a, b, c, s, contiguous(flags).reshape(-1), rooms, tile, nu)
    return out


def embed_fold(x: Words, factors: Words, out: Words | None = None) -> Words:
    """The sum over blocks of factors[block] * x[block], for (k, positions) words and (k, 48): (positions, 48)."""
    if x.ndim != 2 or factors.shape != (x.shape[0], DEGREE):
        raise InternalError(f"words of shape {x.shape} and factors of shape {factors.shape}")
    shape = (x.shape[1], DEGREE)
    if is_ghost(x, factors, out):
        return result(out, shape, np.uint64)
    if out is None:
        out = np.empty(shape, np.uint64)
    _embed_fold(
        flat_result(_embed_fold, out, shape), contiguous(x).reshape(-1), contiguous(factors).reshape(-1), x.shape[1]
    )
    return out


def weigh(rows: Words, flags: Array) -> Words:
    """The sums over j of weight_j * rows[k, j], (k, 48), for (k, positions) words and `flags` as above."""
    if rows.ndim != 2 or flags.shape != (rows.shape[1], _VECTORS):
        raise InternalError(f"rows of shape {rows.shape} and weights of shape {flags.shape}")
    if is_ghost(rows, flags):
        return ghost((rows.shape[0], DEGREE), np.uint64)
    out = np.zeros((rows.shape[0], DEGREE), np.uint64)
    _weigh(out.reshape(-1), contiguous(rows).reshape(-1), contiguous(flags).reshape(-1), rows.shape[1], rows.shape[0])
    return out


def _matrix(by: Words) -> Words:
    """The matrix (48, 48) that multiplies rows of coefficients by an element: row k is x^k times it."""
    rows = np.empty((DEGREE, DEGREE), np.uint64)
    _multiples(rows, contiguous(by))
    return rows


def _collected(sums: Words) -> Words:
    """From sums of which number r is to be moved by r places: (8, n, 96) to (n, 96)."""
    total: Words = sums[0].copy()
    for r in range(1, 8):
        total[:, r:] += sums[r, :, :-r]
    return total


def _reduced(wide: Words) -> Words:
    """Polynomials of degree below 96, (n, 96), as elements (n, 48)."""
    for low in (DEGREE, 0):  # what the first pass brings above x^47 is of degree below 5
        high = wide[:, DEGREE:].copy()
        wide[:, DEGREE:] = 0
        for power in TAIL:
            wide[:, power : power + DEGREE] -= high
        if not low:
            break
    return wide[:, :DEGREE].copy()


@device
def _row(out: Words, at: int, x: Words, xs: int, y: Words, ys: int, count: int, step: int, shift: int) -> None:
    """Add to out[at : at + 88] the sum over i of the products of x[8 m + shift] x^(8 m), all m, and y."""
    c0, c1, c2, c3 = _simd.load(out, at), _simd.load(out, at + 8), _simd.load(out, at + 16), _simd.load(out, at + 24)
    c4, c5, c6 = _simd.load(out, at + 32), _simd.load(out, at + 40), _simd.load(out, at + 48)
    c7, c8 = _simd.load(out, at + 56), _simd.load(out, at + 64)
    c9, c10 = _simd.load(out, at + 72), _simd.load(out, at + 80)
    for i in range(count):
        a, b = xs + i * step + shift, ys + i * step
        y0, y1, y2 = _simd.load(y, b), _simd.load(y, b + 8), _simd.load(y, b + 16)
        y3, y4, y5 = _simd.load(y, b + 24), _simd.load(y, b + 32), _simd.load(y, b + 40)
        f = x[a]
        c0, c1, c2 = _simd.scaled(c0, f, y0), _simd.scaled(c1, f, y1), _simd.scaled(c2, f, y2)
        c3, c4, c5 = _simd.scaled(c3, f, y3), _simd.scaled(c4, f, y4), _simd.scaled(c5, f, y5)
        f = x[a + 8]
        c1, c2, c3 = _simd.scaled(c1, f, y0), _simd.scaled(c2, f, y1), _simd.scaled(c3, f, y2)
        c4, c5, c6 = _simd.scaled(c4, f, y3), _simd.scaled(c5, f, y4), _simd.scaled(c6, f, y5)
        f = x[a + 16]
        c2, c3, c4 = _simd.scaled(c2, f, y0), _simd.scaled(c3, f, y1), _simd.scaled(c4, f, y2)
        c5, c6, c7 = _simd.scaled(c5, f, y3), _simd.scaled(c6, f, y4), _simd.scaled(c7, f, y5)
        f = x[a + 24]
        c3, c4, c5 = _simd.scaled(c3, f, y0), _simd.scaled(c4, f, y1), _simd.scaled(c5, f, y2)
        c6, c7, c8 = _simd.scaled(c6, f, y3), _simd.scaled(c7, f, y4), _simd.scaled(c8, f, y5)
        f = x[a + 32]
        c4, c5, c6 = _simd.scaled(c4, f, y0), _simd.scaled(c5, f, y1), _simd.scaled(c6, f, y2)
        c7, c8, c9 = _simd.scaled(c7, f, y3), _simd.scaled(c8, f, y4), _simd.scaled(c9, f, y5)
        f = x[a + 40]
        c5, c6, c7 = _simd.scaled(c5, f, y0), _simd.scaled(c6, f, y1), _simd.scaled(c7, f, y2)
        c8, c9, c10 = _simd.scaled(c8, f, y3), _simd.scaled(c9, f, y4), _simd.scaled(c10, f, y5)
    for k, c in enumerate((c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10)):
        _simd.store(out, at + 8 * k, c)


@kernel(dtype=np.uint64)
def _multiples(out: Words, by: Words) -> None:
    """out[k] = x^k times an element."""
    for c in range(DEGREE):
        out[0, c] = by[c]
    for k in range(1, DEGREE):
        top = out[k - 1, DEGREE - 1]
        out[k, 0] = np.uint64(0) - top
        for c in range(1, DEGREE):
            out[k, c] = out[k - 1, c - 1]
        out[k, 2] -= top
        out[k, 3] -= top
        out[k, 5] -= top


@device
def _shifted_sum(rows: Words, k: int) -> Any:
    """Eight coefficients from k on of the sum of rows of 104 words, of which number r is moved up by r places and
    starts after 8 zeros."""
    total = _simd.add(_simd.load(rows, 8 + k), _simd.load(rows, 8 + k + 104 - 1))
    for r in range(2, 8):
        total = _simd.add(total, _simd.load(rows, 8 + k + 104 * r - r))
    return total


@device
def _tail_sum(room: Words, k: int) -> Any:
    """Eight coefficients from k on of (1 + x^2 + x^3 + x^5) times what starts after 8 zeros in `room`."""
    total = _simd.add(_simd.load(room, 8 + k), _simd.load(room, 6 + k))
    return _simd.add(total, _simd.add(_simd.load(room, 5 + k), _simd.load(room, 3 + k)))


@kernel(dtype=np.uint64)
def _mul(out: Words, x: Words, y: Words) -> None:
    rows, high, top = np.zeros(8 * 104, np.uint64), np.zeros(72, np.uint64), np.zeros(32, np.uint64)
    for i in range(0, out.size, DEGREE):
        for r in range(8):
            for k in range(0, 88, 8):
                _simd.store(rows, 104 * r + 8 + k, _simd.zero())
            _row(rows, 104 * r + 8, x, i, y, i, 1, DEGREE, r)
        for k in range(0, DEGREE, 8):
            _simd.store(high, 8 + k, _shifted_sum(rows, DEGREE + k))
        _simd.store(top, 8, _tail_sum(high, DEGREE))
        for k in range(0, DEGREE, 8):
            low = _simd.sub(_shifted_sum(rows, k), _tail_sum(high, k))
            if k < 16:  # what the first reduction brings above x^47 is negative, and so comes back with a plus
                low = _simd.add(low, _tail_sum(top, k))
            _simd.store(out, i + k, low)


@kernel(dtype=np.uint64)
def _points(out: Words, x: Words, y: Words, out_rooms: Words, positions: int, nu: int, tile: int) -> None:
    """`tile` positions at a time; out (8, 3**nu * 96), see `_collected`."""
    rx, ry = out_rooms[0], out_rooms[1]
    stride = positions * DEGREE
    for first in range(0, positions, tile):
        count = min(tile, positions - first)
        lanes = count * DEGREE
        hypercube.extend(rx, x, first * DEGREE, stride, nu, lanes, 1)
        hypercube.extend(ry, y, first * DEGREE, stride, nu, lanes, 1)
        half = out.shape[1] // (3 * _WIDE)
        for point in range(half):
            low, high = point * lanes, (half + point) * lanes
            for r in range(8):
                _row(out[r], point * _WIDE, rx, low, ry, low, count, DEGREE, r)
                _row(out[r], (half + point) * _WIDE, rx, high, ry, high, count, DEGREE, r)
            for at in range(0, lanes, 8):
                _simd.store(rx, low + at, _simd.sub(_simd.load(rx, high + at), _simd.load(rx, low + at)))
                _simd.store(ry, low + at, _simd.sub(_simd.load(ry, high + at), _simd.load(ry, low + at)))
            for r in range(8):
                _row(out[r], (2 * half + point) * _WIDE, rx, low, ry, low, count, DEGREE, r)


@device
def _accumulate(
    out: Words, values: Words, stride: int, first: int, flags: Array, at: int, count: int, rows: int
) -> None:
    """out[row] += the sum over j < count of values[row * stride + first + j] times weight number at + j, row by row."""
    for row in range(rows):
        to, source = row * DEGREE, row * stride + first
        c0, c1, c2 = _simd.load(out, to), _simd.load(out, to + 8), _simd.load(out, to + 16)
        c3, c4, c5 = _simd.load(out, to + 24), _simd.load(out, to + 32), _simd.load(out, to + 40)
        for j in range(count):
            value, f = _simd.splat(values[source + j]), (at + j) * _VECTORS
            c0, c1 = _simd.add_where(c0, value, flags[f]), _simd.add_where(c1, value, flags[f + 1])
            c2, c3 = _simd.add_where(c2, value, flags[f + 2]), _simd.add_where(c3, value, flags[f + 3])
            c4, c5 = _simd.add_where(c4, value, flags[f + 4]), _simd.add_where(c5, value, flags[f + 5])
        for k, c in enumerate((c0, c1, c2, c3, c4, c5)):
            _simd.store(out, to + 8 * k, c)


@device
def _accumulate_three(out: Words, values: Words, stride: int, flags: Array, at: int, count: int, rows: int) -> None:
    """The same for three rows at a time, `rows` being a multiple of three: weights are loaded once for all of them."""
    for row in range(0, rows, 3):
        to, source = row * DEGREE, row * stride
        a0, a1, a2 = _simd.load(out, to), _simd.load(out, to + 8), _simd.load(out, to + 16)
        a3, a4, a5 = _simd.load(out, to + 24), _simd.load(out, to + 32), _simd.load(out, to + 40)
        b0, b1, b2 = _simd.load(out, to + 48), _simd.load(out, to + 56), _simd.load(out, to + 64)
        b3, b4, b5 = _simd.load(out, to + 72), _simd.load(out, to + 80), _simd.load(out, to + 88)
        c0, c1, c2 = _simd.load(out, to + 96), _simd.load(out, to + 104), _simd.load(out, to + 112)
        c3, c4, c5 = _simd.load(out, to + 120), _simd.load(out, to + 128), _simd.load(out, to + 136)
        for j in range(count):
            k = (at + j) * _VECTORS
            f0, f1, f2, f3, f4, f5 = flags[k], flags[k + 1], flags[k + 2], flags[k + 3], flags[k + 4], flags[k + 5]
            v = _simd.splat(values[source + j])
            a0, a1, a2 = _simd.add_where(a0, v, f0), _simd.add_where(a1, v, f1), _simd.add_where(a2, v, f2)
            a3, a4, a5 = _simd.add_where(a3, v, f3), _simd.add_where(a4, v, f4), _simd.add_where(a5, v, f5)
            v = _simd.splat(values[source + stride + j])
            b0, b1, b2 = _simd.add_where(b0, v, f0), _simd.add_where(b1, v, f1), _simd.add_where(b2, v, f2)
            b3, b4, b5 = _simd.add_where(b3, v, f3), _simd.add_where(b4, v, f4), _simd.add_where(b5, v, f5)
            v = _simd.splat(values[source + 2 * stride + j])
            c0, c1, c2 = _simd.add_where(c0, v, f0), _simd.add_where(c1, v, f1), _simd.add_where(c2, v, f2)
            c3, c4, c5 = _simd.add_where(c3, v, f3), _simd.add_where(c4, v, f4), _simd.add_where(c5, v, f5)
        for k, lanes in enumerate((a0, a1, a2, a3, a4, a5, b0, b1, b2, b3, b4, b5, c0, c1, c2, c3, c4, c5)):
            _simd.store(out, to + 8 * k, lanes)


@kernel
def _weigh(out: Words, values: Words, flags: Array, positions: int, rows: int) -> None:
    for first in range(0, positions, _TILE):
        _accumulate(out, values, positions, first, flags, first, min(_TILE, positions - first), rows)


Four = tuple[Any, Any, Any, Any]


@device
def _four(a: Words, b: Words, c: Words, s: Words, at: int) -> Four:
    return _simd.load(a, at), _simd.load(b, at), _simd.load(c, at), _simd.load(s, at)


@device
def _minus(x: Four, y: Four) -> Four:
    return _simd.sub(x[0], y[0]), _simd.sub(x[1], y[1]), _simd.sub(x[2], y[2]), _simd.sub(x[3], y[3])


@device
def _put(out: Words, at: int, x: Four) -> None:
    """xa * ys + xb * ya, of (xa, xb, ya, ys)."""
    _simd.store(out, at, _simd.add(_simd.mul(x[0], x[3]), _simd.mul(x[1], x[2])))


@device
def _line(out: Words, at: int, step: int, low: Four, high: Four) -> None:
    """The products at 0, 1 and infinity of a variable."""
    _put(out, at, low)
    _put(out, at + step, high)
    _put(out, at + 2 * step, _minus(high, low))


@kernel
def _weighed_points(
    out: Words, xa: Words, xb: Words, ya: Words, ys: Words, flags: Array, out_rooms: Words, out_tile: Words, nu: int
) -> None:
    """The last two variables are extended in registers, or the only one."""
    positions, rows = flags.size // _VECTORS, out.size // DEGREE
    left = min(nu, 2)
    part = out_rooms.shape[1] >> left
    ra, rb, rc, rs = out_rooms[0], out_rooms[1], out_rooms[2], out_rooms[3]
    step = rows // 3 * _TILE if left == 1 else rows // 9 * _TILE
    for start in range(0, positions, _TILE):
        stop = min(start + _TILE, positions)
        for first in range(start, stop, 8):
            hypercube.extend(ra, xa, first, positions, nu, 8, left)
            hypercube.extend(rb, xb, first, positions, nu, 8, left)
            hypercube.extend(rc, ya, first, positions, nu, 8, left)
            hypercube.extend(rs, ys, first, positions, nu, 8, left)
            for k in range(0, part, 8):
                to = k // 8 * _TILE + first - start
                p, q = _four(ra, rb, rc, rs, k), _four(ra, rb, rc, rs, part + k)
                _line(out_tile, to, step, p, q)
                if left == 2:
                    r, s = _four(ra, rb, rc, rs, 2 * part + k), _four(ra, rb, rc, rs, 3 * part + k)
                    _line(out_tile, to + 3 * step, step, r, s)
                    _line(out_tile, to + 6 * step, step, _minus(r, p), _minus(s, q))
        _accumulate_three(out, out_tile, _TILE, flags, start, stop - start, rows)


@kernel(dtype=np.uint64)
def _embed_fold(out: Words, x: Words, factors: Words, positions: int) -> None:
    zero = _simd.zero()
    for j in range(0, positions, 4):
        # Beyond the last position the last ones are computed twice.
        at = max(min(j, positions - 4), 0)
        p, q, r = at, min(at + 1, positions - 1), min(at + 2, positions - 1)
        s = min(at + 3, positions - 1)
        a0 = a1 = a2 = a3 = a4 = a5 = b0 = b1 = b2 = b3 = b4 = b5 = zero
        c0 = c1 = c2 = c3 = c4 = c5 = d0 = d1 = d2 = d3 = d4 = d5 = zero
        source = 0
        for f in range(0, factors.size, DEGREE):
            y0, y1, y2 = _simd.load(factors, f), _simd.load(factors, f + 8), _simd.load(factors, f + 16)
            y3, y4, y5 = _simd.load(factors, f + 24), _simd.load(factors, f + 32), _simd.load(factors, f + 40)
            v = x[source + p]
            a0, a1, a2 = _simd.scaled(a0, v, y0), _simd.scaled(a1, v, y1), _simd.scaled(a2, v, y2)
            a3, a4, a5 = _simd.scaled(a3, v, y3), _simd.scaled(a4, v, y4), _simd.scaled(a5, v, y5)
            v = x[source + q]
            b0, b1, b2 = _simd.scaled(b0, v, y0), _simd.scaled(b1, v, y1), _simd.scaled(b2, v, y2)
            b3, b4, b5 = _simd.scaled(b3, v, y3), _simd.scaled(b4, v, y4), _simd.scaled(b5, v, y5)
            v = x[source + r]
            c0, c1, c2 = _simd.scaled(c0, v, y0), _simd.scaled(c1, v, y1), _simd.scaled(c2, v, y2)
            c3, c4, c5 = _simd.scaled(c3, v, y3), _simd.scaled(c4, v, y4), _simd.scaled(c5, v, y5)
            v = x[source + s]
            d0, d1, d2 = _simd.scaled(d0, v, y0), _simd.scaled(d1, v, y1), _simd.scaled(d2, v, y2)
            d3, d4, d5 = _simd.scaled(d3, v, y3), _simd.scaled(d4, v, y4), _simd.scaled(d5, v, y5)
            source += positions
        for k, lanes in enumerate((a0, a1, a2, a3, a4, a5)):
            _simd.store(out, p * DEGREE + 8 * k, lanes)
        for k, lanes in enumerate((b0, b1, b2, b3, b4, b5)):
            _simd.store(out, q * DEGREE + 8 * k, lanes)
        for k, lanes in enumerate((c0, c1, c2, c3, c4, c5)):
            _simd.store(out, r * DEGREE + 8 * k, lanes)
        for k, lanes in enumerate((d0, d1, d2, d3, d4, d5)):
            _simd.store(out, s * DEGREE + 8 * k, lanes)
