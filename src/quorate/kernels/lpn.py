"""Loops of silent correlations: levels of many trees at once, checks of their leaves, and the sparse linear code.

Trees lie side by side: node x of tree j of a level is row [x, j] of a (nodes, trees, 2) array, and its children are the
rows [x, j] and [nodes + x, j] of the next one, so that all left children are contiguous, and all right ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels import _clmul, _simd
from quorate.kernels._jit import Words, kernel
from quorate.kernels.field import P, canonical, remainder
from quorate.kernels.fixed_aes import SCHEDULE, encrypt

__all__ = [
    "WEIGHT",
    "encode_bits",
    "encode_blocks",
    "encode_field",
    "encode_ring",
    "field_values",
    "finish_level",
    "grow_level",
    "hash_places",
    "hash_rows",
    "ring_sums",
]

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.uint32]
WEIGHT = 10
"""Ones per row of the code: every output is a sum of so many inputs."""

_P = np.uint64(P)
_HALF = np.uint64(32)


def finish_level(children: Words, parents: Words, sums: Words) -> None:
    """children (2 w, trees, 2) ^= parents (w, trees, 2), left and right alike, and sums (2, trees, 2) of each side."""
    w, trees, _ = parents.shape
    if children.shape != (2 * w, trees, 2) or sums.shape != (2, trees, 2):
        raise InternalError(f"finish_level: {children.shape}, {parents.shape}, {sums.shape} do not fit")
    _finish_level(children.reshape(2, w, 2 * trees), sums.reshape(2, 2 * trees), parents.reshape(w, 2 * trees))


def grow_level(parents: Words, keys: Words, children: Words, sums: Words) -> None:
    """children (2 w, trees, 2) of parents (w, trees, 2), and sums (2, trees, 2) of each side, trees a multiple of 4.

    The left child of x is AES(x) ^ x under keys[0], the right one under keys[1], of the (2, 88) that
    `quorate.kernels.fixed_aes.round_keys` gives. Only where the processor has AES instructions.
    """
    w, trees, _ = parents.shape
    if children.shape != (2 * w, trees, 2) or sums.shape != (2, trees, 2) or trees % 4 or keys.shape != (2, SCHEDULE):
        raise InternalError(f"grow_level: {children.shape}, {parents.shape}, {sums.shape}, {keys.shape} do not fit")
    _grow_level(children.reshape(2, w, 2 * trees), sums.reshape(2, 2 * trees), parents.reshape(w, 2 * trees), keys)


def hash_rows(rows: Words, coefficients: Words, out: Words) -> None:
    """out (2, 2) ^= the sums of c_j * low_j and of c_j * high_j, unreduced products of binary polynomials.

    For rows (n, 2) = (low, high), n a multiple of 8; c_j is coefficient number `hash_places`(j).
    """
    if rows.shape != (len(coefficients), 2) or len(rows) % 8 or out.shape != (2, 2):
        raise InternalError(f"hash_rows: {rows.shape}, {coefficients.shape}, {out.shape} do not fit")
    _hash_rows(out, rows, coefficients)


def hash_places(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Which coefficient `hash_rows` multiplies these rows with."""
    place = rows % 8
    return rows - place + np.where(place < 4, 2 * place, 2 * place - 7)


def encode_blocks(out: Words, table: Words, indices: Indices) -> None:
    """out[j] ^= the sum of the rows of `table` (k, 2) that 32-bit words indices[j] point at, scaled to k: (n, 2)."""
    _check(out.shape, (len(indices), 2), indices)
    _encode_blocks(out, table, indices)


def encode_bits(out: Bytes, table: Bytes, indices: Indices) -> None:
    """The same for bits: out (n,) and table (k,) of 0 and 1."""
    _check(out.shape, (len(indices),), indices)
    _encode_bits(out, table, indices)


def encode_field(out: Words, table: Words, indices: Indices) -> None:
    """The same modulo 2^61 - 1: out (n,) += sums of elements of table (k,); canonical."""
    _check(out.shape, (len(indices),), indices)
    _encode_field(out, table, indices)


def encode_ring(out: Words, table: Words, indices: Indices) -> None:
    """The same modulo 2^128: out (n, 2) += sums of rows (low, high) of table (k, 2)."""
    _check(out.shape, (len(indices), 2), indices)
    _encode_ring(out, table, indices)


def field_values(leaves: Words, out: Words, sums: Words) -> None:
    """The low 61 bits of leaves (w, trees, 2), modulo p, as out (w, trees), and their sums (trees,)."""
    if out.shape != leaves.shape[:2] or sums.shape != leaves.shape[1:2]:
        raise InternalError(f"field_values: {leaves.shape}, {out.shape}, {sums.shape} do not fit")
    _field_values(out, sums, leaves)


def ring_sums(leaves: Words, sums: Words) -> None:
    """The sums (trees, 2) modulo 2^128 of leaves (w, trees, 2) = (low, high)."""
    if sums.shape != leaves.shape[1:]:
        raise InternalError(f"ring_sums: {leaves.shape}, {sums.shape} do not fit")
    _ring_sums(sums, leaves)


