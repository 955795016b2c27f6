"""Where `semi2k` gets its correlated randomness: from a trusted dealer, or from oblivious transfer between the parties.

Both give a party its parts of a tuple, and `Mail`: what the dealer sends with the next opening, so that it costs no
round of its own. Without a dealer nothing is sent then; the tuples were made before, see `quorate.preprocessing`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import ring
from quorate.preprocessing import semi_honest
from quorate.protocols.groups import SUM, XOR, Group, total
from quorate.sharing import wire

__all__ = ["DealerSource", "Mail", "ObliviousSource", "Source", "Triple"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
LOW = np.uint64((1 << 63) - 1)


class Mail:
    """Corrections that travel from the dealer to the last party with the next exchange."""

    __slots__ = ("receives", "sends")

    def __init__(self) -> None:
        self.sends: dict[int, list[Array]] = {}
        self.receives: dict[int, list[Array]] = {}


class Triple(NamedTuple):
    """Our parts of random a, b and of their product c."""

    a: Array
    b: Array
    c: Array
    mail: Mail


class Source(ABC):
    """Correlated randomness for one participant."""

    @abstractmethod
    def products(self, at: Scope, shape: Shape) -> Step[Triple]:
        """Elementwise products modulo 2**64."""

    @abstractmethod
    def inner(self, at: Scope, rows: int, length: int) -> Step[Triple]:
        """Inner products of the rows of two arrays (rows, length)."""

    @abstractmethod
    def matrices(self, at: Scope, m: int, k: int, n: int) -> Step[Triple]:
        """The product of an (m, k) and a (k, n) matrix."""

    @abstractmethod
    def ands(self, at: Scope, shape: Shape, kind: np.dtype[Any]) -> Step[Triple]:
        """Bitwise ands of words that are used in full."""

    @abstractmethod
    def conversions(self, at: Scope, shape: Shape) -> Step[tuple[Array, Array, Mail]]:
        """Bits, packed as they travel, and as numbers of `shape`."""


class DealerSource(Source):
    """The dealer computes what the parties need from keys that it shares with each of them.

    All parts but one of the last party's come from the keys; that one is the dealer's correction. Bytes from the dealer
    per element: product 8, and of w-bit words w / 8, bit to integer 8, truncation see `truncation_pairs`.
    """

    def __init__(self, session: Session, dealer: int) -> None:
        self.session = session
        self.dealer = dealer
        self.deals = session.me == dealer
        self.last = session.parties - 1

    def products(self, at: Scope, shape: Shape) -> Step[Triple]:
        yield from ()
        self.session.dealt("products", math.prod(shape))
        return self._triple(at, (shape, shape, shape), np.uint64, np.multiply, SUM)

    def inner(self, at: Scope, rows: int, length: int) -> Step[Triple]:
        yield from ()
        self.session.dealt("inner products", rows)
        return self._triple(at, ((rows, length), (rows, length), (rows,)), np.uint64, ring.dot, SUM)

    def matrices(self, at: Scope, m: int, k: int, n: int) -> Step[Triple]:
        yield from ()
        self.session.dealt("matrix products", 1)
        return self._triple(at, ((m, k), (k, n), (m, n)), np.uint64, ring.matmul, SUM)

    def ands(self, at: Scope, shape: Shape, kind: np.dtype[Any]) -> Step[Triple]:
        yield from ()
        self.session.dealt("AND words", -(-math.prod(shape) * kind.itemsize // 8))
        return self._triple(at, (shape, shape, shape), kind, np.bitwise_and, XOR)

    def bilinear(
        self, at: Scope, shapes: tuple[Shape, Shape, Shape], kind: np.dtype[Any], times: Callable[[Array, Array], Array]
    ) -> Triple:
        """Any product of words that is linear over exclusive or in each argument."""
        self.session.dealt("AND words", -(-math.prod(shapes[2]) * kind.itemsize // 8))
        return self._triple(at, shapes, kind, times, XOR)

    def conversions(self, at: Scope, shape: Shape) -> Step[tuple[Array, Array, Mail]]:
        yield from ()
        self.session.dealt("bit conversions", math.prod(shape))
        mail = Mail()
        r = self._fresh(at, (wire.packed_size(math.prod(shape), 1),), np.uint8, XOR)
        like = self.session.blank(shape)
        value = self._dealt(at, like, lambda: wire.unpack(r, shape, 1).astype(np.uint64), SUM, mail)
        return r, value, mail

    def truncation_pairs(self, at: Scope, shape: Shape, shift: int, kind: np.dtype[Any]) -> Triple:
        """Random r, (r mod 2**63) >> shift, and the top bit of r modulo the range of `kind`; 8 bytes and one `kind`."""
        self.session.dealt("truncation pairs", math.prod(shape))
        mail = Mail()
        r = self._fresh(at, shape, np.uint64, SUM)
        u = self._dealt(at, self.session.blank(shape), lambda: (r & LOW) >> np.uint64(shift), SUM, mail)
        v = self._dealt(at, self.session.blank(shape, kind), lambda: (r >> np.uint64(63)).astype(kind), SUM, mail)
        return Triple(r, u, v, mail)

    def _triple(
        self,
        at: Scope,
        shapes: tuple[Shape, Shape, Shape],
        kind: npt.DTypeLike,
        times: Callable[[Array, Array], Array],
        group: Group,
    ) -> Triple:
        mail = Mail()
        a = self._fresh(at, shapes[0], kind, group)
        b = self._fresh(at, shapes[1], kind, group)
        c = self._dealt(at, self.session.blank(shapes[2], kind), lambda: times(a, b), group, mail)
        return Triple(a, b, c, mail)

    def _fresh(self, at: Scope, shape: Shape, kind: npt.DTypeLike, group: Group) -> Array:
        """Our part of a uniform value; at the dealer the value itself."""
        name = at.step()
        if self.deals:
            return self._drawn_parts(name, shape, kind, group, self.last + 1)
        return self.session.draw((self.session.me, self.dealer), name, self.session.blank(shape, kind))

    def _drawn_parts(self, name: Name, shape: Shape, kind: npt.DTypeLike, group: Group, count: int) -> Array:
        """At the dealer: what the parts of the first `count` parties add up to."""
        parts = [
            self.session.draw((party, self.dealer), name, self.session.tuple_blank(shape, kind))
            for party in range(count)
        ]
        return total(parts, group)

    def _dealt(self, at: Scope, like: Array, secret: Callable[[], Array], group: Group, mail: Mail) -> Array:
        """Our part of a value that the dealer computes; the last party's part comes with `mail`."""
        name = at.step()
        if self.deals:
            drawn = self._drawn_parts(name, like.shape, like.dtype, group, self.last)
            mail.sends.setdefault(self.last, []).append(group.sub(secret(), drawn))
            return like
        part = self.session.blank(like.shape, like.dtype)
        if self.session.me == self.last:
            mail.receives.setdefault(self.dealer, []).append(part)
            return part
        return self.session.draw((self.session.me, self.dealer), name, part)


