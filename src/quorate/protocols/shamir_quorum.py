"""Shamir's (t, n) sharing over the field of p = 2**61 - 1 elements, semi-honest, among parties that may be lost.

Sharings are those of `shamir`. Every round is an opening of masked values to all parties (`shamir_quorum_opening`), for
which any t + 1 (or 2t + 1) answers give the same. So nobody has to agree on who is there: a party that is lost is not
waited for, nothing is done again, and one that comes back goes on from the messages that were kept for it.

    n >= 3t + 1   products are multiplied locally and reduced by an opening for which 2t + 1 parties are enough. Any
                  n - 2t - 1 may be lost as soon as set-up has ended.
    n <= 3t       everything but linear operations takes tuples, which are made from randomness alone: all before any
                  input is used, with `prepare`, while all parties are there. From then on t + 1 parties are enough:
                  any n - t - 1 may be lost.

`most_losses` gives this number. With one more everybody waits, and no wrong value comes out. An owner of an input must
be there until every party has its share.

Sources
    Openings, reductions: `shamir_quorum_opening`. Products from tuples: Beaver, "Efficient Multiparty Protocols Using
    Circuit Randomization", CRYPTO 1991; tuples from random sharings by one reduction: Damgård, Nielsen, CRYPTO 2007.
    Words in parts known to groups: Ito, Saito, Nishizeki, GLOBECOM 1987; functions of what they know: `shamir_placed`.
    Shuffles: `shamir_quorum_shuffle`. Masks with their bits: `shamir_quorum_masks`.

Bytes each party sends to each other one, with L = 8 per number, b the bytes of packed words, and c = binomial(n, t);
an input L from its owner to every party, a result L or b
    n >= 3t + 1   product L, dot and matmul L per result; and b; summands L; truncation L and the products of
                  `summed_truncation.cost(c)`, after a product those alone; bit to integer c - 1 products; a shuffle c
                  times the rows.
    n <= 3t       product 2 L, dot the same per term, matmul L per entry of both matrices; and 2 b; summands L;
                  truncation L; bit to integer 1/8; a shuffle c times the rows. For the tuples see
                  `shamir_quorum_tuples`.
Rounds: product, and, input, reveal, summands 1; shuffle c; truncation and bit to integer 1 for n <= 3t, else one and
those of `summed_truncation.cost(c)`, and ceil(log2 c).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels import field
from quorate.kernels.ghost import contiguous
from quorate.protocols import shamir_quorum_shuffle, summed_truncation
from quorate.protocols.base import Bilinear, through_ands
from quorate.protocols.local import check_full_words, check_shapes, rows_of
from quorate.protocols.shamir_parts import BITS, Array
from quorate.protocols.shamir_quorum_opening import flat, shaped
from quorate.protocols.shamir_quorum_tuples import (
    AND_WORDS,
    CONVERSIONS,
    MATRICES,
    PRODUCTS,
    QUOTIENTS,
    WORDS,
    ShamirTuples,
)
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["ShamirQuorum"]


class ShamirQuorum(ShamirTuples):
    """One participant of Shamir's protocol, with threshold t, among parties that may be lost."""

    name: ClassVar[str] = "shamir_quorum"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "semi-honest"
    survives: ClassVar[bool] = True

    # -- products ------------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        if self.reduces:
            return (yield from self._multiplied(at, field.mul(x.parts[0], y.parts[0]), shift, out))
        z = yield from self._elementwise(at, x, y)
        if shift:
            return (yield from self.truncate(at.child("shift"), z, shift))
        if out is None:
            return z
        out.parts[0][...] = z.parts[0]
        return out

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        check_shapes(x, y)
        if self.reduces:
            rows = [rows_of(share.parts[0]) for share in (x, y)]
            self.session.multiplied(x.size)
            return (yield from self._multiplied(at, field.dot(*rows).reshape(x.shape[:-1]), shift))
        z = self.sum((yield from self._elementwise(at, x, y)), -1)
        return (yield from self.truncate(at.child("shift"), z, shift)) if shift else z

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        (m, k), n = x.shape, y.shape[1]
        if self.reduces:
            self.session.multiplied(m * k * n)
            return (yield from self._multiplied(at, field.matmul(x.parts[0], y.parts[0]), shift))
        z = yield from self._matrix_product(at, x, y)
        return (yield from self.truncate(at.child("shift"), z, shift)) if shift else z

    def _multiplied(self, at: Scope, product: Array, shift: int, out: Arithmetic | None = None) -> Step[Arithmetic]:
        """From shares of degree 2t; with a shift the value is divided among the groups at once. One round, and those of
        the wraps."""
        if shift:
            parts = yield from self.divided_share(at, product, 2 * self.threshold)
            return (yield from self.quotient(at, parts, shift))
        return (yield from self.reduced(at, product, None if out is None else out.parts[0]))

    def _elementwise(self, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
        if not x.size:
            yield from ()
            return x
        a, b, c = yield from self.take(at.child("tuples"), PRODUCTS, x.shape)
        d, e = yield from self._opened_pair(at, field.sub(x.parts[0], a), field.sub(y.parts[0], b))
        return Arithmetic(self.name, (field.beaver(d, e, a, b, c, np.array(1, np.uint64)),))

    def _matrix_product(self, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
        (m, k), n = x.shape, y.shape[1]
        if not m * k * n:
            yield from ()
            return self.public(np.zeros((m, n), np.int64))
        self.session.multiplied(3 * m * k * n)
        a, b, c = (part[0] for part in (yield from self.taken(at.child("tuple"), f"{MATRICES}{m}x{k}x{n}", 1)))
        d, e = yield from self._opened_pair(at, field.sub(x.parts[0], a), field.sub(y.parts[0], b))
        terms = [c, field.matmul(d, field.add(b, e)), field.matmul(a, e)]
        return Arithmetic(self.name, (field.linear_combination([1, 1, 1], terms),))

    def _opened_pair(self, at: Scope, first: Array, second: Array) -> Step[tuple[Array, Array]]:
        """Two arrays of shares on polynomials of degree t, opened in one round."""
        both = np.concatenate([first.reshape(-1), second.reshape(-1)])
        opened = yield from self.open_share(at, both, self.threshold, self.everybody)
        return opened[: first.size].reshape(first.shape), opened[first.size :].reshape(second.shape)

    # -- products of words ---------------------------------------------------------------------------------------------

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        if not a.size:
            yield from ()
            return a
        left, right = ([flat(part, words.width) for part in words.parts] for words in (a, b))
        if self.reduces:
            rows = self.share_of_and(left, right)
            return (yield from self.reduced_words(at, rows, a.shape, a.width))
        parts = yield from self._and_by_tuples(at, left, right)
        return a.with_parts(tuple(self._within(shaped(part, a.shape, a.width), a.width) for part in parts))

    def _and_by_tuples(self, at: Scope, left: list[Array], right: list[Array]) -> Step[list[Array]]:
        size, like = left[0].size, left[0]
        taken = yield from self.taken(at.child("tuples"), AND_WORDS, -(-like.nbytes // 8))
        m = len(left)
        cut = [part.view(np.uint8)[: like.nbytes].view(like.dtype) for part in taken]
        x, y, z = cut[:m], cut[m : 2 * m], cut[2 * m :]
        shares = [self.share_of_words([p ^ q for p, q in zip(*pair, strict=True)]) for pair in ((left, x), (right, y))]
        opened = yield from self.open_rows(at, np.concatenate(shares, 1), self.threshold, self.everybody)
        columns = shares[0].shape[1]
        d, e = (self.sliced.words(contiguous(half), size) for half in (opened[:, :columns], opened[:, columns:]))
        parts = [np.asanyarray(c ^ (d & b) ^ (e & a)) for a, b, c in zip(x, y, z, strict=True)]
        if self.collector in self.mine:
            place = self.mine.index(self.collector)
            parts[place] = np.asanyarray(parts[place] ^ (d & e))
        return parts

    def _within(self, part: Array, width: int) -> Array:
        """Without bits beyond the width, which tuples have."""
        kind = part.dtype
        if width == 1 or width == 8 * kind.itemsize:
            return part
        return np.asanyarray(part & kind.type((1 << width) - 1))

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        check_full_words(a, b)
        if not self.reduces:
            return (yield from through_ands(self, at, a, b, times, shape))
        if 0 in shape:
            yield from ()
            return self.public_bits(np.zeros(shape, a.parts[0].dtype), a.width)
        rows = self.share_of_product(
            a.parts, b.parts, lambda left, right: self.sliced.rows(times(left, right).reshape(-1))
        )
        return (yield from self.reduced_words(at, rows, shape, a.width))

    # -- under masks ---------------------------------------------------------------------------------------------------

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        if self.reduces:
            return (yield from super().summands(at, x, negate_last, width))
        if not x.size:
            yield from ()
            return [self.public_bits(np.zeros(x.shape, np.uint64), BITS)] * 2
        r, *word = yield from self.take(at.child("masks"), WORDS, x.shape)
        mask = Arithmetic(self.name, (r,))
        masked = self.add(x, mask) if negate_last else self.sub(x, mask)
        opened = yield from self.open_share(at, masked.parts[0], self.threshold, self.everybody)
        return [self.public_bits(opened, BITS), Boolean(self.name, tuple(word), BITS)]

    @property
    def truncation_error(self) -> float:
        return super().truncation_error if self.reduces else summed_truncation.error(self.threshold + 2)

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return super().truncation_offsets if self.reduces else summed_truncation.offsets(self.threshold + 2)

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        if self.reduces:
            return (yield from super().truncate(at, x, shift))
        if not x.size:
            yield from ()
            return x
        taken = yield from self.take(at.child("masks"), f"{QUOTIENTS}{shift}", x.shape)
        mask, high, top = (Arithmetic(self.name, (part,)) for part in taken)
        masked = self.sub(summed_truncation.shifted(self, x), mask)
        opened = yield from self.open_share(at, masked.parts[0], self.threshold, self.everybody)
        wraps = yield from summed_truncation.count_wraps(
            self, at.child("wraps"), [[top]], opened >> np.uint64(BITS - 1)
        )
        public = self.public(summed_truncation.rounded(opened, shift).view(np.int64))
        return summed_truncation.assembled(self, [high, public], wraps, shift)

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        if self.reduces:
            return (yield from super().to_arithmetic(at, b))
        if not b.size:
            yield from ()
            return self.empty(b.shape)
        *bit, number = yield from self.take(at.child("bits"), CONVERSIONS, b.shape)
        masked = [flat(np.asanyarray(part ^ other), 1) for part, other in zip(b.parts, bit, strict=True)]
        rows = yield from self.open_rows(at, self.share_of_words(masked), self.threshold, self.everybody)
        opened = shaped(self.sliced.words(rows, masked[0].size), b.shape, 1).astype(np.int64)
        return self.add_public(self.scale(Arithmetic(self.name, (number,)), 1 - 2 * opened), opened)

    # -- shuffling -----------------------------------------------------------------------------------------------------

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from shamir_quorum_shuffle.shuffle(self, at, columns))
