"""Checks of products over p = 2**61 - 1, in the field itself: a challenge is one of p elements."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from quorate.kernels import field, field_verify
from quorate.kernels.ghost import contiguous, is_ghost
from quorate.protocols.verification.domain import Array, Domain, Pairs

__all__ = ["FieldDomain"]

MOST_VARIABLES = 7
WORK = 1 << 20


class FieldDomain(Domain):
    """R = E = the field of p elements; items and elements are canonical uint64."""

    tail: ClassVar[tuple[int, ...]] = ()
    lanes: ClassVar[int] = 1
    challenge_bits: ClassVar[int] = 60  # 0 is drawn twice as often as other elements: at most 2**-60 for any

    def challenges(self, words: Array) -> Array:
        return field.from_random_words(words)

    def units(self, words: Array) -> Array:
        drawn = field.from_random_words(words)
        return np.asanyarray(drawn + (drawn == 0).astype(np.uint64))

    def uniform(self, words: Array) -> Array:
        return field.from_random_words(words, out=None if is_ghost(words) else words)

    def one(self, like: Array) -> Array:
        return np.ones_like(like, shape=())

    def add(self, x: Array, y: Array) -> Array:
        return field.add(x, y)

    def sub(self, x: Array, y: Array) -> Array:
        return field.sub(x, y)

    def mul(self, x: Array, y: Array) -> Array:
        return field.mul(x, y)

    def base_add(self, x: Array, y: Array) -> Array:
        return field.add(x, y)

    def items(self, part: Array, width: int) -> Array:
        return contiguous(part).reshape(-1)  # type: ignore[no-any-return]

    def points(self, pairs: Pairs, sigma: Array) -> Array:
        return self._summed([field_verify.hypercube_products(left, right, sigma) for left, right in pairs])

    def weigh(self, blocks: Array, sigma: Array) -> Array:
        return field_verify.weighted_sums(blocks, sigma)

    def fold(self, blocks: Array, weights: Array) -> Array:
        return field_verify.combine_blocks(blocks, weights)

    def scale(self, elements: Array, sigma: Array) -> Array:
        return field.mul(elements, sigma)

    def points_over(self, pairs: Pairs) -> Array:
        return self._summed([field_verify.hypercube_products(left, right) for left, right in pairs])

    def fold_over(self, blocks: Array, weights: Array) -> Array:
        return field_verify.combine_blocks(blocks, weights)

    def variables(self, count: int, first: bool) -> int:
        """As many as cost little: at most WORK products, but never less than three variables (3.4 per element)."""
        wanted = max(1, (count - 1).bit_length())
        affordable = 3
        most = MOST_VARIABLES if first else MOST_VARIABLES - 1  # the last level has one more, of random elements
        while affordable < most and count * 3 ** (affordable + 1) <= WORK << (affordable + 1):
            affordable += 1
        return min(wanted, affordable)

    def _summed(self, values: list[Array]) -> Array:
        total = values[0]
        for other in values[1:]:
            total = field.add(total, other)
        return total
