"""Shuffles by permutation networks, on protocols that share their control bits locally or by a message."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pytest

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols import network_shuffle
from quorate.protocols.network_shuffle import Bits, Group
from quorate.protocols.registry import PROTOCOLS
from quorate.protocols.rep3 import Rep3
from quorate.protocols.semi2k import Semi2k
from quorate.protocols.shamir import Shamir
from quorate.sharing.share import Arithmetic, Boolean, Share
from quorate.testing.protocol_checks import Configuration, run_counted
from quorate.testing.protocol_conformance import ProtocolConformance
from quorate.testing.world import World


class Switched3(Rep3):
    """Two parties know a part of a replicated sharing, so they share bits that both know without a message."""

    name: ClassVar[str] = "rep3-switched"

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        groups = [(0, 1), (1, 2), (0, 2)]
        return (yield from network_shuffle.shuffle(self, at, columns, groups, self._bits, self._numbers))

    def _part(self, group: Group) -> int:
        return 0 if group == (0, 2) else group[1]

    def _bits(self, at: Scope, group: Group, bits: Bits) -> Step[Boolean]:
        yield from ()
        return Boolean(self.name, self.place(bits, self._part(group)))

    def _numbers(self, at: Scope, group: Group, bits: Bits) -> Step[Arithmetic]:
        yield from ()
        return Arithmetic(self.name, self.place(bits.astype(np.uint64), self._part(group)))


class SwitchedShamir(Shamir):
    """As many parties as are honest know a part of a word."""

    name: ClassVar[str] = "shamir-switched"

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from network_shuffle.shuffle(self, at, columns, self.groups, self._bits))

    def _bits(self, at: Scope, group: Group, bits: Bits) -> Step[Boolean]:
        yield from ()
        return self.boolean({group: bits} if group in self.mine else {(): np.zeros_like(bits)}, 1)


class SwitchedSum(Semi2k):
    """Every party by itself."""

    name: ClassVar[str] = "semi2k-switched"

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        groups = [(party,) for party in range(self.parties)]
        return (yield from network_shuffle.shuffle(self, at, columns, groups, self._bits))

    def _bits(self, at: Scope, group: Group, bits: Bits) -> Step[Boolean]:
        yield from ()
        return Boolean(self.name, (bits if self.me in group else np.zeros_like(bits),))


CLASSES: list[tuple[type[Any], int, int]] = [(Switched3, 3, 1), (SwitchedShamir, 3, 1), (SwitchedSum, 2, 1)]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls, _, _ in CLASSES:
        monkeypatch.setitem(PROTOCOLS, cls.name, f"{__name__}:{cls.__name__}")


@pytest.fixture(params=[(cls.name, parties, threshold) for cls, parties, threshold in CLASSES])
def configuration(request: pytest.FixtureRequest) -> Configuration:
    found: Configuration = request.param
    return found


def test_shuffle(configuration: Configuration) -> None:
    ProtocolConformance().test_shuffle(configuration)


def test_shuffles_differ(configuration: Configuration) -> None:
    ProtocolConformance().test_shuffles_differ(configuration)


@pytest.mark.slow
def test_shuffle_is_uniform(configuration: Configuration) -> None:
    ProtocolConformance().test_shuffle_is_uniform(configuration)


@pytest.mark.parametrize("rows", [2, 5, 8])
def test_rounds_and_bytes(rows: int) -> None:
    """A layer is a round, a switch a number: bits that two parties know cost nothing."""

    def program(p: Any, at: Scope) -> Step[Any]:
        x = p.public(np.arange(rows))
        return (yield from p.shuffle(at.child("shuffle"), [x]))

    def nothing(p: Any, at: Scope) -> Step[Any]:
        yield from ()

    world = World("rep3-switched", 3, 1)
    found, empty = run_counted(world, program), run_counted(world, nothing)
    count, layers = network_shuffle.cost(rows)
    assert found.rounds[0] - empty.rounds[0] == 3 * layers
    assert found.bytes_sent[0] - empty.bytes_sent[0] == 3 * 8 * count


@pytest.mark.parametrize("pair", list(combinations(range(3), 2)))
def test_a_group_alone_makes_a_uniform_order(pair: tuple[int, int]) -> None:
    """Whatever the others do: with only this group's turn all 24 orders of four rows come, about equally often."""
    count = 24 * 10

    def program(p: Any, at: Scope) -> Step[Any]:
        orders = []
        for k in range(count):
            columns = [p.public(np.arange(4))]
            step = network_shuffle.shuffle(p, at.child(f"{k}"), columns, [pair], p._bits, p._numbers)
            (column,) = yield from step
            orders.append((yield from p.reveal(at.child(f"open {k}"), column, [0])))
        return orders

    orders = np.array(World("rep3-switched", 3, 1).run(program).values[0])
    _, seen = np.unique(orders @ [64, 16, 4, 1], return_counts=True)
    score = float(((seen - 10.0) ** 2 / 10).sum() + 10 * (24 - len(seen)))
    assert score < 23 + 10 * 46**0.5
