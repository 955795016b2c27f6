"""Shamir's (t, n) sharing over the field of p = 2**61 - 1 elements, semi-honest, n >= 2t + 1.

Party i holds f(i + 1). Boolean words are shared by exclusive or with one part per group of n - t parties (the parts of
a group are known to all its members), which converts locally to and from the same access structure.

Sources
    Shared randomness without interaction: Cramer, Damgård, Ishai, "Share Conversion, Pseudorandom Secret-Sharing and
    Applications to Secure Computation", TCC 2005, sections 3 and 4.
    Products: each party's product of shares is an additive part of the product (Ben-Or, Goldwasser, Wigderson, STOC
    1988; Gennaro, Rabin, Rabin, PODC 1998). Deviation: instead of dealing new polynomials, all groups but one take
    pseudorandom parts and the parties send what is left, masked by a sharing of zero, to the members of the first
    group. One round, (2t + 1)(n - t) - min(2t + 1, n - t) elements in all.
    Products of Boolean words: Ito, Saito, Nishizeki, GLOBECOM 1987 (replicated parts), in the same way.
    Summands: party j <= t knows a_j = lambda_j f(j + 1), and the a_j add up to the secret.
    Truncation: x + 2**59 lies in [0, 2**60), so for two summands the sum wraps exactly if one of them is at least
    2**60: one product of two known bits. With more summands the wraps are counted by adders on Boolean words. Ours.

Rounds: input, product, and, reveal 1; truncation 2 for t = 1, see `quote` for more; bit to integer 1 + ceil(log2(t+1));
shuffle: the number of (t + 1)-subsets of 2t + 1, see `shamir_shuffle`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import field
from quorate.kernels.ghost import contiguous
from quorate.protocols import adder, known, shamir_shuffle
from quorate.protocols.base import Bilinear, Function, Integers, Times
from quorate.protocols.groups import total
from quorate.protocols.local import as_int64, check_full_words, check_shapes, public_words, rows_of
from quorate.protocols.shamir_parts import BITS, ShamirParts
from quorate.sharing import shamir, wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Shamir"]

Array = npt.NDArray[Any]
OFFSET_BITS = 59


class Shamir(ShamirParts):
    """One participant of Shamir's protocol with threshold t."""

    name: ClassVar[str] = "shamir"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "semi-honest"
    majority: ClassVar[Literal["none", "honest", "dishonest"]] = "honest"
    capacity: ClassVar[int] = OFFSET_BITS

    @property
    def resumable(self) -> bool:
        return self.supply is None

    # -- input and output ----------------------------------------------------------------------------------------------

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        elements = None if values is None else field.encode_signed(as_int64(values))
        return (yield from self._input(at, owner, shape, elements))

    def _input(self, at: Scope, owner: int, shape: tuple[int, ...], elements: Array | None) -> Step[Arithmetic]:
        """Share field elements known to `owner`: 8 bytes to every other party."""
        draw, name = at.step(), at.step()
        if self.me != owner:
            share = self.session.blank(shape)
            yield Exchange(name, None, {owner: [share]} if self.me < self.parties else None)
            return Arithmetic(self.name, (share,))
        coefficients = self.elements((owner,), draw, self.session.tuple_blank((self.threshold, *shape)))
        secret = self.session.tuple_blank(shape) if elements is None else elements
        shares = shamir.split(secret, coefficients, self.parties)
        yield Exchange(name, {party: [shares[party]] for party in range(self.parties) if party != owner})
        return Arithmetic(self.name, (shares[self.me % self.parties],))

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        share = contiguous(x.parts[0])
        sends = {other: [share] for other in to if other != self.me and self.me in self._openers(other)}
        senders = [other for other in self._openers(self.me) if other != self.me] if self.me in to else []
        arrived = {other: [self.session.tuple_blank(x.shape)] for other in senders}
        yield Exchange(at.step(), sends, arrived)
        if self.me not in to:
            return None
        holders = self._openers(self.me)
        shares = [share if holder == self.me else arrived[holder][0] for holder in holders]
        return field.decode_signed(shamir.combine(shares, holders, self.threshold))

    def _openers(self, recipient: int) -> list[int]:
        """The t + 1 parties from whose shares `recipient` learns a value; itself first, if it is a party."""
        start = recipient if recipient < self.parties else 0
        return [(start + step) % self.parties for step in range(self.threshold + 1)]

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        sends: dict[int, list[Array]] = {}
        for group, part in zip(self.mine, x.parts, strict=True) if self.me < self.parties else ():
            if group[0] == self.me:
                packed = wire.pack(part, x.width)
                for other in to:
                    if other not in group:
                        sends.setdefault(other, []).append(packed)
        like = wire.pack(self.session.tuple_blank(x.shape, wire.word_type(x.width)), x.width)
        receives: dict[int, list[Array]] = {}
        for group in self.groups if self.me in to else ():
            if self.me not in group:
                receives.setdefault(group[0], []).append(self.session.tuple_blank(like.shape, like.dtype))
        yield Exchange(at.step(), sends, receives)
        if self.me not in to:
            return None
        arrived = [wire.unpack(part, x.shape, x.width) for parts in receives.values() for part in parts]
        own = list(x.parts) if self.me < self.parties else []
        return total([*own, *arrived])

    # -- local ---------------------------------------------------------------------------------------------------------

    def public(self, values: Integers) -> Arithmetic:
        return Arithmetic(self.name, (field.encode_signed(as_int64(values)),))

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return self.boolean({self.collector: public_words(words, width)}, width)

    def xor_public(self, a: Boolean, words: npt.NDArray[np.generic]) -> Boolean:
        words, parts = public_words(words, a.width), list(a.parts)
        if self.collector in self.mine:
            place = self.mine.index(self.collector)
            parts[place] = np.asanyarray(parts[place] ^ words)
        return a.with_parts(tuple(parts))

    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        return Arithmetic(self.name, (self.session.blank(shape),))

    # -- products ------------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        target = None if shift or out is None else out.parts[0]
        z = yield from self._reshare(at, field.mul(x.parts[0], y.parts[0]), target)
        return (yield from self.truncate(at, z, shift)) if shift else z

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        check_shapes(x, y)
        rows = [rows_of(share.parts[0]) for share in (x, y)]
        self.session.multiplied(x.size)
        z = yield from self._reshare(at, field.dot(*rows).reshape(x.shape[:-1]))
        return (yield from self.truncate(at, z, shift)) if shift else z

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        self.session.multiplied(x.size * y.shape[1])
        z = yield from self._reshare(at, field.matmul(x.parts[0], y.parts[0]))
        return (yield from self.truncate(at, z, shift)) if shift else z

    def _reshare(self, at: Scope, product: Array, out: Array | None = None) -> Step[Arithmetic]:
        """From shares on a polynomial of degree 2t to fresh shares of degree t."""
        holders = tuple(range(self.multipliers))
        weight = self.product_weights[self.me] if self.me in holders else 0
        return (yield from self.spread(at, product, holders, weight, out))

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        return (yield from self._product_of_words(at, a, b, np.bitwise_and, a.shape))

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        check_full_words(a, b)
        return (yield from self._product_of_words(at, a, b, times, shape))

    def _product_of_words(
        self, at: Scope, a: Boolean, b: Boolean, times: Times, shape: tuple[int, ...]
    ) -> Step[Boolean]:
        holders = tuple(range(self.multipliers))
        terms = self._cross_terms(a, b, times) if self.me in holders else []
        part = total(terms) if terms else np.zeros_like(self.session.blank(shape, a.parts[0].dtype))
        return (yield from self.spread_bits(at, part, holders, a.width))

    def _cross_terms(self, a: Boolean, b: Boolean, times: Times) -> list[Array]:
        """Products of a_A and b_B for the pairs of groups whose lowest common member we are: every product once."""
        terms = []
        for left, part in zip(self.mine, a.parts, strict=True):
            factors = [
                other for right, other in zip(self.mine, b.parts, strict=True) if min(set(left) & set(right)) == self.me
            ]
            if factors:
                terms.append(times(part, total(factors)))
        return terms

    # -- truncation ----------------------------------------------------------------------------------------------------

    @property
    def truncation_error(self) -> float:
        # t + 1 summands are each rounded to the nearest; what a wrap leaves out has the opposite sign.
        return (self.threshold + 1) / 2

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return -((self.threshold + 1) // 2), (self.threshold + 2) // 2

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        """See `Protocol.truncate`; shift >= 1."""
        shifted = self.add_public(x, np.asarray(1 << OFFSET_BITS, np.int64))
        known = [self.summand(shifted, party) for party in range(self.threshold + 1)]
        half = np.uint64(1 << (shift - 1))
        if self.threshold == 1:
            rows = [np.stack([(a + half) >> np.uint64(shift), a >> np.uint64(BITS - 1)]) for a in known]
            first, second = yield from self.input_each(at, rows)
            (high, top), (other_high, other_top) = _rows(first), _rows(second)
            both = yield from self.mul(at.child("wrap"), top, other_top)
            wraps = self.sub(self.add(top, other_top), both)
            return self._assembled([high, other_high], wraps, shift)
        highs, wraps = yield from parallel(
            [
                self.input_each(at.child("high"), [(a + half) >> np.uint64(shift) for a in known]),
                self._count_wraps(at.child("wraps"), shifted),
            ]
        )
        return self._assembled(highs, wraps, shift)

    def _count_wraps(self, at: Scope, x: Arithmetic) -> Step[Any]:
        """How often p is subtracted when the summands of x are added up."""
        carry, _, wraps = yield from adder.top_carry(self, at.child("carry"), x)
        wraps.append(carry)
        counts = yield from parallel([self.to_arithmetic(at.child(f"bit {k}"), bit) for k, bit in enumerate(wraps)])
        total = counts[0]
        for bit in counts[1:]:
            total = self.add(total, bit)
        return total

    def _assembled(self, highs: list[Arithmetic], wraps: Arithmetic, shift: int) -> Arithmetic:
        total = self.scale(wraps, -(1 << (BITS - shift)))
        for high in highs:
            total = self.add(total, high)
        return self.add_public(total, np.asarray(-(1 << (OFFSET_BITS - shift)), np.int64))

    def input_each(self, at: Scope, known: list[Array]) -> Step[list[Arithmetic]]:
        """Party j inputs known[j], all in one round."""
        steps = [
            self._input(at.child(f"input {party}"), party, values.shape, values if self.me == party else None)
            for party, values in enumerate(known)
        ]
        return (yield from parallel(steps))

    # -- shuffling -----------------------------------------------------------------------------------------------------

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from shamir_shuffle.shuffle(self, at, columns))

    # -- randomness and conversions ------------------------------------------------------------------------------------

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        yield from ()
        name = at.step()
        parts = [self.elements(group, name, self.session.blank(shape)) for group in self.mine]
        return Arithmetic(self.name, (field.linear_combination(np.array(self.weights, np.uint64), parts),))

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        yield from ()
        name = at.step()
        parts = [self.session.draw(group, name, self.session.blank(shape, np.uint8)) for group in self.mine]
        return Boolean(self.name, tuple(part & np.uint8(1) for part in parts))

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        known = [self.summand(x, party) for party in range(self.threshold + 1)]
        if negate_last:
            known[-1] = field.neg(known[-1])
        steps = [self.deal_word(at.child(f"summand {party}"), party, word) for party, word in enumerate(known)]
        return (yield from parallel(steps))

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        known = []
        for party in range(self.threshold + 1):
            parts = [part for group, part in zip(self.mine, b.parts, strict=True) if group[0] == party]
            known.append((total(parts) if parts else b.parts[0]).astype(np.uint64))
        level = yield from self.input_each(at.child("known"), known)
        depth = 0
        while len(level) > 1:
            depth += 1
            pairs = list(zip(level[::2], level[1::2], strict=False))
            places = [at.child(f"level {depth} pair {k}") for k in range(len(pairs))]
            products = yield from parallel([self.mul(place, *pair) for place, pair in zip(places, pairs, strict=True)])
            merged = [self._exclusive_or(*pair, both) for pair, both in zip(pairs, products, strict=True)]
            level = merged + level[2 * len(pairs) :]
        return level[0]

    def _exclusive_or(self, x: Arithmetic, y: Arithmetic, product: Arithmetic) -> Arithmetic:
        return self.sub(self.add(x, y), self.scale(product, 2))

    # -- functions of summands -----------------------------------------------------------------------------------------

    @property
    def summand_count(self) -> int:
        return self.threshold + 1

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        return (yield from known.shamir(self, at, x, function, count))

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        return (yield from known.dot(self, at, x, function, count, shift))


def _rows(x: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    return x.map(lambda part: part[0]), x.map(lambda part: part[1])
