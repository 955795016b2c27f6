"""A link against a peer that does not keep to the rules."""

import contextlib
import ssl

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.engine.exchange import Exchange
from quorate.engine.party import EARLY_LIMIT, Message, Party
from quorate.errors import AgreementError, PeerError
from quorate.testing.plaintext import insecure_plaintext_pair
from quorate.transport.frames import ALIVE, BYE, DATA, FAIL, HELLO, encode_failure, hello_body, pack_header
from quorate.transport.link import Link

NAME = (7, 1)


class Script:
    """A wire that delivers given bytes in pieces of a given size, and then ends."""

    def __init__(self, data: bytes, piece: int = 1 << 20, end: Exception | None = None):
        self.data, self.piece, self.end = data, piece, end
        self.blocked, self.more, self.bytes_in, self.bytes_out = False, True, 0, 0

    def read_into(self, view: memoryview) -> int:
        part = self.data[: min(self.piece, len(view))]
        self.data = self.data[len(part) :]
        if not part:
            raise self.end or EOFError
        view[: len(part)] = part
        return len(part)

    def fileno(self) -> int:
        return -1

    def send(self, pieces) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        pass

    def end_sending(self) -> None:
        pass

    def close(self) -> None:
        pass


class Waiting:
    """A party that waits for a message of `size` bytes."""

    def __init__(self, size: int):
        self.array = np.zeros(size, dtype=np.uint8)
        self.party = Party(self._program())
        self.party.advance()

    def _program(self):
        yield Exchange(NAME, {}, {0: [self.array]})


def frames(*parts: tuple[int, bytes], name=NAME) -> bytes:
    return b"".join(pack_header(kind, name, len(body), k) + body for k, (kind, body) in enumerate(parts))


def receive(data: bytes, size: int = 8, piece: int = 1 << 20, end: Exception | None = None) -> Waiting:
    """Take in everything up to the end of the stream."""
    waiting, link = Waiting(size), Link(Script(data, piece, end), 0, "bob")
    with contextlib.suppress(EOFError):
        while True:
            link.receive(waiting.party)
    return waiting


@pytest.mark.parametrize("size", [1, 8, 70_000, 200_000])
@pytest.mark.parametrize("piece", [1, 27, 29, 4096, 65_536, 1 << 20])
def test_pieces_of_any_size(size, piece):
    if size // piece > 10_000:
        size = 300
    body = bytes(np.arange(size, dtype=np.uint32).astype(np.uint8))
    waiting = receive(frames((HELLO, hello_body()), (ALIVE, b""), (DATA, body), (BYE, b"")), size, piece)
    assert waiting.array.tobytes() == body
    assert waiting.party.ready


def test_replayed_frame():
    frame = frames((DATA, b"12345678"))
    with pytest.raises(PeerError, match="bob sent frame 0 where 1 was due"):
        receive(frame + frame)


def test_second_message_under_one_name():
    with pytest.raises(PeerError, match="second message under a name"):
        receive(frames((DATA, b"12345678"), (DATA, b"12345678")))


def test_message_after_the_end():
    with pytest.raises(PeerError, match="bob sent more after it had ended the session"):
        receive(frames((BYE, b""), (DATA, b"12345678")))


def test_second_greeting():
    with pytest.raises(PeerError, match="bob greeted twice"):
        receive(frames((HELLO, hello_body()), (HELLO, hello_body())))


def test_no_memory_for_what_nobody_asked_for():
    header = pack_header(DATA, (9, 9), EARLY_LIMIT + 1, 0)
    with pytest.raises(PeerError, match="bob sent 1073741825 bytes that nobody asked for yet"):
        receive(header + b"x" * 100_000)


def test_damaged_encryption():
    problem = ssl.SSLError(1, "bad record mac")
    problem.reason = "BAD_RECORD_MAC"
    with pytest.raises(PeerError, match="the encrypted connection to bob is damaged"):
        receive(b"", end=problem)


def test_first_frame_must_be_a_greeting():
    link = Link(Script(frames((DATA, b"12345678"))), 0, "bob")
    with pytest.raises(PeerError, match="bob did not greet first"):
        link.receive_greeting()


def test_failure_behind_other_frames_is_found_before_the_program_starts():
    failure = encode_failure(PeerError("carol left"))
    link = Link(Script(frames((HELLO, hello_body()), (ALIVE, b""), (DATA, b"1"), (FAIL, failure))), 0, "bob")
    assert link.receive_greeting()
    with pytest.raises(PeerError, match="bob failed: PeerError: carol left"):
        link.check_alive()


def test_what_a_link_shows_of_itself():
    assert repr(Link(Script(b""), 0, "bob")) == "<Link to bob>"


@given(st.binary(max_size=400), st.sampled_from([1, 13, 1000]))
def test_any_bytes_are_understood_or_refused(data, piece):
    with contextlib.suppress(PeerError, AgreementError):
        receive(data, piece=piece)


@given(st.data())
def test_any_damage_is_understood_or_refused(data):
    stream = bytearray(frames((HELLO, hello_body()), (ALIVE, b""), (DATA, b"12345678"), (FAIL, b"{}"), (BYE, b"")))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PeerError, AgreementError):
        receive(bytes(stream))


def test_a_pair_within_one_process():
    first, second = insecure_plaintext_pair()
    first.greet()
    assert second.receive_greeting()
    first.close()
    with pytest.raises(EOFError):
        second.check_alive()
    second.close()


def test_an_interruption_in_the_middle_of_a_write_sends_nothing_more():
    """A signal may end a process between the write and the note of how much was taken; frames must not get mixed up."""
    here, there = insecure_plaintext_pair()

    class Interrupted:
        blocked = False

        def __getattr__(self, name: str) -> object:
            return getattr(wire, name)

        def send(self, pieces):
            wire.send([bytes(pieces[0])[:5]])
            raise KeyboardInterrupt

    wire, here.wire = here.wire, Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        here.send(Message(1, (7, 1), [np.zeros(8, np.uint8)], 8))
    here.wire = wire
    here.fail(b'{"code": "PeerError", "message": "never to be sent"}')
    assert here.broken is not None
    here.close()
    received = bytearray(100)
    assert there.wire.read_into(memoryview(received)) == 5
    there.close()
