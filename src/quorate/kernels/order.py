"""Bookkeeping of sorting by comparisons whose outcomes are public: what to compare next, and which order follows.

Rows are numbered from 0 (int32). ``order`` lists the rows sorted so far, smallest first. All sizes are public and fixed
beforehand; what chance leaves over of a list of comparisons is filled with the comparison of rows 0 and 1. With a ghost
among the arguments nothing is computed and ghosts of these sizes are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from quorate.errors import InternalError
from quorate.kernels._jit import Array, Words, kernel
from quorate.kernels.ghost import contiguous, ghost, is_ghost

__all__ = [
    "Rows",
    "below",
    "compared",
    "gap_pairs",
    "inserted",
    "narrowed",
    "pairs_with",
    "running_sums",
    "search_pairs",
    "table_of",
]

Rows = npt.NDArray[np.int32]
LINE = 64
"""Bytes of a cache line."""
AHEAD = 16
"""By how many pairs rows are fetched before they are compared: they lie anywhere, so memory would be waited for."""


def _prefetch_code(typing: Any, array: Any, offset: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(fetch, [address, number(0), number(3), number(1)])  # for reading, to stay in the cache, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


_prefetch = cast(Callable[[Array, Any], None], intrinsic(_prefetch_code))
"""``_prefetch(array, offset)``: start loading the element; only a hint."""


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


def pairs_with(order: Rows, place: int, start: int, stop: int) -> tuple[Rows, Rows]:
    """Each of the rows start ... stop - 1 beside the row at one place of ``order``: (left, right)."""
    if is_ghost(order):
        return ghost(stop - start, np.int32), ghost(stop - start, np.int32)
    return np.arange(start, stop, dtype=np.int32), np.full(stop - start, order[place], np.int32)


def below(order: Rows, place: int, outcomes: npt.NDArray[np.uint8], size: int) -> tuple[Rows, int | None]:
    """The rows that are smaller than the row at one place of ``order``, and their number (None for ghosts).

    ``outcomes``: whether the rows after those of ``order`` are greater. Ascending, and filled with other rows up to
    ``size``; so many at most.
    """
    if is_ghost(order, outcomes):
        return ghost(size, np.int32), None
    smaller = np.zeros(order.size + outcomes.size, np.bool_)
    smaller[order[:place]] = True
    smaller[order.size :] = outcomes == 0
    rows = np.argsort(~smaller, kind="stable")[:size]
    return rows.astype(np.int32), int(np.count_nonzero(smaller))


def table_of(columns: Sequence[Array]) -> Words:
    """Columns of unsigned words, (n,) each, side by side as uint64: a row's words lie together in memory, (n, columns).

    The bits of every word are in the order of the carry tree: position i is moved to bit i with its digits backwards.
    """
    count = len(columns[0])
    if is_ghost(*columns):
        return ghost((count, len(columns)), np.uint64)
    space = np.empty(count * len(columns) + LINE // 8, np.uint64)
    start = -space.ctypes.data % LINE // 8
    out = space[start : start + count * len(columns)]
    for kind in {column.dtype for column in columns}:
        these = [k for k, column in enumerate(columns) if column.dtype == kind]
        masks, shifts = _exchanges(kind.itemsize * 8)
        alike = tuple(contiguous(columns[k]) for k in these)
        _fill(out, alike, masks, shifts, np.array(these, np.int64), len(columns))
    return out.reshape(count, len(columns))


def compared(
    table: Words, flips: Words, parts: int, last: np.dtype[Any], left: Rows, right: Rows
) -> tuple[Words, Array]:
    """The operands of comparisons: (k - parts, 2, m) uint64, and (parts, 2, m) of dtype ``last`` for the last words.

    ``table`` is (n, 2 k): first k columns of plain words, ``parts`` for each word, then as many of Gray codes. Of every
    column and pair of rows the operands are gray[left] and plain[left] ^ plain[right] ^ flip. Indices are not checked.
    """
    k, m = table.shape[1] // 2, len(left)
    shapes = (k - parts, 2, m), (parts, 2, m)
    if is_ghost(table, flips, left, right):
        return ghost(shapes[0], np.uint64), ghost(shapes[1], last)
    if flips.shape != (k,) or left.shape != right.shape or k < parts:
        raise InternalError(f"sort: table {table.shape}, flips {flips.shape}, pairs {left.shape}, {right.shape}")
    high, low = np.empty(shapes[0], np.uint64), np.empty(shapes[1], last)
    lengths = (0,) * (k - parts), (0,) * parts
    _compared(high.reshape(-1), low.reshape(-1), table.reshape(-1), flips, *lengths, left, right)
    return high, low


def running_sums(x: Array, modulus: int) -> Array:
    """Sums of x[:k + 1] for every k; modulo 2**64 for ``modulus`` 0, else of numbers below the ``modulus`` < 2**63."""
    if x.dtype != np.uint64 or not x.ndim:
        raise InternalError(f"running sums: of {x.dtype} {x.shape} instead of rows of uint64")
    if is_ghost(x):
        return ghost(x.shape, np.uint64)
    out = np.empty(x.shape, np.uint64)
    if x.size:
        _running_sums(out.reshape(len(x), -1), x.reshape(len(x), -1), np.uint64(modulus))
    return out


@lru_cache(maxsize=4)
def _exchanges(width: int) -> tuple[Words, Words]:
    """Masks and shifts that exchange bits whose positions differ in the first and last digit, and so on inwards."""
    digits = width.bit_length() - 1
    masks, shifts = [], []
    for low in range(digits // 2):
        high = digits - 1 - low
        masks.append(sum(1 << i for i in range(width) if i >> low & 1 and not i >> high & 1))
        shifts.append((1 << high) - (1 << low))
    return np.array(masks, np.uint64), np.array(shifts, np.uint64)


def _dummies(size: int) -> tuple[Rows, Rows]:
    return np.zeros(size, np.int32), np.ones(size, np.int32)


def _by_gap(places: Rows, gaps: int) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Indices of ``places`` gap by gap, and where each gap starts: (gaps + 1,)."""
    first = np.zeros(gaps + 1, np.int64)
    members = np.empty(places.shape, np.int32)
    _sort_by_gap(members, first, np.zeros(gaps, np.int64), places)
    return members, first


