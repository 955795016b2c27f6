"""Truncation of sums of summands: exhaustively in small, and on protocols whose values are such sums."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.protocols import summed_truncation as summed
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic
from quorate.testing.protocol_checks import integers, run_counted
from quorate.testing.world import World


def _counted(columns: list[list[np.ndarray[Any, Any]]], public: np.ndarray[Any, Any] | None = None) -> Any:
    """The wraps, from the top bits of every summand."""

    def program(p: Protocol, at: Scope) -> Step[Any]:
        secret = [[p.public(bit.astype(np.int64)) for bit in bits] for bits in columns]
        wraps = yield from summed.count_wraps(p, at.child("wraps"), secret, public)
        return (yield from p.reveal(at.child("open"), wraps, [0]))

    return World("clear", 1).run(program).values[0]


def _all_summands(k: int, length: int, modulus: int) -> tuple[np.ndarray[Any, Any], ...]:
    """All k summands below the modulus whose sum is in range, the wraps, and the value."""
    grid = np.array(list(product(range(modulus), repeat=k)), np.uint64).T
    wraps, value = np.divmod(grid.sum(axis=0), np.uint64(modulus))
    inside = (value > 0) & (value < np.uint64(1 << (length - 1)))
    return grid[:, inside], wraps[inside].astype(np.int64), value[inside].astype(np.int64)


SMALL = [(2, 8), (3, 6), (4, 5), (5, 4)]


@pytest.mark.parametrize(("k", "length"), SMALL)
@pytest.mark.parametrize("less", [0, 1])
def test_every_sum_modulo_a_small_number(k: int, length: int, less: int) -> None:
    """All summands modulo 2**L and 2**L - 1: the wraps are exact, the error and the offsets as stated."""
    summands, wraps, value = _all_summands(k, length, (1 << length) - less)
    assert np.array_equal(_counted([summed.tops(row, k, length) for row in summands]), wraps)
    for shift in range(1, length - 1):
        quotient = sum(summed.rounded(row, shift).astype(np.int64) for row in summands) - (wraps << (length - shift))
        exact = value / 2.0**shift
        assert np.abs(quotient - exact).max() <= summed.error(k)
        low, high = summed.offsets(k)
        difference = quotient - (value >> shift)
        assert low <= difference.min()
        assert difference.max() <= high


@pytest.mark.parametrize(("k", "length"), SMALL[:3])
def test_the_offsets_occur(k: int, length: int) -> None:
    """They are not wider than need be."""
    summands, wraps, value = _all_summands(k, length, 1 << length)
    found = [
        sum(summed.rounded(row, shift).astype(np.int64) for row in summands)
        - (wraps << (length - shift))
        - (value >> shift)
        for shift in range(1, length - 1)
    ]
    assert (min(d.min() for d in found), max(d.max() for d in found)) == summed.offsets(k)


@pytest.mark.parametrize(("k", "length"), SMALL)
def test_one_summand_is_public(k: int, length: int) -> None:
    summands, wraps, _ = _all_summands(k, length, 1 << length)
    public = summands[-1] >> np.uint64(length - summed.top_bits(k))
    assert np.array_equal(_counted([summed.tops(row, k, length) for row in summands[:-1]], public), wraps)


@pytest.mark.parametrize("k", [6, 7, 10, 13])
def test_many_summands(k: int) -> None:
    """Random ones, and sums at the edges of the range: just below a wrap and just beyond."""
    draw = np.frombuffer(integers(k, "summands", (4000, k), 62).tobytes(), np.uint64).reshape(4000, k)
    summands = (draw << np.uint64(k)).T.copy()
    rest = np.resize(np.array([1, 2, (1 << 63) - 1, 1 << 62], np.uint64), 4000)
    summands[-1] = rest - np.add.reduce(summands[:-1], axis=0, dtype=np.uint64)
    total = sum(row.astype(object) for row in summands)
    wraps = (total - rest.astype(object)) // 2**64
    assert np.array_equal(_counted([summed.tops(row, k, 64) for row in summands]), wraps.astype(np.int64))


def test_stated_cost_and_bits() -> None:
    """One product per round and number as `cost` says; bits of a wrong number are refused."""
    assert [summed.cost(k) for k in (2, 3, 4)] == [(1, 1), (5, 3), (14, 5)]
    assert [summed.cost(k, public=True) for k in (2, 3)] == [(0, 0), (3, 2)]
    with pytest.raises(InternalError, match="takes 2 bits"):
        _counted([[np.zeros(3, np.uint64)]] * 3)


CONFIGURATIONS = [
    ("clear", 1, 0),
    ("rep3", 3, 1),
    ("shamir", 3, 1),
    ("shamir", 5, 2),
    ("semi2k", 3, 2),
    ("semi2k", 4, 3),
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("shape", [(), (0,), (3, 100)])
def test_on_protocols(configuration: tuple[str, int, int], shape: tuple[int, ...]) -> None:
    """Values up to the capacity, every kind of shift, costs as counted: rounds of one `known` and of the products."""
    protocol, parties, threshold = configuration
    world = World(protocol, parties, threshold)
    capacity = 59 if protocol == "shamir" else 62
    x = integers(world.seed, "x", shape, capacity)
    for shift in (1, 2, 20, capacity):

        def program(p: Protocol, at: Scope, shift: int = shift) -> Step[Any]:
            share: Arithmetic = yield from p.input(at.child("x"), 0, shape, x if p.me == 0 else None)
            quotient = yield from summed.truncate(p, at.child("truncate"), share, shift)
            return (yield from p.reveal(at.child("open"), quotient, [0])), p.summand_count

        got, k = run_counted(world, program).values[0]
        low, high = summed.offsets(k)
        difference = got - (x >> np.int64(shift))
        assert got.shape == shape
        assert not x.size or (low <= difference.min() and difference.max() <= high)
