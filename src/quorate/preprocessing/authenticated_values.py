"""Values that a party knows, authenticated towards all others by VOLE.

The MAC key share alpha_j of party j is its secret in a VOLE with every other party i: party i knows x and m, party j
has k = m - x alpha_j. So m and -k, summed over all j, and alpha_i x at party i are parts of alpha x. What a VOLE gives
is random; party i sends the difference to the value it wants (a random value shared with n - 1 others, or one of its
own) to party j, who changes k by alpha_j times it.

Source: MACs by oblivious linear evaluation with a fixed key as in Keller, Orsini, Scholl, "MASCOT", CCS 2016,
figures 3 and 4, with `quorate.preprocessing.vole` for COPEe. Deviation: there is no check of inputs of its own. A party
that sends different parties different things gets a MAC that fits no value; whatever is opened and depends on it fails
the MAC check, but for the probability to guess an honest party's alpha_j times a number that is not 0.

A party that puts different keys into its VOLEs, or others than a stock of tuples was made under, is not seen here: the
values that it has with party i get tags that are off by D x_i for a D of its choice, so whether a check passes would
tell it of x_i. `quorate.protocols.authenticated_local` finds this before anything else is authenticated.

Costs beside the VOLEs, per value, to every other party: 8 bytes over the field, 16 over the ring; a party's random
value is free towards the first other party. Rounds: 3, and 1 if anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels import field
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.vole import FieldVole, RingVole
from quorate.sharing.domain import Domain, Element

__all__ = ["Authentication"]

Array = npt.NDArray[Any]


class Authentication:
    """One participant's MAC key and its VOLEs with all other parties.

    Args:
        session: without a dealer.
        domain: of the values.
    """

    def __init__(self, session: Session, domain: Domain) -> None:
        self.session, self.domain = session, domain
        self.parties = range(session.parties)
        self.alpha: Element = ()
        self._voles: dict[tuple[int, int], FieldVole | RingVole] = {}

    def setup(self, at: Scope, kept: Sequence[Array] = ()) -> Step[None]:
        """Draw the MAC key, or take the one of `kept`; 2 rounds.

        Raises:
            IntegrityError: somebody cheated in base OTs.
        """
        word = self._key(at, kept)
        self.alpha = self.domain.from_words(word)
        make = FieldVole if self.domain.limbs == 1 else RingVole
        for sender, receiver in self.pairs():
            delta = int(word) if self.session.holds_shares and sender == self.session.me else None
            self._voles[sender, receiver] = make(self.session, sender, receiver, delta)
        yield from parallel([vole.setup(at.child(f"{s} to {r}")) for (s, r), vole in self._voles.items()])

    def pairs(self) -> list[tuple[int, int]]:
        """All ordered pairs of parties."""
        return [(one, other) for one in self.parties for other in self.parties if one != other]

    def _key(self, at: Scope, kept: Sequence[Array]) -> Array:
        """A 64-bit word; for the field an element."""
        if not self.session.holds_shares:
            return self.session.blank(())
        if kept:
            return np.array(kept[0][0], np.uint64)
        word = self.session.private(at, "MAC key").array(1, np.uint64)
        return np.array((field.from_random_words(word) if self.domain.limbs == 1 else word)[0], np.uint64)

    def random(self, at: Scope, owners: Sequence[int], count: int) -> Step[tuple[Element, Parts]]:
        """The sum of a random value of each owner: (our own value, where we own one; the authenticated parts)."""
        return (yield from self._placed(at, owners, count, None, chosen=False))

    def chosen(self, at: Scope, owners: Sequence[int], values: Element) -> Step[Parts]:
        """The sum of the owners' `values` (flat; of others only their number matters), authenticated."""
        _, parts = yield from self._placed(at, owners, values[0].shape[0], values, chosen=True)
        return parts

    def _placed(
        self, at: Scope, owners: Sequence[int], count: int, values: Element | None, *, chosen: bool
    ) -> Step[tuple[Element, Parts]]:
        links = [(sender, owner) for owner in owners for sender in self.parties if sender != owner]
        steps = [self._voles[link].extend(at.child(f"{link[0]} to {link[1]}"), count) for link in links]
        batches = dict(zip(links, (yield from parallel(steps)), strict=True))
        free = {} if chosen else {owner: next(j for j in self.parties if j != owner) for owner in owners}
        corrected = [link for link in links if free.get(link[1]) != link[0]]
        me, domain = self.session.me, self.domain
        blank = tuple(self.session.blank((count,)) for _ in range(domain.limbs))
        zero = tuple(np.zeros_like(limb) for limb in blank)
        value = values if values is not None else blank
        owns = me in owners and self.session.holds_shares
        if owns and not chosen:
            value = self._limbs(batches[free[me], me].u)
        arriving = {owner: [np.empty_like(limb) for limb in blank] for sender, owner in corrected if sender == me}
        sending = {}
        for sender, owner in corrected:
            if owner == me:
                mine = self._limbs(batches[sender, me].u) if owns else blank
                sending[sender] = [contiguous(limb) for limb in domain.sub(value, mine)]
        if corrected:
            yield Exchange(at.step(), sending, arriving)
        if not self.session.holds_shares:
            return value, (*blank, *blank)
        tag = domain.mul(value, self.alpha) if owns else zero
        for (sender, owner), batch in batches.items():
            if owner == me:
                tag = domain.add(tag, self._limbs(batch.m))
            elif sender == me:
                tag = domain.sub(tag, self._limbs(batch.k))
                if owner in arriving:
                    change = domain.received(tuple(arriving[owner]))
                    tag = domain.add(tag, domain.mul(change, self.alpha))
        return value, (*(value if owns else zero), *tag)

    def _limbs(self, array: Array) -> Element:
        """From how VOLEs hold elements."""
        if self.domain.limbs == 1:
            return (array,)
        return tuple(contiguous(array[:, k]) for k in range(self.domain.limbs))
