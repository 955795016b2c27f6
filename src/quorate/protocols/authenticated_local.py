"""What an authenticated share is, how one is opened, and what is done to it without a message.

See `quorate.protocols.authenticated`.
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
from quorate.preprocessing.supply import Maker, Supply
from quorate.protocols.base import Integers
from quorate.protocols.deferred import Deferred
from quorate.protocols.local import BooleanLocal, as_int64
from quorate.sharing.domain import Domain, Element
from quorate.sharing.share import Arithmetic

__all__ = ["AuthenticatedLocal"]

Array = npt.NDArray[Any]


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
