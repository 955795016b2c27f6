"""Bookkeeping of sorting by comparisons whose outcomes are public: what to compare next, and which order follows.

Rows are numbered from 0 (int32). ``order`` lists the rows sorted so far, smallest first. All sizes are public and fixed
beforehand; what chance leaves over of a list of comparisons is filled with the comparison of rows 0 and 1. With a ghost
among the arguments nothing is computed and ghosts of these sizes are returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError
from quorate.kernels._jit import Array, kernel
from quorate.kernels.ghost import ghost, is_ghost

__all__ = ["Rows", "compared", "gap_pairs", "inserted", "narrowed", "running_sums", "search_pairs", "tree_order"]

Rows = npt.NDArray[np.int32]


def search_pairs(order: Rows, places: Rows, start: int, digit: int, rest: int, size: int) -> tuple[Rows, Rows]:
    """One step of a search: each row ``start + i`` beside 2**digit - 1 pivots, evenly spaced in its part of ``order``.

    ``places[i]`` is the number of sorted rows known to be smaller, (r,); the part has 2**(digit + rest) - 1 rows from
    there on. Returns (left, right), (size,) each: rows and their pivots, row by row. InternalError if ``size`` is less.
    """
    if is_ghost(order, places):
        return ghost(size, np.int32), ghost(size, np.int32)
    left, right = _dummies(size)
    if places.size * ((1 << digit) - 1) > size:
        raise InternalError(f"sort: {places.size} rows do not fit {size} comparisons")
    _search_pairs(left, right, order, places, start, digit, rest)
    return left, right


def narrowed(places: Rows, outcomes: npt.NDArray[np.uint8], digit: int, rest: int) -> Rows:
    """``places`` after a step of the search; ``outcomes``: whether a row is greater than its pivot, as 0 or 1."""
    if is_ghost(places, outcomes):
        return ghost(places.shape, np.int32)
    out = np.empty(places.shape, np.int32)
    _narrowed(out, places, outcomes, digit, rest)
    return out


def gap_pairs(places: Rows, gaps: int, start: int, size: int) -> tuple[Rows, Rows]:
    """All pairs of rows that fell into the same of ``gaps`` gaps: (left, right), (size,) each.

    ``places[i]`` is the gap of row ``start + i``. InternalError if there are more than ``size`` pairs.
    """
    if is_ghost(places):
        return ghost(size, np.int32), ghost(size, np.int32)
    members, first = _by_gap(places, gaps)
    wanted = int(((first[1:] - first[:-1]) * (first[1:] - first[:-1] - 1) // 2).sum())
    if wanted > size:
        raise InternalError(
            f"sort: chance put {wanted} pairs of rows into the same gaps where {size} were provided for; this happens "
            "once in 2**40 runs, and nothing was disclosed: run the computation again"
        )
    left, right = _dummies(size)
    _gap_pairs(left, right, members, first, start)
    return left, right


def inserted(order: Rows, places: Rows, start: int, outcomes: npt.NDArray[np.uint8]) -> Rows:
    """The order of the rows so far and the rows ``start + i`` of gaps ``places[i]``, from the outcomes of `gap_pairs`.

    ``outcomes``: whether the left row of a pair is greater, as 0 or 1.
    """
    if is_ghost(order, places, outcomes):
        return ghost(order.size + places.size, np.int32)
    members, first = _by_gap(places, order.size + 1)
    out = np.empty(order.size + places.size, np.int32)
    _inserted(out, np.empty(places.shape, np.int32), order, members, first, outcomes, start)
    return out


def compared(
    gray: Array, plain: Array, mask: Array, left: Rows, right: Rows, out: tuple[Array, Array] | None = None
) -> tuple[Array, Array]:
    """One part of the operands of a comparison: gray[left] and plain[left] ^ plain[right] ^ mask, shape of ``left``.

    ``gray`` and ``plain`` are (n,) and of one unsigned dtype, ``mask`` is one such word, (1,). Indices are not checked.
    """
    dtype = gray.dtype
    if is_ghost(gray, plain, mask, left, right):
        return ghost(left.shape, dtype), ghost(left.shape, dtype)
    if not (dtype == plain.dtype == mask.dtype) or left.shape != right.shape or gray.shape != plain.shape:
        raise InternalError(f"sort: words {gray.dtype} {gray.shape}, {plain.dtype} {plain.shape}, pairs {left.shape}")
    g, t = (np.empty(left.shape, dtype), np.empty(left.shape, dtype)) if out is None else out
    _compared(g, t, gray, plain, mask, left, right)
    return g, t


def tree_order(words: Array) -> Array:
    """The bits of words of 8, 16, 32 or 64 bits in the order of the carry tree: position i at bit i read backwards."""
    levels = {8: 3, 16: 4, 32: 5, 64: 6}[words.dtype.itemsize * 8]
    for low in range(levels // 2):
        words = _exchanged(words, low, levels - 1 - low)
    return words


def running_sums(x: Array, modulus: int) -> Array:
    """Sums of x[..., :k + 1] for every k; modulo 2**64 for ``modulus`` 0, else of numbers below an odd ``modulus``."""
    if x.dtype != np.uint64:
        raise InternalError(f"running sums: dtype {x.dtype} is not uint64")
    if is_ghost(x):
        return ghost(x.shape, np.uint64)
    out = np.empty(x.shape, np.uint64)
    if x.size:
        rows = (-1, x.shape[-1])
        _running_sums(out.reshape(rows), x.reshape(rows), np.uint64(modulus))
    return out


def _exchanged(words: Array, low: int, high: int) -> Array:
    """Exchange the bits at positions that differ in the binary digits ``low`` and ``high`` of the position."""
    kind = words.dtype.type
    width = words.dtype.itemsize * 8
    shift = kind((1 << high) - (1 << low))
    mask = kind(sum(1 << i for i in range(width) if i >> low & 1 and not i >> high & 1))
    if is_ghost(words):
        return words
    out = np.empty(words.shape, words.dtype)
    _exchange(out.reshape(-1), words.reshape(-1), mask, shift)
    return out


def _dummies(size: int) -> tuple[Rows, Rows]:
    return np.zeros(size, np.int32), np.ones(size, np.int32)


def _by_gap(places: Rows, gaps: int) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Indices of ``places`` gap by gap, and where each gap starts: (gaps + 1,)."""
    first = np.zeros(gaps + 1, np.int64)
    members = np.empty(places.shape, np.int32)
    _sort_by_gap(members, first, np.zeros(gaps, np.int64), places)
    return members, first