def _check(shape: tuple[int, ...], expected: tuple[int, ...], indices: Indices) -> None:
    if shape != expected or indices.shape[1:] != (WEIGHT,):
        raise InternalError(f"encoding: {shape} with {indices.shape} indices")


@kernel(dtype=np.uint64)
def _finish_level(out_children: Words, out_sums: Words, parents: Words) -> None:
    w, n = parents.shape
    out_sums[:] = np.uint64(0)
    for x in range(w):
        for side in range(2):
            for i in range(n):
                value = out_children[side, x, i] ^ parents[x, i]
                out_children[side, x, i] = value
                out_sums[side, i] ^= value


@kernel(dtype=np.uint64)
def _grow_level(out_children: Words, out_sums: Words, parents: Words, keys: Words) -> None:
    w, n = parents.shape
    xor, side = _simd.bit_xor, w * n
    for i in range(0, n, _simd.WIDTH):
        left, right = _simd.zero(), _simd.zero()
        for x in range(w):
            parent = _simd.load(parents, x * n + i)
            one, other = xor(encrypt(parent, keys, 0), parent), xor(encrypt(parent, keys, SCHEDULE), parent)
            _simd.store(out_children, x * n + i, one)
            _simd.store(out_children, side + x * n + i, other)
            left, right = xor(left, one), xor(right, other)
        _simd.store(out_sums, i, left)
        _simd.store(out_sums, n + i, right)


@kernel(dtype=np.uint64)
def _hash_rows(out: Words, rows: Words, coefficients: Words) -> None:
    xor = _simd.bit_xor
    low, high = _simd.zero(), _simd.zero()
    for j in range(0, coefficients.size, 8):
        c, first, second = _simd.load(coefficients, j), _simd.load(rows, 2 * j), _simd.load(rows, 2 * j + 8)
        low = xor(low, xor(_clmul.low_low(first, c), _clmul.high_low(c, second)))
        high = xor(high, xor(_clmul.high_low(first, c), _clmul.high_high(second, c)))
    lanes = np.empty(8, np.uint64)
    _simd.store(lanes, 0, low)
    for k in range(8):
        out[0, k % 2] ^= lanes[k]
    _simd.store(lanes, 0, high)
    for k in range(8):
        out[1, k % 2] ^= lanes[k]


@kernel
def _encode_blocks(out: Words, table: Words, indices: Indices) -> None:
    k = np.uint64(table.shape[0])
    for j in range(out.shape[0]):
        low, high = out[j, 0], out[j, 1]
        for i in range(WEIGHT):
            at = (np.uint64(indices[j, i]) * k) >> _HALF
            low ^= table[at, 0]
            high ^= table[at, 1]
        out[j, 0], out[j, 1] = low, high


@kernel
def _encode_bits(out: Bytes, table: Bytes, indices: Indices) -> None:
    k = np.uint64(table.shape[0])
    for j in range(out.shape[0]):
        bit = out[j]
        for i in range(WEIGHT):
            bit ^= table[(np.uint64(indices[j, i]) * k) >> _HALF]
        out[j] = bit


@kernel
def _encode_field(out: Words, table: Words, indices: Indices) -> None:
    """Seven numbers below 2^61 fit into a word, so sums are reduced on the way once."""
    k = np.uint64(table.shape[0])
    for j in range(out.shape[0]):
        total = out[j]
        for i in range(WEIGHT):
            if i == WEIGHT // 2:
                total = remainder(total)
            total += table[(np.uint64(indices[j, i]) * k) >> _HALF]
        out[j] = remainder(total)


@kernel
def _encode_ring(out: Words, table: Words, indices: Indices) -> None:
    k = np.uint64(table.shape[0])
    for j in range(out.shape[0]):
        low, high = out[j, 0], out[j, 1]
        for i in range(WEIGHT):
            at = (np.uint64(indices[j, i]) * k) >> _HALF
            term = table[at, 0]
            low += term
            high += table[at, 1] + np.uint64(low < term)
        out[j, 0], out[j, 1] = low, high


@kernel(dtype=np.uint64)
def _field_values(out: Words, out_sums: Words, leaves: Words) -> None:
    out_sums[:] = np.uint64(0)
    for x in range(leaves.shape[0]):
        for j in range(leaves.shape[1]):
            value = canonical(leaves[x, j, 0] & _P)
            out[x, j] = value
            out_sums[j] = canonical(out_sums[j] + value)


@kernel(dtype=np.uint64)
def _ring_sums(out_sums: Words, leaves: Words) -> None:
    out_sums[:] = np.uint64(0)
    for x in range(leaves.shape[0]):
        for j in range(leaves.shape[1]):
            low = out_sums[j, 0] + leaves[x, j, 0]
            out_sums[j, 1] += leaves[x, j, 1] + np.uint64(low < leaves[x, j, 0])
            out_sums[j, 0] = low
