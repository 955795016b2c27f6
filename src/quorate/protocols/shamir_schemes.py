"""The sharings of `shamir_malicious` as the verification of products sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols import shamir_heard, shamir_opening
from quorate.protocols.verification.bit_domain import BitDomain
from quorate.protocols.verification.domain import Array, Domain, Pairs
from quorate.protocols.verification.field_domain import FieldDomain
from quorate.protocols.verification.scheme import Parts, Scheme

if TYPE_CHECKING:
    from quorate.protocols.shamir_malicious import ShamirMalicious

__all__ = ["NumberScheme", "WordScheme"]


class NumberScheme(Scheme):
    """Shamir's sharing over the field: one part, the share. Products of shares are of degree 2t; see `Shamir.spread`.

    With n = 2t + 1 whatever is sent gives shares of the honest parties that lie on one polynomial; with more parties,
    members of the collecting group compare what they got.
    """

    def __init__(self, protocol: ShamirMalicious) -> None:
        self.p = protocol
        self.domain: Domain = FieldDomain()

    def pairs(self, x: Parts, y: Parts, add: Callable[[Array, Array], Array]) -> Pairs:
        return [(x[0], y[0])] if self.p.me < self.p.multipliers else []

    def weighted(self, values: Array) -> Array:
        return values

    def reshare(self, at: Scope, values: Array) -> Step[Parts]:
        p = self.p
        holders = tuple(range(p.multipliers))
        weight = p.product_weights[p.me] if p.me in holders else 0
        return (yield from p.spread(at, values, holders, weight)).parts

    def random(self, at: Scope, count: int) -> Parts:
        return (self.p.random_share(at, (count,)),)

    def place(self, group: tuple[int, ...], values: Array) -> Parts:
        return self.p.place(group, values).parts

    def open(self, at: Scope, parts: Parts) -> Step[Array]:
        opened = yield from shamir_opening.open_numbers(self.p, at, parts[0], range(self.p.parties))
        return parts[0] if opened is None else opened

    def agreed(self, at: Scope) -> Step[None]:
        if self.p.parties > self.p.multipliers:
            yield from shamir_heard.compare(self.p, at, self.p.heard_in_check)


class WordScheme(Scheme):
    """Words by exclusive or, one part for each of our groups. Elements of the extension are words of 64 bits too."""

    def __init__(self, protocol: ShamirMalicious) -> None:
        self.p = protocol
        self.domain: Domain = BitDomain()

    def pairs(self, x: Parts, y: Parts, add: Callable[[Array, Array], Array]) -> Pairs:
        p = self.p
        found = []
        for left, part in zip(p.mine, x, strict=True) if p.me < p.multipliers else ():
            factors = [other for right, other in zip(p.mine, y, strict=True) if min(set(left) & set(right)) == p.me]
            if factors:
                whole = factors[0]
                for other in factors[1:]:
                    whole = add(whole, other)
                found.append((part, whole))
        return found

    def weighted(self, values: Array) -> Array:
        return values

    def reshare(self, at: Scope, values: Array) -> Step[Parts]:
        return (yield from self.p.spread_bits(at, values, tuple(range(self.p.multipliers)), 64)).parts

    def random(self, at: Scope, count: int) -> Parts:
        name = at.step()
        drawn = [self.p.session.draw(group, name, self.p.session.blank((count,))) for group in self.p.mine]
        return tuple(self.domain.uniform(np.asanyarray(part)) for part in drawn)

    def place(self, group: tuple[int, ...], values: Array) -> Parts:
        return self.p.place_words(group, values, 64).parts

    def open(self, at: Scope, parts: Parts) -> Step[Array]:
        opened = yield from shamir_opening.open_words(self.p, at, parts, 64, range(self.p.parties))
        return parts[0] if opened is None else np.asanyarray(opened)

    def agreed(self, at: Scope) -> Step[None]:
        yield from shamir_heard.compare(self.p, at, self.p.heard_in_check)
