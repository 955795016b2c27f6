"""Loops of the verification of products over the field of p = 2^61 - 1 elements: canonical uint64 in and out.

Blocks are (k, m) arrays. What the points of {0, 1, infinity}^nu are, and their numbers, says
`quorate.protocols.verification.domain`. With a ghost among the arguments nothing is computed and a ghost returned.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels._jit import Words, device, kernel
from quorate.kernels.field import P, canonical, near_product, partly, product, remainder
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["combine_blocks", "hypercube_products", "weighted_sums"]

_P = np.uint64(P)
_ZERO = np.uint64(0)
_32 = np.uint64(32)
_WORD32 = np.uint64((1 << 32) - 1)
_TILE, _ROOM = 256, 8192


def hypercube_products(left: Words, right: Words, sigma: Words | None = None) -> Words:
    """Sum over j of sigma_j * left_j(q) * right_j(q) at the 3^nu points q, for blocks (2^nu, m): (3^nu,).

    Without `sigma` (m,) all weights are 1.
    """
    corners = len(left)
    nu = corners.bit_length() - 1
    if left.shape != right.shape or left.ndim != 2 or corners != 1 << nu or (sigma is not None and sigma.ndim != 1):
        raise InternalError(f"blocks of shapes {left.shape} and {right.shape} at the corners of a hypercube")
    if sigma is not None and len(sigma) != left.shape[1]:
        raise InternalError(f"{len(sigma)} weights for blocks of shape {left.shape}")
    if is_ghost(left, right, sigma):
        return ghost(3**nu, np.uint64)
    out = np.empty(3**nu, np.uint64)
    weights = np.empty(0, np.uint64) if sigma is None else sigma
    _hypercube_products(out, left, right, weights, _corner_numbers(nu), _differences(nu))
    return out


def weighted_sums(blocks: Words, sigma: Words) -> Words:
    """Sum over j of sigma_j * blocks[a, j] for every row of blocks (k, m): (k,)."""
    if blocks.ndim != 2 or blocks.shape[1:] != sigma.shape:
        raise InternalError(f"weights of shape {sigma.shape} for blocks of shape {blocks.shape}")
    if is_ghost(blocks, sigma):
        return ghost(len(blocks), np.uint64)
    out = np.empty(len(blocks), np.uint64)
    _weighted_sums(out, blocks, sigma)
    return out


def combine_blocks(blocks: Words, weights: Words) -> Words:
    """Sum over a of weights_a * blocks[a] for blocks (k, m): (m,)."""
    if blocks.ndim != 2 or weights.shape != blocks.shape[:1]:
        raise InternalError(f"weights of shape {weights.shape} for blocks of shape {blocks.shape}")
    if is_ghost(blocks, weights):
        return ghost(blocks.shape[1], np.uint64)
    out = np.empty(blocks.shape[1], np.uint64)
    _combine_blocks(out, blocks, weights)
    return out


@lru_cache(maxsize=16)
def _corner_numbers(nu: int) -> Any:
    """The numbers, among the 3^nu points, of the corners 0 ... 2^nu - 1."""
    return np.array([sum(3**v for v in range(nu) if a >> v & 1) for a in range(1 << nu)], np.int64)


@lru_cache(maxsize=16)
def _differences(nu: int) -> Any:
    """(count, 3): point q is the difference of two points, which come earlier in the list or are corners."""
    found = []
    for v in range(nu):
        for q in range(3**nu):
            digits = [q // 3**u % 3 for u in range(nu)]
            if digits[v] == 2 and 2 not in digits[v + 1 :]:
                found.append((q, q - 3**v, q - 2 * 3**v))
    return np.array(found, np.int64).reshape(-1, 3)


@device
def _load(row: Words, source: Words, sigma: Words) -> None:
    if sigma.size:
        for j in range(source.size):
            row[j] = product(source[j], sigma[j])
    else:
        for j in range(source.size):
            row[j] = source[j]


@device
def _subtract(row: Words, first: Words, second: Words) -> None:
    for j in range(row.size):
        row[j] = canonical(first[j] + (_P - second[j]))


@device
def _inner(x: Words, y: Words) -> Any:
    """Sums of the two halves of up to 2^32 products stay below 2^64."""
    low = high = _ZERO
    for j in range(x.size):
        value = near_product(x[j], y[j])
        low += value & _WORD32
        high += value >> _32
    return remainder(product(remainder(high), np.uint64(1 << 32)) + remainder(low))


@kernel
def _hypercube_products(out: Words, left: Words, right: Words, sigma: Words, corners: Any, differences: Any) -> None:
    points, m = out.size, left.shape[1]
    tile = max(8, min(_TILE, _ROOM // points) & ~7)
    x = np.empty((points, tile), np.uint64)
    y = np.empty((points, tile), np.uint64)
    none = np.empty(0, np.uint64)
    out[:] = _ZERO
    for start in range(0, m, tile):
        width = min(tile, m - start)
        for a in range(corners.size):
            _load(x[corners[a], :width], left[a, start : start + width], sigma[start : start + width])
            _load(y[corners[a], :width], right[a, start : start + width], none)
        for k in range(differences.shape[0]):
            q, one, two = differences[k, 0], differences[k, 1], differences[k, 2]
            _subtract(x[q, :width], x[one, :width], x[two, :width])
            _subtract(y[q, :width], y[one, :width], y[two, :width])
        for q in range(points):
            out[q] = canonical(out[q] + _inner(x[q, :width], y[q, :width]))


@kernel(dtype=np.uint64)
def _weighted_sums(out: Words, blocks: Words, sigma: Words) -> None:
    for a in range(blocks.shape[0]):
        out[a] = _inner(blocks[a], sigma)


@device
def _accumulate(out: Words, row: Words, weight: Any) -> None:
    for j in range(out.size):
        out[j] = partly(out[j] + near_product(row[j], weight))


@device
def _reduce(out: Words) -> None:
    for j in range(out.size):
        out[j] = remainder(out[j])


@kernel(dtype=np.uint64)
def _combine_blocks(out: Words, blocks: Words, weights: Words) -> None:
    """A stretch of all blocks at a time, so that the sums stay in the cache."""
    m = out.size
    for start in range(0, m, 2048):
        end = min(start + 2048, m)
        out[start:end] = _ZERO
        for a in range(blocks.shape[0]):
            _accumulate(out[start:end], blocks[a, start:end], weights[a])
        _reduce(out[start:end])
