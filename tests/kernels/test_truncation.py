"""Truncation kernels against integer arithmetic."""

import numpy as np
import pytest

from quorate.kernels import truncation
from quorate.kernels.ghost import Ghost, ghost

OFFSET = 1 << 62
EDGES = [0, 1, -1, 2**62 - 1, 1 - 2**62, 2**61, -(2**61), 12345678901]


def words(seed, size, kind=np.uint64):
    return np.random.default_rng(seed).integers(0, 2**64, size, dtype=np.uint64).astype(kind)


@pytest.mark.parametrize("shift", [1, 7, 8, 15, 16, 31, 32, 61, 62])
@pytest.mark.parametrize("partial", [False, True])
def test_halves_add_up_to_the_quotient(shift, partial):
    """Party 0 deals what it knows of r = -(x0 + x1); the others know c = x2, or parts of it."""
    x = np.array(EDGES * 500)
    s = words(1, x.size)
    c = x.view(np.uint64) - s
    mask_u, mask_v = words(2, x.size), words(3, x.size, truncation.top_type(shift))
    u, v = truncation.deal(s, shift, mask_u, mask_v)
    assert [u.dtype, v.dtype] == [np.dtype(np.uint64), truncation.top_type(shift)]
    z, rest = (c - mask_u, mask_u) if partial else (c, None)
    first_mask, second_mask = words(4, x.size), words(5, x.size)
    first = truncation.masked_half(z, rest, OFFSET, shift, mask_u, mask_v, first_mask, True)
    second = truncation.masked_half(z, rest, OFFSET, shift, u, v, second_mask, False)
    got = (first + second + first_mask + second_mask).view(np.int64)
    difference = got - (x >> shift)
    assert difference.min() >= 0
    assert difference.max() <= 1
    offset = np.uint64(OFFSET)
    plain = truncation.half(c + offset, shift, mask_u, mask_v, True) + truncation.half(c + offset, shift, u, v, False)
    assert ((plain - np.uint64(OFFSET >> shift)).view(np.int64) == got).all()


@pytest.mark.parametrize(("shift", "size"), [(1, 1), (7, 1), (8, 2), (15, 2), (16, 4), (31, 4), (32, 8), (62, 8)])
def test_type_of_the_top_bit(shift, size):
    assert truncation.top_type(shift) == np.dtype(f"u{size}")


def test_ghosts():
    x, nothing = words(1, 5), ghost(5, np.uint64)
    u, v = truncation.deal(x, 9, nothing, words(1, 5, np.uint16))
    assert type(u) is Ghost
    assert v.dtype == np.dtype(np.uint16)
    assert type(truncation.half(x, 9, u, v, True)) is Ghost
    assert type(truncation.masked_half(x, nothing, 0, 9, x, x, x, True)) is Ghost
