"""Authenticated additive sharing among n >= 2 parties, malicious, any n - 1 may be corrupted: what `spdz` and `spdz2k`
have in common.

Party i holds parts of the secret x and of alpha x, and a part of the MAC key alpha that nobody knows. Everything linear
is local. Whatever is opened on the way is noted, and checked before any result is opened.

Sources
    Damgard, Pastro, Smart, Zakarias, "Multiparty Computation from Somewhat Homomorphic Encryption", CRYPTO 2012 (SPDZ),
    figure 7: inputs by masks, products of Beaver, outputs. Checks: `quorate.preprocessing.mac_check`.
    Outside owners and recipients: `quorate.protocols.authenticated_boundary`.
    Truncation: `quorate.protocols.summed_truncation`.
    Deviations: results for all parties are opened and then checked, all in one; a result for one party is opened
    under a mask that this party knows, so the others, who check, do not learn it.

Bytes each party sends to each other one, online, with L = 8 (spdz) or 16 (spdz2k)
    product, per element 2 L; dot the same per term; matmul L per entry of both matrices; input of a party 8 (from it);
    reveal L; check 224 + 3 L. Outsiders: L to them and 8 from them for an input, 2 L to them for a result, and for
    all elements together 128 + L among parties, 128 + 2 L to them and 128 from them, and a check among the parties.
Rounds: product 1, input 1 (outside 6 + 4 for the check), reveal 1 + 4 for the check (+ 4 if something is to be checked
before; + 1 for outsiders, + 4 where not all parties get it too).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.preprocessing.authenticated import (
    MATRICES,
    PRODUCTS,
    RANDOM,
    TRUNCATIONS,
)
from quorate.preprocessing.mac_check import Opened
from quorate.protocols import summed_truncation as summed
from quorate.protocols.authenticated_boundary import AuthenticatedBoundary
from quorate.protocols.base import Function
from quorate.protocols.local import check_shapes
from quorate.sharing.domain import Element
from quorate.sharing.share import Arithmetic

__all__ = ["Authenticated"]

Array = npt.NDArray[Any]


class Authenticated(AuthenticatedBoundary):
    """Numbers; `quorate.protocols.authenticated_bits` adds the Boolean words."""

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
        domain, mask, name = self.domain, at.step(), at.step()
        d = domain.sub(self._value(x), self._value(a))
        e = domain.sub(self._value(y), self._value(b))
        d, e = yield from self._open_parts(mask, name, [d, e])
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
