"""The Galois ring of degree 48 over Z_2^64, against Python's integers."""

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels import galois
from quorate.kernels.ghost import ghost, is_ghost

RNG = np.random.default_rng(48)
DEGREE = galois.DEGREE


def words(*shape):
    return RNG.integers(0, 2**64, shape, dtype=np.uint64)


def times(a, b):
    product = [0] * (2 * DEGREE - 1)
    for i in range(DEGREE):
        for k in range(DEGREE):
            product[i + k] += int(a[i]) * int(b[k])
    for i in range(2 * DEGREE - 2, DEGREE - 1, -1):
        for power in (0, 2, 3, 5):
            product[i - DEGREE + power] -= product[i]
    return [value % 2**64 for value in product[:DEGREE]]


def extended(x):
    nu = len(x).bit_length() - 1
    rest = x.shape[1:]
    for done in range(nu):
        x = x.reshape(2 ** (nu - 1 - done), 2, 3**done, *rest)
        x = np.stack([x[:, 0], x[:, 1], x[:, 1] - x[:, 0]], 1).reshape(3 ** (done + 1) * 2 ** (nu - 1 - done), *rest)
    return x


def test_products():
    x, y = words(3, DEGREE), words(3, DEGREE)
    x[1], y[2] = 2**64 - 1, 1
    expected = np.array([times(a, b) for a, b in zip(x, y, strict=True)], np.uint64)
    np.testing.assert_array_equal(galois.mul(x, y), expected)
    assert galois.mul(x, y, out=x) is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("count", [3, 50])
def test_scale(count):
    x, by = words(count, DEGREE), words(DEGREE)
    np.testing.assert_array_equal(galois.scale(x, by), np.array([times(a, by) for a in x], np.uint64))


def test_the_polynomial_is_irreducible_modulo_2():
    """By Rabin's test: x^(2^48) = x, and x^(2^k) - x is a unit for 48 / k prime."""
    modulus = 1 << 48 | 1 << 5 | 1 << 3 | 1 << 2 | 1

    def reduced(value):
        while value.bit_length() > 48:
            value ^= modulus << (value.bit_length() - 49)
        return value

    def common(a, b):
        while b:
            while a.bit_length() >= b.bit_length():
                a ^= b << (a.bit_length() - b.bit_length())
            a, b = b, a
        return a

    powers = [2]
    for _ in range(48):
        square = sum(1 << 2 * k for k in range(48) if powers[-1] >> k & 1)
        powers.append(reduced(square))
    assert powers[48] == 2
    assert common(modulus, powers[24] ^ 2) == common(modulus, powers[16] ^ 2) == 1


def test_differences_of_challenges_are_units():
    """An element whose coefficients are 1, 0 and -1, not all 0, has an inverse: times it no other gives zero."""
    for _ in range(20):
        bits = RNG.integers(0, 2, (2, DEGREE)).astype(np.uint64)
        rows = galois._matrix(bits[0] - bits[1]) & np.uint64(1)
        rank, left = 0, rows.astype(np.uint8)
        for column in range(DEGREE):
            pivot = next((r for r in range(rank, DEGREE) if left[r, column]), None)
            if pivot is None:
                continue
            left[[rank, pivot]] = left[[pivot, rank]]
            left[np.arange(DEGREE) != rank] ^= np.outer(left[:, column], left[rank])[np.arange(DEGREE) != rank]
            rank += 1
        assert rank == DEGREE


@pytest.mark.parametrize(("nu", "count"), [(1, 3), (2, 17), (3, 5)])
def test_points(nu, count):
    left, right = words(2**nu, count, DEGREE), words(2**nu, count, DEGREE)
    values = galois.points(left, right)
    for got, x, y in zip(values, extended(left), extended(right), strict=True):
        np.testing.assert_array_equal(got, galois.mul(x, y).sum(0))
    assert not galois.points(np.zeros_like(left), right).any()


@pytest.mark.parametrize(("nu", "positions"), [(1, 8), (2, 8), (3, 136), (6, 72)])
def test_points_of_numbers(nu, positions):
    x, weights = words(4, 2**nu, positions), RNG.integers(0, 2, (positions, DEGREE)).astype(np.uint64)
    flags = np.packbits(weights.astype(np.uint8), axis=1, bitorder="little")
    a, b, c, s = (extended(part) for part in x)
    np.testing.assert_array_equal(galois.weighed_points(*x, flags), (a * s + b * c) @ weights)
    np.testing.assert_array_equal(galois.weigh(x[0], flags), x[0] @ weights)


def test_folds():
    blocks, factors = words(4, 6, DEGREE), words(4, DEGREE)
    blocks[2] = 0
    scaled = [galois.scale(block, factor) for block, factor in zip(blocks, factors, strict=True)]
    np.testing.assert_array_equal(galois.fold(blocks, factors), np.sum(scaled, 0, dtype=np.uint64))
    for count, positions in ((1, 1), (2, 3), (64, 13)):
        x, weights = words(count, positions), words(count, DEGREE)
        np.testing.assert_array_equal(galois.embed_fold(x, weights), x.T @ weights)


def test_ghosts_and_wrong_shapes():
    assert galois.weighed_points(*[ghost((4, 8), np.uint64)] * 4, ghost((8, 6), np.uint8)).shape == (9, DEGREE)
    assert is_ghost(galois.embed_fold(ghost((4, 3), np.uint64), words(4, DEGREE)))
    assert galois.points(*[ghost((4, 7, DEGREE), np.uint64)] * 2).shape == (9, DEGREE)
    with pytest.raises(InternalError):
        galois.weighed_points(*words(4, 4, 7), np.zeros((7, 6), np.uint8))
    with pytest.raises(InternalError):
        galois.mul(words(2, DEGREE), words(3, DEGREE))
    with pytest.raises(InternalError):
        galois.fold(words(2, 3, DEGREE), words(3, DEGREE))
