"""Choosing between ways to compute the same thing, by their exact cost in this protocol on the session's network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from quorate.engine.count import count
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.network import Network
from quorate.engine.session import Session
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make

__all__ = ["Way", "cheapest", "cost"]

Way = Callable[[Protocol, Scope], Step[Any]]
"""Runs one of the ways on operands without content, which it makes itself (`Protocol.empty` and the like)."""

REMEMBERED = 1 << 14


class _Setting(NamedTuple):
    """All that a cost depends on beside the way itself."""

    protocol: str
    threshold: int
    parties: int
    participants: tuple[str, ...]
    dealer: int | None
    network: Network


class _Named:
    """A way under the key that it is remembered by."""

    def __init__(self, key: Hashable, way: Way) -> None:
        self.key = key
        self.way = way

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and self.key == other.key


def cheapest(p: Protocol, ways: Sequence[Way], key: Hashable) -> int:
    """The index of the way that takes least time by `Network.nanoseconds`; the first of equals.

    All participants choose alike, since nothing but public facts counts.

    Args:
        ways: the candidates; their costs are as in `cost`.
        key: names the candidates and their sizes.
    """
    costs = [cost(p, way, (key, index)) for index, way in enumerate(ways)]
    times = [p.session.network.nanoseconds(rounds, size) for rounds, size in costs]
    return times.index(min(times))


def cost(p: Protocol, way: Way, key: Hashable) -> tuple[int, int]:
    """Rounds of a way, and the most bytes that a participant sends; the same at every participant.

    The way is counted at party 0, which no other party outdoes in what it sends, and at the dealer if there is one.

    Args:
        way: what to count.
        key: names the way and its sizes; what was counted under a key is remembered.
    """
    session = p.session
    setting = _Setting(p.name, p.threshold, p.parties, session.participants, session.dealer, session.network)
    return _cost(setting, _Named(key, way))


@lru_cache(maxsize=REMEMBERED)
def _cost(setting: _Setting, named: _Named) -> tuple[int, int]:
    members = [0] if setting.dealer is None else [0, setting.dealer]
    costs = [_counted(setting, named.way, me) for me in members]
    return max(rounds for rounds, _ in costs), max(size for _, size in costs)


def _counted(setting: _Setting, way: Way, me: int) -> tuple[int, int]:
    """Rounds, and bytes sent, of participant `me`."""
    session = Session(me, setting.parties, setting.participants, setting.dealer, counting=True, network=setting.network)
    protocol = make(setting.protocol, session, setting.threshold)
    count(protocol.setup(Scope.root("setup")))
    party = count(way(protocol, Scope.root("way")))
    return party.rounds, sum(party.sent.values())
