"""Checks of products modulo 2**64 in the Galois ring GR(2^64, 48), see `quorate.kernels.galois`.

Challenges have coefficients 0 and 1: their differences are units, and on the first level weighing by them is adding.
"""

from __future__ import annotations

from functools import reduce
from typing import ClassVar

import numpy as np

from quorate.errors import InternalError
from quorate.kernels import galois
from quorate.kernels.ghost import contiguous, ghost, is_ghost
from quorate.protocols.verification.domain import Array, Domain, Pairs

__all__ = ["RingDomain", "two_by_two"]

DEGREE = galois.DEGREE
FIRST_VARIABLES = 6
FURTHER_VARIABLES = 3
PER_POINT = 192
"""Products for which one more point of the first level, 48 words, is a quarter of their own communication."""


class RingDomain(Domain):
    """R = Z_2**64; elements of E are uint64 (48,)."""

    tail: ClassVar[tuple[int, ...]] = (DEGREE,)
    lanes: ClassVar[int] = 1
    challenge_bits: ClassVar[int] = DEGREE

    def __init__(self) -> None:
        self._last: tuple[Array | None, Array] = (None, np.empty(0, np.uint8))

    def challenges(self, words: Array) -> Array:
        if is_ghost(words):
            return ghost((words.size, DEGREE), np.uint64)
        octets = words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, : DEGREE // 8]
        return np.unpackbits(octets, axis=1, bitorder="little").astype(np.uint64)

    def units(self, words: Array) -> Array:
        drawn = self.challenges(words)
        if not is_ghost(drawn):
            drawn[~drawn.any(axis=1), 0] = 1
        return drawn

    def uniform(self, words: Array) -> Array:
        return words

    def one(self, like: Array) -> Array:
        if is_ghost(like):
            return ghost((DEGREE,), np.uint64)
        unit: Array = np.eye(1, DEGREE, dtype=np.uint64)[0]
        return unit

    def add(self, x: Array, y: Array) -> Array:
        return np.asanyarray(x + y)

    def sub(self, x: Array, y: Array) -> Array:
        return np.asanyarray(x - y)

    def mul(self, x: Array, y: Array) -> Array:
        if x.ndim == y.ndim == 1:
            return galois.mul(x[None], y[None]).reshape(DEGREE)
        if y.ndim == 1:
            return galois.scale(x, y)
        return galois.scale(y, x) if x.ndim == 1 else galois.mul(x, y)

    def base_add(self, x: Array, y: Array) -> Array:
        return np.asanyarray(x + y)

    def items(self, part: Array, width: int) -> Array:
        if width:
            raise InternalError("Boolean words were noted among numbers; please report this")
        return contiguous(part).reshape(-1)  # type: ignore[no-any-return]

    def points(self, pairs: Pairs, sigma: Array) -> Array:
        flags = self._flags(sigma)
        sums = []
        for (a, s), (b, c) in two_by_two(pairs):
            sums.append(galois.weighed_points(a, b, c, s, flags))
        return np.asanyarray(reduce(np.add, sums))

    def weigh(self, blocks: Array, sigma: Array) -> Array:
        return galois.weigh(blocks, self._flags(sigma))

    def _flags(self, sigma: Array) -> Array:
        """The coefficients of challenges as bits, eight to a byte."""
        if is_ghost(sigma):
            return ghost((len(sigma), DEGREE // 8), np.uint8)
        if self._last[0] is not sigma:
            self._last = (sigma, np.packbits(sigma.astype(np.uint8), axis=1, bitorder="little"))
        return self._last[1]

    def fold(self, blocks: Array, weights: Array) -> Array:
        return galois.embed_fold(blocks, weights)

    def fold_into(self, out: Array, blocks: Array, weights: Array, sigma: Array | None = None) -> None:
        galois.embed_fold(blocks, weights, out=out)
        if sigma is not None:
            galois.mul(out, sigma, out=out)

    def scale(self, elements: Array, sigma: Array) -> Array:
        return galois.mul(elements, sigma)

    def points_over(self, pairs: Pairs) -> Array:
        return np.asanyarray(reduce(np.add, [galois.points(left, right) for left, right in pairs]))

    def fold_over(self, blocks: Array, weights: Array) -> Array:
        return galois.fold(blocks, weights)

    def variables(self, count: int, first: bool) -> int:
        """On the first level as many as keep what is shared again small beside what the products took."""
        wanted = max(1, (count - 1).bit_length())
        if not first:
            return min(wanted, FURTHER_VARIABLES)
        affordable = 1
        while affordable < FIRST_VARIABLES and count >= PER_POINT * 3 ** (affordable + 1):
            affordable += 1
        return min(wanted, affordable)


def two_by_two(pairs: Pairs) -> list[Pairs]:
    """The pairs in twos; if their number is odd, the last with one of zeros."""
    whole = list(pairs)
    if len(whole) % 2:
        whole.append(tuple(np.zeros_like(side) for side in whole[-1]))  # type: ignore[arg-type]
    return [whole[k : k + 2] for k in range(0, len(whole), 2)]
