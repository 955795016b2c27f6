"""Words shared over small fields in slices."""

from itertools import combinations

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels.ghost import ghost, is_ghost
from quorate.sharing.sliced import Sliced

PARTIES = [3, 4, 5, 7, 8, 15, 16, 31, 63, 127, 255, 511, 1000]


@pytest.mark.parametrize("parties", PARTIES)
def test_every_element_but_0_has_an_inverse(parties):
    field = Sliced(parties)
    assert 2**field.bits > parties >= 2 ** (field.bits - 1)
    for element in {1, 2, 3, parties, 2**field.bits - 1, 2 ** (field.bits - 1)}:
        inverse = field.power(element, 2**field.bits - 2)
        assert field.multiply(element, inverse) == 1


@pytest.mark.parametrize("parties", [3, 5, 8, 31])
def test_multiplication_is_that_of_a_field(parties):
    field = Sliced(parties)
    some = [0, 1, 2, 3, parties, 2**field.bits - 1]
    for a in some:
        assert field.multiply(a, 1) == a
        for b in some:
            assert field.multiply(a, b) == field.multiply(b, a) < 2**field.bits
            assert (field.multiply(a, b) == 0) == (a == 0 or b == 0)
            for c in some:
                assert field.multiply(a, b ^ c) == field.multiply(a, b) ^ field.multiply(a, c)
                assert field.multiply(field.multiply(a, b), c) == field.multiply(a, field.multiply(b, c))


def test_too_many_parties():
    with pytest.raises(InternalError, match="1024 parties"):
        Sliced(1024)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 9])
@pytest.mark.parametrize("kind", [np.uint8, np.uint64])
def test_rows_and_back(size, kind):
    field = Sliced(5)
    words = np.arange(1, size + 1).astype(kind)
    rows = field.rows(words)
    assert rows.shape == (3, field.width(size)) == (3, -(-size // 3))
    assert rows.dtype == kind
    assert np.array_equal(field.words(rows, size), words)


def test_a_product_with_a_constant_is_that_of_the_elements():
    field, rows = Sliced(5), np.random.default_rng(1).integers(0, 256, (3, 4), np.uint8)
    for constant in range(8):
        product = field.combination([constant], [rows])
        for column in range(4):
            for bit in range(8):
                element, got = (sum((int(r[k, column]) >> bit & 1) << k for k in range(3)) for r in (rows, product))
                assert got == field.multiply(constant, element)


def test_the_operands_are_left_alone():
    field, rows = Sliced(3), np.arange(6, dtype=np.uint64).reshape(2, 3)
    field.combination([1, 1], [rows, rows])
    assert np.array_equal(rows, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (4, 1), (5, 1), (5, 2), (7, 3)])
def test_any_answers_give_the_word(parties, threshold):
    """Parts known to groups, turned into shares: of the word, and of products of two words."""
    field, random = Sliced(parties), np.random.default_rng(2)
    groups = list(combinations(range(parties), parties - threshold))
    a, b = ([random.integers(0, 2**64, 5, np.uint64) for _ in groups] for _ in range(2))
    shares, products = [], []
    for party in range(parties):
        mine = [k for k, group in enumerate(groups) if party in group]
        weights = [field.replicated_weight(groups[k], party) for k in mine]
        shares.append(field.combination(weights, [field.rows(a[k]) for k in mine]))
        own = list(zip(weights, mine, strict=True))
        crossed = [(field.multiply(v, w), a[j] & b[k]) for v, j in own for w, k in own]
        products.append(field.combination([w for w, _ in crossed], [field.rows(term) for _, term in crossed]))
    word, other = (np.bitwise_xor.reduce(parts) for parts in (a, b))
    for some in combinations(range(parties), threshold + 1):
        assert np.array_equal(field.words(field.combine([shares[k] for k in some], some), 5), word)
    for some in combinations(range(parties), 2 * threshold + 1):
        assert np.array_equal(field.words(field.combine([products[k] for k in some], some), 5), word & other)


def test_weights_vanish_outside_the_group():
    field = Sliced(5)
    assert [field.replicated_weight((0, 2, 4), party) == 0 for party in range(5)] == [False, True, False, True, False]


def test_ghosts_stay_ghosts():
    field = Sliced(5)
    rows = field.rows(ghost((7,), np.uint64))
    assert is_ghost(rows)
    assert rows.shape == (3, 3)
    assert is_ghost(field.combination([3], [rows]))


def test_coefficients_and_terms_belong_together():
    with pytest.raises(InternalError, match="linear combination of 1 arrays with 2 coefficients"):
        Sliced(3).combination([1, 2], [np.zeros((2, 1), np.uint8)])
