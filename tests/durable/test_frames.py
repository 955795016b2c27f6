"""The share frame: its layout, what its MAC covers, and that no bytes make it raise."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.durable import frames
from quorate.durable.frames import HEADER_BYTES, MOST_BYTES, Fault, check, make, parse, session_field
from quorate.errors import UserError
from quorate.transport.carrier import CHUNK

KEY, OTHER = b"k" * 32, b"o" * 32
LONG = "0123456789abcdef0123456789abcdef"


def test_the_header_has_52_bytes_little_endian_without_padding():
    data = make("trips", 0x01020304, b"payload", KEY)
    assert HEADER_BYTES == 52
    assert data[:16] == b"trips" + bytes(11)
    assert data[16:20] == bytes([4, 3, 2, 1])
    assert data[52:] == b"payload"
    assert (
        data[20:52].hex() == "525d31cf712d554d2e0dd59a1d862c4e328af3dc9cb75bfb951039f48bd539f0"
    )  # stable: also other releases read it


def test_it_fits_into_a_parcel():
    assert MOST_BYTES == CHUNK


@pytest.mark.parametrize("session", ["t", "sixteen-bytes-16", "süd-ü", LONG, LONG + "x", "ü" * 9])
def test_what_was_made_is_accepted(session):
    frame = parse(make(session, 7, b"payload", KEY))
    assert frame is not None
    assert (frame.index, frame.payload) == (7, b"payload")
    assert check(frame, session, KEY) is None
    assert check(frame, session, OTHER) is Fault.MAC


def test_every_byte_counts():
    data = make(LONG, 7, b"payload", KEY)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        frame = parse(bytes(changed))
        assert frame is not None
        assert check(frame, LONG, KEY) is (Fault.SESSION if position < 16 else Fault.MAC)


def test_a_share_cannot_take_the_place_of_another():
    first, second = make(LONG, 1, b"one", KEY), make(LONG, 2, b"two", KEY)
    swapped = parse(first[:16] + second[16:20] + first[20:])
    assert check(swapped, LONG, KEY) is Fault.MAC


def test_long_names_do_not_collide_by_their_beginning():
    names = [LONG + str(n) for n in range(100)] + [LONG, LONG[:17], LONG[:16]]
    fields = {session_field(name) for name in names}
    assert len(fields) == len(names)
    assert all(len(field) == 16 for field in fields)
    assert all(field.decode() for field in fields)
    assert session_field(LONG[:16]) == LONG[:16].encode()


def test_a_short_name_cannot_pose_as_a_long_one():
    with pytest.raises(UserError, match="cannot name a session"):
        session_field(session_field(LONG).decode())


def test_the_mac_covers_the_whole_name(monkeypatch):
    monkeypatch.setattr(frames, "session_field", lambda session: bytes(16))  # as if two names did collide
    assert check(parse(make(LONG, 1, b"x", KEY)), LONG + "y", KEY) is Fault.MAC


@pytest.mark.parametrize("session", ["", "~x", "a\0b", "\ud800"])
def test_names_that_are_none(session):
    with pytest.raises(UserError, match="cannot name a session"):
        session_field(session)


@pytest.mark.parametrize("size", [0, 1, 51, 52, MOST_BYTES + 1])
def test_lengths_that_no_frame_has(size):
    assert parse(bytes(size)) is None


@given(st.binary(max_size=300))
def test_any_bytes_give_a_defined_result(data):
    frame = parse(data)
    if len(data) <= HEADER_BYTES:
        assert frame is None
    else:
        assert frame is not None
        assert struct.pack("<I", frame.index) == data[16:20]
        assert check(frame, LONG, KEY) in (Fault.SESSION, Fault.MAC)


@given(st.text(min_size=1, max_size=40), st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=200))
def test_whatever_is_sent_arrives(session, index, payload):
    try:
        session_field(session)
    except UserError:
        return
    frame = parse(make(session, index, payload, KEY))
    assert frame is not None
    assert (frame.index, frame.payload, check(frame, session, KEY)) == (index, payload, None)
