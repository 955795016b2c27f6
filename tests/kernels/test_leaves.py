"""Sixteen streams summed in registers are the streams of `quorate.crypto.stream`, made and summed one by one."""

import numpy as np
import pytest

from quorate.crypto.stream import Stream
from quorate.errors import InternalError
from quorate.kernels import fixed_aes, leaves, oblivious

pytestmark = pytest.mark.skipif(not fixed_aes.available, reason="this processor has no AES instructions")


@pytest.mark.parametrize("lacks_first", [False, True])
@pytest.mark.parametrize("width", [8, 24, 4096])
def test_fold_streams(lacks_first, width):
    keys = np.random.default_rng(width).integers(0, 2**64, (16, 2), dtype=np.uint64)
    name = (0xFEDCBA9876543210, 0x89ABCDEF)
    rows = np.empty((16, width), np.uint64)
    for row, key in zip(rows, keys, strict=True):
        Stream(key.tobytes()).fill(name, row)
    if lacks_first:
        rows[0] = 0
    expected, found = ((np.empty(width, np.uint64), np.empty((4, width), np.uint64)) for _ in range(2))
    oblivious.fold_leaves(rows, *expected)
    schedules = fixed_aes.round_keys(keys)
    leaves.fold_streams(leaves.counters(name, width), schedules, lacks_first, *found)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize(("turn", "lacks"), [(0, -1), (5, -1), (5, 5), (0, 15)])
@pytest.mark.parametrize("width", [1, 7, 8, 30, 4160])
def test_fill_streams(turn, lacks, width):
    keys = np.random.default_rng(width).integers(0, 2**64, (16, 2), dtype=np.uint64)
    expected, found = np.zeros((16, width), np.uint64), np.empty((16, width), np.uint64)
    for x in range(16):
        if x != lacks:
            Stream(keys[x ^ turn].tobytes()).fill((9, 4), expected[x])
    leaves.fill_streams(leaves.counters((9, 4), width), fixed_aes.round_keys(keys), turn, lacks, found)
    np.testing.assert_array_equal(found, expected)


def test_wrong_shapes_are_refused():
    schedules = fixed_aes.round_keys(np.zeros((16, 2), np.uint64))
    with pytest.raises(InternalError, match="no whole vectors"):
        leaves.fold_streams(np.empty(12, "u8"), schedules, False, np.empty(12, "u8"), np.empty((4, 12), "u8"))
    with pytest.raises(InternalError, match="streams of 16 words"):
        leaves.fill_streams(leaves.counters((1, 1), 12), schedules, 0, -1, np.empty((16, 8), "u8"))
    with pytest.raises(InternalError, match="streams of 8 words"):
        leaves.fold_streams(leaves.counters((1, 1), 8), schedules, False, np.empty(16, "u8"), np.empty((4, 8), "u8"))
