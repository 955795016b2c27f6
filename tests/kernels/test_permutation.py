"""Permutations against plain list arithmetic."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import InternalError
from quorate.kernels import permutation as typed
from quorate.kernels.ghost import Ghost, ghost

permutation: Any = typed  # wrong arguments are passed on purpose


@settings(deadline=None)  # the first call loads a compiled loop
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


def random_words(n, seed=1):
    return np.random.default_rng(seed).integers(0, 2**64, n + permutation.SPARE, dtype=np.uint64)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
def test_from_random_words(n):
    p = permutation.from_random_words(random_words(n))
    assert sorted(p.tolist()) == list(range(n))
    assert p.tolist() == permutation.from_random_words(random_words(n)).tolist()


def test_shuffle_follows_the_exact_rule():
    """Words that favour an index are replaced by spare ones, in their order."""
    words = random_words(40)
    words[[7, 30, 39]] = 0  # 2**64 is 0 modulo 8, but 16 modulo 31 and 40: there a word of 0 is replaced
    expected, spare = list(range(40)), 40
    for i in range(39, 0, -1):
        word = int(words[i])
        while word * (i + 1) % 2**64 < 2**64 % (i + 1):
            word, spare = int(words[spare]), spare + 1
        j = word * (i + 1) >> 64
        expected[i], expected[j] = expected[j], expected[i]
    assert spare == 42
    assert permutation.from_random_words(words).tolist() == expected


def test_all_orders_are_equally_likely():
    count = 24000
    words = random_words(4 * count)[: count * 68].reshape(-1)
    seen = {}
    for k in range(count):
        row = np.concatenate([words[4 * k : 4 * k + 4], words[: permutation.SPARE]])
        order = tuple(permutation.from_random_words(row).tolist())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    assert sum((n - count / 24) ** 2 / (count / 24) for n in seen.values()) < 23 + 6 * np.sqrt(46)


@pytest.mark.parametrize("wrong", [np.zeros(63, np.uint64), np.zeros(70, np.int64), np.zeros((70, 1), np.uint64)])
def test_from_random_words_refuses(wrong):
    with pytest.raises(InternalError):
        permutation.from_random_words(wrong)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("shape", [(0,), (1,), (50,), (50, 3), (50, 0), (7, 2, 2)])
@pytest.mark.parametrize("signed", [False, True])
def test_gathering_with_masks(kind, shape, signed):
    rng = np.random.default_rng(3)
    x, mask = (rng.integers(0, 256, shape).astype(kind) * kind(7) for _ in range(2))
    p = permutation.from_random_words(random_words(shape[0]))
    p = p.astype(np.int64) if signed else p
    assert (permutation.apply_add(x, p, mask) == x[p] + mask).all()
    assert (permutation.apply_sub(x, p, mask) == x[p] - mask).all()
    expected = x[p] ^ mask
    assert permutation.apply_xor(x, p, mask, out=mask) is mask
    assert (mask == expected).all()


def test_gathering_refuses():
    x, p = np.arange(3, dtype=np.uint64), np.array([0, 1, 2])
    for mask, order in ((x[:2], p), (x.astype(np.uint8), p), (x, np.array([0, 1, 3])), (x, np.array([0, -1, 2]))):
        with pytest.raises(InternalError):
            permutation.apply_add(x, order, mask)


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
    p = permutation.from_random_words(ghost(5 + permutation.SPARE, np.uint64))
    assert (type(p), p.shape, p.dtype) == (Ghost, (5,), np.uint32)
    assert type(permutation.apply_sub(np.zeros(5), p, np.zeros(5))) is Ghost
    assert type(permutation.invert(p)) is Ghost
    assert permutation.apply(np.zeros((5, 2)), p).shape == (5, 2)
    assert permutation.compose(p, p).shape == (5,)
