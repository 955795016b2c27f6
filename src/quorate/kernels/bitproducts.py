"""Products of bits with numbers by oblivious transfer: what the two ends do with their pads.

Transfer (h, e) is number h * count + e; its pad is a row of a (transfers, 2) uint64 array. Over the field modulo
p = 2^61 - 1 the number of a pad is its low word's low 61 bits, over the ring modulo 2^128 all of it. The sender's offer
is pad 0 - pad 1 + b_e, so that the receiver's pad of its bit x plus x times the offer is pad 0 + x b_e.

What is gathered are sums over h with public weights, two of them at once. Arrays of elements are (count,) for the
field, (count, 2) rows (low, high) for the ring; weights (bits, 2) and (bits, 2, 2), of which the first axis is h.
Ghosts among the arguments give ghosts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.errors import InternalError
from quorate.kernels._jit import Array, Words, device, kernel
from quorate.kernels.field import P, canonical, near_product, remainder
from quorate.kernels.ghost import ghost, is_ghost
from quorate.kernels.ring128 import plus, times

__all__ = ["field_gather", "field_offer", "ring_gather", "ring_offer"]

_P = np.uint64(P)
_ONE, _ZERO = np.uint64(1), np.uint64(0)


def field_offer(pad0: Words, pad1: Words, b: Words) -> Words:
    """The sender's offers: (transfers,)."""
    _check(pad0, pad1, b)
    if is_ghost(pad0, pad1, b):
        return ghost(pad0.shape[:1], np.uint64)
    out = np.empty(pad0.shape[0], np.uint64)
    _field_offer(out, pad0, pad1, b)
    return out


def ring_offer(pad0: Words, pad1: Words, b: Words) -> Words:
    """The sender's offers: (transfers, 2)."""
    _check(pad0, pad1, b)
    if is_ghost(pad0, pad1, b):
        return ghost(pad0.shape, np.uint64)
    out = np.empty(pad0.shape, np.uint64)
    _ring_offer(out, pad0, pad1, b)
    return out


def field_gather(pad: Words, bits: Array, offers: Words, weights: Words, count: int) -> Words:
    """Weighted sums over h of pad + bit * offer: (2, count). Offers may be any words; `bits` uint8."""
    if is_ghost(pad, bits, offers, weights):
        return ghost((2, count), np.uint64)
    out = np.zeros((2, count), np.uint64)
    _field_gather(out, pad, bits, offers, weights)
    return out


def ring_gather(pad: Words, bits: Array, offers: Words, weights: Words, count: int) -> Words:
    """Weighted sums over h of pad + bit * offer: (2, count, 2)."""
    if is_ghost(pad, bits, offers, weights):
        return ghost((2, count, 2), np.uint64)
    out = np.zeros((2, count, 2), np.uint64)
    _ring_gather(out, pad, bits, offers, weights)
    return out


def _check(pad0: Words, pad1: Words, b: Words) -> None:
    if pad0.shape != pad1.shape or pad0.shape[1:] != (2,) or (len(b) and len(pad0) % len(b)):
        raise InternalError(f"pads of shapes {pad0.shape} and {pad1.shape} for {b.shape} numbers")


@device
def _number(word: Any) -> Any:
    return canonical(word & _P)


@kernel
def _field_offer(out: Words, pad0: Words, pad1: Words, b: Words) -> None:
    count = b.shape[0]
    for h in range(out.shape[0] // count):
        for e in range(count):
            i = h * count + e
            out[i] = remainder(_number(pad0[i, 0]) + (_P - _number(pad1[i, 0])) + b[e])


@kernel
def _ring_offer(out: Words, pad0: Words, pad1: Words, b: Words) -> None:
    count = b.shape[0]
    for h in range(out.shape[0] // count):
        for e in range(count):
            i = h * count + e
            low, high = plus(pad0[i, 0], pad0[i, 1], b[e, 0], b[e, 1])
            borrow = _ONE if low < pad1[i, 0] else _ZERO
            out[i, 0], out[i, 1] = low - pad1[i, 0], high - pad1[i, 1] - borrow


@kernel
def _field_gather(out: Words, pad: Words, bits: Array, offers: Words, weights: Words) -> None:
    count = out.shape[1]
    for h in range(weights.shape[0]):
        w0, w1 = weights[h, 0], weights[h, 1]
        for e in range(count):
            i = h * count + e
            value = remainder(_number(pad[i, 0]) + np.uint64(bits[i]) * remainder(offers[i]))
            out[0, e] = remainder(out[0, e] + near_product(w0, value))
            out[1, e] = remainder(out[1, e] + near_product(w1, value))


@kernel
def _ring_gather(out: Words, pad: Words, bits: Array, offers: Words, weights: Words) -> None:
    count = out.shape[1]
    for h in range(weights.shape[0]):
        for e in range(count):
            i = h * count + e
            bit = np.uint64(bits[i])
            v0, v1 = plus(pad[i, 0], pad[i, 1], bit * offers[i, 0], bit * offers[i, 1])
            for k in range(2):
                s0, s1 = times(v0, v1, weights[h, k, 0], weights[h, k, 1])
                out[k, e, 0], out[k, e, 1] = plus(out[k, e, 0], out[k, e, 1], s0, s1)
