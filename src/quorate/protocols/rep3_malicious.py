"""Replicated sharing among three parties, one of which may cheat: malicious security with abort, honest majority.

x = x0 + x1 + x2 modulo 2**64; party i holds (x_i, x_{i+1}), as in `Rep3`. Boolean words likewise, with exclusive or.

Sources
    Operations: as `Rep3` (Araki et al., CCS 2016), whose products are secure against a cheater up to an additive error
    that the cheater knows: Lindell, Nof, "A Framework for Constructing Fast MPC over Arithmetic Circuits with
    Malicious Adversaries and an Honest-Majority", CCS 2017.
    The check of all products before anything is opened: Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai, CRYPTO 2019;
    Boyle, Gilboa, Ishai, Nof, ASIACRYPT 2020; Goyal, Song, ePrint 2020/134: see `verification.argument`. Numbers are
    checked in the Galois ring GR(2^64, 48), words in the field of 2^64 elements. We chose this over MACs (Lindell, Nof;
    Abspoel, Dalskov, Escudero, Nof, "An Efficient Passive-to-Active Compiler for Honest-Majority MPC over Rings", ACNS
    2021) and over sacrificed triples (Araki et al., S&P 2017), since both at least double what every product sends.
    Truncation: `summed_truncation`, on summands that two parties know each.

Adversary: one of the three parties, and any owners and recipients from outside, cheat as they like, see messages
before they send their own, and may stop at any time. Honest parties get right results or abort; nothing is opened
before all products that were computed so far have been checked.

What a cheater can alter, message by message, and what comes of it
    Keys of two parties: whatever a cheater does with its own key is as if it had used the one that its partner has.
        The key of all three, for fresh parts to outsiders only, is compared in set-up.
    Input of a party: the part that its receiver gets is its input, whatever it is.
    Input of an outsider: the holders of a part compare digests, so the honest ones have consistent parts.
    Parts that are shared again (products, ands, and within the check): an additive error. In products it is found by
        the check; within the check see `verification.argument`. What party 0 deals in `to_arithmetic`, likewise.
    Openings: every part comes from both its holders (one by a digest), of whom one is honest.
    Coins: commitments with an echo, `quorate.engine.coins`.
    All other operations send nothing: what is placed in one part of a sharing is known to both its holders.
No message depends on a secret value but under a mask that its receiver does not know, and the only decisions to abort
depend on the cheater's own errors: so an abort tells nothing (no selective failure).

Soundness: a wrong product passes a check of numbers with probability 2**-40 at most, one of words 2**-56; with
`Session.security` of s the argument runs ceil(s / 40) and ceil(s / 56) times. Digests: SHA-256.

Bytes per element sent by parties (0, 1, 2), checks not counted
    input 8 from the owner; product, and (64 bits): 8 each, 1 round; dot, matmul: as one product per result; summands
    and functions of them: nothing; bit to integer (16, 8, 8), 2 rounds; chosen number (24, 16, 16), 3 rounds;
    truncation 40 each, 3 rounds; sign (64 bits) 23.6 each, 7 rounds; shuffle 16 each, 3 rounds, see `rep3_turns`;
    reveal see `rep3_opening`.
    Checks: see `verification.argument`. One of 10**6 products: 337 kB each, 21 rounds; of 10**5 160 kB, 18 rounds; of
    fewer than 10**4 some 60 kB, 9 to 18 rounds; of ands at most 13 kB.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.kernels import bits, ring
from quorate.protocols import rep3_opening, rep3_turns, rep3_verified, summed_truncation
from quorate.protocols.base import Bilinear, Function, Integers, through_ands
from quorate.protocols.deferred import Deferred
from quorate.protocols.groups import SUM, XOR
from quorate.protocols.known import values_of
from quorate.protocols.local import check_full_words, check_shapes, low_words, ring_words, rows_of
from quorate.protocols.rep3_parts import Array, Pair, Rep3Parts
from quorate.protocols.rep3_verified import Level, Noted
from quorate.protocols.verification.scheme import Inner, Matrix, Note, Products, Zeros
from quorate.sharing import wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["Rep3Malicious"]

SUMMANDS = 3


class Rep3Malicious(Rep3Parts):
    """One participant of the three-party replicated protocol against a cheater."""

    name: ClassVar[str] = "rep3_malicious"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "malicious"
    majority: ClassVar[Literal["none", "honest", "dishonest"]] = "honest"
    exact_parties: ClassVar[int | None] = 3
    capacity: ClassVar[int] = 62

    def __init__(self, session: Session, threshold: int = 1) -> None:
        super().__init__(session, threshold)
        self.deferred: Deferred[Noted] = Deferred(lambda at, notes: rep3_verified.check(self, at, notes))

    def setup(self, at: Scope) -> Step[None]:
        self.deferred.open(at.child("checks"))
        yield from self.session.agree_keys(at, [(0, 1), (1, 2), (0, 2), (0, 1, 2)], compare=True)

    @property
    def resumable(self) -> bool:
        return True

    def progress(self) -> tuple[int, ...]:
        return (self.deferred.batches,)

    def proceed(self, progress: Sequence[int]) -> None:
        self.deferred.proceed(progress)

    # -- input and output ----------------------------------------------------------------------------------------------

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        words = self.session.blank(shape) if values is None else ring_words(values)
        if owner < 3:
            parts = yield from self.deal(at, owner, words, SUM)
        else:
            parts = yield from rep3_opening.input_from_outside(self, at, owner, words)
        return Arithmetic(self.name, parts)

    def checked(self) -> Step[None]:
        yield from self.deferred.settle()

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        yield from self.checked()
        opened = yield from rep3_opening.opened(self, at, (x.parts[0], x.parts[1]), to, SUM)
        return None if opened is None else opened.view(np.int64)

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        yield from self.checked()
        packed = (wire.pack(x.parts[0], x.width), wire.pack(x.parts[1], x.width))
        opened = yield from rep3_opening.opened(self, at, packed, to, XOR)
        return None if opened is None else wire.unpack(opened, x.shape, x.width)

    # -- products ------------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        yield from self.deferred.relieve(x.size)
        ahead, behind = self.zero_masks(at, x.parts[0])
        z, theirs = (self.empty(x.shape) if out is None else out).parts
        (xa, xb), (ya, yb) = x.parts, y.parts
        ring.replicated_product(xa, xb, ya, yb, ahead, behind, out=z)
        exchange = self.rotation(at, z, theirs)
        yield exchange
        self.deferred.note(exchange.name, Products(x.parts, y.parts, (z, theirs)), z.size)
        product = Arithmetic(self.name, (z, theirs))
        return (yield from self.truncate(at.child("shift"), product, shift)) if shift else product

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        check_shapes(x, y)
        yield from self.deferred.relieve(x.size)
        self.session.multiplied(3 * x.size)
        left, right = (tuple(rows_of(part) for part in side.parts) for side in (x, y))
        z, name = yield from self._reshared(at, ring.replicated_dot(*left, *right))
        self.deferred.note(
            name, Inner(left, right, z) if x.size else Zeros(z), max(x.size, z[0].size) if z[0].size else 0
        )
        return (yield from self._finished(at, z, x.shape[:-1], shift))

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        x.same_scheme(y)
        yield from self.deferred.relieve(x.size + y.size)
        self.session.multiplied(2 * x.size * y.shape[1])
        z = ring.replicated_matmul(*x.parts, *y.parts)
        parts, name = yield from self._reshared(at, z)
        note: Note = Matrix(x.parts, y.parts, parts) if x.size else Zeros(parts)
        self.deferred.note(name, note, x.size + y.size + z.size if z.size else 0)
        return (yield from self._finished(at, parts, z.shape, shift))

    def _reshared(self, at: Scope, z: Array) -> Step[tuple[Pair, Name]]:
        """From parts z_i that add up to the secret to a replicated sharing, and the name of the round."""
        ahead, behind = self.zero_masks(at, z)
        z = np.asanyarray(z + ahead - behind)
        theirs = self.session.blank(z.shape)
        exchange = self.rotation(at, z, theirs)
        yield exchange
        return (z, theirs), exchange.name

    def _finished(self, at: Scope, parts: Pair, shape: tuple[int, ...], shift: int) -> Step[Arithmetic]:
        product = Arithmetic(self.name, (parts[0].reshape(shape), parts[1].reshape(shape)))
        return (yield from self.truncate(at.child("shift"), product, shift)) if shift else product

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        yield from self.deferred.relieve(_words(a))
        (xa, xb), (ya, yb) = a.parts, b.parts
        note = at.step()
        result = yield from self.masked_and(at, bits.and_share(xa, xb, ya, yb), a.width)
        self.deferred.note(note, Products(a.parts, b.parts, result.parts, a.width), _words(a))
        return result

    def carry_level(self, at: Scope, g: Boolean, t: Boolean, positions: int) -> Step[Boolean]:
        yield from self.deferred.relieve(_words(g))
        (ga, gb), (ta, tb) = g.parts, t.parts
        z = bits.replicated_level(ga, gb, ta, tb, positions)
        note = at.step()
        result = yield from self.masked_and(at, z, 8 * z.dtype.itemsize)
        self.deferred.note(note, Level(g.parts, t.parts, result.parts, positions), _words(g))
        return result

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        check_full_words(a, b)
        return (yield from through_ands(self, at, a, b, times, shape))

    # -- truncation ----------------------------------------------------------------------------------------------------

    @property
    def truncation_error(self) -> float:
        return summed_truncation.error(SUMMANDS)

    @property
    def truncation_offsets(self) -> tuple[int, int]:
        return summed_truncation.offsets(SUMMANDS)

    def truncate(self, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
        return (yield from summed_truncation.truncate(self, at, x, shift))

    # -- conversions ---------------------------------------------------------------------------------------------------

    def placed(self, first: Array, second: Array, component: int) -> Pair:
        """Parts of a sharing with one component that is not zero: `first` is what we know if it is our first part,
        `second` if it is our second."""
        return (
            first if self.me == component else np.zeros_like(first),
            second if self.next == component else np.zeros_like(second),
        )

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        """See `Protocol.summands`; the parts themselves, which are known to two parties each. No communication."""
        yield from ()
        first, second = (low_words(part, width) for part in x.parts)
        words = [self.placed(first, second, component) for component in range(SUMMANDS)]
        if negate_last:
            words[-1] = (np.negative(words[-1][0]), np.negative(words[-1][1]))
        return [Boolean(self.name, pair, width) for pair in words]

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        """See `Protocol.to_arithmetic`: b0 ^ b1, whose product party 0 knows and deals, then that with b2."""
        yield from self.deferred.relieve(b.size)
        first, second = (part.astype(np.uint64) for part in b.parts)
        numbers = [Arithmetic(self.name, self.placed(first, second, component)) for component in range(SUMMANDS)]
        note = at.step()
        both = Arithmetic(self.name, (yield from self.deal(at, 0, np.asanyarray(first & second), SUM)))
        self.deferred.note(note, Products(numbers[0].parts, numbers[1].parts, both.parts), b.size)
        known = self.sub(self.add(numbers[0], numbers[1]), self.scale(both, 2))
        product = yield from self.mul(at.child("last"), known, numbers[2])
        return self.sub(self.add(known, numbers[2]), self.scale(product, 2))

    # -- functions of summands -----------------------------------------------------------------------------------------

    @property
    def summand_count(self) -> int:
        return SUMMANDS

    def known(self, at: Scope, x: Arithmetic, function: Function, count: int) -> Step[list[Arithmetic]]:
        """See `Protocol.known`; both holders of a part compute the function of it. No communication."""
        yield from ()
        blank = np.zeros_like(x.parts[0], shape=(count, *x.shape))
        results = []
        for component in range(SUMMANDS):
            held = [self.me == component, self.next == component]
            parts = [
                values_of(function, part, component, count).view(np.uint64) if holds else blank
                for part, holds in zip(x.parts, held, strict=True)
            ]
            results.append(Arithmetic(self.name, (parts[0], parts[1])))
        return results

    def known_dot(self, at: Scope, x: Arithmetic, function: Function, count: int, shift: int = 0) -> Step[Arithmetic]:
        raise InternalError("there are three summands, not two; circuits must ask for their number")
        yield

    # -- shuffling -----------------------------------------------------------------------------------------------------

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from rep3_turns.shuffle(self, at, columns))


def _words(words: Boolean) -> int:
    """How many words of 64 bits these fill, which is what checking them costs."""
    return -(-words.size * max(1, words.width // 8) // 8)
