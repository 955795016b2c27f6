"""Frames with parcels, over a wire that brings bytes as the test wants."""

import json
import select

import pytest

from quorate.errors import AgreementError, PeerError
from quorate.transport.carrier import CHUNK
from quorate.transport.frames import ALIVE, BYE, DATA, FAIL, HELLO, encode_failure, pack_header
from quorate.transport.parcel_link import ParcelLink

GREETING = json.dumps({"wire": 1, "parcels": 1}).encode()


class Wire:
    """What one side writes is read by the test, and the other way round."""

    def __init__(self):
        self.blocked = False
        self.room = 1 << 40
        self.out = bytearray()
        self.chunks = []
        self.problem = None

    def send(self, pieces):
        if self.problem:
            raise self.problem
        data = b"".join(pieces)
        taken = data[: self.room]
        self.room -= len(taken)
        self.blocked = len(taken) < len(data)
        self.out += taken
        return len(taken)

    def flush(self):
        self.blocked = self.room == 0

    def read_into(self, view):
        if not self.chunks:
            return 0
        chunk = self.chunks.pop(0)
        if isinstance(chunk, BaseException):
            raise chunk
        size = min(len(chunk), len(view))
        view[:size] = chunk[:size]
        if size < len(chunk):
            self.chunks.insert(0, chunk[size:])
        return size

    def end_sending(self):
        self.chunks.append("end")

    def close(self):
        pass


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def link(wire):
    return ParcelLink(wire, 1, "bob")


def frames(*contents):
    """The bytes of (kind, body), numbered from 0."""
    return b"".join(pack_header(kind, (0, 0), len(body), number) + body for number, (kind, body) in enumerate(contents))


def greet(link):
    events = list(link.greeting())
    assert not events
    return link


def test_parcels_that_come_with_the_greeting(wire, link):
    wire.chunks = [frames((HELLO, GREETING), (DATA, b"one"), (DATA, b"two"))]
    assert greet(link).receive() == ([b"one", b"two"], False)


@pytest.mark.parametrize("size", [1, 13, 28, 29, 4000, 1_000_000])
def test_bytes_in_any_pieces(wire, link, size):
    bodies = [bytes([k]) * length for k, length in enumerate((1, 100, 65_536, CHUNK if size > 30 else 999, 7))]
    contents = [(HELLO, GREETING), *((DATA, body) for body in bodies), (ALIVE, b""), (DATA, b"last")]
    data = frames(*contents)
    wire.chunks = [data[at : at + size] for at in range(0, len(data), size)]
    greet(link)
    got, more = [], True
    while more:
        parcels, more = link.receive()
        got += parcels
    assert got == [*bodies, b"last"]


def test_what_is_sent_can_be_received(wire, link):
    link.greet()
    sent = [bytes(size) for size in (1, 70_000, CHUNK, 3)]
    link.send(sent)
    link.keep_alive()
    other = Wire()
    other.chunks = [bytes(wire.out)]
    assert greet(ParcelLink(other, 0, "alice")).receive() == (sent, False)


def test_a_kernel_that_takes_little(wire, link):
    wire.room = 1000
    link.send([b"x" * 5000, b"y" * 70_000])
    assert link.blocked
    assert not link.idle
    assert link.pending >= 74_000
    while link.blocked:
        wire.room = 777
        link.push()
    assert link.pending == 0
    assert bytes(wire.out) == frames((DATA, b"x" * 5000), (DATA, b"y" * 70_000))


def test_a_wire_that_breaks(wire, link):
    wire.problem = ConnectionResetError("reset")
    link.send([b"x"])
    assert link.broken is wire.problem
    assert not link.idle
    assert not link.blocked
    assert link.pending == 0


def test_what_came_before_the_end_is_not_lost(wire, link):
    wire.chunks = [frames((HELLO, GREETING), (DATA, b"one")), EOFError(), EOFError()]
    greet(link)
    assert link.receive() == ([b"one"], True)
    with pytest.raises(EOFError):
        link.receive()


@pytest.mark.parametrize(
    ("content", "problem", "words"),
    [
        ((DATA, b"x"), PeerError, "did not greet first"),
        ((HELLO, b'{"wire": 1}'), AgreementError, "does not exchange parcels"),
        ((HELLO, b'{"wire": 2, "parcels": 1}'), AgreementError, "wire version"),
        ((HELLO, b"[]"), PeerError, "not a JSON object"),
        ((FAIL, encode_failure(PeerError("we\nare full"))), PeerError, "bob refuses: PeerError: we are full"),
    ],
)
def test_greetings_that_are_none(wire, link, content, problem, words):
    wire.chunks = [frames(content)]
    with pytest.raises(problem, match=words):
        list(link.greeting())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((HELLO, GREETING), "kind 5"),
        ((BYE, b""), "kind 3"),
        ((DATA, bytes(CHUNK + 1)), "at most"),
        ((99, b""), "unknown kind"),
        ((FAIL, encode_failure(PeerError("over"))), "bob refuses: PeerError: over"),
    ],
)
def test_frames_that_do_not_belong(wire, link, content, words):
    wire.chunks = [frames((HELLO, GREETING), content)]
    greet(link)
    with pytest.raises(PeerError, match=words):
        link.receive()


def test_a_frame_out_of_order(wire, link):
    wire.chunks = [frames((HELLO, GREETING)) + pack_header(DATA, (0, 0), 1, 2) + b"x"]
    greet(link)
    with pytest.raises(PeerError, match="replayed or reordered"):
        link.receive()


def test_waiting_for_a_greeting_goes_on_sending(wire, link):
    wire.room = 10
    link.greet()
    waiting = link.greeting()
    assert next(waiting) == select.POLLIN | select.POLLOUT
    wire.room = 1000
    assert next(waiting) == select.POLLIN
    assert bytes(wire.out) == frames((HELLO, GREETING))
