"""Kinds of authenticated tuples, and their making by a trusted dealer.

An authenticated value x is held as additive parts of x and of alpha x, where alpha is the sum of the parties' MAC keys:
parts are arrays, the limbs of x first, then those of alpha x (see `quorate.sharing.domain`). Kinds, with the parts of
each value in turn:

    products                 a, b, c = a b, in the ring modulo 2^64
    squares                  a, c = a a
    random numbers           r, uniform, unknown to everybody
    input masks J            r, uniform, known to party J, which also has the limbs of r itself at the end
    matrix products MxKxN    a (count, m, k), b (count, k, n) and a @ b
    truncation pairs F       r, which is the sum of summands s_1 ... s_k modulo 2^64 (ring, with uniform upper limbs) or
                             p; the sum of the s_j / 2^F, rounded to the nearest; the top bits of s_1 (lowest first), of
                             s_2, ... (as many of each as `summands` says); a dealer makes one summand
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.preprocessing.dealing import Dealing, Mail
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Maker
from quorate.sharing.domain import Domain, Element

__all__ = ["BATCH", "MASKS", "MATRICES", "PRODUCTS", "RANDOM", "SQUARES", "TRUNCATIONS", "DealtTuples"]

Array = npt.NDArray[Any]
PRODUCTS, SQUARES, RANDOM = "products", "squares", "random numbers"
MASKS, MATRICES, TRUNCATIONS = "input masks ", "matrix products ", "truncation pairs "
BATCH = {PRODUCTS: 1 << 10, SQUARES: 1 << 10, RANDOM: 1 << 8}


class DealtTuples:
    """Tuples from the dealer, who also makes the MAC keys: fast, and insecure against the dealer alone.

    Bytes from the dealer to the last party, with 8-byte limbs: product 4 limbs, square 3, random number 1, mask 1,
    truncation 5 or so; nothing else travels. One round for any number of one kind.
    """

    def __init__(self, session: Session, domain: Domain) -> None:
        self.session, self.domain = session, domain
        self.dealing = Dealing(session, domain)
        self.alpha: Element = ()

    @property
    def makers(self) -> Mapping[str, Maker]:
        """By kind."""
        return {PRODUCTS: self.products, SQUARES: self.squares, RANDOM: self.random}

    @property
    def families(self) -> Mapping[str, Callable[[str], Maker]]:
        """By the first words of a kind."""
        return {MASKS: self._masks, MATRICES: self._matrices, TRUNCATIONS: self._truncations}

    def setup(self, at: Scope, kept: Sequence[Array] = ()) -> Step[None]:
        """MAC keys, from the keys that the dealer shares with the parties: 64 bits each, or field elements.

        Raises:
            InternalError: there are `kept` keys, which belong to tuples that were made without a dealer.
        """
        if kept:
            raise InternalError("tuples of a stock cannot be used together with a dealer")
        yield from ()
        self.alpha = self.dealing.fresh(at, ())

    def products(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `PRODUCTS`."""
        return (yield from self._bilinear(at, (count,), (count,), (count,), self.domain.mul))

    def squares(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `SQUARES`."""
        mail = Mail()
        a = self.value(at, (count,), None, mail)
        c = self.value(at, (count,), lambda: self.domain.mul(a[: self._limbs], a[: self._limbs]), mail)
        return (yield from self._sent(at, [a, c], mail))

    def random(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `RANDOM`."""
        mail = Mail()
        return (yield from self._sent(at, [self.value(at, (count,), None, mail)], mail))

    def _masks(self, which: str) -> Maker:
        owner = int(which)

        def masks(at: Scope, count: int) -> Step[Parts]:
            mail = Mail()
            known = self.dealing.own(at, owner, (count,))
            tag = self._tag(at, (count,), known, mail)
            yield from self.dealing.carry(at, mail)
            if self.session.me == owner:
                return (*known, *tag, *known)
            return (*(np.zeros_like(self.session.blank((count,))) for _ in known), *self._ours(tag))

        return masks

    def _matrices(self, which: str) -> Maker:
        m, k, n = map(int, which.split("x"))

        def times(a: Element, b: Element) -> Element:
            rows = [
                self.domain.matmul(tuple(limb[i] for limb in a), tuple(limb[i] for limb in b))
                for i in range(a[0].shape[0])
            ]
            return tuple(np.stack(limb) for limb in zip(*rows, strict=True))

        return lambda at, count: self._bilinear(at, (count, m, k), (count, k, n), (count, m, n), times)

    def _truncations(self, which: str) -> Maker:
        shift = int(which)

        def truncations(at: Scope, count: int) -> Step[Parts]:
            mail, bits = Mail(), self.domain.secret_bits
            r = self.value(at, (count,), None, mail)
            one, up, down = np.uint64(1), np.uint64(shift), np.uint64(shift - 1)
            high = self.value(at, (count,), lambda: self.domain.from_words((r[0] >> up) + ((r[0] >> down) & one)), mail)
            top = self.value(at, (count,), lambda: self.domain.from_words(r[0] >> np.uint64(bits - 1)), mail)
            return (yield from self._sent(at, [r, high, top], mail))

        return truncations

    def _bilinear(
        self,
        at: Scope,
        left: tuple[int, ...],
        right: tuple[int, ...],
        result: tuple[int, ...],
        times: Callable[[Element, Element], Element],
    ) -> Step[Parts]:
        mail = Mail()
        a, b = self.value(at, left, None, mail), self.value(at, right, None, mail)
        c = self.value(at, result, lambda: times(a[: self._limbs], b[: self._limbs]), mail)
        return (yield from self._sent(at, [a, b, c], mail))

    @property
    def _limbs(self) -> int:
        return self.domain.limbs

    def value(self, at: Scope, shape: tuple[int, ...], secret: Callable[[], Element] | None, mail: Mail) -> Parts:
        """An authenticated value, uniform without `secret`, which the dealer calls; at the dealer the value first."""
        dealing = self.dealing
        x = dealing.fresh(at, shape) if secret is None else dealing.dealt(at, shape, secret, mail)
        return (*x, *self._tag(at, shape, x, mail))

    def _tag(self, at: Scope, shape: tuple[int, ...], x: Element, mail: Mail) -> Element:
        """Our part of alpha x, for what the dealer knows as x."""
        if not self.alpha:
            raise InternalError("tuples were asked for before there was a MAC key; please report this")
        return self.dealing.dealt(at, shape, lambda: self.domain.mul(x, self.alpha), mail)

    def _sent(self, at: Scope, values: list[Parts], mail: Mail) -> Step[Parts]:
        yield from self.dealing.carry(at, mail)
        return self._ours([limb for value in values for limb in value])

    def _ours(self, limbs: Any) -> Parts:
        """What the parties hold is of no use to the dealer."""
        return tuple(self.session.blank(limb.shape) if self.dealing.deals else limb for limb in limbs)
