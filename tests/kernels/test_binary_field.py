"""The field of 2**64 elements, against Python's integers; every way in which products are computed."""

import numba
import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels import _clmul, _simd, binary_field
from quorate.kernels.ghost import ghost, is_ghost

RNG = np.random.default_rng(64)


def words(*shape):
    return RNG.integers(0, 2**64, shape, dtype=np.uint64)


def carryless(a, b):
    return _xor(a << k for k in range(64) if b >> k & 1)


def _xor(values):
    total = 0
    for value in values:
        total ^= int(value)
    return total


def times(a, b):
    product = carryless(int(a), int(b))
    for k in range(126, 63, -1):
        if product >> k & 1:
            product ^= (1 << k) ^ (0x1B << (k - 64))
    return product


def extended(x):
    """Values at {0, 1, infinity}^nu from those of the blocks, straight from the definition."""
    nu = len(x).bit_length() - 1
    for done in range(nu):
        x = x.reshape(2 ** (nu - 1 - done), 2, 3**done, -1)
        x = np.stack([x[:, 0], x[:, 1], x[:, 0] ^ x[:, 1]], 1).reshape(3 ** (done + 1) * 2 ** (nu - 1 - done), -1)
    return x


EDGES = np.array([0, 1, 2, 2**63, 2**64 - 1, 0x1B, 0x8000000000000001], np.uint64)


@pytest.mark.parametrize("way", ["wide", "pair", "portable"])
def test_every_way_gives_the_same_products(way):
    order = ["portable", "pair", "wide"]
    if order.index(way) > order.index(_clmul.WAY):
        pytest.skip("this machine cannot")
    low_low, high_high, high_low = _clmul.products(way)

    @numba.njit  # not cached: the cache would not notice which of the ways the loop is made of
    def loop(out, x, y):
        a, b = _simd.load(x, 0), _simd.load(y, 0)
        _simd.store(out, 0, low_low(a, b))
        _simd.store(out, 8, high_high(a, b))
        _simd.store(out, 16, high_low(a, b))

    for x, y in ((words(8), words(8)), (np.resize(EDGES, 8), np.resize(EDGES[::-1], 8))):
        out = np.empty(24, np.uint64)
        loop(out, x, y)
        for place, (i, j) in enumerate(((0, 0), (1, 1), (1, 0))):
            for pair in range(4):
                got = int(out[8 * place + 2 * pair]) | int(out[8 * place + 2 * pair + 1]) << 64
                assert got == carryless(int(x[2 * pair + i]), int(y[2 * pair + j]))


def test_products():
    x, y = np.concatenate([EDGES, words(20)]), np.concatenate([EDGES[::-1], words(20)])
    expected = [times(a, b) for a, b in zip(x, y, strict=True)]
    assert binary_field.mul(x, y).tolist() == expected
    assert binary_field.mul(x, y[3]).tolist() == [times(a, y[3]) for a in x]
    assert binary_field.scale(x, y[4]).tolist() == [times(a, y[4]) for a in x]
    assert binary_field.dot(x, y).tolist() == [_xor(expected)]
    assert binary_field.row_dots(np.stack([x, y]), y).tolist() == [_xor(expected), int(binary_field.dot(y, y)[0])]


@pytest.mark.parametrize("size", [0, 5, 16])
def test_products_into_a_factor(size):
    x, y = words(size), words(size)
    expected = binary_field.mul(x, y)
    assert binary_field.mul(x, y, out=x) is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize(("nu", "size"), [(1, 3), (2, 17), (3, 300), (4, 1)])
def test_points_and_fold(nu, size):
    left, right, factors = words(2**nu, size), words(2**nu, size), words(2**nu)
    rows = zip(extended(left), extended(right), strict=True)
    assert binary_field.points(left, right).tolist() == [binary_field.dot(a, b)[0] for a, b in rows]
    scaled = [binary_field.scale(block, factor) for block, factor in zip(left, factors, strict=True)]
    np.testing.assert_array_equal(binary_field.fold(left, factors), np.bitwise_xor.reduce(scaled))


@pytest.mark.parametrize(("nu", "positions"), [(1, 8), (3, 24), (6, 16)])
def test_points_of_bits(nu, positions):
    x, weights = words(4, 2**nu, positions), words(positions)
    a, b, c, s = (extended(part) for part in x)
    expected = [binary_field.dot(row, weights)[0] for row in (a & s) ^ (b & c)]
    assert binary_field.bit_points(*x, weights).tolist() == expected


def test_fold_of_bits():
    x, factors = words(128, 5), words(128)
    chosen = [np.flatnonzero(x[:, j] >> np.uint64(b) & np.uint64(1)) for j in range(5) for b in range(64)]
    expected = [_xor(factors[blocks]) for blocks in chosen]
    assert binary_field.bit_fold(x, factors).tolist() == expected
    out = np.empty(320, np.uint64)
    binary_field._table_fold(out, x.reshape(-1), binary_field._tables(factors), 5)
    assert out.tolist() == expected


def test_ghosts_and_wrong_shapes():
    assert binary_field.bit_points(*[ghost((4, 8), np.uint64)] * 4, ghost(8, np.uint64)).shape == (9,)
    assert is_ghost(binary_field.bit_fold(ghost((64, 3), np.uint64), words(64)))
    assert binary_field.points(ghost((4, 7), np.uint64), ghost((4, 7), np.uint64)).shape == (9,)
    with pytest.raises(InternalError):
        binary_field.bit_points(*words(4, 4, 7), words(7))
    with pytest.raises(InternalError):
        binary_field.bit_fold(words(63, 2), words(63))
    with pytest.raises(InternalError):
        binary_field.dot(words(3), words(4))
