"""The prime field of p = 2^61 - 1: uint64 arrays of canonical values 0 <= x < p.

Inputs must be canonical unless said otherwise; results are. Elementwise functions take uint64 arrays of any shape, and
``out=``: a contiguous uint64 array of the result's shape, which may be one of the inputs. With a ghost among the
arguments nothing is computed and a ghost (or ``out``) returned. Wrong dtypes and shapes raise InternalError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels._jit import Kernel, Words, device, elementwise, flat_result, kernel, result
from quorate.kernels.ghost import is_ghost

__all__ = [
    "P",
    "add",
    "beaver",
    "decode_signed",
    "dot",
    "encode_signed",
    "from_random_words",
    "inverse",
    "linear_combination",
    "matmul",
    "mul",
    "neg",
    "polynomial_shares",
    "reduce",
    "scale",
    "sub",
    "weigh",
]

P = (1 << 61) - 1
"""The modulus."""

_P = np.uint64(P)
_BITS = np.uint64(61)
_ZERO = np.uint64(0)
_1, _3, _29, _30, _31, _32 = (np.uint64(n) for n in (1, 3, 29, 30, 31, 32))
_WORD29, _WORD30, _WORD31, _WORD32 = (np.uint64((1 << n) - 1) for n in (29, 30, 31, 32))
_STRETCH = 256
_TERMS = 3  # of a linear combination in one pass


def add(x: Words, y: Words, out: Words | None = None) -> Words:
    """x + y; shapes broadcast as in NumPy."""
    return _pairwise(_add, x, y, out)


def sub(x: Words, y: Words, out: Words | None = None) -> Words:
    """x - y; shapes broadcast as in NumPy."""
    return _pairwise(_sub, x, y, out)


def mul(x: Words, y: Words, out: Words | None = None) -> Words:
    """x * y; shapes broadcast as in NumPy."""
    return _pairwise(_mul, x, y, out)


def neg(x: Words, out: Words | None = None) -> Words:
    """-x."""
    return elementwise(_neg, out, x)


def scale(x: Words, c: int, out: Words | None = None) -> Words:
    """x * c for any Python integer c."""
    return elementwise(_scale, out, x, constants=(np.uint64(int(c) % P),))


def reduce(x: Words, out: Words | None = None) -> Words:
    """Any uint64 values modulo p."""
    return elementwise(_reduce, out, x)


def from_random_words(words: Words, out: Words | None = None) -> Words:
    """Field elements from uniform uint64 words: their low 61 bits, with p read as 0.

    The distance from uniform is below 2^-61 per element (0 is twice as likely as any other value).
    """
    return elementwise(_from_random_words, out, words)


def inverse(x: Words, out: Words | None = None) -> Words:
    """1 / x; 0 for x = 0."""
    return elementwise(_inverse, out, x)


def encode_signed(x: npt.NDArray[np.int64], out: Words | None = None) -> Words:
    """int64 values modulo p. ``decode_signed`` gives them back if their magnitude is below 2^60."""
    if x.dtype != np.int64:
        raise InternalError(f"encode_signed: dtype {x.dtype} is not int64")
    return elementwise(_encode_signed, out, x.view(np.uint64))


def decode_signed(x: Words, out: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
    """int64 values of magnitude below 2^60: field values above p/2 are negative."""
    words = elementwise(_decode_signed, None if out is None else out.view(np.uint64), x)
    return words.view(np.int64) if out is None else out


def linear_combination(coefficients: Sequence[int] | Words, xs: Sequence[Words], out: Words | None = None) -> Words:
    """The sum of c_i * x_i over arrays x_i of one shape, with at least one term and any integers c_i."""
    if len(coefficients) != len(xs) or len(xs) == 0:
        raise InternalError(f"linear combination of {len(xs)} arrays with {len(coefficients)} coefficients")
    factors = np.array([int(c) % P for c in coefficients] + [0] * (-len(xs) % _TERMS), np.uint64)
    terms = [*xs, *[xs[0]] * (len(factors) - len(xs))]
    if is_ghost(out, *xs):
        return elementwise(_three_terms, out, *xs)
    if len(terms) > _TERMS and out is not None and any(np.may_share_memory(out, x) for x in xs):
        out[...] = linear_combination(coefficients, xs)  # a later pass would read what an earlier one wrote
        return out
    for i in range(0, len(terms), _TERMS):
        constants = (factors[i : i + _TERMS], i > 0)
        out = elementwise(_three_terms, out, *terms[i : i + _TERMS], constants=constants)
    return cast(Words, out)


def beaver(d: Words, e: Words, a: Words, b: Words, c: Words, whole: Words) -> Words:
    """c + d * b + e * a + d * e * whole, elementwise for one shape; `whole` of shape ()."""
    if is_ghost(d, e, a, b, c):
        return result(None, d.shape, np.uint64)
    return elementwise(_beaver, None, d, e, a, b, c, constants=(np.uint64(whole),))


def weigh(x: Words, y: Words) -> Words:
    """The sum of x[i] * y[i] over flat arrays: of shape ()."""
    return dot(x.reshape(1, -1), y.reshape(1, -1)).reshape(())


def polynomial_shares(coefficients: Words, points: Words, out: Words | None = None) -> Words:
    """n polynomials at m points: coefficients (t+1, n), constant terms first, and points (m,) give (m, n)."""
    if coefficients.ndim != 2 or points.ndim != 1 or len(coefficients) == 0:
        raise InternalError(f"polynomials of shape {coefficients.shape} at points of shape {points.shape}")
    shape = (points.shape[0], coefficients.shape[1])
    if is_ghost(coefficients, points, out):
        return result(out, shape, np.uint64)
    if out is None:
        out = np.empty(shape, np.uint64)
    _polynomial_shares(flat_result(_polynomial_shares, out, shape), np.ascontiguousarray(coefficients), points)
    return out


def dot(x: Words, y: Words, out: Words | None = None) -> Words:
    """Inner products of the rows of two (rows, k) arrays: (rows,)."""
    if x.ndim != 2 or x.shape != y.shape:
        raise InternalError(f"row-wise dot product of shapes {x.shape} and {y.shape}")
    if is_ghost(x, y, out):
        return result(out, x.shape[:1], np.uint64)
    if out is None:
        out = np.empty(x.shape[0], np.uint64)
    _dot(flat_result(_dot, out, x.shape[:1]), np.ascontiguousarray(x), np.ascontiguousarray(y))
    return out


def matmul(a: Words, b: Words, out: Words | None = None) -> Words:
    """The matrix product of (m, k) and (k, n): (m, n). ``out`` must not overlap ``a`` or ``b``."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise InternalError(f"matrix product of shapes {a.shape} and {b.shape}: the inner sizes differ")
    shape = (a.shape[0], b.shape[1])
    if is_ghost(a, b, out):
        return result(out, shape, np.uint64)
    if out is None:
        out = np.empty(shape, np.uint64)
    elif np.may_share_memory(out, a) or np.may_share_memory(out, b):
        raise InternalError("matrix product: out overlaps an operand")
    flat = flat_result(_matmul, out, shape)
    flat[:] = 0
    _matmul(flat, np.ascontiguousarray(a), np.ascontiguousarray(b))
    return out


