"""Ring arithmetic against Python integers modulo 2^64."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quorate.errors import InternalError
from quorate.kernels import ring as typed
from quorate.kernels.ghost import Ghost, ghost

ring: Any = typed  # wrong arguments are passed on purpose

M = 1 << 64
EDGES = [0, 1, 2, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]
words = st.one_of(st.sampled_from(EDGES), st.integers(0, M - 1))


def vectors(n):
    return hnp.arrays(np.uint64, (n, 33), elements=words)


def some(seed, *shape):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, M, shape, dtype=np.uint64)
    edges = rng.choice(np.array(EDGES, np.uint64), shape)
    return np.where(rng.random(shape) < 0.2, edges, x)


def exact(x):
    return np.asarray(x).astype(object)


def equal(got, expected):
    assert got.dtype == np.uint64
    assert got.tolist() == (np.asarray(expected, object) % M).tolist()


@settings(max_examples=30, deadline=None)
@given(vectors(2), st.integers(-(2**70), 2**70), st.integers(0, 63))
def test_elementwise_operations(xy, c, f):
    x, y = xy
    a, b = exact(x), exact(y)
    equal(ring.add(x, y), a + b)
    equal(ring.sub(x, y), a - b)
    equal(ring.mul(x, y), a * b)
    equal(ring.neg(x), -a)
    equal(ring.scale(x, c), a * c)
    equal(ring.truncate_public(x, f), a >> f)
    equal(ring.arith_shift(x, f), exact(x.view(np.int64)) >> f)


@settings(max_examples=30, deadline=None)
@given(vectors(6), st.sampled_from([0, 1, 7, 8, 9, 33]))
def test_replicated_product(rows, n):
    rows = rows[:, :n]
    xa, xb, ya, yb, r0, r1 = map(exact, rows)
    expected = xa * ya + xa * yb + xb * ya + r0 - r1
    equal(ring.replicated_product(*rows), expected)
    for i in range(6):  # in place on any operand
        copies = [r.copy() for r in rows]
        assert ring.replicated_product(*copies, out=copies[i]) is copies[i]
        equal(copies[i], expected)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (3, 17), (40, 3)])
def test_row_products(shape):
    xa, xb, ya, yb = (some(i, *shape) for i in range(4))
    a, b, c, d = map(exact, (xa, xb, ya, yb))
    equal(ring.dot(xa, ya), (a * c).sum(axis=1))
    equal(ring.replicated_dot(xa, xb, ya, yb), (a * c + a * d + b * c).sum(axis=1))
    equal(ring.dot(xa[::2, ::2], ya[::2, ::2]), (a * c)[::2, ::2].sum(axis=1))


SIZES = [(0, 0, 0), (0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 9, 1), (4, 4, 4), (5, 7, 9), (6, 300, 2), (9, 5, 3)]
SIZES += [(2, 11, 1500), (3, 5, 40), (4, 256, 16), (4, 257, 17), (13, 600, 31), (17, 33, 300), (35, 20, 515)]


@pytest.mark.parametrize("size", SIZES)
def test_matrix_product(size):
    m, k, n = size
    a, b, c = some(1, m, k), some(2, k, n), some(3, m, n)
    expected = exact(a) @ exact(b) if k else np.zeros((m, n), object)
    equal(ring.matmul(a, b), expected)
    out = c.copy()
    assert ring.matmul(a, b, out=out) is out
    equal(out, expected)
    equal(ring.matmul(a, b, out=c.copy(), accumulate=True), expected + exact(c))
    equal(ring.matmul(np.asfortranarray(a), np.asfortranarray(b)), expected)
    xa, xb, ya, yb = some(4, m, k), some(5, m, k), some(6, k, n), some(7, k, n)
    product = (exact(xa) + exact(xb)) @ (exact(ya) + exact(yb)) - exact(xb) @ exact(yb) if k else expected
    equal(ring.replicated_matmul(xa, xb, ya, yb), product)


def test_zero_dimensional_arrays_stay_arrays():
    x = np.array(2**64 - 1, np.uint64)
    for got in (ring.add(x, x), ring.neg(x), ring.scale(x, 3), ring.arith_shift(x, 1), ring.truncate_public(x, 1)):
        assert isinstance(got, np.ndarray)
        assert got.shape == ()
    assert ring.arith_shift(x, 5) == x
    assert ring.replicated_product(x, x, x, x, x, x).shape == ()


def test_strided_and_read_only_inputs():
    x = some(1, 6, 40)
    x.flags.writeable = False
    equal(ring.replicated_product(*x[:, ::2]), ring.replicated_product(*x[:, ::2].copy()).astype(object))
    raw = some(2, 41).tobytes()
    shifted = np.frombuffer(raw, np.uint64, 40, offset=3)
    equal(ring.replicated_product(*[shifted] * 6), 3 * exact(shifted) ** 2)


def test_results_are_written_in_place():
    x, y, out = some(1, 4, 5), some(2, 4, 5), np.empty((4, 5), np.uint64)
    for got in (ring.add(x, y, out), ring.neg(x, out), ring.scale(x, 2, out), ring.truncate_public(x, 2, out)):
        assert got is out
    equal(ring.arith_shift(x, 1, out), exact(x.view(np.int64)) >> 1)
    equal(ring.mul(x, y, x), exact(some(1, 4, 5)) * exact(y))


def bad_calls():
    x, y = np.ones(8, np.uint64), np.ones(16, np.uint64)[::2]
    yield lambda: ring.add(x, np.ones(8, np.int64))
    yield lambda: ring.add(x, np.ones(7, np.uint64))
    yield lambda: ring.replicated_product(x, x, x, x, x, x[:1])
    yield lambda: ring.replicated_product(x, x, x, x, x, x.view(np.int64))
    yield lambda: ring.replicated_product(*[x.astype(float)] * 6)
    yield lambda: ring.replicated_product(*[x] * 6, out=y)
    yield lambda: ring.replicated_product(*[x] * 6, out=np.frombuffer(bytes(64), np.uint64))
    yield lambda: ring.replicated_product(*[x] * 6, out=np.empty(7, np.uint64))
    yield lambda: ring.replicated_product(*[x] * 6, out=np.empty(8, np.int64))
    yield lambda: ring.dot(x, x)
    yield lambda: ring.dot(x.reshape(2, 4), x.reshape(4, 2))
    yield lambda: ring.matmul(x.reshape(2, 4), x.reshape(2, 4))
    yield lambda: ring.matmul(x.reshape(2, 4), x.reshape(4, 2), accumulate=True)
    yield lambda: ring.matmul(x[:4].reshape(2, 2), x[:4].reshape(2, 2), out=x[:4].reshape(2, 2))
    yield lambda: ring.matmul(x.reshape(2, 4).astype(float), x.reshape(4, 2))
    yield lambda: ring.arith_shift(x, 64)
    yield lambda: ring.truncate_public(x, -1)


@pytest.mark.parametrize("call", list(bad_calls()))
def test_wrong_arguments_raise(call):
    with pytest.raises(InternalError):
        call()


def test_ghosts_propagate():
    g, x = ghost((2, 3), np.uint64), np.ones((2, 3), np.uint64)
    out = np.full((2, 3), 7, np.uint64)
    calls = [lambda **o: ring.replicated_product(x, x, x, g, x, x, **o), lambda **o: ring.add(x, g, **o)]
    calls += [lambda **o: ring.scale(g, 3, **o), lambda **o: ring.arith_shift(g, 3, **o), lambda **o: ring.neg(g, **o)]
    for call in calls:
        assert (type(call()), call().shape, call().dtype) == (Ghost, (2, 3), np.uint64)
        assert call(out=out) is out
    assert (out == 7).all()
    assert type(ring.replicated_product(x, x, x, x, x, x, out=g)) is Ghost
    assert ring.dot(g, x).shape == ring.replicated_dot(x, x, x, g).shape == (2,)
    assert (ring.matmul(g, x.T).shape, type(ring.matmul(x, g.T))) == ((2, 2), Ghost)
    one = ghost(1, np.uint64)  # a ghost of one element looks contiguous
    assert type(ring.replicated_product(*[np.ones(1, np.uint64)] * 5, one)) is Ghost
    with pytest.raises(InternalError):
        ring.replicated_product(x, x, x, g[:1], x, x)


def test_weighted_halves_of_both_parties_add_up_to_the_weighted_bits():
    rng = np.random.default_rng(5)
    bit, known = (rng.integers(0, 2, (3, 41), np.uint8) for _ in range(2))
    first = rng.integers(0, 2**64, (3, 41), np.uint64)
    second = known.astype(np.uint64) - first
    weights = np.array([[1, 1, 1], [3, 2**40, 2**63]], np.uint64)
    total = ring.weighted_halves(first, bit, weights, True) + ring.weighted_halves(second, bit, weights, False)
    flags = (bit ^ known).astype(np.uint64)
    assert (total == (weights[:, :, None] * flags[None]).sum(1, dtype=np.uint64)).all()
    assert type(ring.weighted_halves(ghost((3, 41), np.uint64), bit, weights, True)) is Ghost


@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3)])
def test_injected_half(shape):
    rng = np.random.default_rng(5)
    product, factor, x, rest = (rng.integers(0, 2**64, shape, dtype=np.uint64) for _ in range(4))
    product, factor, x, rest = map(np.asarray, (product, factor, x, rest))
    for value in (0, 1):
        bit = np.full(shape, value, np.uint8)
        got = ring.injected_half(bit, product, factor, x, rest)
        exact = product.astype(object) + factor.astype(object) * x.astype(object)
        expected = np.asarray((rest.astype(object) - exact if value else exact) % 2**64, np.uint64)
        assert got.shape == shape
        assert (got == expected).all()
    assert type(ring.injected_half(bit, ghost(shape, np.uint64), factor, x, rest)) is Ghost
    with pytest.raises(InternalError):
        ring.injected_half(np.zeros((*shape, 1), np.uint8), product, factor, x, rest)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (8,), (3, 13)])
@pytest.mark.parametrize("whole", [False, True])
def test_beaver(shape, whole):
    rng = np.random.default_rng(6)
    c, d, e, a, b = (rng.integers(0, 2**64, shape, dtype=np.uint64) for _ in range(5))
    expected = c + d * b + a * e + (d * e if whole else np.uint64(0))
    out = np.empty(shape, np.uint64)
    assert typed.beaver(c, d, e, a, b, whole, out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(typed.beaver(c, d, e, a, b, whole), expected)
