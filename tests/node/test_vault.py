"""Kept shares: exact, encrypted, bound to their name and parties."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from quorate.errors import EnvironmentFault, UserError
from quorate.node.vault import Owner, Vault
from quorate.sharing.share import Arithmetic, Boolean

OWNER = Owner(parties=("a", "b", "c"), index=1, protocol="rep3", threshold=1)
SESSION = "0" * 32
WORDS = np.arange(12, dtype=np.uint64).reshape(4, 3) * 0x0123456789ABCDEF


def saved(home: Path) -> Vault:
    vault = Vault(home, "b")
    vault.save("costs", Arithmetic("rep3", (WORDS, WORDS[::-1])), "fixed(16)", SESSION, OWNER)
    return vault


@pytest.mark.parametrize(
    "share",
    [
        Arithmetic("rep3", (WORDS, WORDS.T[0:3, 0:3].T)),
        Arithmetic("shamir", (np.array(7, np.uint64),)),
        Arithmetic("semi2k", (np.zeros((0, 2), np.uint64),)),
        Boolean("rep3", (np.array([0, 1, 1], np.uint8),) * 2, 1),
    ],
)
def test_what_is_saved_is_loaded(tmp_path, share):
    vault = Vault(tmp_path, "b")
    vault.save("x", share, "int", SESSION, OWNER)
    kept = vault.load("x", OWNER)
    assert (type(kept.share), kept.share.scheme) == (type(share), share.scheme)
    assert (kept.dtype, kept.session) == ("int", SESSION)
    for part, original in zip(kept.share.parts, share.parts, strict=True):
        assert part.dtype == original.dtype
        assert part.flags.writeable
        np.testing.assert_array_equal(part, original)


def test_files_are_private_and_encrypted(tmp_path):
    vault = saved(tmp_path)
    path = vault.path("costs")
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "b.storage.key").stat().st_mode & 0o777 == 0o600
    assert WORDS[1].tobytes() not in path.read_bytes()


@pytest.mark.parametrize("position", [0, 20, 120, -1])
def test_a_changed_byte_is_noticed(tmp_path, position):
    vault = saved(tmp_path)
    data = bytearray(vault.path("costs").read_bytes())
    data[position] ^= 1
    vault.path("costs").write_bytes(data)
    with pytest.raises((EnvironmentFault, UserError)):
        vault.load("costs", OWNER)


def test_a_changed_header_is_noticed(tmp_path):
    vault = saved(tmp_path)
    data = vault.path("costs").read_bytes()
    vault.path("costs").write_bytes(data.replace(b'"fixed(16)"', b'"fixed(12)"'))
    with pytest.raises(EnvironmentFault, match="damaged"):
        vault.load("costs", OWNER)


@pytest.mark.parametrize(
    "change", [{"parties": ("a", "b", "d")}, {"index": 0}, {"protocol": "shamir"}, {"threshold": 2}]
)
def test_other_parties_are_refused(tmp_path, change):
    with pytest.raises(UserError, match=next(iter(change))):
        saved(tmp_path).load("costs", msgspec.structs.replace(OWNER, **change))


def test_a_missing_share_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(UserError, match="nothing is kept as 'costs'"):
        Vault(tmp_path, "b").load("costs", OWNER)


def test_a_renamed_share_is_refused(tmp_path):
    vault = saved(tmp_path)
    vault.path("costs").rename(vault.path("other"))
    with pytest.raises(EnvironmentFault, match="renamed"):
        vault.load("other", OWNER)


def test_another_key_does_not_open_it(tmp_path):
    vault = saved(tmp_path)
    (tmp_path / "b.storage.key").write_bytes(bytes(32))
    with pytest.raises(EnvironmentFault, match="another key"):
        vault.load("costs", OWNER)


def test_a_key_that_others_can_read_is_refused(tmp_path):
    vault = saved(tmp_path)
    (tmp_path / "b.storage.key").chmod(0o644)
    with pytest.raises(EnvironmentFault, match="chmod 600"):
        vault.load("costs", OWNER)
