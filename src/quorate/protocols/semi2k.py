"""Additive sharing among n >= 2 parties, semi-honest, any n - 1 may be corrupted.

x = x_1 + ... + x_n modulo 2**64; Boolean words likewise with exclusive or. Operations use up correlated randomness
("tuples"). The parties make it themselves by oblivious transfer, beforehand or while the operation waits; or a trusted
dealer deals it, see `quorate.protocols.semi2k_sources`. The dealer is a participant of its own: it sees no share, only
sends correlated randomness, and must not collude with any party. It shares a key with every party, so all parts but
the last party's come from keys and the dealer sends one correction to the last party.

Sources
    Products: Beaver, "Efficient Multiparty Protocols Using Circuit Randomization", CRYPTO 1991; for matrices as in
    Mohassel, Zhang, "SecureML", IEEE S&P 2017, section 3. Tuples: `quorate.preprocessing.semi_honest`.
    Bits to integers: doubly shared bits, Rotaru, Wood, "MArBled Circuits", INDOCRYPT 2019.
    Truncation with a dealer: Dalskov, Escudero, Keller, "Fantastic Four", USENIX Security 2021, section 5.2, masks from
    the dealer. Without: each party rounds its summand and what remains is how often the sum wraps, see
    `quorate.protocols.summed_truncation`; for two parties from the product of two known bits, as in Rathee et al.,
    "SIRNN", IEEE S&P 2021, section III-B (there for known signs), with a pair of random bits of known product.
    Parts are refreshed with a pseudorandom sharing of zero before they are opened. Deviation from plain opening, so
    that a recipient sees a uniform sharing of the result and nothing else.

Bytes per element sent by each party: product 16 (n - 1); and of w-bit words 2 w / 8 (n - 1); bit to integer
(n - 1) / 8; input of a party 0; reveal 8 per recipient.
    With a dealer: truncation by f bits 8 (n - 1), product with truncation 24 (n - 1), shuffle 8 (n - 1). The dealer
    sends 8, w / 8, 8, and for truncation 8 + s, where s bytes hold f + 1 bits; for shuffles 8 n.
    Without: truncation 1 / 8 for n = 2, else `summed_truncation.cost(n)` products; shuffles `semi2k_switches`; products
    of words in small fields by ands. For tuples in addition, with t bytes per transfer (3.9 or, far apart, 0.4):
    product, inner product per element (260 + 64 t) (n - 1), of which 508 for n = 2 and t = 3.9; and 64 t (n - 1) per
    word of 64 bits (n > 2: and 16 (n - 2)); bit to integer, and truncation for n = 2, about (4 + t / 2) (n - 1).
Rounds: product, and, bit to integer, reveal 1; input of a party 0. Truncation 1 with a dealer or n = 2, product with
truncation one more; shuffle n with a dealer. Tuples that are not in stock cost the rounds of their production, once for
all operations that wait at the same time, and are made at least `semi_honest.BATCH` at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.kernels import ring, truncation
from quorate.protocols import known, semi2k_shuffle, semi2k_switches, summed_truncation
from quorate.protocols.base import Bilinear, Function, Integers, through_ands
from quorate.protocols.groups import SUM, XOR, Group, pair, total
from quorate.protocols.local import (
    RingLocal,
    check_full_words,
    check_shapes,
    low_words,
    public_words,
    ring_words,
    rows_of,
)
from quorate.protocols.semi2k_sources import DealerSource, Mail, ObliviousSource, Source, Triple
from quorate.sharing import additive, wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Semi2k"]

Array = npt.NDArray[Any]
OFFSET_BITS = 62


class Semi2k(RingLocal):
    """One participant of the additive protocol: a party, the dealer, or an outsider."""

    name: ClassVar[str] = "semi2k"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "semi-honest"
    majority: ClassVar[Literal["none", "honest", "dishonest"]] = "dishonest"
    usual_parties: ClassVar[int] = 2
    dealer_allowed: ClassVar[bool] = True
    capacity: ClassVar[int] = OFFSET_BITS

    def __init__(self, session: Session, threshold: int) -> None:
        n = session.parties
        if n < 2 or threshold != n - 1:
            raise UserError(f"semi2k runs with n >= 2 parties and threshold n - 1, not {n} and {threshold}")
        if session.dealer is not None and session.dealer < n:
            raise UserError("the dealer of semi2k must not be one of the parties; name another participant")
        super().__init__(session, threshold)
        self.dealer = session.dealer
        self.others = [party for party in range(n) if party != self.me]
        self.dealt: DealerSource | None = None
        self.source: Source
        if session.dealer is None:
            self.oblivious = self.source = ObliviousSource(session)
            self.supply = self.oblivious.supply
        else:
            self.dealt = self.source = DealerSource(session, session.dealer)

    @property
    def _is_dealer(self) -> bool:
        return self.me == self.dealer

    @property
    def resumable(self) -> bool:
        return self.dealer is not None  # else tuples are left over

    def setup(self, at: Scope) -> Step[None]:
        groups = list(combinations(range(self.parties), 2))
        if self.dealer is not None:
            groups += [(party, self.dealer) for party in range(self.parties)]
        yield from self.session.agree_keys(at, groups)
        if self.dealt is None:
            self.oblivious.supply.open(at.child("supply"))

    # -- input and output ----------------------------------------------------------------------------------------------

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        words = self.session.blank(shape) if values is None else ring_words(values)
        draw, name = at.step(), at.step()
        if owner < self.parties:
            zero = self._zero(draw, words.shape, np.uint64, SUM)
            return Arithmetic(self.name, (words + zero if self.me == owner else zero,))
        if self.me == owner:
            masks = self.session.draw((owner,), draw, self.session.tuple_blank((self.parties - 1, *shape)))
            parts = additive.split(words, list(masks))
            yield Exchange(name, {party: [part] for party, part in enumerate(parts)})
            return Arithmetic(self.name, (words,))
        part = self.session.blank(shape)
        yield Exchange(name, None, {owner: [part]} if self.me < self.parties else None)
        return Arithmetic(self.name, (part,))

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        opened = yield from self._reveal(at, x.parts[0], to, SUM)
        return None if opened is None else opened.view(np.int64)

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        opened = yield from self._reveal(at, wire.pack(x.parts[0], x.width), to, XOR)
        return None if opened is None else wire.unpack(opened, x.shape, x.width)

    def _reveal(self, at: Scope, part: Array, to: Collection[int], group: Group) -> Step[Array | None]:
        draw, name = at.step(), at.step()
        mine = np.asanyarray(group.add(part, self._zero(draw, part.shape, part.dtype, group)))
        sends = {other: [mine] for other in to if other != self.me} if self.me < self.parties else {}
        senders = self.others if self.me in to else []
        receives = {other: [self.session.tuple_blank(part.shape, part.dtype)] for other in senders}
        yield Exchange(name, sends, receives)
        if self.me not in to:
            return None
        arrived = [buffers[0] for buffers in receives.values()]
        return total([mine, *arrived] if self.me < self.parties else arrived, group)

    def _zero(self, name: Name, shape: tuple[int, ...], kind: npt.DTypeLike, group: Group) -> Array:
        """Our part of a pseudorandom sharing of zero; a ghost at whoever is no party."""
        total = self.session.blank(shape, kind)
        if self.me < self.parties:
            total[...] = 0
            for other in self.others:
                mask = self.session.draw(pair(self.me, other), name, self.session.scratch(0, shape, kind))
                (group.add if self.me < other else group.sub)(total, mask, out=total)
        return total

    # -- local ---------------------------------------------------------------------------------------------------------

    def public(self, values: Integers) -> Arithmetic:
        return Arithmetic(self.name, (self._at_first(ring_words(values)),))

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return Boolean(self.name, (self._at_first(public_words(words, width)),), width)

    def _at_first(self, words: Array) -> Array:
        return words if self.me == 0 else np.zeros_like(words)

    def xor_public(self, a: Boolean, words: npt.NDArray[np.generic]) -> Boolean:
        return a.with_parts((a.parts[0] ^ public_words(words, a.width),)) if self.me == 0 else a

    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        return Arithmetic(self.name, (self.session.blank(shape),))

    # -- products ------------------------------------------------------------------------------------------------------

    def _open(self, at: Scope, mine: list[Array], group: Group, mail: Mail) -> Step[list[Array]]:
        """Open masked values to all parties, corrections from the dealer on the way. One round."""
        name = at.step()
        if self._is_dealer:
            yield Exchange(name, mail.sends)
            return mine
        mine = [np.asanyarray(part) for part in mine]
        arriving = {other: [self.session.blank(part.shape, part.dtype) for part in mine] for other in self.others}
        yield Exchange(name, dict.fromkeys(self.others, mine), {**arriving, **mail.receives})
        return [total([part, *(arriving[o][k] for o in self.others)], group) for k, part in enumerate(mine)]

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        triple = yield from self.source.products(at, x.shape)
        into = out.parts[0] if out is not None and not shift else None
        z = Arithmetic(self.name, ((yield from self._elementwise(at, x.parts[0], y.parts[0], triple, into)),))
        return (yield from self.truncate(at.child("shift"), z, shift)) if shift else z

    def _elementwise(self, at: Scope, x: Array, y: Array, triple: Triple, out: Array | None) -> Step[Array]:
        """As `_product`, in one pass and into `out`."""
        a, b, c, mail = triple
        if self._is_dealer:
            yield from self._open(at, [x, y], SUM, mail)
            return c if out is None else out
        d, e = yield from self._open(at, [x - a, y - b], SUM, mail)
        return ring.beaver(c, d, e, a, b, self.me == 0, out)

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        check_shapes(x, y)
        rows = [rows_of(share.parts[0]) for share in (x, y)]
        self.session.multiplied(2 * x.size)
        triple = yield from self.source.inner(at, *rows[0].shape)
        flat = yield from self._product(at, rows[0], rows[1], ring.dot, triple)
        z = Arithmetic(self.name, (flat.reshape(x.shape[:-1]),))
        return (yield from self.truncate(at.child("shift"), z, shift)) if shift else z

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        self.session.multiplied(2 * x.size * y.shape[1])
        triple = yield from self.source.matrices(at, x.shape[0], x.shape[1], y.shape[1])
        part = yield from self._product(at, x.parts[0], y.parts[0], ring.matmul, triple)
        z = Arithmetic(self.name, (part,))
        return (yield from self.truncate(at.child("shift"), z, shift)) if shift else z

    def _product(
        self, at: Scope, x: Array, y: Array, times: Callable[[Array, Array], Array], triple: Triple
    ) -> Step[Array]:
        """Beaver's product for any bilinear `times`."""
        a, b, c, mail = triple
        if self._is_dealer:
            yield from self._open(at, [x, y], SUM, mail)
            return c
        d, e = yield from self._open(at, [x - a, y - b], SUM, mail)
        return total([c, times(d, b + e if self.me == 0 else b), times(a, e)], SUM)

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        packed = [wire.pack(words.parts[0], a.width) for words in (a, b)]
        r, s, c, mail = yield from self.source.ands(at, packed[0].shape, packed[0].dtype)
        if self._is_dealer:
            yield from self._open(at, packed, XOR, mail)
            return a
        d, e = yield from self._open(at, [packed[0] ^ r, packed[1] ^ s], XOR, mail)
        z = wire.unpack(c ^ (d & (s ^ e if self.me == 0 else s)) ^ (r & e), a.shape, a.width)
        full = z.dtype.type((1 << a.width) - 1)
        return Boolean(self.name, (z & full,), a.width)

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        """Beaver's product with exclusive or for addition; without a dealer by ands."""
        check_full_words(a, b)
        if self.dealt is None:
            return (yield from through_ands(self, at, a, b, times, shape))
        x, y = a.parts[0], b.parts[0]
        r, s, c, mail = self.dealt.bilinear(at, (x.shape, y.shape, shape), x.dtype, times)
        if self._is_dealer:
            yield from self._open(at, [x, y], XOR, mail)
            return a.with_parts((c,))
        d, e = yield from self._open(at, [x ^ r, y ^ s], XOR, mail)
        return a.with_parts((total([c, times(d, s ^ e if self.me == 0 else s), times(r, e)]),))

    # -- truncation, randomness, conversions ---------------------------------------------------------------------------

    @property
    def truncation_error(self) -> float:
        return 1.0 if self.dealt else summed_truncation.error(self.parties)

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        if self.dealt is None:
            return summed_truncation.offsets(self.parties)
        return 0, 1  # the quotients of c and r are rounded down, and their difference stands for that of c - r

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        if self.dealt is not None:
            return (yield from self._truncate_masked(at, x, shift, self.dealt))
        if self.parties > 2:
            return (yield from summed_truncation.truncate(self, at, x, shift))
        return (yield from self._truncate_summands(at, x, shift))

    def _truncate_masked(self, at: Scope, x: Arithmetic, shift: int, dealt: DealerSource) -> Step[Arithmetic]:
        """With a random value and its quotient from the dealer."""
        r, u, v, mail = dealt.truncation_pairs(at, x.shape, shift, truncation.top_type(shift))
        if self._is_dealer:
            yield from self._open(at, [x.parts[0]], SUM, mail)
            return x
        offset = np.uint64(1 << OFFSET_BITS if self.me == 0 else 0)
        (c,) = yield from self._open(at, [total([x.parts[0], r, np.asarray(offset)], SUM)], SUM, mail)
        part = truncation.half(c, shift, u, v, self.me == 0)
        if self.me == 0:
            part -= np.uint64(1 << (OFFSET_BITS - shift))
        return Arithmetic(self.name, (part,))

    def _truncate_summands(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        """Two parties: each rounds its summand, and the product of their top bits says whether the sum wraps.

        The bits are masked with a random bit pair, whose product is what makes it a tuple for conversions.
        """
        bit, value = yield from self.oblivious.bits(at, x.shape)
        part = x.parts[0] + np.uint64(1 << OFFSET_BITS) if self.me == 0 else x.parts[0]
        mine = wire.pack((part >> np.uint64(63)).astype(np.uint8) ^ bit, 1)
        theirs = self.session.blank(mine.shape, mine.dtype)
        yield Exchange(at.step(), {1 - self.me: [mine]}, {1 - self.me: [theirs]})
        opened = [wire.unpack(masked, x.shape, 1) for masked in (mine, theirs)]
        z = truncation.summand(part, shift, bit, value, opened[0], opened[1], self.me == 0)
        if self.me == 0:
            z -= np.uint64(1 << (OFFSET_BITS - shift))
        return Arithmetic(self.name, (z,))

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        yield from ()
        return Arithmetic(self.name, (self._own(at, shape, np.uint64),))

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        yield from ()
        return Boolean(self.name, (self._own(at, shape, np.uint8) & np.uint8(1),))

    def _own(self, at: Scope, shape: tuple[int, ...], kind: npt.DTypeLike) -> Array:
        """A part that nobody else knows, the dealer included."""
        part, name = self.session.blank(shape, kind), at.step()
        return part if self._is_dealer else self.session.draw((self.me,), name, part)

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        if self.dealt is None:
            return (yield from semi2k_switches.shuffle(self, at, columns, self.oblivious.tuples))
        return (yield from semi2k_shuffle.shuffle(self, at, columns, self.dealt.dealer))

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        """Party j's part is the j-th summand: no communication. Its Boolean sharing is trivial (others hold zero)."""
        yield from ()
        part = low_words(x.parts[0], width)
        zero = np.zeros_like(part)
        words = [part if self.me == party else zero for party in range(self.parties)]
        if negate_last:
            words[-1] = np.negative(words[-1])
        return [Boolean(self.name, (word,), width) for word in words]

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        packed = wire.pack(b.parts[0], 1)
        r, value, mail = yield from self.source.conversions(at, b.shape)
        if self._is_dealer:
            yield from self._open(at, [packed], XOR, mail)
            return Arithmetic(self.name, (value,))
        (opened,) = yield from self._open(at, [packed ^ r], XOR, mail)
        c = wire.unpack(opened, b.shape, 1).astype(np.uint64)
        part = value - (value * c << np.uint64(1))
        return Arithmetic(self.name, (part + c if self.me == 0 else part,))

    # -- functions of summands -----------------------------------------------------------------------------------------

    @property
    def summand_count(self) -> int:
        return self.parties

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        return (yield from known.semi2k(self, at, x, function, count))

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        return (yield from known.dot(self, at, x, function, count, shift))
