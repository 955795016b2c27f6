"""The ring of integers modulo 2^64: uint64 arrays whose arithmetic wraps around.

Elementwise functions take contiguous or strided uint64 arrays of any shape, and ``out=``: a contiguous uint64 array of
the result's shape, which may be one of the inputs. With a ghost among the arguments nothing is computed and a ghost (or
``out``) returned. Wrong dtypes and shapes raise InternalError.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels import _simd
from quorate.kernels._jit import Array, Words, device, elementwise, flat_result, kernel, result
from quorate.kernels.ghost import ghost, is_ghost

__all__ = [
    "add",
    "arith_shift",
    "beaver",
    "dot",
    "injected_half",
    "matmul",
    "mul",
    "neg",
    "replicated_dot",
    "replicated_matmul",
    "replicated_product",
    "scale",
    "sub",
    "truncate_public",
    "weighted_halves",
]

_DEPTH, _BREADTH = 256, 256  # a packed panel of b is 512 KiB, half of a common L2 cache
_ROWS, _COLUMNS = 4, 2 * _simd.WIDTH  # of the part of the result that is kept in registers


def add(x: Words, y: Words, out: Words | None = None) -> Words:
    """x + y; shapes broadcast as in NumPy."""
    return _ufunc(np.add, out, x, y)


def sub(x: Words, y: Words, out: Words | None = None) -> Words:
    """x - y; shapes broadcast as in NumPy."""
    return _ufunc(np.subtract, out, x, y)


def mul(x: Words, y: Words, out: Words | None = None) -> Words:
    """x * y; shapes broadcast as in NumPy."""
    return _ufunc(np.multiply, out, x, y)


def neg(x: Words, out: Words | None = None) -> Words:
    """-x."""
    return _ufunc(np.negative, out, x)


def scale(x: Words, c: int, out: Words | None = None) -> Words:
    """x * c for any Python integer c."""
    return _ufunc(np.multiply, out, x, np.uint64(int(c) & 0xFFFFFFFFFFFFFFFF))


def truncate_public(x: Words, f: int, out: Words | None = None) -> Words:
    """x >> f without sign, 0 <= f < 64."""
    return _ufunc(np.right_shift, out, x, np.uint64(_shift(f)))


def arith_shift(x: Words, f: int, out: Words | None = None) -> Words:
    """x >> f of x read as a signed 64-bit integer (rounds down), 0 <= f < 64."""
    signed = None if out is None else out.view(np.int64)
    shifted = np.right_shift(x.view(np.int64), np.int64(_shift(f)), out=signed)
    return np.array(shifted, copy=None, subok=True).view(np.uint64) if out is None else out


def replicated_product(
    xa: Words, xb: Words, ya: Words, yb: Words, r0: Words, r1: Words, out: Words | None = None
) -> Words:
    """xa*ya + xa*yb + xb*ya + r0 - r1: one party's part of a replicated product with zero-sharing masks r0, r1.

    All arrays have one shape; nothing broadcasts.
    """
    return elementwise(_replicated_product, out, xa, xb, ya, yb, r0, r1)


def beaver(c: Words, d: Words, e: Words, a: Words, b: Words, whole: bool, out: Words | None = None) -> Words:
    """c + d*b + a*e, and with `whole` also + d*e: one party's part of a product with opened d, e and tuple a, b, c.

    All arrays have one shape; nothing broadcasts.
    """
    return elementwise(_beaver, out, c, d, e, a, b, constants=(np.uint64(0xFFFFFFFFFFFFFFFF if whole else 0),))


def dot(x: Words, y: Words, out: Words | None = None) -> Words:
    """Inner products of the rows of two (rows, k) arrays: (rows,)."""
    return _rowwise(_dot, out, x, y)


def replicated_dot(xa: Words, xb: Words, ya: Words, yb: Words, out: Words | None = None) -> Words:
    """Row sums of xa*ya + xa*yb + xb*ya for (rows, k) arrays: (rows,). The caller adds the masks."""
    return _rowwise(_replicated_dot, out, xa, xb, ya, yb)


def matmul(a: Words, b: Words, out: Words | None = None, accumulate: bool = False) -> Words:
    """The matrix product of (m, k) and (k, n): (m, n); with ``accumulate`` it is added to ``out``.

    ``out`` must not overlap ``a`` or ``b``.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise InternalError(f"matrix product of shapes {a.shape} and {b.shape}: the inner sizes differ")
    if accumulate and out is None:
        raise InternalError("matrix product: accumulate needs out, to which the product is added")
    shape = (a.shape[0], b.shape[1])
    if is_ghost(a, b, out):
        return result(out, shape, np.uint64)
    if out is None:
        out = np.zeros(shape, np.uint64)
    elif np.may_share_memory(out, a) or np.may_share_memory(out, b):
        raise InternalError("matrix product: out overlaps an operand")
    elif not accumulate:
        out[...] = 0
    flat = flat_result(_matmul_blocked, out, shape)
    product = _matmul_columns if shape[1] < 4 else _matmul_rows if shape[0] < _ROWS else _matmul_blocked
    product(flat, a.ravel(), (b.T if product is _matmul_columns else b).ravel(), shape[0], a.shape[1], shape[1])
    return out


