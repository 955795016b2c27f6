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
from quorate.engine.network import Network
from quorate.testing.plaintext import insecure_plaintext_links
from quorate.testing.wan import Wan
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
        network: how far apart they seem to be, see `quorate.testing.wan`; None: as this machine has it.

    A context manager that closes the sockets at the end.
    """

    def __init__(self, names: Sequence[str], network: Network | None = None) -> None:
        self.names = tuple(names)
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=len(self.names)) for _ in self.names]
        self.wan = None if network is None else Wan(network, self.addresses)

    def __enter__(self) -> Loopback:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) at which every participant listens."""
        return [sock.getsockname()[:2] for sock in self.sockets]

    def addresses_for(self, me: int) -> list[tuple[str, int]]:
        """(host, port) under which participant `me` reaches every participant."""
        return self.addresses if self.wan is None else self.wan.addresses(me)

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
            for name, address in zip(self.names, self.addresses_for(me), strict=True)
        ]
        name = self.names[me]
        contexts = load_contexts(folder / f"{name}.crt", folder / f"{name}.key", folder / "ca.crt")
        return connect_mesh(me, members, session, contexts, Door(self.sockets[me]), timeout)

    def insecure_plaintext_links(self, me: int, timeout: float = 10.0) -> dict[int, Link]:
        """The same without encryption and identities; see `quorate.testing.plaintext`."""
        return insecure_plaintext_links(me, self.sockets, self.names, timeout, self.addresses_for(me))

    def close(self) -> None:
        """Close the listening sockets; links live on, unless they pass through a simulated network."""
        if self.wan is not None:
            self.wan.close()
        for sock in self.sockets:
            sock.close()
