"""What the operations of `quorate.protocols.rep3` are made of: parts dealt, masked, brought together, and passed on.

Party i holds parts i and i + 1 modulo 3. A pair is (first, second) part as its holder has them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.protocols.base import Integers
from quorate.protocols.groups import Group, pair
from quorate.protocols.local import RingLocal, low_words, public_words, ring_words
from quorate.sharing import wire
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["Pair", "Rep3Parts"]

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]


class Rep3Parts(RingLocal):
    """The part of `Rep3` that knows how parts are laid out."""

    exact_parties: ClassVar[int | None] = 3

    def __init__(self, session: Session, threshold: int = 1) -> None:
        if session.parties != 3 or threshold != 1:
            raise UserError(
                f"{self.name} runs with exactly 3 parties and threshold 1, not {session.parties} and {threshold}; "
                "use shamir or semi2k for other numbers"
            )
        super().__init__(session, threshold)
        self.next = (self.me + 1) % 3
        self.previous = (self.me + 2) % 3

    # -- local ---------------------------------------------------------------------------------------------------------

    def public(self, values: Integers) -> Arithmetic:
        return Arithmetic(self.name, self.place(ring_words(values), 0))

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return Boolean(self.name, self.place(public_words(words, width), 0), width)

    def xor_public(self, a: Boolean, words: npt.NDArray[np.generic]) -> Boolean:
        words = public_words(words, a.width)
        first, second = a.parts
        return a.with_parts((first ^ words if self.me == 0 else first, second ^ words if self.next == 0 else second))

    def empty(self, shape: tuple[int, ...]) -> Arithmetic:
        return Arithmetic(self.name, (self.session.blank(shape), self.session.blank(shape)))

    # -- what one or two parties know ----------------------------------------------------------------------------------

    def deal(self, at: Scope, owner: int, words: Array, group: Group) -> Step[Pair]:
        """Share what party `owner` knows: a part common with the previous party, the rest to the next, and zero."""
        after, before = (owner + 1) % 3, (owner + 2) % 3
        mask = self.common(at, before, owner, self.session.blank(words.shape, words.dtype))
        rest = self.session.blank(words.shape, words.dtype)
        name = at.step()
        if self.me == owner:
            group.sub(words, mask, out=rest)
            yield Exchange(name, {after: [rest]})
            return mask, rest
        yield Exchange(name, None, {owner: [rest]} if self.me == after else None)
        zero = np.zeros_like(rest)
        return (rest, zero) if self.me == after else (zero, mask)

    def halves(self, at: Scope, words: Array, group: Group) -> Step[Array]:
        """What party 0 knows as two parts that parties 1 and 2 hold, one each; at party 0 its words. One round.

        As `deal` by party 0, for those who need no full sharing.
        """
        held = self.common(at, 0, 2, self.session.blank(words.shape, words.dtype))
        name = at.step()
        if self.me == 0:
            group.sub(words, held, out=held)
            yield Exchange(name, {1: [held]})
            return words
        yield Exchange(name, None, {0: [held]} if self.me == 1 else None)
        return held

    def place(self, values: Array, component: int) -> Pair:
        """Parts of a sharing that has `values` as one component and zero as the others."""
        zero = np.zeros_like(values)
        return (values if self.me == component else zero, values if self.next == component else zero)

    def known_summand(self, x: Arithmetic, width: int = 64) -> Array:
        """The low bits of x0 + x1 at party 0, x2 at parties 1 and 2."""
        first, second = x.parts
        return low_words(first + second if self.me == 0 else second if self.me == 1 else first, width)

    def between_1_and_2(self, words: Array) -> Pair:
        """Parts of a sharing of words that parties 1 and 2 know."""
        zero = np.zeros_like(words)
        return (zero, words) if self.me == 1 else (words, zero) if self.me == 2 else (zero, zero)

    # -- from additive parts to a replicated sharing -------------------------------------------------------------------

    def rotation(self, at: Scope, mine: Array, theirs: Array) -> Exchange:
        """Everybody sends `mine` to the previous party and receives `theirs` from the next."""
        return Exchange(at.step(), {self.previous: [mine]}, {self.next: [theirs]})

    def hide(self, name: Name, z: Array, width: int) -> None:
        """Mask parts of words, in place, by streams common with both neighbours, which cancel out."""
        self.session.mask(pair(self.me, self.next), name, z)
        self.session.mask(pair(self.previous, self.me), name, z)
        if z.dtype.itemsize * 8 != width:
            z &= z.dtype.type((1 << width) - 1)

    def masked_and(self, at: Scope, z: Array, width: int) -> Step[Boolean]:
        """From unmasked parts of an and, one at each party, to a sharing of its words."""
        self.hide(at.step(), z, width)
        if z.dtype.itemsize * 8 == width:
            theirs = self.session.blank(z.shape, z.dtype)
            yield self.rotation(at, z, theirs)
            return Boolean(self.name, (z, theirs), width)
        packed = wire.pack(z, width)
        arrived = self.session.blank(packed.shape, packed.dtype)
        yield self.rotation(at, packed, arrived)
        return Boolean(self.name, (z, wire.unpack(arrived, z.shape, width)), width)

    def outer_masks(self, at: Scope, like: Array) -> Pair:
        """Parts common to parties 0 and 1, and to parties 0 and 2."""
        one, two = at.step(), at.step()
        with_1, with_2 = (self.session.blank(like.shape, like.dtype) for _ in range(2))
        if self.me != 2:
            self.session.draw((0, 1), one, with_1)
        if self.me != 1:
            self.session.draw((0, 2), two, with_2)
        return with_1, with_2

    def merged(self, at: Scope, half: Array, masks: Pair, group: Group) -> Step[Pair]:
        """A replicated sharing of the two halves that parties 1 and 2 hold: they exchange them, masked by parts that
        they share with party 0. One round."""
        mine = half if self.me == 0 else np.asanyarray(group.sub(half, masks[self.me - 1]))
        return (yield from self.exchanged(at, mine, masks, group))

    def exchanged(self, at: Scope, mine: Array, masks: Pair, group: Group) -> Step[Pair]:
        """The same from halves that are masked already."""
        with_1, with_2 = masks
        name = at.step()
        if self.me == 0:
            yield Exchange(name)
            return with_2, with_1
        other, common = 3 - self.me, masks[self.me - 1]
        rest = self.session.blank(mine.shape, mine.dtype)
        yield Exchange(name, {other: [mine]}, {other: [rest]})
        part = group.add(mine, rest, out=rest)
        return (common, part) if self.me == 1 else (part, common)

    # -- shared randomness ---------------------------------------------------------------------------------------------

    def common(self, at: Scope, one: int, other: int, out: Array) -> Array:
        """Randomness that two parties share; its step is counted by all three."""
        name = at.step()
        return self.session.draw(pair(one, other), name, out) if self.me in (one, other) else out

    def zero_masks(self, at: Scope, like: Array) -> Pair:
        """Streams shared with the next and the previous party; their differences add up to zero over the parties."""
        name = at.step()
        ahead = self.session.scratch(0, like.shape, like.dtype)
        behind = self.session.scratch(1, like.shape, like.dtype)
        if self.me < 3:
            self.session.draw(pair(self.me, self.next), name, ahead)
            self.session.draw(pair(self.previous, self.me), name, behind)
        return ahead, behind

    def random(self, at: Scope, shape: tuple[int, ...]) -> Step[Arithmetic]:
        yield from ()
        return Arithmetic(self.name, self.random_parts(at, shape, np.uint64))

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        yield from ()
        first, second = self.random_parts(at, shape, np.uint8)
        return Boolean(self.name, (first & np.uint8(1), second & np.uint8(1)))

    def random_parts(self, at: Scope, shape: tuple[int, ...], kind: npt.DTypeLike) -> Pair:
        """A sharing of random words that nobody knows."""
        name = at.step()
        parts = (self.session.blank(shape, kind), self.session.blank(shape, kind))
        self.session.draw(pair(self.previous, self.me), name, parts[0])
        self.session.draw(pair(self.me, self.next), name, parts[1])
        return parts
