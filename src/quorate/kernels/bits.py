"""Bits that are shared by XOR: packed bits, and words that carry one bit position of a number per bit.

Elementwise functions take ``out=``: a contiguous array of the result's shape and dtype, which may be one of the inputs.
With a ghost among the arguments nothing is computed and a ghost (or ``out``) returned.

The carry tree
--------------
For generate and propagate bits ``g``, ``p`` of 64 positions, the tree combines neighbouring positions level by level
into the carry out of position 63, with words whose width halves at every level. :func:`reverse` moves position i to bit
rev6(i), the six bits of i read backwards (an order that is its own inverse; bit i does not go to bit 63 - i). Then at
every level the later of two neighbours lies in the high half of the word and the earlier one in the low half, at the
same place. One level, for ``positions`` of 64, 32, ..., 2, all arrays being 1-D::

    x, y = carry_level(g, p, positions)          # local, on each share
    z = x & y                                    # secret: one round, e.g. with and_share
    g, p = carry_combine(g, z, positions)        # local, on each share

n numbers are n words of uint64, uint32, uint16, uint8 at 64, 32, 16, 8 positions. From 4 positions on several numbers
share a byte: :func:`fold` puts numbers i and i + h, h = ceil(n / 2), into the low and high part of byte i, so that
ceil(n / 2) bytes hold 4 positions of all numbers, half as many 2 positions, and half of that the single carries. The
last level needs no new ``p``: :func:`carry_last` and :func:`carry_finish` halve its round. :func:`carry_bits` brings
the carries back in order. Words of 32, 16 or 8 positions start lower in the tree, their positions moved to bit rev5(i),
rev4(i) or rev3(i).

What the tree computes is the composition of maps e -> g ^ (p & e), one per position; generate and propagate bits are
one example. :func:`gray` and :func:`arrange` give another, which costs no round, see `quorate.protocols.adder`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels import _simd
from quorate.kernels._jit import Array, Words, device, elementwise, kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = [
    "and_share",
    "arrange",
    "carry_bits",
    "carry_combine",
    "carry_finish",
    "carry_last",
    "carry_level",
    "fold",
    "gray",
    "pack",
    "replicated_level",
    "reverse",
    "unfold",
    "unpack",
]

Bytes = npt.NDArray[np.uint8]


def pack(bits: Bytes) -> Bytes:
    """n bits (uint8, 0 or 1, any shape) to ceil(n / 8) bytes (1-D); bit i becomes bit i % 8 of byte i // 8."""
    _require_bytes(bits, "pack")
    return np.packbits(bits.reshape(-1), bitorder="little")


def unpack(packed: Bytes, shape: int | tuple[int, ...]) -> Bytes:
    """The inverse of :func:`pack` to uint8 0 or 1 of ``shape``; InternalError if the number of bytes does not fit."""
    _require_bytes(packed, "unpack")
    shape = (shape,) if isinstance(shape, int) else shape
    size = int(np.prod(shape, dtype=np.int64))
    if packed.ndim != 1 or packed.size != (size + 7) // 8:
        raise InternalError(f"unpack: {packed.shape} bytes do not hold {size} bits")
    return np.unpackbits(packed, count=size, bitorder="little").reshape(shape)


def and_share(xa: Array, xb: Array, ya: Array, yb: Array, out: Array | None = None) -> Array:
    """(xa & ya) ^ (xa & yb) ^ (xb & ya): one party's part of a replicated AND; to be masked before it is sent.

    All arrays have one shape and one unsigned dtype; nothing broadcasts.
    """
    dtype = xa.dtype
    if dtype.kind != "u" or not (xb.dtype == ya.dtype == yb.dtype == dtype):
        raise InternalError(f"and_share: needs one unsigned dtype, got {[x.dtype for x in (xa, xb, ya, yb)]}")
    return elementwise(_and_share, out, xa, xb, ya, yb)


def reverse(x: Words, out: Words | None = None) -> Words:
    """Move bit i of every uint64 word to bit rev6(i), see above; applied twice it does nothing."""
    return elementwise(_reverse, out, x)