def _pairwise(loop: Kernel[..., Any], x: Words, y: Words, out: Words | None) -> Words:
    if x.shape != y.shape:
        try:
            shape = np.broadcast_shapes(x.shape, y.shape)
        except ValueError as error:
            raise InternalError(f"field {loop.__name__}: shapes {x.shape} and {y.shape} do not fit") from error
        x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
    return elementwise(loop, out, x, y)


@device
def canonical(x: Any) -> Any:
    """x - p if x >= p, for x < 2p (as the smaller of two unsigned numbers, which vectorises)."""
    return min(x, x - _P)


@device
def partly(x: Any) -> Any:
    """Any uint64 to a congruent value below 2^61 + 8."""
    return (x & _P) + (x >> _BITS)


@device
def remainder(x: Any) -> Any:
    """Any uint64 modulo p."""
    return canonical(partly(x))


@device
def near_product(x: Any, y: Any) -> Any:
    """A value below 2^61 + 8 that is congruent to x * y, for x, y < 2^61 + 8.

    From products of 32-bit halves, because vector units have no 64 x 64 -> 128 bit product: 2^64 = 8 modulo p, and
    2^32 times the middle part m is (m >> 29) + 2^32 * (m mod 2^29).
    """
    x0, x1, y0, y1 = x & _WORD32, x >> _32, y & _WORD32, y >> _32
    low, middle = x0 * y0, x0 * y1 + x1 * y0
    return partly(((x1 * y1) << _3) + (middle >> _29) + ((middle & _WORD29) << _32) + partly(low))


