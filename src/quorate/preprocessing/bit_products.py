"""Random bits of every party times random numbers of every other, as sums: what authenticated triples begin with.

Party i has `count` vectors of bits x_h, every party j a number b_j (or several) per vector, and all get parts of
x_h b_j. That takes one oblivious transfer per bit and ordered pair (j sends, i receives, choosing with x_h): of its two
pads the sender tells the difference plus b_j (Keller, Orsini, Scholl, "MASCOT", CCS 2016, figure 5, steps 1 and 2;
"SPDZ2k", CRYPTO 2018, figure 8, Multiply). The bits are those that the transfers have chosen towards the first other
party; the rest is told which to swap. Only weighted sums over h are kept, with weights known after the messages.

A sender that uses another number for some h changes the result if that bit is set; a receiver whose bits differ towards
different parties does so in proportion to their numbers. Both are left to the sacrifice that follows.

Bytes per bit from i to j and from j to i together: those of a transfer (see `quorate.preprocessing.cot`), per number 8
(field) or 16 (ring, less with `runs`), and, to all but the first other party, a bit. Rounds: those of a transfer, 1 for
n > 2, and 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.crypto.robust import robust_hash
from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels import bitproducts
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.cot import Cot, CotBatch
from quorate.sharing import wire
from quorate.sharing.domain import Domain, Element

__all__ = ["BitProducts", "Products"]

Array = npt.NDArray[Any]
TILE = 1 << 12  # transfers at a time, so that pads stay in the cache
_SENT, _TAKEN = 100, 80  # work per transfer, hashing and later sums included, in bytes; see `Effort.touched`


class _Kernels(NamedTuple):
    """The loops of one domain."""

    offers: Any
    values: Any
    gather: Any
    sums: Any


_FIELD = _Kernels(bitproducts.field_offers, bitproducts.field_values, bitproducts.field_gather, bitproducts.field_sums)
_RING = _Kernels(bitproducts.ring_offers, bitproducts.ring_values, bitproducts.ring_gather, bitproducts.ring_sums)


class Products:
    """Transfers whose messages have been exchanged: what a party gathers from.

    Attributes:
        bits: (transfers,) uint8, our own; bit h of vector e is number h * count + e.
    """

    def __init__(self, domain: Domain, bits: Array, numbers: Sequence[Element]) -> None:
        self.domain, self.bits, self.numbers = domain, bits, numbers
        self.count = numbers[0][0].shape[0]
        self.sent: list[list[Array]] = [[] for _ in numbers]
        self.received: list[list[Array]] = [[] for _ in numbers]
        self._kernels = _FIELD if domain.limbs == 1 else _RING

    def sums(self, weights: Array) -> list[Element]:
        """[sum of w x, sum of w' x] of our own bits; weights are (bits, 2), for the ring (bits, 2, 2)."""
        out = self._zeros()
        self._kernels.sums(out, self.bits, weights)
        return [self._element(row) for row in out]

    def gather(self, weights: Array, own: Sequence[Element], number: int) -> list[Element]:
        """Our parts of `sums` (`own`) of all parties times all parties' numbers in place `number`."""
        domain, gained, spent = self.domain, self._zeros(), self._zeros()
        for values in self.received[number]:
            self._kernels.gather(gained, values, weights)
        for values in self.sent[number]:
            self._kernels.gather(spent, values, weights)
        return [
            domain.sub(domain.add(domain.mul(a, self.numbers[number]), self._element(plus)), self._element(minus))
            for a, plus, minus in zip(own, gained, spent, strict=True)
        ]

    def _zeros(self) -> Array:
        return np.zeros((2, self.count) if self.domain.limbs == 1 else (2, self.count, 2), np.uint64)

    def _element(self, row: Array) -> Element:
        return (row,) if self.domain.limbs == 1 else (row[:, 0].copy(), row[:, 1].copy())


class BitProducts:
    """One participant's transfers with all others, for values of `domain`."""

    def __init__(self, session: Session, domain: Domain) -> None:
        self.session, self.domain = session, domain
        parties = range(session.parties)
        self.pairs = [(one, other) for one in parties for other in parties if one != other]
        self._cots = {pair: Cot(session, *pair) for pair in self.pairs}
        self._hashed = dict.fromkeys(self.pairs, 0)

    def setup(self, at: Scope) -> Step[None]:
        """Base transfers; see `Cot.setup`."""
        yield from parallel([cot.setup(at.child(f"{s} to {r}")) for (s, r), cot in self._cots.items()])

    def draw(self, at: Scope, length: int, count: int) -> Step[dict[tuple[int, int], CotBatch]]:
        """Transfers for `count` vectors of `length` bits. Three rounds."""
        steps = [cot.extend(at.child(f"{s} to {r}"), length * count) for (s, r), cot in self._cots.items()]
        return dict(zip(self.pairs, (yield from parallel(steps)), strict=True))

    def multiply(
        self,
        at: Scope,
        batches: dict[tuple[int, int], CotBatch],
        numbers: Sequence[Element],
        runs: Sequence[tuple[int, int]] = (),
    ) -> Step[Products]:
        """Exchange messages for our `numbers`, each (count,): every bit is multiplied by one of each. One round, two
        for three and more parties.

        Args:
            runs: for the ring: of so many bits h, one run after the other, so many low 32-bit words of an offer are
                sent. The rest is lost to weights that are multiples of 2^32 or more anyway. All of it by default.
        """
        me, session = self.session.me, self.session
        others = [party for party in range(session.parties) if party != me]
        transfers = next(iter(batches.values())).q.shape[0]
        bits = batches[others[0], me].bits if session.holds_shares else session.blank((transfers,), np.uint8)
        swaps = yield from self._swaps(at, batches, bits, others, transfers)
        name, products = at.step(), Products(self.domain, bits, numbers)
        shape = (transfers,) if self.domain.limbs == 1 else (transfers, 2)
        if me >= session.parties:
            yield Exchange(name)
            return products
        sends: dict[int, list[Array]] = {}
        receives: dict[int, list[Array]] = {}
        arriving: dict[int, list[Array]] = {}
        for other in others:
            swap = swaps.get(other)
            made = [self._offers((me, other), batches[me, other], swap, b) for b in numbers]
            sends[other] = [array for _, offers in made for array in _shortened(offers, runs, products.count)]
            arriving[other] = [session.blank(shape) for _ in numbers]
            receives[other] = [
                array for offers in arriving[other] for array in _shortened(offers, runs, products.count)
            ]
            for (kept, _), place in zip(made, products.sent, strict=True):
                place.append(kept)
        yield Exchange(name, sends, receives)
        for other in others:
            pieces = len(receives[other]) // len(numbers)
            for k, (offers, place) in enumerate(zip(arriving[other], products.received, strict=True)):
                _lengthened(offers, receives[other][k * pieces : (k + 1) * pieces], runs, products.count)
                session.touched(_TAKEN * offers.size)
                if session.holds_shares:
                    self._take((other, me), batches[other, me], bits, offers, products.count)
                place.append(offers)
        return products

    def _swaps(
        self, at: Scope, batches: dict[tuple[int, int], CotBatch], bits: Array, others: list[int], transfers: int
    ) -> Step[dict[int, Array]]:
        """At a sender: (transfers,) uint8 by receiver, 1 where the pads change places."""
        me, session = self.session.me, self.session
        if session.parties == 2:
            return {}
        name, size = at.step(), wire.packed_size(transfers, 1)
        if me >= session.parties:
            yield Exchange(name)
            return {}
        sends = {other: [wire.pack(batches[other, me].bits ^ bits, 1)] for other in others[1:]}
        # We are the first other party of party 0 if we are party 1, and of all but party 0 if we are party 0.
        receives = {o: [np.empty(size, np.uint8)] for o in others if me != (0 if o else 1)}
        yield Exchange(name, sends, receives)
        return {other: wire.unpack(buffers[0], (transfers,), 1) for other, buffers in receives.items()}

    def _offers(self, pair: tuple[int, int], batch: CotBatch, swap: Array | None, b: Element) -> tuple[Array, Array]:
        """(numbers of pads 0, offers) at the sender."""
        transfers, shape = batch.q.shape[0], batch.q.shape[: self.domain.limbs]
        kept, offers = self.session.blank(shape), self.session.blank(shape)
        self.session.touched(_SENT * self.domain.limbs * transfers)
        if not self.session.holds_shares:
            return kept, offers
        delta, count, start = self._cots[pair].delta, b[0].shape[0], self._advance(pair, transfers)
        numbers = b[0] if self.domain.limbs == 1 else np.stack(b, axis=1)
        kernels = _FIELD if self.domain.limbs == 1 else _RING
        for tile in _tiles(transfers, count):
            q = batch.q[tile]
            if swap is not None:
                q = q ^ (swap[tile].astype(np.uint64)[:, None] * delta)
            pad0, pad1 = robust_hash(q, start + tile.start), robust_hash(q, start + tile.start, delta)
            kernels.offers(offers[tile], kept[tile], pad0, pad1, numbers)
        return kept, offers

    def _take(self, pair: tuple[int, int], batch: CotBatch, bits: Array, offers: Array, count: int) -> None:
        """At the receiver: its parts in place of the offers."""
        start = self._advance(pair, offers.shape[0])
        kernels = _FIELD if self.domain.limbs == 1 else _RING
        for tile in _tiles(offers.shape[0], count):
            kernels.values(offers[tile], robust_hash(batch.t[tile], start + tile.start), bits[tile])

    def _advance(self, pair: tuple[int, int], transfers: int) -> int:
        """The first of so many indices of hashes that were not used before."""
        start = self._hashed[pair]
        self._hashed[pair] = start + transfers
        return start


def _shortened(offers: Array, runs: Sequence[tuple[int, int]], count: int) -> list[Array]:
    """What is sent of offers over the ring, run by run; the offers themselves without runs."""
    if not runs:
        return [offers]
    rows, start, pieces = offers.view(np.uint32).reshape(-1, count, 4), 0, []
    for length, words in runs:
        pieces.append(contiguous(rows[start : start + length, :, :words]))
        start += length
    return pieces


def _lengthened(offers: Array, pieces: Sequence[Array], runs: Sequence[tuple[int, int]], count: int) -> None:
    """The inverse, into `offers`, with zeros for what was not sent."""
    if not runs:
        return
    rows, start = offers.view(np.uint32).reshape(-1, count, 4), 0
    for (length, words), piece in zip(runs, pieces, strict=True):
        rows[start : start + length, :, :words] = piece
        rows[start : start + length, :, words:] = 0
        start += length


def _tiles(transfers: int, count: int) -> Iterator[slice]:
    """Whole vectors of transfers, some thousand transfers at a time."""
    size = count * max(1, TILE // max(count, 1))
    for start in range(0, transfers, size):
        yield slice(start, min(start + size, transfers))
