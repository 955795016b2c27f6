"""The processor's AES under a fixed key against a library's, for every number of blocks up to a few vectors."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quorate.crypto import robust
from quorate.kernels import fixed_aes

pytestmark = pytest.mark.skipif(not fixed_aes.available, reason="this processor has no AES instructions")


def permutation(key, blocks):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return np.frombuffer(encryptor.update(blocks.tobytes()), np.uint64).reshape(-1, 2)


def schedule(key):
    return fixed_aes.round_keys(np.frombuffer(key, np.uint64).reshape(1, 2))[0]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 63, 64, 1000])
def test_tweaked_hash(count):
    rng = np.random.default_rng(count)
    key = rng.bytes(16)
    blocks = rng.integers(0, 2**64, (count, 2), dtype=np.uint64)
    flip = rng.integers(0, 2**64, 2, dtype=np.uint64)
    index = np.zeros((count, 2), np.uint64)
    index[:, 0] = np.arange(count) + 2**40
    once = permutation(key, blocks ^ flip)
    out = np.empty_like(blocks)
    keys = schedule(key)
    fixed_aes.tweaked_hash(out.reshape(-1), blocks.reshape(-1), np.tile(flip, 4), keys, np.uint64(2**40))
    np.testing.assert_array_equal(out, permutation(key, once ^ index) ^ once)


def test_key_schedule():
    """FIPS 197, appendix A.1: the last round key."""
    keys = schedule(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    assert keys[80:82].tobytes().hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"


def test_hash_is_the_same_without_instructions(monkeypatch):
    blocks = np.random.default_rng(3).integers(0, 2**64, (5000, 2), dtype=np.uint64)
    flip = blocks[7].copy()
    fast = robust.robust_hash(blocks, 9), robust.robust_hash(blocks, 9, flip)
    monkeypatch.setattr(fixed_aes, "available", False)
    np.testing.assert_array_equal(fast[0], robust.robust_hash(blocks, 9))
    np.testing.assert_array_equal(fast[1], robust.robust_hash(blocks, 9, flip))
    np.testing.assert_array_equal(fast[1], robust.robust_hash(blocks ^ flip, 9))
