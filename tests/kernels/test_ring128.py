"""The ring modulo 2^128 against Python's integers."""

import numpy as np
import pytest

from quorate.crypto.entropy import SeededEntropyForTests
from quorate.errors import InternalError
from quorate.kernels import field, ring128
from quorate.kernels.ghost import ghost, is_ghost

M = 1 << 128
SHAPES = ((), (0,), (1,), (37,), (3, 5))
EDGES = [0, 1, (1 << 64) - 1, 1 << 63, 1 << 32, (1 << 32) - 1]


def words(label, shape):
    size = int(np.prod(shape, dtype=np.int64))
    drawn = np.frombuffer(SeededEntropyForTests(3, f"{label} {shape}").bytes(8 * size), np.uint64).copy()
    drawn[::3] = np.resize(np.array(EDGES, np.uint64), drawn[::3].shape)
    return drawn.reshape(shape)


def pair(label, shape):
    return words(f"{label} low", shape), words(f"{label} high", shape)


def exact(x):
    return np.asarray(x[0]).astype(object) + (np.asarray(x[1]).astype(object) << 64)


def check(got, wanted):
    assert got[0].dtype == got[1].dtype == np.uint64
    assert np.array_equal(exact(got), np.asarray(wanted, object) % M)


@pytest.mark.parametrize("shape", SHAPES)
def test_elementwise(shape):
    x, y = pair("x", shape), pair("y", shape)
    check(ring128.add(x, y), exact(x) + exact(y))
    check(ring128.sub(x, y), exact(x) - exact(y))
    check(ring128.mul(x, y), exact(x) * exact(y))
    check(ring128.neg(x), -exact(x))


def test_operands_broadcast():
    x, y = pair("x", (3, 5)), pair("y", (5,))
    check(ring128.mul(x, y), exact(x) * exact(y))
    check(ring128.sub(y, x), exact(y) - exact(x))
    with pytest.raises(InternalError, match="do not fit"):
        ring128.add(x, pair("z", (4,)))


def test_products_of_rows_and_matrices():
    x, y, z = pair("x", (3, 40)), pair("y", (3, 40)), pair("z", (40, 4))
    check(ring128.dot(x, y), (exact(x) * exact(y)).sum(axis=1))
    check(ring128.matmul(x, z), exact(x).dot(exact(z)))
    for axis in (0, 1, -1):
        check(ring128.sum_axis(x, axis), exact(x).sum(axis=axis))
    with pytest.raises(InternalError, match="inner sizes"):
        ring128.matmul(x, y)
    with pytest.raises(InternalError, match="row-wise"):
        ring128.dot(x, z)


def test_weighted_sum():
    w, x = words("w", (1000,)), pair("x", (1000,))
    check(ring128.weigh(w, x), (w.astype(object) * exact(x)).sum())


@pytest.mark.parametrize("shape", SHAPES)
def test_beaver(shape):
    d, e, a, b, c = (pair(label, shape) for label in "deabc")
    whole = pair("whole", ())
    wanted = exact(c) + exact(d) * exact(b) + exact(e) * exact(a) + exact(d) * exact(e) * exact(whole)
    check(ring128.beaver(d, e, a, b, c, whole), wanted)


def test_beaver_over_the_field():
    d, e, a, b, c = (field.reduce(words(label, (37,))) for label in "deabc")
    whole = field.reduce(words("whole", ()))
    numbers = [x.astype(object) for x in (d, e, a, b, c)]
    wanted = numbers[4] + numbers[0] * numbers[3] + numbers[1] * numbers[2] + numbers[0] * numbers[1] * int(whole)
    assert np.array_equal(field.beaver(d, e, a, b, c, whole).astype(object), wanted % field.P)
    total = int((numbers[0] * numbers[1]).sum()) % field.P
    assert int(field.weigh(d, e)) == total


def test_ghosts_stay_ghosts():
    x, y = (ghost((3, 5), np.uint64),) * 2, pair("y", (3, 5))
    for result in (ring128.add(x, y), ring128.mul(y, x), ring128.dot(x, y), ring128.sum_axis(x, 0)):
        assert is_ghost(*result)
    assert ring128.matmul(x, pair("z", (5, 2)))[0].shape == (3, 2)
