"""A session's mesh, seen from a node: addresses and pinned certificates of the roster, and the node's doorway."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from quorate.coordination.roster import Roster
from quorate.errors import EnvironmentFault, IdentityError
from quorate.node.identity import Identity
from quorate.transport.link import Link
from quorate.transport.listener import take_over
from quorate.transport.mesh import PeerAddress, connect_mesh

__all__ = ["Doorway", "addresses", "connect"]


class Doorway:
    """The worker's end of the socket through which its node hands over connections; an `Incoming` of the mesh."""

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

    def close(self) -> None:
        """Take no more connections; those that nobody took are closed, and the node closes all that follow."""
        self._socket.close()


def connect(
    identity: Identity, who: Roster, me: int, session: str, doorway: Doorway | None, patience: float
) -> dict[int, Link]:
    """Connections to all participants with which `me` exchanges messages; closes `doorway`.

    Raises:
        IdentityError: one certificate is pinned for two participants.
        QuorateError: as `connect_mesh`.
    """
    try:
        members = addresses(identity, who)
        return connect_mesh(me, members, session, identity.contexts, doorway, patience)
    finally:
        if doorway is not None:
            # Left open, it would fill with connections of strangers, and with it the descriptors of the node.
            doorway.close()


def addresses(identity: Identity, who: Roster) -> list[PeerAddress]:
    """Where all participants are, and who they have to prove to be. Raises `IdentityError` as `connect`."""
    members = [_address(identity, who, index) for index in range(len(who.participants))]
    _check_distinct(members)
    return members


def _check_distinct(members: Sequence[PeerAddress]) -> None:
    """Two participants with one key are one participant, and could hold more shares than a threshold allows."""
    names: dict[str, str] = {}
    for member in members:
        if (other := names.setdefault(member.fingerprint, member.name)) != member.name:
            raise IdentityError(
                f"the same certificate is pinned for {other} and {member.name}; correct their certificates in the "
                "federation file, every member needs one of its own"
            )


def _address(identity: Identity, who: Roster, index: int) -> PeerAddress:
    member = identity.federation.member(who.participants[index])
    # Only parties and the dealer take part through a node; all others dial, even if they run a node for other specs.
    listens = index < who.parties or index == who.dealer
    address = (member.endpoint.host, member.endpoint.port) if listens else None
    return PeerAddress(member.name, member.fingerprint, address, index < who.parties)
