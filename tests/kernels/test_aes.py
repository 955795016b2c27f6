"""The planes of AES: field arithmetic against tables, layers against FIPS 197's definitions, parts add up."""

import numpy as np
import pytest

from quorate.errors import InternalError
from quorate.kernels import aes
from quorate.kernels.ghost import ghost, is_ghost


def times(a, b):
    """A product in GF(256) with the polynomial of FIPS 197, 4.2."""
    result = 0
    while b:
        result ^= a if b & 1 else 0
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return result


INVERSE = [next((b for b in range(256) if times(a, b) == 1), 0) for a in range(256)]


def matrix(x):
    """The matrix of the S-box, FIPS 197, (5.4), without its constant."""
    return sum(
        ((x >> i ^ x >> (i + 4) % 8 ^ x >> (i + 5) % 8 ^ x >> (i + 6) % 8 ^ x >> (i + 7) % 8) & 1) << i
        for i in range(8)
    )


def all_pairs(bits_a, bits_b):
    """Planes of all pairs of elements: (bits_a, n) and (bits_b, n), one pair per bit."""
    pairs = [(a, b) for a in range(1 << bits_a) for b in range(1 << bits_b)]
    columns = np.array(pairs)
    sides = []
    for side, bits in ((0, bits_a), (1, bits_b)):
        rows = [(columns[:, side] >> k & 1).astype(np.uint8) for k in range(bits)]
        sides.append(np.stack([np.packbits(row, bitorder="little") for row in rows]))
    return pairs, sides


def elements(planes, count):
    bits = np.unpackbits(planes, axis=1, bitorder="little")[:, :count]
    return sum(bits[k].astype(int) << k for k in range(len(bits)))


def full(tower):
    return int(aes.FROM_TOWER[tower])


def test_tables_are_inverse_and_linear():
    np.testing.assert_array_equal(aes.TO_TOWER[aes.FROM_TOWER], np.arange(256))
    a, b = np.arange(256)[:, None], np.arange(256)[None, :]
    np.testing.assert_array_equal(aes.FROM_TOWER[a ^ b], aes.FROM_TOWER[a] ^ aes.FROM_TOWER[b])


@pytest.mark.parametrize(("kernel", "bits"), [(aes.product4, 2), (aes.product16, 4)])
def test_products(kernel, bits):
    pairs, (a, b) = all_pairs(bits, bits)
    for (x, y), z in zip(pairs, elements(kernel(a, b), len(pairs)), strict=True):
        assert full(z) == times(full(x), full(y))


def test_an_inverse_in_four_products():
    """In the clear, on all bytes at once."""
    x = np.arange(256)
    state = np.stack([np.packbits((x >> k & 1).astype(np.uint8), bitorder="little") for k in range(8)])
    n = aes.norm16(state, aes.product16(state[4:], state[:4]))
    m = aes.norm4(n, aes.product4(n[2:], n[:2]))
    inverse = aes.scale16(state, aes.scale4(n, m))
    assert [full(v) for v in elements(inverse, 256)] == [INVERSE[full(v)] for v in x]


def test_matrix():
    x = np.arange(256)
    state = np.stack([np.packbits((x >> k & 1).astype(np.uint8), bitorder="little") for k in range(8)])
    assert [full(v) for v in elements(aes.matrix(state), 256)] == [matrix(full(v)) for v in x]


def random_state(count, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 16), np.uint8), rng.integers(0, 256, 16, np.uint8)


def key_planes(key):
    return np.array([[0xFF if aes.TO_TOWER[v] >> bit & 1 else 0 for v in key] for bit in range(8)], np.uint8)


@pytest.mark.parametrize("count", [1, 8, 9, 511, 512, 515, 1100])
def test_planes_there_and_back(count):
    blocks, _ = random_state(count)
    planes = aes.to_planes(blocks)
    assert planes.shape == (8, 16, -(-count // 8))
    np.testing.assert_array_equal(aes.from_planes(planes, count), blocks)
    assert elements(planes[:, 3, :], count)[count - 1] == aes.TO_TOWER[blocks[count - 1, 3]]


@pytest.mark.parametrize("count", [1, 8, 515, 1100])
def test_layers(count):
    """FIPS 197, 5.1.2 to 5.1.4."""
    blocks, key = random_state(count)
    planes = aes.to_planes(blocks)
    mixed = aes.from_planes(aes.mix_layer(planes, key_planes(key)), count)
    last = aes.from_planes(aes.last_layer(planes, key_planes(key)), count)
    for b in {0, count // 2, count - 1}:
        s = [matrix(int(v)) for v in blocks[b]]
        shifted = [s[j % 4 + 4 * ((j // 4 + j % 4) % 4)] for j in range(16)]
        assert list(last[b]) == [v ^ int(k) for v, k in zip(shifted, key, strict=True)]
        for j in range(16):
            column = shifted[j - j % 4 : j - j % 4 + 4]
            a = column[j % 4 :] + column[: j % 4]
            assert mixed[b, j] == times(2, a[0]) ^ times(3, a[1]) ^ a[2] ^ a[3] ^ int(key[j])


@pytest.mark.parametrize("inner", [(1,), (63,), (64,), (16, 65)])
def test_products_and_norms_are_linear_in_parts(inner):
    rng = np.random.default_rng(2)

    def part(planes):
        return rng.integers(0, 256, (planes, *inner), np.uint8)

    for kernel, left, right in (
        (aes.product4, 2, 2),
        (aes.product16, 4, 4),
        (aes.scale4, 4, 2),
        (aes.scale16, 8, 4),
    ):
        a, b, c = part(left), part(left), part(right)
        np.testing.assert_array_equal(kernel(a ^ b, c), kernel(a, c) ^ kernel(b, c))
    for norm, left, right in ((aes.norm16, 8, 4), (aes.norm4, 4, 2)):
        a, b, c, d = part(left), part(left), part(right), part(right)
        np.testing.assert_array_equal(norm(a ^ b, c ^ d), norm(a, c) ^ norm(b, d))


def test_ghosts_and_wrong_shapes():
    state, planes = ghost((8, 16, 5), np.uint8), ghost((4, 16, 5), np.uint8)
    for result, shape in (
        (aes.to_planes(ghost((33, 16), np.uint8)), (8, 16, 5)),
        (aes.from_planes(state, 33), (33, 16)),
        (aes.mix_layer(state, ghost((8, 16), np.uint8)), (8, 16, 5)),
        (aes.scale16(state, planes), (8, 16, 5)),
        (aes.norm16(state, planes), (4, 16, 5)),
        (aes.matrix(state), (8, 16, 5)),
    ):
        assert is_ghost(result)
        assert result.shape == shape
    with pytest.raises(InternalError, match="AES planes"):
        aes.product16(np.zeros((4, 9), np.uint8), np.zeros((4, 8), np.uint8))
    with pytest.raises(InternalError, match="AES planes"):
        aes.to_planes(np.zeros((4, 15), np.uint8))
