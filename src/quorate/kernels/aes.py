"""AES in bit planes: everything between two rounds of communication, on one part of an exclusive-or sharing.

Layout: a state is an array of bytes (8, 16, w): bit i of byte j of block b is bit b % 8 of [i, j, b // 8], where w is
ceil(n / 8) for n blocks. Byte j stands in row j % 4 and column j // 4, as in FIPS 197.

Bytes are kept in another basis than that of FIPS 197, in which an inverse takes few products and MixColumns few
exclusive ors. GF(4) has w**2 = w + 1; GF(16) over it z**2 = z + w; GF(256) over that y**2 = y + z w**2 + w. Element
(a1, a0) of a field is a1 times the root plus a0; bit planes go from a0 to a1. `TO_TOWER` and `FROM_TOWER` translate.
Source: Satoh, Morioka, Takano, Munetoh, "A Compact Rijndael Hardware Architecture with S-Box Optimization", ASIACRYPT
2001; the roots were chosen by search, and lines of exclusive ors by Paar's greedy method ("Optimized Arithmetic for
Reed-Solomon Encoders", ISIT 1997).

The inverse of (a1, a0), in four products that each need communication:
    n = a1 a0 + square parts       `product16`, `norm16`
    m = n1 n0 + square parts       `product4`, `norm4` (which inverts it as well: a square in GF(4))
    (n1, n0) / m                   `scale4`
    (a1, a0) / n                   `scale16`
Each product is linear over exclusive or in both arguments. All arrays are contiguous uint8; with a ghost among the
arguments a ghost comes back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels import _simd
from quorate.kernels._jit import Kernel, device, kernel
from quorate.kernels.ghost import contiguous, ghost, is_ghost

__all__ = [
    "AFFINE",
    "FROM_TOWER",
    "TO_TOWER",
    "from_planes",
    "last_layer",
    "matrix",
    "mix_layer",
    "norm4",
    "norm16",
    "product4",
    "product16",
    "scale4",
    "scale16",
    "to_planes",
]

Bytes = npt.NDArray[np.uint8]

STRIPE = 8 * _simd.WIDTH
"""Bytes that are worked on at once."""

WORD = 8
"""Bytes of a plane that hold a bit of each of `STRIPE` blocks."""

BASIS = (0x01, 0xBC, 0x5C, 0xB0, 0xA2, 0xBA, 0x02, 0x63)
"""What the bits of a byte in the tower basis stand for, in the basis of FIPS 197."""


def _table(basis: tuple[int, ...]) -> Bytes:
    table = np.zeros(256, np.uint8)
    for bit, value in enumerate(basis):
        table[np.arange(256) >> bit & 1 == 1] ^= np.uint8(value)
    return table


FROM_TOWER: Bytes = _table(BASIS)
TO_TOWER: Bytes = np.argsort(FROM_TOWER).astype(np.uint8)
AFFINE = int(TO_TOWER[0x63])
"""The constant of the S-box, which `mix_layer` and `last_layer` leave out."""


def _matrix_rows() -> list[list[int]]:
    """Which bits make up each bit of the matrix of the S-box (FIPS 197, 5.1.1), in the tower basis."""
    turns = (0, 4, 5, 6, 7)
    columns = []
    for bit in range(8):
        x = int(FROM_TOWER[1 << bit])
        turned = sum((sum(x >> (i + turn) % 8 & 1 for turn in turns) & 1) << i for i in range(8))
        columns.append(int(TO_TOWER[turned]))
    return [[bit for bit in range(8) if columns[bit] >> row & 1] for row in range(8)]


_MATRIX_ROWS = _matrix_rows()


# -- between bytes and planes ------------------------------------------------------------------------------------------


def to_planes(blocks: Bytes) -> Bytes:
    """The state of blocks (n, 16), in the tower basis: (8, 16, w)."""
    shape = (8, 16, -(-blocks.shape[0] // 8))
    if is_ghost(blocks):
        return ghost(shape, np.uint8)
    _require(blocks, (blocks.shape[0], 16))
    if not blocks.size:
        return np.zeros(shape, np.uint8)
    out = np.empty((8, 16, max(shape[2], WORD)), np.uint8)
    _to_planes(out, contiguous(blocks))
    return _cut(out, shape[2])


def from_planes(state: Bytes, count: int) -> Bytes:
    """The inverse of `to_planes` for `count` blocks: (count, 16)."""
    if is_ghost(state):
        return ghost((count, 16), np.uint8)
    _require(state, (8, 16, -(-count // 8)))
    out = np.empty((count, 16), np.uint8)
    if count:
        _from_planes(out, _padded(state, WORD))
    return out


# -- products ----------------------------------------------------------------------------------------------------------


def product16(a: Bytes, b: Bytes) -> Bytes:
    """a b in GF(16): (4, ...) by (4, ...) to (4, ...)."""
    return _planewise(_product16, 4, a, b)


def product4(a: Bytes, b: Bytes) -> Bytes:
    """a b in GF(4): (2, ...) by (2, ...) to (2, ...)."""
    return _planewise(_product4, 2, a, b)


def scale4(n: Bytes, m: Bytes) -> Bytes:
    """(n0 + n1) m and n1 m, the conjugate of n times m: (4, ...) by (2, ...) to (4, ...)."""
    return _planewise(_scale4, 4, n, m)


def scale16(a: Bytes, n: Bytes) -> Bytes:
    """(a0 + a1) n and a1 n, the conjugate of a times n: (8, ...) by (4, ...) to (8, ...)."""
    return _planewise(_scale16, 8, a, n)


def norm16(a: Bytes, z: Bytes) -> Bytes:
    """n of a state a, from z = a1 a0: (8, ...) and (4, ...) to (4, ...)."""
    return _planewise(_norm16, 4, a, z)


def norm4(n: Bytes, z: Bytes) -> Bytes:
    """The inverse of the norm of n, from z = n1 n0: (4, ...) and (2, ...) to (2, ...)."""
    return _planewise(_norm4, 2, n, z)


# -- linear layers -----------------------------------------------------------------------------------------------------


def mix_layer(x: Bytes, key: Bytes) -> Bytes:
    """From the inverses of a round's bytes to its result: the S-box's matrix, ShiftRows, MixColumns, AddRoundKey.

    Args:
        x: (8, 16, w).
        key: the round's key plus `AFFINE`, in the tower basis, every bit as a whole byte of it: (8, 16).
    """
    return _layer(_mix_layer, x, key)


def last_layer(x: Bytes, key: Bytes) -> Bytes:
    """The same for the last round, which has no MixColumns."""
    return _layer(_last_layer, x, key)


def matrix(x: Bytes) -> Bytes:
    """The matrix of the S-box times every byte, for the few bytes of a key: (8, ...) to (8, ...)."""
    return np.stack([np.bitwise_xor.reduce(x[row], axis=0) for row in _MATRIX_ROWS])


def _layer(loop: Kernel[..., None], x: Bytes, key: Bytes) -> Bytes:
    if is_ghost(x, key):
        return ghost(x.shape, np.uint8)
    _require(x, (8, 16, x.shape[-1]))
    _require(key, (8, 16))
    width = x.shape[-1]
    wide = _padded(x)
    out = np.empty_like(wide)
    loop(out, wide, np.repeat(key.reshape(-1), STRIPE))
    return _cut(out, width)


def _planewise(loop: Kernel[..., None], planes: int, *operands: Bytes) -> Bytes:
    """Run a loop over arrays of planes."""
    rest = operands[0].shape[1:]
    shape = (planes, *rest)
    if is_ghost(*operands):
        return ghost(shape, np.uint8)
    for x in operands:
        _require(x, (x.shape[0], *rest))
    flat = [x.reshape(x.shape[0], -1) for x in operands]
    out = np.empty((planes, max(flat[0].shape[1], STRIPE)), np.uint8)
    if flat[0].size:
        loop(out, *(_padded(x) for x in flat))
    return _cut(out, flat[0].shape[1]).reshape(shape)


def _padded(x: Bytes, least: int = STRIPE) -> Bytes:
    """At least a stripe long, since loops go in whole stripes, the last of which may overlap the one before."""
    if x.shape[-1] >= least:
        return contiguous(x)  # type: ignore[no-any-return]
    longer = np.zeros((*x.shape[:-1], least), np.uint8)
    longer[..., : x.shape[-1]] = x
    return longer


def _cut(x: Bytes, width: int) -> Bytes:
    return x if x.shape[-1] == width else x[..., :width].copy()


def _require(x: Bytes, shape: tuple[int, ...]) -> None:
    if x.dtype != np.uint8 or x.shape != shape:
        raise InternalError(f"AES planes: needs uint8 {shape}, got {x.dtype} {x.shape}")


# -- loops -------------------------------------------------------------------------------------------------------------

Lanes = Any


@device
def _get(x: Bytes, plane: int, i: int) -> Lanes:
    return _simd.load(x, plane * x.shape[1] + i)


@device
def _put(out: Bytes, plane: int, i: int, value: Lanes) -> None:
    _simd.store(out, plane * out.shape[1] + i, value)


@device
def _start(stripe: int, width: int) -> int:
    """Where a stripe begins; the last one ends at the end."""
    return min(stripe * STRIPE, width - STRIPE)


@device
def _times4(a1: Lanes, a0: Lanes, b1: Lanes, b0: Lanes) -> tuple[Lanes, Lanes]:
    """(high, low) of a product in GF(4), by Karatsuba's method."""
    high, low = _simd.bit_and(a1, b1), _simd.bit_and(a0, b0)
    both = _simd.bit_and(_simd.bit_xor(a1, a0), _simd.bit_xor(b1, b0))
    return _simd.bit_xor(both, low), _simd.bit_xor(high, low)


