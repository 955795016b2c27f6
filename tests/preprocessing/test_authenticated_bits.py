"""Authenticated bits: rows and planes, ands, private bits, how large buckets have to be."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels import planes, weighted
from quorate.kernels.ghost import ghost, is_ghost
from quorate.preprocessing import and_triples, private_bits
from quorate.preprocessing.authenticated_bits import AND_WORDS, PRIVATE_WORDS, RANDOM_WORDS
from quorate.testing.world import World

P = 2**61 - 1


def words(seed, *shape):
    return np.random.default_rng(seed).integers(0, 2**64, shape, np.uint64)


def test_rows_become_planes():
    rows = words(1, 192)
    found = planes.from_rows(rows, 49)
    assert found.shape == (49, 3)
    for j in (0, 1, 31, 32, 48):
        expected = np.packbits(((rows >> np.uint64(j)) & np.uint64(1)).astype(np.uint8), bitorder="little")
        assert np.array_equal(found[j], expected.view(np.uint64))
    assert is_ghost(planes.from_rows(ghost((128,), np.uint64), 5))
    with pytest.raises(InternalError):
        planes.from_rows(rows[:100], 49)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_planes_of_products(kind):
    c, x, y, d, e = (words(k, 100).astype(kind) for k in range(5))
    full = np.iinfo(kind).max
    assert np.array_equal(planes.beaver(c, x, y, d, e, 0), c ^ (d & y) ^ (e & x))
    assert np.array_equal(planes.beaver(c, x, y, d, e, 2**64 - 1), c ^ (d & y) ^ (e & x) ^ (d & e & kind(full)))


def test_chosen_words():
    bits, by, out = (words(1, 50) & np.uint64(1)).astype(np.uint8), words(2, 50), words(3, 50)
    assert np.array_equal(planes.chosen(bits, by, out.copy()), np.where(bits, out ^ by, out))
    assert np.array_equal(planes.chosen(bits, 77, out.copy()), np.where(bits, out ^ np.uint64(77), out))


def test_merged_rows():
    x, z, from_x, from_z = (words(k, 40) for k in range(4))
    order, flips = np.random.default_rng(5).permutation(40), (words(6, 40) & np.uint64(1)).astype(np.uint8)
    got_x, got_z = x.copy(), z.copy()
    planes.merge(got_x, got_z, from_x, from_z, order, flips)
    assert np.array_equal(got_x, x ^ from_x[order])
    assert np.array_equal(got_z, z ^ from_z[order] ^ np.where(flips, from_x[order], np.uint64(0)))
    with pytest.raises(InternalError):
        planes.merge(x, z, from_x, from_z[:39], order, flips)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("width", [1, 8, 61, 64])
def test_numbers_from_bits(rows, width):
    low, high = words(4, rows, 64), words(5, rows, 64)
    low[:1], high[:1] = 2**64 - 1, 2**64 - 1
    elements = low % np.uint64(P)
    elements[:1] = P - 1

    def exact(limbs):
        return [sum(int(v) << k for k, v in enumerate(row[:width])) for row in limbs]

    assert weighted.field_sums(elements, width).tolist() == [value % P for value in exact(elements)]
    a, b = weighted.ring_sums(low, high, width)
    both = [int(p) + (int(q) << 64) for p, q in zip(a, b, strict=True)]
    wanted = [(p + (q << 64)) % 2**128 for p, q in zip(exact(low), exact(high), strict=True)]
    assert both == wanted


def bad_lot_of_ands(count, size):
    """How likely a cheater gets a bucket of its own past the check, by the formula of `and_triples`."""
    in_each = max(Fraction(c, 2**c) for c in range(1, 50))
    return in_each**size / Fraction(count) ** (size - 1)


def bad_lot_of_bits(count, size):
    total = count * size + size
    return max(Fraction(count, comb(total, size)), Fraction(1, comb(total, size)))


@pytest.mark.parametrize("security", [40, 48, 60])
@pytest.mark.parametrize("count", [64, 4096, 1 << 19])
@pytest.mark.parametrize(("module", "bad"), [(and_triples, bad_lot_of_ands), (private_bits, bad_lot_of_bits)])
def test_buckets_are_as_large_as_they_must_be(module, bad, count, security):
    size, allowed = module.bucket_size(count, security), Fraction(1, 2 ** (security + 1))
    assert bad(count, size) <= allowed < bad(count, size - 1) or size == 2


@pytest.mark.parametrize("count", [1, 5, 20, 60])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_wrong_bits_fill_one_bucket_or_all(count, size):
    """That these are the best numbers for a cheater is what the formula for private bits relies on."""
    total = count * size + size
    chances = [Fraction(comb(count, m), comb(total, m * size)) for m in range(1, count + 1)]
    assert max(chances) == max(chances[0], chances[-1]) <= bad_lot_of_bits(count, size)


def made(parties, dealer, kind, count, protocol="spdz"):
    """Tuples of a kind at every party, the keys, and what was checked."""

    def program(p, at):
        parts = yield from p.supply.produce(at.child("make"), kind, count)
        yield from p.checked()
        return parts, p.bit_keys()[0][0] if p.me < p.parties else None, p.bit_planes, p.alpha

    values = World(protocol, parties, dealer=dealer, seed=5).run(program).values[:parties]
    delta = 0
    for value in values:
        delta ^= int(value[1])
    return [value[0] for value in values], delta, values[0][2], [value[3] for value in values]


def opened(parts, delta, count_planes):
    """The words that the planes of all parties stand for, whose MACs must fit."""
    combined = [np.bitwise_xor.reduce(list(plane)) for plane in zip(*parts, strict=True)]
    assert len(combined) == count_planes
    for j, plane in enumerate(combined):
        assert np.array_equal(plane, combined[0] if delta >> j & 1 else np.zeros_like(plane))
    return combined[0]


WAYS = [(2, True), (2, False), (3, False)]


@pytest.mark.parametrize(("parties", "dealer"), WAYS)
def test_and_words(parties, dealer):
    tuples, delta, s, _ = made(parties, dealer, AND_WORDS, 3)
    assert delta & 1
    x, y, z = (opened([parts[k * s : (k + 1) * s] for parts in tuples], delta, s) for k in range(3))
    assert np.array_equal(x & y, z)
    assert len({*x.tolist(), *y.tolist()}) == 6


@pytest.mark.parametrize(("parties", "dealer"), WAYS)
def test_random_words(parties, dealer):
    tuples, delta, s, _ = made(parties, dealer, RANDOM_WORDS, 5)
    assert len(set(opened(tuples, delta, s).tolist())) == 5


@pytest.mark.parametrize(("parties", "dealer"), WAYS)
def test_private_words(parties, dealer):
    """Every party knows its own words; as numbers their bits are the same, and have the MACs of numbers."""
    tuples, delta, s, alphas = made(parties, dealer, PRIVATE_WORDS, 2)
    alpha = sum(int(a[0]) for a in alphas) % P
    for owner in range(parties):
        start = 1 + owner * (2 + s)
        word = opened([parts[start + 2 : start + 2 + s] for parts in tuples], delta, s)
        assert np.array_equal(word, tuples[owner][0])
        bits = (word[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
        value, tag = (sum(parts[start + k].astype(object) for parts in tuples) % P for k in range(2))
        assert np.array_equal(value, bits.astype(object))
        assert np.array_equal(tag, bits.astype(object) * alpha % P)
