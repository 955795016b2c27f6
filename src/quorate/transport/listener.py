"""One listening port per node, for all its sessions: connections are routed by the name in the TLS greeting (SNI).

The greeting is only peeked at. Whoever gets the connection (a handler here, or the worker process of a session)
performs the whole handshake itself, so the routing process neither decrypts nor relays anything of a session.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable

from quorate.errors import EnvironmentFault, InternalError, UserError

__all__ = ["CONTROL_HOST", "Handler", "Listener", "hand_over", "read_server_name", "session_host", "take_over"]

CONTROL_HOST = "control.quorate"
"""The name under which a node itself answers, as opposed to one of its sessions."""

Handler = Callable[[socket.socket], None]
"""Takes a fresh connection over; called in the thread of the listener, so it has to return at once."""

_log = logging.getLogger(__name__)
_GREETING_LIMIT = 16 << 10
_GREETING_SECONDS = 5.0
_MOST_LOOKS = 16
_SESSION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def session_host(session: str) -> str:
    """The name under which the parties of a session reach each other: `<session>.session.quorate`.

    Raises:
        UserError: not 1 to 63 of a-z, 0-9 and inner hyphens.
    """
    if not _SESSION.fullmatch(session):
        raise UserError(f"session name {session!r}: use 1 to 63 of a-z, 0-9 and '-', not beginning or ending with '-'")
    return f"{session}.session.quorate"


def hand_over(channel: socket.socket, connection: socket.socket) -> None:
    """Pass a connection through a Unix socket pair to another process or thread, and close it here.

    `channel` should be non-blocking: a worker that does not take its connections must not stop the node. A connection
    for which there is no room is closed; the peer tries again.
    """
    with connection, contextlib.suppress(OSError):
        socket.send_fds(channel, [b"c"], [connection.fileno()])


def take_over(channel: socket.socket) -> socket.socket | None:
    """The next connection from `hand_over`; None if there is none yet (non-blocking channel).

    Raises:
        EOFError: the other end of the channel was closed.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    except BlockingIOError:
        return None
    if not descriptors:
        if data:
            return None
        raise EOFError
    return socket.socket(fileno=descriptors[0])


