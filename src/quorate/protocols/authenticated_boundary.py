"""How authenticated values come in and get out; see `quorate.protocols.authenticated`.

An outsider has no part of the MAC key, so it can check no opening by itself. What masks its inputs and results is a
random authenticated a, which comes to it thus:

1.  The parties send it their parts of a, and of one more random number r, with all limbs.
2.  It and the parties toss a coin, so it is the outsider's own share of the coin that says that all parts have come.
3.  The parties open t = sum chi_k a_k + r, all limbs, with the coin's chi (field elements, or 64 bits in the ring).
4.  After the check of openings every party sends t to the outsider, who compares with what it has. Then a is used.

Sources: the opening of a random combination that is masked by one more random value, as in the check of inputs of
Keller, Orsini, Scholl, "MASCOT", CCS 2016, figure 3. Deviation from Damgard, Damgard, Nielsen, Nordholt, Toft,
"Confidential Benchmarking based on Multiparty Computation", FC 2016, where the outsider is shown a product (a, b, a b)
and tests it: modulo 2^128 a party that adds 2^127 to b passes that test just if a is even, which tells a bit of what a
masks. Here all that the test depends on is errors that the cheaters know, so that it fails says nothing.

Privacy. The parties see t alone, which r hides; the outsider sees a, r and t. The parts that are sent to it are random
by themselves, and used nowhere else without a fresh sharing of zero.

Soundness. Let the parts that were sent be off by d, not 0 as secrets, and e; both are fixed before the coin. The
outsider accepts if t was opened with the error sum chi_k d_k + e.
    Field: that is 0 with probability 2^-61 (and 2^-61, as chi is not quite uniform); else the check of openings finds
    it but for 2^-59. Together below 2^-58.
    Ring: some d_k is not a multiple of 2^64, so the error is a multiple of 2^(63 + j) with probability at most 2^-j for
    j <= 64; the weight in the check adds i more with at most 2^-i; what is left to be guessed of alpha is 65 - j - i
    bits. The sum over m = i + j <= 64 of (m + 1) 2^-(m + 2) 2^-(65 - m) is 2145 / 2^67, and there are at most 2^-59
    for m > 64. Together below 2^-55.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import toss
from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.errors import IntegrityError
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.authenticated import MASKS, RANDOM
from quorate.preprocessing.mac_check import Said
from quorate.protocols.authenticated_local import AuthenticatedLocal
from quorate.protocols.base import Integers
from quorate.protocols.local import as_int64
from quorate.sharing.domain import Element
from quorate.sharing.share import Arithmetic

__all__ = ["AuthenticatedBoundary"]

Array = npt.NDArray[Any]


class _Shown(NamedTuple):
    """What an outsider was sent of a mask; of interest to nobody else but for `opened`."""

    mask: Element
    expected: Element
    """The combination of what was sent, of shape (1,)."""
    opened: Element
    """The same combination as the parties opened it; to be checked."""


class AuthenticatedBoundary(AuthenticatedLocal):
    """Inputs by masks; results that are checked before anybody gets them."""

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
        """Under a mask that is shown to the owner. Ten rounds."""
        mask = self._share((yield from self.take(at.child("random"), RANDOM, shape)))
        shown = yield from self._shown_mask(at.child("mask"), owner, mask)
        yield from self.checked()
        yield from self._confirmed(at.child("proof"), owner, shown)
        difference = self.session.blank(shape)
        if self.me == owner:
            x = x or tuple(self.session.tuple_blank(shape) for _ in range(self.domain.limbs))
            difference = contiguous(self.domain.sub(x, shown.mask)[0])
        return (yield from self._masked_input(at, owner, mask, difference))

    # -- masks for outsiders -------------------------------------------------------------------------------------------

    def _shown_mask(self, at: Scope, outsider: int, mask: Arithmetic) -> Step[_Shown]:
        """Random numbers, of which all parties send their parts to an outsider; to be checked, and then `_confirmed`.

        Four rounds. See the module.
        """
        blind = self._share((yield from self.take(at.child("blind"), RANDOM, (1,))))
        both = yield from self._sent_outside(at, outsider, [*self._value(mask), *self._value(blind)])
        value, more = both[: self.domain.limbs], both[self.domain.limbs :]
        coin = yield from toss(self.session, at.child("coin"), [*range(self.parties), outsider])
        drawn = self.session.tuple_blank((mask.size,))
        coin.fill(drawn)
        factors = self.domain.weights(drawn)
        total = self.add(self._each(lambda part: self._combined(factors, part), mask), blind)
        opened = yield from self.open_checked(at.child("sum"), total, veil=False)
        return _Shown(value, self.domain.add(self._combined(factors, value), more), opened)

    def _sent_outside(self, at: Scope, outsider: int, parts: Sequence[Array]) -> Step[Element]:
        """Parts (limbs of several elements in turn) that add up at the outsider; ours elsewhere. One round."""
        mine, limbs, name = [contiguous(part) for part in parts], self.domain.limbs, at.step()
        if self.me != outsider:
            yield Exchange(name, {outsider: mine} if self.me < self.parties else None)
            return tuple(mine)
        arriving = [[self.session.tuple_blank(part.shape) for part in mine] for _ in range(self.parties)]
        yield Exchange(name, None, dict(enumerate(arriving)))
        return tuple(
            limb
            for k in range(0, len(mine), limbs)
            for limb in self.domain.total([self.domain.received(tuple(theirs[k : k + limbs])) for theirs in arriving])
        )

    def _combined(self, factors: Array, x: Element) -> Element:
        """The sum of factors times elements, of shape (1,)."""
        return self.domain.reshape(self.domain.weigh(factors, self.domain.reshape(x, factors.shape)), (1,))

    def _confirmed(self, at: Scope, outsider: int, shown: _Shown) -> Step[None]:
        """All parties tell the outsider what they opened and checked, and it compares. One round.

        Raises:
            IntegrityError: at the outsider, if parts were sent to it that are not those of the mask.
        """
        opened = yield from self._copied(at, shown.opened, [outsider])
        if self.session.counting or self.me != outsider:
            return
        if not self.domain.is_zero(self.domain.sub(shown.expected, opened)):
            raise IntegrityError(
                f"{at.path}: the mask that the parties sent is not the one that they hold: one of them cheated, nobody "
                "can tell which; the mask was not used"
            )

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
        """Under a mask that is shown to the recipient; the masked value, once checked, is sent by all parties."""
        mask = self._share((yield from self.take(at.child("random"), RANDOM, x.shape)))
        shown: _Shown
        opened: Element
        steps: list[Step[Any]] = [
            self._shown_mask(at.child("mask"), recipient, mask),
            self.open_checked(at.child("open"), self.add(x, mask)),
        ]
        shown, opened = yield from parallel(steps)
        yield from self.checked()
        copies: list[Step[Any]] = [
            self._confirmed(at.child("proof"), recipient, shown),
            self._copied(at.child("copies"), opened, [recipient]),
        ]
        _, opened = yield from parallel(copies)
        return self.domain.sub(opened, shown.mask)

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
