"""Authenticated products and what is made of them, by the parties themselves, against n - 1 malicious ones.

Products over the field p = 2^61 - 1, after Keller, Orsini, Scholl, "MASCOT", CCS 2016, figure 6:

1.  b: a random authenticated value. `BitProducts`: each party's random bits x_h times the b of all parties.
2.  Combine: with public weights w_h, w'_h that are tossed now, a = sum w_h x_h, a' = sum w'_h x_h; parts of c = a b and
    c' = a' b. Deviation, for shorter vectors: the first 61 bits are those of a, the next 61 those of a' (weights
    2^h, and 0 in the other), and only the remaining 2 s bits have random weights (the same for a whole batch), with
    s = `session.security`. So a and a' are uniform whatever happens, up to 2^-60, if nobody cheats.
3.  Authenticate a, a', c, c'.
4.  Sacrifice: toss t, open r = t a - a', and check t c - c' - r b = 0 and the opening.

Privacy. A sender that cheats on some bits of an honest party passes only if a function of the v_h x_h that it chose
comes out as guessed, v_h = t w_h - w'_h; all right with probability 2^-g for g bits
(else the sacrifice fails, but for 2^-61). The v_h are uniform and independent of the w_h. So given r and the guess,
x has 61 + 2 s - g bits of min-entropy, from which a, 61 bits, is extracted by a universal hash (two different vectors
differ in their first 61 bits alone, or in the random part and collide with probability 2^-61). By the leftover hash
lemma its distance from uniform is at most 2^-(2 s - g) / 2, and with the guess in all 2^-(s + g / 2): at most 2^-s over
all products of a session, as every vector that is touched costs a guess.
Correctness. Errors of c, c' that are fixed before t pass with probability 2^-61; the check of openings 2^-59.

Bytes that a party sends to each other one, per product, at s = 40: 202 transfers (3.9 + 8 bytes) and 5 VOLEs (120) of
which four are corrected by 8 bytes, an opening of 8: 3.0 kB. Rounds per batch: 16, 18 for n > 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import toss
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels.ghost import contiguous
from quorate.preprocessing import mac_check, openings
from quorate.preprocessing.authenticated import MASKS, MATRICES, PRODUCTS, RANDOM, SQUARES
from quorate.preprocessing.authenticated_values import Authentication
from quorate.preprocessing.bit_products import BitProducts
from quorate.preprocessing.mac_check import Opened
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Maker
from quorate.sharing.domain import Domain, Element

__all__ = ["OwnTuples", "opened"]

Array = npt.NDArray[Any]
CHUNK = 1 << 12
"""Products made at a time: about 10^6 transfers."""


class OwnTuples(Authentication):
    """Tuples without a dealer; kinds as in `quorate.preprocessing.authenticated`, without truncation pairs."""

    def __init__(self, session: Session, domain: Domain) -> None:
        super().__init__(session, domain)
        self._products = BitProducts(session, domain)

    @property
    def authentication(self) -> Authentication:
        """What authenticates values."""
        return self

    @property
    def makers(self) -> Mapping[str, Maker]:
        """By kind."""
        return {PRODUCTS: self.products, SQUARES: self.squares, RANDOM: self.numbers}

    @property
    def families(self) -> Mapping[str, Callable[[str], Maker]]:
        """By the first words of a kind."""
        return {MASKS: self._masks, MATRICES: self._matrices}

    def setup(self, at: Scope, kept: Sequence[Array] = ()) -> Step[None]:
        yield from parallel([super().setup(at.child("values"), kept), self._products.setup(at.child("transfers"))])

    # -- what needs no product -----------------------------------------------------------------------------------------

    def numbers(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `RANDOM`."""
        _, parts = yield from self.random(at, tuple(self.parties), count)
        return parts

    def _masks(self, which: str) -> Maker:
        owner = int(which)

        def masks(at: Scope, count: int) -> Step[Parts]:
            value, parts = yield from self.random(at, (owner,), count)
            return (*parts, *value) if self.session.me == owner else parts

        return masks

    # -- products ------------------------------------------------------------------------------------------------------

    def products(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `PRODUCTS`, in chunks."""
        return (yield from self._in_chunks(at, count, self._chunk))

    def _in_chunks(self, at: Scope, count: int, make: Maker) -> Step[Parts]:
        if count <= CHUNK:
            return (yield from make(at, count))
        pieces: list[Parts] = []
        for start in range(0, count, CHUNK):
            piece = yield from make(at.child(f"from {start}"), min(CHUNK, count - start))
            pieces.append(piece)
        return tuple(np.concatenate(column) for column in zip(*pieces, strict=True))

    def _chunk(self, at: Scope, count: int) -> Step[Parts]:
        everybody = tuple(self.parties)
        length = 2 * self.domain.secret_bits + 2 * max(self.session.security, 40)
        steps: list[Step[Any]] = [
            self.random(at.child("b"), everybody, count),
            self._products.draw(at.child("transfers"), length, count),
        ]
        (b, b_parts), batches = yield from parallel(steps)
        products = yield from self._products.multiply(at.child("offers"), batches, [b])
        weights = yield from self._weights(at.child("weights"), length)
        if not self.session.holds_shares:
            blank = tuple(self.session.blank((count,)) for _ in range(self.domain.limbs))
            own = total = [blank, blank]
        else:
            own = products.sums(weights)
            total = products.gather(weights, own, 0)
        values = tuple(np.concatenate(limb) for limb in zip(*own, *total, strict=True))
        parts = yield from self.chosen(at.child("authenticate"), everybody, values)
        a, a_, c, c_ = (tuple(part[k * count : (k + 1) * count] for part in parts) for k in range(4))
        yield from self._sacrifice(at.child("sacrifice"), a, a_, b_parts, c, c_)
        return (*a, *b_parts, *c)

    def _weights(self, at: Scope, length: int) -> Step[Array]:
        """(length, 2): powers of two for a, then for a', then what a coin says."""
        coin = yield from toss(self.session, at)
        bits = self.domain.secret_bits
        weights = np.zeros((length, 2), np.uint64)
        powers = [int(self.domain.power_of_two(h)[0]) for h in range(bits)]
        weights[:bits, 0] = weights[bits : 2 * bits, 1] = powers
        drawn = np.zeros((length - 2 * bits, 2), np.uint64)
        coin.fill(drawn)
        weights[2 * bits :] = self.domain.weights(drawn)
        return weights

    def _sacrifice(self, at: Scope, a: Parts, a_: Parts, b: Parts, c: Parts, c_: Parts) -> Step[None]:
        domain, limbs = self.domain, self.domain.limbs
        coin = yield from toss(self.session, at.child("coin"))
        drawn = np.zeros(1, np.uint64)
        coin.fill(drawn)
        t = domain.from_words(domain.weights(drawn).reshape(()))
        difference = [
            domain.sub(domain.mul(x, t), y) for x, y in zip(_halves(a, limbs), _halves(a_, limbs), strict=True)
        ]
        r = yield from opened(self.session, domain, at.child("open"), difference[0])
        tag = domain.sub(domain.mul(c[limbs:], t), domain.add(c_[limbs:], domain.mul(r, b[limbs:])))
        notes = [Opened(r, difference[1]), Opened(None, tag)]
        yield from mac_check.check(self.session, domain, self.alpha, at.child("check"), notes)

    # -- what is made of products --------------------------------------------------------------------------------------

    def squares(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `SQUARES`: with r = a - b opened, a^2 = c + r a. The opening is checked at once."""
        limbs, domain = 2 * self.domain.limbs, self.domain
        parts = yield from self.products(at.child("products"), count)
        a, b, c = parts[:limbs], parts[limbs : 2 * limbs], parts[2 * limbs :]
        value, tag = (domain.sub(x, y) for x, y in zip(self._split(a), self._split(b), strict=True))
        r = yield from opened(self.session, domain, at.child("open"), value)
        yield from mac_check.check(self.session, domain, self.alpha, at.child("check"), [Opened(r, tag)])
        square = [domain.add(x, domain.mul(r, y)) for x, y in zip(self._split(c), self._split(a), strict=True)]
        return (*a, *square[0], *square[1])

    def _matrices(self, which: str) -> Maker:
        m, k, n = map(int, which.split("x"))

        def matrices(at: Scope, count: int) -> Step[Parts]:
            everybody = tuple(self.parties)
            _, left = yield from self.random(at.child("left"), everybody, count * m * k)
            _, right = yield from self.random(at.child("right"), everybody, count * k * n)
            left = tuple(part.reshape(count, m, k) for part in left)
            right = tuple(part.reshape(count, k, n) for part in right)
            shape = (count, m, n, k)
            x = tuple(contiguous(np.broadcast_to(part[:, :, None, :], shape)).reshape(-1) for part in left)
            y = tuple(
                contiguous(np.broadcast_to(np.swapaxes(part, 1, 2)[:, None], shape)).reshape(-1) for part in right
            )
            z = yield from self._multiplied(at, x, y)
            result: list[Array] = []
            for half in self._split(z):
                result += self.domain.sum(tuple(limb.reshape(-1, k) for limb in half), 1)
            return (*left, *right, *(limb.reshape(count, m, n) for limb in result))

        return matrices

    def _multiplied(self, at: Scope, x: Parts, y: Parts) -> Step[Parts]:
        """x * y, elementwise for flat authenticated values, checked at once."""
        domain, limbs = self.domain, 2 * self.domain.limbs
        parts = yield from self.products(at.child("products"), x[0].shape[0])
        a, b, c = (self._split(parts[k : k + limbs]) for k in (0, limbs, 2 * limbs))
        differences = [
            [domain.sub(p, q) for p, q in zip(self._split(left), right, strict=True)]
            for left, right in ((x, a), (y, b))
        ]
        d = yield from opened(self.session, domain, at.child("open left"), differences[0][0])
        e = yield from opened(self.session, domain, at.child("open right"), differences[1][0])
        notes = [Opened(d, differences[0][1]), Opened(e, differences[1][1])]
        yield from mac_check.check(self.session, domain, self.alpha, at.child("check"), notes)
        one = domain.from_words(np.array(self.session.me == 0, np.uint64))
        value = domain.beaver(d, e, a[0], b[0], c[0], one)
        return (*value, *domain.beaver(d, e, a[1], b[1], c[1], self.alpha))

    def _split(self, parts: Parts) -> list[Element]:
        """The value's part and that of its tag."""
        return _halves(parts, self.domain.limbs)


def _halves(parts: Parts, limbs: int) -> list[Element]:
    return [parts[:limbs], parts[limbs:]]


def opened(session: Session, domain: Domain, at: Scope, mine: Element) -> Step[Element]:
    """What the parts of all parties add up to, to be checked by the caller. One round."""
    mask, name = at.step(), at.step()
    (total,) = yield from openings.opened(session, domain, mask, name, [mine])
    return total
