"""How authenticated values come in and get out; see `quorate.protocols.authenticated`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.errors import IntegrityError
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.authenticated import (
    MASKS,
    OUTSIDE,
)
from quorate.preprocessing.mac_check import Said
from quorate.protocols.authenticated_local import AuthenticatedLocal
from quorate.protocols.base import Integers
from quorate.protocols.local import as_int64
from quorate.sharing.domain import Element
from quorate.sharing.share import Arithmetic

__all__ = ["AuthenticatedBoundary"]

Array = npt.NDArray[Any]


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