def replicated_matmul(xa: Words, xb: Words, ya: Words, yb: Words) -> Words:
    """xa @ ya + xa @ yb + xb @ ya for (m, k) and (k, n) arrays: (m, n). The caller adds the masks.

    Parts of the smaller operand are added first: the larger one may take most of the memory.
    """
    if xa.size < ya.size:
        z = matmul(xa + xb, ya)
        return matmul(xa, yb, out=z, accumulate=True)
    z = matmul(xa, ya + yb)
    return matmul(xb, ya, out=z, accumulate=True)


def weighted_halves(part: Words, bit: Array, weights: Words, whole: bool) -> Words:
    """Rows j: sum over k of weights[j, k] * (part[k] * (1 - 2 bit[k]) + bit[k] if `whole`), for (k, ...) arrays.

    `part` uint64, `bit` uint8 0 or 1 of the same shape, `weights` (m, k): (m, ...).
    """
    if part.shape != bit.shape or weights.ndim != 2 or weights.shape[1] != part.shape[0]:
        raise InternalError(f"weighted sums of shapes {part.shape}, {bit.shape} and {weights.shape}")
    shape = (weights.shape[0], *part.shape[1:])
    if is_ghost(part, bit):
        return ghost(shape, np.uint64)
    out = np.zeros(shape, np.uint64)
    terms = part.shape[0]
    _weighted_halves(
        out.reshape(shape[0], -1), part.reshape(terms, -1), bit.reshape(terms, -1), weights, np.uint64(whole)
    )
    return out


def injected_half(bit: Array, product: Words, factor: Words, x: Words, rest: Words) -> Words:
    """(1 - 2 bit) * (product + factor * x) + bit * rest, elementwise; `bit` uint8 0 or 1, the others uint64."""
    arrays = (bit, product, factor, x, rest)
    if any(array.shape != x.shape for array in arrays):
        raise InternalError(f"injected_half: shapes {[array.shape for array in arrays]} differ")
    if is_ghost(*arrays):
        return ghost(x.shape, np.uint64)
    out = np.empty(x.shape, np.uint64)
    _injected_half(out.reshape(-1), *(array.reshape(-1) for array in arrays))
    return out


def _ufunc(ufunc: np.ufunc, out: Words | None, *operands: Any) -> Words:
    try:
        value = ufunc(*operands, out=out, dtype=np.uint64, casting="no")
    except (TypeError, ValueError) as error:
        raise InternalError(f"ring {ufunc.__name__}: operands must be uint64 of fitting shapes: {error}") from error
    return value if isinstance(value, np.ndarray) else np.array(value)


def _shift(f: int) -> int:
    if not 0 <= f < 64:
        raise InternalError(f"a shift by {f} bits is not within 0..63")
    return f


