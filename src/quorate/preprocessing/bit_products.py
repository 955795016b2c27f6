"""Random bits of every party times random numbers of every other, as sums: what authenticated triples begin with.

Party i has `count` vectors of bits x_h, every party j a number b_j (or several) per vector, and all get parts of
x_h b_j. That takes one oblivious transfer per bit and ordered pair (j sends, i receives, choosing with x_h): of its two
pads the sender tells the difference plus b_j (Keller, Orsini, Scholl, "MASCOT", CCS 2016, figure 5, steps 1 and 2;
"SPDZ2k", CRYPTO 2018, figure 8, Multiply). The bits are those that the transfers have chosen towards the first other
party; the rest is told which to swap. Only weighted sums over h are kept, with weights known after the messages.

A sender that uses another number for some h changes the result if that bit is set; a receiver whose bits differ towards
different parties does so in proportion to their numbers. Both are left to the sacrifice that follows.

Bytes per bit from i to j and from j to i together: those of a transfer (see `quorate.preprocessing.cot`), per number 8
(field) or 16 (ring), and, to all but the first other party, a bit. Rounds: those of a transfer, 1 for n > 2, and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.robust import robust_hash
from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels import bitproducts
from quorate.preprocessing.cot import Cot, CotBatch
from quorate.sharing import wire
from quorate.sharing.domain import Domain, Element

__all__ = ["BitProducts", "Products"]

Array = npt.NDArray[Any]


class Products:
    """Transfers whose messages have been exchanged: what a party gathers from.

    Attributes:
        bits: (transfers,) uint8, our own; bit h of vector e is number h * count + e.
    """

    def __init__(self, domain: Domain, bits: Array, numbers: Sequence[Element]) -> None:
        self.domain, self.bits, self.numbers = domain, bits, numbers
        self.count = numbers[0][0].shape[0]
        self.sent: list[list[Array]] = [[] for _ in numbers]
        self.received: list[list[tuple[Array, Array]]] = [[] for _ in numbers]

    def sums(self, weights: Array) -> list[Element]:
        """[sum of w x, sum of w' x] of our own bits; weights are (bits, 2), for the ring (bits, 2, 2)."""
        pads, offers = np.zeros((self.bits.shape[0], 2), np.uint64), np.ones(self.bits.shape[0], np.uint64)
        if self.domain.limbs > 1:
            offers = np.stack([offers, np.zeros_like(offers)], axis=1)
        return [self._element(row) for row in self._gather(pads, self.bits, offers, weights)]

    def gather(self, weights: Array, own: Sequence[Element], number: int) -> list[Element]:
        """Our parts of `sums` (`own`) of all parties times all parties' numbers in place `number`."""
        domain, none = self.domain, np.zeros_like(self.bits)
        total = [domain.mul(a, self.numbers[number]) for a in own]
        for pad, offers in self.received[number]:
            gained = self._gather(pad, self.bits, offers, weights)
            total = [domain.add(part, self._element(row)) for part, row in zip(total, gained, strict=True)]
        for pad in self.sent[number]:
            spent = self._gather(pad, none, np.zeros_like(self.received[number][0][1]), weights)
            total = [domain.sub(part, self._element(row)) for part, row in zip(total, spent, strict=True)]
        return total

    def _gather(self, pad: Array, bits: Array, offers: Array, weights: Array) -> Array:
        kernel = bitproducts.field_gather if self.domain.limbs == 1 else bitproducts.ring_gather
        return kernel(pad, bits, offers, weights, self.count)

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
        self, at: Scope, batches: dict[tuple[int, int], CotBatch], numbers: Sequence[Element]
    ) -> Step[Products]:
        """Exchange messages for our `numbers`, each (count,): every bit is multiplied by one of each. One round, two
        for three and more parties."""
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
        for other in others:
            pads0, sends[other] = self._offers((me, other), batches[me, other], swaps.get(other), numbers)
            receives[other] = [session.tuple_blank(shape) for _ in numbers]
            for pad, kept in zip(pads0, products.sent, strict=True):
                kept.append(pad)
        yield Exchange(name, sends, receives)
        for other in others:
            for offers, kept_ in zip(receives[other], products.received, strict=True):
                kept_.append((self._pads((other, me), batches[other, me].t), offers))
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

    def _offers(
        self, pair: tuple[int, int], batch: CotBatch, swap: Array | None, numbers: Sequence[Element]
    ) -> tuple[list[Array], list[Array]]:
        """(pads 0, offers) at the sender, for each of the numbers."""
        delta, q = self._cots[pair].delta, batch.q
        if swap is not None:
            q = q ^ (swap.astype(np.uint64)[:, None] * delta)
        pads, offers = [], []
        for b in numbers:
            start = self._hashed[pair]
            self._hashed[pair] = start + q.shape[0]
            other: Array = q ^ delta
            pad0, pad1 = robust_hash(q, start), robust_hash(other, start)
            pads.append(pad0)
            if self.domain.limbs == 1:
                offers.append(bitproducts.field_offer(pad0, pad1, b[0]))
            else:
                offers.append(bitproducts.ring_offer(pad0, pad1, np.stack(b, axis=1)))
        return pads, offers

    def _pads(self, pair: tuple[int, int], t: Array) -> Array:
        start = self._hashed[pair]
        self._hashed[pair] = start + t.shape[0]
        return robust_hash(t, start)
