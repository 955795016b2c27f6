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

__all__ = ["Way", "cheapest"]

Way = Callable[[Protocol, Scope], Step[Any]]
"""Runs one of the ways on operands without content, which it makes itself (`Protocol.empty` and the like)."""


class _Setting(NamedTuple):
    """All that a cost depends on beside the way itself."""

    protocol: str
    threshold: int
    parties: int
    participants: tuple[str, ...]
    dealer: int | None
    network: Network


class _Candidates:
    """Ways under the name they are remembered by; the ways themselves are no part of that name."""

    def __init__(self, key: Hashable, ways: Sequence[Way]) -> None:
        self.key = key
        self.ways = ways

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Candidates) and self.key == other.key


def cheapest(p: Protocol, ways: Sequence[Way], key: Hashable) -> int:
    """The index of the way that takes least time by `Network.nanoseconds`; the first of equals.

    Every way is counted at party 0, which no other party outdoes in what it sends, and at the dealer if there is one;
    the longer of their rounds and the larger of their bytes make its price. All participants choose alike, since nothing
    but public facts counts.

    Args:
        ways: the candidates.
        key: names the candidates and their sizes; what was chosen under a key is remembered.
    """
    session = p.session
    setting = _Setting(p.name, p.threshold, p.parties, session.participants, session.dealer, session.network)
    return _cheapest(setting, _Candidates(key, tuple(ways)))


@lru_cache(maxsize=4096)
def _cheapest(setting: _Setting, candidates: _Candidates) -> int:
    prices = [_price(setting, way) for way in candidates.ways]
    return prices.index(min(prices))


def _price(setting: _Setting, way: Way) -> int:
    members = [0] if setting.dealer is None else [0, setting.dealer]
    costs = [_cost(setting, way, me) for me in members]
    return setting.network.nanoseconds(max(rounds for rounds, _ in costs), max(size for _, size in costs))


def _cost(setting: _Setting, way: Way, me: int) -> tuple[int, int]:
    """Rounds, and bytes sent, of participant `me`."""
    session = Session(me, setting.parties, setting.participants, setting.dealer, counting=True, network=setting.network)
    protocol = make(setting.protocol, session, setting.threshold)
    count(protocol.setup(Scope.root("setup")))
    party = count(way(protocol, Scope.root("way")))
    return party.rounds, sum(party.sent.values())
