"""Correlated oblivious transfer between two parties, against malicious ones: t = q ^ (bit * delta), 128 bits.

The sender holds delta and gets q, the receiver gets random bits and t.

Source: Roy, "SoftSpokenOT", CRYPTO 2022: small-field VOLE over GF(2^k) with the repetition code, figures 7, 8 and 9.
With leaves r_x the receiver has u_c, the sum of all, and v_c, that of x r_x; the sender w_c, that of (delta_c - x) r_x,
which is delta_c u_c + v_c. The receiver sends u_c + u_0, so that all digits go with u = u_0. The k planes of all
digits are the 128 columns of q and t.

The check (figure 8): the sender names a linear universal hash H, chosen after the corrections have come; the receiver
sends H u, and a digest of H t, and the sender compares with H q + delta H u. Words of 64 bits of every column are
multiplied by random elements of GF(2^64) and summed; `session.security` above 64 takes two of them. One word of u per
hash is spent to hide H u. Deviations: the sender chooses H alone (against it H u is masked, whatever H is); H t goes
as a digest.

What a cheating receiver may learn. Let its corrections use u_c in chunk c. Chunks with H u_c other than what it sent
pass only if it guessed delta_c, all k bits. Chunks with different u_c and equal hashes exist with probability 2^-64 for
every pair, and all other chunks then have to be guessed: in sum at most 2^-64 whatever it does. So except with
probability 2^-64 (2^-128 with two hashes) it has used one u, up to chunks whose digits it guessed: it may guess g bits
of delta, is found out with probability 1 - 2^-g, and leaves 128 - g bits of entropy. The same holds for its trees.
A cheating sender learns nothing: it sends nothing but H.

Costs, for count OTs and w = ceil(count / 64) + 1 words (+ 2 above 64 bits of security), k = 4: the receiver sends
31 * 8 w + 8 + 32 bytes (3.9 bytes per OT), the sender 16. Rounds 3. Setup: 2 rounds, 8192 bytes from the sender, 9248
from the receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest_parts
from quorate.crypto.stream import KEY_BYTES, Stream
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError
from quorate.kernels import oblivious
from quorate.kernels.ghost import ghost
from quorate.preprocessing.chunks import ByChunks, Chunks

__all__ = ["BITS", "CotBatch", "SoftSpokenCot", "bytes_sent", "unknown"]

Array = npt.NDArray[Any]
BITS = 128
DIGIT = 4  # bits: a few bytes per OT, without much more to expand
TILE = 6136  # words at a time: the leaves of a digit fit into the cache, and columns do not share its lines
DIGEST = 32
_TOUCHED = 130  # bytes per OT that take as long to touch as the computation does
_LANES = 8


@dataclass(frozen=True, slots=True)
class CotBatch:
    """Correlated OTs as one participant sees them; what it does not know is a ghost.

    Attributes:
        q: (count, 2) uint64, at the sender.
        bits: (count,) uint8, 0 or 1, random, at the receiver.
        t: (count, 2) uint64, q ^ (bit * delta), at the receiver.
    """

    q: Array
    bits: Array
    t: Array


class SoftSpokenCot(ByChunks):
    """Correlated OTs of one ordered pair: every participant makes the object and runs all of its steps.

    Args:
        session: of this participant.
        sender: index of the party that holds delta.
        receiver: index of the party that gets the bits.
        delta: (2,) uint64 at the sender; drawn by `setup` if None.
        checked: without it the receiver is trusted to follow the protocol, which saves two rounds.
    """

    def __init__(
        self, session: Session, sender: int, receiver: int, delta: Array | None = None, *, checked: bool = True
    ) -> None:
        self._chunks = Chunks(session, sender, receiver, DIGIT, BITS // DIGIT)
        self._session = session
        self._masks = -(-session.security // 64) if checked else 0
        self._delta: Array = ghost((2,), np.uint64)
        self._given = delta is not None
        if delta is not None and self._chunks.works and self._chunks.sends:
            self._delta = delta.copy()

    @property
    def checked(self) -> bool:
        """Whether the receiver's messages are checked."""
        return self._masks > 0

    @property
    def delta(self) -> Array:
        """(2,) uint64 at the sender, a ghost elsewhere; once it is given or drawn."""
        return self._delta

    def setup(self, at: Scope) -> Step[None]:
        """Base OTs, once; 2 rounds.

        Raises:
            IntegrityError: the other one cheated.
        """
        known = self._chunks.works and self._chunks.sends
        if known and not self._given:
            self._delta = self._session.private(at, "delta").array(2, np.uint64)
        secret = int(self._delta[0]) | int(self._delta[1]) << 64 if known else 0
        yield from self._chunks.setup(at, secret)

    def extend(self, at: Scope, count: int) -> Step[CotBatch]:
        """`count` OTs; 3 rounds, 1 if nothing is checked.

        Raises:
            IntegrityError: the receiver cheated (noticed at the sender).
        """
        names = [at.step() for _ in range(3 if self._masks else 1)]
        words = -(-count // 64) + self._masks
        if self._chunks.sends:
            return (yield from self._send(at, names, count, words))
        if self._chunks.receives:
            return (yield from self._receive(at, names, count, words))
        for name in names:
            yield Exchange(name)
        return unknown(count)

    def _receive(self, at: Scope, names: list[Name], count: int, words: int) -> Step[CotBatch]:
        chunks = self._chunks.count
        corrections = self._session.tuple_blank((chunks - 1, words))
        tiles: list[tuple[Array, Array]] = []
        for start, width in _tiles(words) if self._chunks.works else ():
            summed, planes = self._expand(at.step(), width)
            held = slice(start, start + width)
            np.bitwise_xor(summed[1:, : words - start], summed[0, : words - start], out=corrections[:, held])
            tiles.append((summed[:1].copy(), planes))
        self._session.touched(_TOUCHED * count)
        yield Exchange(names[0], {self._chunks.sender: [corrections]})
        if self._masks:
            yield from self._prove(names, tiles, words)
        if not self._chunks.works:
            return unknown(count)
        bits = np.concatenate([bits[0].view(np.uint8) for bits, _ in tiles]) if tiles else np.empty(0, np.uint8)
        t = _rows([planes for _, planes in tiles], self._session.blank((count, 2)))
        return CotBatch(ghost((count, 2), np.uint64), np.unpackbits(bits, count=count, bitorder="little"), t)

    def _send(self, at: Scope, names: list[Name], count: int, words: int) -> Step[CotBatch]:
        corrections = self._session.tuple_blank((self._chunks.count - 1, words))
        work = _tiles(words) if self._chunks.works else []
        tiles = [self._expand(at.step(), width)[1] for _, width in work]
        self._session.touched(_TOUCHED * count)
        yield Exchange(names[0], None, {self._chunks.receiver: [corrections]})
        for (start, width), planes in zip(work, tiles, strict=True):
            self._correct(planes[:, : words - start], corrections[:, start : start + width])
        if self._masks:
            yield from self._verify(at, names, tiles, words)
        if not self._chunks.works:
            return unknown(count)
        return CotBatch(
            _rows(tiles, self._session.blank((count, 2))), ghost((count,), np.uint8), ghost((count, 2), np.uint64)
        )

    def _prove(self, names: list[Name], tiles: list[tuple[Array, Array]], words: int) -> Step[None]:
        """The receiver's part of the check."""
        peer, seed = self._chunks.sender, np.zeros(KEY_BYTES, np.uint8)
        yield Exchange(names[1], None, {peer: [seed]})
        hashed, digest = np.zeros(self._masks, np.uint64), np.zeros(DIGEST, np.uint8)
        if tiles:
            hashed = _hashed([bits for bits, _ in tiles], seed, words, self._masks)[0]
            digest = _digest(_hashed([planes for _, planes in tiles], seed, words, self._masks))
        yield Exchange(names[2], {peer: [hashed, digest]})

    def _verify(self, at: Scope, names: list[Name], tiles: list[Array], words: int) -> Step[None]:
        """The sender's part of the check."""
        peer, seed = self._chunks.receiver, np.zeros(KEY_BYTES, np.uint8)
        if tiles:
            seed = self._session.private(at, "challenge").array(KEY_BYTES)
        yield Exchange(names[1], {peer: [seed]})
        hashed, digest = np.zeros(self._masks, np.uint64), np.zeros(DIGEST, np.uint8)
        yield Exchange(names[2], None, {peer: [hashed, digest]})
        if not tiles:
            return
        bits = np.unpackbits(self._delta.view(np.uint8), bitorder="little").astype(np.uint64)
        expected = _hashed(tiles, seed, words, self._masks) ^ (bits[:, None] * hashed)
        if not np.array_equal(_digest(expected), digest):
            raise IntegrityError(
                f"{at.path}: the check of oblivious transfers failed: peer {peer} cheated as their receiver; nothing "
                "was opened"
            )

    def _expand(self, name: Name, width: int) -> tuple[Array, Array]:
        """Sums of the leaves of all chunks (chunks, width), and the 128 planes (128, width)."""
        chunks, digit = self._chunks.count, self._chunks.bits
        leaves = self._session.scratch(0, (1 << digit, width))
        sums, planes = np.empty((chunks, width), np.uint64), self._session.blank((BITS, width))
        self._chunks.fold(name, sums, planes, leaves)
        return sums, planes

    def _correct(self, planes: Array, corrections: Array) -> None:
        for chunk in range(1, self._chunks.count):
            first = chunk * self._chunks.bits
            of_chunk = planes[first : first + self._chunks.bits]
            oblivious.correct(of_chunk, corrections[chunk - 1], self._chunks.digits[chunk])


def bytes_sent(count: int, masks: int = 1) -> int:
    """What the receiver of `count` OTs sends for them."""
    return (BITS // DIGIT - 1) * 8 * (-(-count // 64) + masks) + (8 * masks + DIGEST if masks else 0)


def unknown(count: int) -> CotBatch:
    """OTs of which this participant knows nothing."""
    return CotBatch(ghost((count, 2), np.uint64), ghost((count,), np.uint8), ghost((count, 2), np.uint64))


def _tiles(words: int) -> list[tuple[int, int]]:
    """(start, width) of the pieces of so many words; widths are whole vectors, so the last may reach beyond the end."""
    return [(start, min(TILE, -(-(words - start) // _LANES) * _LANES)) for start in range(0, words, TILE)]


def _hashed(tiles: list[Array], seed: Array, words: int, masks: int) -> Array:
    """Hashes of all columns: tiles (columns, width) of `words` words in all, the last `masks` of them for hiding:
    (columns, masks)."""
    stream = Stream(seed.tobytes())
    totals = np.zeros((len(tiles[0]), masks, 2), np.uint64)
    start = 0
    for number, tile in enumerate(tiles, 1):
        coefficients = np.empty((masks, tile.shape[1]), np.uint64)
        stream.fill((0, number), coefficients)
        for mask in range(masks):
            coefficients[mask, max(0, words - masks - start) :] = 0
            place = words - masks + mask - start
            if 0 <= place < tile.shape[1]:
                coefficients[mask, place] = 1
            totals[:, mask] ^= oblivious.hash_columns(tile, coefficients[mask])
        start += tile.shape[1]
    return oblivious.reduce_products(totals)


def _digest(hashed: Array) -> Array:
    return np.frombuffer(digest_parts([hashed.tobytes()], "quorate/ot check/1"), np.uint8)


def _rows(tiles: list[Array], rows: Array) -> Array:
    """The columns of all tiles as `rows` (count, 2)."""
    count = len(rows)
    start = 0
    for planes in tiles:
        stop = min(count, start + 64 * planes.shape[1])
        oblivious.interleave(planes, rows[start:stop])
        start = stop
    return rows
