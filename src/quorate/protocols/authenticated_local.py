"""What an authenticated share is, how one is opened, and what is done to it without a message.

See `quorate.protocols.authenticated`.

Without a dealer, nothing in the links between pairs keeps party j from using another share of the MAC key, alpha_j^i,
towards each party i, nor from others than those under which a stock of tuples was made. Then tags of what honest
parties i chose would be off by sum_i D_i x_i, and whether a check passes would tell of x_i. So set-up ends with a test,
before anything is authenticated that depends on an input:

    three parties or more   a fresh random number r, the sum of one of every party, is opened and checked;
    keys of a stock         so is w + r, where w is a random number that was kept with the keys and never opened, its
                            witness; and v ^ s, where v is the witness of Boolean keys, and s a fresh random word.

With fresh keys and two parties there is one link, whose key is the key. Bits among three parties or more are tested
whenever they are made, see `quorate.preprocessing.authenticated_bits`.

Why it holds. Let E_i be the sum of the cheaters' keys in their links with the honest party i. The reference is the sum
of their keys in the stock, else E_i of one honest i; D_i is what E_i is off by. The tag is off by sum_i D_i r_i. Given
what is opened, the r_i of the honest parties with D_i != 0 are uniform: w is unknown, or another honest party
contributed. w is as unknown after as before: a test that passes tells nothing else, and one that does not ends the
stock. To pass, the cheaters have to guess the weight of the check times sum_i D_i r_i before they see anything of it:
    field   2^-61, and 2^-61 for the weight 0 (weights are uniform but for 2^-61): less than 2^-59;
    ring    let 2^v be the largest power of two that divides all D_i, 2^v < 2^64 c for c cheaters; with a weight that
            is an odd number times 2^j, 128 - v - j bits are to be guessed: the sum over j < 64 of 2^-(j + 1)
            2^-(128 - v - j), and 2^-64 for the weight 0, is less than c 2^-59 + 2^-64;
    words   a plane is off by s_i, 64 bits, times a weight from GF(2^64): 2^-64, and 2^-64 for the weight 0.
It is checked alone and at once: in the ring weights can be even, so that in one check with values that depend on inputs
the low bits of theirs would not be hidden.

Rounds: 9 with three parties or more; with keys of a stock 11, or 12. None with two parties and fresh keys, or a dealer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import InternalError, UserError
from quorate.preprocessing import mac_check, openings
from quorate.preprocessing.authenticated import (
    BATCH,
    RANDOM,
    DealtTuples,
)
from quorate.preprocessing.authenticated_triples import OwnTuples
from quorate.preprocessing.mac_check import Opened, Said
from quorate.preprocessing.ring_triples import RingTuples
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Maker, Supply
from quorate.protocols.base import Integers
from quorate.protocols.deferred import Deferred
from quorate.protocols.local import BooleanLocal, as_int64
from quorate.sharing.domain import Domain, Element
from quorate.sharing.share import Arithmetic

__all__ = ["AuthenticatedLocal"]

Array = npt.NDArray[Any]
WITNESSES = 2
"""A number and a word are kept with the keys of a stock."""


class AuthenticatedLocal(BooleanLocal):
    """Keys, notes for checks, openings, and linear operations."""

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
        self._witness: tuple[Array, ...] = ()

    @property
    def _stocked(self) -> Supply:
        """Where tuples come from; an outsider's is that of the counting instance, see `quorate.protocols.bystander`."""
        return cast(Supply, self.supply)

    def setup(self, at: Scope) -> Step[None]:
        """Keys, MAC keys, and whatever the production of tuples needs; the test of MAC keys, see the module.

        Raises:
            IntegrityError: somebody cheated; maybe by another MAC key than that of the tuples in stock.
            UserError: keys of a stock came without a witness.
        """
        n, dealer = self.parties, self.session.dealer
        dealt = () if dealer is None else tuple((party, dealer) for party in range(n))
        yield from self.session.agree_keys(at.child("keys"), [*combinations(range(n), 2), *dealt])
        self.deferred.open(at.child("checks"))
        self._stocked.open(at.child("supply"))
        kept = self.session.stock_keys
        keys = 1 + len(self.bit_keys())
        if kept and len(kept) != keys + WITNESSES:
            raise UserError("the keys of the stock of tuples cannot be tested; it is of another release: delete it")
        yield from self.tuples.setup(at.child("tuples"), kept[:1])
        if kept:
            self.adopt_bit_keys(list(kept[1:keys]))
        yield from self.setup_bits(at.child("bits"))
        self._witness = kept[keys:]
        if dealer is None and (kept or n > 2):
            yield from self._test_keys(at.child("test"))

    def stock_keys(self) -> list[Array]:
        return [np.asanyarray(self.alpha[0]).reshape(1), *self.bit_keys(), *self._witness]

    def witness(self, at: Scope) -> Step[None]:
        number = yield from self._fresh_number(at.child("number"))
        word = yield from self.fresh_word(at.child("word"))
        yield from self.checked()
        self._witness = (np.stack(number), np.stack(word))

    def _test_keys(self, at: Scope) -> Step[None]:
        """Whether all use one MAC key in all links, that of the witness if there is one; see the module."""
        steps = [self._test_numbers(at.child("number"))]
        if self._witness:
            steps.append(self.test_words(at.child("word"), self._witness[1]))
        yield from parallel(steps)
        yield from self.checked()

    def _test_numbers(self, at: Scope) -> Step[None]:
        x = self._share((yield from self._fresh_number(at.child("fresh"))))
        if self._witness:
            x = self.add(x, self._share(list(self._witness[0])))
        mask, name = at.step(), at.step()
        (opened,) = yield from self._open_parts(mask, name, [self._value(x)])
        self._note(name, Opened(opened, self._tag(x)), 1)

    def _fresh_number(self, at: Scope) -> Step[Parts]:
        if not isinstance(self.tuples, OwnTuples):
            raise InternalError("a dealer's tuples are not kept in stock; please report this")
        return (yield from self.tuples.numbers(at, 1))

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

    def fresh_word(self, at: Scope) -> Step[Parts]:
        """The parts of one random word."""
        raise InternalError("the Boolean side makes words")

    def test_words(self, at: Scope, kept: Array) -> Step[None]:
        """Open a kept word, masked by a fresh one, to be checked."""
        raise InternalError("the Boolean side makes words")

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

    def _open_parts(self, mask: Name, name: Name, mine: Sequence[Element]) -> Step[list[Element]]:
        """What the parts of all parties add up to, unchecked. One round."""
        return (yield from openings.opened(self.session, self.domain, mask, name, mine))

    def open_checked(self, at: Scope, x: Arithmetic, *, veil: bool = True) -> Step[Element]:
        """Open x to all parties, to be checked before anything is opened to a recipient. One round.

        Args:
            veil: over the ring, mask the upper 64 bits; not needed where they are masked already, by what nobody knows.
        """
        if veil and self.domain.veiled:
            x = self.add(x, (yield from self._veil(at.child("veil"), x.shape)))
        mask, name = at.step(), at.step()
        (opened,) = yield from self._open_parts(mask, name, [self._value(x)])
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

    def running_sums(self, x: Arithmetic) -> Arithmetic:
        return self._each(self.domain.running_sums, x)

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
