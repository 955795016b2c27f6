"""Which control connections a node serves: nobody, known or not, can keep all others out."""

from __future__ import annotations

import contextlib
import socket
import threading

__all__ = ["Admission"]


class Admission:
    """Counts control connections. Thread-safe.

    Args:
        strangers: connections that have not proved yet who they are; of more, the oldest is cut off.
        per_member: connections of one member; more are refused.
    """

    def __init__(self, strangers: int, per_member: int) -> None:
        self._most_strangers, self._per_member = strangers, per_member
        self._strangers: dict[socket.socket, None] = {}
        self._members: dict[str, int] = {}
        self._lock = threading.Lock()

    def arrived(self, sock: socket.socket) -> socket.socket:
        """Note a fresh connection, of whomever; the ticket for `recognised`."""
        ticket = sock.dup()  # TLS takes the socket over; this remains a handle on the same connection
        with self._lock:
            self._strangers[ticket] = None
            if len(self._strangers) > self._most_strangers:
                self._cut(next(iter(self._strangers)))
        return ticket

    def recognised(self, ticket: socket.socket, member: str | None) -> bool:
        """The connection is that of `member`, or over (None); whether it may be served. Then call `left` at its end."""
        with self._lock:
            self._strangers.pop(ticket, None)
            ticket.close()
            if member is None or self._members.get(member, 0) >= self._per_member:
                return False
            self._members[member] = self._members.get(member, 0) + 1
            return True

    def left(self, member: str) -> None:
        """A connection that was served is over."""
        with self._lock:
            self._members[member] -= 1

    def _cut(self, ticket: socket.socket) -> None:
        del self._strangers[ticket]
        with contextlib.suppress(OSError):
            ticket.shutdown(socket.SHUT_RDWR)  # its thread sees the end
        ticket.close()
