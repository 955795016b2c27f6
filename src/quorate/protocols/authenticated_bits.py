"""Boolean words of the authenticated protocols: every word has MACs in bit planes. `spdz` and `spdz2k` build on it.

Parts of a share are (word, plane 1, ..., plane s), each an exclusive-or sharing among all parties: of w itself, and of
w where bit j of Delta is set, else of 0. Delta is the exclusive or of the parties' keys Delta_i. Whatever is linear
over exclusive or, such as shifts, masks and changes of order, acts on all parts alike.

Sources
    Words with MACs, ands: Beaver's products (CRYPTO 1991) on tuples as in Frederiksen, Keller, Orsini, Scholl, "A
    Unified Approach to MPC with Preprocessing using OT", ASIACRYPT 2015; `preprocessing.bit_checks`, `.and_triples`.
    Bits with their values: Rotaru, Wood, "MArBled Circuits", INDOCRYPT 2019; `preprocessing.private_bits`.
    Opening to some: the recipients compare a random linear combination of what they were sent, masked by one more word,
    with what the parties open and check. As random combinations for outputs in Damgard, Damgard, Nielsen, Nordholt,
    Toft, "Confidential Benchmarking Based on Multiparty Computation", FC 2016; ours for bits.

Security: s = min(63, security + 3) planes. A wrong opening or tuple passes the checks with probability 2^-s (MACs),
2^-(security + 1) (buckets of ands, of private bits) or 2^-64 (combinations) at most: all attempts of a session together
with less than 2^-security, for security <= 60, as one that fails ends it. Nothing is opened to a recipient before all
that it depends on was checked; words that parties open among themselves are masked by uniform ones. Modulo p a mask is
2^61 - 1 with probability 2^-61, and then stands for 0.

Bytes to each other party: an and of packed words of b bytes 2 b; reveal to all parties b; to others b + 8 to each, 8 to
every party, 8 more to outsiders, and 128 for a coin; bit to integer 1/8 and its n - 1 products; summands one opening of
the arithmetic side. Tuples: an "AND word" per 8 bytes; a "private word" per 64 bits to convert, and per 64 bits of
summands. Rounds: and 1; reveal to all 1 and a check (4), to others 5 and a check; bit to integer 1 or log2(n) products;
summands 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.kernels import weighted
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.authenticated_bits import (
    PRIVATE_WORDS,
)
from quorate.protocols import network_shuffle
from quorate.protocols.authenticated_outputs import AuthenticatedOutputs
from quorate.protocols.authenticated_words import cut
from quorate.sharing import wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["AuthenticatedBits"]

Array = npt.NDArray[Any]
FIELD_BITS = 61


class AuthenticatedBits(AuthenticatedOutputs):
    """The Boolean side, on top of the arithmetic one."""

    # -- conversions ---------------------------------------------------------------------------------------------------

    def private_words(
        self, at: Scope, shape: tuple[int, ...], width: int = 64
    ) -> Step[list[tuple[Arithmetic, Boolean]]]:
        """Uniform words that party i knows, for every i: as bits that are numbers (*shape, width), lowest first, and as
        Boolean words of that shape and width. `width` is 8, 16, 32 or 64, for protocols modulo p 61."""
        size = int(np.prod(shape, dtype=np.int64))
        width, whole = (width, width) if self.modulus_bits == 64 else (FIELD_BITS, 64)
        _, columns = yield from self._columns(at, -(-size * whole // 64))
        found = []
        for number, parts in columns:
            bits = number.map(lambda part: part.reshape(-1, whole)[:size, :width].reshape(*shape, width))
            words = tuple(_narrow(part, size, width).reshape(shape) for part in parts)
            found.append((bits, Boolean(self.name, words, width)))
        return found

    def _columns(self, at: Scope, count: int) -> Step[tuple[Array, list[tuple[Arithmetic, tuple[Array, ...]]]]]:
        """Private words: our own, then for every party its bits as numbers (count, 64) and its planes (count,)."""
        taken = yield from self._take(at, PRIVATE_WORDS, count)
        each = (len(taken) - 1) // self.parties
        columns = []
        for party in range(self.parties):
            parts = taken[1 + party * each : 1 + (party + 1) * each]
            limbs = each - self.bit_planes
            columns.append((Arithmetic(self.name, parts[:limbs]), parts[limbs:]))
        return taken[0], columns

    def summands(self, at: Scope, x: Arithmetic, negate_last: bool = False, width: int = 64) -> Step[list[Boolean]]:
        """Opens c = x - r_1 - ... - r_n for words r_i that party i knows: c and the r_i are the summands. One round."""
        if self.modulus_bits == FIELD_BITS:
            width = FIELD_BITS
        if not x.size:
            kind = wire.word_type(width)
            return [self.public_bits(np.zeros(x.shape, kind), width) for _ in range(self.parties + 1)]
        words = yield from self.private_words(at.child("words"), x.shape, width)
        for party, (bits, _) in enumerate(words):
            r = self._weighted(bits, range(width))
            negated = negate_last and party == self.parties - 1
            x = self.add(x, r) if negated else self.sub(x, r)
        up = 64 - width if self.modulus_bits == 64 else 0
        opened = yield from self.open_checked(at.child("open"), self.scale(x, 1 << up) if up else x)
        c = opened[0] >> np.uint64(up)
        return [self.public_bits(c, width), *(word for _, word in words)]

    def _weighted(self, bits: Arithmetic, exponents: Sequence[int]) -> Arithmetic:
        """The sum of bits times 1, 2, 4, ... over the last axis."""
        shape, width = bits.shape[:-1], len(exponents)
        rows = [part.reshape(int(np.prod(shape, dtype=np.int64)), bits.shape[-1]) for part in bits.parts]
        if self.domain.limbs == 1:
            sums = [weighted.field_sums(part, width) for part in rows]
        else:
            sums = [limb for k in (0, 2) for limb in weighted.ring_sums(rows[k], rows[k + 1], width)]
        return Arithmetic(self.name, tuple(part.reshape(shape) for part in sums))

    def to_arithmetic(self, at: Scope, b: Boolean) -> Step[Arithmetic]:
        """Opens b ^ b_1 ^ ... ^ b_n for private bits b_i; their exclusive or as numbers takes n - 1 products."""
        if not b.size:
            return self.empty(b.shape)
        _, columns = yield from self._columns(at.child("bits"), -(-b.size // 64))
        flat = [wire.pack(part, 1) for part in b.parts]
        for _, parts in columns:
            flat = [contiguous(part ^ cut(other, part)) for part, other in zip(flat, parts, strict=True)]
        numbers = [number.map(lambda part: part.reshape(-1)[: b.size]) for number, _ in columns]
        packed, number = yield from parallel(
            [self._opened(at.child("open"), flat), self._odd(at.child("odd"), numbers)]
        )
        opened = wire.unpack(packed, (b.size,), 1).astype(np.int64)
        return self._flipped(number, opened).map(lambda part: part.reshape(b.shape))

    def _odd(self, at: Scope, numbers: Sequence[Arithmetic]) -> Step[Any]:
        """The exclusive or of bits that are numbers."""
        level, depth = list(numbers), 0
        while len(level) > 1:
            depth += 1
            pairs = list(zip(level[::2], level[1::2], strict=False))
            steps = [self.mul(at.child(f"level {depth} pair {k}"), *pair) for k, pair in enumerate(pairs)]
            products = yield from parallel(steps)
            merged = [
                self.sub(self.add(x, y), self.scale(both, 2)) for (x, y), both in zip(pairs, products, strict=True)
            ]
            level = merged + level[2 * len(pairs) :]
        return level[0]

    def _flipped(self, number: Arithmetic, bits: Array) -> Arithmetic:
        """Bits that are numbers, exclusive or public bits (int64)."""
        return self.add_public(self.scale(number, 1 - 2 * bits), bits)

    # -- shuffling -----------------------------------------------------------------------------------------------------

    def shuffle(self, at: Scope, columns: Sequence[Share]) -> Step[list[Share]]:
        """Parties take turns with a network; party i's switches are its private bits, flipped as it says."""
        rows = columns[0].shape[0] if columns else 0
        if rows < 2:
            return list(columns)
        switches = network_shuffle.cost(rows)[0]
        mine, private = yield from self._columns(at.child("switches"), -(-switches // 64))
        flips: dict[int, Array] = {}

        def share_bits(within: Scope, group: tuple[int, ...], bits: Array) -> Step[Boolean]:
            (owner,) = group
            flips[owner] = yield from self._told(within, owner, bits, mine)
            parts = private[owner][1]
            packed = [contiguous(part.view(np.uint8)[: -(-bits.size // 8)]) for part in parts]
            shared = Boolean(self.name, tuple(wire.unpack(part, bits.shape, 1) for part in packed))
            return self.xor_public(shared, flips[owner])

        def share_numbers(within: Scope, group: tuple[int, ...], bits: Array) -> Step[Arithmetic]:
            yield from ()
            (owner,) = group
            number = private[owner][0].map(lambda part: part.reshape(-1)[: bits.size].reshape(bits.shape))
            return self._flipped(number, flips[owner].astype(np.int64))

        groups = [(party,) for party in range(self.parties)]
        place = at.child("network")
        return (yield from network_shuffle.shuffle(self, place, columns, groups, share_bits, share_numbers))

    def _told(self, at: Scope, owner: int, bits: Array, mine: Array) -> Step[Array]:
        """Which private bits of the owner differ from those that it wants: it tells everybody. One round.

        Telling parties different things makes an error that is a part of a MAC key, which no check lets pass.
        """
        name = at.step()
        packed = self.session.blank((-(-bits.size // 8),), np.uint8)
        if self.me == owner:
            packed[...] = wire.pack(bits, 1) ^ mine.view(np.uint8)[: packed.size]
            yield Exchange(name, {party: [packed] for party in range(self.parties) if party != owner})
        else:
            yield Exchange(name, None, {owner: [packed]} if self.me < self.parties else None)
        return wire.unpack(packed, bits.shape, 1)


def _narrow(plane: Array, size: int, width: int) -> Array:
    """The first `size` words of `width` bits of a plane of words of 64."""
    if width == FIELD_BITS:
        return plane[:size] & np.uint64((1 << FIELD_BITS) - 1)
    kind = wire.word_type(width)
    return plane.view(np.uint8)[: size * kind.itemsize].view(kind)
