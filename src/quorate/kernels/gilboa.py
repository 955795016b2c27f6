"""Fused loops for products from correlated oblivious transfer (Gilboa, "Two Party RSA Key Generation", CRYPTO 1999).

For each bit k of the receiver's number b there are two pads: the sender has both, f_k and g_k, the receiver has f_k if
the bit is zero and g_k if it is one. The sender sends u_k = f_k - g_k + a; the receiver's pad plus b_k u_k is f_k plus
b_k a. Weighed by 2**k and summed, the receiver has a b plus the sum of 2**k f_k. Modulo 2**64 bit k needs only the
lowest 64 - k bits of u_k, so the messages of bits k and 64 - k share a word: 32 words and a half, 260 bytes, in all.

Pads are uint64 arrays (64 n, width): pad k of number i is row 64 i + k, of which the first column is used. With a ghost
among the arguments nothing is computed and ghosts of the right shapes are returned.
"""

from __future__ import annotations

import numpy as np

from quorate.errors import InternalError
from quorate.kernels._jit import Array, Words, kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["BITS", "HALVES", "WORDS", "lowest_bits", "receive", "receive_number", "send", "send_number"]

BITS = 64
"""Oblivious transfers per product."""
WORDS, HALVES = 32, 1
"""uint64 and uint32 words that travel per product."""


def send(first: Words, second: Words, a: Words, words: Words, halves: Array) -> Words:
    """The sender's messages for products with its numbers `a` (n,), into `words` (n, 32) and `halves` uint32 (n,).

    Returns:
        Its parts of the products, (n,).
    """
    count = _count(a, first, second)
    if is_ghost(first, second, a, words, halves):
        return ghost((count,), np.uint64)
    part = np.empty(count, np.uint64)
    _send(part, words, halves, first, second, a)
    return part


def receive(pads: Words, b: Words, words: Words, halves: Array) -> Words:
    """The receiver's parts of the products with its numbers `b` (n,), whose bits chose the `pads`."""
    count = _count(b, pads)
    if is_ghost(pads, b, words, halves):
        return ghost((count,), np.uint64)
    part = np.empty(count, np.uint64)
    _receive(part, pads, b, words, halves)
    return part


def send_number(first: Words, second: Words, a: Words) -> tuple[Words, Words]:
    """For the product of numbers `a` (n,) with single bits, pads (n, width): the messages u and the sender's parts."""
    f, g = first[:, 0], second[:, 0]
    return f - g + a, np.negative(f)


def receive_number(pads: Words, bits: Array, messages: Words) -> Words:
    """The receiver's parts of the products of its `bits` (uint8) with numbers."""
    return pads[:, 0] + messages * bits.astype(np.uint64)


def lowest_bits(pads: Words) -> Words:
    """The lowest bits of the first column of (64 n, width) pads, 64 to a word: (n,). Bit k of word i is of 64 i + k."""
    count = pads.shape[0] // BITS
    if is_ghost(pads):
        return ghost((count,), np.uint64)
    out = np.empty(count, np.uint64)
    _lowest_bits(out, pads)
    return out


def _count(numbers: Words, *pads: Words) -> int:
    count = int(numbers.shape[0])
    if numbers.ndim != 1 or any(pad.ndim != 2 or pad.shape[0] != BITS * count for pad in pads):
        raise InternalError(f"products of {numbers.shape} from pads of shapes {[pad.shape for pad in pads]}")
    return count


@kernel
def _send(out: Words, out_words: Words, out_halves: Array, first: Words, second: Words, a: Words) -> None:
    f = np.empty(64, np.uint64)
    u = np.empty(64, np.uint64)
    for i in range(a.size):
        x = a[i]
        total = np.uint64(0)
        for k in range(64):
            f[k] = first[64 * i + k, 0]
            u[k] = f[k] - second[64 * i + k, 0] + x
        for k in range(64):
            total += f[k] << np.uint64(k)
        out[i] = np.uint64(0) - total
        out_words[i, 0] = u[0]
        for k in range(1, 32):
            low = np.uint64(k)
            out_words[i, k] = ((u[k] << low) >> low) | (u[64 - k] << (np.uint64(64) - low))
        out_halves[i] = np.uint32(u[32] & np.uint64(0xFFFFFFFF))


@kernel
def _receive(out: Words, pads: Words, b: Words, words: Words, halves: Array) -> None:
    p = np.empty(64, np.uint64)
    for i in range(b.size):
        choice = b[i]
        total = np.uint64(0)
        for k in range(64):
            p[k] = pads[64 * i + k, 0]
        for k in range(64):
            total += p[k] << np.uint64(k)
        one = np.uint64(1)
        total += words[i, 0] & (np.uint64(0) - (choice & one))
        total += (np.uint64(halves[i]) << np.uint64(32)) & (np.uint64(0) - ((choice >> np.uint64(32)) & one))
        for k in range(1, 32):
            low, high = np.uint64(k), np.uint64(64 - k)
            word = words[i, k]
            total += (word << low) & (np.uint64(0) - ((choice >> low) & one))
            total += ((word >> high) << high) & (np.uint64(0) - ((choice >> high) & one))
        out[i] = total


@kernel
def _lowest_bits(out: Words, pads: Words) -> None:
    for i in range(out.size):
        word = np.uint64(0)
        for k in range(64):
            word |= (pads[64 * i + k, 0] & np.uint64(1)) << np.uint64(k)
        out[i] = word
