"""Tuples of every kind are what they should be, in several chunks too, and cost what is counted."""

import numpy as np
import pytest

from quorate.errors import InternalError, UserError
from quorate.preprocessing import semi_honest
from quorate.preprocessing.stock import Stock
from quorate.testing.protocol_checks import run_counted
from quorate.testing.world import World


def made(parties, kind, count):
    """Everybody's parts of some tuples, by party."""

    def program(p, at):
        return (yield from p.supply.produce(at.child("tuples"), kind, count))

    return run_counted(World("semi2k", parties, dealer=False), program).values


def summed(parts):
    return [np.add.reduce(arrays) for arrays in zip(*parts, strict=True)]


def xored(parts):
    return [np.bitwise_xor.reduce(arrays) for arrays in zip(*parts, strict=True)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(semi_honest, "CHUNK", 1 << 12)
    monkeypatch.setattr(semi_honest, "PIECE", 1 << 10)


def is_spread(words):
    """About half of all bits are set."""
    return abs(np.unpackbits(words.view(np.uint8)).mean() - 0.5) < 0.05


@pytest.mark.parametrize("parties", [2, 3, 4])
def test_products(parties):
    parts = made(parties, "products", 150)
    a, b, c = summed(parts)
    np.testing.assert_array_equal(a * b, c)
    assert all(is_spread(array) for array in (a, b, c, *parts[0], *parts[1]))


@pytest.mark.parametrize("parties", [2, 3, 4])
def test_words(parties):
    parts = made(parties, "AND words", 150)
    a, b, c = xored(parts)
    np.testing.assert_array_equal(a & b, c)
    assert all(is_spread(array) for array in (a, b, *parts[0], *parts[1]))


@pytest.mark.parametrize("parties", [2, 3, 4])
def test_conversions(parties):
    parts = made(parties, "bit conversions", 5000)
    np.testing.assert_array_equal(xored(parts)[0], summed(parts)[1])
    assert set(parts[0][0]) == {0, 1}
    assert abs(xored(parts)[0].mean() - 0.5) < 0.05
    assert is_spread(parts[0][1])


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (5, 4, 2), (2, 40, 3)])
def test_matrices(parties, shape):
    m, k, n = shape
    a, b, c = summed(made(parties, f"matrix products {m}x{k}x{n}", 2))
    assert (a.shape, b.shape, c.shape) == ((2, m, k), (2, k, n), (2, m, n))
    for left, right, both in zip(a, b, c, strict=True):
        np.testing.assert_array_equal(left @ right, both)


def test_bytes_of_a_product():
    """260 bytes and 64 transfers per product, party and peer; see the module and `quorate.preprocessing.cot`."""
    few, many = (
        run_counted(
            World("semi2k", 2, dealer=False), lambda p, at, n=n: p.supply.produce(at, "products", n)
        ).bytes_sent[0]
        for n in (32, 64)
    )
    transfers = 31 * 8 * 32  # corrections of 32 * 64 transfers
    assert many - few == 260 * 32 + transfers


def test_unknown_kinds():
    with pytest.raises(UserError, match="there are no tuples 'cubes'; choose from products, AND words"):
        made(2, "cubes", 1)


def test_stock():
    stock = Stock()
    stock.put("kind", [np.arange(3), np.arange(3) * 10])
    stock.put("kind", [np.arange(3, 9), np.arange(3, 9) * 10])
    first = stock.take("kind", 2)
    second = stock.take("kind", 4)
    assert [list(part) for part in (*first, *second)] == [[0, 1], [0, 10], [2, 3, 4, 5], [20, 30, 40, 50]]
    assert stock.kinds() == {"kind": 3}
    with pytest.raises(InternalError, match="4 kind were asked of a stock of 3"):
        stock.take("kind", 4)
    with pytest.raises(InternalError, match="are not of the same tuples"):
        stock.put("kind", [np.arange(3), np.arange(4)])
