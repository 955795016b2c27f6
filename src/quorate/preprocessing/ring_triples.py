"""Authenticated products over the ring modulo 2^128, for secrets modulo 2^64, by the parties themselves.

Cramer, Damgard, Escudero, Scholl, Xing, "SPDZ2k: Efficient MPC mod 2^k for Dishonest Majority", CRYPTO 2018, figure 8,
with another sacrifice. There a party that authenticates a mask that is off by e = 2^127 makes the check come out as
2^127 b: it passes just if b is even, which tells a bit of b, in half of all cases. In the field every such error is
found but for 2^-61; modulo a power of two both factors have to be masked:

1.  b, b': random authenticated values. `BitProducts`: each party's random bits x_h times b, and times b'.
2.  Combine: with weights r_h, r'_h that are tossed now, a = sum r_h x_h, a' = sum r'_h x_h; parts of c = a b,
    c' = a' b, u = a b', u' = a' b'. The first 64 bits are those of a, the next 128 those of a' (weights 2^h, and 0 in
    the other); the other 2 s bits have random weights, with s = `session.security`, 40 at least.
3.  Authenticate a, a', c, c', u, u'.
4.  Sacrifice: toss t and z; open p = t a + a', q = z b + b'; check that these are right, and that
    t z c + z c' + t u + u' = p q.
5.  Add 2^64 times a random authenticated value to a, whose upper bits hide those of what a masks. So c = a b modulo
    2^64.

Privacy. All that is multiplied in the check is public: an error of a wrong or doubly authenticated value, or of an
opening, is one that the cheater knows, and tells nothing when it passes. What is left are senders that offer something
else for some x_h: whether they pass is a function of the w_h x_h with w_h = t r_h + r'_h. As the r'_h are uniform, so
are the w_h, independent of r: given them, p and what was guessed (g bits, right with probability 2^-g), x has
64 + 2 s - g bits of min-entropy, and a modulo 2^64 is extracted from it by the universal hash r: two different vectors
differ in their first 64 bits alone, or in the random part (by 1 or -1 somewhere) and collide with probability 2^-64. So
a is off from uniform by 2^-(2 s - g) / 2, and with the guess all in all by at most 2^-s, over all products of a
session, as every vector that is touched costs a guess. a' and b' are uniform, so p and q are.

Correctness. Let c - a b etc. be off by e_1 ... e_4 when t and z are tossed, e_1 not 0 modulo 2^64. Then
t z e_1 + z e_2 + t e_3 + e_4 is a multiple of 2^(63 + i) with probability at most (i + 1) 2^-i; the check's weights add
at most (i + 2) (i + 1) / 2 2^-i for i in all; openings p, q that are off by a multiple of less do not help, since they
are part of the check. 65 - i bits of alpha are left to be guessed. The events for i are nested, so what counts is the
sum over i of their probability times 2^(i - 65) less 2^(i - 66) (summation by parts): below 2^-50.

Bytes that a party sends to each other one, per product, at s = 40: 272 transfers of 3.9 bytes, offers of 6912 in all
(of one whose weights are multiples of 2^h the low 128 - h bits are sent, in words of 32); 9 VOLEs (240), of which six
are corrected by 16 bytes; openings of 32: 10.3 kB. Rounds per batch: 16, 18 for n > 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import toss
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.preprocessing import mac_check
from quorate.preprocessing.authenticated_triples import OwnTuples, opened
from quorate.preprocessing.mac_check import Opened
from quorate.preprocessing.stock import Parts
from quorate.sharing.domain import Element

__all__ = ["RingTuples"]

Array = npt.NDArray[Any]
SECRET, WHOLE = 64, 128


class RingTuples(OwnTuples):
    """Tuples over the ring without a dealer."""

    def _chunk(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `PRODUCTS`."""
        limbs = 2 * self.domain.limbs
        steps: list[Step[Any]] = [
            self._bare(at.child("bare"), count),
            self.random(at.child("veil"), tuple(self.parties), count),
        ]
        parts, (_, veil) = yield from parallel(steps)
        up = self.domain.power_of_two(SECRET)
        a = [
            self.domain.add(x, self.domain.mul(y, up))
            for x, y in zip(self._split(parts[:limbs]), self._split(veil), strict=True)
        ]
        return (*a[0], *a[1], *parts[limbs:])

    def _bare(self, at: Scope, count: int) -> Step[Parts]:
        everybody, domain = tuple(self.parties), self.domain
        length = SECRET + WHOLE + 2 * max(self.session.security, 40)
        steps: list[Step[Any]] = [
            self.random(at.child("b"), everybody, 2 * count),
            self._products.draw(at.child("transfers"), length, count),
        ]
        (both, parts), batches = yield from parallel(steps)
        numbers: list[Element] = [tuple(limb[k * count : (k + 1) * count] for limb in both) for k in range(2)]
        runs = [(32, 4), (32, 3), (32, 4), (32, 3), (32, 2), (32, 1), (length - SECRET - WHOLE, 4)]
        products = yield from self._products.multiply(at.child("offers"), batches, numbers, runs)
        weights = yield from self._weights(at.child("weights"), length)
        if self.session.holds_shares:
            own = products.sums(weights)
            values = [*own, *products.gather(weights, own, 0), *products.gather(weights, own, 1)]
        else:
            values = [tuple(self.session.blank((count,)) for _ in range(domain.limbs))] * 6
        joined = tuple(np.concatenate(limb) for limb in zip(*values, strict=True))
        placed = yield from self.chosen(at.child("authenticate"), everybody, joined)
        a, a_, c, c_, u, u_ = (_row(placed, k, count) for k in range(6))
        b, b_ = (_row(parts, k, count) for k in range(2))
        yield from self._sacrificed(at.child("sacrifice"), (a, a_), (b, b_), (c, c_, u, u_))
        return (*a, *b, *c)

    def _weights(self, at: Scope, length: int) -> Step[Array]:
        """(length, 2, 2): for a, then for a', rows (low, high)."""
        coin = yield from toss(self.session, at)
        weights = np.zeros((length, 2, 2), np.uint64)
        for h in range(SECRET):
            weights[h, 0, 0] = 1 << h
        for h in range(WHOLE):
            weights[SECRET + h, 1, h // 64] = 1 << h % 64
        drawn = np.zeros((length - SECRET - WHOLE, 2, 2), np.uint64)
        coin.fill(drawn)
        weights[SECRET + WHOLE :] = drawn
        return weights

    def _sacrificed(
        self, at: Scope, left: tuple[Parts, Parts], right: tuple[Parts, Parts], products: tuple[Parts, ...]
    ) -> Step[None]:
        domain, limbs = self.domain, self.domain.limbs
        coin = yield from toss(self.session, at.child("coin"))
        drawn = np.zeros(2, np.uint64)
        coin.fill(drawn)
        t, z = (domain.from_words(drawn[k, ...]) for k in range(2))
        p, q = (
            [
                domain.add(domain.mul(x, factor), y)
                for x, y in zip(self._split(pair[0]), self._split(pair[1]), strict=True)
            ]
            for pair, factor in ((left, t), (right, z))
        )
        shown = yield from opened(self.session, domain, at.child("open"), _joined(p[0], q[0]))
        count = p[0][0].shape[0]
        open_p, open_q = (tuple(limb[k * count : (k + 1) * count] for limb in shown) for k in range(2))
        factors = (domain.mul(t, z), z, t)
        c, c_, u, u_ = (product[limbs:] for product in products)
        tag = domain.total([u_, *(domain.mul(x, f) for x, f in zip((c, c_, u), factors, strict=True))])
        notes = [Opened(shown, _joined(p[1], q[1])), Opened(domain.mul(open_p, open_q), tag)]
        yield from mac_check.check(self.session, domain, self.alpha, at.child("check"), notes)


def _row(parts: Parts, k: int, count: int) -> Parts:
    return tuple(part[k * count : (k + 1) * count] for part in parts)


def _joined(x: Element, y: Element) -> Element:
    return tuple(np.concatenate(limb) for limb in zip(x, y, strict=True))
