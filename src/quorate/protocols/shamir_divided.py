"""What the operations of `quorate.protocols.shamir_malicious` are made of: values divided into parts known to groups.

A value is divided by opening it less a pseudorandom value whose parts are known to the groups. What is opened may be
wrong, or differ between parties, until the next check: both are noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import field
from quorate.kernels.ghost import contiguous
from quorate.protocols import shamir_heard
from quorate.protocols.deferred import Deferred
from quorate.protocols.shamir_heard import Heard
from quorate.protocols.shamir_parts import Array, Group
from quorate.protocols.shamir_placed import ShamirPlaced
from quorate.protocols.verification.scheme import Note, Zeros
from quorate.sharing import shamir
from quorate.sharing.share import Arithmetic

__all__ = ["ShamirDivided"]


class ShamirDivided(ShamirPlaced):
    """The part of `ShamirMalicious` that divides values and notes what is to be compared."""

    deferred: Deferred[Note | Heard]

    def __init__(self, session: Session, threshold: int) -> None:
        super().__init__(session, threshold)
        self.heard_in_check: list[Heard] = []
        self._checking = False

    def heard(self, name: Name, alike: Mapping[Group, Array | None]) -> None:
        where = [name[0].to_bytes(8, "big"), name[1].to_bytes(4, "big")]
        known = {group: content for group, content in alike.items() if content is not None and self.me in group}
        counting = self.session.counting
        heard = Heard({g: b"" if counting else shamir_heard.digest_of(where, [c]) for g, c in known.items()})
        if self._checking:
            self.heard_in_check.append(heard)
        else:
            self.deferred.note(name, heard, 1)

    # -- dividing values -----------------------------------------------------------------------------------------------

    def divided(self, at: Scope, x: Arithmetic) -> Step[list[Array]]:
        """x as a sum of field elements each known to one of the groups: those of our groups. One round."""
        parts = self.random_parts(at, x.shape)
        masked = field.sub(x.parts[0], self.assembled_share(parts))
        opened = yield from self._open_to_check(at, masked)
        self.add_to_first(parts, opened)
        return parts

    def _open_to_check(self, at: Scope, share: Array) -> Step[Array]:
        """Open to all parties what may be known, wrong or not; that it is right is noted.

        For t = 1 every party gets the share of the next one: 8 bytes from each. With more cheaters plain shares would
        show them whether those of the honest parties fit together, and how they do not may depend on secrets, where
        functions of parts were placed that a cheater made differ. So t + 1 parties open what they contribute under a
        sharing of zero: whatever they hold, cheaters see one uniform number. 8 (n - 1) bytes from each of them.
        """
        zero, name, same, claim = at.step(), at.step(), at.step(), at.step()
        share = contiguous(share)
        opened = yield from (
            self._by_shares(name, share) if self.threshold == 1 else self._by_contributions(zero, name, share)
        )
        if opened.size:
            self.heard(same, {tuple(range(self.parties)): opened})
        self.deferred.note(claim, Zeros((field.sub(opened, share),)), share.size)
        return opened

    def _by_shares(self, name: Name, share: Array) -> Step[Array]:
        """The value from our share and that of the next party. One round."""
        if self.me >= self.parties:
            yield Exchange(name)
            return share
        before, after = (self.me - 1) % self.parties, (self.me + 1) % self.parties
        theirs = self.session.blank(share.shape)
        yield Exchange(name, {before: [share]}, {after: [theirs]})
        return self._interpolated({self.me: share, after: field.reduce(theirs)})

    def _by_contributions(self, zero: Name, name: Name, share: Array) -> Step[Array]:
        """The value from what the first t + 1 parties contribute. One round."""
        holders = tuple(range(self.threshold + 1))
        arrived = {party: self.session.blank(share.shape) for party in holders if self.me < self.parties}
        sends: dict[int, list[Array]] = {}
        if self.me in holders:
            pairs = [pair for pair in combinations(holders, 2) if self.me in pair]
            masks = [self.elements(pair, zero, self.session.blank(share.shape)) for pair in pairs]
            weights = [shamir.lagrange(holders)[self.me], *(1 if pair[0] == self.me else field.P - 1 for pair in pairs)]
            mine = arrived[self.me] = field.linear_combination(np.array(weights, np.uint64), [share, *masks])
            sends = {party: [mine] for party in range(self.parties) if party != self.me}
        yield Exchange(name, sends, {party: [part] for party, part in arrived.items() if party != self.me})
        if not arrived:
            return share
        return np.asanyarray(field.linear_combination(np.ones(len(arrived), np.uint64), list(arrived.values())))

    def _interpolated(self, shares: Mapping[int, Array]) -> Array:
        return shamir.combine(list(shares.values()), list(shares), self.threshold)

    def _multiplied(
        self, at: Scope, product: Array, shift: int, out: Array | None = None
    ) -> Step[tuple[Array, list[Array]]]:
        """From shares on a polynomial of degree 2t to fresh ones of degree t; with a shift also the parts that our
        groups know of them. One round."""
        if not shift:
            return (yield from self._reshare(at, product, out)).parts[0], []
        parts = yield from self._divided_product(at, product)
        return self.assembled_share(parts), parts

    def _divided_product(self, at: Scope, product: Array) -> Step[list[Array]]:
        """`divided` from shares of degree 2t: the masked value is opened at once, and is noted with the product.

        8 (n - 1) bytes from each of the first 2t + 1 parties.
        """
        parts = self.random_parts(at, product.shape)
        zero, name, same = at.step(), at.step(), at.step()
        holders = tuple(range(self.multipliers))
        arrived = {party: self.session.blank(product.shape) for party in holders if self.me < self.parties}
        sends: dict[int, list[Array]] = {}
        if self.me in holders:
            mine = arrived[self.me] = self._masked_product(zero, product, parts, holders)
            sends = {party: [mine] for party in range(self.parties) if party != self.me}
        yield Exchange(name, sends, {party: [part] for party, part in arrived.items() if party != self.me})
        opened = field.linear_combination(np.ones(len(arrived), np.uint64), list(arrived.values()))
        if opened.size:
            self.heard(same, {tuple(range(self.parties)): opened})
        self.add_to_first(parts, opened)
        return parts

    def _masked_product(self, zero: Name, product: Array, parts: list[Array], holders: Group) -> Array:
        """Our additive part of the product, less parts that we take for their groups, plus a sharing of zero."""
        pairs = [pair for pair in combinations(holders, 2) if self.me in pair]
        masks = [self.elements(pair, zero, self.session.blank(product.shape)) for pair in pairs]
        signs = [1 if pair[0] == self.me else field.P - 1 for pair in pairs]
        groups = zip(self.mine, parts, strict=True)
        taken = [part for group, part in groups if self.first_holder(group, holders) == self.me]
        weights = [self.product_weights[self.me], *signs, *[field.P - 1] * len(taken)]
        return field.linear_combination(np.array(weights, np.uint64), [product, *masks, *taken])