def arrange(x: Array, turn: int) -> Array:
    """Words of any unsigned dtype, turned left by `turn` bits (0 < turn < 8), with position i moved as the tree wants.

    Position 0 is then bit width - turn of the word as it was.
    """
    return elementwise(_arrange, None, x, constants=(turn,))


def gray(x: Array, turn: int) -> Array:
    """(x ^ 2 x) 2^(turn - 1), which marks bits that differ from the one below, moved as by :func:`arrange`."""
    return elementwise(_gray, None, x, constants=(turn - 1,))


def replicated_level(ga: Array, gb: Array, pa: Array, pb: Array, positions: int) -> Array:
    """One party's unmasked part of the AND of a level, of replicated g and p: `carry_level` and `and_share` at once."""
    _require_level(ga, pa, positions)
    if is_ghost(ga, gb, pa, pb):
        return ghost(ga.shape, ga.dtype)
    out = np.empty_like(ga)
    _replicated_level(out, ga, gb, pa, pb, *_halves(ga.dtype, positions))
    return out


def carry_level(g: Array, p: Array, positions: int) -> tuple[Array, Array]:
    """The operands (x, y) of a level's AND, of the shape and dtype of ``g`` and ``p``."""
    _require_level(g, p, positions)
    if is_ghost(g, p):
        return ghost(g.shape, g.dtype), ghost(g.shape, g.dtype)
    x, y = np.empty_like(g), np.empty_like(p)
    _level(x, y, g, p, *_halves(g.dtype, positions))
    return x, y


