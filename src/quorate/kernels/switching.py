"""Permutation networks: layers of switches, each of which swaps two rows or leaves them, that make any permutation.

The network for n rows is Waksman's ("A Permutation Network", JACM 15 (1), 1968), for any n as in Beauquier and Darrot
("On Arbitrary Size Waksman Networks and Their Vulnerability", Parallel Processing Letters 12, 2002) and Chang and
Melhem ("Arbitrary Size Benes Networks", Parallel Processing Letters 7, 1997): n log2(n) - n + 1 switches (less or more
by rounding) in 2 ceil(log2(n)) - 1 layers.

Rows stay in place. Level l has one network for every remainder modulo 2**l, of the rows with that remainder; its first
layer pairs neighbours, rows a and a + 2**l where bit l of a is not set. What goes on in the upper half network is in
the first of two neighbours, what goes on in the lower one in the second; so the two halves are networks of level l + 1.
Its last layer pairs the same rows, but for the last pair of a network of even size, and of size 2 or 1 none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels._jit import Array, kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["Layer", "control_bits", "depth", "layers", "switches"]

Bits = npt.NDArray[np.uint8]
UNSET = 2


class Layer(NamedTuple):
    """Switches that work side by side: rows `first` with rows `second`; their bits are `place` of all."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    place: slice


def _levels(rows: int) -> int:
    return (rows - 1).bit_length() if rows > 1 else 0


def _pairs(rows: int, level: int, *, last: bool) -> npt.NDArray[np.int64]:
    """The first rows of the pairs of a level's first or last layer."""
    step = 1 << level
    first: npt.NDArray[np.int64] = np.arange(rows - step)
    first = first[first & step == 0]
    if not last:
        return first
    # A pair is the last of a network of even size if no row of that network comes after it.
    remainder = first & (step - 1)
    sizes = (rows - remainder + step - 1) // step
    first = first[(sizes % 2 == 1) | (first + 2 * step < rows)]
    return first


def layers(rows: int) -> Iterator[Layer]:
    """The layers of the network for so many rows, in the order in which they work; none for less than two rows."""
    start = 0
    for level, last in _order(rows):
        first = _pairs(rows, level, last=last)
        yield Layer(first, first + (1 << level), slice(start, start + len(first)))
        start += len(first)


def depth(rows: int) -> int:
    """How many layers the network has."""
    return len(_order(rows))


def _order(rows: int) -> list[tuple[int, bool]]:
    count = _levels(rows)
    return [(level, False) for level in range(count)] + [(level, True) for level in reversed(range(count - 1))]


@lru_cache(maxsize=1 << 10)
def switches(rows: int) -> int:
    """How many switches the network has."""
    return rows - 1 + switches(rows // 2) + switches(rows - rows // 2) if rows > 1 else 0


def control_bits(perm: npt.NDArray[np.integer[Any]]) -> Bits:
    """Which switches swap, so that row i of the result is row perm[i]: uint8 0/1, as `Layer.place` says.

    O(n log n). With a ghost a ghost is returned; InternalError for what is no permutation.
    """
    rows = perm.size
    if is_ghost(perm):
        return ghost(switches(rows), np.uint8)
    now = perm.astype(np.int64)
    if perm.ndim != 1 or not np.array_equal(np.bincount(now, minlength=rows), np.ones(rows, np.int64)):
        raise InternalError(f"an array of shape {perm.shape} is not a permutation: it cannot be routed")
    by_layer: dict[tuple[int, bool], Array] = {}
    for level in range(_levels(rows)):
        front, back, later = np.full(rows, UNSET, np.uint8), np.full(rows, UNSET, np.uint8), np.empty_like(now)
        _route(front, back, later, np.empty_like(now), now, 1 << level)
        by_layer[level, False], by_layer[level, True], now = front, back, later
    found = [by_layer[key][_pairs(rows, key[0], last=key[1])] for key in _order(rows)]
    return np.concatenate([np.zeros(0, np.uint8), *found])


@kernel
def _route(out_front: Bits, out_back: Bits, out_later: Array, out_inverse: Array, now: Array, step: int) -> None:
    """One level: bits at the first row of each pair, and the permutations of the networks of the next level.

    The outputs of a network that must not come from the same half, since they are neighbours or what they take is, make
    cycles; each may be turned as one likes, but for the one of the last pair (n even), whose outputs come straight, and
    the path that ends in the last row (n odd), which belongs to the upper half.
    """
    rows = now.size
    for start in range(min(step, rows)):
        size = (rows - start + step - 1) // step
        if size < 2:
            out_later[start] = 0
            continue
        pairs = size // 2
        for i in range(size):
            out_inverse[start + now[start + i * step] * step] = i
        # First the output that has to come from the upper half, then all that are not decided yet.
        for turn in range(-1, pairs):
            chosen = 2 * turn
            if turn < 0:
                chosen = size - 1 if size % 2 == 1 else size - 2
            elif out_back[start + chosen * step] != 2:
                continue
            output = chosen
            while True:  # this output comes from the upper half
                if output // 2 < pairs:
                    out_back[start + (output & -2) * step] = output & 1
                source = now[start + output * step]
                if source // 2 >= pairs:
                    break
                out_front[start + (source & -2) * step] = source & 1
                other = out_inverse[start + (source ^ 1) * step]
                if other // 2 >= pairs:
                    break
                out_back[start + (other & -2) * step] = 1 - (other & 1)
                output = other ^ 1
                if output == chosen:
                    break
        for k in range(pairs):
            upper = 2 * k + out_back[start + 2 * k * step]
            lower = 4 * k + 1 - upper
            out_later[start + 2 * k * step] = now[start + upper * step] // 2
            out_later[start + (2 * k + 1) * step] = now[start + lower * step] // 2
        if size % 2 == 1:
            out_later[start + (size - 1) * step] = now[start + (size - 1) * step] // 2
