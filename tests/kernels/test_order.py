"""The bookkeeping of sorts, step by step against plain Python, and on ghosts."""

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels import order
from quorate.kernels.field import P
from quorate.kernels.ghost import ghost, is_ghost


def test_an_insertion_sorts():
    rng = np.random.default_rng(1)
    keys = rng.permutation(200)
    sample = np.argsort(keys[:31]).astype(np.int32)
    places = np.zeros(169, np.int32)
    rest = 5
    for digit in (2, 2, 1):
        rest -= digit
        size = 169 * (2**digit - 1)
        left, right = order.search_pairs(sample, places, 31, digit, rest, size + 3)
        assert (left[size:].tolist(), right[size:].tolist()) == ([0] * 3, [1] * 3)
        places = order.narrowed(places, (keys[left] > keys[right]).astype(np.uint8), digit, rest)
    assert places.tolist() == np.searchsorted(np.sort(keys[:31]), keys[31:]).tolist()
    left, right = order.gap_pairs(places, 32, 31, 2000)
    found = order.inserted(sample, places, 31, (keys[left] > keys[right]).astype(np.uint8))
    assert found.tolist() == np.argsort(keys).tolist()


def test_too_many_pairs_or_rows_are_refused():
    places = np.zeros(10, np.int32)
    with pytest.raises(InternalError, match="45 pairs"):
        order.gap_pairs(places, 3, 0, 44)
    with pytest.raises(InternalError, match="do not fit"):
        order.search_pairs(np.arange(3, dtype=np.int32), places, 3, 2, 0, 29)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_operands_of_comparisons(kind):
    rng = np.random.default_rng(2)
    high = [rng.integers(0, 2**63, 50, dtype=np.uint64) for _ in range(2)]
    low = [rng.integers(0, np.iinfo(kind).max, 50, dtype=kind) for _ in range(2)]
    table = order.table_of([high[0], low[0], high[1], low[1]])
    assert table.ctypes.data % order.LINE == 0
    left, right = (rng.integers(0, 50, 40).astype(np.int32) for _ in range(2))
    flips = np.array([5, 3], np.uint64)
    wide, narrow = order.compared(table, flips, 1, np.dtype(kind), left, right)
    plain, gray = ([_rearranged(word) for word in pair] for pair in ((high[0], low[0]), (high[1], low[1])))
    for found, k in ((wide[0], 0), (narrow[0], 1)):
        assert found[0].tolist() == gray[k][left].tolist()
        assert found[1].tolist() == (plain[k][left] ^ plain[k][right] ^ plain[k].dtype.type(flips[k])).tolist()


def _rearranged(words):
    width = words.dtype.itemsize * 8
    digits = width.bit_length() - 1
    moved = [int(f"{i:0{digits}b}"[::-1], 2) for i in range(width)]
    return np.array([sum((int(w) >> i & 1) << moved[i] for i in range(width)) for w in words], words.dtype)


def test_running_sums():
    x = np.array([[1, 2], [2**64 - 1, 3], [5, P - 1]], np.uint64)
    assert order.running_sums(x, 0).tolist() == [[1, 2], [0, 5], [5, P + 4]]
    y = np.array([P - 1, P - 1, 5], np.uint64)
    assert order.running_sums(y, P).tolist() == [P - 1, P - 2, 3]
    assert order.running_sums(np.zeros((0, 3), np.uint64), 0).shape == (0, 3)


def test_rows_below_a_bar():
    sample = np.array([2, 0, 1], np.int32)
    left, right = order.pairs_with(sample, 1, 3, 7)
    assert (left.tolist(), right.tolist()) == ([3, 4, 5, 6], [0] * 4)
    rows, count = order.below(sample, 1, np.array([1, 0, 1, 0], np.uint8), 5)
    assert count == 3
    assert rows[:3].tolist() == [2, 4, 6]
    assert len(set(rows.tolist())) == 5


def test_ghosts():
    places, sample = ghost(9, np.int32), ghost(7, np.int32)
    left, right = order.search_pairs(sample, places, 7, 2, 1, 30)
    assert left.shape == right.shape == (30,)
    outcomes = ghost(30, np.uint8)
    table = order.table_of([ghost(16, np.uint64)] * 4)
    results = [
        order.narrowed(places, outcomes, 2, 1),
        *order.gap_pairs(places, 8, 7, 30),
        order.inserted(sample, places, 7, outcomes),
        *order.compared(table, ghost(2, np.uint64), 1, np.dtype(np.uint8), left, right),
        order.below(sample, 2, ghost(9, np.uint8), 5)[0],
        order.running_sums(ghost((3, 2), np.uint64), 0),
    ]
    assert all(is_ghost(result) for result in results)
    assert [result.shape for result in results[:4]] == [(9,), (30,), (30,), (16,)]
    assert order.below(sample, 2, ghost(9, np.uint8), 5)[1] is None
