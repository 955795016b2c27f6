"""Control connections: length-prefixed JSON messages over mutual TLS, to the port that also serves sessions."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Generic, TypeVar

import msgspec

from quorate.coordination.agreement import software
from quorate.coordination.federation import Member
from quorate.errors import AgreementError, EnvironmentFault, PeerError, PeerTimeout, QuorateError
from quorate.node.identity import Identity, tls_error
from quorate.node.messages import Refused, Request, Response
from quorate.transport.listener import CONTROL_HOST

__all__ = ["LIMIT", "Control", "Unreadable", "call", "dial"]

T = TypeVar("T")
LIMIT = 8 << 20
"""Bytes in one message, at most."""
_PREFIX = 4
_OTHER = "cannot read a message of"
_SEND_SECONDS = 60.0


class Unreadable(AgreementError):
    """A message that this release cannot read; names the releases, as far as they are known."""


class _Named(msgspec.Struct):
    """What messages of every release may have."""

    software: str


def _unreadable(peer: str, body: bytes, problem: Exception) -> QuorateError:
    """What is wrong with a message that we cannot read."""
    try:
        theirs = msgspec.json.decode(body, type=_Named).software[:40]
    except msgspec.MsgspecError:
        rest = f"{peer} ({problem}); if it runs another release, install the same on both"
    else:
        if theirs == software():
            return PeerError(f"{peer} sent a malformed control message ({problem})")
        rest = f"{peer}, which runs {theirs!r}; install the same release on both"
    return Unreadable(f"this is {software()} and {_OTHER} {rest}")


class Control(Generic[T]):
    """One end of a control connection, after the handshake; `type_` is the union of messages that arrive here.

    Used by one thread at a time; only `close` may be called from another one.
    """

    def __init__(self, sock: ssl.SSLSocket, peer: str, type_: object) -> None:
        self._socket = sock
        self.peer = peer
        self._in_use = threading.Lock()
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)

    def send(self, message: msgspec.Struct) -> None:
        """Send a message. Raises `PeerError` when the connection is gone, or it is too long to be a message."""
        body = msgspec.json.encode(message)
        if len(body) > LIMIT:
            raise PeerError(f"a message of {len(body)} bytes to {self.peer} is longer than {LIMIT}; split the spec")
        try:
            with self._in_use:
                self._socket.settimeout(_SEND_SECONDS)
                self._socket.sendall(len(body).to_bytes(_PREFIX, "big") + body)
        except OSError as problem:
            raise PeerError(f"{self.peer} closed the control connection ({_reason(problem)})") from None

    def receive(self, timeout: float | None = None) -> T | None:
        """The next message; None when the peer has closed the connection.

        Raises:
            PeerTimeout: the message was not here within `timeout` seconds, however slowly it drips in.
            PeerError: malformed or too long.
            Unreadable: of a kind, or with fields, that this release does not know.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        body: bytes | None = None
        try:
            with self._in_use:
                body = self._body(deadline)
            return None if body is None else self._decoder.decode(body)
        except TimeoutError:
            raise PeerTimeout(f"{self.peer} did not answer within {timeout:g} s; is its node overloaded?") from None
        except OSError as problem:
            raise tls_error(problem, self.peer) from None
        except msgspec.MsgspecError as problem:
            raise _unreadable(self.peer, body or b"", problem) from None

    def _body(self, deadline: float | None) -> bytes | None:
        head = self._exactly(_PREFIX, deadline, may_end=True)
        if not head:
            return None
        length = int.from_bytes(head, "big")
        if length > LIMIT:
            raise PeerError(f"{self.peer} announced a message of {length} bytes; at most {LIMIT} are allowed")
        return self._exactly(length, deadline)

    def _exactly(self, count: int, deadline: float | None, *, may_end: bool = False) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            part = self._socket.recv(min(count - len(parts), 1 << 16))
            if not part and may_end and not parts:
                return b""
            if not part:
                raise PeerError(f"{self.peer} closed the control connection in the middle of a message")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close the connection; a `receive` in another thread ends. Never raises."""
        with contextlib.suppress(OSError):
            # The method of the plain socket: that of SSLSocket takes the encryption away from under the other thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        # Only when nobody is in OpenSSL any more: it would still write an alert to the number of this descriptor, which
        # may be that of another file by then.
        with self._in_use:
            self._socket.close()


def dial(identity: Identity, member: Member, timeout: float = 10.0) -> Control[Response]:
    """A control connection to the node of `member`.

    Raises:
        EnvironmentFault: its node cannot be reached.
        IdentityError: it did not prove to be that member.
    """
    address = member.endpoint
    try:
        raw = socket.create_connection(address, timeout)
    except OSError as problem:
        raise EnvironmentFault(
            f"the node of {member.name} at {address} cannot be reached ({_reason(problem)}); is it running? "
            "'quorate doctor' checks names, ports and certificates"
        ) from None
    return Control(identity.connect(raw, member, CONTROL_HOST, timeout), member.name, Response)


def call(control: Control[Response], request: Request, timeout: float | None = None) -> Response:
    """Send a request and wait for its answer.

    Raises:
        QuorateError: the peer refused; of the class and with the reason it gave, its name in front.
        PeerError, PeerTimeout: it did not answer.
    """
    control.send(request)
    answer = control.receive(timeout)
    if answer is None:
        raise PeerError(f"the node of {control.peer} closed the connection without an answer; see its log")
    if isinstance(answer, Refused):
        problem = answer.failure.from_peer(f"{control.peer} refused")
        if isinstance(problem, AgreementError) and _OTHER in str(problem):
            problem = AgreementError(f"{problem} (here it is {software()})")
        raise problem
    return answer


def _reason(problem: OSError) -> str:
    return "no answer" if isinstance(problem, TimeoutError) else (problem.strerror or type(problem).__name__)
