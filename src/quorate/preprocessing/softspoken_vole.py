"""Vector oblivious linear evaluation (VOLE) between two parties, against malicious ones: m = k + u delta.

The sender holds delta and gets k, the receiver gets random u, and m. This is what
`quorate.preprocessing.softspoken_field` and `quorate.preprocessing.softspoken_ring` have in common: over p = 2^61 - 1,
and modulo 2^128 with delta below 2^64.

Source: Roy, "SoftSpokenOT", CRYPTO 2022, section 3.1, with integers in place of the small field: for the leaves r_x of
digit c the receiver has U_c, the sum of all, and V_c, that of x r_x; the sender has delta_c U_c - V_c. The receiver
sends U_0 - U_c, so that all digits go with u = U_0; then m is the sum of 2^(k c) V_c.

The check. t random linear combinations, chosen by the sender when the corrections have come, each hidden by one more
element: the receiver sends those of u, and a digest of those of m. For the field coefficients are uniform and
t = ceil(2 s / 61), with s = `session.security`; modulo 2^128, where numbers have divisors of zero, coefficients are
bits and t = 2 s.

What a cheating receiver may learn. Let e_c be the errors of its corrections. The sender's k are then wrong by
X_j = sum of 2^(k c) delta_c e_(c,j), a function X of delta that is linear in its digits. A check passes if t random
combinations of X come out as the receiver says. For two values of X they agree with probability q = p^-t or 2^-t at
most. Of all values that agree with what it said let x be the most likely; that the check passes and X is not x happens
with probability at most sqrt(q) <= 2^-s, since (sum of the others)^2 is at most the sum over pairs of different values
that agree, of which the expectation is at most q. So but for 2^-s it passes only if the receiver has guessed X, after
which the correlation is as it should be for a m that it can compute: it may guess a function of delta that takes its
value with probability 2^-g, is found out with probability 1 - 2^-g, and leaves all but g bits of min-entropy of delta.
The same holds for its trees. A cheating sender learns nothing: it sends nothing but a seed.

Costs for count elements, digits of k = 4 bits: the receiver sends 15 corrections of 8 (field) or 16 bytes (ring) for
each of count + t elements, and 8 t or 16 t + 32 bytes; the sender 16. So 120 or 240 bytes per element. Rounds 3.
Setup: 2 rounds, 64 base OTs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest_parts
from quorate.crypto.stream import KEY_BYTES
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.private import Draws
from quorate.engine.session import Session
from quorate.errors import IntegrityError, InternalError
from quorate.kernels import vole
from quorate.kernels.ghost import ghost
from quorate.preprocessing.chunks import ByChunks, Chunks

__all__ = ["DIGIT", "SoftSpokenVole", "VoleBatch", "tiles"]

Array = npt.NDArray[Any]
DIGIT = 4
DIGITS = 16
TILE = 4160  # elements at a time
DIGEST = 32
_TOUCHED = 2000  # bytes per word of output that take as long to touch as the computation does


@dataclass(frozen=True, slots=True)
class VoleBatch:
    """Elements of a VOLE as one participant sees them; what it does not know is a ghost.

    Attributes:
        k: at the sender.
        u: random, at the receiver.
        m: k + u delta, at the receiver.

    Arrays are uint64 (count,) over the field, (count, 2) rows (low, high) modulo 2^128.
    """

    k: Array
    u: Array
    m: Array


class SoftSpokenVole(ByChunks, ABC):
    """What the two rings have in common.

    Args:
        session: of this participant.
        sender: index of the party that holds delta.
        receiver: index of the party that gets u and m.
        delta: the sender's, as an integer or array of one uint64; drawn by `setup` if None. Ignored elsewhere.
    """

    def __init__(self, session: Session, sender: int, receiver: int, delta: Any = None) -> None:
        self._session = session
        self._chunks = Chunks(session, sender, receiver, DIGIT, DIGITS)
        self._secret: int | None = None
        if delta is not None and self._chunks.works and self._chunks.sends:
            self._secret = int(np.asarray(delta).reshape(-1)[0])
            if self._secret >> self._bits or not self._valid(self._secret):
                raise InternalError("the secret of a VOLE is out of range")

    @property
    def delta(self) -> Array:
        """(1,) uint64 at the sender, a ghost elsewhere; once it is given or drawn."""
        return ghost((1,), np.uint64) if self._secret is None else np.array([self._secret], np.uint64)

    def setup(self, at: Scope) -> Step[None]:
        """Base OTs, once; 2 rounds.

        Raises:
            IntegrityError: the other one cheated.
        """
        if self._secret is None and self._chunks.works and self._chunks.sends:
            self._secret = self._draw_delta(self._session.private(at, "delta"))
        yield from self._chunks.setup(at, self._secret or 0)

    def extend(self, at: Scope, count: int) -> Step[VoleBatch]:
        """`count` elements; 3 rounds.

        Raises:
            IntegrityError: the receiver cheated (noticed at the sender).
        """
        names = [at.step() for _ in range(3)]
        if self._chunks.sends:
            return (yield from self._send(at, names, count))
        if self._chunks.receives:
            return (yield from self._receive(at, names, count))
        for name in names:
            yield Exchange(name)
        return self.unknown(count)

    def _receive(self, at: Scope, names: list[Name], count: int) -> Step[VoleBatch]:
        peer, checks = self._chunks.sender, self.checks
        size = count + checks
        corrections = self._session.tuple_blank((self._chunks.count - 1, *self._planar(size)))
        u, m = self._session.tuple_blank(self._planar(size)), self._session.tuple_blank(self._planar(size))
        for start, width in tiles(size) if self._chunks.works else ():
            u_, m_, corrections_ = self._owned(at.step(), width)
            held = slice(start, start + min(width, size - start))
            u[..., held], m[..., held] = u_[..., : size - start], m_[..., : size - start]
            corrections[..., held] = corrections_[..., : size - start]
        self._session.touched(_TOUCHED * math.prod(self.shape(size)))
        yield Exchange(names[0], {peer: [corrections]})
        seed = np.zeros(KEY_BYTES, np.uint8)
        yield Exchange(names[1], None, {peer: [seed]})
        u, m = self._rows(u), self._rows(m)
        combined, digest = np.zeros(self.shape(checks), np.uint64), np.zeros(DIGEST, np.uint8)
        if self._chunks.works:
            combined, other = self.combined([u, m], seed, count)
            digest = _digest(other)
        yield Exchange(names[2], {peer: [combined, digest]})
        return VoleBatch(ghost(self.shape(count), np.uint64), u[:count], m[:count])

    def _send(self, at: Scope, names: list[Name], count: int) -> Step[VoleBatch]:
        peer, checks = self._chunks.receiver, self.checks
        size = count + checks
        corrections = self._session.tuple_blank((self._chunks.count - 1, *self._planar(size)))
        k = self._session.tuple_blank(self._planar(size))
        self._session.touched(_TOUCHED * math.prod(self.shape(size)))
        yield Exchange(names[0], None, {peer: [corrections]})
        for start, width in tiles(size) if self._chunks.works else ():
            held = slice(start, start + min(width, size - start))
            k[..., held] = self._pointed(at.step(), width, corrections[..., held])[..., : size - start]
        seed = np.zeros(KEY_BYTES, np.uint8)
        if self._chunks.works:
            seed = self._session.private(at, "challenge").array(KEY_BYTES)
        yield Exchange(names[1], {peer: [seed]})
        combined, digest = np.zeros(self.shape(checks), np.uint64), np.zeros(DIGEST, np.uint8)
        yield Exchange(names[2], None, {peer: [combined, digest]})
        k = self._rows(k)
        if self._chunks.works and not np.array_equal(self._expected(k, combined, seed, count), digest):
            raise IntegrityError(
                f"{at.path}: the check of correlated randomness failed: peer {peer} cheated as its receiver; nothing "
                "was opened"
            )
        return VoleBatch(k[:count], ghost(self.shape(count), np.uint64), ghost(self.shape(count), np.uint64))

    def _owned(self, name: Name, width: int) -> tuple[Array, Array, Array]:
        """The receiver's u, m (..., width) and corrections (digits - 1, ..., width)."""
        chunks = self._chunks
        leaves = self._session.scratch(0, (1 << chunks.bits, *self._planar(width)))
        sums = self._session.scratch(1, (chunks.count, *self._planar(width)))
        weighted = self._session.scratch(2, self._planar(width))
        m = np.zeros(self._planar(width), np.uint64)
        for chunk in reversed(range(chunks.count)):
            chunks.fill(name, chunk, leaves)
            self._leaves(leaves, sums[chunk], weighted)
            self._add_received(m, weighted)
        return sums[0], m, self._differences(sums)

    def _pointed(self, name: Name, width: int, corrections: Array) -> Array:
        """The sender's k (..., width)."""
        chunks = self._chunks
        leaves = self._session.scratch(0, (1 << chunks.bits, *self._planar(width)))
        summed, weighted = self._session.scratch(1, self._planar(width)), self._session.scratch(2, self._planar(width))
        k, correction = np.zeros(self._planar(width), np.uint64), np.zeros(self._planar(width), np.uint64)
        for chunk in reversed(range(chunks.count)):
            chunks.fill(name, chunk, leaves)
            self._leaves(leaves, summed, weighted)
            correction[..., : corrections.shape[-1]] = self.canonical(corrections[chunk - 1]) if chunk else 0
            self._add_sent(k, summed, weighted, correction, chunks.digits[chunk])
        return k

    def unknown(self, count: int) -> VoleBatch:
        blank = ghost(self.shape(count), np.uint64)
        return VoleBatch(blank, blank, blank)

    _bits: int

    @property
    @abstractmethod
    def checks(self) -> int:
        """How many combinations are compared."""

    @abstractmethod
    def _valid(self, secret: int) -> bool:
        """Whether delta may be this."""

    @abstractmethod
    def _draw_delta(self, drawn: Draws) -> int: ...

    @abstractmethod
    def _planar(self, count: int) -> tuple[int, ...]:
        """The shape of so many elements while they are computed."""

    @abstractmethod
    def shape(self, count: int) -> tuple[int, ...]:
        """The shape of so many elements in a batch."""

    @abstractmethod
    def _rows(self, planar: Array) -> Array: ...

    @abstractmethod
    def _leaves(self, leaves: Array, out_sum: Array, out_weighted: Array) -> None: ...

    @abstractmethod
    def _differences(self, sums: Array) -> Array:
        """What the receiver sends: U_0 - U_c for every digit but the first."""

    @abstractmethod
    def canonical(self, correction: Array) -> Array:
        """A correction that a peer sent, made canonical."""

    @abstractmethod
    def _add_received(self, total: Array, weighted: Array) -> None: ...

    @abstractmethod
    def _add_sent(self, total: Array, summed: Array, weighted: Array, correction: Array, digit: int) -> None: ...

    @abstractmethod
    def combined(self, values: list[Array], seed: Array, count: int) -> list[Array]:
        """The combinations of each of some batches of count + checks elements: (checks elements) each."""

    @abstractmethod
    def plus(self, x: Array, y: Array) -> Array:
        """x + y, elements of equal shape."""

    @abstractmethod
    def minus(self, x: Array, y: Array) -> Array:
        """x - y; shapes broadcast."""

    @abstractmethod
    def times_delta(self, x: Array) -> Array:
        """x delta, of elements that a peer sent, at the sender."""

    def _expected(self, k: Array, combined: Array, seed: Array, count: int) -> Array:
        """The digest that an honest receiver sends."""
        (own,) = self.combined([k], seed, count)
        return _digest(self.plus(own, self.times_delta(combined)))


def tiles(size: int) -> list[tuple[int, int]]:
    """(start, width) of the pieces of so many elements; the last width may reach beyond the end."""
    return [(start, min(TILE, -(-(size - start) // vole.STRETCH) * vole.STRETCH)) for start in range(0, size, TILE)]


def _digest(combined: Array) -> Array:
    return np.frombuffer(digest_parts([np.ascontiguousarray(combined).tobytes()], "quorate/vole check/1"), np.uint8)
