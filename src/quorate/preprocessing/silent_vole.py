"""Silent VOLE over p = 2^61 - 1 and modulo 2^128: a million elements from a few kilobytes, if decoding is hard.

Sources: Weng, Yang, Katz, Wang, "Wolverine: Fast, Scalable, and Communication-Efficient Zero-Knowledge Proofs for
Boolean and Arithmetic Circuits", IEEE S&P 2021, figures 5 and 7, for the field; Baum, Braun, Munch-Hansen, Scholl,
"MozZ2karella: Efficient Vector-OLE and Zero-Knowledge Proofs Over Z2k", CRYPTO 2022, for the ring. As
`quorate.preprocessing.silent`, but the leaf that the receiver picks differs by beta delta, beta from a base VOLE, and
the code is applied to k elements of a base VOLE. The sides of the trees are chosen with correlated OTs of their own.

Modulo 2^128 noise must be odd, or half of it would vanish modulo 2 (Liu, Wang, Yang, Yu, "The Hardness of LPN over Any
Integer Ring and Field for PCG Applications", EUROCRYPT 2024, section 4): from u and m = k + u delta both make
beta = 2 u + 1 with 2 m = (2 k - delta) + beta delta. The same parameters then serve all three rings.

The check: random combinations of all leaves, as many and of the same kind as in
`quorate.preprocessing.softspoken_vole`, hidden by an element each and compared with
`quorate.preprocessing.equality`. By the argument given there a sender whose trees are false passes only if it has
guessed what depends on the places of the noise, but for 2^-s; a receiver can but pick other leaves.

Costs of an iteration, which gives 2^20 - k - t - checks = 957438 elements over the field: the receiver sends 1280 + 16
+ 8 checks + 32 bytes (ring 16 checks), the sender 327680 + 8 t + 64 (ring 16 t), beside 10240 correlated OTs, 40 KB:
0.4 bytes per element. Rounds 9. The first takes that many elements of the base, 11 MB (ring 22 MB).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.stream import KEY_BYTES
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import lpn
from quorate.kernels.ghost import ghost
from quorate.preprocessing.equality import compare_as_prover, compare_as_verifier
from quorate.preprocessing.forest import BESIDE, places, plant, regrow
from quorate.preprocessing.reserve import Reserve
from quorate.preprocessing.silent import DEPTH, INPUTS, OUTPUTS, ROWS, TREES, code_indices, open_sums, seal_sums
from quorate.preprocessing.softspoken import CotBatch, SoftSpokenCot
from quorate.preprocessing.softspoken_vole import SoftSpokenVole, VoleBatch

__all__ = ["SilentFieldVole", "SilentRingVole", "SilentVole"]

Array = npt.NDArray[Any]
_GROUPS = OUTPUTS // ROWS
_TOUCHED = 400  # bytes per word of output that take as long to touch as the computation does


class SilentVole(ABC):
    """VOLE of one ordered pair, with the interface of `quorate.preprocessing.vole.FieldVole`.

    Keeps what an iteration makes beyond what was asked for, so two steps of one object must not run side by side.
    """

    def __init__(self, session: Session, base: SoftSpokenVole) -> None:
        self._session, self._base = session, base
        self._cots = SoftSpokenCot(session, base.sender, base.receiver)
        self._reserve = Reserve()
        self._iterations = 0

    @property
    def left(self) -> int:
        """How many elements can be handed out; the next iteration's are kept back."""
        return self._reserve.left - self.seeds if self._iterations else 0

    @property
    def started(self) -> bool:
        """Whether there was an iteration, so that the next one needs nothing of the base."""
        return self._iterations > 0

    @property
    def seeds(self) -> int:
        """How many elements an iteration uses up."""
        return INPUTS + TREES + self._base.checks

    def iterations(self, count: int) -> int:
        """How many iterations it takes to hand out `count` elements."""
        missing = max(0, count - self.left) if self._iterations else max(1, count)
        return -(-missing // (OUTPUTS - self.seeds))

    def extend(self, at: Scope, count: int) -> Step[VoleBatch]:
        """`count` elements; 9 rounds per iteration that this takes, and for the first one of all 5 more.

        Raises:
            IntegrityError: the other one cheated.
        """
        for _ in range(self.iterations(count)):
            yield from self._iterate(at.child(f"silent {self._iterations}"))
        return VoleBatch(*self._reserve.take(count))

    def _iterate(self, at: Scope) -> Step[None]:
        names = [at.step() for _ in range(6)]
        if self._iterations:
            seeds = VoleBatch(*self._reserve.take(self.seeds))
        else:
            yield from self._cots.setup(at.child("setup"))
            seeds = yield from self._base.extend(at.child("base"), self.seeds)
        cots = yield from self._cots.extend(at.child("choices"), TREES * DEPTH)
        tweak = TREES * DEPTH * self._iterations
        self._iterations += 1
        if self._base.sends:
            batch = yield from self._send(at, names, seeds.k, cots, tweak)
        elif self._base.receives:
            batch = yield from self._receive(at, names, seeds, cots, tweak)
        else:
            for name in names:
                yield Exchange(name)
            batch = self._base.unknown(OUTPUTS)
        self._reserve.put((batch.k, batch.u, batch.m))

    def _send(self, at: Scope, names: list[Name], k: Array, cots: CotBatch, tweak: int) -> Step[VoleBatch]:
        session, base, peer = self._session, self._base, self._base.receiver
        flips = session.tuple_blank((TREES * DEPTH // 8,), np.uint8)
        yield Exchange(names[0], None, {peer: [flips]})
        session.touched(_TOUCHED * math.prod(base.shape(OUTPUTS)))
        sealed, ends = session.tuple_blank((TREES, DEPTH, 2, 2)), session.tuple_blank(base.shape(TREES))
        values = session.blank(base.shape(OUTPUTS + base.checks))
        if base.works:
            roots, leaves = np.empty((TREES, 2), np.uint64), session.blank((_GROUPS, 1 << DEPTH, BESIDE, 2))
            session.private(at, "roots").fill(roots)
            sealed = seal_sums(plant(roots, leaves, DEPTH), cots.q, flips, self._cots.delta, tweak)
            totals = self._numbers(leaves, values[:OUTPUTS])
            ends = base.minus(self._noise_key(k[INPUTS : INPUTS + TREES]), totals)
            values[OUTPUTS:] = self._negative(k[INPUTS + TREES :])
        yield Exchange(names[1], {peer: [sealed, ends]})
        challenge, shown = np.zeros(KEY_BYTES, np.uint8), np.zeros(base.shape(base.checks), np.uint64)
        yield Exchange(names[2], None, {peer: [challenge, shown]})
        value = shown
        if base.works:
            (own,) = base.combined([values], challenge, OUTPUTS)
            value = base.plus(own, base.times_delta(shown))
        yield from compare_as_prover(session, at, names[3:], peer, value)
        if base.works:
            self._encode(values[:OUTPUTS], k)
        blank = ghost(base.shape(OUTPUTS), np.uint64)
        return VoleBatch(values[:OUTPUTS], blank, blank)

    def _receive(self, at: Scope, names: list[Name], seeds: VoleBatch, cots: CotBatch, tweak: int) -> Step[VoleBatch]:
        session, base, peer = self._session, self._base, self._base.sender
        turns = np.zeros((TREES, DEPTH), np.uint8)
        flips = session.tuple_blank((TREES * DEPTH // 8,), np.uint8)
        if base.works:
            drawn = session.private(at, "turns").array(TREES * DEPTH // 8)
            turns = np.unpackbits(drawn).reshape(TREES, DEPTH)
            flips = np.packbits(cots.bits ^ 1 ^ turns.reshape(-1), bitorder="little")
        yield Exchange(names[0], {peer: [flips]})
        session.touched(_TOUCHED * math.prod(base.shape(OUTPUTS)))
        sealed, ends = session.tuple_blank((TREES, DEPTH, 2, 2)), session.tuple_blank(base.shape(TREES))
        yield Exchange(names[1], None, {peer: [sealed, ends]})
        size = base.shape(OUTPUTS + base.checks)
        u, m = session.blank(size), session.blank(size)
        if base.works:
            leaves = session.blank((_GROUPS, 1 << DEPTH, BESIDE, 2))
            hidden = turns.astype(np.int64) @ (1 << np.arange(DEPTH))
            regrow(open_sums(sealed, cots.t, turns, tweak), hidden, leaves)
            totals = self._numbers(leaves, m[:OUTPUTS])
            group, row = places(hidden)
            noise, product = self._noise(seeds, slice(INPUTS, INPUTS + TREES))
            u[:OUTPUTS] = 0
            u[group * ROWS + row] = noise
            m[group * ROWS + row] = base.minus(base.minus(product, base.canonical(ends)), totals)
            u[OUTPUTS:], m[OUTPUTS:] = (self._negative(x[INPUTS + TREES :]) for x in (seeds.u, seeds.m))
        challenge, shown = np.zeros(KEY_BYTES, np.uint8), np.zeros(base.shape(base.checks), np.uint64)
        value = shown
        if base.works:
            challenge = session.private(at, "challenge").array(KEY_BYTES)
            shown, value = base.combined([u, m], challenge, OUTPUTS)
        yield Exchange(names[2], {peer: [challenge, shown]})
        yield from compare_as_verifier(session, at, names[3:], peer, value)
        if base.works:
            self._encode(u[:OUTPUTS], seeds.u)
            self._encode(m[:OUTPUTS], seeds.m)
        return VoleBatch(ghost(base.shape(OUTPUTS), np.uint64), u[:OUTPUTS], m[:OUTPUTS])

    def _encode(self, values: Array, table: Array) -> None:
        parts = values.reshape(_GROUPS, ROWS, *values.shape[1:])
        table = np.ascontiguousarray(table[:INPUTS])
        for part, indices in zip(parts, code_indices(_GROUPS), strict=True):
            self._encode_part(part, table, indices)

    def _negative(self, x: Array) -> Array:
        return self._base.minus(np.zeros_like(x), x)

    @abstractmethod
    def _numbers(self, leaves: Array, values: Array) -> Array:
        """Write leaves as elements, and return their sums per tree, of which the hidden leaf is none."""

    @abstractmethod
    def _noise_key(self, k: Array) -> Array:
        """The sender's part of the noise made from elements with this k."""

    @abstractmethod
    def _noise(self, seeds: VoleBatch, places: slice) -> tuple[Array, Array]:
        """The receiver's: beta, and beta delta + the sender's part."""

    @abstractmethod
    def _encode_part(self, part: Array, table: Array, indices: Array) -> None: ...


class SilentFieldVole(SilentVole):
    """Over p = 2^61 - 1."""

    def _numbers(self, leaves: Array, values: Array) -> Array:
        sums = np.empty((_GROUPS, BESIDE), np.uint64)
        parts = values.reshape(_GROUPS, 1 << DEPTH, BESIDE)
        for group, part, total in zip(leaves, parts, sums, strict=True):
            lpn.field_values(group, part, total)
        return sums.reshape(-1)

    def _noise_key(self, k: Array) -> Array:
        return k

    def _noise(self, seeds: VoleBatch, places: slice) -> tuple[Array, Array]:
        return seeds.u[places], seeds.m[places]

    def _encode_part(self, part: Array, table: Array, indices: Array) -> None:
        lpn.encode_field(part, table, indices)


class SilentRingVole(SilentVole):
    """Modulo 2^128."""

    def _numbers(self, leaves: Array, values: Array) -> Array:
        sums = np.empty((_GROUPS, BESIDE, 2), np.uint64)
        parts = values.reshape(_GROUPS, 1 << DEPTH, BESIDE, 2)
        for group, part, total in zip(leaves, parts, sums, strict=True):
            part[...] = group
            lpn.ring_sums(group, total)
        return sums.reshape(-1, 2)

    def _noise_key(self, k: Array) -> Array:
        delta = np.array([int(self._base.delta[0]), 0], np.uint64)
        return self._base.minus(self._base.plus(k, k), np.broadcast_to(delta, k.shape))

    def _noise(self, seeds: VoleBatch, places: slice) -> tuple[Array, Array]:
        u, m = seeds.u[places], seeds.m[places]
        beta = self._base.plus(u, u)
        beta[:, 0] |= np.uint64(1)
        return beta, self._base.plus(m, m)

    def _encode_part(self, part: Array, table: Array, indices: Array) -> None:
        lpn.encode_ring(part, table, indices)