def _rowwise(loop: Any, out: Words | None, *arrays: Words) -> Words:
    shape = arrays[0].shape
    if len(shape) != 2 or any(x.shape != shape for x in arrays):
        raise InternalError(f"{loop.__name__}: needs 2-D arrays of one shape, got {[x.shape for x in arrays]}")
    if is_ghost(out, *arrays):
        return result(out, shape[:1], np.uint64)
    if out is None:
        out = np.empty(shape[0], np.uint64)
    loop(flat_result(loop, out, shape[:1]), *map(np.ascontiguousarray, arrays))
    return out


@kernel(dtype=np.uint64)
def _replicated_product(out: Words, xa: Words, xb: Words, ya: Words, yb: Words, r0: Words, r1: Words) -> None:
    n = out.size
    whole = n - n % _simd.WIDTH
    for i in range(0, whole, _simd.WIDTH):
        a, c = _simd.load(xa, i), _simd.load(ya, i)
        left = _simd.mul(a, _simd.add(c, _simd.load(yb, i)))
        mask = _simd.sub(_simd.load(r0, i), _simd.load(r1, i))
        _simd.store(out, i, _simd.add(_simd.add(left, _simd.mul(_simd.load(xb, i), c)), mask))
    for i in range(whole, n):
        out[i] = xa[i] * (ya[i] + yb[i]) + xb[i] * ya[i] + r0[i] - r1[i]


@kernel(dtype=np.uint64)
def _beaver(out: Words, c: Words, d: Words, e: Words, a: Words, b: Words, whole: Any) -> None:
    n = out.size
    end, mask = n - n % _simd.WIDTH, _simd.splat(whole)
    for i in range(0, end, _simd.WIDTH):
        left, right = _simd.load(d, i), _simd.load(e, i)
        both = _simd.mul(left, _simd.add(_simd.load(b, i), _simd.bit_and(right, mask)))
        _simd.store(out, i, _simd.add(_simd.add(_simd.load(c, i), both), _simd.mul(_simd.load(a, i), right)))
    for i in range(end, n):
        out[i] = c[i] + d[i] * (b[i] + (e[i] & whole)) + a[i] * e[i]


@kernel
def _weighted_halves(out: Words, part: Words, bit: Array, weights: Words, whole: Any) -> None:
    for j in range(out.shape[0]):
        for k in range(part.shape[0]):
            weight = weights[j, k]
            for i in range(out.shape[1]):
                b = np.uint64(bit[k, i])
                out[j, i] += weight * (part[k, i] * (np.uint64(1) - b - b) + (b & whole))


@kernel
def _injected_half(out: Words, bit: Array, product: Words, factor: Words, x: Words, rest: Words) -> None:
    for i in range(out.size):
        b = np.uint64(bit[i])
        out[i] = (product[i] + factor[i] * x[i]) * (np.uint64(1) - b - b) + rest[i] * b


@kernel(dtype=np.uint64)
def _dot(out: Words, x: Words, y: Words) -> None:
    for i in range(x.shape[0]):
        total = np.uint64(0)
        for j in range(x.shape[1]):
            total += x[i, j] * y[i, j]
        out[i] = total


@kernel(dtype=np.uint64)
def _replicated_dot(out: Words, xa: Words, xb: Words, ya: Words, yb: Words) -> None:
    for i in range(xa.shape[0]):
        total = np.uint64(0)
        for j in range(xa.shape[1]):
            total += xa[i, j] * (ya[i, j] + yb[i, j]) + xb[i, j] * ya[i, j]
        out[i] = total


@device
def _pack(panel: Words, b: Words, k0: int, depth: int, n0: int, breadth: int, n: int) -> None:
    """Columns n0.. of rows k0.. of b in groups of 16 columns, each group row after row."""
    for j in range(0, breadth, _COLUMNS):
        columns = min(_COLUMNS, breadth - j)
        for q in range(depth):
            at, source = (j * depth) + q * _COLUMNS, (k0 + q) * n + n0 + j
            if columns == _COLUMNS:
                _simd.store(panel, at, _simd.load(b, source))
                _simd.store(panel, at + _simd.WIDTH, _simd.load(b, source + _simd.WIDTH))
            else:
                for c in range(_COLUMNS):
                    panel[at + c] = b[source + c] if c < columns else np.uint64(0)


