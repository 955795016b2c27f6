"""Fused loops for exact-range truncation of ring elements; see `quorate.protocols.rep3` and `semi2k`.

For c = x + r modulo 2**64, where x lies in [0, 2**63): x >> f is, up to one unit, (c mod 2**63) >> f minus
(r mod 2**63) >> f, corrected by 2**(63 - f) according to the top bits of c and r. The top bit of r is only needed times
2**(63 - f), so parts of it modulo 2**(f + 1) are enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.kernels._jit import device, kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["deal", "half", "masked_half", "summand", "top_type"]

Array = npt.NDArray[Any]
TOP = np.uint64(63)
LOW = np.uint64((1 << 63) - 1)


def top_type(shift: int) -> np.dtype[Any]:
    """The type of parts of the top bit of r: unsigned, of at least shift + 1 bits."""
    return np.dtype(f"u{next(size for size in (1, 2, 4, 8) if 8 * size > shift)}")


def deal(s: Array, shift: int, mask_u: Array, mask_v: Array) -> tuple[Array, Array]:
    """For r = -s: (((r mod 2**63) >> shift) - mask_u, the top bit of r minus mask_v).

    `s` and `mask_u` uint64, `mask_v` of `top_type`, all of one shape; 0 < shift < 63.
    """
    if is_ghost(s, mask_u, mask_v):
        return ghost(s.shape, s.dtype), ghost(s.shape, mask_v.dtype)
    out_u, out_v = np.empty_like(s), np.empty_like(mask_v)
    _deal(out_u.reshape(-1), out_v.reshape(-1), s.reshape(-1), mask_u.reshape(-1), mask_v.reshape(-1), shift)
    return out_u, out_v


def half(c: Array, shift: int, u: Array, v: Array, leads: bool) -> Array:
    """An additive part of the truncation of c - r from parts u, v of what `deal` hides; c counts for who `leads`."""
    if is_ghost(c, u, v):
        return ghost(c.shape, c.dtype)
    out = np.empty_like(c)
    _half(out.reshape(-1), c.reshape(-1), u.reshape(-1), v.reshape(-1), shift, np.uint64(leads))
    return out


def masked_half(
    z: Array, rest: Array | None, offset: int, shift: int, u: Array, v: Array, mask: Array, leads: bool
) -> Array:
    """:func:`half` for c = z + rest + offset, minus `mask`; at `leads` also minus offset >> shift."""
    if is_ghost(z, rest, u, v, mask):
        return ghost(z.shape, z.dtype)
    out = np.empty_like(z)
    x, y, a, b, c = (array.reshape(-1) for array in (z, z if rest is None else rest, u, v, mask))
    count = np.uint64(rest is not None)
    _masked_half(out.reshape(-1), x, y, a, b, c, count, np.uint64(offset), shift, np.uint64(leads))
    return out


def summand(part: Array, shift: int, bit: Array, value: Array, mine: Array, theirs: Array, leads: bool) -> Array:
    """An additive part of x / 2**shift, at one of two parties that hold x = part + the other's part, 0 <= x < 2**63.

    The top bits s, t of the parts say whether the sum wraps: s + t - s t. They are masked: `mine` is our top bit ^
    `bit`, and `theirs` the same of the other; `value` is our part of bit ^ the other's bit as a number. The quotients
    are rounded to the nearest. Exactly one party `leads`.

    `part`, `value` uint64, bits uint8 0 or 1, all of one shape; 0 < shift < 63.
    """
    arrays = (part, bit, value, mine, theirs)
    if is_ghost(*arrays):
        return ghost(part.shape, part.dtype)
    out = np.empty_like(part)
    flat = [array.reshape(-1) for array in arrays]
    _summand(out.reshape(-1), flat[0], flat[1], flat[2], flat[3], flat[4], shift, np.uint64(leads))
    return out


@kernel
def _deal(out_u: Array, out_v: Array, s: Array, mask_u: Array, mask_v: Array, f: Any) -> None:
    f = np.uint64(f)
    for i in range(s.size):
        r = np.uint64(0) - s[i]
        out_u[i] = ((r & LOW) >> f) - mask_u[i]
        out_v[i] = (r >> TOP) - np.uint64(mask_v[i])


@device
def _part(c: Any, u: Any, v: Any, f: Any, leads: Any) -> Any:
    top = c >> TOP
    wrap = v << (TOP - f)
    wrap = (wrap ^ (np.uint64(0) - top)) + top  # minus, if the top bit of c is set
    return wrap - u + leads * (((c & LOW) >> f) + (top << (TOP - f)))


@kernel
def _half(out: Array, c: Array, u: Array, v: Array, f: Any, leads: Any) -> None:
    f = np.uint64(f)
    for i in range(c.size):
        out[i] = _part(c[i], u[i], np.uint64(v[i]), f, leads)


@kernel
def _masked_half(
    out: Array, z: Array, rest: Array, u: Array, v: Array, mask: Array, count: Any, offset: Any, f: Any, leads: Any
) -> None:
    f = np.uint64(f)
    less = leads * (offset >> f)
    for i in range(z.size):
        c = z[i] + count * rest[i] + offset
        out[i] = _part(c, u[i], np.uint64(v[i]), f, leads) - mask[i] - less


@kernel
def _summand(out: Array, part: Array, bit: Array, value: Array, mine: Array, theirs: Array, f: Any, leads: Any) -> None:
    f, one = np.uint64(f), np.uint64(1)
    for i in range(part.size):
        b, m, t = np.uint64(bit[i]), np.uint64(mine[i]), np.uint64(theirs[i])
        both = (b - value[i]) >> one  # our part of the product of the masking bits, modulo 2**63
        flipped_m, flipped_t = one - m - m, one - t - t
        tops = leads * (m & t) + t * flipped_m * b + flipped_m * flipped_t * both
        wraps = (part[i] >> TOP) - tops
        out[i] = (part[i] >> f) + ((part[i] >> (f - one)) & one) - (wraps << (np.uint64(64) - f))
