"""The group of base OTs, the hash of blocks, and base OTs themselves."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quorate.crypto import curve
from quorate.crypto.entropy import SeededEntropyForTests
from quorate.crypto.hashing import digest
from quorate.crypto.robust import double, expand, robust_hash
from quorate.errors import IntegrityError, InternalError
from quorate.kernels.ghost import ghost, is_ghost
from quorate.preprocessing.base_ot import Receiver, Sender

ENTROPY = SeededEntropyForTests(1, "curve")
ORDER_FOUR = bytes(32)  # the point with y = 0
NEUTRAL = (1).to_bytes(32, "little")


def test_the_group_is_one() -> None:
    x, y = curve.random_scalar(ENTROPY), curve.random_scalar(ENTROPY)
    a, b = curve.multiply_base(x), curve.multiply_base(y)
    assert curve.multiply(x, b) == curve.multiply(y, a)
    assert curve.subtract(curve.add(a, b), b) == a
    total = curve.add(curve.multiply(x, a), curve.multiply(x, b))
    assert total == curve.multiply(x, curve.add(a, b))


def test_hashed_points_have_prime_order_and_depend_on_everything() -> None:
    points = {curve.hash_to_point(parts, domain) for parts in ([b"a"], [b"a", b""], [b"b"]) for domain in ("x", "y")}
    assert len(points) == 6
    assert all(curve.multiply(curve.random_scalar(ENTROPY), point) for point in points)


@pytest.mark.parametrize(
    "point", [ORDER_FOUR, NEUTRAL, curve.add(curve.multiply_base(bytes([5]) + bytes(31)), ORDER_FOUR)]
)
def test_points_outside_the_group_are_refused(point: bytes) -> None:
    with pytest.raises(IntegrityError, match="no point of prime order"):
        curve.multiply(curve.random_scalar(ENTROPY), point)


def test_base_ots() -> None:
    choices = np.frombuffer(ENTROPY.bytes(40), np.uint8) & 1
    receiver, sender = Receiver(ENTROPY, [b"here"], choices), Sender(ENTROPY, [b"here"])
    keys, answer = sender.answer(receiver.ask())
    got = receiver.keys(answer)
    assert np.array_equal(got, keys[np.arange(40), choices])
    assert len(np.unique(keys.reshape(80, 16), axis=0)) == 80


def test_base_ots_of_another_context_give_other_keys() -> None:
    choices = np.zeros(3, np.uint8)
    receiver, sender = Receiver(ENTROPY, [b"here"], choices), Sender(ENTROPY, [b"there"])
    keys, answer = sender.answer(receiver.ask())
    assert not np.any(np.all(receiver.keys(answer)[:, None] == keys, axis=2))


def test_base_ots_refuse_points_outside_the_group() -> None:
    receiver, sender = Receiver(ENTROPY, [], np.zeros(1, np.uint8)), Sender(ENTROPY, [])
    asked = receiver.ask().copy()
    asked[0, 1] = np.frombuffer(curve.add(asked[0, 1].tobytes(), ORDER_FOUR), np.uint8)
    with pytest.raises(IntegrityError, match="prime order"):
        sender.answer(asked)


def permuted(label: str, block: bytes) -> bytes:
    key = digest(label.encode(), "quorate/fixed key/1")[:16]
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def xor(x: bytes, y: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("count", [1, 5, 4097])
def test_robust_hash_is_the_construction_of_its_source(count: int) -> None:
    blocks = np.frombuffer(ENTROPY.bytes(16 * count), np.uint64).reshape(-1, 2)
    hashed = robust_hash(blocks, 2**40)
    for row in {0, count - 1}:
        once = permuted("hash", blocks[row].tobytes())
        tweaked = xor(once, (2**40 + row).to_bytes(16, "little"))
        assert hashed[row].tobytes() == xor(permuted("hash", tweaked), once)


def test_robust_hash_of_no_blocks_and_of_ghosts() -> None:
    assert robust_hash(np.empty((0, 2), np.uint64), 0).shape == (0, 2)
    assert is_ghost(robust_hash(ghost((3, 2), np.uint64), 0))
    with pytest.raises(InternalError, match="out of range"):
        robust_hash(np.zeros((2, 2), np.uint64), 2**64 - 1)
    with pytest.raises(InternalError, match="are not blocks"):
        robust_hash(np.zeros(2, np.uint64), 0)


@pytest.mark.parametrize("trees", [3, 4, 8])
def test_doubling_is_expansion_side_by_side(trees: int) -> None:
    """With the processor's instructions for multiples of 4 trees, with the library for others."""
    nodes = np.frombuffer(ENTROPY.bytes(16 * 3 * trees), np.uint64).reshape(3, trees, 2)
    sums = np.empty((2, trees, 2), np.uint64)
    children = double(nodes, sums)
    assert np.array_equal(children[:3], expand(nodes, 0))
    assert np.array_equal(children[3:], expand(nodes, 1))
    assert np.array_equal(sums[1], np.bitwise_xor.reduce(children[3:]))
    assert expand(nodes[:1, :1], 7).tobytes() == xor(permuted("seed 7", nodes[0, 0].tobytes()), nodes[0, 0].tobytes())
