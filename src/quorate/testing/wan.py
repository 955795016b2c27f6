"""A wide area network between processes of this machine, without privileges: connections pass through a relay process
that delays bytes and limits their rate.

with Loopback(names, network=Network.parse("40ms", "100Mbit")) as loopback:   # starts the relay, before forking
    ...

The model, for every byte: it leaves through the uplink of its sender, travels for half a round trip, and arrives
through the downlink of its receiver. Uplink and downlink carry `Network.bandwidth` each, all connections of that
participant together, first come first served; a receiver takes bytes at the rate at which they arrive, so an idle
downlink adds no time. Chunks of about a millisecond are handled as a whole. Times are kept to a fraction of a
millisecond as long as a core is free when something is due.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import multiprocessing
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from quorate.engine.network import Network
from quorate.transport.wire import tune

__all__ = ["Wan"]

Address = tuple[str, int]
LEAST_CHUNK, MOST_CHUNK = 4 << 10, 256 << 10
LEAST_BACKLOG = 16 << 20
"""Bytes under way on one connection and direction before its sender has to wait, at least."""
DIAL_SECONDS = 5.0


class Wan:
    """A relay between participants: each reaches each other one through an address of its own.

    Args:
        network: round trip and bandwidth.
        addresses: where the participants really listen, by index.

    Raises:
        OSError: no free ports.
    """

    def __init__(self, network: Network, addresses: Sequence[Address]) -> None:
        self._real = list(addresses)
        pairs = itertools.permutations(range(len(addresses)), 2)
        self._doors = {pair: socket.create_server(("127.0.0.1", 0), backlog=8) for pair in pairs}
        relay = _Relay(network, self._real, self._doors)
        self._process = multiprocessing.get_context("fork").Process(target=relay.run, daemon=True)
        self._process.start()

    def addresses(self, me: int) -> list[Address]:
        """Where participant `me` reaches every participant; its own address is the real one."""
        doors = {other: door.getsockname()[:2] for (dialler, other), door in self._doors.items() if dialler == me}
        return [doors.get(index, real) for index, real in enumerate(self._real)]

    def close(self) -> None:
        """Stop the relay; connections through it break."""
        self._process.terminate()
        self._process.join()
        for door in self._doors.values():
            door.close()


class _Chunk(NamedTuple):
    """Bytes on their way: due at the downlink, then (`landed`) at the receiver; None is the end of the stream."""

    due: float
    order: int
    landed: bool
    stream: _Stream
    data: bytes | None


class _Stream:
    """One direction of a connection."""

    __slots__ = ("arrived", "backlog", "ended", "finished", "receiver", "sender", "source", "target")

    def __init__(self, source: socket.socket, target: socket.socket, sender: int, receiver: int) -> None:
        self.source, self.target = source, target
        self.sender, self.receiver = sender, receiver
        self.arrived: deque[memoryview | None] = deque()
        self.backlog = 0
        self.ended = self.finished = False


class _Relay:
    """The loop of the relay process."""

    def __init__(
        self, network: Network, addresses: Sequence[Address], doors: dict[tuple[int, int], socket.socket]
    ) -> None:
        self.addresses = addresses
        self.doors = {door: pair for pair, door in doors.items()}
        self.delay = network.rtt_us / 2e6
        self.per_byte = 8 / network.bandwidth
        self.chunk = min(max(network.bandwidth // 8000, LEAST_CHUNK), MOST_CHUNK)
        self.most_backlog = max(LEAST_BACKLOG, round(4 * self.delay / self.per_byte))
        self.uplinks, self.downlinks = ([0.0] * len(addresses) for _ in range(2))
        self.under_way: list[_Chunk] = []
        self.order = itertools.count()
        self.streams: dict[socket.socket, _Stream] = {}

    def run(self) -> None:
        """Relay until the process is stopped."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                self._turn()

    def _turn(self) -> None:
        """Wait until something can be read, written or is due, and do it."""
        reading = [s.source for s in self.streams.values() if not s.ended and s.backlog < self.most_backlog]
        writing = [s.target for s in self.streams.values() if s.arrived]
        due = max(0.0, self.under_way[0].due - time.monotonic()) if self.under_way else None
        readable, writable, _ = select.select([*self.doors, *reading], writing, [], due)
        for ready in readable:
            if ready in self.doors:
                self._connect(ready, *self.doors[ready])
            elif ready in self.streams:
                self._read(self.streams[ready])
        self._move()
        for stream in [stream for stream in self.streams.values() if stream.target in writable]:
            self._write(stream)

    def _connect(self, door: socket.socket, dialler: int, other: int) -> None:
        near, _ = door.accept()
        try:
            far = socket.create_connection(self.addresses[other], DIAL_SECONDS)
        except OSError:
            near.close()  # as the dialler would have found it
            return
        for sock in (near, far):
            tune(sock)
            sock.setblocking(False)
        self.streams[near] = _Stream(near, far, dialler, other)
        self.streams[far] = _Stream(far, near, other, dialler)

    def _read(self, stream: _Stream) -> None:
        """Take a chunk and send it up the uplink."""
        try:
            data = stream.source.recv(self.chunk)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        sent = max(time.monotonic(), self.uplinks[stream.sender]) + len(data) * self.per_byte
        self.uplinks[stream.sender] = sent
        stream.ended = not data
        stream.backlog += len(data)
        heapq.heappush(
            self.under_way, _Chunk(sent + self.delay, next(self.order), False, stream, data if data else None)
        )

    def _move(self) -> None:
        """Let everything arrive that is due, in its order in time."""
        while self.under_way and self.under_way[0].due <= time.monotonic():
            chunk = heapq.heappop(self.under_way)
            stream = chunk.stream
            if not chunk.landed:
                size = len(chunk.data or b"")
                landing = max(chunk.due, self.downlinks[stream.receiver] + size * self.per_byte)
                self.downlinks[stream.receiver] = landing
                heapq.heappush(self.under_way, chunk._replace(due=landing, landed=True))
                continue
            if not stream.finished:
                stream.arrived.append(None if chunk.data is None else memoryview(chunk.data))
                self._write(stream)

    def _write(self, stream: _Stream) -> None:
        """Hand over as much as the receiver takes."""
        arrived = stream.arrived
        try:
            while arrived:
                head = arrived[0]
                if head is None:
                    self._finish(stream)
                    return
                taken = stream.target.send(head)
                stream.backlog -= taken
                if taken < len(head):
                    arrived[0] = head[taken:]
                else:
                    arrived.popleft()
        except BlockingIOError:
            return
        except OSError:  # the receiver is gone
            self._finish(stream)

    def _finish(self, stream: _Stream) -> None:
        """The end of one direction; after that of both the connection is forgotten."""
        stream.arrived.clear()
        stream.ended = stream.finished = True
        with contextlib.suppress(OSError):
            stream.target.shutdown(socket.SHUT_WR)
        self.streams.pop(stream.source)
        if stream.target not in self.streams:
            stream.source.close()
            stream.target.close()
