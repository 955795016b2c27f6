"""Permutations against plain list arithmetic."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import InternalError
from quorate.kernels import permutation as typed
from quorate.kernels.ghost import Ghost, ghost

permutation: Any = typed  # wrong arguments are passed on purpose


@given(st.integers(0, 40).flatmap(lambda n: st.tuples(st.permutations(range(n)), st.permutations(range(n)))))
def test_laws(pair):
    p, q = (np.array(x, np.int64) for x in pair)
    x = np.arange(100, 100 + len(p), dtype=np.uint64)
    moved = permutation.apply(x, p)
    assert moved.tolist() == [100 + i for i in p.tolist()]
    assert (permutation.apply(moved, permutation.invert(p)) == x).all()
    assert (permutation.apply(moved, q) == permutation.apply(x, permutation.compose(p, q))).all()


def test_rows_and_result_array():
    x, p = np.arange(12, dtype=np.uint64).reshape(4, 3), np.array([3, 0, 2, 1])
    out = np.empty_like(x)
    assert permutation.apply(x, p, out=out) is out
    assert out[:, 0].tolist() == [9, 0, 6, 3]
    assert permutation.apply(x[:, ::2], p)[:, 1].tolist() == [11, 2, 8, 5]


def test_from_random_words():
    words = np.random.default_rng(1).integers(0, 2**64, 1000, dtype=np.uint64)
    p = permutation.from_random_words(words)
    assert sorted(p.tolist()) == list(range(1000))
    assert (np.diff(words[p].astype(object)) > 0).all()
    assert permutation.from_random_words(np.array([5, 1, 5, 1, 5], np.uint64)).tolist() == [1, 3, 0, 2, 4]
    assert permutation.from_random_words(words[:0]).shape == (0,)


@pytest.mark.parametrize("wrong", [[0, 0], [0, 2], [-1, 0], [[0, 1]]])
def test_invert_refuses_what_is_no_permutation(wrong):
    with pytest.raises(InternalError):
        permutation.invert(np.array(wrong))


@pytest.mark.parametrize("wrong", [[0, 3], [-1, 0], [[0]]])
def test_apply_refuses_indices_out_of_range(wrong):
    with pytest.raises(InternalError):
        permutation.apply(np.arange(3), np.array(wrong))
    with pytest.raises(InternalError):
        permutation.apply(np.arange(3), np.array([0, 1]), out=np.empty(3, np.int64))


def test_ghosts_propagate():
    p = permutation.from_random_words(ghost(5, np.uint64))
    assert (type(p), p.shape, p.dtype) == (Ghost, (5,), np.int64)
    assert type(permutation.invert(p)) is Ghost
    assert permutation.apply(np.zeros((5, 2)), p).shape == (5, 2)
    assert permutation.compose(p, p).shape == (5,)
