"""Numbers from their bits: sums of elements times consecutive powers of two, along rows.

Elements are as in `quorate.sharing.domain`: modulo p = 2^61 - 1, or modulo 2^128 as (low, high). With a ghost among the
arguments nothing is computed and a ghost returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels._jit import Words, device, kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["field_sums", "ring_sums"]

P = np.uint64((1 << 61) - 1)


def field_sums(x: Words, width: int) -> Words:
    """The sum of 2^k x[:, k] for k < width, modulo p, of canonical (rows, at least `width`) elements: (rows,)."""
    _require(width, x)
    if is_ghost(x):
        return ghost((x.shape[0],), np.uint64)
    out = np.empty(x.shape[0], np.uint64)
    _field_sums(out, x, width)
    return out


def ring_sums(low: Words, high: Words, width: int) -> tuple[Words, Words]:
    """The same modulo 2^128."""
    _require(width, low, high)
    if is_ghost(low, high):
        return ghost((low.shape[0],), np.uint64), ghost((low.shape[0],), np.uint64)
    out_low, out_high = np.empty(low.shape[0], np.uint64), np.empty(low.shape[0], np.uint64)
    _ring_sums(out_low, out_high, low, high, width)
    return out_low, out_high


def _require(width: int, *arrays: Words) -> None:
    if any(x.ndim != 2 or x.shape != arrays[0].shape or x.shape[1] < width for x in arrays):
        raise InternalError(f"rows of {[x.shape for x in arrays]} have no {width} bits")


@device
def _twice(total: Any, x: Any) -> Any:
    """2 total + x modulo p, at most p + 3 for such a total and canonical x."""
    total = (total << np.uint64(1)) + x
    return (total & P) + (total >> np.uint64(61))


@device
def _canonical(total: Any) -> Any:
    total = (total & P) + (total >> np.uint64(61))
    return total - P if total >= P else total


@kernel(dtype=np.uint64)
def _field_sums(out: Words, x: Words, width: int) -> None:
    whole = out.size - out.size % 4
    for i in range(0, whole, 4):  # four chains of dependent additions at a time
        a = b = c = d = np.uint64(0)
        for k in range(width - 1, -1, -1):
            a, b = _twice(a, x[i, k]), _twice(b, x[i + 1, k])
            c, d = _twice(c, x[i + 2, k]), _twice(d, x[i + 3, k])
        out[i], out[i + 1], out[i + 2], out[i + 3] = _canonical(a), _canonical(b), _canonical(c), _canonical(d)
    for i in range(whole, out.size):
        a = np.uint64(0)
        for k in range(width - 1, -1, -1):
            a = _twice(a, x[i, k])
        out[i] = _canonical(a)


@device
def _doubled(a: Any, b: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """2 (a, b) + (low, high) modulo 2^128."""
    b = (b << np.uint64(1)) + (a >> np.uint64(63)) + high
    a = (a << np.uint64(1)) + low
    return a, b + np.uint64(a < low)


@kernel(dtype=np.uint64)
def _ring_sums(out_low: Words, out_high: Words, low: Words, high: Words, width: int) -> None:
    whole = out_low.size - out_low.size % 2
    for i in range(0, whole, 2):
        a = b = c = d = np.uint64(0)
        for k in range(width - 1, -1, -1):
            a, b = _doubled(a, b, low[i, k], high[i, k])
            c, d = _doubled(c, d, low[i + 1, k], high[i + 1, k])
        out_low[i], out_high[i], out_low[i + 1], out_high[i + 1] = a, b, c, d
    for i in range(whole, out_low.size):
        a = b = np.uint64(0)
        for k in range(width - 1, -1, -1):
            a, b = _doubled(a, b, low[i, k], high[i, k])
        out_low[i], out_high[i] = a, b
