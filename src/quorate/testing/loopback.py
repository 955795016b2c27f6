"""Meshes between processes (or threads) of this machine: for tests and benchmarks.

loopback = Loopback(("alice", "bob", "carol"))      # before forking
...                                                 # in process `me`:
links = loopback.tls_links(me, folder)              # with ca.crt and NAME.crt, NAME.key of each
links = loopback.insecure_plaintext_links(me)       # the same without TLS
result = conduct(party, links, ...)
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from quorate.crypto.pki import fingerprint
from quorate.testing.plaintext import insecure_plaintext_links
from quorate.transport.link import Link
from quorate.transport.mesh import PeerAddress, connect_mesh
from quorate.transport.tls import load_contexts

__all__ = ["Door", "Loopback"]


class Door:
    """A listening socket of one participant; an `Incoming` for `connect_mesh`."""

    def __init__(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        self.socket = listening

    def fileno(self) -> int:
        """Readable when a connection has arrived."""
        return self.socket.fileno()

    def accept(self) -> socket.socket | None:
        """The next connection; None if there is none."""
        try:
            return self.socket.accept()[0]
        except BlockingIOError:
            return None


class Loopback:
    """One listening socket on 127.0.0.1 for each participant; several meshes may be made one after the other.

    Args:
        names: the participants, by index.

    A context manager that closes the sockets at the end.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=len(self.names)) for _ in self.names]

    def __enter__(self) -> Loopback:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of every participant."""
        return [sock.getsockname()[:2] for sock in self.sockets]

    def tls_links(self, me: int, folder: Path, session: str = "loopback", timeout: float = 10.0) -> dict[int, Link]:
        """Connect participant `me` to all others, with mutual TLS; peer index -> link. Errors as in `connect_mesh`.

        Args:
            me: our index.
            folder: holds ca.crt and NAME.crt, NAME.key of every participant.
            session: names the mesh.
            timeout: seconds to wait for the others.
        """
        members = [
            PeerAddress(name, fingerprint(folder / f"{name}.crt"), address)
            for name, address in zip(self.names, self.addresses, strict=True)
        ]
        name = self.names[me]
        contexts = load_contexts(folder / f"{name}.crt", folder / f"{name}.key", folder / "ca.crt")
        return connect_mesh(me, members, session, contexts, Door(self.sockets[me]), timeout)

    def insecure_plaintext_links(self, me: int, timeout: float = 10.0) -> dict[int, Link]:
        """The same without encryption and identities; see `quorate.testing.plaintext`."""
        return insecure_plaintext_links(me, self.sockets, self.names, timeout)

    def close(self) -> None:
        """Close the listening sockets; links live on."""
        for sock in self.sockets:
            sock.close()