def read_server_name(greeting: bytes) -> str | None:
    """The server name in the beginning of a TLS connection; None if more bytes are needed.

    Raises:
        ValueError: not a TLS 1.3 greeting, or one without a name.
    """
    found: list[str | None] = []

    def note(_tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int:
        found.append(name)
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.sni_callback = note
    incoming = ssl.MemoryBIO()
    incoming.write(greeting)
    try:
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError:
        pass
    if found and found[0]:
        return found[0]
    raise ValueError("not a TLS 1.3 greeting with a server name")


class _Arrival:
    """A connection whose greeting is not complete yet, or for whose name nobody is there yet."""

    __slots__ = ("connection", "deadline", "looks", "name", "seen")

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline
        self.seen = self.looks = 0
        self.name: str | None = None


class Listener:
    """Accepts connections and gives them to the handler registered for their name.

    Args:
        host, port: where to listen; port 0 takes a free one (see `address`).
        patience: seconds for which a connection to an unknown session is kept, since a peer may be faster than we are.
        limit: connections in that state or without a complete greeting; of more, the oldest is refused: who is served
            passes through here in moments, so a flood of idle connections does not keep others out.

    Use `start` (a thread of its own) or `run` (this thread), and `close`.

    Raises:
        EnvironmentFault: the port is in use or not allowed, or the host is not one of this machine.
    """

    def __init__(self, host: str, port: int, *, patience: float = 10.0, limit: int = 128) -> None:
        self._socket = _listen(host, port)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._patience = patience
        self._limit = limit
        self._handlers: dict[str, Handler] = {}
        self._arrivals: dict[int, _Arrival] = {}
        self._lock = threading.Lock()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._poller = select.poll()
        self._poller.register(self._socket.fileno(), select.POLLIN)
        self._poller.register(self._wake_out.fileno(), select.POLLIN)
        self._closing = False
        self._thread: threading.Thread | None = None

    def register(self, name: str, handler: Handler) -> None:
        """Route connections for the host `name` to `handler`, those that are kept waiting included."""
        with self._lock:
            if name in self._handlers:
                raise InternalError(f"two handlers for connections to {name}; please report this")
            self._handlers[name] = handler
        self._wake()

    def unregister(self, name: str) -> None:
        """End a route; no error if there is none."""
        with self._lock:
            self._handlers.pop(name, None)

    def start(self) -> None:
        """Run in a thread until `close`."""
        self._thread = threading.Thread(target=self.run, name="quorate-listener", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Accept and route connections until `close`."""
        try:
            while not self._closing:
                self._round()
        finally:
            for arrival in self._arrivals.values():
                arrival.connection.close()
            self._release()

    def close(self) -> None:
        """Stop listening and drop connections that nobody has taken yet; waits for the thread of `start`."""
        self._closing = True
        self._wake()
        if self._thread is None:
            self._release()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def _release(self) -> None:
        for sock in (self._socket, self._wake_in, self._wake_out):
            sock.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_in.send(b"w")

    def _round(self) -> None:
        wait = min((a.deadline for a in self._arrivals.values()), default=time.monotonic() + 60) - time.monotonic()
        for descriptor, _ in self._poller.poll(max(0.0, wait) * 1000 + 1):
            if descriptor == self._socket.fileno():
                self._accept()
            elif descriptor == self._wake_out.fileno():
                self._woken()
            elif descriptor in self._arrivals:
                self._greeting(self._arrivals[descriptor])
        now = time.monotonic()
        for arrival in [a for a in self._arrivals.values() if a.deadline <= now]:
            self._refuse(arrival, f"nobody waits for {arrival.name!a}" if arrival.name else "no greeting in time")

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        except OSError as problem:
            # Out of descriptors: accepting would fail again at once, so let others finish first.
            _log.warning("cannot accept a connection: %s", problem.strerror)
            time.sleep(0.05)
            return
        if len(self._arrivals) >= self._limit:
            self._refuse(next(iter(self._arrivals.values())), f"{self._limit} others are waiting too")
        connection.setblocking(False)
        self._arrivals[connection.fileno()] = _Arrival(connection, time.monotonic() + _GREETING_SECONDS)
        self._poller.register(connection.fileno(), select.POLLIN)

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)
        for arrival in [a for a in self._arrivals.values() if a.name is not None]:
            self._route(arrival)

    def _greeting(self, arrival: _Arrival) -> None:
        try:
            peeked = arrival.connection.recv(_GREETING_LIMIT, socket.MSG_PEEK)
            arrival.looks += 1  # each costs a try to parse it, so a greeting cannot come byte by byte
            if len(peeked) <= arrival.seen or len(peeked) == _GREETING_LIMIT or arrival.looks > _MOST_LOOKS:
                raise ValueError("closed, or too long or in too many pieces")
            arrival.name = read_server_name(peeked)
        except BlockingIOError:
            return
        except (OSError, ValueError) as problem:
            self._refuse(arrival, str(problem))
            return
        arrival.seen = len(peeked)
        if arrival.name is None:
            # Do not wake up again for the same bytes.
            arrival.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, arrival.seen + 1)
            return
        arrival.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        arrival.deadline = time.monotonic() + self._patience
        self._poller.unregister(arrival.connection.fileno())
        self._route(arrival)

    def _route(self, arrival: _Arrival) -> None:
        with self._lock:
            handler = self._handlers.get(arrival.name or "")
        if handler is None:
            return
        del self._arrivals[arrival.connection.fileno()]
        try:
            handler(arrival.connection)
        except Exception:
            _log.exception("the handler for %a failed", arrival.name)
            arrival.connection.close()

    def _refuse(self, arrival: _Arrival, reason: str) -> None:
        _log.info("refused a connection: %s", reason)
        descriptor = arrival.connection.fileno()
        with contextlib.suppress(KeyError):
            self._poller.unregister(descriptor)
        del self._arrivals[descriptor]
        arrival.connection.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as problem:
        raise EnvironmentFault(f"cannot listen on {host}:{port}: the host is not known ({problem.strerror})") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(256)
    except OSError as problem:
        listening.close()
        raise EnvironmentFault(f"cannot listen on {host}:{port}: {_listen_hint(problem, port)}") from None
    listening.setblocking(False)
    return listening


def _listen_hint(problem: OSError, port: int) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"port {port} is in use by another process; stop that (`ss -ltnp` shows it), or choose another port"
    if problem.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address; use one of its own, or 0.0.0.0 for all"
    if problem.errno in (errno.EACCES, errno.EPERM):
        return "not permitted; ports below 1024 need extra rights, choose a higher one"
    return str(problem.strerror)
