"""Field arithmetic against Python integers modulo 2^61 - 1."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quorate.errors import InternalError
from quorate.kernels import field as typed
from quorate.kernels.field import P
from quorate.kernels.ghost import Ghost, ghost

field: Any = typed  # wrong arguments are passed on purpose

EDGES = [0, 1, 2, 7, 8, 2**29 - 1, 2**30, 2**31 - 1, 2**32 - 1, 2**32, 2**60 - 1, 2**60, 2**60 + 1, P - 2, P - 1]
ANY = [*EDGES, P, P + 1, 2 * P - 1, 2 * P, 2**63, 2**64 - 1, 2**64 - 8]
elements = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))


def vectors(n):
    return hnp.arrays(np.uint64, (n, 19), elements=elements)


def some(seed, *shape, largest=False):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, P, shape, dtype=np.uint64)
    edges = np.full(shape, P - 1, np.uint64) if largest else rng.choice(np.array(EDGES, np.uint64), shape)
    return np.where(rng.random(shape) < (0.9 if largest else 0.3), edges, x)


def exact(x):
    return np.asarray(x).astype(object)


def equal(got, expected):
    assert got.dtype == np.uint64
    assert got.tolist() == (np.asarray(expected, object) % P).tolist()


@settings(max_examples=40, deadline=None)
@given(vectors(2), st.integers(-(2**70), 2**70))
def test_elementwise_operations(xy, c):
    x, y = xy
    a, b = exact(x), exact(y)
    equal(field.add(x, y), a + b)
    equal(field.sub(x, y), a - b)
    equal(field.mul(x, y), a * b)
    equal(field.neg(x), -a)
    equal(field.scale(x, c), a * c)
    equal(field.mul(field.mul(x, field.inverse(x)), y), np.where(a == 0, 0, b))


def test_all_pairs_of_edges():
    x, y = np.array(EDGES, np.uint64)[:, None], np.array(EDGES, np.uint64)
    equal(field.mul(x, y), exact(x) * exact(y))
    equal(field.add(x, y), exact(x) + exact(y))
    equal(field.sub(x, y), exact(x) - exact(y))


@given(st.lists(st.one_of(st.sampled_from(ANY), st.integers(0, 2**64 - 1)), max_size=20))
@settings(deadline=None)
def test_any_words_become_canonical(values):
    x = np.array(values, np.uint64)
    equal(field.reduce(x), exact(x))
    equal(field.from_random_words(x), exact(x) & P)


def test_random_words_keep_their_low_bits():
    words = np.array([0, 5, P - 1, P, P + 1, 2**64 - 1], np.uint64)
    assert field.from_random_words(words).tolist() == [0, 5, P - 1, 0, 0, 0]


@given(hnp.arrays(np.int64, 9, elements=st.integers(-(2**63), 2**63 - 1)))
@settings(deadline=None)
def test_signed_values(x):
    equal(field.encode_signed(x), exact(x))
    small = x >> 3
    assert (field.decode_signed(field.encode_signed(small)) == small).all() or (small == -(2**60)).any()


def test_signed_edges_round_trip():
    x = np.array([0, 1, -1, 2**60 - 1, -(2**60 - 1)], np.int64)
    assert field.encode_signed(x).tolist() == [0, 1, P - 1, 2**60 - 1, 2**60]
    assert field.decode_signed(field.encode_signed(x)).tolist() == x.tolist()
    assert field.encode_signed(np.array([-P, P, -(2**63)])).tolist() == [0, 0, -(2**63) % P]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7])
def test_linear_combination(k):
    xs = [some(i, 3, 4) for i in range(k)]
    factors = [-1, P - 1, 2**64, 3, P, 0, 2**61][:k]
    expected = sum(c * exact(x) for c, x in zip(factors, xs, strict=True))
    equal(field.linear_combination(factors, xs), expected)
    equal(field.linear_combination(np.array([c % P for c in factors], np.uint64), xs), expected)
    for i in range(k):
        copies = [x.copy() for x in xs]
        assert field.linear_combination(factors, copies, out=copies[i]) is copies[i]
        equal(copies[i], expected)


@pytest.mark.parametrize("degree", [0, 1, 2, 4])
def test_shares_of_polynomials_interpolate(degree):
    coefficients, points = some(1, degree + 1, 21), np.array([1, 2, 3, 5, P - 1], np.uint64)
    shares = field.polynomial_shares(coefficients, points)
    for point, share in zip(points.tolist(), shares, strict=True):
        equal(share, sum(exact(c) * point**i for i, c in enumerate(coefficients)))
    chosen = points[: degree + 1].tolist()
    lagrange = [1] * len(chosen)
    for i, xi in enumerate(chosen):
        for xj in chosen[:i] + chosen[i + 1 :]:
            lagrange[i] = lagrange[i] * xj * pow(xj - xi, -1, P) % P
    equal(field.linear_combination(lagrange, list(shares[: degree + 1])), exact(coefficients[0]))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (4, 70), (3, 1001)])
@pytest.mark.parametrize("largest", [False, True])
def test_row_products(shape, largest):
    x, y = some(1, *shape, largest=largest), some(2, *shape, largest=largest)
    equal(field.dot(x, y), (exact(x) * exact(y)).sum(axis=1))


SIZES = [
    (0, 0, 0),
    (0, 3, 2),
    (3, 0, 2),
    (3, 2, 0),
    (1, 1, 1),
    (2, 5, 1),
    (1, 7, 9),
    (5, 6, 7),
    (3, 4, 257),
    (4, 90, 8),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("largest", [False, True])
def test_matrix_product(size, largest):
    m, k, n = size
    a, b = some(1, m, k, largest=largest), some(2, k, n, largest=largest)
    expected = exact(a) @ exact(b) if k else np.zeros((m, n), object)
    equal(field.matmul(a, b), expected)
    out = np.full((m, n), 7, np.uint64)
    assert field.matmul(np.asfortranarray(a), b, out=out) is out
    equal(out, expected)


def test_in_place_and_zero_dimensional():
    x, y = some(1, 11), some(2, 11)
    expected = exact(x) * exact(y)
    assert field.mul(x, y, out=y) is y
    equal(y, expected)
    assert field.mul(np.array(3, np.uint64), np.array(5, np.uint64)).shape == ()
    assert field.inverse(np.array(0, np.uint64)).shape == ()


def bad_calls():
    x, out = np.ones(8, np.uint64), np.ones(7, np.uint64)
    yield lambda: field.add(x, x[:3])
    yield lambda: field.add(x, x, out=out)
    yield lambda: field.mul(x.view(np.int64), x.view(np.int64))
    yield lambda: field.mul(x, x.view(np.int64))
    yield lambda: field.encode_signed(x)
    yield lambda: field.linear_combination([], [])
    yield lambda: field.linear_combination([1], [x, x])
    yield lambda: field.linear_combination([1, 2], [x, x[:1]])
    yield lambda: field.polynomial_shares(x, x)
    yield lambda: field.dot(x, x)
    yield lambda: field.matmul(x.reshape(2, 4), x.reshape(2, 4))
    yield lambda: field.matmul(x[:4].reshape(2, 2), x[:4].reshape(2, 2), out=x[:4].reshape(2, 2))


@pytest.mark.parametrize("call", list(bad_calls()))
def test_wrong_arguments_raise(call):
    with pytest.raises(InternalError):
        call()


def test_ghosts_propagate():
    g, x = ghost((2, 3), np.uint64), np.ones((2, 3), np.uint64)
    out = np.full((2, 3), 7, np.uint64)
    calls = [lambda **o: field.add(g, x, **o), lambda **o: field.mul(x, g[:1], **o), lambda **o: field.scale(g, 3, **o)]
    calls += [lambda **o: field.linear_combination([1, 2, 3, 4], [x, x, x, g], **o), lambda **o: field.inverse(g, **o)]
    calls += [lambda **o: field.from_random_words(g, **o), lambda **o: field.encode_signed(g.view(np.int64), **o)]
    for call in calls:
        assert (type(call()), call().shape, call().dtype) == (Ghost, (2, 3), np.uint64)
        assert call(out=out) is out
    assert (out == 7).all()
    assert field.decode_signed(g).dtype == np.int64
    assert field.polynomial_shares(g, x[0]).shape == (3, 3)
    assert type(field.dot(g, x)) is type(field.matmul(x, g.T)) is Ghost
