"""Random bits that are authenticated: of one party that knows them, or of all together.

Every party i has a key Delta_i of r bytes; Delta is their exclusive or. Bit 0 of Delta_i is public, 1 at party 0 and 0
elsewhere, so that bit 0 of Delta is 1. Of a bit b every party has a row of 8 r bits; the exclusive or of all rows is b
Delta. So bit 0 of the rows shares b itself, and the other bits its MACs. Rows are linear: exclusive or adds bits.

A party i knows its own bits x, and with every other party j it has correlated oblivious transfers, t = q ^ (x Delta_j):
the row of i is the exclusive or of all t and of x Delta_i, that of j is q.

Source: Frederiksen, Keller, Orsini, Scholl, "A Unified Approach to MPC with Preprocessing using OT", ASIACRYPT 2015,
section 4 and figure 11; MACs between pairs from Nielsen, Nordholt, Orlandi, Burra, "A New Approach to Practical
Active-Secure Two-Party Computation", CRYPTO 2012. Deviations: the value is one of the planes of its own MAC, as in
Katz, Ranellucci, Rosulek, Wang, "Optimizing Authenticated Garbling", CRYPTO 2018, section 3; bits are those that the
transfers chose, corrected towards all parties but the first.

Is a party's bit the same towards all others, and its key the same in all pairs? `BitChecks.open_combination` opens one
random linear combination over GF(2^64), T = sum of chi_k b_k, of the bits of all parties together, masked by 64 more of
them. With a bit that differs by e towards party j the rows add up to T Delta + chi e Delta_j; with a key that differs
by D towards party j, to T Delta + T_j D, where T_j, what party j put into T, is uniform even given T, since another
honest party (if there is none, the key of that pair is the key) put in as much. Both pass with probability 2^-(8 r - 1)
at most for rows of r bytes (so many bits of Delta_j are unknown), plus 2^-64 for the case that chi e is 0.

Bytes beside the transfers: n (n - 2) / 8 per bit of each of n parties, all together, 8 to every other party per check.
Rounds: those of a transfer, for n > 2 one more; a check 3 (two for its coin).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from quorate.crypto.hashing import digest
from quorate.crypto.robust import robust_hash
from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Name, Scope
from quorate.engine.session import Session
from quorate.kernels import bits, planes
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.cot import Cot, CotBatch

__all__ = ["AND_WORDS", "BIT_BATCH", "MASK_BITS", "PRIVATE_WORDS", "RANDOM_WORDS", "BitSource", "Private", "draw_key"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]
T = TypeVar("T")
AND_WORDS, RANDOM_WORDS, PRIVATE_WORDS = "AND words", "random words", "private words"
BIT_BATCH = {AND_WORDS: 128, RANDOM_WORDS: 16, PRIVATE_WORDS: 16}
"""Words that are made at least: few, as small jobs make some too; what is needed in one go is made in one go."""
MASK_BITS = 64
"""Bits of every party that hide one opened combination."""


def draw_key(session: Session, at: Scope) -> Words:
    """A fresh key (2,): the first bytes of it are Delta_i; all of it makes transfers computationally secure."""
    key = np.zeros(2, np.uint64)
    if session.holds_shares:
        key = session.private(at, "bit key").array(2, np.uint64)
    key[0] = (key[0] & np.uint64(2**64 - 2)) | np.uint64(session.me == 0)
    return key


@dataclass(frozen=True, slots=True)
class Private:
    """Random bits of one party, the owner, as one participant sees them.

    Attributes:
        owner: whose they are.
        bits: (count,) uint8, 0 or 1, at the owner; a ghost elsewhere.
        rows: (count,) uint64, our rows.
        blocks: of the transfers they come from, (count, 2) uint64: at the owner t by peer, elsewhere q by the owner.
    """

    owner: int
    bits: Array
    rows: Words
    blocks: dict[int, Words]


class BitSource:
    """The transfers of all ordered pairs of parties.

    Args:
        session: of this participant.
        key: as of `draw_key`.
        row_bytes: r, at most 8.
    """

    def __init__(self, session: Session, key: Words, row_bytes: int) -> None:
        self.session = session
        self.key = key
        self.row_bytes = row_bytes
        self._used = np.uint64((1 << 8 * row_bytes) - 1)
        self.others = [party for party in range(session.parties) if party != session.me]
        pairs = [(i, j) for i in range(session.parties) for j in range(session.parties) if i != j]
        self._transfers = {pair: Cot(session, *pair, key if pair[0] == session.me else None) for pair in pairs}
        self._hashed = int.from_bytes(digest(session.ident, "quorate/bits/1")[:5], "big")

    @property
    def delta(self) -> int:
        """Our Delta_i."""
        return int(self.key[0] & self._used)

    def setup(self, at: Scope) -> Step[None]:
        """Base transfers of all pairs, at the same time."""
        steps = [cot.setup(at.child(f"{pair}")) for pair, cot in self._transfers.items()]
        yield from parallel(steps)

    def private(self, at: Scope, count: int) -> Step[list[Private]]:
        """`count` random bits of every party, in order of party."""
        steps = [cot.extend(at.child(f"{pair}"), count) for pair, cot in self._transfers.items()]
        found: list[CotBatch] = yield from parallel(steps)
        batches = dict(zip(self._transfers, found, strict=True))
        if self.session.parties > 2:
            yield from self._correct(at.step(), batches, count)
        return [self._of(owner, batches, count) for owner in range(self.session.parties)]

    def _correct(self, name: Name, batches: dict[tuple[int, int], CotBatch], count: int) -> Step[None]:
        """Make the bits of every party those of its transfers with the first other one."""
        me, sends, receives = self.session.me, dict[int, list[Array]](), dict[int, list[Array]]()
        for other in self.others[1:] if me < self.session.parties else ():
            mine = batches[self.others[0], me].bits
            sends[other] = [bits.pack(contiguous(batches[other, me].bits ^ mine))]
        for owner in self.others if me < self.session.parties else ():
            if me != min(party for party in range(self.session.parties) if party != owner):
                receives[owner] = [self.session.blank((-(-count // 8),), np.uint8)]
        yield Exchange(name, sends, receives)
        for owner, (packed,) in receives.items():
            q, flips = batches[me, owner].q, bits.unpack(packed, count)
            for half in range(2):
                column = contiguous(q[:, half])
                q[:, half] = planes.chosen(flips, int(self.key[half]), column.copy())

    def _of(self, owner: int, batches: dict[tuple[int, int], CotBatch], count: int) -> Private:
        me = self.session.me
        if me >= self.session.parties:
            blank = self.session.blank((count,))
            return Private(owner, blank.astype(np.uint8), blank, {})
        if me != owner:
            q = batches[me, owner].q
            return Private(owner, batches[me, owner].bits, q[:, 0] & self._used, {owner: q})
        own = batches[self.others[0], me].bits
        blocks = {other: batches[other, me].t for other in self.others}
        rows = self.session.blank((count,))
        rows[...] = 0
        for t in blocks.values():
            rows ^= t[:, 0]
        rows &= self._used
        return Private(owner, own, planes.chosen(own, self.delta, rows), blocks)

    def shared(self, private: Sequence[Private]) -> Words:
        """Our rows of the exclusive or of the bits of all parties."""
        rows = private[0].rows ^ private[1].rows
        for one in private[2:]:
            rows ^= one.rows
        return rows

    def hashes(self, count: int) -> int:
        """The first of `count` numbers for `hash`, the same at all parties and never given out again."""
        first, self._hashed = self._hashed, self._hashed + count
        return first

    def hash(self, blocks: Words, first: int, receiver: int) -> Words:
        """A row for every block of the transfers to `receiver`, under the numbers from `hashes`."""
        words: Words = robust_hash(blocks, (receiver << 48) + first)[:, 0] & self._used
        return words


def in_turn(steps: Sequence[Step[T]]) -> Step[list[T]]:
    """The results of steps that run one after the other, so that no two of them take memory at the same time."""
    results: list[T] = []
    for step in steps:
        results.append((yield from step))  # noqa: PERF401
    return results
