"""Shamir's (t, n) sharing over the field of p = 2**61 - 1 elements, semi-honest, n >= 2t + 1.

Party i holds f(i + 1). Boolean words are shared by exclusive or with one part per group of n - t parties (the parts of
a group are known to all its members), which converts locally to and from the same access structure.

Sources
    Shared randomness without interaction: Cramer, Damgård, Ishai, "Share Conversion, Pseudorandom Secret-Sharing and
    Applications to Secure Computation", TCC 2005, sections 3 and 4.
    Products: each party's product of shares is an additive part of the product (Ben-Or, Goldwasser, Wigderson, STOC
    1988; Gennaro, Rabin, Rabin, PODC 1998). Deviation: instead of dealing new polynomials, all groups but one take
    pseudorandom parts and the parties send what is left, masked by a sharing of zero, to the members of the first
    group. One round, (2t + 1)(n - t) - (n - t) elements in all.
    Products of Boolean words: Ito, Saito, Nishizeki, GLOBECOM 1987 (replicated parts), in the same way.
    Summands: party j <= t knows a_j = lambda_j f(j + 1), and the a_j add up to the secret.
    Truncation: x + 2**59 lies in [0, 2**60), so for two summands the sum wraps exactly if one of them is at least
    2**60: one product of two known bits. With more summands the wraps are counted by adders on Boolean words. Ours.

Rounds: input, product, and, reveal 1; truncation 2 for t = 1, see `quote` for more; bit to integer 1 + ceil(log2(t+1));
shuffle: the number of (t + 1)-subsets of 2t + 1, see `shamir_shuffle`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import field
from quorate.kernels.ghost import contiguous
from quorate.protocols import adder, shamir_shuffle
from quorate.protocols.base import Integers
from quorate.protocols.groups import total
from quorate.protocols.local import FieldLocal, as_int64, check_shapes, public_words, rows_of
from quorate.sharing import shamir, wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Shamir"]

Array = npt.NDArray[Any]
Group = tuple[int, ...]
BITS = 61
P = (1 << BITS) - 1
OFFSET_BITS = 59


class Shamir(FieldLocal):
    """One participant of Shamir's protocol with threshold t."""

    name: ClassVar[str] = "shamir"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "semi-honest"
    capacity: ClassVar[int] = OFFSET_BITS

    def __init__(self, session: Session, threshold: int) -> None:
        shamir.check_threshold(threshold, session.parties)
        super().__init__(session, threshold)
        n, t = session.parties, threshold
        self.multipliers = 2 * t + 1
        self.groups: list[Group] = list(combinations(range(n), n - t))
        self.mine = [group for group in self.groups if self.me in group]
        self.collector = self.groups[0]
        self.weights = [shamir.replicated_weight(group, n, self.me) for group in self.mine]
        self.product_weights = shamir.lagrange(tuple(range(self.multipliers)))

    def setup(self, at: Scope) -> Step[None]:
        pairs = combinations(range(self.multipliers), 2)
        shufflers = combinations(range(self.multipliers), self.threshold + 1)
        yield from self.session.agree_keys(at, dict.fromkeys([*self.groups, *pairs, *shufflers]))

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
        return self._boolean({self.collector: public_words(words, width)}, width)

    def _boolean(self, known: dict[Group, Array], width: int) -> Boolean:
        """A sharing with the given parts of groups of ours, zero elsewhere."""
        like = next(iter(known.values()))
        zero = np.zeros_like(like)
        return Boolean(self.name, tuple(known.get(group, zero) for group in self.mine) or (zero,), width)

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

    def spread(
        self, at: Scope, part: Array, holders: Group, weight: int = 1, out: Array | None = None
    ) -> Step[Arithmetic]:
        """Fresh shares of what `weight` times the `part` of every holder (t + 1 parties at least, of the first 2t + 1)
        add up to. One round."""
        fresh, zero, name = at.step(), at.step(), at.step()
        parts = {group: self.elements(group, fresh, self.session.blank(part.shape)) for group in self._drawn()}
        mine: Array | None = None
        if self.me in holders:
            pairs = [pair for pair in combinations(holders, 2) if self.me in pair]
            masks = [self.elements(pair, zero, self.session.blank(part.shape)) for pair in pairs]
            signs = [1 if pair[0] == self.me else P - 1 for pair in pairs]
            taken = [parts[group] for group in parts if self._first(group, holders) == self.me]
            weights = [weight, *signs, *[P - 1] * len(taken)]
            mine = field.linear_combination(np.array(weights, np.uint64), [part, *masks, *taken])
        arrived = yield from self._collect(name, mine, part, holders)
        if arrived:
            parts[self.collector] = field.linear_combination(np.ones(len(arrived), np.uint64), arrived)
        weights_here = [self.weights[self.mine.index(group)] for group in parts]
        share = field.linear_combination(np.array(weights_here, np.uint64), list(parts.values()), out=out)
        return Arithmetic(self.name, (share,))

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        holders = tuple(range(self.multipliers))
        part = total(self._cross_terms(a, b)) if self.me in holders else a.parts[0]
        return (yield from self.spread_bits(at, part, holders, a.width))

    def spread_bits(self, at: Scope, part: Array, holders: Group, width: int) -> Step[Boolean]:
        """The same for Boolean words: a fresh sharing of the exclusive or of what the holders have. One round."""
        fresh, zero, name = at.step(), at.step(), at.step()
        full = part.dtype.type((1 << width) - 1)

        def draw(keys: Group, step: Name) -> Array:
            return np.asanyarray(self.session.draw(keys, step, self.session.blank(part.shape, part.dtype)) & full)

        known = {group: draw(group, fresh) for group in self._drawn()}
        mine: Array | None = None
        if self.me in holders:
            masks = [draw(pair, zero) for pair in combinations(holders, 2) if self.me in pair]
            taken = [known[group] for group in known if self._first(group, holders) == self.me]
            mine = wire.pack(total([part, *masks, *taken]), width)
        arrived = yield from self._collect(name, mine, part if mine is None else mine, holders, width)
        if arrived:
            known[self.collector] = total([wire.unpack(words, part.shape, width) for words in arrived])
        return Boolean(self.name, tuple(known[group] for group in self.mine), width)

    def _first(self, group: Group, holders: Group) -> int:
        """The first of the holders that belongs to the group; there is one, since n - t and t + 1 exceed n."""
        return next(party for party in holders if party in group)

    def _drawn(self) -> list[Group]:
        """The groups of ours whose parts are pseudorandom."""
        return [group for group in self.mine if group != self.collector]

    def _cross_terms(self, a: Boolean, b: Boolean) -> list[Array]:
        """a_A & b_B for the pairs of groups whose lowest common member we are (all products of two parts, once)."""
        terms = []
        for left, part in zip(self.mine, a.parts, strict=True):
            factors = [
                other for right, other in zip(self.mine, b.parts, strict=True) if min(set(left) & set(right)) == self.me
            ]
            if factors:
                terms.append(part & total(factors))
        return terms or [np.zeros_like(a.parts[0])]

    def _collect(
        self, name: Name, mine: Array | None, like: Array, holders: Group, width: int = 64
    ) -> Step[list[Array]]:
        """The holders send an additive part each to the collecting group; its members return all parts. One round."""
        sends = {} if mine is None else {party: [mine] for party in self.collector if party != self.me}
        if self.me not in self.collector:
            yield Exchange(name, sends)
            return []
        packed = like if mine is not None else wire.pack(like, width)
        others = [party for party in holders if party != self.me]
        receives = {party: [self.session.blank(packed.shape, packed.dtype)] for party in others}
        yield Exchange(name, sends, receives)
        return [*([] if mine is None else [mine]), *(buffers[0] for buffers in receives.values())]

    # -- truncation ----------------------------------------------------------------------------------------------------

    @property
    def truncation_error(self) -> float:
        # t + 1 summands are each rounded to the nearest; what a wrap leaves out has the opposite sign.
        return (self.threshold + 1) / 2

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        """See `Protocol.truncate`; shift >= 1."""
        shifted = self.add_public(x, np.asarray(1 << OFFSET_BITS, np.int64))
        known = [self._summand(shifted, party) for party in range(self.threshold + 1)]
        half = np.uint64(1 << (shift - 1))
        if self.threshold == 1:
            rows = [np.stack([(a + half) >> np.uint64(shift), a >> np.uint64(BITS - 1)]) for a in known]
            first, second = yield from self._input_each(at, rows)
            (high, top), (other_high, other_top) = _rows(first), _rows(second)
            both = yield from self.mul(at.child("wrap"), top, other_top)
            wraps = self.sub(self.add(top, other_top), both)
            return self._assembled([high, other_high], wraps, shift)
        highs, wraps = yield from parallel(
            [
                self._input_each(at.child("high"), [(a + half) >> np.uint64(shift) for a in known]),
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

    def _summand(self, x: Arithmetic, party: int) -> Array:
        """lambda_j f(j + 1), which party j <= t knows; elsewhere an array of that shape."""
        if self.me != party:
            return x.parts[0]
        return field.scale(x.parts[0], shamir.lagrange(tuple(range(self.threshold + 1)))[party])

    def _input_each(self, at: Scope, known: list[Array]) -> Step[list[Arithmetic]]:
        """Party j inputs known[j], all in one round."""
        steps = [
            self._input(at.child(f"input {party}"), party, values.shape, values if self.me == party else None)
            for party, values in enumerate(known)
        ]
        return (yield from parallel(steps))

    # -- shuffling -----------------------------------------------------------------------------------------------------

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from shamir_shuffle.shuffle(self, at, columns))

    def part_among(self, x: Share, holders: Group) -> Array:
        """Our additive part of x if the holders, t + 1 parties, divide it among themselves. Local."""
        if isinstance(x, Arithmetic):
            return field.scale(x.parts[0], shamir.lagrange(holders)[holders.index(self.me)])
        taken = zip(self.mine, x.parts, strict=True)
        parts = [part for group, part in taken if self._first(group, holders) == self.me]
        return total(parts) if parts else np.zeros_like(x.parts[0])

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
        known = [self._summand(x, party) for party in range(self.threshold + 1)]
        if negate_last:
            known[-1] = field.neg(known[-1])
        steps = [self._deal_word(at.child(f"summand {party}"), party, word) for party, word in enumerate(known)]
        return (yield from parallel(steps))

    def _deal_word(self, at: Scope, owner: int, word: Array) -> Step[Boolean]:
        """Share a 61-bit word that party `owner` knows: 8 bytes to the other members of its first group."""
        fresh, name = at.step(), at.step()
        of_owner = [group for group in self.mine if owner in group]
        target = next(group for group in self.groups if owner in group)
        mask = np.uint64(P)
        known = {
            group: self.session.draw(group, fresh, self.session.blank(word.shape)) & mask
            for group in of_owner
            if group != target
        }
        if self.me == owner:
            known[target] = total([word, *known.values()])
            yield Exchange(name, {party: [known[target]] for party in target if party != owner})
        elif self.me in target:
            known[target] = self.session.blank(word.shape)
            yield Exchange(name, None, {owner: [known[target]]})
        else:
            yield Exchange(name)
        return self._boolean(known or {(): np.zeros_like(word)}, BITS)

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        known = []
        for party in range(self.threshold + 1):
            parts = [part for group, part in zip(self.mine, b.parts, strict=True) if group[0] == party]
            known.append((total(parts) if parts else b.parts[0]).astype(np.uint64))
        level = yield from self._input_each(at.child("known"), known)
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

    def elements(self, group: Group, name: Name, out: Array) -> Array:
        """Pseudorandom field elements shared by `group`."""
        return field.from_random_words(self.session.draw(group, name, out))


def _rows(x: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    return x.map(lambda part: part[0]), x.map(lambda part: part[1])
