"""Keys, ids and sealed contents: bound to session, producer, consumer, share and block; foreign bytes give a result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.durable.submissions import LAYOUTS, PARTIES, SESSION, SHAMIR, Field, table

from quorate.durable import frames
from quorate.durable.frames import Fault
from quorate.durable.layout import Layout, dump
from quorate.durable.submission import (
    Content,
    Envelope,
    KeyRing,
    Keys,
    derive,
    enrol,
    envelope_of,
    new_id,
    opened,
    sealed,
)
from quorate.errors import EnvironmentFault, IntegrityError, UserError

MASTER = b"m" * 32
CONTENT = Content(layout=b"l" * 32, rows=1, blocks=1, manifest=(b"c",) * 3, salts=(b"s",), parts=(b"p" * 16,))
PLACE = Envelope("phone", b"i" * 16, 0)


def unsealed(data: bytes, keys: Keys, session: str = SESSION):
    frame = frames.parse(data)
    assert frame is not None
    envelope = envelope_of(frame.payload)
    return None if envelope is None else opened(frame, envelope, session, keys)


def test_each_pair_has_keys_of_its_own():
    shared = {derive(MASTER, *who) for who in [("s", "a", "b"), ("sa", "", "b"), ("s", "ab", ""), ("s", "b", "a")]}
    assert len(shared) == 4
    assert derive(MASTER, "s", "phone-1", "p1") != derive(MASTER, "s", "phone-2", "p1")
    assert derive(MASTER, "s", "phone-1", "p1") != derive(b"o" * 32, "s", "phone-1", "p1")
    keys = [Keys.of(each) for each in shared]
    assert len({each.mac for each in keys} | {each.cipher for each in keys}) == 8


def test_what_is_sealed_is_opened_by_the_same_keys_only():
    keys = Keys.of(derive(MASTER, SESSION, "phone", "p1"))
    data = sealed(CONTENT, PLACE, SESSION, 1, keys)
    assert unsealed(data, keys) == CONTENT
    assert b"p" * 16 not in data
    assert unsealed(data, Keys.of(derive(MASTER, SESSION, "phone", "p2"))) is None
    assert unsealed(data, keys, SESSION[:-1] + "0") is None


def test_sealing_again_gives_the_same_bytes_and_never_one_nonce_for_two_contents():
    keys = Keys.of(MASTER)
    assert sealed(CONTENT, PLACE, SESSION, 1, keys) == sealed(CONTENT, PLACE, SESSION, 1, keys)
    other = Content(CONTENT.layout, 1, 1, CONTENT.manifest, CONTENT.salts, (b"q" * 16,))
    start = 52 + 2 + len("phone") + 20
    nonces = {
        sealed(content, place, SESSION, index, keys)[start : start + 12]
        for content in (CONTENT, other)
        for place in (PLACE, Envelope("phone", b"i" * 16, 1))
        for index in (1, 2)
    }
    assert len(nonces) == 8


def test_the_nonce_is_where_the_tests_look_for_it():
    data = sealed(CONTENT, PLACE, SESSION, 1, Keys.of(MASTER))
    envelope = envelope_of(data[52:])
    assert envelope is not None
    assert data[52 + 2 + len("phone") + 20 :] == envelope.sealed


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_payload_gives_a_defined_result(payload):
    keys = Keys.of(MASTER)
    frame = frames.parse(frames.make(SESSION, 1, payload + b"x", keys.mac))
    assert frame is not None
    envelope = envelope_of(frame.payload)
    assert envelope is None or opened(frame, envelope, SESSION, keys) is None


def test_ids_are_uuids_of_version_7_and_grow():
    ids = [new_id(now=1_700_000_000.0)]
    for _ in range(500):
        ids.append(new_id(ids[-1], now=1_600_000_000.0))  # the clock was put back
    assert ids == sorted(ids)
    assert len(set(ids)) == 501
    assert all(each[6] >> 4 == 7 and each[8] >> 6 == 2 and len(each) == 16 for each in ids)
    assert int.from_bytes(ids[0][:6], "big") == 1_700_000_000_000


def test_key_rings_are_private_files_and_join(tmp_path):
    field = Field(tmp_path)
    ring = field.ring("phone")
    path = tmp_path / "phone.ring"
    ring.save(path)
    assert KeyRing.load(path) == ring
    assert set(ring.keys) == set(PARTIES)
    assert "keys" not in repr(ring)
    with pytest.raises(UserError, match="do not belong together"):
        ring.joined(enrol(MASTER, SESSION, "other", "p9"))
    with pytest.raises(UserError, match="do not belong together"):
        ring.joined(enrol(MASTER, SESSION, "phone", "p1"))
    with pytest.raises(UserError, match="no key for p9"):
        ring.key_for("p9")
    path.chmod(0o644)
    with pytest.raises(EnvironmentFault, match="chmod 600"):
        KeyRing.load(path)


@pytest.mark.parametrize("text", ["", "{}", '{"session":"s","producer":"p","keys":{"p1":"AAAA"}}', "\xff"])
def test_files_that_are_no_key_ring(tmp_path, text):
    path = tmp_path / "x.ring"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UserError, match=r"not a key ring|has not 32 bytes"):
        KeyRing.load(path)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_shares_give_the_values_and_fewer_do_not(layout):
    values = table(50)
    block = layout.split(values)
    shares = {me: [block.parts[position] for position in layout.held(me)] for me in range(3)}
    some = {me: shares[me] for me in range(layout.needed)}
    np.testing.assert_array_equal(layout.combine(some), values)
    np.testing.assert_array_equal(layout.combine(shares), values)
    with pytest.raises(UserError, match="are needed"):
        layout.combine({me: shares[me] for me in range(layout.needed - 1)})
    wrong = {**shares, 2: [part + np.uint64(1) for part in shares[2]]}
    if layout.scheme != "additive":
        with pytest.raises(IntegrityError, match="cheated"):
            layout.combine(wrong)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_share_fits_its_commitments_or_is_refused(layout):
    block = layout.split(table(4))
    held = layout.held(1)
    salts, parts = [block.salts[k] for k in held], [dump(block.parts[k]) for k in held]
    assert layout.genuine(1, 4, block.manifest, salts, parts)
    assert not layout.genuine(0, 4, block.manifest, salts, parts)
    assert not layout.genuine(1, 3, block.manifest, salts, parts)
    assert not layout.genuine(1, 4, block.manifest[:2], salts, parts)
    assert not layout.genuine(1, 4, block.manifest, salts, [bytes(len(part)) for part in parts])
    assert not layout.genuine(1, 4, block.manifest, [*salts[:-1], bytes(16)], parts)
    assert not layout.genuine(1, 4, block.manifest, salts, [*parts, b""])


def test_field_elements_must_be_canonical():
    from quorate.durable.layout import commitment

    part, salt = (b"\xff" * 8) * 2, bytes(16)
    manifest = [commitment(salt, part)] * 3
    assert not SHAMIR.genuine(0, 1, manifest, [salt], [part])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "spdz2k"}, "cannot be submitted to spdz2k"),
        ({"dtype": "bool"}, "type bool"),
        ({"columns": ()}, "no columns"),
        ({"threshold": 2}, "threshold 1"),
        ({"protocol": "semi2k"}, "all of them"),
        ({"protocol": "shamir", "threshold": 2}, "parties"),
    ],
)
def test_layouts_that_do_not_work(change, message):
    with pytest.raises(UserError, match=message):
        Layout(**{"protocol": "rep3", "parties": PARTIES, "threshold": 1, "dtype": "int", "columns": ("x",)} | change)


def test_values_out_of_range_are_refused():
    with pytest.raises(UserError, match="out of range"):
        SHAMIR.split(np.full((1, 2), 1 << 60))
    with pytest.raises(UserError, match="shape"):
        SHAMIR.split(np.zeros((3, 1), np.int64))


def test_the_reasons_are_all_different():
    assert len({str(fault) for fault in Fault}) == len(Fault)
