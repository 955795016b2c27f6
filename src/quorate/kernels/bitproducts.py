"""Products of bits with numbers by oblivious transfer: what the two ends do with their pads.

Transfer (h, e) is number h * count + e; its pad is a row of a (transfers, 2) uint64 array. Over the field modulo
p = 2^61 - 1 the number of a pad is its low word's low 61 bits, over the ring modulo 2^128 all of it. The sender's offer
is pad 0 - pad 1 + b_e, so that the receiver's pad of its bit x plus x times the offer is pad 0 + x b_e.

What is gathered are sums over h with public weights, two of them at once. Arrays of elements are (count,) for the
field, (count, 2) rows (low, high) for the ring; weights (bits, 2) and (bits, 2, 2), of which the first axis is h. All
functions write into their first arguments, and work on real arrays alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.kernels._jit import Array, Words, device, kernel
from quorate.kernels.field import P, canonical, near_product, remainder
from quorate.kernels.ring128 import high_word, plus

__all__ = [
    "field_gather",
    "field_offers",
    "field_sums",
    "field_values",
    "ring_gather",
    "ring_offers",
    "ring_sums",
    "ring_values",
]

_P = np.uint64(P)
_ONE, _ZERO = np.uint64(1), np.uint64(0)
_STRETCH = 1024  # elements whose sums stay in the first cache


@device
def _number(word: Any) -> Any:
    return canonical(word & _P)


@kernel(dtype=np.uint64)
def field_offers(out_offers: Words, out_kept: Words, pad0: Words, pad1: Words, b: Words) -> None:
    """Offers, and the numbers of pads 0, for whole vectors of transfers: (rows * count,) each."""
    count = b.shape[0]
    for h in range(out_offers.shape[0] // count):
        for e in range(count):
            i = h * count + e
            first = _number(pad0[i, 0])
            out_kept[i] = first
            out_offers[i] = remainder(first + (_P - _number(pad1[i, 0])) + b[e])


@kernel(dtype=np.uint64)
def ring_offers(out_offers: Words, out_kept: Words, pad0: Words, pad1: Words, b: Words) -> None:
    """The same with arrays of rows (low, high)."""
    count = b.shape[0]
    for h in range(out_offers.shape[0] // count):
        for e in range(count):
            i = h * count + e
            low, high = plus(pad0[i, 0], pad0[i, 1], b[e, 0], b[e, 1])
            borrow = _ONE if low < pad1[i, 0] else _ZERO
            out_offers[i, 0], out_offers[i, 1] = low - pad1[i, 0], high - pad1[i, 1] - borrow
            out_kept[i, 0], out_kept[i, 1] = pad0[i, 0], pad0[i, 1]


@kernel
def field_values(out: Words, pad: Words, bits: Array) -> None:
    """pad + bit * offer, where `out` (transfers,) holds offers, which may be any words; bits uint8."""
    for i in range(out.shape[0]):
        out[i] = remainder(_number(pad[i, 0]) + np.uint64(bits[i]) * remainder(out[i]))


@kernel
def ring_values(out: Words, pad: Words, bits: Array) -> None:
    """The same for rows (low, high)."""
    for i in range(out.shape[0]):
        bit = np.uint64(bits[i])
        out[i, 0], out[i, 1] = plus(pad[i, 0], pad[i, 1], bit * out[i, 0], bit * out[i, 1])


@kernel(dtype=np.uint64)
def field_gather(out: Words, values: Words, weights: Words) -> None:
    """out (2, count) += weighted sums over h of values (bits * count,)."""
    count = out.shape[1]
    for start in range(0, count, _STRETCH):
        width = min(_STRETCH, count - start)
        for k in range(2):
            sums = out[k, start : start + width]
            for h in range(weights.shape[0]):
                w = weights[h, k]
                if w != _ZERO:
                    row = values[h * count + start : h * count + start + width]
                    for e in range(width):
                        sums[e] = remainder(sums[e] + near_product(w, row[e]))


@kernel(dtype=np.uint64)
def ring_gather(out: Words, values: Words, weights: Words) -> None:
    """out (2, count, 2) += weighted sums over h of values (bits * count, 2)."""
    count = out.shape[1]
    for start in range(0, count, _STRETCH):
        stop = min(start + _STRETCH, count)
        for h in range(weights.shape[0]):
            for k in range(2):
                w0, w1 = weights[h, k, 0], weights[h, k, 1]
                if w0 != _ZERO or w1 != _ZERO:
                    for e in range(start, stop):
                        v0, v1 = values[h * count + e, 0], values[h * count + e, 1]
                        high = high_word(v0, w0) + v0 * w1 + v1 * w0
                        out[k, e, 0], out[k, e, 1] = plus(out[k, e, 0], out[k, e, 1], v0 * w0, high)


@kernel
def field_sums(out: Words, bits: Array, weights: Words) -> None:
    """out (2, count) += weighted sums over h of bits, uint8 (bits * count,)."""
    count = out.shape[1]
    for h in range(weights.shape[0]):
        for k in range(2):
            w = weights[h, k]
            if w != _ZERO:
                for e in range(count):
                    out[k, e] = canonical(out[k, e] + np.uint64(bits[h * count + e]) * w)


@kernel
def ring_sums(out: Words, bits: Array, weights: Words) -> None:
    """out (2, count, 2) += weighted sums over h of bits."""
    count = out.shape[1]
    for h in range(weights.shape[0]):
        for k in range(2):
            w0, w1 = weights[h, k, 0], weights[h, k, 1]
            if w0 != _ZERO or w1 != _ZERO:
                for e in range(count):
                    bit = np.uint64(bits[h * count + e])
                    out[k, e, 0], out[k, e, 1] = plus(out[k, e, 0], out[k, e, 1], bit * w0, bit * w1)