@device
def product(x: Any, y: Any) -> Any:
    """x * y mod p, for x, y < 2^61 + 8."""
    return canonical(near_product(x, y))


@kernel(dtype=np.uint64)
def _add(out: Words, x: Words, y: Words) -> None:
    for i in range(out.size):
        out[i] = canonical(x[i] + y[i])


@kernel(dtype=np.uint64)
def _sub(out: Words, x: Words, y: Words) -> None:
    for i in range(out.size):
        out[i] = canonical(x[i] + (_P - y[i]))


@kernel(dtype=np.uint64)
def _mul(out: Words, x: Words, y: Words) -> None:
    for i in range(out.size):
        out[i] = product(x[i], y[i])


@kernel(dtype=np.uint64)
def _beaver(out: Words, d: Words, e: Words, a: Words, b: Words, c: Words, whole: Any) -> None:
    for i in range(out.size):
        both = near_product(near_product(d[i], e[i]), whole)
        out[i] = remainder(near_product(d[i], b[i]) + near_product(e[i], a[i]) + both + c[i])


@kernel(dtype=np.uint64)
def _scale(out: Words, x: Words, c: Any) -> None:
    for i in range(out.size):
        out[i] = product(x[i], c)


@kernel(dtype=np.uint64)
def _neg(out: Words, x: Words) -> None:
    for i in range(out.size):
        out[i] = canonical(_P - x[i])


@kernel(dtype=np.uint64)
def _reduce(out: Words, x: Words) -> None:
    for i in range(out.size):
        out[i] = remainder(x[i])


@kernel(dtype=np.uint64)
def _from_random_words(out: Words, x: Words) -> None:
    for i in range(out.size):
        out[i] = canonical(x[i] & _P)


@device
def _squared(x: Any, times: int) -> Any:
    for _ in range(times):
        x = product(x, x)
    return x


@kernel(dtype=np.uint64)
def _inverse(out: Words, x: Words) -> None:
    """x^(p-2) by Fermat; e_k stands for x^(2^k - 1), and p - 2 = 4 * (2^59 - 1) + 1."""
    for i in range(out.size):
        e1 = x[i]
        e2 = product(_squared(e1, 1), e1)
        e4 = product(_squared(e2, 2), e2)
        e8 = product(_squared(e4, 4), e4)
        e16 = product(_squared(e8, 8), e8)
        e32 = product(_squared(e16, 16), e16)
        e48 = product(_squared(e32, 16), e16)
        e56 = product(_squared(e48, 8), e8)
        e58 = product(_squared(e56, 2), e2)
        e59 = product(_squared(e58, 1), e1)
        out[i] = product(_squared(e59, 2), e1)


@kernel(dtype=np.uint64)
def _encode_signed(out: Words, x: Words) -> None:
    top = np.uint64(1 << 63)
    for i in range(out.size):
        magnitude = remainder(_ZERO - x[i] if x[i] & top else x[i])
        out[i] = canonical(_P - magnitude) if x[i] & top else magnitude


@kernel(dtype=np.uint64)
def _decode_signed(out: Words, x: Words) -> None:
    half = _P >> _1
    for i in range(out.size):
        out[i] = x[i] - _P if x[i] > half else x[i]


@kernel(dtype=np.uint64)
def _three_terms(out: Words, x: Words, y: Words, z: Words, c: Words, accumulate: bool) -> None:
    c0, c1, c2 = c[0], c[1], c[2]
    keep = _P * np.uint64(accumulate)  # out is below 2^61: a mask of no bits forgets it
    for i in range(out.size):
        terms = near_product(c0, x[i]) + near_product(c1, y[i]) + near_product(c2, z[i])
        out[i] = remainder(terms + (out[i] & keep))


