"""A link: frames to and from one peer over a wire, and message bodies straight from and into arrays."""

from __future__ import annotations

import ssl
from collections import deque

import numpy as np

from quorate.engine.exchange import Array, Buffers
from quorate.engine.names import Name
from quorate.engine.party import EARLY_LIMIT, Message, Party
from quorate.errors import PeerError
from quorate.transport.frames import (
    ALIVE,
    BYE,
    DATA,
    FAIL,
    HEADER_SIZE,
    HELLO,
    check_hello,
    decode_failure,
    hello_body,
    pack_header,
    unpack_header,
)
from quorate.transport.tls import describe_refusal
from quorate.transport.wire import CHUNK, Chunk, Wire

__all__ = ["Link"]

SMALL = 16000
"""A message up to this size travels in one write with its header: one TLS record, one system call."""
_STAGING = 64 << 10
_BUDGET = 1 << 20
_NOWHERE: Name = (0, 0)


class Link:
    """The connection to one peer of a session.

    Attributes:
        index, name: the peer, by its index in the session and for messages to people.
        heard: set whenever bytes arrive; the conductor resets it.
        spoke: set whenever a frame is sent; the conductor resets it.
        greeted: the peer's first frame has arrived.
        said_bye: the peer has ended its side in order.
        broken: why nothing can be sent any more, or None. What the peer sent before is still read.
    """

    __slots__ = (
        "_deferred",
        "_early",
        "_end",
        "_midway",
        "_pending_name",
        "_pieces",
        "_queue",
        "_received",
        "_sent",
        "_staging",
        "_start",
        "_targets",
        "broken",
        "greeted",
        "heard",
        "index",
        "name",
        "said_bye",
        "spoke",
        "wire",
    )

    def __init__(self, wire: Wire, index: int, name: str) -> None:
        self.wire = wire
        self.index = index
        self.name = name
        self.heard = self.spoke = self.greeted = self.said_bye = False
        self.broken: OSError | None = None
        self._sent = self._received = 0
        self._queue: deque[Message | tuple[int, bytes]] = deque()
        self._pieces: deque[Chunk] = deque()
        self._staging = memoryview(bytearray(_STAGING))
        self._start = self._end = 0
        self._targets: list[memoryview] = []
        self._early: Array | None = None
        self._deferred = self._midway = False
        self._pending_name: Name = _NOWHERE

    def __repr__(self) -> str:
        return f"<Link to {self.name}>"

    @property
    def bytes_in(self) -> int:
        """Bytes received on the network, framing and TLS included."""
        return self.wire.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes sent on the network, framing and TLS included."""
        return self.wire.bytes_out

    # ---- sending

    @property
    def idle(self) -> bool:
        """Whether everything that was to be sent is with the kernel (or cannot be sent any more)."""
        return self.broken is not None or not (self._queue or self._pieces or self.wire.blocked)

    def send(self, message: Message) -> None:
        """Send a message, or as much of it as goes without waiting; `push` goes on with the rest."""
        if message.size <= SMALL and self.idle:
            self._pieces.append(self._joined(message))
            self.push()
            return
        self._queue.append(message)
        self.push()

    def send_control(self, kind: int, body: bytes = b"") -> None:
        """Queue a frame without content for the program, after what is queued already, and push."""
        self._queue.append((kind, body))
        self.push()

    def greet(self) -> None:
        """Send our first frame."""
        self.send_control(HELLO, hello_body())

    def fail(self, body: bytes) -> None:
        """Drop what has not been begun and tell the peer that we failed.

        If a signal ended us in the middle of a write, nobody knows how much of it went out: then nothing more is sent,
        and the peer sees the connection end.
        """
        if self._midway:
            self._break(OSError("interrupted in the middle of a message"))
            return
        self._queue.clear()
        self.send_control(FAIL, body)

    def push(self) -> None:
        """Send what is queued until the kernel takes no more."""
        wire = self.wire
        self._midway = True
        try:
            if wire.blocked:
                wire.flush()
            while not wire.blocked and (self._pieces or self._queue):
                batch = self._batch()
                self._took(wire.send(batch), batch)
        except OSError as problem:
            self._break(problem)
        self._midway = False

    def _break(self, problem: OSError) -> None:
        # The peer may have said why before it closed: reading goes on until the end of its stream.
        self.broken = problem
        self._queue.clear()
        self._pieces.clear()
        self.wire.blocked = False

    def _header(self, kind: int, name: Name, length: int) -> bytes:
        header = pack_header(kind, name, length, self._sent)
        self._sent += 1
        self.spoke = True
        return header

    def _joined(self, message: Message) -> bytes:
        # A numpy array is a buffer for join(), whatever the type says.
        header = self._header(DATA, message.name, message.size)
        return b"".join((header, *message.buffers))  # type: ignore[arg-type]

    def _batch(self) -> list[Chunk]:
        """The next pieces to write, about CHUNK bytes in all; the frame numbers are given out here."""
        pieces = self._pieces
        if not pieces:
            self._begin(self._queue.popleft())
        batch: list[Chunk] = []
        room = CHUNK
        for piece in pieces:
            batch.append(piece if len(piece) <= room else memoryview(piece)[:room])
            room -= len(piece)
            if room <= 0 or len(batch) == 64:
                break
        return batch

    def _begin(self, item: Message | tuple[int, bytes]) -> None:
        if not isinstance(item, Message):
            self._pieces.append(self._header(item[0], _NOWHERE, len(item[1])) + item[1])
        elif item.size <= SMALL:
            self._pieces.append(self._joined(item))
        else:
            self._pieces.append(self._header(DATA, item.name, item.size))
            self._pieces.extend(_views(item.buffers))

    def _took(self, taken: int, batch: list[Chunk]) -> None:
        pieces = self._pieces
        for _ in batch:
            piece = pieces.popleft()
            if taken < len(piece):
                pieces.appendleft(memoryview(piece)[taken:])
                return
            taken -= len(piece)

    # ---- receiving

    def receive(self, party: Party) -> bool:
        """Take what has arrived, without waiting; True if more may be there already.

        Raises:
            PeerError: the peer failed, broke the protocol, or sent what was not agreed.
            EOFError: the peer closed the connection.
        """
        wire = self.wire
        budget = _BUDGET
        if self._end - self._start >= HEADER_SIZE:
            self._parse(party)
            if self._deferred:
                return True
        while budget > 0:
            got = self._read(self._targets[-1] if self._targets else self._staging[self._end :])
            if not got:
                return False
            budget -= got
            if self._targets:
                self._wrote(got, party)
            else:
                self._end += got
                self._parse(party)
                if self._deferred:
                    return True
            if not wire.more:
                return False
        return True

    def _read(self, view: memoryview) -> int:
        try:
            got = self.wire.read_into(view)
        except ssl.SSLError as problem:
            raise describe_refusal(problem, self.name) or PeerError(
                f"the encrypted connection to {self.name} is damaged ({problem.reason}); run again"
            ) from None
        except OSError as problem:
            raise EOFError(problem.strerror) from problem
        if got:
            self.heard = True
        return got

    def _parse(self, party: Party) -> None:
        """Go through the staged frames, until what is left is the beginning of a header or of a large body."""
        staging, start, end = self._staging, self._start, self._end
        self._deferred = False
        while end - start >= HEADER_SIZE:
            kind, name, length = unpack_header(staging, start, self._received, self.name)
            stop = start + HEADER_SIZE + length
            if self.said_bye:
                raise PeerError(f"{self.name} sent more after it had ended the session; compare software versions")
            if kind != DATA:
                if stop > end:
                    break
                self._control(kind, bytes(staging[start + HEADER_SIZE : stop]))
            elif stop > end:
                buffers = party.slot(self.index, name, length)
                if buffers is None and party.ready:
                    # A ready task may ask for this body: then it arrives in its place and need not be kept and copied.
                    self._deferred = True
                    self.heard = True  # what it said is here, even if we do not read on
                    break
                self._received += 1
                self._expect(party, buffers, name, length)
                self._start = self._end = 0
                if end > start + HEADER_SIZE:
                    self._spill(staging[start + HEADER_SIZE : end])
                return
            else:
                self._take(party, name, staging[start + HEADER_SIZE : stop])
            self._received += 1
            start = stop
        staging[: end - start] = staging[start:end]
        self._start, self._end = 0, end - start

    def _take(self, party: Party, name: Name, body: memoryview) -> None:
        """A message that has arrived completely."""
        buffers = party.slot(self.index, name, len(body))
        if buffers is None:
            party.deliver(self.index, name, body)
            return
        if len(buffers) == 1:
            _bytes_of(buffers[0])[:] = body
        else:
            start = 0
            for view in _views(buffers):
                view[:] = body[start : start + len(view)]
                start += len(view)
        party.filled(self.index, name)

    def _expect(self, party: Party, buffers: Buffers | None, name: Name, length: int) -> None:
        """Prepare for a body that arrives in pieces: into `buffers`, or kept if nobody has asked for it yet."""
        self._pending_name = name
        if buffers is None:
            if length > EARLY_LIMIT:
                raise PeerError(f"{self.name} sent {length} bytes that nobody asked for yet; compare software versions")
            party.check_early(self.index, length)  # before memory is set aside for it
            self._early = np.empty(length, dtype=np.uint8)
            buffers = (self._early,)
        self._targets = _views(buffers)
        self._targets.reverse()

    def _spill(self, part: memoryview) -> None:
        """Copy the staged beginning of a body, which is shorter than the body, to its place."""
        while part:
            target = self._targets.pop()
            size = min(len(part), len(target))
            target[:size] = part[:size]
            part = part[size:]
            if size < len(target):
                self._targets.append(target[size:])

    def _wrote(self, got: int, party: Party) -> None:
        target = self._targets.pop()
        if got < len(target):
            self._targets.append(target[got:])
        elif not self._targets:
            early, self._early = self._early, None
            if early is None:
                party.filled(self.index, self._pending_name)
            else:
                party.deliver(self.index, self._pending_name, early.data)

    def _control(self, kind: int, body: bytes) -> None:
        if kind == FAIL:
            raise PeerError(f"{self.name} failed: {decode_failure(body, self.name)}")
        if kind == HELLO:
            if self.greeted:
                raise PeerError(f"{self.name} greeted twice; compare software versions")
            check_hello(body, self.name)
            self.greeted = True
        self.said_bye = kind == BYE

    def receive_greeting(self) -> bool:
        """Read until the peer's first frame is here; False if it is not complete yet. Errors as in `receive`.

        What the peer sent after it stays staged.
        """
        while not self.greeted:
            if not self._stage():
                return False
            staging, end = self._staging, self._end
            if end < HEADER_SIZE:
                continue
            kind, _, length = unpack_header(staging, 0, self._received, self.name)
            if kind not in (HELLO, FAIL):
                raise PeerError(f"{self.name} did not greet first; compare software versions")
            if end >= HEADER_SIZE + length:
                self._control(kind, bytes(staging[HEADER_SIZE : HEADER_SIZE + length]))
                self._received += 1
                self._start = HEADER_SIZE + length
        return True

    def check_alive(self) -> None:
        """For the time before the program starts: notice a peer that failed or left. Errors as in `receive`.

        Everything stays staged.
        """
        try:
            self._stage()
        finally:
            # What the peer said before it left explains more than that it left.
            self._look_for_failure()

    def _look_for_failure(self) -> None:
        start, sequence = self._start, self._received
        while self._end - start >= HEADER_SIZE:
            kind, _, length = unpack_header(self._staging, start, sequence, self.name)
            stop = start + HEADER_SIZE + length
            if kind == FAIL and stop <= self._end:
                self._control(kind, bytes(self._staging[start + HEADER_SIZE : stop]))
            start, sequence = stop, sequence + 1

    def _stage(self) -> bool:
        if self._end == _STAGING:
            return False
        got = self._read(self._staging[self._end :])
        self._end += got
        return bool(got)

    # ---- the end

    def discard(self) -> None:
        """Read and forget; for the time after a failure. Raises `EOFError` at the end of the peer's stream."""
        try:
            while self._read(self._staging):
                pass
        except PeerError:
            raise EOFError from None

    def end_sending(self) -> None:
        """Tell the peer that nothing follows."""
        if self.broken is None:
            try:
                self.wire.end_sending()
            except OSError as problem:
                self._break(problem)

    def close(self) -> None:
        """Close the connection; never raises."""
        self.wire.close()

    def keep_alive(self) -> None:
        """Tell the peer that we are busy, unless something has been sent since the last time."""
        if not self.spoke and self.idle:
            self.send_control(ALIVE)
        self.spoke = False


def _bytes_of(array: Array) -> memoryview:
    """A C-contiguous, non-empty array as bytes."""
    try:
        return array.data.cast("B")
    except (TypeError, ValueError):  # element types without a buffer format of their own
        return array.reshape(-1).view(np.uint8).data


def _views(buffers: Buffers) -> list[memoryview]:
    return [_bytes_of(array) for array in buffers if array.nbytes]
