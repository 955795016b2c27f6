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
every party, 8 more to outsiders, and 96 for a coin; bit to integer 1/8 and its n - 1 products; summands one opening of
the arithmetic side. Tuples: an "AND word" per 8 bytes; a "private word" per 64 bits to convert, and per 64 bits of
summands. Rounds: and 1; reveal to all 1 and a check (4), to others 5 and a check; bit to integer 1 or log2(n) products;
summands 1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.coins import toss
from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import IntegrityError, InternalError
from quorate.kernels import binary_field, planes, weighted
from quorate.kernels.ghost import contiguous
from quorate.preprocessing.and_triples import AndWords
from quorate.preprocessing.authenticated import DealtTuples
from quorate.preprocessing.authenticated_bits import (
    AND_WORDS,
    BIT_BATCH,
    PRIVATE_WORDS,
    RANDOM_WORDS,
    BitSource,
    draw_key,
)
from quorate.preprocessing.authenticated_triples import OwnTuples
from quorate.preprocessing.bit_checks import BitChecks, OpenedPlanes, as_words
from quorate.preprocessing.dealing import Mail
from quorate.preprocessing.dealt_bits import DealtBits
from quorate.preprocessing.private_bits import PrivateWords
from quorate.preprocessing.random_words import RandomWords
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Maker
from quorate.protocols import network_shuffle
from quorate.protocols.authenticated import Authenticated
from quorate.protocols.base import Bilinear, through_ands
from quorate.protocols.local import check_full_words, check_shapes, public_words
from quorate.sharing import wire
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["AuthenticatedBits"]

Array = npt.NDArray[Any]
FULL = (1 << 64) - 1
FIELD_BITS = 61


