"""Links WITHOUT encryption and without identities: to test the layers above, and to measure what TLS costs.

Nothing outside `quorate.testing` and `quorate.bench` may use this; there is no option that leads here.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from quorate.errors import PeerTimeout
from quorate.transport.link import Link
from quorate.transport.wire import Chunk, tune

__all__ = ["PlainWire", "insecure_plaintext_links", "insecure_plaintext_pair"]

_INDEX_BYTES = 4


class PlainWire:
    """A `quorate.transport.wire.Wire` over a bare socket, which it owns."""

    __slots__ = ("_recv_into", "_sendmsg", "_socket", "blocked", "bytes_in", "bytes_out", "more")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._sendmsg, self._recv_into = sock.sendmsg, sock.recv_into
        self.blocked = False
        self.more = True
        self.bytes_in = self.bytes_out = 0

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def send(self, pieces: Sequence[Chunk]) -> int:
        """Take a beginning of the pieces; returns how many bytes."""
        try:
            taken = self._sendmsg(pieces)
        except BlockingIOError:
            taken = 0
        self.bytes_out += taken
        self.blocked = taken < sum(map(len, pieces))
        return taken

    def flush(self) -> None:
        """Nothing is kept here."""
        self.blocked = False

    def read_into(self, view: memoryview) -> int:
        """Fill a beginning of `view`; 0 if nothing is there. Raises `EOFError` at the end."""
        try:
            got = self._recv_into(view)
        except BlockingIOError:
            self.more = False
            return 0
        if not got:
            raise EOFError
        self.bytes_in += got
        self.more = got == len(view)
        return got

    def end_sending(self) -> None:
        """Tell the peer that nothing follows."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def insecure_plaintext_links(
    me: int,
    listening: Sequence[socket.socket],
    names: Sequence[str],
    timeout: float = 10.0,
    addresses: Sequence[tuple[str, int]] | None = None,
) -> dict[int, Link]:
    """Connect participant `me` to all others; peer index -> link.

    Args:
        me: our index.
        listening: one listening socket per participant, by index, made before the processes were forked; the lower
            index dials. See `quorate.testing.loopback`.
        names: the participants, for messages.
        timeout: seconds for all of it.
        addresses: where to dial, if not where the others listen.

    Raises:
        PeerTimeout: somebody did not connect in time.
    """
    links: dict[int, Link] = {}
    for peer in range(me + 1, len(listening)):
        address = listening[peer].getsockname()[:2] if addresses is None else addresses[peer]
        sock = socket.create_connection(address, timeout)
        sock.sendall(me.to_bytes(_INDEX_BYTES, "big"))
        links[peer] = _link(sock, peer, names)
    while len(links) < len(listening) - 1:
        sock, peer = _accept(listening[me], timeout)
        links[peer] = _link(sock, peer, names)
    return links


def insecure_plaintext_pair(names: Sequence[str] = ("alice", "bob")) -> tuple[Link, Link]:
    """The two ends of one connection within this process: (link of 0 to 1, link of 1 to 0)."""
    first, second = socket.socketpair()
    return Link(PlainWire(first), 1, names[1]), Link(PlainWire(second), 0, names[0])


def _accept(listening: socket.socket, timeout: float) -> tuple[socket.socket, int]:
    listening.settimeout(timeout)
    try:
        sock, _ = listening.accept()
        sock.settimeout(timeout)
        return sock, int.from_bytes(sock.recv(_INDEX_BYTES, socket.MSG_WAITALL), "big")
    except TimeoutError:
        raise PeerTimeout(
            f"a participant did not connect within {timeout:g} s; look for the error of its process"
        ) from None


def _link(sock: socket.socket, peer: int, names: Sequence[str]) -> Link:
    tune(sock)
    link = Link(PlainWire(sock), peer, names[peer])
    link.greet()
    return link