def carry_combine(g: Array, z: Array, positions: int) -> tuple[Array, Array]:
    """The next level's (g, p) from this level's ``g`` and z = x & y."""
    _require_level(g, z, positions)
    high, shift = _halves(g.dtype, positions)
    shape = g.shape if positions > 8 else (-(-g.size // 2),)
    dtype = np.dtype(f"u{g.dtype.itemsize // 2}") if positions > 8 else g.dtype
    if is_ghost(g, z):
        return ghost(shape, dtype), ghost(shape, dtype)
    next_g, next_p = np.empty(shape, dtype), np.empty(shape, dtype)
    (_combine if positions > 8 else _combine_fold)(next_g, next_p, g, z, high, shift)
    return next_g, next_p


def carry_last(g: Bytes, p: Bytes) -> tuple[Bytes, Bytes]:
    """The operands of the last AND (2 positions), without the part for a new ``p``: ceil(size / 2) bytes each."""
    _require_level(g, p, 2)
    return fold((p & np.uint8(0xAA)) >> np.uint8(1), 1), fold(g & np.uint8(0x55), 1)


def carry_finish(g: Bytes, z: Bytes) -> Bytes:
    """The carry bits from ``g`` of the last level and z, the AND of :func:`carry_last`: of the shape of z."""
    later = fold((g & np.uint8(0xAA)) >> np.uint8(1), 1)
    return later ^ z


def carry_bits(folded: Bytes, n: int) -> Bytes:
    """The n bits (uint8, 0 or 1) that three foldings put into ceil(ceil(ceil(n / 2) / 2) / 2) bytes."""
    eighth = -(-n // 8)  # rounding up at every folding comes to the same
    if folded.dtype != np.uint8 or folded.shape != (eighth,):
        raise InternalError(f"carry_bits: {folded.dtype} {folded.shape} does not hold {n} carries")
    if is_ghost(folded):
        return ghost(n, np.uint8)
    out = np.empty(n, np.uint8)
    _carry_bits(out, folded)
    return out


def fold(x: Bytes, shift: int) -> Bytes:
    """x[i] | x[i + h] << shift with h = ceil(n / 2), for (n,) bytes: (h,).

    The bits of ``x`` that this fills must be 0: the high nibble for shift 4, the high pair of each nibble for shift 2,
    the high bit of each pair for shift 1.
    """
    _require_bytes(x, "fold")
    half = -(-x.size // 2)
    if is_ghost(x):
        return ghost(half, np.uint8)
    folded = x[:half].copy()
    folded[: x.size - half] |= x[half:] << np.uint8(shift)
    return folded


def unfold(folded: Bytes, shift: int, n: int) -> Bytes:
    """The inverse of :func:`fold` for n elements: (n,); InternalError if the number of bytes does not fit."""
    _require_bytes(folded, "unfold")
    half = -(-n // 2)
    if folded.shape != (half,) or shift not in _KEPT:
        raise InternalError(f"unfold: {folded.shape} bytes, shift {shift}, do not hold {n} elements")
    keep = np.uint8(_KEPT[shift])
    return np.concatenate([folded & keep, (folded[: n - half] >> np.uint8(shift)) & keep])


_KEPT = {4: 0x0F, 2: 0x33, 1: 0x55}
_HIGH = {64: 0xFFFFFFFF00000000, 32: 0xFFFF0000, 16: 0xFF00, 8: 0xF0, 4: 0xCC, 2: 0xAA}


def _halves(dtype: np.dtype[Any], positions: int) -> tuple[np.unsignedinteger[Any], np.unsignedinteger[Any]]:
    """The mask of the later halves of all numbers in a word, and by how much to shift them onto the earlier halves."""
    return dtype.type(_HIGH[positions]), dtype.type(positions // 2)


def _require_bytes(x: Array, name: str) -> None:
    if x.dtype != np.uint8:
        raise InternalError(f"{name}: dtype {x.dtype} is not uint8")


def _require_level(g: Array, p: Array, positions: int) -> None:
    dtype = f"uint{max(positions, 8)}"
    if positions not in _HIGH or g.ndim != 1 or g.shape != p.shape or not (g.dtype == p.dtype == dtype):
        raise InternalError(
            f"carry tree: {positions} positions need 1-D {dtype} arrays of one shape,"
            f" got {g.dtype} {g.shape} and {p.dtype} {p.shape}"
        )


@kernel
def _and_share(out: Array, xa: Array, xb: Array, ya: Array, yb: Array) -> None:
    n = out.size
    step = 8 * _simd.WIDTH // out.itemsize
    whole = n - n % step
    for i in range(0, whole, step):
        a, c = _simd.load(xa, i), _simd.load(ya, i)
        left = _simd.bit_and(a, _simd.bit_xor(c, _simd.load(yb, i)))
        _simd.store(out, i, _simd.bit_xor(left, _simd.bit_and(_simd.load(xb, i), c)))
    for i in range(whole, n):
        out[i] = (xa[i] & (ya[i] ^ yb[i])) ^ (xb[i] & ya[i])


Exchanges = tuple[Any, Any, Any, Any, Any, Any]


@device
def exchanges(size: int) -> Exchanges:
    """Three (mask, shift) for `reversed_word`, for words of `size` bytes; a mask of 0 exchanges nothing.

    Moving bit i to the bit whose number is i read backwards is to exchange the first and the last digit of the number,
    the second and the last but one, and so on.
    """
    u = np.uint64  # all of them: one signed number would make the words signed, and shifts drag their top bit along
    if size == 8:
        return u(0x00000000AAAAAAAA), u(31), u(0x0000CCCC0000CCCC), u(14), u(0x00F000F000F000F0), u(4)
    if size == 4:
        return u(0x0000AAAA), u(15), u(0x00CC00CC), u(6), u(0), u(0)
    if size == 2:
        return u(0x00AA), u(7), u(0x0C0C), u(2), u(0), u(0)
    return u(0x0A), u(3), u(0), u(0), u(0), u(0)


@device
def _exchanged(w: Any, mask: Any, shift: Any) -> Any:
    """Exchange the bits under the mask with those `shift` places higher."""
    t = (w ^ (w >> shift)) & mask
    return w ^ t ^ (t << shift)


@device
def reversed_word(w: Any, by: Exchanges) -> Any:
    """Every bit at its place in the carry tree; without a branch, so that loops over it are vectorised."""
    return _exchanged(_exchanged(_exchanged(w, by[0], by[1]), by[2], by[3]), by[4], by[5])


@device
def full_word(size: int) -> Any:
    """Ones in the low `size` bytes."""
    return np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * size)


@kernel(dtype=np.uint64)
def _reverse(out: Words, x: Words) -> None:
    by = exchanges(8)
    for i in range(out.size):
        out[i] = reversed_word(x[i], by)


@kernel
def _arrange(out: Array, x: Array, turn: int) -> None:
    by, full = exchanges(out.itemsize), full_word(out.itemsize)
    ahead, back = np.uint64(turn), np.uint64(8 * out.itemsize - turn)
    for i in range(out.size):
        w = np.uint64(x[i])
        out[i] = reversed_word(((w << ahead) | (w >> back)) & full, by)


@kernel
def _gray(out: Array, x: Array, shift: int) -> None:
    by, full = exchanges(out.itemsize), full_word(out.itemsize)
    for i in range(out.size):
        w = np.uint64(x[i])
        out[i] = reversed_word(((w ^ (w << np.uint64(1))) << np.uint64(shift)) & full, by)


@kernel
def _replicated_level(out: Array, ga: Array, gb: Array, pa: Array, pb: Array, high: Any, shift: Any) -> None:
    low = ~high
    for i in range(out.size):
        later = pa[i] & high
        xa = later | (later >> shift)
        later = pb[i] & high
        xb = later | (later >> shift)
        ya = ((ga[i] & low) << shift) | (pa[i] & low)
        yb = ((gb[i] & low) << shift) | (pb[i] & low)
        out[i] = (xa & (ya ^ yb)) ^ (xb & ya)


@kernel
def _level(out_x: Array, out_y: Array, g: Array, p: Array, high: Any, shift: Any) -> None:
    low = ~high
    for i in range(out_x.size):
        later = p[i] & high
        out_x[i] = later | (later >> shift)
        out_y[i] = ((g[i] & low) << shift) | (p[i] & low)


@kernel
def _combine(out_g: Array, out_p: Array, g: Array, z: Array, high: Any, shift: Any) -> None:
    low = ~high
    for i in range(out_g.size):
        out_g[i] = ((g[i] ^ z[i]) & high) >> shift
        out_p[i] = z[i] & low


@kernel
def _combine_fold(out_g: Array, out_p: Array, g: Array, z: Array, high: Any, shift: Any) -> None:
    """As ``_combine``, with number i and number i + half in one byte: the freed bits are as wide as the shift."""
    half = out_g.size
    pairs = g.size - half
    _fold_pairs(out_g[:pairs], out_p[:pairs], g[:pairs], z[:pairs], g[half:], z[half:], high, shift)
    for i in range(pairs, half):
        out_g[i] = ((g[i] ^ z[i]) & high) >> shift
        out_p[i] = z[i] & ~high


@kernel
def _carry_bits(out: Bytes, folded: Bytes) -> None:
    """Halves of the numbers are in lower and upper nibbles, halves of those in pairs, halves of those in bits."""
    half = (out.size + 1) // 2
    quarter, eighth = (half + 1) // 2, folded.size
    for piece in range(8):
        upper, pair, bit = piece >> 2, (piece >> 1) & 1, piece & 1
        start = upper * half + pair * quarter + bit * eighth
        stop = min(out.size, (upper + 1) * half, upper * half + (pair + 1) * quarter, start + eighth)
        shift = np.uint8(4 * upper + 2 * pair + bit)
        for i in range(start, stop):
            out[i] = (folded[i - start] >> shift) & np.uint8(1)


@device
def _fold_pairs(
    out_g: Array, out_p: Array, g: Array, z: Array, other_g: Array, other_z: Array, high: Any, shift: Any
) -> None:
    low = ~high
    for i in range(out_g.size):
        out_g[i] = (((g[i] ^ z[i]) & high) >> shift) | ((other_g[i] ^ other_z[i]) & high)
        out_p[i] = (z[i] & low) | ((other_z[i] & low) << shift)
