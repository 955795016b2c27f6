"""Words of authenticated ands: random x, y and z = x & y, in planes.

First leaky ands are made. Of a bit x and a bit y of all parties the rows of y add up to y Delta; multiplying them by x
gives rows of x y Delta, which are those of z = x y at once, value included. x is the sum of the bits x_j of all
parties, and party i's row phi_i times party j's bit x_j takes one row of r bytes: with the transfer of x_j, q at i and
q or q ^ key at j,

    i sends u = H(q) ^ H(q ^ key) ^ phi_i and keeps H(q);    j takes H(t) ^ (x_j u).

A cheating i may send u ^ e; then the rows are wrong by x_j e. To pass the check it has to guess x_j, or a sum of such
bits. So whoever passes may know the x of c ands with probability 2^-c. The leaky ands are made in B groups; all groups
but the first are put in random order, and the k-th ands of all of them make a bucket. From each bucket comes one and
whose x is the sum of theirs: with opened d_g = y_1 ^ y_g,

    x = x_1 ^ ... ^ x_B,    y = y_1,    z = z_1 ^ (z_g ^ d_g x_g for g > 1).

Sources: Wang, Ranellucci, Katz, "Global-Scale Secure Multiparty Computation", CCS 2017, sections 5 and 6 (leaky ands,
bucketing); groups in random order, but for the first, as in Araki, Barak, Furukawa, Lichter, Lindell, Nof, Ohara,
Watzman, Weinstein, "Optimized Honest-Majority MPC for Malicious Adversaries", IEEE S&P 2017; the value as bit 0 of its
MAC, which makes a product of y also one of its MAC, as in Katz, Ranellucci, Rosulek, Wang, "Optimizing Authenticated
Garbling", CRYPTO 2018. Deviations: as the product of y and of its MAC are one, z needs no random bit to authenticate
it, and there is no word beside u; the rows of all ands of a lot are checked by one random linear combination over
GF(2^64) (x, y and z together) instead of by an equality test for each.

Accounting, for a lot of N ands. Let c_g ands of group g be wrong, c of all groups. With combined rows the check passes
with probability 2^-c + 2^-64: two independent x give the same combination with that probability. There are c_1 ... c_B
/ N^(B - 1) buckets of nothing but wrong ones to be expected. c_g 2^-c_g is 1/2 at most, so a lot is bad with
probability 2^-B / N^(B - 1) plus 2^-64, and `bucket_size` is the least B for which the first term is at most
2^-(security + 1). Attempts in several lots add up to 2^B / (2^B - 1) times that, since each has c >= B and is found out
but for 2^-B. For 40 bits B = 3 will do from 2^19 ands, 4 from 5200, 5 from 512.

Bytes to each other party, per and of 1 bit: r B + (B - 1) / 8 beside 2 B bits of every party from transfers (for n > 2,
B / 4 for their correction). Rounds: those of private bits and 1 for every 2^18 leaky ands, and 4 for each lot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import toss
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.kernels import permutation, planes
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.authenticated_bits import MASK_BITS, BitSource, Private, in_turn
from quorate.preprocessing.bit_checks import BitChecks

__all__ = ["AndWords", "bucket_size"]

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]
LOT = 1 << 13
"""Words made together: enough for buckets of three, not too many for memory."""
PIECE = 1 << 18
"""Leaky ands made together."""


def bucket_size(count: int, security: int) -> int:
    """The least size of buckets that makes a lot of `count` ands good but with probability 2^-(security + 1)."""
    size = 2
    while count ** (size - 1) << size < 1 << (security + 1):
        size += 1
    return size


class AndWords:
    """Makes ands, from the bits of a source and with the openings of `checks`."""

    def __init__(self, source: BitSource, checks: BitChecks, count_planes: int) -> None:
        self.source = source
        self.checks = checks
        self.session = source.session
        self._planes = count_planes

    def make(self, at: Scope, count: int) -> Step[tuple[Array, ...]]:
        """`count` words of ands: the planes of x, then those of y, then those of z, each (count,) uint64."""
        steps = [self._lot(at.child(f"lot {start}"), min(LOT, count - start)) for start in range(0, count, LOT)]
        lots = yield from in_turn(steps)
        joined = lots[0] if len(lots) == 1 else np.concatenate(lots, axis=1)
        return tuple(joined[j] for j in range(joined.shape[0]))

    def _lot(self, at: Scope, count: int) -> Step[Words]:
        buckets = 64 * count
        size = bucket_size(buckets, self.session.security)
        total = buckets * size
        rows = [self.session.blank((total,)) for _ in range(3)]
        mask = self.session.blank((MASK_BITS,))
        for start in range(0, total, PIECE):
            stop = min(total, start + PIECE)
            place = at.child(f"leaky {start}")
            mask = yield from self._leaky(place, [some[start:stop] for some in rows], mask if start else None)
        orders = yield from self._checked_orders(at.child("check"), rows, mask, size)
        x, y, z = (some.reshape(size, buckets) for some in rows)
        moved = [permutation.apply_xor(y[k], order, y[0]) for k, order in enumerate(orders, 1)]
        flips = yield from self.checks.open_rows(at.child("buckets"), np.concatenate(moved))
        for k, order in enumerate(orders, 1):
            planes.merge(x[0], z[0], x[k], z[k], order, flips[(k - 1) * buckets : k * buckets])
        return np.concatenate([planes.from_rows(some[0], self._planes) for some in (x, y, z)])

    def _leaky(self, at: Scope, out: Sequence[Words], mask: Words | None) -> Step[Words]:
        """Fill the rows of x, y and z; returns rows of 64 bits more, the mask, if there is none yet."""
        count = out[0].size
        extra = MASK_BITS if mask is None else 0
        private = yield from self.source.private(at.child("bits"), 2 * count + extra)
        x = [_part(one, 0, count) for one in private]
        shared = self.source.shared(private)
        out[0][...] = shared[:count]
        out[1][...] = shared[count : 2 * count]
        out[2][...] = yield from self._product(at, x, contiguous(shared[count : 2 * count]))
        return shared[2 * count :] if mask is None else mask

    def _product(self, at: Scope, x: Sequence[Private], phi: Words) -> Step[Words]:
        """Rows of x times the value that the rows `phi` are of. One round."""
        me, source, name = self.session.me, self.source, at.step()
        first = source.hashes(phi.size)
        if me >= self.session.parties:
            yield Exchange(name)
            return phi
        z = planes.chosen(x[me].bits, phi, np.zeros_like(phi))
        sends, receives = dict[int, list[Array]](), dict[int, list[Array]]()
        for other in source.others:
            q = x[other].blocks[other]
            kept = source.hash(q, first, other)
            z ^= kept
            sends[other] = [_packed(kept ^ source.hash(q ^ source.key, first, other) ^ phi, source.row_bytes)]
            receives[other] = [self.session.blank((phi.size, source.row_bytes), np.uint8)]
        yield Exchange(name, sends, receives)
        for other in source.others:
            z ^= source.hash(x[me].blocks[other], first, me)
            planes.chosen(x[me].bits, self._unpacked(receives[other][0]), z)
        return z

    def _unpacked(self, packed: Array) -> Words:
        """Rows from what was sent of them."""
        octets = self.session.blank((packed.shape[0],)).view(np.uint8).reshape(-1, 8)
        octets[:, : packed.shape[1]] = packed
        octets[:, packed.shape[1] :] = 0
        return octets.reshape(-1).view(np.uint64)

    def _checked_orders(self, at: Scope, rows: Sequence[Words], mask: Words, size: int) -> Step[list[Array]]:
        """Open a random combination of all rows; returns random orders of all groups but the first, which nobody could
        know before."""
        coin = yield from toss(self.session, at.child("coin"))
        factors = [self.session.blank(some.shape) for some in rows]
        words = [self.session.blank((rows[0].size // size + permutation.SPARE,)) for _ in range(size - 1)]
        coin.fill(*factors, *words)
        yield from self.checks.open_combination(at, factors, rows, mask)
        return [permutation.from_random_words(some) for some in words]


def _packed(rows: Words, row_bytes: int) -> Array:
    """As many bytes of every row as are used: (count, row_bytes)."""
    octets: Array = contiguous(contiguous(rows).view(np.uint8).reshape(-1, 8)[:, :row_bytes])
    return octets


def _part(one: Private, start: int, stop: int) -> Private:
    blocks = {peer: some[start:stop] for peer, some in one.blocks.items()}
    return Private(one.owner, contiguous(one.bits[start:stop]), contiguous(one.rows[start:stop]), blocks)