class ObliviousSource(Source):
    """Tuples that the parties made, from the session's supply: in stock, or produced while the operation waits."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tuples = semi_honest.SemiHonestTuples(session)
        self.supply = self.tuples.supply

    def products(self, at: Scope, shape: Shape) -> Step[Triple]:
        parts = yield from self._taken(at, semi_honest.PRODUCTS, math.prod(shape), "products")
        a, b, c = (part.reshape(shape) for part in parts)
        return Triple(a, b, c, Mail())

    def inner(self, at: Scope, rows: int, length: int) -> Step[Triple]:
        """Products one by one, whose sums are the inner products."""
        a, b, c, mail = yield from self.products(at, (rows, length))
        return Triple(a, b, np.add.reduce(c, axis=1), mail)

    def matrices(self, at: Scope, m: int, k: int, n: int) -> Step[Triple]:
        if not (m and k and n):
            blank = self.session.blank
            both = blank((m, n))
            both[...] = 0
            return Triple(blank((m, k)), blank((k, n)), both, Mail())
        parts = yield from self._taken(at, f"{semi_honest.MATRICES}{m}x{k}x{n}", 1, "matrix products")
        a, b, c = (part[0] for part in parts)
        return Triple(a, b, c, Mail())

    def ands(self, at: Scope, shape: Shape, kind: np.dtype[Any]) -> Step[Triple]:
        count = math.prod(shape)
        parts = yield from self._taken(at, semi_honest.AND_WORDS, -(-count * kind.itemsize // 8), "AND words")
        a, b, c = (part.view(kind)[:count].reshape(shape) for part in parts)
        return Triple(a, b, c, Mail())

    def conversions(self, at: Scope, shape: Shape) -> Step[tuple[Array, Array, Mail]]:
        bit, value = yield from self.bits(at, shape)
        return wire.pack(bit, 1), value, Mail()

    def bits(self, at: Scope, shape: Shape) -> Step[tuple[Array, Array]]:
        """Random bits (uint8), and as numbers."""
        parts = yield from self._taken(at, semi_honest.CONVERSIONS, math.prod(shape), "bit conversions")
        return parts[0].reshape(shape), parts[1].reshape(shape)

    def _taken(self, at: Scope, kind: str, count: int, dealt: str) -> Step[tuple[Array, ...]]:
        self.session.dealt(dealt, count)
        if not count:
            kinds = (np.uint8, np.uint64) if kind == semi_honest.CONVERSIONS else (np.uint64,) * 3
            return tuple(self.session.blank((0,), dtype) for dtype in kinds)
        return (yield from self.supply.take(at, kind, count))
