"""Replicated sharing among three parties, semi-honest, honest majority.

x = x0 + x1 + x2 modulo 2**64; party i holds (x_i, x_{i+1}). Boolean words likewise, with exclusive or.

Sources
    Products: Araki, Furukawa, Lindell, Nof, Ohara, "High-Throughput Semi-Honest Secure Three-Party Computation with
    an Honest Majority", CCS 2016, section 2.2; zero sharing from pairwise keys as in its section 2.3. Deviation: a
    party holds parts unmasked (x_i, x_{i+1}), as in Mohassel, Rindal, "ABY3", CCS 2018, section 3.2.1.
    Summands and conversion of bits: ABY3, sections 5.3 and 5.4.1. Deviation: what party 0 knows is shared with one
    random and one zero part, and the last product is computed by parties 1 and 2 alone.
    Truncation: the wrap-corrected method of Dalskov, Escudero, Keller, "Fantastic Four", USENIX Security 2021,
    section 5.2 (there with preprocessed masks). Deviation: the masked value is x2, which parties 1 and 2 hold anyway,
    and the mask is -(x0 + x1), which party 0 holds; party 0 deals the truncated mask. So the error never exceeds one
    unit, for every |x| < 2**62, where ABY3's own method fails with probability about |x| / 2**63.

Bytes per element sent by parties (0, 1, 2)
    input 8 from the owner; product, and (64 bits): 8 each, 1 round; dot, matmul: as one product per result;
    truncation by f bits (8 + s, 8, 8), product with it (8 + s, 16, 16), where s bytes hold f + 1 bits, 2 rounds;
    summands of w bits (w / 8, 0, 0), 1 round; signs and tests for zero see `rep3_signs`; bit to integer (8, 8, 8),
    chosen number (`inject`) (16, 8, 8), m weighted sums of k bits (8 k, 8 m, 8 m), 2 rounds each;
    reveal: 8 from one party per recipient, 8 from each to an outsider, 1 round;
    shuffle (16, 8, 8), 3 rounds, see `rep3_shuffle`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.kernels import bits, ring, truncation
from quorate.kernels.ghost import contiguous
from quorate.protocols import known, rep3_shuffle, rep3_signs, signs
from quorate.protocols.base import Bilinear, Function, Integers
from quorate.protocols.groups import SUM, XOR, Group, total
from quorate.protocols.local import check_full_words, check_injected, check_shapes, ring_words, rows_of
from quorate.protocols.rep3_parts import Pair, Rep3Parts
from quorate.sharing import replicated, wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Rep3"]

Array = npt.NDArray[Any]
OFFSET_BITS = 62


class Rep3(Rep3Parts):
    """One participant of the three-party replicated protocol."""

    name: ClassVar[str] = "rep3"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "semi-honest"
    majority: ClassVar[Literal["none", "honest", "dishonest"]] = "honest"
    capacity: ClassVar[int] = OFFSET_BITS

    @property
    def resumable(self) -> bool:
        return True

    def setup(self, at: Scope) -> Step[None]:
        yield from self.session.agree_keys(at, [(0, 1), (1, 2), (0, 2)])

    # -- input and output ----------------------------------------------------------------------------------------------

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        words = self.session.blank(shape) if values is None else ring_words(values)
        if owner < 3:
            parts = yield from self.deal(at, owner, words, SUM)
        else:
            parts = yield from self._input_from_outside(at, owner, words)
        return Arithmetic(self.name, parts)

    def _input_from_outside(self, at: Scope, owner: int, words: Array) -> Step[Pair]:
        draw, name = at.step(), at.step()
        if self.me == owner:
            masks = self.session.draw((owner,), draw, self.session.tuple_blank((2, words.size)))
            pairs = replicated.split(words, [mask.reshape(words.shape) for mask in masks])
            yield Exchange(name, {party: list(held) for party, held in enumerate(pairs)})
            return pairs[0]
        parts = (self.session.blank(words.shape), self.session.blank(words.shape))
        yield Exchange(name, None, {owner: parts} if self.me < 3 else None)
        return parts

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        opened = yield from self._open(at, (x.parts[0], x.parts[1]), to, SUM)
        return None if opened is None else opened.view(np.int64)

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        packed = (wire.pack(x.parts[0], x.width), wire.pack(x.parts[1], x.width))
        opened = yield from self._open(at, packed, to, XOR)
        return None if opened is None else wire.unpack(opened, x.shape, x.width)

    def _open(self, at: Scope, parts: Pair, to: Collection[int], group: Group) -> Step[Array | None]:
        """Party i lacks the first part of party i - 1; outsiders get three masked parts that add up to the value."""
        outsiders = [recipient for recipient in to if recipient >= 3]
        masks = self.zero_masks(at, parts[0]) if outsiders else None
        sends: dict[int, list[Array]] = {}
        receives: dict[int, list[Array]] = {}
        if self.me < 3:
            if self.next in to:
                sends[self.next] = [contiguous(parts[0])]
            if masks is not None:
                masked = np.asanyarray(group.sub(group.add(parts[0], masks[0]), masks[1]))
                sends |= {outsider: [masked] for outsider in outsiders}
        if self.me in to:
            senders = [self.previous] if self.me < 3 else [0, 1, 2]
            receives = {sender: [self._arriving(parts[0])] for sender in senders}
        yield Exchange(at.step(), sends, receives)
        if self.me not in to:
            return None
        known = list(parts) if self.me < 3 else []
        return total([*known, *(buffers[0] for buffers in receives.values())], group)

    def _arriving(self, like: Array) -> Array:
        """A buffer for a part that is opened to this participant."""
        return self.session.tuple_blank(like.shape, like.dtype)

    # -- products ------------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        ahead, behind = self.zero_masks(at, x.parts[0])
        z, theirs = (self.empty(x.shape) if out is None else out).parts
        (xa, xb), (ya, yb) = x.parts, y.parts
        ring.replicated_product(xa, xb, ya, yb, ahead, behind, out=z)
        if shift:
            return (yield from self._truncated(at, z, shift, partial=True))
        yield self.rotation(at, z, theirs)
        return Arithmetic(self.name, (z, theirs))

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        check_shapes(x, y)
        self.session.multiplied(3 * x.size)
        rows = [rows_of(part) for part in (*x.parts, *y.parts)]
        z = ring.replicated_dot(*rows).reshape(x.shape[:-1])
        return (yield from self.reshare(at, z, shift))

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        x.same_scheme(y)
        self.session.multiplied(2 * x.size * y.shape[1])
        z = ring.replicated_matmul(*x.parts, *y.parts)
        return (yield from self.reshare(at, z, shift))

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        (xa, xb), (ya, yb) = a.parts, b.parts
        return (yield from self.masked_and(at, bits.and_share(xa, xb, ya, yb), a.width))

    def and_open(
        self, at: Scope, a: Boolean, b: Boolean, to: Collection[int], plus: Boolean | None = None
    ) -> Step[npt.NDArray[np.generic] | None]:
        """See `Protocol.and_open`; one round: everybody sends its masked part of the result to every recipient.

        The parts are a fresh sharing of the result among all three: two of them are masked by a stream that the third
        party does not know, so a recipient learns what they add up to and nothing else.
        """
        check_shapes(a, b)
        (xa, xb), (ya, yb) = a.parts, b.parts
        z = bits.and_share(xa, xb, ya, yb)
        if plus is not None:
            check_shapes(a, plus)
            z ^= plus.parts[0]
        name = at.step()
        if self.me < 3:
            self.hide(name, z, a.width)
        packed = wire.pack(z, a.width)
        sends = {other: [packed] for other in to if other != self.me} if self.me < 3 else {}
        senders = [party for party in range(3) if party != self.me] if self.me in to else []
        receives = {sender: [self._arriving(packed)] for sender in senders}
        yield Exchange(at.step(), sends, receives)
        if self.me not in to:
            return None
        known = [packed] if self.me < 3 else []
        opened = total([*known, *(buffers[0] for buffers in receives.values())])
        return wire.unpack(opened, a.shape, a.width)

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        check_full_words(a, b)
        (xa, xb), (ya, yb) = a.parts, b.parts
        return (yield from self.masked_and(at, np.asanyarray(times(xa, ya ^ yb) ^ times(xb, ya)), a.width))

    def reshare(self, at: Scope, z: Array, shift: int) -> Step[Arithmetic]:
        """From parts z_i that add up to the secret, one at each party, to a replicated sharing."""
        ahead, behind = self.zero_masks(at, z)
        z = z + ahead - behind
        if shift:
            return (yield from self._truncated(at, z, shift, partial=True))
        theirs = self.session.blank(z.shape)
        yield self.rotation(at, z, theirs)
        return Arithmetic(self.name, (z, theirs))

    # -- truncation ----------------------------------------------------------------------------------------------------

    @property
    def truncation_error(self) -> float:
        return 1.0

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return 0, 1  # the quotients of c and r are rounded down, and their difference stands for that of c - r

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        first, second = x.parts
        known = first + second if self.me == 0 else second if self.me == 1 else first
        return (yield from self._truncated(at, known, shift, partial=False))

    def _truncated(self, at: Scope, z: Array, shift: int, *, partial: bool) -> Step[Arithmetic]:
        """Truncate c - r, where party 0 knows r = -z and parties 1 and 2 know c.

        `z` is what this party knows; with `partial`, c is still the sum of what parties 1 and 2 hold.
        """
        masks = self.outer_masks(at, z)
        low, top, name = at.step(), at.step(), at.step()
        u, v = self.session.blank(z.shape), self.session.blank(z.shape, truncation.top_type(shift))
        if self.me != 2:
            self.session.draw((0, 1), low, u)
            self.session.draw((0, 1), top, v)
        if self.me == 0:
            yield Exchange(name, {2: list(truncation.deal(z, shift, u, v))})
            return Arithmetic(self.name, (yield from self.merged(at, z, masks, SUM)))
        other = 3 - self.me
        rest = self.session.blank(z.shape) if partial else None
        arriving = {} if rest is None else {other: [rest]}
        if self.me == 2:
            arriving[0] = [u, v]
        yield Exchange(name, {other: [z]} if partial else None, arriving)
        mask = masks[self.me - 1]
        mine = truncation.masked_half(z, rest, 1 << OFFSET_BITS, shift, u, v, mask, self.me == 1)
        return Arithmetic(self.name, (yield from self.exchanged(at, mine, masks, SUM)))

    # -- randomness and conversions ------------------------------------------------------------------------------------

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from rep3_shuffle.shuffle(self, at, columns))

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        dealt = yield from self.deal(at, 0, self.known_summand(x, width), XOR)
        last = self.known_summand(x, width)
        last = np.negative(last) if negate_last else last
        return [Boolean(self.name, dealt, width), Boolean(self.name, self.between_1_and_2(last), width)]

    def negative(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        return (yield from rep3_signs.negative(self, at, x, width))

    def zero(self, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
        if width == 8:  # too narrow for the fused loops, whose results have half the width
            return (yield from signs.zero(self, at, x, width))
        return (yield from rep3_signs.zero(self, at, x, width))

    def carry_level(self, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Boolean]:
        (ga, gb), (ta, tb) = g.parts, t.parts
        z = bits.replicated_level(ga, gb, ta, tb, positions)
        return (yield from self.masked_and(at, z, 8 * z.dtype.itemsize))

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        bit = self._known_bit(b).astype(np.uint64)
        half = yield from self.halves(at, bit, SUM)
        masks = self.outer_masks(at, bit)
        if self.me != 0:
            half = half - (half * bit << np.uint64(1))
            if self.me == 1:
                half += bit
        return Arithmetic(self.name, (yield from self.merged(at, half, masks, SUM)))

    def _known_bit(self, b: Boolean) -> Array:
        """b0 ^ b1 at party 0, b2 at parties 1 and 2."""
        first, second = b.parts
        return np.asanyarray(first ^ second if self.me == 0 else second if self.me == 1 else first)

    def inject(self, at: Scope, bit: Boolean, x: Arithmetic) -> Step[Arithmetic]:
        """See `Protocol.inject`; 2 rounds, (16, 8, 8) bytes per element.

        Party 0 knows p = b0 ^ b1 and y = x0 + x1, parties 1 and 2 know q = b2 and z = x2. The product is
        (1 - 2 q) (p y + p z) + q y + q z: party 0 deals p y and p, and of y party 1 holds x1 and party 2 x0.
        """
        check_injected(bit, x)
        known, z = self._known_bit(bit), self.known_summand(x)
        terms = self.session.blank((2, *x.shape))
        if self.me == 0:
            terms[1] = known
            np.multiply(terms[1], z, out=terms[0, ...])
        dealt = yield from self.halves(at, terms, SUM)
        masks = self.outer_masks(at, z)
        half = z
        if self.me != 0:
            product, factor = dealt
            rest = x.parts[0] + z if self.me == 1 else x.parts[1]
            half = ring.injected_half(known, np.asanyarray(product), np.asanyarray(factor), z, np.asanyarray(rest))
        return Arithmetic(self.name, (yield from self.merged(at, half, masks, SUM)))

    def weigh(self, at: Scope, flags: Boolean, weights: Sequence[Sequence[int]]) -> Step[list[Arithmetic]]:
        """As two-round `to_arithmetic`, with the sums taken before parties 1 and 2 exchange their halves."""
        shape = flags.shape[1:]
        bits_known = contiguous(self._known_bit(flags)).reshape(flags.shape[0], math.prod(shape))
        factors = np.array([[weight % 2**64 for weight in row] for row in weights], np.uint64)
        sums = yield from known.rep3_weigh(self, at, bits_known, factors)
        first, second = yield from self.merged(at, sums, self.outer_masks(at, sums), SUM)
        parts = [(first[k].reshape(shape), second[k].reshape(shape)) for k in range(len(weights))]
        return [Arithmetic(self.name, pair) for pair in parts]

    # -- functions of summands -----------------------------------------------------------------------------------------

    @property
    def summand_count(self) -> int:
        return 2

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        return (yield from known.rep3(self, at, x, function, count))

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        return (yield from known.rep3_dot(self, at, x, function, count, shift))
