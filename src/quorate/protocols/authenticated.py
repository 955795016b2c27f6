"""Authenticated additive sharing among n >= 2 parties, malicious, any n - 1 may be corrupted: what `spdz` and `spdz2k`
have in common.

Party i holds parts of the secret x and of alpha x, and a part of the MAC key alpha that nobody knows. Everything linear
is local. Whatever is opened on the way is noted, and checked before any result is opened.

Sources
    Damgard, Pastro, Smart, Zakarias, "Multiparty Computation from Somewhat Homomorphic Encryption", CRYPTO 2012 (SPDZ),
    figure 7: inputs by masks, products of Beaver, outputs. Checks: `quorate.preprocessing.mac_check`.
    Outside owners and recipients: Damgard, Damgard, Nielsen, Nordholt, Toft, "Confidential Benchmarking based on
    Multiparty Computation", FC 2016: the parties open a product (a, b, a b) to the outsider, who checks it; a masks.
    Truncation: `quorate.protocols.summed_truncation`.
    Deviations: results for all parties are opened and then checked, all in one; a result for one party is opened
    under a mask that this party knows, so the others, who check, do not learn it.

Bytes each party sends to each other one, online, with L = 8 (spdz) or 16 (spdz2k)
    product, per element 2 L; dot the same per term; matmul L per entry of both matrices; input of a party 8 (from it);
    input of an outsider 3 L to it and 8 from it; reveal L; check 128 + 3 L.
Rounds: product 1, input 1 (outside 2), reveal 1 + 4 for the check (+ 4 if something is to be checked before; + 1 for
outsiders).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import combinations
from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError, InternalError, UserError
from quorate.kernels.ghost import contiguous
from quorate.preprocessing import mac_check
from quorate.preprocessing.authenticated import (
    BATCH,
    MASKS,
    MATRICES,
    OUTSIDE,
    PRODUCTS,
    RANDOM,
    TRUNCATIONS,
    DealtTuples,
)
from quorate.preprocessing.authenticated_triples import OwnTuples
from quorate.preprocessing.mac_check import Opened, Said
from quorate.preprocessing.ring_triples import RingTuples
from quorate.preprocessing.supply import Maker, Supply
from quorate.protocols import summed_truncation as summed
from quorate.protocols.base import Function, Integers
from quorate.protocols.deferred import Deferred
from quorate.protocols.local import BooleanLocal, as_int64, check_shapes
from quorate.sharing.domain import Domain, Element
from quorate.sharing.share import Arithmetic

__all__ = ["Authenticated"]

Array = npt.NDArray[Any]


class Authenticated(BooleanLocal):
    """Numbers; for Boolean words see `quorate.protocols.authenticated_bits`, which comes first among the bases."""

    domain: ClassVar[Domain]
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "malicious"
    majority: ClassVar[Literal["none", "honest", "dishonest"]] = "dishonest"
    usual_parties: ClassVar[int] = 2
    dealer_allowed: ClassVar[bool] = True
    keeps: ClassVar[bool] = False

    def __init__(self, session: Session, threshold: int) -> None:
        n = session.parties
        if n < 2 or threshold != n - 1:
            raise UserError(f"{self.name} runs with n >= 2 parties and threshold n - 1, not {n} and {threshold}")
        super().__init__(session, threshold)
        self.others = [party for party in range(n) if party != self.me]
        own = RingTuples if self.domain.veiled else OwnTuples
        self.tuples: DealtTuples | OwnTuples = (
            own(session, self.domain) if session.dealer is None else DealtTuples(session, self.domain)
        )
        makers = {**self.tuples.makers, **(self.bit_makers() if session.dealer is None else self.dealt_bit_makers())}
        self.supply = Supply(makers, {**BATCH, **self.bit_batches()}, self.tuples.families)
        self.deferred: Deferred[Any] = Deferred(self._check)

    @property
    def _stocked(self) -> Supply:
        """Where tuples come from; an outsider's is that of the counting instance, see `quorate.protocols.bystander`."""
        return cast(Supply, self.supply)

    def setup(self, at: Scope) -> Step[None]:
        """Keys, MAC keys, and whatever the production of tuples needs."""
        n, dealer = self.parties, self.session.dealer
        dealt = () if dealer is None else tuple((party, dealer) for party in range(n))
        yield from self.session.agree_keys(at.child("keys"), [*combinations(range(n), 2), *dealt])
        self.deferred.open(at.child("checks"))
        self._stocked.open(at.child("supply"))
        kept = self.session.stock_keys
        yield from self.tuples.setup(at.child("tuples"), kept[:1])
        if kept:
            self.adopt_bit_keys(list(kept[1:]))
        yield from self.setup_bits(at.child("bits"))

    def stock_keys(self) -> list[Array]:
        return [np.asanyarray(self.alpha[0]).reshape(1), *self.bit_keys()]

    @property
    def alpha(self) -> Element:
        """Our part of the MAC key, of shape ()."""
        return self.tuples.alpha

    # -- what the Boolean side adds ------------------------------------------------------------------------------------

    def bit_makers(self) -> dict[str, Maker]:
        """Further kinds of tuples that the parties make."""
        return {}

    def dealt_bit_makers(self) -> dict[str, Maker]:
        """The same kinds from the dealer."""
        return {}

    def bit_batches(self) -> dict[str, int]:
        """How many tuples of these kinds are produced at least."""
        return {}

    def bit_keys(self) -> list[Array]:
        """Further keys on which tuples depend."""
        return []

    def adopt_bit_keys(self, keys: list[Array]) -> None:
        """Take keys that belong to tuples in stock, before `setup_bits`."""

    def setup_bits(self, at: Scope) -> Step[None]:
        """Set-up of the Boolean side."""
        yield from ()

    def check_bits(self, at: Scope, notes: list[Any]) -> Step[None]:
        """Check what the Boolean side has noted."""
        yield from ()

    def private_words(self, at: Scope, shape: tuple[int, ...]) -> Step[list[Any]]:
        """See `quorate.protocols.authenticated_bits`."""
        raise InternalError("the Boolean side makes private words")

    # -- checks --------------------------------------------------------------------------------------------------------

    def checked(self) -> Step[None]:
        yield from self.deferred.settle()

    def _check(self, at: Scope, notes: Sequence[Any]) -> Step[None]:
        numbers = [note for note in notes if isinstance(note, Opened | Said)]
        others = [note for note in notes if not isinstance(note, Opened | Said)]
        steps = [self.check_bits(at.child("bits"), others)]
        if numbers:
            steps.append(mac_check.check(self.session, self.domain, self.alpha, at.child("numbers"), numbers))
        yield from parallel(steps)

    def _note(self, name: Name, note: Opened | Said, size: int) -> None:
        self.deferred.note(name, note, size)

    def require_zero(self, at: Scope, x: Arithmetic) -> None:
        """Have it checked, some time before anything is opened to a recipient, that x is zero (all 128 bits in the
        ring). Sends nothing."""
        self._note(at.step(), Opened(None, self._tag(x)), x.size)

    # -- openings ------------------------------------------------------------------------------------------------------

    def _value(self, x: Arithmetic) -> Element:
        return x.parts[: self.domain.limbs]

    def _tag(self, x: Arithmetic) -> Element:
        return x.parts[self.domain.limbs :]

    def _share(self, parts: Sequence[Array]) -> Arithmetic:
        return Arithmetic(self.name, tuple(parts))

    def _open_parts(self, name: Name, mine: Sequence[Element]) -> Step[list[Element]]:
        """What the parts of all parties add up to, unchecked. One round."""
        sent = [[contiguous(limb) for limb in x] for x in mine]
        flat = [limb for x in sent for limb in x]
        if self.me >= self.parties:
            yield Exchange(name)
            return [tuple(x) for x in sent]
        arriving = {other: [self.session.blank(limb.shape) for limb in flat] for other in self.others}
        yield Exchange(name, dict.fromkeys(self.others, flat), arriving)
        limbs = self.domain.limbs
        results = []
        for k, x in enumerate(sent):
            theirs = [self.domain.received(tuple(got[k * limbs : (k + 1) * limbs])) for got in arriving.values()]
            results.append(self.domain.total([tuple(x), *theirs]))
        return results

    def open_checked(self, at: Scope, x: Arithmetic, *, veil: bool = True) -> Step[Element]:
        """Open x to all parties, to be checked before anything is opened to a recipient. One round.

        Args:
            veil: over the ring, mask the upper 64 bits; not needed where they are masked already, by what nobody knows.
        """
        if veil and self.domain.veiled:
            x = self.add(x, (yield from self._veil(at.child("veil"), x.shape)))
        name = at.step()
        (opened,) = yield from self._open_parts(name, [self._value(x)])
        self._note(name, Opened(opened, self._tag(x)), x.size)
        return opened

    def _veil(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        """Random multiples of 2^64."""
        parts = yield from self.take(at, RANDOM, shape)
        factor = self.domain.power_of_two(64)
        return self._times(self._share(parts), factor)

    def take(self, at: Scope, kind: str, shape: tuple[int, ...]) -> Step[list[Array]]:
        """Tuples from the supply, in this shape (which has elements)."""
        count = int(np.prod(shape, dtype=np.int64))
        parts = yield from self._stocked.take(at, kind, count)
        return [part.reshape((*shape, *part.shape[1:])) for part in parts]

    # -- input ---------------------------------------------------------------------------------------------------------

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        x = None if values is None else self.domain.encode(as_int64(values))
        if 0 in shape:
            yield from ()
            return self.public(np.zeros(shape, np.int64))
        if owner >= self.parties:
            return (yield from self._outside_input(at, owner, shape, x))
        parts = yield from self.take(at.child("mask"), MASKS + str(owner), shape)
        limbs = self.domain.limbs
        difference = self.session.blank(shape)
        if self.me == owner and x is not None:
            difference = self.domain.sub(x, tuple(parts[2 * limbs :]))[0]
        return (yield from self._masked_input(at, owner, self._share(parts[: 2 * limbs]), difference))

    def _masked_input(self, at: Scope, owner: int, mask: Arithmetic, difference: Array) -> Step[Arithmetic]:
        """The mask plus what its owner says to all parties. One round."""
        name = at.step()
        told = [party for party in range(self.parties) if party != owner]
        if self.me == owner:
            yield Exchange(name, {party: [contiguous(difference)] for party in told})
        else:
            yield Exchange(name, None, {owner: [difference]} if self.me in told else None)
        said = self.domain.said(difference)
        self._note(name, Said(said), difference.size)
        return self._plus(mask, said)

    def _outside_input(self, at: Scope, owner: int, shape: tuple[int, ...], x: Element | None) -> Step[Arithmetic]:
        parts = yield from self.take(at.child("product"), OUTSIDE, shape)
        mask = yield from self._shown_product(at, owner, parts)
        difference = self.session.blank(shape)
        if self.me == owner:
            x = x or tuple(self.session.tuple_blank(shape) for _ in range(self.domain.limbs))
            difference = contiguous(self.domain.sub(x, mask)[0])
        return (yield from self._masked_input(at, owner, self._share(parts[: 2 * self.domain.limbs]), difference))

    def _shown_product(self, at: Scope, outsider: int, parts: Sequence[Array]) -> Step[Element]:
        """A product (a, b, c), opened to an outsider, who checks it; returns a there. One round.

        Who changes a, or b, has to guess what to add to c: 2^-60 over the field, 2^-64 over the ring, where all 128
        bits have to fit.
        """
        limbs = self.domain.limbs
        mine = [contiguous(part) for k in (0, 2, 4) for part in parts[k * limbs : (k + 1) * limbs]]
        name = at.step()
        if self.me != outsider:
            yield Exchange(name, {outsider: mine} if self.me < self.parties else None)
            return tuple(mine[:limbs])
        arriving = {party: [self.session.tuple_blank(part.shape) for part in mine] for party in range(self.parties)}
        yield Exchange(name, None, arriving)
        a, b, c = (
            self.domain.total([self.domain.received(tuple(got[k : k + limbs])) for got in arriving.values()])
            for k in (0, limbs, 2 * limbs)
        )
        if not self.session.counting and not self.domain.is_zero(self.domain.sub(self.domain.mul(a, b), c)):
            raise IntegrityError(f"{at.path}: a mask that the parties sent is no product; one of them cheated")
        return a

    # -- output --------------------------------------------------------------------------------------------------------

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        yield from self.checked()
        if not x.size:
            return np.zeros(x.shape, np.int64) if self.me in to else None
        outside = sorted(k for k in to if k >= self.parties)
        inside = sorted(k for k in to if k < self.parties)
        if len(inside) == self.parties:
            opened = yield from self.open_checked(at.child("open"), x)
            yield from self.checked()
            opened = yield from self._copied(at.child("copies"), opened, outside)
            return self.domain.decode(opened) if self.me in to else None
        steps = [self._reveal_inside(at.child(f"to {k}"), x, k) for k in inside]
        steps += [self._reveal_outside(at.child(f"to {k}"), x, k) for k in outside]
        results = yield from parallel(steps)
        mine = [result for k, result in zip([*inside, *outside], results, strict=True) if k == self.me]
        return self.domain.decode(mine[0]) if mine else None

    def _reveal_inside(self, at: Scope, x: Arithmetic, recipient: int) -> Step[Element]:
        """Under a mask that the recipient knows, so that all can check and one learns it."""
        limbs = self.domain.limbs
        parts = yield from self.take(at.child("mask"), MASKS + str(recipient), x.shape)
        opened = yield from self.open_checked(at.child("open"), self.add(x, self._share(parts[: 2 * limbs])))
        yield from self.checked()
        return self.domain.sub(opened, tuple(parts[2 * limbs :])) if self.me == recipient else opened

    def _reveal_outside(self, at: Scope, x: Arithmetic, recipient: int) -> Step[Element]:
        """Under a mask that is opened to the recipient; the masked value, once checked, is sent by all parties."""
        parts = yield from self.take(at.child("product"), OUTSIDE, x.shape)
        masked = self.add(x, self._share(parts[: 2 * self.domain.limbs]))
        opened = yield from self.open_checked(at.child("open"), masked)
        yield from self.checked()
        mask, opened = yield from parallel(
            [
                self._shown_product(at.child("mask"), recipient, parts),
                self._copied(at.child("copies"), opened, [recipient]),
            ]
        )
        return self.domain.sub(opened, mask)

    def _copied(self, at: Scope, opened: Element, outside: Sequence[int]) -> Step[Element]:
        """All parties send what they have opened and checked to these outsiders, who compare. One round, if any."""
        if not outside:
            yield from ()
            return opened
        mine = [contiguous(limb) for limb in opened]
        name = at.step()
        if self.me not in outside:
            yield Exchange(name, dict.fromkeys(outside, mine) if self.me < self.parties else None)
            return opened
        copies = {party: [self.session.tuple_blank(limb.shape) for limb in mine] for party in range(self.parties)}
        yield Exchange(name, None, copies)
        if not self.session.counting:
            for party, copy in copies.items():
                if not all(map(np.array_equal, copy, copies[0])):
                    raise IntegrityError(
                        f"{at.path}: peer {party} and peer 0 sent different results; one of them cheated, and none of "
                        "them is used"
                    )
        return self.domain.received(tuple(copies[0]))

    # -- local ---------------------------------------------------------------------------------------------------------

    def public(self, values: Integers) -> Arithmetic:
        return self._constant(self.domain.encode(as_int64(values)))

    def _constant(self, x: Element) -> Arithmetic:
        """The sharing of an element that all parties know."""
        mine = x if self.me == 0 else tuple(np.zeros_like(limb) for limb in x)
        return self._share([*mine, *self.domain.mul(x, self._key())])

    def _plus(self, x: Arithmetic, public: Element) -> Arithmetic:
        """x plus an element that all parties know."""
        value = self.domain.add(self._value(x), public) if self.me == 0 else self._value(x)
        return self._share([*value, *self.domain.add(self._tag(x), self.domain.mul(public, self._key()))])

    def _key(self) -> Element:
        return self.alpha if self.session.holds_shares else tuple(self.session.blank(()) for _ in self.alpha)

    def _each(self, change: Callable[[Element], Element], x: Arithmetic) -> Arithmetic:
        return self._share([*change(self._value(x)), *change(self._tag(x))])

    def _times(self, x: Arithmetic, factor: Element) -> Arithmetic:
        return self._each(lambda part: self.domain.mul(part, factor), x)

    def add(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        x.same_scheme(y)
        domain = self.domain
        value = domain.add(self._value(x), self._value(y))
        return self._share([*value, *domain.add(self._tag(x), self._tag(y))])

    def sub(self, x: Arithmetic, y: Arithmetic) -> Arithmetic:
        x.same_scheme(y)
        domain = self.domain
        value = domain.sub(self._value(x), self._value(y))
        return self._share([*value, *domain.sub(self._tag(x), self._tag(y))])

    def neg(self, x: Arithmetic) -> Arithmetic:
        return self._each(self.domain.neg, x)

    def scale(self, x: Arithmetic, by: Integers | int) -> Arithmetic:
        return self._times(x, self.domain.encode(as_int64(by)))

    def sum(self, x: Arithmetic, axis: int) -> Arithmetic:
        return self._each(lambda part: self.domain.sum(part, axis), x)

    def add_public(self, x: Arithmetic, values: Integers) -> Arithmetic:
        public = self.domain.encode(as_int64(values))
        if public[0].shape == x.shape:
            return self._plus(x, public)
        return self.add(x, self._constant(public))

    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        return self._share([self.session.blank(shape) for _ in range(2 * self.domain.limbs)])

    @property
    def modulus_bits(self) -> int:
        return self.domain.secret_bits

    # -- products ------------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        z = yield from self._elementwise(at, x, y)
        if shift:
            return (yield from self.truncate(at.child("shift"), z, shift))
        if out is None:
            return z
        for part, result in zip(out.parts, z.parts, strict=True):
            part[...] = result
        return out

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        """The sum of elementwise products: a tuple for inner products would save no opening."""
        check_shapes(x, y)
        z = self.sum((yield from self._elementwise(at, x, y)), -1)
        return (yield from self.truncate(at.child("shift"), z, shift)) if shift else z

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        (m, k), n = x.shape, y.shape[1]
        if not m * k * n:
            yield from ()
            return self.public(np.zeros((m, n), np.int64))
        self.session.dealt("matrix products", 1)
        self.session.multiplied(4 * m * k * n)
        parts = [part[0] for part in (yield from self._stocked.take(at.child("tuple"), f"{MATRICES}{m}x{k}x{n}", 1))]
        a, b, c = self._in_turn(parts)
        z = yield from self._beaver(at, x, y, a, b, lambda d, e: self._matrix_product(d, e, a, b, c))
        return (yield from self.truncate(at.child("shift"), z, shift)) if shift else z

    def _in_turn(self, parts: Sequence[Array]) -> list[Arithmetic]:
        """The values of a tuple."""
        step = 2 * self.domain.limbs
        return [self._share(parts[k : k + step]) for k in range(0, len(parts), step)]

    def _elementwise(self, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
        if not x.size:
            yield from ()
            return self.public(np.zeros(x.shape, np.int64))
        yield from self.deferred.relieve(x.size)
        self.session.dealt("products", x.size)
        a, b, c = self._in_turn((yield from self.take(at.child("tuples"), PRODUCTS, x.shape)))

        def product(d: Element, e: Element) -> Arithmetic:
            beaver = self.domain.beaver
            one = self.domain.from_words(np.array(self.me == 0, np.uint64))
            value = beaver(d, e, self._value(a), self._value(b), self._value(c), one)
            return self._share([*value, *beaver(d, e, self._tag(a), self._tag(b), self._tag(c), self._key())])

        return (yield from self._beaver(at, x, y, a, b, product))

    def _beaver(
        self,
        at: Scope,
        x: Arithmetic,
        y: Arithmetic,
        a: Arithmetic,
        b: Arithmetic,
        product: Callable[[Element, Element], Arithmetic],
    ) -> Step[Arithmetic]:
        """Open x - a and y - b, and go on with them. One round."""
        domain, name = self.domain, at.step()
        d = domain.sub(self._value(x), self._value(a))
        e = domain.sub(self._value(y), self._value(b))
        d, e = yield from self._open_parts(name, [d, e])
        self._note(name, Opened(d, self._tag(x), self._tag(a)), x.size)
        self._note(at.step(), Opened(e, self._tag(y), self._tag(b)), y.size)
        return product(d, e)

    def _matrix_product(self, d: Element, e: Element, a: Arithmetic, b: Arithmetic, c: Arithmetic) -> Arithmetic:
        domain = self.domain
        both = domain.matmul(d, e)
        rest = [
            domain.total([part_c, domain.matmul(d, part_b), domain.matmul(part_a, e)])
            for part_a, part_b, part_c in zip(*((self._value(s), self._tag(s)) for s in (a, b, c)), strict=True)
        ]
        return self._plus(self._share([*rest[0], *rest[1]]), both)

    # -- truncation, randomness ----------------------------------------------------------------------------------------

    @property
    def _summands(self) -> int:
        """Into how many parts a value falls for truncation: those of the mask, and the opened one."""
        return 2 if self.session.dealer is not None else self.parties + 1

    @property
    def truncation_error(self) -> float:
        return summed.error(self._summands)

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return summed.offsets(self._summands)

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        if not x.size:
            yield from ()
            return x
        self.session.dealt("truncation pairs", x.size)
        if self.session.dealer is None:
            mask, highs, tops = yield from self._private_masks(at.child("mask"), x.shape, shift)
        else:
            parts = yield from self.take(at.child("mask"), TRUNCATIONS + str(shift), x.shape)
            mask, high, top = self._in_turn(parts)
            highs, tops = [high], [[top]]
        masked = self.sub(summed.shifted(self, x), mask)
        opened = yield from self.open_checked(at.child("open"), masked, veil=self.session.dealer is None)
        count = summed.top_bits(self._summands)
        top_word = opened[0] >> np.uint64(self.modulus_bits - count)
        wraps = yield from summed.count_wraps(self, at.child("wraps"), tops, top_word)
        public = self.public(summed.rounded(opened[0], shift).view(np.int64))
        return summed.assembled(self, [*highs, public], wraps, shift)

    def _private_masks(
        self, at: Scope, shape: tuple[int, ...], shift: int
    ) -> Step[tuple[Arithmetic, list[Arithmetic], list[list[Arithmetic]]]]:
        """The sum of a random word of each party, their rounded quotients, and their top bits."""
        words = yield from self.private_words(at, shape)
        length, count = self.modulus_bits, summed.top_bits(self._summands)
        masks, highs, tops = [], [], []
        for bits, _ in words:
            masks.append(self._weighted(bits, range(length)))
            quotient = self._weighted(bits.map(lambda part: part[..., shift:]), range(length - shift))
            highs.append(self.add(quotient, bits.map(lambda part: part[..., shift - 1])))
            tops.append([bits.map(lambda part, j=j: part[..., length - count + j]) for j in range(count)])
        mask = masks[0]
        for other in masks[1:]:
            mask = self.add(mask, other)
        return mask, highs, tops

    def _weighted(self, bits: Arithmetic, exponents: Sequence[int]) -> Arithmetic:
        """The sum of bits times powers of two over the last axis."""
        powers = [self.domain.power_of_two(exponent) for exponent in exponents]
        factors = tuple(np.stack(limb) for limb in zip(*powers, strict=True))
        return self.sum(self._times(bits, factors), -1)

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        if 0 in shape:
            yield from ()
            return self.public(np.zeros(shape, np.int64))
        return self._share((yield from self.take(at, RANDOM, shape)))

    # -- functions of summands -----------------------------------------------------------------------------------------

    @property
    def summand_count(self) -> int:
        return 0  # nobody can be trusted to compute a function of what it alone knows

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        raise InternalError(f"{self.name} has no functions of known summands")

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        raise InternalError(f"{self.name} has no functions of known summands")
