"""Rows and planes of authenticated bits, and products of words plane by plane.

A row is what a party has of one bit: a uint64 whose bit j belongs to plane j. A plane is what it has of many bits at
one of the 64 places: words of which bit i belongs to bit i. Turning rows into planes is the transposition of squares
of 64 by 64 bits. With a ghost among the arguments nothing is computed and a ghost returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels._jit import Array, Words, elementwise, kernel
from quorate.kernels.ghost import ghost, is_ghost
from quorate.kernels.squares import turn_square

__all__ = ["beaver", "chosen", "from_rows", "merge"]


def from_rows(rows: Words, planes: int) -> Words:
    """Planes 0 ... planes - 1 of rows (count,), a multiple of 64 of them: (planes, count / 64)."""
    if rows.ndim != 1 or rows.size % 64 or rows.dtype != np.uint64 or not 0 < planes <= 64:
        raise InternalError(f"{planes} planes of {rows.dtype} {rows.shape}: rows come in multiples of 64")
    if is_ghost(rows):
        return ghost((planes, rows.size // 64), np.uint64)
    out = np.empty((planes, rows.size // 64), np.uint64)
    _from_rows(out, rows)
    return out


def beaver(c: Array, x: Array, y: Array, d: Array, e: Array, known: int) -> Array:
    """c ^ (d & y) ^ (e & x) ^ (d & e & known): a plane of a product, from those of a tuple x, y, c = x & y.

    Args:
        c, x, y: the tuple's planes, of the shape and unsigned dtype of `d` and `e`, which are public.
        known: all ones or 0, of at least as many bits: whether this plane takes in what is public.
    """
    if is_ghost(c, x, y, d, e):
        return ghost(c.shape, c.dtype)
    mask = c.dtype.type(known & ((1 << 8 * c.dtype.itemsize) - 1))
    return elementwise(_beaver, None, c, x, y, d, e, constants=(mask,))


def chosen(bits: Array, by: Words | int, out: Words) -> Words:
    """out ^= by where the bit (uint8, 0 or 1) is set: in place, and returned; `by` is one word or one for each bit."""
    if is_ghost(bits, out) or (not isinstance(by, int) and is_ghost(by)):
        return out
    if isinstance(by, int):
        _chosen_one(out, bits, np.uint64(by))
    else:
        _chosen(out, bits, by)
    return out


def merge(x: Words, z: Words, from_x: Words, from_z: Words, order: Array, flips: Array) -> None:
    """With j = order[i]: x[i] ^= from_x[j], and z[i] ^= from_z[j], and from_x[j] too if flips[i] (0 or 1). In place.

    `order` is a permutation; all arrays are equally long.
    """
    arrays = (x, z, from_x, from_z, order, flips)
    if any(array.shape != (x.size,) for array in arrays):
        raise InternalError(f"arrays of shapes {[array.shape for array in arrays]} cannot be merged")
    if not is_ghost(*arrays):
        _merge(x, z, from_x, from_z, order, flips)


@kernel
def _merge(out_x: Words, out_z: Words, from_x: Words, from_z: Words, order: Array, flips: Array) -> None:
    for i in range(out_x.size):
        j = order[i]
        a = from_x[j]
        out_x[i] ^= a
        out_z[i] ^= from_z[j] ^ ((np.uint64(0) - np.uint64(flips[i])) & a)


@kernel
def _beaver(out: Array, c: Array, x: Array, y: Array, d: Array, e: Array, known: Any) -> None:
    for i in range(out.size):
        out[i] = c[i] ^ (d[i] & (y[i] ^ (e[i] & known))) ^ (e[i] & x[i])


@kernel
def _chosen_one(out: Words, bits: Array, by: Any) -> None:
    for i in range(out.size):
        out[i] ^= (np.uint64(0) - np.uint64(bits[i])) & by


@kernel
def _chosen(out: Words, bits: Array, by: Words) -> None:
    for i in range(out.size):
        out[i] ^= (np.uint64(0) - np.uint64(bits[i])) & by[i]


@kernel(dtype=np.uint64)
def _from_rows(out: Words, rows: Words) -> None:
    square = np.empty(64, np.uint64)
    for w in range(out.shape[1]):
        for k in range(64):
            square[k] = rows[64 * w + k]
        turn_square(square)
        for j in range(out.shape[0]):
            out[j, w] = square[j]
