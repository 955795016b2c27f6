"""Typed messages, each with at most one open connection attached, between the processes of one node."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Generic, TypeVar

import msgspec

from quorate.errors import InternalError

__all__ = ["Channel", "pair"]

T = TypeVar("T")
LIMIT = 64 << 20
_PREFIX = 4
_SEND_SECONDS = 10.0


class Channel(Generic[T]):
    """One end of a Unix socket pair; `type_` is the (union of) msgspec Structs that arrive here.

    `send` may be called from several threads, `receive` from one.
    """

    def __init__(self, sock: socket.socket, type_: type[T] | object) -> None:
        self._socket = sock
        sock.settimeout(_SEND_SECONDS)
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor, to poll or to hand over; -1 once closed."""
        return self._socket.fileno()

    def send(self, message: msgspec.Struct, descriptor: int | None = None) -> bool:
        """Send a message, and a copy of an open descriptor with it. False if the other process is gone."""
        body = msgspec.json.encode(message)
        data = len(body).to_bytes(_PREFIX, "big") + body
        try:
            with self._lock:
                if descriptor is None:
                    self._socket.sendall(data)
                else:
                    sent = socket.send_fds(self._socket, [data], [descriptor])
                    self._socket.sendall(data[sent:])
        except OSError:
            return False
        return True

    def receive(self, timeout: float | None = None) -> tuple[T, socket.socket | None] | None:
        """The next message and the connection that came with it; None at the end.

        Raises:
            TimeoutError: nothing arrived within `timeout` seconds.
            InternalError: malformed; both ends are ours, so this is a bug.
        """
        if not self.ready(timeout):
            raise TimeoutError
        try:
            head, descriptors, _, _ = socket.recv_fds(self._socket, _PREFIX, 1)
            head += self._exactly(_PREFIX - len(head)) if head else b""
            length = int.from_bytes(head, "big")
            if length > LIMIT:
                raise InternalError(f"a message of {length} bytes between processes of a node; please report this")
            body = self._exactly(length) if head else b""
        except (OSError, EOFError):
            return None
        connection = socket.socket(fileno=descriptors[0]) if descriptors else None
        if not head:
            return None
        try:
            return self._decoder.decode(body), connection
        except msgspec.MsgspecError as problem:
            raise InternalError(f"a malformed message between processes of a node: {problem}") from problem

    def ready(self, timeout: float | None) -> bool:
        """Whether a message (or the end) is there within `timeout` seconds."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(None if timeout is None else max(0.0, timeout) * 1000))

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._socket.recv(min(count, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close this end; never raises. A `receive` under way in another thread sees the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, for the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