@kernel
def _exchange(out: Array, words: Array, mask: Any, shift: Any) -> None:
    for i in range(out.size):
        moved = (words[i] ^ (words[i] >> shift)) & mask
        out[i] = words[i] ^ moved ^ (moved << shift)


@kernel
def _running_sums(out: Array, x: Array, modulus: Any) -> None:
    for row in range(x.shape[0]):
        total = np.uint64(0)
        for i in range(x.shape[1]):
            total += x[row, i]
            if modulus and total >= modulus:
                total -= modulus
            out[row, i] = total


@kernel
def _search_pairs(
    out_left: Rows, out_right: Rows, order: Rows, places: Rows, start: int, digit: int, rest: int
) -> None:
    pivots = (1 << digit) - 1
    for i in range(places.size):
        for k in range(pivots):
            out_left[i * pivots + k] = start + i
            out_right[i * pivots + k] = order[places[i] + ((k + 1) << rest) - 1]


@kernel
def _narrowed(out: Rows, places: Rows, outcomes: npt.NDArray[np.uint8], digit: int, rest: int) -> None:
    pivots = (1 << digit) - 1
    for i in range(places.size):
        smaller = 0
        for k in range(pivots):
            smaller += outcomes[i * pivots + k]
        out[i] = places[i] + (smaller << rest)


@kernel
def _sort_by_gap(
    out_members: Rows, out_first: npt.NDArray[np.int64], out_next: npt.NDArray[np.int64], places: Rows
) -> None:
    for i in range(places.size):
        out_first[places[i] + 1] += 1
    for gap in range(out_next.size):
        out_first[gap + 1] += out_first[gap]
        out_next[gap] = out_first[gap]
    for i in range(places.size):
        gap = places[i]
        out_members[out_next[gap]] = i
        out_next[gap] += 1


@kernel
def _gap_pairs(out_left: Rows, out_right: Rows, members: Rows, first: npt.NDArray[np.int64], start: int) -> None:
    pair = 0
    for gap in range(first.size - 1):
        for a in range(first[gap], first[gap + 1]):
            for b in range(a + 1, first[gap + 1]):
                out_left[pair] = start + members[a]
                out_right[pair] = start + members[b]
                pair += 1


@kernel
def _inserted(
    out: Rows,
    out_smaller: Rows,
    order: Rows,
    members: Rows,
    first: npt.NDArray[np.int64],
    outcomes: npt.NDArray[np.uint8],
    start: int,
) -> None:
    out_smaller[:] = 0
    pair = 0
    for gap in range(first.size - 1):
        for a in range(first[gap], first[gap + 1]):
            for b in range(a + 1, first[gap + 1]):
                out_smaller[a] += outcomes[pair]
                out_smaller[b] += 1 - outcomes[pair]
                pair += 1
        for a in range(first[gap], first[gap + 1]):
            out[gap + first[gap] + out_smaller[a]] = start + members[a]
        if gap < order.size:
            out[gap + first[gap + 1]] = order[gap]


@kernel
def _compared(out_g: Array, out_t: Array, gray: Array, plain: Array, mask: Array, left: Rows, right: Rows) -> None:
    flip = mask[0]
    for i in range(left.size):
        row = left[i]
        out_g[i] = gray[row]
        out_t[i] = plain[row] ^ plain[right[i]] ^ flip
