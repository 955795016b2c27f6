"""Shamir's (t, n) sharing over the field of p = 2**61 - 1 elements against parties that cheat: n >= 2t + 1, abort.

Up to t parties may do anything. What they can achieve is that the computation stops; no wrong value is accepted and
nothing is learnt that was not to be opened. With n >= 3t + 1 wrong shares of results, and in the openings of checks,
are corrected and their senders named (`Session.findings`); everything else that is wrong stops the computation there,
too: products, masked openings, inputs, keys and coins.

Everything is computed as in `shamir`, and what a cheater could do is dealt with as follows.

Keys         Members of every group compare the keys that one of them chose (`Session.agree_keys`).
Input        An owner knows the pseudorandom parts of its groups and sends the missing part to one group, whose members
             compare what they got; any parts that honest members agree on are a consistent sharing of some input. An
             outside owner sends seeds instead of pseudorandom parts.
Products     Resharing a wrong product adds an error known to the cheater. The notes of all products are verified
             together before anything is opened (`verification`): numbers in the field, words over GF(2**64).
Groups       The members of the collecting group compare digests of what they were sent (`shamir_heard`), except for
             numbers with n = 2t + 1, where the shares of the t + 1 honest parties lie on a polynomial in any case.
Summands     To write x as a sum of words each known to a group, c = x - r is opened, where r is the sum of
             pseudorandom parts r_A known to the groups A; the first group adds c to its part. c is uniform, so it tells
             nothing even if x is wrong; that all got the same c, and that c - (x - r) = 0, is noted to be checked.
             Until then honest parties may hold what does not fit together, in a way that depends on secrets, so
             whatever is sent before shows a coalition one uniform number per sum: see `shamir_heard`. Words and
             functions of them are then placed as parts of these groups without a message.
Openings     See `shamir_opening`.

Sources
    Checked pseudorandom sharing and openings: Cramer, Damgård, Ishai, TCC 2005, sections 3 and 5; additive attacks on
    resharing: Genkin, Ishai, Prabhakaran, Sahai, Tromer, "Circuits Resilient to Additive Attacks", STOC 2014; the
    verification: see `verification.argument`. Truncation: see `summed_truncation`; shuffles: `verification.permuted`.
    Deviations: those of `shamir`; masked openings c = x - r with replicated r instead of random bits.

Security: sessions ask for `Session.security` bits; the verification runs as often as that takes (once up to 52 bits).
A batch of products that a cheater spoiled is accepted with probability 2**-security at most; all other checks are
exact but for collisions of SHA-256 and the pseudorandom functions (AES-128).

Costs besides those of checks, for c = binomial(n, t) groups of n - t parties
    input 8 (n - t - 1) bytes from the owner, 1 round; from outside 8 (n - t), and a seed of 16 bytes for every other
    group and member; product, and, inner and matrix products as in `shamir`, with a shift instead 8 (n - 1) bytes from
    each of 2t + 1 parties, 1 round, and the products of a truncation; masked opening 8 bytes from every party for
    t = 1, else 8 (n - 1) from each of t + 1 parties, 1 round: summands and known functions cost one; truncation one,
    and `summed_truncation.cost(c)` products; bit to integer c - 1 products in ceil(log2 c) rounds; shuffle c rounds,
    see `shamir_malicious_shuffle`.
A check: `verification.argument`, 6 rounds for up to 64 products, 15 and 36 kB per party for 10**6 products.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels import field
from quorate.protocols import (
    shamir_heard,
    shamir_input,
    shamir_malicious_shuffle,
    shamir_opening,
)
from quorate.protocols.base import Bilinear, Integers, through_ands
from quorate.protocols.deferred import Deferred
from quorate.protocols.local import as_int64, check_full_words, check_shapes, rows_of
from quorate.protocols.shamir_divided import ShamirDivided
from quorate.protocols.shamir_heard import Heard
from quorate.protocols.shamir_schemes import NumberScheme, WordScheme
from quorate.protocols.verification import argument
from quorate.protocols.verification.scheme import Inner, Matrix, Note, Permuted, Products, Zeros
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["ShamirMalicious"]

LIMIT = 1 << 21
"""Noted numbers at which a check is made at the next opportunity: 50 MB of references."""


class ShamirMalicious(ShamirDivided):
    """One participant of Shamir's protocol, with threshold t, among parties that may cheat."""

    name: ClassVar[str] = "shamir_malicious"
    adversary: ClassVar[Literal["none", "semi-honest", "malicious"]] = "malicious"

    def __init__(self, session: Session, threshold: int) -> None:
        super().__init__(session, threshold)
        self.deferred = Deferred(self._check, LIMIT)
        self._numbers, self._words = NumberScheme(self), WordScheme(self)

    def setup(self, at: Scope) -> Step[None]:
        self.deferred.open(at.child("checks"))
        pairs = combinations(range(self.multipliers), 2)
        yield from self.session.agree_keys(at, dict.fromkeys([*self.groups, *pairs]), compare=True)

    @property
    def resumable(self) -> bool:
        return True

    def progress(self) -> tuple[int, ...]:
        return (self.deferred.batches,)

    def proceed(self, progress: Sequence[int]) -> None:
        self.deferred.proceed(progress)

    # -- checks --------------------------------------------------------------------------------------------------------

    def checked(self) -> Step[None]:
        yield from self.deferred.settle()

    def _check(self, at: Scope, notes: Sequence[Note | Heard]) -> Step[None]:
        heard = [note for note in notes if isinstance(note, Heard)]
        products = [note for note in notes if not isinstance(note, Heard)]
        words = [note for note in products if _is_of_words(note)]
        numbers = [note for note in products if not _is_of_words(note)]
        self.heard_in_check, self._checking = [], True
        yield from parallel(
            [
                shamir_heard.compare(self, at.child("heard"), heard),
                argument.verify(self.session, self._numbers, at.child("numbers"), numbers),
                argument.verify(self.session, self._words, at.child("words"), words),
            ]
        )
        self.heard_in_check, self._checking = [], False

    # -- input and output ----------------------------------------------------------------------------------------------

    def input(self, at: Scope, owner: int, shape: tuple[int, ...], values: Integers | None = None) -> Step[Arithmetic]:
        elements = None if values is None else field.encode_signed(as_int64(values))
        return (yield from shamir_input.deal(self, at, owner, shape, elements))

    def reveal(self, at: Scope, x: Arithmetic, to: Collection[int]) -> Step[Integers | None]:
        yield from self.checked()
        opened = yield from shamir_opening.open_numbers(self, at, x.parts[0], to)
        return None if opened is None else field.decode_signed(opened)

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        yield from self.checked()
        return (yield from shamir_opening.open_words(self, at, x.parts, x.width, to))

    # -- products ------------------------------------------------------------------------------------------------------

    def mul(
        self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, out: Arithmetic | None = None
    ) -> Step[Arithmetic]:
        check_shapes(x, y)
        yield from self.deferred.relieve(x.size)
        name, product = at.step(), field.mul(x.parts[0], y.parts[0])
        target = None if shift or out is None else out.parts[0]
        z, parts = yield from self._multiplied(at, product, shift, target)
        self.deferred.note(name, Products(x.parts, y.parts, (z,)), x.size)
        return (yield from self.quotient(at, parts, shift)) if shift else Arithmetic(self.name, (z,))

    def dot(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        check_shapes(x, y)
        yield from self.deferred.relieve(x.size)
        name = at.step()
        rows = [rows_of(share.parts[0]) for share in (x, y)]
        self.session.multiplied(x.size)
        z, parts = yield from self._multiplied(at, field.dot(*rows).reshape(x.shape[:-1]), shift)
        flat = z.reshape(-1)
        self.deferred.note(name, Inner((rows[0],), (rows[1],), (flat,)) if x.size else Zeros((flat,)), x.size or z.size)
        return (yield from self.quotient(at, parts, shift)) if shift else Arithmetic(self.name, (z,))

    def matmul(self, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0) -> Step[Arithmetic]:
        size = x.size + y.size + x.shape[0] * y.shape[1]
        yield from self.deferred.relieve(size)
        name = at.step()
        self.session.multiplied(x.size * y.shape[1])
        z, parts = yield from self._multiplied(at, field.matmul(x.parts[0], y.parts[0]), shift)
        if x.size and y.size:
            self.deferred.note(name, Matrix(x.parts, y.parts, (z,)), size)
        else:
            self.deferred.note(name, Zeros((z,)), z.size)
        return (yield from self.quotient(at, parts, shift)) if shift else Arithmetic(self.name, (z,))

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        size = len(a.parts) * a.parts[0].nbytes // 8 + 1 if a.size else 0
        yield from self.deferred.relieve(size)
        name = at.step()
        z = yield from self._product_of_words(at, a, b, np.bitwise_and, a.shape)
        self.deferred.note(name, Products(a.parts, b.parts, z.parts, a.width), size)
        return z

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        check_full_words(a, b)
        return (yield from through_ands(self, at, a, b, times, shape))

    # -- shuffles ----------------------------------------------------------------------------------------------------

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        return (yield from shamir_malicious_shuffle.shuffle(self, at, columns))


def _is_of_words(note: Note) -> bool:
    return isinstance(note, (Products, Permuted)) and note.width > 0
