"""Silent correlated OTs: a million from a few kilobytes, under the assumption that decoding is hard.

Source: Yang, Weng, Lan, Zhang, Wang, "Ferret: Fast Extension for Correlated OT with Small Communication", ACM CCS 2020:
figures 5 to 8, with regular noise. From k + t d + 64 correlated OTs come n: the receiver picks one leaf of each of t
trees of 2^d leaves, of which it learns all others, and the one it picked plus delta; that is a correlation with a bit
vector e of weight t. The sum of that and a public sparse linear code applied to the first k OTs is n OTs whose bits
look random: u A + e, the problem LPN with regular noise and a code with ten ones per output.

The check (figure 6) is against a sender whose tree sums are false: random multiples of all leaves are summed at both,
hidden by 64 OTs, and compared with `quorate.preprocessing.equality`. Deviations: coefficients of 64 bits and products
of binary polynomials that are not reduced, so that two different sets of leaves agree with probability 2^-64, hence
ceil(2 s / 64) sums for s = `session.security`: by the argument in `quorate.preprocessing.softspoken_vole` a sender then
passes, but for 2^-s, only if it has guessed what its false sums make depend on the picked leaves. The sender commits
first, so that a receiver cannot try guesses of delta. A guess of g bits is found out with probability 1 - 2^-g, so LPN
gets easier by one bit on average, as the paper says. A cheating receiver can but pick other leaves.

Parameters: n = 2^20, t = 1024, d = 10, k = 90112. Bits of security, see `tests/preprocessing/test_lpn_parameters.py`
for how they are estimated: pooled Gauss (Esser, Kübler, May, CRYPTO 2017) 171; algebraic attacks on regular noise
(Briaud, Øygarden, EUROCRYPT 2023) 135, taking every step of sparse linear algebra as squaring the number of monomials
and no more. Information set decoding is near Gauss for so low a rate (Liu, Wang, Yang, Yu, EUROCRYPT 2024). The
parameters of the paper come to less by the second estimate, so they are not used.

Costs of an iteration, which gives 948096 OTs: the receiver sends 1280 + 16 + 16 + 32 bytes, the sender 327680 + 16384 +
64, that is 0.36 bytes per OT; rounds 6. The first takes 100480 OTs of `quorate.preprocessing.softspoken`, 390 KB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest
from quorate.crypto.robust import robust_hash
from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import lpn
from quorate.kernels.ghost import ghost
from quorate.preprocessing.equality import compare_as_prover, compare_as_verifier
from quorate.preprocessing.forest import BESIDE, places, plant, regrow
from quorate.preprocessing.reserve import Reserve
from quorate.preprocessing.softspoken import CotBatch, SoftSpokenCot, unknown

__all__ = ["DEPTH", "INPUTS", "OUTPUTS", "ROWS", "TREES", "SilentCot", "code_indices", "open_sums", "seal_sums"]

Array = npt.NDArray[Any]
TREES, DEPTH = 1024, 10
INPUTS, OUTPUTS = 90112, TREES << DEPTH
ROWS = BESIDE << DEPTH
_WORD = 64
_TOUCHED = 400  # bytes per output that take as long to touch as the computation does
_TWEAKS = 1 << 63  # hash indices from here on are not used for anything else


class SilentCot:
    """Correlated OTs of one ordered pair, with the interface of `quorate.preprocessing.cot.Cot`.

    Keeps what an iteration makes beyond what was asked for, so two steps of one object must not run side by side.
    """

    def __init__(self, session: Session, base: SoftSpokenCot) -> None:
        self._session = session
        self._base = base
        self._masks = -(-2 * session.security // _WORD) if base.checked else 0
        self._reserve = Reserve()
        self._iterations = 0

    @property
    def started(self) -> bool:
        """Whether there was an iteration, so that the next one needs nothing of the base."""
        return self._iterations > 0

    @property
    def seeds(self) -> int:
        """How many OTs an iteration uses up."""
        return INPUTS + TREES * DEPTH + _WORD * self._masks

    @property
    def left(self) -> int:
        """How many OTs can be handed out; the next iteration's are kept back."""
        return self._reserve.left - self.seeds if self._iterations else 0

    def iterations(self, count: int) -> int:
        """How many iterations it takes to hand out `count` OTs."""
        missing = max(0, count - self.left) if self._iterations else max(1, count)
        return -(-missing // (OUTPUTS - self.seeds))

    def extend(self, at: Scope, count: int) -> Step[CotBatch]:
        """`count` OTs; 6 rounds (2 if nothing is checked) per iteration that this takes, and for the first one of all
        those of the base.

        Raises:
            IntegrityError: the other one cheated.
        """
        for _ in range(self.iterations(count)):
            yield from self._iterate(at.child(f"silent {self._iterations}"))
        return CotBatch(*self._reserve.take(count))

    def _iterate(self, at: Scope) -> Step[None]:
        names = [at.step() for _ in range(6 if self._masks else 2)]
        if self._iterations:
            seeds = CotBatch(*self._reserve.take(self.seeds))
        else:
            seeds = yield from self._base.extend(at.child("base"), self.seeds)
        tweak = _TWEAKS + TREES * DEPTH * self._iterations
        self._iterations += 1
        if self._base.sends:
            batch = yield from self._send(at, names, seeds.q, tweak)
        elif self._base.receives:
            batch = yield from self._receive(at, names, seeds, tweak)
        else:
            for name in names:
                yield Exchange(name)
            batch = unknown(OUTPUTS)
        self._reserve.put((batch.q, batch.bits, batch.t))

    def _send(self, at: Scope, names: list[Name], q: Array, tweak: int) -> Step[CotBatch]:
        peer, session = self._base.receiver, self._session
        flips = session.tuple_blank((TREES * DEPTH // 8,), np.uint8)
        yield Exchange(names[0], None, {peer: [flips]})
        session.touched(_TOUCHED * OUTPUTS)
        sealed, ends = session.tuple_blank((TREES, DEPTH, 2, 2)), session.tuple_blank((TREES, 2))
        leaves = session.blank((OUTPUTS // ROWS, ROWS, 2))
        if self._base.works:
            roots = np.empty((TREES, 2), np.uint64)
            session.private(at, "roots").fill(roots)
            sums = plant(roots, leaves.reshape(-1, 1 << DEPTH, BESIDE, 2), DEPTH)
            sealed = seal_sums(sums, q[INPUTS : INPUTS + TREES * DEPTH], flips, self._base.delta, tweak)
            ends = sums[:, -1, 0] ^ sums[:, -1, 1] ^ self._base.delta
        yield Exchange(names[1], {peer: [sealed, ends]})
        if self._masks:
            challenge, shown = np.zeros(KEY_BYTES, np.uint8), np.zeros(self._masks, np.uint64)
            yield Exchange(names[2], None, {peer: [challenge, shown]})
            value = self._hashed(leaves, q, challenge)[0]
            if self._base.works:
                value ^= np.stack([_times(number, self._base.delta) for number in shown])
            yield from compare_as_prover(session, at, names[3:], peer, value)
        if not self._base.works:
            return unknown(OUTPUTS)
        for indices, group in zip(code_indices(len(leaves)), leaves, strict=True):
            lpn.encode_blocks(group, q[:INPUTS], indices)
        return CotBatch(leaves.reshape(-1, 2), ghost((OUTPUTS,), np.uint8), ghost((OUTPUTS, 2), np.uint64))

    def _receive(self, at: Scope, names: list[Name], seeds: CotBatch, tweak: int) -> Step[CotBatch]:
        peer, session = self._base.sender, self._session
        turns = np.zeros((TREES, DEPTH), np.uint8)
        flips = session.tuple_blank((TREES * DEPTH // 8,), np.uint8)
        if self._base.works:
            drawn = session.private(at, "turns").array(TREES * DEPTH // 8)
            turns = np.unpackbits(drawn).reshape(TREES, DEPTH)
            bits = seeds.bits[INPUTS : INPUTS + TREES * DEPTH]
            flips = np.packbits(bits ^ 1 ^ turns.reshape(-1), bitorder="little")
        yield Exchange(names[0], {peer: [flips]})
        session.touched(_TOUCHED * OUTPUTS)
        sealed, ends = session.tuple_blank((TREES, DEPTH, 2, 2)), session.tuple_blank((TREES, 2))
        yield Exchange(names[1], None, {peer: [sealed, ends]})
        leaves = session.blank((OUTPUTS // ROWS, ROWS, 2))
        group, row = np.zeros(TREES, np.int64), np.zeros(TREES, np.int64)
        if self._base.works:
            known = open_sums(sealed, seeds.t[INPUTS : INPUTS + TREES * DEPTH], turns, tweak)
            hidden = turns.astype(np.int64) @ (1 << np.arange(DEPTH))
            totals = regrow(known, hidden, leaves.reshape(-1, 1 << DEPTH, BESIDE, 2))
            group, row = places(hidden)
            leaves[group, row] = totals ^ ends
        if self._masks:
            challenge, shown = np.zeros(KEY_BYTES, np.uint8), np.zeros(self._masks, np.uint64)
            value: Array = ghost((self._masks, 2, 2), np.uint64)
            if self._base.works:
                challenge = session.private(at, "challenge").array(KEY_BYTES)
                value, picked = self._hashed(leaves, seeds.t, challenge, (group, row))
                masks = seeds.bits[INPUTS + TREES * DEPTH :].reshape(self._masks, _WORD)
                shown = picked ^ np.packbits(masks, axis=1, bitorder="little").view(np.uint64).reshape(-1)
            yield Exchange(names[2], {peer: [challenge, shown]})
            yield from compare_as_verifier(session, at, names[3:], peer, value)
        if not self._base.works:
            return unknown(OUTPUTS)
        bits = np.zeros((len(leaves), ROWS), np.uint8)
        bits[group, row] = 1
        for indices, blocks, noise in zip(code_indices(len(leaves)), leaves, bits, strict=True):
            lpn.encode_blocks(blocks, seeds.t[:INPUTS], indices)
            lpn.encode_bits(noise, seeds.bits[:INPUTS], indices)
        return CotBatch(ghost((OUTPUTS, 2), np.uint64), bits.reshape(-1), leaves.reshape(-1, 2))

    def _hashed(
        self, leaves: Array, blocks: Array, challenge: Array, picked: tuple[Array, Array] | None = None
    ) -> tuple[Array, Array]:
        """The hidden sums of random multiples of all leaves (masks, 2, 2), and the sums of the coefficients of the
        picked ones (masks,)."""
        if not self._base.works:
            return ghost((self._masks, 2, 2), np.uint64), ghost((self._masks,), np.uint64)
        stream = Stream(challenge.tobytes())
        totals, chosen = np.zeros((self._masks, 2, 2), np.uint64), np.zeros(self._masks, np.uint64)
        coefficients = np.empty(ROWS, np.uint64)
        start = INPUTS + TREES * DEPTH
        for mask in range(self._masks):
            hiding = blocks[start + _WORD * mask : start + _WORD * (mask + 1)]
            lpn.hash_rows(np.ascontiguousarray(hiding), _powers(), totals[mask])
            for number, group in enumerate(leaves):
                stream.fill((mask, number + 1), coefficients)
                lpn.hash_rows(group, coefficients, totals[mask])
                if picked is not None:
                    rows = picked[1][picked[0] == number]
                    chosen[mask] ^= np.bitwise_xor.reduce(coefficients[lpn.hash_places(rows)])
        return totals, chosen


def seal_sums(sums: Array, q: Array, flips: Array, delta: Array, tweak: int) -> Array:
    """Sums (trees, depth, 2, 2), of which the receiver of the OTs with q (trees * depth, 2) is to open one each.

    flips: its bits, packed: its choice plus the bit it has from the OT.
    """
    trees, depth = sums.shape[:2]
    bits = np.unpackbits(flips, bitorder="little").astype(np.uint64)[:, None]
    keys = [robust_hash(q ^ ((bits ^ np.uint64(side)) * delta), tweak) for side in (0, 1)]
    sealed: Array = sums ^ np.stack(keys, axis=1).reshape(trees, depth, 2, 2)
    return sealed


def open_sums(sealed: Array, t: Array, turns: Array, tweak: int) -> Array:
    """The sums (trees, depth, 2) of the sides 1 - turns (trees, depth)."""
    trees, depth = turns.shape
    known = sealed[np.arange(trees)[:, None], np.arange(depth)[None, :], 1 - turns]
    opened: Array = known ^ robust_hash(np.ascontiguousarray(t), tweak).reshape(trees, depth, 2)
    return opened


def code_indices(groups: int) -> Iterator[Array]:
    """The public code, for every group of rows 32-bit words that say which inputs an output is the sum of.

    A constant of the protocol: the stream of a key that is a digest.
    """
    stream = Stream(digest(b"ten inputs per output", "quorate/linear code/1")[:KEY_BYTES])
    return (_indices(stream, number) for number in range(groups))


def _indices(stream: Stream, number: int) -> Array:
    indices = np.empty((ROWS, lpn.WEIGHT), np.uint32)
    stream.fill((0, number + 1), indices)
    return indices


def _powers() -> Array:
    """The coefficients 1, x, x^2, ... for 64 rows."""
    powers = np.empty(_WORD, np.uint64)
    powers[lpn.hash_places(np.arange(_WORD))] = np.uint64(1) << np.arange(_WORD, dtype=np.uint64)
    return powers


def _times(number: Any, block: Array) -> Array:
    """The products of a word and both halves of a block: (2, 2)."""
    rows, coefficients, product = np.zeros((8, 2), np.uint64), np.zeros(8, np.uint64), np.zeros((2, 2), np.uint64)
    rows[0], coefficients[0] = block, number
    lpn.hash_rows(rows, coefficients, product)
    return product
