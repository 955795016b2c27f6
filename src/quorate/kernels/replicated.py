"""Fused loops of comparisons with replicated sharing among three parties; see `quorate.protocols.rep3_signs`.

They work on v and u, the low bits of uint64 elements of the ring, as words of 8, 16, 32 or 64 bits. One party, the
dealer, knows v. The two holders have an exclusive or sharing of it, `dealt`, and know u. A pair is what a party has of
a replicated sharing: two of its three parts. All arrays are 1-D; with a ghost among them ghosts are returned.

A party's part of the and of replicated words x, y, to be masked before it is sent, is (xa & (ya ^ yb)) ^ (xb & ya).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quorate.kernels._jit import Array, Words, device, kernel
from quorate.kernels.bits import exchanges, full_word, reversed_word
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["carry_dealer", "carry_holder", "carry_next", "ones_dealer", "ones_holder", "ones_next"]

Pair = tuple[Array, Array]
ONE = np.uint64(1)


def carry_dealer(first: Words, second: Words, mask: Array) -> tuple[Array, Array, Pair]:
    """The dealer's start of the carry tree of u + v for v = first + second.

    Returns (v, arranged, ^ mask; part of the first level's and; g), the first two of the dtype of `mask`. g is the
    upper half of the maps' g in words of half the width; all of it for words of 8 bits.
    """
    kind, half = mask.dtype, _half(mask)
    if is_ghost(first, second, mask):
        return _ghosts(first, kind), _ghosts(first, kind), (_ghosts(first, half), _ghosts(first, half))
    rest, z = _blanks(first, kind, kind)
    _carry_dealer(rest, z, first, second, mask)
    return rest, z, (_carried(mask), _carried(rest))


def carry_holder(dealt: Array, u: Words, leads: bool) -> tuple[Array, Pair]:
    """A holder's start: (part of the first level's and; g). `leads`: the dealt part comes first in its pairs."""
    kind, half = dealt.dtype, _half(dealt)
    if is_ghost(dealt, u):
        return _ghosts(u, kind), (_ghosts(u, half), _ghosts(u, half))
    z, of_u = _blanks(u, kind, half)
    _carry_holder(z, of_u, dealt, u, leads)
    return z, (_carried(dealt), of_u) if leads else (of_u, _carried(dealt))


def carry_next(z: Pair, g: Pair) -> tuple[Array, Pair]:
    """From the and of a level on words of 64, 32 or 16 bits, and g: (part of the next level's and; its g)."""
    kind = _half(z[0])
    half = np.dtype(f"u{max(kind.itemsize // 2, 1)}")
    if is_ghost(*z, *g):
        return _ghosts(z[0], kind), (_ghosts(z[0], half), _ghosts(z[0], half))
    out, ga, gb = _blanks(z[0], kind, half, half)
    _carry_next(out, ga, gb, *z, *g)
    return out, (ga, gb)


def ones_dealer(first: Words, second: Words, mask: Array) -> tuple[Array, Array]:
    """The dealer's start of a tree of ands over the bits of v ^ u, v = first + second.

    Returns (v ^ mask; part of the and of the upper and the lower half, in words of half the width).
    """
    if is_ghost(first, second, mask):
        return _ghosts(first, mask.dtype), _ghosts(first, _half(mask))
    rest, z = _blanks(first, mask.dtype, _half(mask))
    _ones_dealer(rest, z, first, second, mask)
    return rest, z


def ones_holder(dealt: Array, u: Words, leads: bool) -> Array:
    """A holder's start: its part of that and. `leads`: the dealt part comes first in its pairs."""
    if is_ghost(dealt, u):
        return _ghosts(u, _half(dealt))
    (z,) = _blanks(u, _half(dealt))
    _ones_holder(z, dealt, u, leads)
    return z


def ones_next(z: Pair) -> Array:
    """The part of the next level's and, for words of 64, 32 or 16 bits."""
    if is_ghost(*z):
        return _ghosts(z[0], _half(z[0]))
    (out,) = _blanks(z[0], _half(z[0]))
    _ones_next(out, *z)
    return out


def _carried(dealt: Array) -> Array:
    """A part of v as it adds to g: the top bit of v, which `arrange` turned to the bottom, goes to the last map."""
    (out,) = _blanks(dealt, _half(dealt))
    _low_to_top(out, dealt)
    return out


def _half(words: Array) -> np.dtype[Any]:
    """Words of half the width, or of 8 bits."""
    return np.dtype(f"u{max(words.dtype.itemsize // 2, 1)}")


def _ghosts(like: Array, kind: np.dtype[Any]) -> Array:
    return ghost(like.shape, kind)


def _blanks(like: Array, *kinds: np.dtype[Any]) -> list[Array]:
    return [np.empty(like.shape, kind) for kind in kinds]


@device
def _and_part(xa: Any, xb: Any, ya: Any, yb: Any) -> Any:
    return (xa & (ya ^ yb)) ^ (xb & ya)


@device
def _level(ga: Any, gb: Any, pa: Any, pb: Any, half: Any) -> Any:
    """The part of the and of a level of the carry tree, on words of twice `half` bits (as `bits.replicated_level`)."""
    low = (ONE << half) - ONE
    xa, xb = pa >> half, pb >> half
    ya, yb = ((ga & low) << half) | (pa & low), ((gb & low) << half) | (pb & low)
    return _and_part(xa | (xa << half), xb | (xb << half), ya, yb)


@kernel
def _low_to_top(out: Array, x: Array) -> None:
    top = np.uint64(8 * out.itemsize - 1)
    for i in range(out.size):
        out[i] = np.uint64(x[i]) << top


@kernel
def _carry_dealer(out_rest: Array, out: Array, x: Words, y: Words, mask: Array) -> None:
    size = out.itemsize
    top, half = np.uint64(8 * size - 1), np.uint64(4 * size)
    by, full = exchanges(size), full_word(size)
    for i in range(out.size):
        a, w = np.uint64(mask[i]), (x[i] + y[i]) & full
        b = reversed_word(((w << ONE) | (w >> top)) & full, by) ^ a
        out_rest[i] = b
        out[i] = _level((a & ONE) << top, (b & ONE) << top, a & ~ONE, b & ~ONE, half)


@kernel
def _carry_holder(out: Array, out_u: Array, dealt: Array, u: Words, leads: bool) -> None:
    size = out.itemsize
    top, half = np.uint64(8 * size - 1), np.uint64(4 * size)
    down = half if out_u.itemsize < size else np.uint64(0)
    by, full = exchanges(size), full_word(size)
    swap = np.uint64(leads) - ONE  # a branch within the loop would keep it from being vectorised
    for i in range(out.size):
        d, w = np.uint64(dealt[i]), u[i] & full
        p, q = d & ~ONE, reversed_word((w << ONE) & full, by)
        g, h = (d & ONE) << top, reversed_word(w, by) ^ q
        ps, gs = (p ^ q) & swap, (g ^ h) & swap
        out[i] = _level(g ^ gs, h ^ gs, p ^ ps, q ^ ps, half)
        out_u[i] = h >> down


@kernel
def _carry_next(out: Array, out_ga: Array, out_gb: Array, za: Array, zb: Array, ga: Array, gb: Array) -> None:
    size = out.itemsize
    whole, half = np.uint64(8 * size), np.uint64(4 * size)
    low = (ONE << whole) - ONE
    down = half if out_ga.itemsize < size else np.uint64(0)
    for i in range(out.size):
        z, y = np.uint64(za[i]), np.uint64(zb[i])
        g, h = np.uint64(ga[i]) ^ (z >> whole), np.uint64(gb[i]) ^ (y >> whole)
        out[i] = _level(g, h, z & low, y & low, half)
        out_ga[i] = g >> down
        out_gb[i] = h >> down


@kernel
def _ones_dealer(out_rest: Array, out: Array, x: Words, y: Words, mask: Array) -> None:
    half = np.uint64(4 * out_rest.itemsize)
    for i in range(out.size):
        a = np.uint64(mask[i])
        b = (x[i] + y[i]) ^ a
        out_rest[i] = b
        out[i] = _and_part(a >> half, b >> half, a, b)


@kernel
def _ones_holder(out: Array, dealt: Array, u: Words, leads: bool) -> None:
    half = np.uint64(4 * dealt.itemsize)
    swap = np.uint64(leads) - ONE
    for i in range(out.size):
        d = np.uint64(dealt[i])
        exchanged = (d ^ u[i]) & swap
        a, b = d ^ exchanged, u[i] ^ exchanged
        out[i] = _and_part(a >> half, b >> half, a, b)


@kernel
def _ones_next(out: Array, za: Array, zb: Array) -> None:
    half = np.uint64(8 * out.itemsize)
    for i in range(out.size):
        a, b = np.uint64(za[i]), np.uint64(zb[i])
        out[i] = _and_part(a >> half, b >> half, a, b)