@kernel
def _fill(out: Words, words: Any, masks: Words, shifts: Words, columns: npt.NDArray[np.int64], width: int) -> None:
    """Write a tuple of arrays to these columns of rows of so many words."""
    for i in range(words[0].size):
        for j in range(len(words)):
            word = np.uint64(words[j][i])
            for k in range(masks.size):
                moved = (word ^ (word >> shifts[k])) & masks[k]
                word ^= moved ^ (moved << shifts[k])
            out[i * width + columns[j]] = word


@kernel
def _running_sums(out: Array, x: Array, modulus: Any) -> None:
    out[0] = x[0]
    for i in range(1, x.shape[0]):
        for k in range(x.shape[1]):
            total = out[i - 1, k] + x[i, k]
            if modulus and total >= modulus:
                total -= modulus
            out[i, k] = total


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
def _compared(
    out_high: Words, out_low: Array, table: Words, flips: Words, high: Any, low: Any, left: Rows, right: Rows
) -> None:
    """``high`` and ``low``: tuples with an element per column. The compiler knows their lengths, and unrolls loops."""
    columns, parts = np.uint64(len(high) + len(low)), np.uint64(len(low))
    pairs, ahead = np.uint64(left.size), np.uint64(AHEAD)
    for i in range(pairs):
        if i + ahead < pairs:
            _prefetch(table, np.intp(left[i + ahead]) * (2 * (len(high) + len(low))))
            _prefetch(table, np.intp(right[i + ahead]) * (2 * (len(high) + len(low))))
        row, other = np.uint64(left[i]) * (columns + columns), np.uint64(right[i]) * (columns + columns)
        for k in range(columns - parts):
            to = (k + k) * pairs + i
            out_high[to] = table[row + columns + k]
            out_high[to + pairs] = table[row + k] ^ table[other + k] ^ flips[k]
        for k in range(columns - parts, columns):
            to = (k - (columns - parts)) * (pairs + pairs) + i
            out_low[to] = table[row + columns + k]
            out_low[to + pairs] = table[row + k] ^ table[other + k] ^ flips[k]
