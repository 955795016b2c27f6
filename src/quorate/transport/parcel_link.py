"""Parcels to and from one peer over a wire: the frames of `quorate.transport.frames`, each DATA frame one parcel."""

from __future__ import annotations

import json
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence

from quorate.errors import AgreementError, PeerError
from quorate.transport.carrier import CHUNK as MOST
from quorate.transport.frames import (
    ALIVE,
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

__all__ = ["ParcelLink"]

_STAGING = 1 << 20
_LEAST_ROOM = 64 << 10
_BUDGET = 4 << 20
_FORMAT = 1


class ParcelLink:
    """The connection to one peer. Whoever reads, writes or closes holds `lock`, unless there is one thread only.

    Attributes:
        index, name: the peer, by its index in the session and for messages to people.
        since: when the connection was made (monotonic).
        heard, spoke: when something arrived last, and when something was sent last (monotonic).
        broken: why nothing can be sent any more, or None.
        pending: bytes that wait to be handed to the kernel.
    """

    def __init__(self, wire: Wire, index: int, name: str) -> None:
        self.wire = wire
        self.index, self.name = index, name
        self.lock = threading.Lock()
        self.since = self.heard = self.spoke = time.monotonic()
        self.broken: OSError | None = None
        self.pending = 0
        self._pieces: deque[Chunk] = deque()
        self._staging = memoryview(bytearray(_STAGING))
        self._start = self._end = 0
        self._sent = self._received = 0
        self._greeted = False

    # ---- sending

    @property
    def blocked(self) -> bool:
        """Whether there is something to send once the kernel takes more."""
        return self.broken is None and bool(self._pieces or self.wire.blocked)

    @property
    def idle(self) -> bool:
        """Whether everything is with the kernel."""
        return self.broken is None and not self.blocked

    def send(self, bodies: Sequence[bytes]) -> None:
        """Queue parcels, and send what goes without waiting."""
        for body in bodies:
            self._queue(DATA, body)
        self.push()

    def keep_alive(self) -> None:
        """Tell the peer that we are here."""
        self._queue(ALIVE, b"")
        self.push()

    def greet(self) -> None:
        """Send our first frame."""
        self._queue(HELLO, json.dumps({**json.loads(hello_body()), "parcels": _FORMAT}).encode())
        self.push()

    def refuse(self, body: bytes) -> None:
        """Tell the peer why there will be no connection, as made by `encode_failure`; nothing follows."""
        self._queue(FAIL, body)
        self.push()
        self.end_sending()

    def push(self) -> None:
        """Send what is queued until the kernel takes no more."""
        wire, pieces = self.wire, self._pieces
        self.spoke = time.monotonic()
        try:
            if wire.blocked:
                wire.flush()
            while pieces and not wire.blocked:
                self._took(wire.send(self._batch()))
        except OSError as problem:
            self.broken = problem
            pieces.clear()
        self.pending = sum(map(len, pieces)) + (1 if self.blocked else 0)

    def _queue(self, kind: int, body: bytes) -> None:
        header = pack_header(kind, (0, 0), len(body), self._sent)
        self._sent += 1
        if len(body) < _LEAST_ROOM:
            self._pieces.append(header + body)
        else:
            self._pieces.extend((header, body))

    def _batch(self) -> list[Chunk]:
        batch: list[Chunk] = []
        room = CHUNK
        for piece in self._pieces:
            batch.append(piece if len(piece) <= room else memoryview(piece)[:room])
            room -= len(piece)
            if room <= 0 or len(batch) == 64:
                break
        return batch

    def _took(self, taken: int) -> None:
        pieces = self._pieces
        while taken:
            piece = pieces.popleft()
            if taken < len(piece):
                pieces.appendleft(memoryview(piece)[taken:])
                return
            taken -= len(piece)

    def end_sending(self) -> None:
        """Tell the peer that nothing follows."""
        if self.broken is None:
            try:
                self.wire.end_sending()
            except OSError as problem:
                self.broken = problem

    # ---- receiving

    def receive(self) -> tuple[list[bytes], bool]:
        """The parcels that have arrived, without waiting, and whether more may be there already.

        Raises:
            PeerError: the peer failed, or sent what is no frame.
            EOFError: the peer closed the connection.
        """
        budget = _BUDGET
        parcels: list[bytes] = []
        self._parse(parcels)  # what came together with the greeting
        while budget > 0:
            try:
                got = self._read()
            except EOFError:
                if parcels:
                    return parcels, True  # the end comes up again
                raise
            if not got:
                return parcels, False
            budget -= got
            self._parse(parcels)
        return parcels, True

    def greeting(self) -> Generator[int, None, None]:
        """Read until the peer's first frame is here; yields the poll events to wait for. Errors as in `receive`."""
        while not self._greeted:
            if self._read():
                self._greet()
            else:
                yield select.POLLIN | (select.POLLOUT if self.blocked else 0)
                self.push()

    def _greet(self) -> None:
        if self._end - self._start < HEADER_SIZE:
            return
        kind, _, length = unpack_header(self._staging, self._start, self._received, self.name)
        if kind not in (HELLO, FAIL):
            raise PeerError(f"{self.name} did not greet first; compare software versions")
        if self._end - self._start >= HEADER_SIZE + length:
            stop = self._start + HEADER_SIZE + length
            self._control(kind, bytes(self._staging[self._start + HEADER_SIZE : stop]))
            self._received += 1
            self._start = stop

    def _read(self) -> int:
        if self._start == self._end:
            self._start = self._end = 0
        elif _STAGING - self._end < _LEAST_ROOM:
            size = self._end - self._start
            self._staging[:size] = self._staging[self._start : self._end]
            self._start, self._end = 0, size
        try:
            got = self.wire.read_into(self._staging[self._end :])
        except ssl.SSLError as problem:
            raise describe_refusal(problem, self.name) or PeerError(
                f"the encrypted connection to {self.name} is damaged ({problem.reason})"
            ) from None
        except OSError as problem:
            raise EOFError(problem.strerror) from problem
        if got:
            self._end += got
            self.heard = time.monotonic()
        return got

    def _parse(self, parcels: list[bytes]) -> None:
        staging, start, end = self._staging, self._start, self._end
        while end - start >= HEADER_SIZE:
            kind, _, length = unpack_header(staging, start, self._received, self.name)
            if length > MOST:
                raise PeerError(f"{self.name} sent a parcel of {length} bytes; at most {MOST} are allowed")
            stop = start + HEADER_SIZE + length
            if stop > end:
                break
            body = bytes(staging[start + HEADER_SIZE : stop])
            self._received += 1
            start = stop
            if kind == DATA:
                parcels.append(body)
            elif kind != ALIVE:
                self._control(kind, body)
        self._start = start

    def _control(self, kind: int, body: bytes) -> None:
        if kind == FAIL:
            raise PeerError(f"{self.name} refuses: {decode_failure(body, self.name)}")
        if kind != HELLO or self._greeted:
            raise PeerError(f"{self.name} sent a frame of kind {kind} that does not belong here; compare versions")
        check_hello(body, self.name)
        if json.loads(body).get("parcels") != _FORMAT:
            raise AgreementError(
                f"{self.name} does not exchange parcels over this connection; both need the same `delivery` in the "
                "spec, and the same release"
            )
        self._greeted = True

    def close(self) -> None:
        """Close the connection; never raises."""
        self.wire.close()