@device
def _tile(tile: Words, lines: Words, panel: Words, start: int, depth: int) -> None:
    """tile = 4 lines of length depth times one group of 16 packed columns."""
    a0 = a1 = b0 = b1 = c0 = c1 = d0 = d1 = _simd.zero()
    for q in range(depth):
        left = _simd.load(panel, start + q * _COLUMNS)
        right = _simd.load(panel, start + q * _COLUMNS + _simd.WIDTH)
        a0, a1 = _simd.scaled(a0, lines[q], left), _simd.scaled(a1, lines[q], right)
        b0, b1 = _simd.scaled(b0, lines[depth + q], left), _simd.scaled(b1, lines[depth + q], right)
        c0, c1 = _simd.scaled(c0, lines[2 * depth + q], left), _simd.scaled(c1, lines[2 * depth + q], right)
        d0, d1 = _simd.scaled(d0, lines[3 * depth + q], left), _simd.scaled(d1, lines[3 * depth + q], right)
    for r, (left, right) in enumerate(((a0, a1), (b0, b1), (c0, c1), (d0, d1))):
        _simd.store(tile, r * _COLUMNS, left)
        _simd.store(tile, r * _COLUMNS + _simd.WIDTH, right)


@kernel(dtype=np.uint64)
def _matmul_columns(out: Words, a: Words, b: Words, m: int, k: int, n: int) -> None:
    """Few columns: inner products with the rows of b transposed."""
    for i in range(m):
        for j in range(n):
            total = np.uint64(0)
            for q in range(k):
                total += a[i * k + q] * b[j * k + q]
            out[i * n + j] += total


@kernel(dtype=np.uint64)
def _matmul_rows(out: Words, a: Words, b: Words, m: int, k: int, n: int) -> None:
    """Few rows: multiples of the rows of b, without the cost of packing b."""
    for j0 in range(0, n, 1024):  # a stretch of the result that stays in L1
        width = min(1024, n - j0)
        for i in range(m):
            target = out[i * n + j0 : i * n + j0 + width]
            for q in range(k):
                factor = a[i * k + q]
                row = b[q * n + j0 : q * n + j0 + width]
                for j in range(width):
                    target[j] += factor * row[j]


@device
def _add_tile(out: Words, tile: Words, start: int, n: int, rows: int, columns: int) -> None:
    for r in range(rows):
        at = start + r * n
        if columns == _COLUMNS:
            for c in range(0, _COLUMNS, _simd.WIDTH):
                part = _simd.load(tile, r * _COLUMNS + c)
                _simd.store(out, at + c, _simd.add(_simd.load(out, at + c), part))
        else:
            for c in range(columns):
                out[at + c] += tile[r * _COLUMNS + c]


@kernel(dtype=np.uint64)
def _matmul_blocked(out: Words, a: Words, b: Words, m: int, k: int, n: int) -> None:
    """Tiles of 4 x 16 sums in registers over panels of b packed in the order of use and padded with zero columns."""
    panel = np.empty(_DEPTH * _BREADTH, np.uint64)
    tile = np.empty(_ROWS * _COLUMNS, np.uint64)
    lines = np.zeros(_ROWS * _DEPTH, np.uint64)
    for k0 in range(0, k, _DEPTH):
        depth = min(_DEPTH, k - k0)
        for n0 in range(0, n, _BREADTH):
            breadth = min(_BREADTH, n - n0)
            _pack(panel, b, k0, depth, n0, breadth, n)
            for i in range(0, m, _ROWS):
                rows = min(_ROWS, m - i)
                for r in range(rows):
                    for q in range(depth):
                        lines[r * depth + q] = a[(i + r) * k + k0 + q]
                for j in range(0, breadth, _COLUMNS):
                    _tile(tile, lines, panel, j * depth, depth)
                    _add_tile(out, tile, i * n + n0 + j, n, rows, min(_COLUMNS, breadth - j))
