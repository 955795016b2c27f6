"""What single operations cost, for circuits that plan their own schedule.

Costs are measured by counting a sample on the protocol at hand, so they are right for every protocol, those of others
included, and alike at all participants.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from quorate.circuits.cheapest import Way, cost
from quorate.circuits.compare import is_zero, less
from quorate.kernels.ghost import ghost
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = [
    "SAMPLE",
    "Price",
    "comparison",
    "conjunction",
    "conversion",
    "equality",
    "injection",
    "price",
    "product",
    "quickest",
]

SAMPLE = 256
"""Elements that are counted; a multiple of eight, since bits travel packed."""


class Price(NamedTuple):
    """Rounds, and bytes that a participant sends (the one that sends most) for `SAMPLE` elements."""

    rounds: int
    size: int

    def of(self, elements: int) -> int:
        """Bytes for so many elements."""
        return -(-self.size * elements // SAMPLE)


def price(p: Protocol, way: Way, key: Hashable) -> Price:
    """The price of a way that works on `SAMPLE` elements."""
    return Price(*cost(p, way, ("price", key)))


def comparison(p: Protocol, bits: int | None) -> Price:
    """x < y for |x - y| < 2**bits."""
    return price(p, lambda p, at: less(p, at, _numbers(p), _numbers(p), bits=bits), ("less", bits))


def equality(p: Protocol, bits: int | None) -> Price:
    """x == y for |x - y| < 2**bits."""
    return price(p, lambda p, at: is_zero(p, at, _numbers(p), bits=bits), ("equal", bits))


def conversion(p: Protocol) -> Price:
    """A bit as a number."""
    return price(p, lambda p, at: p.to_arithmetic(at, _flags(p)), "to_arithmetic")


def product(p: Protocol) -> Price:
    """A product, or an inner product of any length."""
    return price(p, lambda p, at: p.mul(at, _numbers(p), _numbers(p)), "mul")


def injection(p: Protocol) -> Price:
    """A number, or zero, by a bit."""
    return price(p, lambda p, at: p.inject(at, _flags(p), _numbers(p)), "inject")


def conjunction(p: Protocol) -> Price:
    """The and of two bits."""
    return price(p, lambda p, at: p.and_(at, _flags(p), _flags(p)), "and")


def _numbers(p: Protocol) -> Arithmetic:
    return p.empty((SAMPLE,))


def _flags(p: Protocol) -> Boolean:
    return p.public_bits(ghost((SAMPLE,), np.uint8))


def quickest(p: Protocol, ways: Sequence[Price], elements: int) -> int:
    """The index of the price that takes least time for so many elements on the session's network."""
    network = p.session.network
    times = [network.nanoseconds(way.rounds, way.of(elements)) for way in ways]
    return times.index(min(times))
