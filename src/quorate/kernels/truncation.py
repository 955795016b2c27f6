"""Fused loops for exact-range truncation of ring elements with three parties; see `quorate.protocols.rep3`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.kernels._jit import kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["deal", "first_half", "second_half"]

Array = npt.NDArray[Any]
TOP = np.uint64(63)
LOW = np.uint64((1 << 63) - 1)


@kernel
def _deal(out_u: Array, out_v: Array, s: Array, mask_u: Array, mask_v: Array, f: Any) -> None:
    f = np.uint64(f)
    for i in range(s.size):
        r = np.uint64(0) - s[i]
        out_u[i] = ((r & LOW) >> f) - mask_u[i]
        out_v[i] = ((r >> TOP) << (TOP - f)) - mask_v[i]


@kernel
def _half(out: Array, c: Array, u: Array, v: Array, f: Any, add_public: bool) -> None:
    f = np.uint64(f)
    for i in range(c.size):
        top = c[i] >> TOP
        y = v[i] if top == 0 else np.uint64(0) - v[i]
        y -= u[i]
        if add_public:
            y += ((c[i] & LOW) >> f) + (top << (TOP - f))
        out[i] = y


def deal(s: Array, shift: int, mask_u: Array, mask_v: Array) -> tuple[Array, Array]:
    """For r = -s: ((r mod 2**63) >> shift) - mask_u and (top bit of r) * 2**(63 - shift) - mask_v.

    All arrays uint64 of one shape; 0 < shift < 63.
    """
    if is_ghost(s, mask_u, mask_v):
        return ghost(s.shape, s.dtype), ghost(s.shape, s.dtype)
    out_u, out_v = np.empty_like(s), np.empty_like(s)
    _deal(out_u.reshape(-1), out_v.reshape(-1), s.reshape(-1), mask_u.reshape(-1), mask_v.reshape(-1), shift)
    return out_u, out_v


def first_half(c: Array, shift: int, u: Array, v: Array) -> Array:
    """One of two additive parts of the truncation of c - r, the one with the public value c."""
    return _halves(c, shift, u, v, True)


def second_half(c: Array, shift: int, u: Array, v: Array) -> Array:
    """The other additive part."""
    return _halves(c, shift, u, v, False)


def _halves(c: Array, shift: int, u: Array, v: Array, add_public: bool) -> Array:
    if is_ghost(c, u, v):
        return ghost(c.shape, c.dtype)
    out = np.empty_like(c)
    _half(out.reshape(-1), c.reshape(-1), u.reshape(-1), v.reshape(-1), shift, add_public)
    return out
