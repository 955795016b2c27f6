"""Rounds that are complete without all their messages, see `Exchange.enough`."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

from quorate.engine.names import Name

__all__ = ["Gathering", "Quorum"]


class Quorum(NamedTuple):
    """Messages of `enough` of these `peers` have to be here."""

    peers: frozenset[int]
    enough: int


class Gathering:
    """Such a round under way at one party.

    Attributes:
        name: of the round.
        peers: all who send something.
        arrived: those whose messages are here.
    """

    __slots__ = ("_wanted", "arrived", "name", "peers")

    def __init__(self, name: Name, peers: Iterable[int], quorums: Iterable[Quorum]) -> None:
        self.name = name
        self.peers = tuple(peers)
        self.arrived: set[int] = set()
        self._wanted = list(quorums)

    def complete(self) -> bool:
        """Whether every quorum is here."""
        self._wanted = [quorum for quorum in self._wanted if len(quorum.peers & self.arrived) < quorum.enough]
        return not self._wanted

    def lacks(self, silent: Set[int]) -> bool:
        """Whether the others that are still to come do not make every quorum complete."""
        coming = (set(self.peers) - silent) | self.arrived
        return any(len(quorum.peers & coming) < quorum.enough for quorum in self._wanted)

    def waits_for(self, peer: int) -> bool:
        """Whether the message of a peer, which is not here yet, would be of use."""
        return any(peer in quorum.peers for quorum in self._wanted)
