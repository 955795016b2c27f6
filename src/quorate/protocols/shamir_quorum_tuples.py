"""Tuples for `quorate.protocols.shamir_quorum` where n <= 3t: made of randomness while all parties are there.

Nobody knows the random a and b, which are drawn without a message; c = a b takes one reduction. Masks: see
`shamir_quorum_masks`. Tuples are good for any session with the same parties and threshold, as they depend on no key.

Bytes from each party to each other one, on average: 8 per product, per entry of a matrix product and per word of ands;
per element of a shuffle 8 for every group; a mask for comparisons 59 for (1, 3), 66 for (2, 5); for a truncation 91 and
134; a bit with its number 14 and 21. Rounds for each kind: 1, masks some ten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from typing import Self

import numpy as np

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.kernels import field
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Maker, Supply
from quorate.protocols import shamir_quorum_masks, shamir_quorum_shuffle
from quorate.protocols.shamir_parts import Array
from quorate.protocols.shamir_quorum_opening import ShamirOpenings

__all__ = ["AND_WORDS", "CONVERSIONS", "MATRICES", "PRODUCTS", "QUOTIENTS", "WORDS", "ShamirTuples"]

PRODUCTS = "products"
AND_WORDS = "AND words"
MATRICES = "matrix products "
SHUFFLES = "shuffles "
WORDS = "masks"
QUOTIENTS = "truncation masks "
CONVERSIONS = "bit conversions"
CHUNK = 1 << 18
"""Tuples of one kind that are made at a time, at most."""
BATCH = {PRODUCTS: 1 << 10, AND_WORDS: 1 << 10, WORDS: 1 << 8, CONVERSIONS: 1 << 8}
"""Tuples that are produced at least where a computation waits for them."""


class ShamirTuples(ShamirOpenings):
    """Where tuples come from, and who may be lost when."""

    def __init__(self, session: Session, threshold: int) -> None:
        super().__init__(session, threshold)
        self.reduces = session.parties >= 3 * threshold + 1
        """Whether products are reduced on the spot, without tuples."""
        if not self.reduces:
            makers: dict[str, Maker] = {
                PRODUCTS: self._products,
                AND_WORDS: self._and_words,
                WORDS: lambda at, count: shamir_quorum_masks.words(self._maker, at, count),
                CONVERSIONS: lambda at, count: shamir_quorum_masks.conversions(self._maker, at, count),
            }
            families = {MATRICES: self._matrices, SHUFFLES: self._shuffles, QUOTIENTS: self._quotients}
            self.supply = Supply(makers, BATCH, families)

    @property
    def most_losses(self) -> int:
        """How many parties may be lost: after set-up for n >= 3t + 1, else once the tuples are there."""
        return self.parties - (2 * self.threshold + 1 if self.reduces else self.threshold + 1)

    def setup(self, at: Scope) -> Step[None]:
        yield from self.session.agree_keys(at, self.groups)
        if self.supply is not None:
            self.supply.open(at.child("supply"))

    @property
    def _maker(self) -> Self:
        """Ourselves without tuples: for making them. All parties have to be there."""
        maker = copy(self)
        maker.reduces, maker.supply = True, None
        return maker

    # -- taking --------------------------------------------------------------------------------------------------------

    def taken(self, at: Scope, kind: str, count: int) -> Step[Parts]:
        """Tuples from the supply, at least one."""
        if self.supply is None:
            raise InternalError(f"{self.name} with {self.parties} parties makes no tuples; please report this")
        self.session.dealt(kind.split(" ", 1)[0] if kind.startswith(SHUFFLES) else kind, count)
        return (yield from self.supply.take(at, kind, count))

    def take(self, at: Scope, kind: str, shape: tuple[int, ...]) -> Step[list[Array]]:
        """Tuples from the supply in this shape, which has elements."""
        return [part.reshape(shape) for part in (yield from self.taken(at, kind, math.prod(shape)))]

    def prepare(self, at: Scope, needs: Mapping[str, int]) -> Step[None]:
        """Put so many tuples of each kind in stock, less what is there: before an input is used, so that parties may be
        lost from then on."""
        if self.supply is None:
            return
        for kind, count in sorted(needs.items()):
            missing = count - self.supply.stock.available(kind)
            for number, start in enumerate(range(0, missing, CHUNK)):
                place = at.child(f"{kind} {number}")
                made = yield from self.supply.produce(place, kind, min(CHUNK, missing - start))
                self.supply.stock.put(kind, made)

    # -- making --------------------------------------------------------------------------------------------------------

    def _products(self, at: Scope, count: int) -> Step[Parts]:
        a, b = (self.random_share(at, (count,)) for _ in range(2))
        c = yield from self.reduced(at, field.mul(a, b))
        return a, b, c.parts[0]

    def _and_words(self, at: Scope, count: int) -> Step[Parts]:
        """(a, b, a & b), with one part for each of our groups."""
        a, b = (self.random_words(at, (count,), 64) for _ in range(2))
        rows = self.share_of_and(a, b)
        c = yield from self.reduced_words(at, rows, (count,), 64)
        return (*a, *b, *c.parts)

    def _matrices(self, layout: str) -> Maker:
        m, k, n = (int(size) for size in layout.split("x"))

        def make(at: Scope, count: int) -> Step[Parts]:
            a, b = self.random_share(at, (count, m, k)), self.random_share(at, (count, k, n))
            product = np.stack([field.matmul(a[j], b[j]) for j in range(count)])
            c = yield from self.reduced(at, product)
            return a, b, c.parts[0]

        return make

    def _quotients(self, shift: str) -> Maker:
        return lambda at, count: shamir_quorum_masks.quotients(self._maker, at, count, int(shift))

    def _shuffles(self, layout: str) -> Maker:
        return shamir_quorum_shuffle.maker(self, layout)
