"""Frames: what is accepted, what is refused, and what a failure tells other parties."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quorate.errors import AgreementError, DataError, InternalError, PeerError, PeerTimeout, QuorateError
from quorate.transport import frames
from quorate.transport.frames import CONTROL_LIMIT, DATA, HEADER, HEADER_SIZE, decode_failure, encode_failure
from quorate.transport.queue_layout import QueueGone


def parsed(header: bytes, sequence: int = 0) -> tuple[int, tuple[int, int], int]:
    return frames.unpack_header(memoryview(header), 0, sequence, "bob")


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_data_header_round_trip(scope: int, step: int, length: int, sequence: int) -> None:
    header = frames.pack_header(DATA, (scope, step), length, sequence)
    assert len(header) == HEADER_SIZE == 28
    assert parsed(header, sequence) == (DATA, (scope, step), length)


@pytest.mark.parametrize("number", [0, 6, 8, 2**63])
def test_another_sequence_number_is_refused(number: int) -> None:
    header = frames.pack_header(DATA, (1, 1), 8, number)
    with pytest.raises(PeerError, match=r"bob sent frame .* where 7 was due.*replayed or reordered"):
        parsed(header, 7)


@pytest.mark.parametrize("kind", [0, 6, 255, DATA | 1 << 8, DATA | 1 << 31])
def test_unknown_kind_or_padding_is_refused(kind: int) -> None:
    with pytest.raises(PeerError, match="bob sent a frame of unknown kind"):
        parsed(HEADER.pack(kind, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("kind", "length"),
    [(frames.BYE, 1), (frames.ALIVE, 1), (frames.FAIL, CONTROL_LIMIT + 1), (frames.HELLO, CONTROL_LIMIT + 1)],
)
def test_control_frames_have_a_limit(kind: int, length: int) -> None:
    with pytest.raises(PeerError, match="at most"):
        parsed(HEADER.pack(kind, 0, 0, length, 0))


def test_empty_message_is_refused() -> None:
    with pytest.raises(PeerError, match="empty message"):
        parsed(HEADER.pack(DATA, 1, 1, 0, 0))


def test_message_longer_than_a_frame_is_our_bug() -> None:
    with pytest.raises(InternalError, match="tile it"):
        frames.pack_header(DATA, (1, 1), 1 << 32, 0)


@given(st.integers(0, 8) | st.integers(0, 2**32 - 1), st.binary(min_size=HEADER_SIZE - 4, max_size=HEADER_SIZE - 4))
def test_any_header_is_understood_or_refused(kind: int, rest: bytes) -> None:
    number = int.from_bytes(rest[-8:], "little")
    try:
        kind, _, length = parsed(kind.to_bytes(4, "little") + rest, number)
    except PeerError:
        return
    assert kind == DATA or length <= CONTROL_LIMIT


@given(st.text(max_size=10_000))
@example("\U0001f600" * 5000)
@example("\x00" * 5000)
def test_failure_fits_its_frame_and_is_printable(text: str) -> None:
    body = encode_failure(PeerTimeout(text))
    assert len(body) <= CONTROL_LIMIT
    told = decode_failure(body, "bob")
    assert told.startswith("PeerTimeout: ")
    assert told.isprintable()


def test_reason_that_concerns_peers_is_told() -> None:
    told = decode_failure(encode_failure(PeerTimeout("no message from carol")), "bob")
    assert told == "PeerTimeout: no message from carol"


@pytest.mark.parametrize("problem", [DataError("row 7: 'Jane Doe'"), ValueError("Jane Doe"), InternalError("Jane Doe")])
def test_local_content_is_not_told(problem: Exception) -> None:
    assert b"Jane" not in encode_failure(problem)
    decode_failure(encode_failure(problem), "bob")


def test_stopped_by_its_operator() -> None:
    assert "it was stopped" in decode_failure(encode_failure(KeyboardInterrupt()), "bob")


@pytest.mark.parametrize(("problem", "known"), [(QueueGone("x"), "BrokerFault"), (PeerTimeout("x"), "PeerTimeout")])
def test_classes_inside_the_package_are_told_as_those_that_users_know(problem: QuorateError, known: str) -> None:
    assert decode_failure(encode_failure(problem), "bob").startswith(f"{known}: ")


def test_unknown_error_class_is_not_repeated() -> None:
    body = json.dumps({"code": "\x1b[31mOops", "message": "a\nb\x1b[2J"}).encode()
    told = decode_failure(body, "bob")
    assert told == "an error of unknown kind: a b [2J"


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"[" * 4000, b"7", b'{"code": 1}', b'{"code": "X", "message": 2}']
)
def test_malformed_failure(body: bytes) -> None:
    with pytest.raises(PeerError, match="bob"):
        decode_failure(body, "bob")


def test_greeting_of_this_version() -> None:
    frames.check_hello(frames.hello_body(), "bob")


@pytest.mark.parametrize("body", [b'{"wire": 2}', b"{}", b'{"wire": "' + b"x" * 3000 + b'"}'])
def test_greeting_of_another_version(body: bytes) -> None:
    with pytest.raises(AgreementError, match="bob speaks wire version") as caught:
        frames.check_hello(body, "bob")
    assert len(str(caught.value)) < 200
