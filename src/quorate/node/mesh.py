"""A session's mesh, seen from a node: addresses and pinned certificates of the roster, and the node's doorway."""

from __future__ import annotations

import socket

from quorate.coordination.roster import Roster
from quorate.errors import EnvironmentFault
from quorate.node.identity import Identity
from quorate.transport.link import Link
from quorate.transport.listener import take_over
from quorate.transport.mesh import Incoming, PeerAddress, connect_mesh

__all__ = ["Doorway", "Incoming", "connect"]


class Doorway:
    """The worker's end of the socket through which its node hands over connections (see `Incoming`)."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock

    def fileno(self) -> int:
        """Readable when a connection may have arrived."""
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        """The next connection; None if there is none now. Raises `EnvironmentFault` when the node is gone."""
        try:
            return take_over(self._socket)
        except EOFError:
            raise EnvironmentFault("the node ended while the session began; start it again, and run anew") from None


def connect(
    identity: Identity, who: Roster, me: int, session: str, incoming: Incoming | None, patience: float
) -> dict[int, Link]:
    """Connections to all participants with which `me` exchanges messages; errors as `connect_mesh`."""
    members = [_address(identity, who, index) for index in range(len(who.participants))]
    return connect_mesh(me, members, session, identity.contexts, incoming, patience)


def _address(identity: Identity, who: Roster, index: int) -> PeerAddress:
    member = identity.federation.member(who.participants[index])
    # Only parties and the dealer take part through a node; all others dial, even if they run a node for other specs.
    listens = index < who.parties or index == who.dealer
    address = (member.endpoint.host, member.endpoint.port) if listens else None
    return PeerAddress(member.name, member.fingerprint, address, index < who.parties)
