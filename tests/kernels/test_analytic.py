"""Sines, powers and pairs of bits of single words."""

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels import analytic, pairs
from quorate.kernels.ghost import ghost, is_ghost

LD = np.longdouble
WORDS = np.concatenate(
    [
        np.array([0, 1, 2**63, 2**63 - 1, 2**64 - 1, 2**62, 3 * 2**62, 2**61, 2**60], np.uint64),
        np.random.default_rng(1).integers(0, 2**64, 3000, dtype=np.uint64),
    ]
)
FIELD = WORDS >> np.uint64(3)


@pytest.mark.parametrize(("words", "bits"), [(WORDS, 64), (FIELD, 61)])
@pytest.mark.parametrize("stride", [1, 2])
def test_waves_and_their_weighted_factor(words, bits, stride):
    turn = words.astype(LD) / LD(2.0) ** bits * 2 * LD(np.arctan2(LD(0), LD(-1)))
    got = analytic.waves(words, 6, stride, 40, bits)
    cosines, sines = np.array([1.5, 0, -2, 0.25, 1, 3]), np.array([0, -1.25, 1, 4, 0.5, 0])
    weighted = analytic.weighted_waves(words, cosines, sines, stride, 40, bits)
    for k, (a, b) in enumerate(zip(cosines, sines, strict=True)):
        t = (1 + k * stride) * turn
        assert np.abs(got[2 * k] - np.cos(t) * LD(2) ** 40).max() < 0.5 + 2.0**-6 * (1 + k * stride)
        assert np.abs(got[2 * k + 1] - np.sin(t) * LD(2) ** 40).max() < 0.5 + 2.0**-6 * (1 + k * stride)
        assert np.abs(weighted[2 * k] - (a * np.cos(t) + b * np.sin(t)) * LD(2) ** 40).max() < 1
        assert np.abs(weighted[2 * k + 1] - (b * np.cos(t) - a * np.sin(t)) * LD(2) ** 40).max() < 1


@pytest.mark.parametrize(("words", "bits"), [(WORDS, 64), (FIELD, 61)])
@pytest.mark.parametrize(("blocks", "width"), [(1, 16), (2, 3), (8, 4), (32, 1), (4, 0)])
def test_powers(words, bits, blocks, width):
    places = words.astype(LD) / LD(2.0) ** bits * blocks
    block = np.minimum(np.floor(places).astype(int), blocks - 1)
    rest = (places - block) * width
    got = analytic.powers(words, blocks, width, 30, bits)
    assert np.abs(got[block, np.arange(words.size)] - np.exp2(rest + 30)).max() < 0.51 + 2.0 ** (width + 30 - 44)
    assert (np.count_nonzero(got, axis=0) == 1).all()
    exponents = np.arange(blocks) * 0.0 + 20
    exponents[-1] = -2000
    weighted = analytic.weighted_powers(words, width, exponents, bits)
    for j in range(blocks):
        wanted = np.where((block + j) % blocks == blocks - 1, 0, np.exp2(rest + 20))
        assert np.abs(weighted[j] - wanted).max() < 0.51 + 2.0 ** (width + 20 - 44)


def test_a_machine_with_other_arithmetic_is_refused(monkeypatch):
    analytic._trust.cache_clear()
    monkeypatch.setattr(analytic, "SUMS_OF_SAMPLE", (1, 2))
    with pytest.raises(InternalError, match="IEEE 754"):
        analytic.waves(WORDS, 1, 1, 20, 64)
    monkeypatch.undo()
    assert analytic.waves(WORDS, 1, 1, 20, 64).shape == (2, WORDS.size)


def test_columns():
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 2**64, (2, 5, 700), dtype=np.uint64)
    assert np.array_equal(analytic.column_dot(x, y), (x * y).sum(0, dtype=np.uint64))
    with pytest.raises(InternalError):
        analytic.column_dot(x, y[:3])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_pairs_and_bits(kind):
    words = WORDS.astype(kind)
    width = 8 * words.dtype.itemsize
    even, odd = pairs.split_pairs(words)
    for k in range(width // 2):
        bit = words >> kind(2 * k)
        assert np.array_equal((even >> even.dtype.type(k)) & 1, bit & 1)
        assert np.array_equal((odd >> odd.dtype.type(k)) & 1, (bit >> kind(1)) & 1)
    assert np.array_equal(pairs.bits_of(words, 1, 3), np.stack([(words >> kind(k)) & kind(1) for k in (1, 2, 3)]))
    with pytest.raises(InternalError):
        pairs.bits_of(words, width - 1, 2)


def test_ghosts_stay_ghosts():
    x = ghost((7,), np.uint64)
    results = [
        analytic.waves(x, 3, 1, 20, 64),
        analytic.powers(x, 4, 2, 20, 61),
        analytic.weighted_powers(x, 2, np.zeros(4), 64),
        analytic.column_dot(ghost((3, 7), np.uint64), ghost((3, 7), np.uint64)),
        *pairs.split_pairs(x),
        pairs.bits_of(x, 0, 5),
    ]
    assert all(is_ghost(result) for result in results)
    assert [result.shape for result in results] == [(6, 7), (4, 7), (4, 7), (7,), (7,), (7,), (5, 7)]
