"""What the operations of `quorate.protocols.shamir` are made of: who knows what, and how it is shared again."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import field
from quorate.protocols.groups import total
from quorate.protocols.local import FieldLocal
from quorate.sharing import shamir, wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["BITS", "Group", "P", "ShamirParts"]

Array = npt.NDArray[Any]
Group = tuple[int, ...]
BITS = 61
P = (1 << BITS) - 1


class ShamirParts(FieldLocal):
    """The part of `Shamir` that knows how parts are laid out."""

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

    # -- what single parties know --------------------------------------------------------------------------------------

    def summand(self, x: Arithmetic, party: int) -> Array:
        """lambda_j f(j + 1), which party j <= t knows; elsewhere an array of that shape."""
        if self.me != party:
            return x.parts[0]
        return field.scale(x.parts[0], shamir.lagrange(tuple(range(self.threshold + 1)))[party])

    def part_among(self, x: Share, holders: Group) -> Array:
        """Our additive part of x if the holders, t + 1 parties, divide it among themselves. Local."""
        if isinstance(x, Arithmetic):
            return field.scale(x.parts[0], shamir.lagrange(holders)[holders.index(self.me)])
        taken = zip(self.mine, x.parts, strict=True)
        parts = [part for group, part in taken if self.first_holder(group, holders) == self.me]
        return total(parts) if parts else np.zeros_like(x.parts[0])

    def deal_word(self, at: Scope, owner: int, word: Array) -> Step[Boolean]:
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
        return self.boolean(known or {(): np.zeros_like(word)}, BITS)

    def boolean(self, known: dict[Group, Array], width: int) -> Boolean:
        """A sharing with the given parts of groups of ours, zero elsewhere."""
        like = next(iter(known.values()))
        zero = np.zeros_like(like)
        return Boolean(self.name, tuple(known.get(group, zero) for group in self.mine) or (zero,), width)

    # -- from additive parts to a fresh sharing ------------------------------------------------------------------------

    def spread(
        self, at: Scope, part: Array, holders: Group, weight: int = 1, out: Array | None = None
    ) -> Step[Arithmetic]:
        """Fresh shares of what `weight` times the `part` of every holder (t + 1 parties at least, of the first 2t + 1)
        add up to. One round."""
        fresh, zero, name = at.step(), at.step(), at.step()
        parts = {group: self.elements(group, fresh, self.session.blank(part.shape)) for group in self.drawn()}
        mine: Array | None = None
        if self.me in holders:
            pairs = [pair for pair in combinations(holders, 2) if self.me in pair]
            masks = [self.elements(pair, zero, self.session.blank(part.shape)) for pair in pairs]
            signs = [1 if pair[0] == self.me else P - 1 for pair in pairs]
            taken = [parts[group] for group in parts if self.first_holder(group, holders) == self.me]
            weights = [weight, *signs, *[P - 1] * len(taken)]
            mine = field.linear_combination(np.array(weights, np.uint64), [part, *masks, *taken])
        arrived = yield from self.collect(name, mine, part, holders)
        if arrived:
            parts[self.collector] = field.linear_combination(np.ones(len(arrived), np.uint64), arrived)
        if self.parties > self.multipliers:  # else the shares of the honest lie on a polynomial whatever was sent
            self.heard(name, {self.collector: parts.get(self.collector)})
        weights_here = [self.weights[self.mine.index(group)] for group in parts]
        share = field.linear_combination(np.array(weights_here, np.uint64), list(parts.values()), out=out)
        return Arithmetic(self.name, (share,))

    def spread_bits(self, at: Scope, part: Array, holders: Group, width: int) -> Step[Boolean]:
        """The same for Boolean words: a fresh sharing of the exclusive or of what the holders have. One round."""
        fresh, zero, name = at.step(), at.step(), at.step()
        full = part.dtype.type((1 << width) - 1)

        def draw(keys: Group, step: Name) -> Array:
            return np.asanyarray(self.session.draw(keys, step, self.session.blank(part.shape, part.dtype)) & full)

        known = {group: draw(group, fresh) for group in self.drawn()}
        mine: Array | None = None
        if self.me in holders:
            masks = [draw(pair, zero) for pair in combinations(holders, 2) if self.me in pair]
            taken = [known[group] for group in known if self.first_holder(group, holders) == self.me]
            mine = wire.pack(total([part, *masks, *taken]), width)
        arrived = yield from self.collect(name, mine, part if mine is None else mine, holders, width)
        if arrived:
            known[self.collector] = total([wire.unpack(words, part.shape, width) for words in arrived])
        self.heard(name, {self.collector: known.get(self.collector)})
        return Boolean(self.name, tuple(known[group] for group in self.mine), width)

    def heard(self, name: Name, alike: Mapping[Group, Array | None]) -> None:
        """What members of groups were sent, all members alike: called by everybody, with None for groups of others.

        Nothing to do for semi-honest parties.
        """

    def first_holder(self, group: Group, holders: Group) -> int:
        """The first of the holders that belongs to the group; there is one, since n - t and t + 1 exceed n."""
        return next(party for party in holders if party in group)

    def drawn(self) -> list[Group]:
        """The groups of ours whose parts are pseudorandom."""
        return [group for group in self.mine if group != self.collector]

    def collect(
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

    def elements(self, group: Group, name: Name, out: Array) -> Array:
        """Pseudorandom field elements shared by `group`."""
        return field.from_random_words(self.session.draw(group, name, out))
