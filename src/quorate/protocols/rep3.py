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
    truncation (16, 8, 8), 2 rounds; product with truncation (16, 16, 16), 2 rounds; summands (8, 0, 0), 1 round;
    bit to integer (8, 8, 8), 2 rounds; m weighted sums of k bits (8 k, 8 m, 8 m), 2 rounds;
    reveal: 8 from one party per recipient, 8 from each to an outsider, 1 round;
    shuffle (16, 8, 8), 3 rounds, see `rep3_shuffle`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.kernels import bits, ring, truncation
from quorate.kernels.ghost import contiguous
from quorate.protocols import adder, rep3_shuffle
from quorate.protocols.base import Integers
from quorate.protocols.groups import SUM, XOR, Group, pair, total
from quorate.protocols.local import RingLocal, check_shapes, low_words, public_words, ring_words, rows_of
from quorate.sharing import replicated, wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Rep3"]

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]
OFFSET_BITS = 62
OFFSET = np.uint64(1 << OFFSET_BITS)


class Rep3(RingLocal):
    """One participant of the three-party replicated protocol."""

    name: ClassVar[str] = "rep3"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "semi-honest"
    capacity: ClassVar[int] = OFFSET_BITS

    def __init__(self, session: Session, threshold: int = 1) -> None:
        if session.parties != 3 or threshold != 1:
            raise UserError(
                f"rep3 runs with exactly 3 parties and threshold 1, not {session.parties} and {threshold}; "
                "use shamir or semi2k for other numbers"
            )
        super().__init__(session, threshold)
        self.next = (self.me + 1) % 3
        self.previous = (self.me + 2) % 3

    def setup(self, at: Scope) -> Step[None]:
        yield from self.session.agree_keys(at, [(0, 1), (1, 2), (0, 2)])

    # -- input and output ----------------------------------------------------------------------------------------------

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        words = self.session.blank(shape) if values is None else ring_words(values)
        if owner < 3:
            parts = yield from self._deal(at, owner, words, SUM)
        else:
            parts = yield from self._input_from_outside(at, owner, words)
        return Arithmetic(self.name, parts)

    def _deal(self, at: Scope, owner: int, words: Array, group: Group) -> Step[Pair]:
        """Share what party `owner` knows: a part common with the previous party, the rest to the next, and zero."""
        after, before = (owner + 1) % 3, (owner + 2) % 3
        mask = self._common(at, before, owner, self.session.blank(words.shape, words.dtype))
        rest = self.session.blank(words.shape, words.dtype)
        name = at.step()
        if self.me == owner:
            group.sub(words, mask, out=rest)
            yield Exchange(name, {after: [rest]})
            return mask, rest
        yield Exchange(name, None, {owner: [rest]} if self.me == after else None)
        zero = np.zeros_like(rest)
        return (rest, zero) if self.me == after else (zero, mask)

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
        masks = self._zero_masks(at, parts[0]) if outsiders else None
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

    # -- local ---------------------------------------------------------------------------------------------------------

    def public(self, values: Integers) -> Arithmetic:
        return Arithmetic(self.name, self._place(ring_words(values), 0))

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return Boolean(self.name, self._place(public_words(words, width), 0), width)

    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        return Arithmetic(self.name, (self.session.blank(shape), self.session.blank(shape)))

    def _place(self, values: Array, component: int) -> Pair:
        """Parts of a sharing that has `values` as one component and zero as the others."""
        zero = np.zeros_like(values)
        return (values if self.me == component else zero, values if self.next == component else zero)

    # -- products ------------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        ahead, behind = self._zero_masks(at, x.parts[0])
        z, theirs = (self.empty(x.shape) if out is None else out).parts
        (xa, xb), (ya, yb) = x.parts, y.parts
        ring.replicated_product(xa, xb, ya, yb, ahead, behind, out=z)
        if shift:
            return (yield from self._truncated(at, z, shift, partial=True))
        yield self._rotation(at, z, theirs)
        return Arithmetic(self.name, (z, theirs))

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        check_shapes(x, y)
        self.session.multiplied(3 * x.size)
        rows = [rows_of(part) for part in (*x.parts, *y.parts)]
        z = ring.replicated_dot(*rows).reshape(x.shape[:-1])
        return (yield from self._reshare(at, z, shift))

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        x.same_scheme(y)
        (xa, xb), (ya, yb) = x.parts, y.parts
        self.session.multiplied(2 * x.size * y.shape[1])
        z = ring.matmul(xa, ya + yb)
        ring.matmul(xb, ya, out=z, accumulate=True)
        return (yield from self._reshare(at, z, shift))

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        (xa, xb), (ya, yb) = a.parts, b.parts
        return (yield from self._masked_and(at, bits.and_share(xa, xb, ya, yb), a.width))

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
            self._hide(name, z, a.width)
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

    def _hide(self, name: Name, z: Array, width: int) -> None:
        """Mask parts of words, in place, by streams common with both neighbours, which cancel out."""
        self.session.mask(pair(self.me, self.next), name, z)
        self.session.mask(pair(self.previous, self.me), name, z)
        if z.dtype.itemsize * 8 != width:
            z &= z.dtype.type((1 << width) - 1)

    def _masked_and(self, at: Scope, z: Array, width: int) -> Step[Boolean]:
        """From unmasked parts of an and, one at each party, to a sharing of its words."""
        self._hide(at.step(), z, width)
        if z.dtype.itemsize * 8 == width:
            theirs = self.session.blank(z.shape, z.dtype)
            yield self._rotation(at, z, theirs)
            return Boolean(self.name, (z, theirs), width)
        packed = wire.pack(z, width)
        arrived = self.session.blank(packed.shape, packed.dtype)
        yield self._rotation(at, packed, arrived)
        return Boolean(self.name, (z, wire.unpack(arrived, z.shape, width)), width)

    def _reshare(self, at: Scope, z: Array, shift: int) -> Step[Arithmetic]:
        """From parts z_i that add up to the secret, one at each party, to a replicated sharing."""
        ahead, behind = self._zero_masks(at, z)
        z = z + ahead - behind
        if shift:
            return (yield from self._truncated(at, z, shift, partial=True))
        theirs = self.session.blank(z.shape)
        yield self._rotation(at, z, theirs)
        return Arithmetic(self.name, (z, theirs))

    def _rotation(self, at: Scope, mine: Array, theirs: Array) -> Exchange:
        """Everybody sends `mine` to the previous party and receives `theirs` from the next."""
        return Exchange(at.step(), {self.previous: [mine]}, {self.next: [theirs]})

    # -- truncation ----------------------------------------------------------------------------------------------------

    @property
    def truncation_error(self) -> float:
        return 1.0

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        first, second = x.parts
        known = first + second if self.me == 0 else second if self.me == 1 else first
        return (yield from self._truncated(at, known, shift, partial=False))

    def _truncated(self, at: Scope, z: Array, shift: int, *, partial: bool) -> Step[Arithmetic]:
        """Truncate c - r, where party 0 knows r = -z and parties 1 and 2 know c.

        `z` is what this party knows; with `partial`, c is still the sum of what parties 1 and 2 hold.
        """
        masks = self._outer_masks(at, z)
        hidden, name = at.step(), at.step()
        both = self.session.scratch(2, (2, *z.shape))
        if self.me != 2:
            self.session.draw((0, 1), hidden, both)
        if self.me == 0:
            yield Exchange(name, {2: list(truncation.deal(z, shift, both[0], both[1]))})
            return Arithmetic(self.name, (yield from self._merged(at, z, masks, SUM)))
        other = 3 - self.me
        u, v, rest = (self.session.blank(z.shape) for _ in range(3))
        arriving = {other: [rest]} if partial else {}
        if self.me == 2:
            arriving[0] = [u, v]
        else:
            u, v = both.copy()
        yield Exchange(name, {other: [z]} if partial else None, arriving)
        c = total([z, rest, np.asarray(OFFSET)] if partial else [z, np.asarray(OFFSET)], SUM)
        half = (truncation.first_half if self.me == 1 else truncation.second_half)(c, shift, u, v)
        if self.me == 1:
            half -= np.uint64(1 << (OFFSET_BITS - shift))
        return Arithmetic(self.name, (yield from self._merged(at, half, masks, SUM)))

    def _outer_masks(self, at: Scope, like: Array) -> Pair:
        """Parts common to parties 0 and 1, and to parties 0 and 2."""
        one, two = at.step(), at.step()
        with_1, with_2 = (self.session.blank(like.shape, like.dtype) for _ in range(2))
        if self.me != 2:
            self.session.draw((0, 1), one, with_1)
        if self.me != 1:
            self.session.draw((0, 2), two, with_2)
        return with_1, with_2

    def _merged(self, at: Scope, half: Array, masks: Pair, group: Group) -> Step[Pair]:
        """A replicated sharing of the two halves that parties 1 and 2 hold: they exchange them, masked by parts that
        they share with party 0. One round."""
        with_1, with_2 = masks
        name = at.step()
        if self.me == 0:
            yield Exchange(name)
            return with_2, with_1
        other, common = 3 - self.me, with_1 if self.me == 1 else with_2
        mine = np.asanyarray(group.sub(half, common))
        rest = self.session.blank(mine.shape, mine.dtype)
        yield Exchange(name, {other: [mine]}, {other: [rest]})
        part = group.add(mine, rest, out=rest)
        return (common, part) if self.me == 1 else (part, common)

    # -- randomness and conversions ------------------------------------------------------------------------------------

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        yield from ()
        return Arithmetic(self.name, self._random_parts(at, shape, np.uint64))

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        yield from ()
        first, second = self._random_parts(at, shape, np.uint8)
        return Boolean(self.name, (first & np.uint8(1), second & np.uint8(1)))

    def _random_parts(self, at: Scope, shape: tuple[int, ...], kind: npt.DTypeLike) -> Pair:
        name = at.step()
        parts = (self.session.blank(shape, kind), self.session.blank(shape, kind))
        self.session.draw(pair(self.previous, self.me), name, parts[0])
        self.session.draw(pair(self.me, self.next), name, parts[1])
        return parts

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from rep3_shuffle.shuffle(self, at, columns))

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        dealt = yield from self._deal(at, 0, self._known_summand(x, width), XOR)
        last = self._known_summand(x, width)
        last = np.negative(last) if negate_last else last
        return [Boolean(self.name, dealt, width), Boolean(self.name, self._between_1_and_2(last), width)]

    def _known_summand(self, x: Arithmetic, width: int) -> Array:
        """x0 + x1 at party 0, x2 at parties 1 and 2."""
        first, second = x.parts
        return low_words(first + second if self.me == 0 else second if self.me == 1 else first, width)

    def _between_1_and_2(self, words: Array) -> Pair:
        """Parts of a sharing of words that parties 1 and 2 know."""
        zero = np.zeros_like(words)
        return (zero, words) if self.me == 1 else (words, zero) if self.me == 2 else (zero, zero)

    def half_add(
        self, at: Scope, x: Arithmetic, width: int = 64
    ) -> Step[tuple[Boolean, Boolean, Boolean, list[Boolean]]]:
        """As `adder.half_add`, with v = x0 + x1, which party 0 puts in order before it deals it, and u = x2."""
        word = self._known_summand(x, width)
        dealt = yield from self._deal(at, 0, bits.arrange(word, 1), XOR)
        v = Boolean(self.name, dealt, width)
        u = Boolean(self.name, self._between_1_and_2(bits.arrange(word, 1)), width)
        gray = Boolean(self.name, self._between_1_and_2(bits.gray(word, 1)), width)
        return gray, adder.without_bit(self.xor(u, v), 0), adder.bit_of(v, 0), []

    def carry_level(self, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Boolean]:
        (ga, gb), (ta, tb) = g.parts, t.parts
        z = bits.replicated_level(ga, gb, ta, tb, positions)
        return (yield from self._masked_and(at, z, 8 * z.dtype.itemsize))

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        first, second = b.parts
        dealt = yield from self._deal(at, 0, (first ^ second if self.me == 0 else first).astype(np.uint64), SUM)
        masks = self._outer_masks(at, dealt[0])
        bit = (second if self.me == 1 else first).astype(np.uint64)
        part = dealt[0] if self.me == 1 else dealt[1]
        half = part - (part * bit << np.uint64(1))
        if self.me == 1:
            half += bit
        return Arithmetic(self.name, (yield from self._merged(at, half, masks, SUM)))

    def weigh(self, at: Scope, flags: Boolean, weights: Sequence[Sequence[int]]) -> Step[list[Arithmetic]]:
        """As two-round `to_arithmetic`, with the sums taken before parties 1 and 2 exchange their halves."""
        first, second = flags.parts
        dealt = yield from self._deal(at, 0, (first ^ second if self.me == 0 else first).astype(np.uint64), SUM)
        shape = (len(weights), *flags.shape[1:])
        sums = self.session.blank(shape)
        masks = self._outer_masks(at, sums)
        if self.me != 0:
            bit, part = (second, dealt[0]) if self.me == 1 else (first, dealt[1])
            sums = ring.weighted_halves(part, bit, np.array(weights, np.uint64), self.me == 1)
        merged = yield from self._merged(at, sums, masks, SUM)
        return [Arithmetic(self.name, (merged[0][k], merged[1][k])) for k in range(len(weights))]

    # -- shared randomness ---------------------------------------------------------------------------------------------

    def _common(self, at: Scope, one: int, other: int, out: Array) -> Array:
        """Randomness that two parties share; its step is counted by all three."""
        name = at.step()
        return self.session.draw(pair(one, other), name, out) if self.me in (one, other) else out

    def _zero_masks(self, at: Scope, like: Array) -> Pair:
        """Streams shared with the next and the previous party; their differences add up to zero over the parties."""
        name = at.step()
        ahead = self.session.scratch(0, like.shape, like.dtype)
        behind = self.session.scratch(1, like.shape, like.dtype)
        if self.me < 3:
            self.session.draw(pair(self.me, self.next), name, ahead)
            self.session.draw(pair(self.previous, self.me), name, behind)
        return ahead, behind
