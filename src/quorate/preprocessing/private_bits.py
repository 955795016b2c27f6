"""Random bits that one party knows, authenticated both as bits and as numbers 0 and 1.

The owner enters its authenticated bits as numbers. Whether it entered the same is found out by comparison of several
such pairs: in random order, a few are opened, the others put into buckets of B. In each the bits of the first and of
another are compared, d = b_1 ^ b_k being opened; then b_1 = b_k as numbers, or b_1 + b_k = 1, linear relations of which
the MACs show whether they hold. The first of each bucket is kept.

Source: Rotaru, Wood, "MArBled Circuits", INDOCRYPT 2019, section 4 (cut and choose, buckets of doubly authenticated
bits), for bits that one party knows as in Baum, Braun, Munch-Hansen, Razet, Scholl, "Appenzeller to Brie", CCS 2021,
section 4. Deviation: comparison without random sums masked by even numbers, and without proofs that numbers are bits:
a bucket shows both, modulo 2^64 and modulo p alike, and hides perfectly.

Accounting, for N kept pairs of an owner and C opened ones. c wrong pairs get through only if none is opened and they
fill whole buckets; m buckets are filled with probability C(N, m) / C(N B + C, m B), which is largest for m = 1 or m =
N. `bucket_size` is the least B for which both are at most 2^-(security + 1), with C = B. What the MACs let through
comes on top. Sizes from which B will do, for 40 bits: 3 from 0.7 M bits, 4 from 5.9 k, 5 from 539.

Bytes to each other party, per kept bit of each owner: B inputs of numbers, (B - 1) / 8 for comparisons, beside B bits
from transfers. Rounds: those of private bits and of inputs, and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import comb
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import Coin, toss
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import permutation, planes
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.authenticated_bits import MASK_BITS, BitSource, Private, in_turn
from quorate.preprocessing.bit_checks import BitChecks
from quorate.sharing.share import Arithmetic

__all__ = ["Numbers", "PrivateWords", "bucket_size"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]
LOT, MANY = 3 << 12, 1 << 12
"""Words of every party made together: for two parties enough for buckets of three, for more what memory allows."""


class Numbers(Protocol):
    """What is asked of the arithmetic side."""

    def enter(self, at: Scope, owner: int, values: Array) -> Step[Arithmetic]:
        """Authenticated numbers that `owner` knows, uint64, anything of that shape elsewhere."""

    def vanish(self, at: Scope, x: Arithmetic) -> None:
        """Note that all of x is claimed to be 0."""

    def sub(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        """x - y."""

    def scale(self, x: Arithmetic, by: npt.NDArray[np.int64] | int) -> Arithmetic:
        """x times public integers."""

    def add_public(self, x: Arithmetic, values: npt.NDArray[np.int64]) -> Arithmetic:
        """x plus public integers."""


@lru_cache(maxsize=256)
def bucket_size(count: int, security: int) -> int:
    """The least size of buckets that lets `count` bits be all right but with probability 2^-(security + 1)."""
    size = 2
    while min(comb(count * size + size, size) // count, comb(count * size + size, size)) < 1 << (security + 1):
        size += 1
    return size


class PrivateWords:
    """Makes words of 64 private bits for every party."""

    def __init__(self, source: BitSource, checks: BitChecks, numbers: Numbers, count_planes: int) -> None:
        self.source = source
        self.checks = checks
        self.numbers = numbers
        self.session = source.session
        self._planes = count_planes

    def make(self, at: Scope, count: int) -> Step[tuple[Array, ...]]:
        """`count` words of every party: our own words (count,) uint64; then for each party its numbers, the parts of an
        arithmetic share of shape (count, 64), and the planes of its words, each (count,) uint64."""
        most = LOT if self.session.parties == 2 else MANY
        steps = [self._lot(at.child(f"lot {start}"), min(most, count - start)) for start in range(0, count, most)]
        lots = yield from in_turn(steps)
        if len(lots) == 1:
            return lots[0]
        return tuple(np.concatenate(pieces) for pieces in zip(*lots, strict=True))

    def _lot(self, at: Scope, count: int) -> Step[tuple[Array, ...]]:
        kept = 64 * count
        size = bucket_size(kept, self.session.security)
        total = kept * size + size
        private = yield from self.source.private(at.child("bits"), total + MASK_BITS)
        entering = [
            self.numbers.enter(at.child(f"numbers {one.owner}"), one.owner, one.bits[:total].astype(np.uint64))
            for one in private
        ]
        numbers = yield from parallel(entering)
        order = yield from self._order(at.child("order"), private, total)
        opening = [
            self._compared(at.child(f"compared {one.owner}"), one, number, order, size)
            for one, number in zip(private, numbers, strict=True)
        ]
        firsts = yield from parallel(opening)
        parts: list[Array] = [self._own_words(private, order, kept)]
        for number, rows in firsts:
            parts += [part.reshape(count, 64) for part in number.parts]
            parts += list(planes.from_rows(rows, self._planes))
        return tuple(parts)

    def _order(self, at: Scope, private: Sequence[Private], total: int) -> Step[Array]:
        """A random order of the pairs; the rows are checked on the way."""
        coin: Coin = yield from toss(self.session, at.child("coin"))
        factors = [self.session.blank((total,)) for _ in private]
        words = self.session.blank((total + permutation.SPARE,))
        coin.fill(*factors, words)
        mask = contiguous(self.source.shared(private)[total:])
        rows = [contiguous(one.rows[:total]) for one in private]
        yield from self.checks.open_combination(at, factors, rows, mask)
        return permutation.from_random_words(words)

    def _compared(
        self, at: Scope, one: Private, number: Arithmetic, order: Array, size: int
    ) -> Step[tuple[Arithmetic, Words]]:
        """The firsts of all buckets, as numbers and as rows."""
        together = permutation.apply(np.stack([one.rows[: order.size], *number.parts], axis=1), order)
        rows, *parts = (contiguous(together[:, k]) for k in range(1 + len(number.parts)))
        number = number.with_parts(tuple(parts))
        kept = (order.size - size) // size
        tested = contiguous(rows[kept:])
        against = contiguous(tested.copy())
        against[: kept * (size - 1)] ^= np.concatenate([rows[:kept]] * (size - 1))
        opened = yield from self.checks.open_rows(at, against)
        flips = opened.astype(np.int64)
        compared, alone = flips[: kept * (size - 1)], flips[kept * (size - 1) :]
        first = number.map(lambda part: part[:kept])
        repeated = number.map(lambda part: np.concatenate([part[:kept]] * (size - 1)))
        others = number.map(lambda part: part[kept : kept * size])
        # b_1 = b_k for d = 0, and b_1 = 1 - b_k for d = 1.
        difference = self.numbers.sub(repeated, self.numbers.scale(others, 1 - 2 * compared))
        self.numbers.vanish(at.child("compared"), self.numbers.add_public(difference, -compared))
        last = number.map(lambda part: part[kept * size :])
        self.numbers.vanish(at.child("opened"), self.numbers.add_public(last, -alone))
        return first, contiguous(rows[:kept])

    def _own_words(self, private: Sequence[Private], order: Array, kept: int) -> Words:
        """The bits of our own that are kept, in words."""
        if self.session.me >= self.session.parties:
            return self.session.blank((kept // 64,))
        mine = permutation.apply(contiguous(private[self.session.me].bits), contiguous(order[:kept]))
        return np.packbits(mine, bitorder="little").view(np.uint64)