class AuthenticatedBits(Authenticated):
    """The Boolean side, on top of the arithmetic one."""

    def __init__(self, session: Session, threshold: int) -> None:
        self.bit_planes = min(64, session.security + 4)
        self._bit_key = np.zeros(2, np.uint64)
        self._source: BitSource | None = None
        self._bit_checks = BitChecks(session, self._delta, self.bit_planes, self._note_bits)
        super().__init__(session, threshold)

    # -- what the arithmetic side offers -------------------------------------------------------------------------------

    def enter(self, at: Scope, owner: int, values: Array) -> Step[Arithmetic]:
        """Numbers (uint64, 1-D) that `owner` knows, authenticated, within a maker of tuples."""
        if not isinstance(self.tuples, OwnTuples):
            raise InternalError("with a dealer nobody enters numbers that it knows; please report this")
        parts = yield from self.tuples.authentication.chosen(at, [owner], self.domain.from_words(values))
        return Arithmetic(self.name, parts)

    def vanish(self, at: Scope, x: Arithmetic) -> None:
        """See `zero`."""
        self.require_zero(at, x)

    def _deal_number(self, at: Scope, shape: tuple[int, ...], secret: Callable[[], Array], mail: Mail) -> Parts:
        """A number that the dealer computes; at the dealer the number itself."""
        if not isinstance(self.tuples, DealtTuples):
            raise InternalError("there is no dealer who could know a number; please report this")
        return self.tuples.value(at, shape, lambda: self.domain.from_words(secret()), mail)

    # -- keys, tuples, checks ------------------------------------------------------------------------------------------

    def _delta(self) -> int:
        return int(self._bit_key[0])

    def _known(self, plane: int) -> int:
        """Ones if our part of this plane takes in what is public, else 0."""
        return -(self._delta() >> plane & 1) & FULL

    def setup_bits(self, at: Scope) -> Step[None]:
        """Keys and transfers; with a dealer it has the keys too. After the keys of all pairs are agreed."""
        if self.session.dealer is not None:
            self._dealt = DealtBits(self.session, self.bit_planes, self._deal_number)
            self._bit_key = self._dealt.key(at.child("key"))
            return
        if not self._bit_key.any():
            self._bit_key = draw_key(self.session)
        self._source = BitSource(self.session, self._bit_key)
        yield from self._source.setup(at.child("transfers"))

    def bit_keys(self) -> list[Array]:
        """What tuples are bound to, for `stock_keys`."""
        return [self._bit_key.copy()]

    def adopt_bit_keys(self, keys: Sequence[Array]) -> None:
        """Use the keys of an earlier session; before `setup_bits`."""
        self._bit_key = np.array(keys[0], np.uint64)

    def bit_makers(self) -> dict[str, Maker]:
        """Makers of all kinds of tuples here, by kind."""
        return {kind: partial(self._make, kind) for kind in BIT_BATCH}

    def bit_batches(self) -> dict[str, int]:
        """How much of each kind is made at least."""
        return BIT_BATCH

    def dealt_bit_makers(self) -> dict[str, Maker]:
        """The same from the dealer."""
        return self.bit_makers()

    def _make(self, kind: str, at: Scope, count: int) -> Step[tuple[Array, ...]]:
        if self.session.dealer is not None:
            dealt = {AND_WORDS: self._dealt.ands, RANDOM_WORDS: self._dealt.random, PRIVATE_WORDS: self._dealt.private}
            return (yield from dealt[kind](at, count))
        if self._source is None:
            raise InternalError("tuples were asked for before the session was set up; please report this")
        if kind == AND_WORDS:
            return (yield from AndWords(self._source, self._bit_checks, self.bit_planes).make(at, count))
        if kind == RANDOM_WORDS:
            return (yield from RandomWords(self._source, self._bit_checks, self.bit_planes).make(at, count))
        return (yield from PrivateWords(self._source, self._bit_checks, self, self.bit_planes).make(at, count))

    def _note_bits(self, name: tuple[int, int], note: Any, size: int) -> None:
        self.deferred.note(name, note, size)

    def check_bits(self, at: Scope, notes: Sequence[Any]) -> Step[None]:
        """The check of everything that was noted here.

        Raises:
            IntegrityError: somebody cheated.
        """
        if notes:
            yield from self._bit_checks.check(at, notes)

    def _take(self, at: Scope, kind: str, count: int) -> Step[tuple[Array, ...]]:
        self.session.dealt(kind, count)
        return (yield from self._stocked.take(at, kind, count))

    # -- local ---------------------------------------------------------------------------------------------------------

    def public_bits(self, words: npt.NDArray[np.generic], width: int = 1) -> Boolean:
        return Boolean(self.name, tuple(self._public_parts(public_words(words, width))), width)

    def _public_parts(self, words: Array) -> list[Array]:
        kind = words.dtype.type
        full = (1 << 8 * words.dtype.itemsize) - 1
        return [words & kind(self._known(j) & full) for j in range(self.bit_planes)]

    def xor_public(self, a: Boolean, words: npt.NDArray[np.generic]) -> Boolean:
        known = self._public_parts(public_words(words, a.width))
        return a.with_parts(tuple(part ^ more for part, more in zip(a.parts, known, strict=True)))

    # -- opening -------------------------------------------------------------------------------------------------------

    def reveal_bits(self, at: Scope, x: Boolean, to: Collection[int]) -> Step[npt.NDArray[np.generic] | None]:
        yield from self.checked()
        recipients = sorted(set(to))
        if not recipients:
            return None
        flat = [wire.pack(part, x.width).reshape(-1) for part in x.parts]
        if recipients == list(range(self.parties)):
            opened = yield from self._opened(at, flat)
            yield from self.checked()
            return wire.unpack(opened, x.shape, x.width) if self.me in recipients else None
        words = yield from self._shown(at, [as_words(part) for part in flat], recipients)
        if self.me not in recipients:
            return None
        opened = words.view(np.uint8)[: flat[0].nbytes].view(flat[0].dtype)
        return wire.unpack(contiguous(opened), x.shape, x.width)

    def _opened(self, at: Scope, flat: Sequence[Array]) -> Step[Array]:
        """Open packed words to all parties, under a mask of zero; noted. One round."""
        draw, name = at.step(), at.step()
        zero = self._bit_checks.zero(draw, flat[0].shape, flat[0].dtype)
        (opened,) = yield from self._bit_checks.exchanged(name, [contiguous(flat[0] ^ zero)])
        self._note_bits(name, OpenedPlanes(opened, [contiguous(part) for part in flat[1:]]), -(-flat[0].nbytes // 8))
        return opened

    def _shown(self, at: Scope, words: Sequence[Array], recipients: list[int]) -> Step[Array]:
        """The words (count,) at the recipients, who know that they are right."""
        mask = yield from self._take(at.child("mask"), RANDOM_WORDS, 1)
        draw, name, told = at.step(), at.step(), at.step()
        zero = self._bit_checks.zero(draw, (words[0].size + 1,), np.uint64)
        mine = contiguous(np.concatenate([words[0], mask[0]]) ^ zero)
        received = yield from self._collected(name, mine, recipients)
        members = sorted({*range(self.parties), *recipients})
        coin = yield from toss(self.session, at.child("coin"), members)
        factors = self.session.tuple_blank(words[0].shape)
        coin.fill(factors)
        sums = [more ^ binary_field.dot(factors, part) for more, part in zip(mask, words, strict=True)]
        total = yield from self._opened(at.child("sum"), sums)
        yield from self.checked()
        yield from self._compared(told, total, received, factors, recipients)
        return received[:-1]

    def _collected(self, name: tuple[int, int], mine: Array, recipients: list[int]) -> Step[Array]:
        """The exclusive or of what all parties send to the recipients; ours at whoever is none. One round."""
        is_party = self.me < self.parties
        sends = {other: [mine] for other in recipients if other != self.me} if is_party else None
        senders = [party for party in range(self.parties) if party != self.me] if self.me in recipients else []
        arriving = {party: [self.session.tuple_blank(mine.shape)] for party in senders}
        yield Exchange(name, sends, arriving)
        parts = [buffers[0] for buffers in arriving.values()]
        if is_party or not parts:
            parts.append(mine)
        total: Array = contiguous(np.bitwise_xor.reduce(parts))
        return total

    def _compared(
        self, name: tuple[int, int], total: Array, received: Array, factors: Array, recipients: list[int]
    ) -> Step[None]:
        """Recipients compare their combination with the one that was checked. One round, for outsiders."""
        outside = [other for other in recipients if other >= self.parties]
        sends = {other: [total] for other in outside} if self.me < self.parties else None
        outsider = self.me in outside
        arriving = {party: [self.session.tuple_blank((1,))] for party in range(self.parties)} if outsider else {}
        yield Exchange(name, sends, arriving)
        if self.session.counting or self.me not in recipients:
            return
        expected = received[-1:] ^ binary_field.dot(factors, contiguous(received[:-1]))
        for value in [buffers[0] for buffers in arriving.values()] if outsider else [total]:
            if value[0] != expected[0]:
                raise IntegrityError(
                    "opened bits are not those that the parties computed: a party cheated, or a message was altered; "
                    "they were not used"
                )

    # -- products ------------------------------------------------------------------------------------------------------

    def and_(self, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
        check_shapes(a, b)
        if not a.size:
            return a
        left, right = ([wire.pack(part, a.width).reshape(-1) for part in words.parts] for words in (a, b))
        count = -(-left[0].nbytes // 8)
        yield from self.deferred.relieve(count)
        tuples = yield from self._take(at.child("tuples"), AND_WORDS, count)
        tuples = tuple(_cut(part, left[0]) for part in tuples)
        x, y, c = (tuples[k * self.bit_planes : (k + 1) * self.bit_planes] for k in range(3))
        first, second = at.step(), at.step()
        masked = [[contiguous(p ^ q) for p, q in zip(*pair, strict=True)] for pair in ((left, x), (right, y))]
        d, e = yield from self._bit_checks.exchanged(first, [masked[0][0], masked[1][0]])
        self._note_bits(first, OpenedPlanes(d, masked[0][1:]), count)
        self._note_bits(second, OpenedPlanes(e, masked[1][1:]), count)
        parts = [planes.beaver(c[j], x[j], y[j], d, e, self._known(j)) for j in range(self.bit_planes)]
        return a.with_parts(tuple(_unpacked(part, a) for part in parts))

    def bilinear(self, at: Scope, a: Boolean, b: Boolean, times: Bilinear, shape: tuple[int, ...]) -> Step[Boolean]:
        check_full_words(a, b)
        return (yield from through_ands(self, at, a, b, times, shape))

    # -- randomness and conversions ------------------------------------------------------------------------------------

    def random_bits(self, at: Scope, shape: tuple[int, ...]) -> Step[Boolean]:
        size = int(np.prod(shape, dtype=np.int64))
        if not size:
            return self.public_bits(np.zeros(shape, np.uint8))
        words = yield from self._take(at, RANDOM_WORDS, -(-size // 64))
        packed = [part.view(np.uint8)[: -(-size // 8)] for part in words]
        return Boolean(self.name, tuple(wire.unpack(contiguous(part), shape, 1) for part in packed))

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
            flat = [contiguous(part ^ _cut(other, part)) for part, other in zip(flat, parts, strict=True)]
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


def _cut(plane: Array, like: Array) -> Array:
    """As much of a plane of words as `like` takes, in its dtype."""
    return plane.view(np.uint8)[: like.nbytes].view(like.dtype)


def _narrow(plane: Array, size: int, width: int) -> Array:
    """The first `size` words of `width` bits of a plane of words of 64."""
    if width == FIELD_BITS:
        return plane[:size] & np.uint64((1 << FIELD_BITS) - 1)
    kind = wire.word_type(width)
    return plane.view(np.uint8)[: size * kind.itemsize].view(kind)


def _unpacked(part: Array, like: Boolean) -> Array:
    """Packed words in the shape of `like`, without bits beyond its width."""
    words = wire.unpack(part, like.shape, like.width)
    kind = words.dtype
    if like.width == 8 * kind.itemsize:
        return words
    cleared: Array = words & kind.type((1 << like.width) - 1)
    return cleared
