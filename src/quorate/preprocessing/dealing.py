"""What a trusted dealer hands out: sums of parts that come from keys, with one correction for the last party.

The dealer shares a key with every party, so what is random costs nothing, and of what it computes the last party's part
travels. It sees no share. Source: as in `quorate.protocols.semi2k`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Protocol

import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import InternalError

__all__ = ["Additive", "Dealing", "Mail"]

Array = npt.NDArray[Any]
Element = tuple[Array, ...]


class Additive(Protocol):
    """How parts add up, such as a `quorate.sharing.domain.Domain`: elements are tuples of `limbs` uint64 arrays."""

    @property
    def limbs(self) -> int:
        """How many arrays."""

    def add(self, x: Element, y: Element) -> Element:
        """x + y."""

    def sub(self, x: Element, y: Element) -> Element:
        """x - y."""

    def uniform(self, words: Element) -> Element:
        """Uniform elements from uniform words."""


class Mail:
    """Corrections from the dealer to the last party that travel together."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []


class Dealing:
    """One participant's part in handing out, for one kind of addition. Keys (party, dealer) must be agreed.

    Args:
        session: with a dealer.
        adder: how parts add up.

    Raises:
        InternalError: there is no dealer.
    """

    def __init__(self, session: Session, adder: Additive) -> None:
        if session.dealer is None:
            raise InternalError("there is no dealer to deal")
        self.session, self.adder, self.dealer = session, adder, session.dealer
        self.last = session.parties - 1

    @property
    def deals(self) -> bool:
        """Whether this participant is the dealer."""
        return self.session.me == self.dealer

    def fresh(self, at: Scope, shape: tuple[int, ...]) -> Element:
        """Our part of a uniform value; the value itself at the dealer; ghosts at whoever is neither."""
        return self._sum(at.step(), shape, self.session.parties)

    def own(self, at: Scope, owner: int, shape: tuple[int, ...]) -> Element:
        """A uniform value that `owner`, a party, and the dealer know; ghosts or garbage elsewhere."""
        name = at.step()
        return self._drawn(owner, name, shape) if self.session.me in (owner, self.dealer) else self._blank(shape)

    def dealt(self, at: Scope, shape: tuple[int, ...], secret: Callable[[], Element], mail: Mail) -> Element:
        """Our part of a value that the dealer computes, to be had once `mail` is carried; at the dealer the value."""
        name = at.step()  # by all alike: the name of the round comes after it
        if self.session.me == self.last:
            part = tuple(self.session.blank(shape) for _ in range(self.adder.limbs))
            mail.arrays += part
            return part
        drawn = self._sum(name, shape, self.last)
        if not self.deals:
            return drawn
        value = secret()
        mail.arrays += self.adder.sub(value, drawn)
        return value

    def carry(self, at: Scope, mail: Mail) -> Step[None]:
        """One round: the corrections."""
        sends = {self.last: mail.arrays} if self.deals and mail.arrays else None
        receives = {self.dealer: mail.arrays} if self.session.me == self.last and mail.arrays else None
        yield Exchange(at.step(), sends, receives)

    def _sum(self, name: Name, shape: tuple[int, ...], count: int) -> Element:
        """Our drawn part; at the dealer those of the first `count` parties together."""
        if self.deals:
            return reduce(self.adder.add, [self._drawn(party, name, shape) for party in range(count)])
        return self._drawn(self.session.me, name, shape) if self.session.me < count else self._blank(shape)

    def _drawn(self, party: int, name: Name, shape: tuple[int, ...]) -> Element:
        blank = self.session.tuple_blank if self.deals else self.session.blank
        whole = self.session.draw((party, self.dealer), name, blank((self.adder.limbs, *shape)))
        return self.adder.uniform(tuple(whole[k, ...] for k in range(self.adder.limbs)))

    def _blank(self, shape: tuple[int, ...]) -> Element:
        return tuple(self.session.blank(shape) for _ in range(self.adder.limbs))
