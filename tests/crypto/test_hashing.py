"""Domain separation and canonical encoding."""

from __future__ import annotations

import hashlib

import numpy as np

from quorate.crypto.hashing import canonical_json, digest, digest_parts, hex_digest, new_salt


def test_digest_is_sha256_over_prefixed_domain_and_data() -> None:
    assert digest(b"data", "a/1") == hashlib.sha256(b"\x00\x03a/1data").digest()
    assert hex_digest(b"data", "a/1") == digest(b"data", "a/1").hex()


def test_domain_and_data_cannot_be_shifted_into_each_other() -> None:
    assert digest(b"bc", "a") != digest(b"c", "ab")


def test_parts_cannot_be_shifted_into_each_other() -> None:
    assert digest_parts([b"a", b"bc"], "d") != digest_parts([b"ab", b"c"], "d")
    assert digest_parts([b"a"], "d") != digest_parts([b"a", b""], "d")


def test_parts_may_be_arrays() -> None:
    array = np.arange(5, dtype="<i8")
    assert digest_parts([array.data], "d") == digest_parts([array.tobytes()], "d")


def test_canonical_json_ignores_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": {"d": 2, "c": [1, "x"]}}) == b'{"a":{"c":[1,"x"],"d":2},"b":1}'


def test_salts_are_fresh() -> None:
    assert len(new_salt()) == 32
    assert new_salt() != new_salt()