@device
def _times16(
    a3: Lanes, a2: Lanes, a1: Lanes, a0: Lanes, b3: Lanes, b2: Lanes, b1: Lanes, b0: Lanes
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """A product in GF(16), bits from high to low; w times (p1, p0) is (p1 + p0, p1)."""
    p1, p0 = _times4(a3, a2, b3, b2)
    q1, q0 = _times4(a1, a0, b1, b0)
    r1, r0 = _times4(_simd.bit_xor(a3, a1), _simd.bit_xor(a2, a0), _simd.bit_xor(b3, b1), _simd.bit_xor(b2, b0))
    low1, low0 = _simd.bit_xor(q1, _simd.bit_xor(p1, p0)), _simd.bit_xor(q0, p1)
    return _simd.bit_xor(r1, q1), _simd.bit_xor(r0, q0), low1, low0


@kernel(dtype=np.uint8)
def _product4(out: Bytes, a: Bytes, b: Bytes) -> None:
    for stripe in range(-(-out.shape[1] // STRIPE)):
        i = _start(stripe, out.shape[1])
        high, low = _times4(_get(a, 1, i), _get(a, 0, i), _get(b, 1, i), _get(b, 0, i))
        _put(out, 1, i, high)
        _put(out, 0, i, low)


@kernel(dtype=np.uint8)
def _product16(out: Bytes, a: Bytes, b: Bytes) -> None:
    for stripe in range(-(-out.shape[1] // STRIPE)):
        i = _start(stripe, out.shape[1])
        z3, z2, z1, z0 = _times16(
            _get(a, 3, i), _get(a, 2, i), _get(a, 1, i), _get(a, 0, i),
            _get(b, 3, i), _get(b, 2, i), _get(b, 1, i), _get(b, 0, i),
        )  # fmt: skip
        _put(out, 3, i, z3)
        _put(out, 2, i, z2)
        _put(out, 1, i, z1)
        _put(out, 0, i, z0)


@kernel(dtype=np.uint8)
def _scale4(out: Bytes, n: Bytes, m: Bytes) -> None:
    for stripe in range(-(-out.shape[1] // STRIPE)):
        i = _start(stripe, out.shape[1])
        m1, m0 = _get(m, 1, i), _get(m, 0, i)
        n3, n2 = _get(n, 3, i), _get(n, 2, i)
        low1, low0 = _times4(_simd.bit_xor(n3, _get(n, 1, i)), _simd.bit_xor(n2, _get(n, 0, i)), m1, m0)
        high1, high0 = _times4(n3, n2, m1, m0)
        _put(out, 3, i, high1)
        _put(out, 2, i, high0)
        _put(out, 1, i, low1)
        _put(out, 0, i, low0)


@kernel(dtype=np.uint8)
def _scale16(out: Bytes, a: Bytes, n: Bytes) -> None:
    for stripe in range(-(-out.shape[1] // STRIPE)):
        i = _start(stripe, out.shape[1])
        n3, n2, n1, n0 = _get(n, 3, i), _get(n, 2, i), _get(n, 1, i), _get(n, 0, i)
        a7, a6, a5, a4 = _get(a, 7, i), _get(a, 6, i), _get(a, 5, i), _get(a, 4, i)
        z3, z2, z1, z0 = _times16(a7, a6, a5, a4, n3, n2, n1, n0)
        _put(out, 7, i, z3)
        _put(out, 6, i, z2)
        _put(out, 5, i, z1)
        _put(out, 4, i, z0)
        c3, c2 = _simd.bit_xor(a7, _get(a, 3, i)), _simd.bit_xor(a6, _get(a, 2, i))
        c1, c0 = _simd.bit_xor(a5, _get(a, 1, i)), _simd.bit_xor(a4, _get(a, 0, i))
        z3, z2, z1, z0 = _times16(c3, c2, c1, c0, n3, n2, n1, n0)
        _put(out, 3, i, z3)
        _put(out, 2, i, z2)
        _put(out, 1, i, z1)
        _put(out, 0, i, z0)


@kernel(dtype=np.uint8)
def _norm16(out: Bytes, a: Bytes, z: Bytes) -> None:
    xor = _simd.bit_xor
    for stripe in range(-(-out.shape[1] // STRIPE)):
        i = _start(stripe, out.shape[1])
        t0, t1, t2, t3 = _get(a, 0, i), _get(a, 1, i), _get(a, 2, i), _get(a, 3, i)
        t4, t5, t6, t7 = _get(a, 4, i), _get(a, 5, i), _get(a, 6, i), _get(a, 7, i)
        t8, t9 = xor(t2, t4), xor(t3, t5)
        _put(out, 0, i, xor(xor(xor(t0, t1), xor(t7, t9)), _get(z, 0, i)))
        _put(out, 1, i, xor(xor(t8, xor(t1, t6)), _get(z, 1, i)))
        _put(out, 2, i, xor(xor(t3, t8), _get(z, 2, i)))
        _put(out, 3, i, xor(xor(t4, t9), _get(z, 3, i)))


@kernel(dtype=np.uint8)
def _norm4(out: Bytes, n: Bytes, z: Bytes) -> None:
    xor = _simd.bit_xor
    for stripe in range(-(-out.shape[1] // STRIPE)):
        i = _start(stripe, out.shape[1])
        t2, z1 = _get(n, 2, i), _get(z, 1, i)
        high = xor(xor(_get(n, 1, i), t2), z1)
        low = xor(xor(_get(n, 3, i), xor(_get(n, 0, i), t2)), xor(_get(z, 0, i), z1))
        _put(out, 1, i, high)
        _put(out, 0, i, low)


@device
def _matrix(out: Bytes, x: Bytes, byte: int, i: int) -> None:
    """The S-box's matrix times a byte (planes 0 to 7), and two times that (planes 8 to 15), of a stripe of `out`."""
    xor, step = _simd.bit_xor, x.shape[1] * x.shape[2]
    at = byte * x.shape[2] + i
    t0, t1 = _simd.load(x, at), _simd.load(x, at + step)
    t2, t3 = _simd.load(x, at + 2 * step), _simd.load(x, at + 3 * step)
    t4, t5 = _simd.load(x, at + 4 * step), _simd.load(x, at + 5 * step)
    t6, t7 = _simd.load(x, at + 6 * step), _simd.load(x, at + 7 * step)
    t8, t9, t10, t11 = xor(t0, t1), xor(t3, t6), xor(t5, t7), xor(t2, t4)
    t12, t13, t14, t15 = xor(t1, t10), xor(t3, t8), xor(t4, t10), xor(t5, t9)
    t16 = xor(t6, t8)
    t19 = xor(t2, t8)
    _put(out, byte, 0, xor(t10, t16))
    _put(out, byte + 16, 0, xor(t0, t14))
    _put(out, byte + 32, 0, xor(t4, t15))
    _put(out, byte + 48, 0, t11)
    _put(out, byte + 64, 0, t13)
    _put(out, byte + 80, 0, t12)
    _put(out, byte + 96, 0, xor(t7, t11))
    _put(out, byte + 112, 0, t9)
    _put(out, byte + 128, 0, t16)
    _put(out, byte + 144, 0, xor(t15, xor(t1, t11)))
    _put(out, byte + 160, 0, t13)
    _put(out, byte + 176, 0, t12)
    _put(out, byte + 192, 0, xor(t9, t11))
    _put(out, byte + 208, 0, t14)
    _put(out, byte + 224, 0, t2)
    _put(out, byte + 240, 0, xor(t9, t19))


@kernel(dtype=np.uint8)
def _mix_layer(out: Bytes, x: Bytes, key: Bytes) -> None:
    """Row r of the result is 2 s_r + 3 s_(r+1) + s_(r+2) + s_(r+3), with s_r = column c + r of the matrix's result."""
    xor, width = _simd.bit_xor, x.shape[2]
    once = np.empty((256, STRIPE), np.uint8)
    for stripe in range(-(-width // STRIPE)):
        i = _start(stripe, width)
        for byte in range(16):
            _matrix(once, x, byte, i)
        for bit in range(8):
            for column in range(4):
                one, two = 16 * bit, 128 + 16 * bit
                b0, b1 = 4 * column, (4 * column + 5) % 16
                b2, b3 = (4 * column + 10) % 16, (4 * column + 15) % 16
                u0, u1 = _get(once, one + b0, 0), _get(once, one + b1, 0)
                u2, u3 = _get(once, one + b2, 0), _get(once, one + b3, 0)
                v0, v1 = _get(once, two + b0, 0), _get(once, two + b1, 0)
                v2, v3 = _get(once, two + b2, 0), _get(once, two + b3, 0)
                u01, u23 = xor(u0, u1), xor(u2, u3)
                place = one + b0
                key0, key1 = _simd.load(key, place * STRIPE), _simd.load(key, (place + 1) * STRIPE)
                key2, key3 = _simd.load(key, (place + 2) * STRIPE), _simd.load(key, (place + 3) * STRIPE)
                at = place * width + i
                _simd.store(out, at, xor(xor(xor(v0, v1), key0), xor(u1, u23)))
                _simd.store(out, at + width, xor(xor(xor(v1, v2), key1), xor(u0, u23)))
                _simd.store(out, at + 2 * width, xor(xor(xor(v2, v3), key2), xor(u01, u3)))
                _simd.store(out, at + 3 * width, xor(xor(xor(v3, v0), key3), xor(u01, u2)))


@kernel(dtype=np.uint8)
def _last_layer(out: Bytes, x: Bytes, key: Bytes) -> None:
    width = x.shape[2]
    once = np.empty((256, STRIPE), np.uint8)
    for stripe in range(-(-width // STRIPE)):
        i = _start(stripe, width)
        for byte in range(16):
            _matrix(once, x, byte, i)
        for bit in range(8):
            for byte in range(16):
                source, place = (byte + 4 * (byte % 4)) % 16, 16 * bit + byte
                value = _simd.bit_xor(_get(once, 16 * bit + source, 0), _simd.load(key, place * STRIPE))
                _simd.store(out, place * width + i, value)


@kernel(dtype=np.uint8)
def _to_planes(out: Bytes, blocks: Bytes) -> None:
    """64 blocks at a time: transposed, so that a stripe holds one byte of all of them, then its bits are picked."""
    columns, other = np.empty((16, STRIPE), np.uint8), np.empty((16, STRIPE), np.uint8)
    size, plane = blocks.size, out.shape[1] * out.shape[2]
    for stripe in range(-(-out.shape[2] // WORD)):
        i = min(WORD * stripe, out.shape[2] - WORD)
        _take(columns, blocks, 128 * i, size)
        for _ in range(4):
            for k in range(8):
                a, b = _get(columns, 2 * k, 0), _get(columns, 2 * k + 1, 0)
                _put(other, k, 0, _simd.evens(a, b))
                _put(other, k + 8, 0, _simd.odds(a, b))
            columns, other = other, columns
        for byte in range(16):
            t0, t1, t2, t3, t4, t5, t6, t7 = _bits_of(_get(columns, byte, 0))
            t8, t9, t10 = t5 ^ t7, t2 ^ t3, t4 ^ t6
            t11, at = t6 ^ t8, byte * out.shape[2] + i
            _simd.store_word(out, at, t0 ^ t8)
            _simd.store_word(out, at + plane, t2 ^ t11)
            _simd.store_word(out, at + 2 * plane, t11)
            _simd.store_word(out, at + 3 * plane, t3 ^ t4)
            _simd.store_word(out, at + 4 * plane, t5 ^ t10)
            _simd.store_word(out, at + 5 * plane, t9)
            _simd.store_word(out, at + 6 * plane, t1 ^ t7 ^ t9 ^ t10)
            _simd.store_word(out, at + 7 * plane, t8)


@device
def _take(columns: Bytes, blocks: Bytes, start: int, size: int) -> None:
    """1024 bytes of the blocks, or what there is of them and zeros."""
    if start + 16 * STRIPE <= size:
        for k in range(16):
            _put(columns, k, 0, _simd.load(blocks, start + STRIPE * k))
        return
    for k in range(16 * STRIPE):
        columns[k // STRIPE, k % STRIPE] = blocks[(start + k) // 16, k % 16] if start + k < size else 0


@kernel(dtype=np.uint8)
def _from_planes(out: Bytes, state: Bytes) -> None:
    columns, other = np.empty((16, STRIPE), np.uint8), np.empty((16, STRIPE), np.uint8)
    plane = state.shape[1] * state.shape[2]
    for stripe in range(-(-state.shape[2] // WORD)):
        i = min(WORD * stripe, state.shape[2] - WORD)
        for byte in range(16):
            at = byte * state.shape[2] + i
            t0, t1 = _simd.load_word(state, at), _simd.load_word(state, at + plane)
            t2, t3 = _simd.load_word(state, at + 2 * plane), _simd.load_word(state, at + 3 * plane)
            t4, t5 = _simd.load_word(state, at + 4 * plane), _simd.load_word(state, at + 5 * plane)
            t6, t7 = _simd.load_word(state, at + 6 * plane), _simd.load_word(state, at + 7 * plane)
            t8, t10 = t1 ^ t5, t4 ^ t7
            t9 = t3 ^ t8
            _put(
                columns,
                byte,
                0,
                _bytes_of(t0 ^ t7, t10 ^ t5 ^ t6, t1 ^ t2, t2 ^ t8, t2 ^ t9, t9 ^ t10, t2 ^ t7, t4 ^ t9),
            )
        for _ in range(4):
            for k in range(8):
                a, b = _get(columns, k, 0), _get(columns, k + 8, 0)
                _put(other, 2 * k, 0, _simd.zip_low(a, b))
                _put(other, 2 * k + 1, 0, _simd.zip_high(a, b))
            columns, other = other, columns
        _give(out, columns, 128 * i)


@device
def _give(out: Bytes, columns: Bytes, start: int) -> None:
    """1024 bytes into the blocks, or as many as there is room for."""
    if start + 16 * STRIPE <= out.size:
        for k in range(16):
            _simd.store(out, start + STRIPE * k, _get(columns, k, 0))
        return
    for k in range(out.size - start):
        out[(start + k) // 16, k % 16] = columns[k // STRIPE, k % STRIPE]


@device
def _bits_of(value: Lanes) -> tuple[Any, Any, Any, Any, Any, Any, Any, Any]:
    """Bits 0 to 7 of 64 bytes, a word each."""
    return (
        _simd.top_bits(_simd.shift_left(value, np.uint64(7))),
        _simd.top_bits(_simd.shift_left(value, np.uint64(6))),
        _simd.top_bits(_simd.shift_left(value, np.uint64(5))),
        _simd.top_bits(_simd.shift_left(value, np.uint64(4))),
        _simd.top_bits(_simd.shift_left(value, np.uint64(3))),
        _simd.top_bits(_simd.shift_left(value, np.uint64(2))),
        _simd.top_bits(_simd.shift_left(value, np.uint64(1))),
        _simd.top_bits(value),
    )


@device
def _bytes_of(t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any, t6: Any, t7: Any) -> Lanes:
    """64 bytes from words of their bits 0 to 7."""
    low = _simd.bit_xor(_simd.bit_xor(_placed(t0, 0), _placed(t1, 1)), _simd.bit_xor(_placed(t2, 2), _placed(t3, 3)))
    high = _simd.bit_xor(_simd.bit_xor(_placed(t4, 4), _placed(t5, 5)), _simd.bit_xor(_placed(t6, 6), _placed(t7, 7)))
    return _simd.bit_xor(low, high)


@device
def _placed(word: Any, bit: int) -> Lanes:
    """64 bytes that have the bits of the word as their bit `bit`, and zeros."""
    ones = np.uint64(0x0101010101010101) << np.uint64(bit)
    return _simd.bit_and(_simd.spread_bits(word), _simd.splat(ones))
