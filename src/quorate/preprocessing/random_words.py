"""Words of authenticated bits that nobody knows: the exclusive or of random bits of all parties."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from quorate.engine.coins import toss
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels import planes
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.authenticated_bits import MASK_BITS, BitSource
from quorate.preprocessing.bit_checks import BitChecks

__all__ = ["RandomWords"]

Array = npt.NDArray[Any]


class RandomWords:
    """Makes words from the bits of a source, checked as `quorate.preprocessing.authenticated_bits` says."""

    def __init__(self, source: BitSource, checks: BitChecks, count_planes: int) -> None:
        self.source = source
        self.checks = checks
        self._planes = count_planes

    def make(self, at: Scope, count: int) -> Step[tuple[Array, ...]]:
        """`count` words: their planes, each (count,) uint64."""
        private = yield from self.source.private(at.child("bits"), 64 * count + MASK_BITS)
        shared = self.source.shared(private)
        coin = yield from toss(self.source.session, at.child("coin"))
        factors = self.source.session.blank((64 * count,))
        coin.fill(factors)
        rows = contiguous(shared[: 64 * count])
        yield from self.checks.open_combination(at, [factors], [rows], contiguous(shared[64 * count :]))
        found = planes.from_rows(rows, self._planes)
        return tuple(found[j] for j in range(self._planes))
