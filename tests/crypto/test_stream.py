"""Named streams against NIST's vectors and an independent computation of counter mode."""

import struct

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quorate.crypto import stream
from quorate.crypto.entropy import SeededEntropyForTests, SystemEntropy
from quorate.crypto.stream import NullStream, Stream
from quorate.errors import InternalError

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
# NIST SP 800-38A, appendix F.5.1 (CTR-AES128.Encrypt): initial counter and the "output blocks" of its four blocks.
COUNTER = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
OUTPUT = bytes.fromhex(
    "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae"
    "6a2cc3787889374fbeb4c81b17ba6c44e89c399ff0f198c6d40a31db156cabfe"
)
PIECE = 1 << 17


def drawn(name, size, key=KEY):
    out = np.empty(size, np.uint8)
    Stream(key).fill(name, out)
    return out.tobytes()


def expected(name, size, key=KEY):
    """AES in electronic code book mode on the counter blocks (scope, step, 0), (scope, step, 1) ..."""
    blocks = b"".join(struct.pack(">QII", *name, block) for block in range(-(-size // 16)))
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)[:size]


def test_nist_vectors(monkeypatch):
    monkeypatch.setattr(stream, "_counter_block", lambda scope, step, block: COUNTER)
    assert drawn((1, 1), 64) == OUTPUT
    assert drawn((1, 1), 37) == OUTPUT[:37]


@pytest.mark.parametrize("name", [(0, 1), (1, 1), (2**64 - 1, 2**32 - 1), (0x0123456789ABCDEF, 0x01020304)])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000])
def test_bytes_are_those_of_the_name(name, size):
    assert drawn(name, size) == expected(name, size)


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 7])
def test_long_draws_go_on_over_pieces(size):
    assert drawn((3, 4), size) == expected((3, 4), size)


def test_any_shape_and_type_is_filled():
    for shape, kind in (((), np.uint64), ((0,), np.uint64), ((3, 5), np.uint32), ((2, 0, 4), np.uint8)):
        out = np.zeros(shape, kind)
        Stream(KEY).fill((1, 1), out)
        assert out.tobytes() == expected((1, 1), out.nbytes)


@pytest.mark.parametrize("size", [0, 5, 4096, PIECE + 3])
def test_masking_is_exclusive_or_with_the_same_bytes(size):
    data = np.arange(size, dtype=np.uint64).astype(np.uint8)
    before = data.copy()
    Stream(KEY).mask((1, 1), data)
    assert (data ^ before).tobytes() == expected((1, 1), size)


def test_drawing_twice_under_a_name_raises():
    def fill(name):
        used.fill(name, np.empty(4, np.uint8))

    used = Stream(KEY)
    fill((1, 1))
    fill((1, 3))
    fill((2, 1))
    for name in ((1, 1), (1, 2), (1, 3), (2, 1)):
        with pytest.raises(InternalError, match="used twice"):
            fill(name)
        with pytest.raises(InternalError, match="used twice"):
            used.mask(name, np.empty(4, np.uint8))
    fill((1, 4))


def test_names_and_keys_give_unrelated_bytes():
    bodies = {drawn(name, 32, key) for name in ((1, 1), (1, 2), (2, 1)) for key in (KEY, bytes(16))}
    assert len(bodies) == 6


def test_keys_of_another_length_are_refused_without_showing_them():
    with pytest.raises(InternalError, match="16 bytes, not 15") as caught:
        Stream(KEY[:15])
    assert KEY[:15].hex() not in str(caught.value)


def test_null_stream_leaves_arrays_alone():
    out = np.arange(5, dtype=np.uint64)
    NullStream().fill((1, 1), out)
    NullStream().mask((1, 1), out)
    assert out.tolist() == [0, 1, 2, 3, 4]


def test_entropy():
    assert SystemEntropy().bytes(16) != SystemEntropy().bytes(16)
    one, two = SeededEntropyForTests(1, "a"), SeededEntropyForTests(1, "a")
    first = one.bytes(16)
    assert first == two.bytes(16)
    assert one.bytes(16) == two.bytes(16) != first
    assert SeededEntropyForTests(1, "b").bytes(16) != first != SeededEntropyForTests(2, "a").bytes(16)