@device
def _horner_step(values: Words, point: Any, terms: Words) -> None:
    for i in range(values.size):
        values[i] = remainder(near_product(values[i], point) + terms[i])


@kernel(dtype=np.uint64)
def _polynomial_shares(out: Words, coefficients: Words, points: Words) -> None:
    degree, n = coefficients.shape[0] - 1, coefficients.shape[1]
    for j in range(points.size):
        values = out[j * n : j * n + n]
        values[:] = coefficients[degree]
        for q in range(degree):
            _horner_step(values, points[j], coefficients[degree - 1 - q])


@kernel(dtype=np.uint64)
def _dot(out: Words, x: Words, y: Words) -> None:
    """Sums of the two halves of the products stay below 2^64 for rows of up to 2^32 elements."""
    for i in range(x.shape[0]):
        low = high = _ZERO
        for j in range(x.shape[1]):
            value = near_product(x[i, j], y[i, j])
            low += value & _WORD32
            high += value >> _32
        out[i] = remainder(product(remainder(high), np.uint64(1 << 32)) + remainder(low))


@kernel(dtype=np.uint64)
def _matmul(out: Words, a: Words, b: Words) -> None:
    """Four rows of b, a stretch of 256 columns (16 KiB in halves), at a time: added to that stretch of all rows of out.

    With halves of 31 and 30 bits four products fit into one sum of 64 bits, so that only the sums are reduced.
    """
    m, k = a.shape
    n = b.shape[1]
    low = np.zeros((4, _STRETCH), np.uint64)
    high = np.zeros((4, _STRETCH), np.uint64)
    for q in range(0, k, 4):
        for j in range(0, n, _STRETCH):
            width = min(_STRETCH, n - j)
            for r in range(4):
                _halve(low[r], high[r], b, min(q + r, k - 1), j, width)
            for i in range(m):
                target = out[i * n + j : i * n + j + width]
                _add_four(target, _line(a, i, q), low, high)
    for i in range(out.size):
        out[i] = remainder(out[i])


@device
def _halve(low: Words, high: Words, b: Words, q: int, j: int, width: int) -> None:
    for c in range(width):
        low[c], high[c] = b[q, j + c] & _WORD31, b[q, j + c] >> _31


@device
def _line(a: Words, i: int, q: int) -> Any:
    """Elements q..q+3 of row i, 0 behind its end."""
    k = a.shape[1]
    return (
        a[i, q],
        a[i, q + 1] if q + 1 < k else _ZERO,
        a[i, q + 2] if q + 2 < k else _ZERO,
        a[i, q + 3] if q + 3 < k else _ZERO,
    )


@device
def _add_four(target: Words, line: Any, low: Words, high: Words) -> None:
    """target += line[0] * row 0 + ... + line[3] * row 3; values of target stay below 2^61 + 8."""
    s0, s1, s2, s3 = line[0] & _WORD31, line[1] & _WORD31, line[2] & _WORD31, line[3] & _WORD31
    t0, t1, t2, t3 = line[0] >> _31, line[1] >> _31, line[2] >> _31, line[3] >> _31
    for c in range(target.size):
        u0, u1, u2, u3 = low[0, c], low[1, c], low[2, c], low[3, c]
        v0, v1, v2, v3 = high[0, c], high[1, c], high[2, c], high[3, c]
        bottom = s0 * u0 + s1 * u1 + s2 * u2 + s3 * u3
        middle = s0 * v0 + t0 * u0 + s1 * v1 + t1 * u1 + s2 * v2 + t2 * u2 + s3 * v3 + t3 * u3
        top = t0 * v0 + t1 * v1 + t2 * v2 + t3 * v3  # of weight 2^62 = 2
        rest = partly((top << _1) + (middle >> _30)) + ((middle & _WORD30) << _31)
        target[c] = partly(target[c] + partly(bottom) + rest)
