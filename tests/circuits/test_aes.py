"""AES-128 against the vectors of FIPS 197 and SP 800-38A, and against another implementation."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quorate.circuits import aes
from quorate.circuits.bitwise import low_bits
from quorate.errors import UserError
from quorate.testing.circuit_conformance import check_circuit, run_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS, World

EVERY = pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS)

VECTORS = [
    # FIPS 197, appendix B
    ("2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"),
    # FIPS 197, appendix C.1
    ("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"),
    # NIST SP 800-38A, F.1.1 (ECB-AES128.Encrypt), blocks 1 to 4
    ("2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    ("2b7e151628aed2a6abf7158809cf4f3c", "ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
    ("2b7e151628aed2a6abf7158809cf4f3c", "30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
    ("2b7e151628aed2a6abf7158809cf4f3c", "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
]


def bytes_of(text):
    return np.frombuffer(bytes.fromhex(text), np.uint8).astype(np.int64)


def words(p, at, x):
    return low_bits(p, at, x, 8)


def encrypt(p, at, key, blocks):
    k = yield from words(p, at.child("key"), key)
    x = yield from words(p, at.child("blocks"), blocks)
    return (yield from aes.encrypt(p, at.child("encrypt"), k, x))


@EVERY
def test_standard(configuration):
    key, plain, cipher = map(bytes_of, VECTORS[1])
    check_circuit(configuration, encrypt, [key, plain[None]], cipher[None], seed=1)


def test_standard_blocks_under_one_key():
    key, plain, cipher = ([bytes_of(row[k]) for row in (VECTORS[0], *VECTORS[2:])] for k in range(3))
    check_circuit(("rep3", 3, 1), encrypt, [key[0], np.array(plain)], np.array(cipher), seed=2)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 600])
def test_another_implementation(count):
    rng = np.random.default_rng(count)
    key, blocks = rng.integers(0, 256, 16), rng.integers(0, 256, (count, 16))
    other = Cipher(algorithms.AES(key.astype(np.uint8).tobytes()), modes.ECB()).encryptor()
    expected = np.frombuffer(other.update(blocks.astype(np.uint8).tobytes()), np.uint8).reshape(count, 16)
    check_circuit(("rep3", 3, 1), encrypt, [key, blocks], expected, seed=3)


def test_tiles(monkeypatch):
    monkeypatch.setattr(aes, "TILE", 64)
    rng = np.random.default_rng(9)
    key, blocks = rng.integers(0, 256, 16), rng.integers(0, 256, (200, 16))
    together, _ = run_circuit(("rep3", 3, 1), encrypt, key, blocks, seed=4)
    monkeypatch.setattr(aes, "TILE", 1 << 13)
    alone, _ = run_circuit(("rep3", 3, 1), encrypt, key, blocks, seed=4)
    np.testing.assert_array_equal(together, alone)


def test_cost():
    """As stated: 80 rounds, 360 bytes from every party for each block."""

    def encrypting(count):
        def program(p, at):
            key, blocks = (p.public_bits(np.zeros(shape, np.uint8), 8) for shape in ((16,), (count, 16)))
            yield from aes.encrypt(p, at.child("aes"), key, blocks)

        return program

    world = World("rep3", seed=5)
    costs = [world.count(encrypting(count)) for count in (8, 8 + 800)]
    assert costs[1].rounds == [1 + 80] * 3  # the first sets up the session
    assert [many - few for many, few in zip(costs[1].bytes_sent, costs[0].bytes_sent, strict=True)] == [360 * 800] * 3


def test_shapes():
    def program(p, at):
        zero = np.zeros((3, 15), np.uint8)
        yield from aes.encrypt(p, at, p.public_bits(np.zeros(16, np.uint8), 8), p.public_bits(zero, 8))

    with pytest.raises(UserError, match="a key of 16 bytes and blocks"):
        World("clear", seed=6).run(program)
