"""How many tiles are under way at a time."""

from __future__ import annotations

from quorate.circuits.tiles import LANES, MOST_LANES, TILE, lanes_of
from quorate.engine.network import LAN, Network
from quorate.engine.session import Session
from quorate.protocols.registry import make


def lanes(network: Network, size: int) -> int:
    return lanes_of(make("rep3", Session(0, 3, ("a", "b", "c"), network=network)), size)


def test_lanes_follow_the_size_and_the_network():
    assert lanes(LAN, TILE + 1) == 2
    assert lanes(LAN, 10**7) == LANES
    assert lanes(Network(40_000, 10**8), 10**7) == LANES
    assert LANES < lanes(Network(100_000, 10**9), 10**7) < MOST_LANES
    assert lanes(Network(10**6, 10**11), 10**8) == MOST_LANES
    assert lanes(LAN, 0) == 1
