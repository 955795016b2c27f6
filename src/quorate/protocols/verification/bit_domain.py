"""Checks of ands in the field of 2**64 elements, see `quorate.kernels.binary_field`: 64 bits to an item.

Lane b of an item is weighed by sigma * x^b: so the weighed sum of an item's bits is sigma times the item as an element.
An item of errors that are not all 0 is a unit, so one weight per item is as good as one per bit.
"""

from __future__ import annotations

from functools import reduce
from typing import ClassVar

import numpy as np

from quorate.kernels import binary_field, bits
from quorate.kernels.ghost import contiguous
from quorate.protocols.verification.domain import Array, Domain, Pairs
from quorate.protocols.verification.ring_domain import two_by_two

__all__ = ["BitDomain"]

LANES = 64
BLOCKS = 64
FIRST_VARIABLES = 6
FURTHER_VARIABLES = 4
LAST_VARIABLES = 6
PER_POINT = 4
"""Words for which one more point of the first level, a word, is a quarter of their own communication."""


class BitDomain(Domain):
    """R = GF(2), 64 elements to an item; elements of E are single uint64."""

    tail: ClassVar[tuple[int, ...]] = ()
    lanes: ClassVar[int] = LANES
    challenge_bits: ClassVar[int] = 64

    def challenges(self, words: Array) -> Array:
        return words

    def units(self, words: Array) -> Array:
        return np.asanyarray(words | (words == 0).astype(np.uint64))

    def uniform(self, words: Array) -> Array:
        return words

    def one(self, like: Array) -> Array:
        return np.ones_like(like, shape=(), dtype=np.uint64)

    def add(self, x: Array, y: Array) -> Array:
        return np.asanyarray(x ^ y)

    def sub(self, x: Array, y: Array) -> Array:
        return np.asanyarray(x ^ y)

    def mul(self, x: Array, y: Array) -> Array:
        if x.ndim and not y.ndim:
            return binary_field.scale(x, y)
        return binary_field.scale(y, x) if y.ndim and not x.ndim else binary_field.mul(x, y)

    def base_add(self, x: Array, y: Array) -> Array:
        return np.asanyarray(x ^ y)

    def items(self, part: Array, width: int) -> Array:
        if width == 1:
            octets = bits.pack(part)
        else:
            flat = contiguous(part).reshape(-1)
            octets = flat.view(np.uint8) if flat.size else flat.astype(np.uint8)
        missing = -octets.size % 8
        if missing:
            octets = np.concatenate([octets, np.zeros_like(octets, shape=(missing,))])
        return octets.view(np.uint64)

    def points(self, pairs: Pairs, sigma: Array) -> Array:
        sums = []
        for (a, s), (b, c) in two_by_two(pairs):
            sums.append(binary_field.bit_points(a, b, c, s, sigma))
        return np.asanyarray(reduce(np.bitwise_xor, sums))

    def weigh(self, blocks: Array, sigma: Array) -> Array:
        return binary_field.row_dots(blocks, sigma)

    def fold(self, blocks: Array, weights: Array) -> Array:
        missing = -len(blocks) % BLOCKS
        if missing:
            blocks = np.concatenate([blocks, np.zeros_like(blocks, shape=(missing, blocks.shape[1]))])
            weights = np.concatenate([weights, np.zeros_like(weights, shape=(missing,))])
        return binary_field.bit_fold(blocks, weights)

    def fold_into(self, out: Array, blocks: Array, weights: Array, sigma: Array | None = None) -> None:
        if len(blocks) % BLOCKS == 0:
            binary_field.bit_fold(blocks, weights, out=out)
        else:
            out[...] = self.fold(blocks, weights)
        if sigma is not None:
            binary_field.mul(out, self._lane_weights(sigma), out=out)

    def scale(self, elements: Array, sigma: Array) -> Array:
        return binary_field.mul(elements, self._lane_weights(sigma))

    def _lane_weights(self, sigma: Array) -> Array:
        """sigma * x^b for every item and lane b."""
        powers = np.uint64(1) << np.arange(LANES, dtype=np.uint64)
        return binary_field.mul(sigma[:, None], powers[None]).reshape(-1)

    def points_over(self, pairs: Pairs) -> Array:
        return np.asanyarray(reduce(np.bitwise_xor, [binary_field.points(left, right) for left, right in pairs]))

    def fold_over(self, blocks: Array, weights: Array) -> Array:
        return binary_field.fold(blocks, weights)

    def variables(self, count: int, first: bool) -> int:
        """On the first level as many as keep what is shared again small beside what the ands took."""
        if not first:
            wanted = max(1, (count - 1).bit_length())
            return wanted if wanted <= LAST_VARIABLES else FURTHER_VARIABLES
        affordable = 1
        while affordable < FIRST_VARIABLES and count >= PER_POINT * 3 ** (affordable + 1):
            affordable += 1
        return affordable
