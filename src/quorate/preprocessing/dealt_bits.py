"""Authenticated bits from a trusted dealer, who has the keys: the tuples of `quorate.protocols.authenticated_bits`.

Bytes from the dealer to the last party: what it does not draw itself, planes of s words of 8 bytes: an and word
24 s + 8, a random word 8 s, and for a private word of each party its planes and 64 numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.preprocessing.dealing import Dealing, Mail
from quorate.preprocessing.stock import Parts

__all__ = ["DealtBits"]

Array = npt.NDArray[Any]
Element = tuple[Array, ...]
FULL = (1 << 64) - 1
DealNumber = Callable[[Scope, tuple[int, ...], Callable[[], Array], Mail], Element]
"""(scope, shape, secret words at the dealer, mail) -> parts of an authenticated number."""


class Planes:
    """Exclusive or of so many words at once."""

    def __init__(self, limbs: int) -> None:
        self.limbs = limbs

    def add(self, x: Element, y: Element) -> Element:
        """x ^ y."""
        return tuple(p ^ q for p, q in zip(x, y, strict=True))

    def sub(self, x: Element, y: Element) -> Element:
        """x ^ y."""
        return self.add(x, y)

    def uniform(self, words: Element) -> Element:
        """Words as they are."""
        return words


class DealtBits:
    """One participant's part in handing out authenticated words."""

    def __init__(self, session: Session, count_planes: int, number: DealNumber) -> None:
        self.session = session
        self.values = Dealing(session, Planes(1))
        self.tags = Dealing(session, Planes(count_planes - 1))
        self.number = number
        self._delta = 0

    def key(self, at: Scope) -> Array:
        """Our key, as of `draw_key`; at the dealer that of all together."""
        drawn = self.values.fresh(at, (2,))[0]
        key = np.zeros(2, np.uint64)
        if not self.session.counting and (self.values.deals or self.session.holds_shares):
            key = drawn.copy()
        key[0] = (key[0] & np.uint64(2**64 - 2)) | np.uint64(self.session.me == 0 or self.values.deals)
        self._delta = int(key[0])
        return key

    def ands(self, at: Scope, count: int) -> Step[Parts]:
        """As `AndWords.make`."""
        mail = Mail()
        x, y = (self.values.fresh(at, (count,)) for _ in range(2))
        z = self.values.dealt(at, (count,), lambda: (x[0] & y[0],), mail)
        return (yield from self._sent(at, [self._tagged(at, value, mail) for value in (x, y, z)], mail))

    def random(self, at: Scope, count: int) -> Step[Parts]:
        """As `RandomWords.make`."""
        mail = Mail()
        return (yield from self._sent(at, [self._tagged(at, self.values.fresh(at, (count,)), mail)], mail))

    def private(self, at: Scope, count: int) -> Step[Parts]:
        """As `PrivateWords.make`."""
        mail = Mail()
        mine = self.session.blank((count,))
        parts: list[Parts] = []
        for owner in range(self.session.parties):
            within = at.child(f"of {owner}")
            known = self.values.own(within, owner, (count,))
            mine = known[0] if owner == self.session.me else mine
            secret = partial(_bits, known[0])
            parts.append(self.number(within.child("numbers"), (count, 64), secret, mail))
            word = self.values.dealt(within, (count,), partial(tuple, known), mail)
            parts.append(self._tagged(within, word, mail))
        return (yield from self._sent(at, [(mine,), *parts], mail))

    def _tagged(self, at: Scope, value: Element, mail: Mail) -> Parts:
        """The planes of a value, at the dealer the value and its planes."""

        def secret() -> Element:
            return tuple(
                value[0] & np.uint64(-(self._delta >> j & 1) & FULL) for j in range(1, self.tags.adder.limbs + 1)
            )

        return (*value, *self.tags.dealt(at, value[0].shape, secret, mail))

    def _sent(self, at: Scope, values: Sequence[Parts], mail: Mail) -> Step[Parts]:
        yield from self.values.carry(at, mail)
        parts = [part for value in values for part in value]
        return tuple(self.session.blank(part.shape) if self.values.deals else part for part in parts)


def _bits(words: Array) -> Array:
    """(count,) words to (count, 64) bits, lowest first, as uint64."""
    places = np.arange(64, dtype=np.uint64)
    found: Array = (words[:, None] >> places) & np.uint64(1)
    return found
