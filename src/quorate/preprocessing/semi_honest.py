"""Tuples for additive sharing among n parties from correlated oblivious transfer, against semi-honest adversaries.

A tuple for a product holds, shared, a random a, a random b and c = a b. Its cross terms a_i b_j are made between two
parties i and j, each pair by itself, so the tuples are good against any n - 1 corrupted parties. The choice bits of the
oblivious transfers are random, and serve as the bits of b_j: nothing is corrected in the ring of links from each party
to the next. Since b_j is the same for all i, the other links (none for two parties) correct their choice bits.

Sources
    Products: Gilboa, "Two Party RSA Key Generation", CRYPTO 1999, section 4, with correlated transfer as in Demmler,
    Schneider, Zohner, "ABY", NDSS 2015, section III-A; kernels in `quorate.kernels.gilboa`. Deviations: bits are those
    that the transfer chose; bits k and 64 - k share a word. Matrix products: one transfer per bit of an entry of the
    left matrix, with rows of the right one as messages (Mohassel, Zhang, "SecureML", IEEE S&P 2017, section 4.1).
    Words: Asharov, Lindell, Schneider, Zohner, "More Efficient Oblivious Transfer", CCS 2013, section 5.1: a random
    transfer of bits is the and of two random bits as it is, so n = 2 sends nothing.
    Bits with their values as integers: x ^ b = x + b - 2 x b, one party's bit after the other; ABY, section IV-E1.

Bytes beside the transfers themselves, in all links together, and transfers
    product 260 n (n - 1) + 8 n (n - 2), 64 n (n - 1); word 16 n (n - 2), 64 n (n - 1); bit with value
    4 n (n - 1) + (n - 1) (n - 2) / 16, n (n - 1) / 2; matrix product (m, k) by (k, l), m <= l: those of m k l products,
    but the transfers of m k, 8 m k n (n - 2) for corrections.
Rounds for one chunk (see `CHUNK`), after those of the transfers: products 1, words 0, bits n - 1 for n = 2; for n > 2
one more for corrections, and one for words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.crypto.robust import robust_hash
from quorate.engine.exchange import Exchange, Step, parallel
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.kernels import bits, gilboa
from quorate.kernels.ghost import contiguous, is_ghost
from quorate.preprocessing.cot import Cot
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Supply
from quorate.sharing import wire

__all__ = [
    "AND_WORDS",
    "CHUNK",
    "CONVERSIONS",
    "MATRICES",
    "PRODUCTS",
    "TRANSFERS",
    "Link",
    "Pads",
    "SemiHonestTuples",
    "Transfers",
]

Array = npt.NDArray[Any]
PRODUCTS, AND_WORDS, CONVERSIONS = "products", "AND words", "bit conversions"
MATRICES, TRANSFERS = "matrix products ", "transfers to "
"""Kinds of tuples: (a, b, c) uint64 with c = a b; the same with a & b; (bit uint8, its value uint64); for a family by
shape such as "matrix products 2x3x4": (count, 2, 3), (count, 3, 4) and their product; for one by party such as
"transfers to 1": random transfers from each other party in turn, as blocks (count, 2) and the receiver's bits."""
CHUNK = 1 << 18
"""Transfers that are made at a time, to bound memory."""
PIECE = 1 << 13
"""Transfers that are hashed and used up at a time: what is made of them stays in the cache."""
HASHED = 40
"""Bytes whose handling takes as long as to hash and use up a transfer, for predictions."""
BATCH = {PRODUCTS: 1 << 10, AND_WORDS: 1 << 10, CONVERSIONS: 1 << 12}


class Pads(NamedTuple):
    """What some transfers gave: both pads to the sender; to the receiver the one that its bit chose. Others: None.

    first, second, chosen: (count, words or more) uint64.
    """

    first: Any = None
    second: Any = None
    chosen: Any = None

    def cut(self, part: slice) -> Pads:
        """Those of some transfers."""
        return Pads(*(pad if pad is None else pad[part] for pad in self))


class Transfers(NamedTuple):
    """Random transfers before they are hashed, which is done piece by piece, so that pads stay in the cache.

    blocks: (count, 2), those of the correlated transfers at their sender or receiver; bits: (count,) uint8, the
    receiver's choices; delta at the sender, None elsewhere; start: index of the first one for the hash.
    """

    blocks: Any
    bits: Any
    delta: Any
    start: int

    def pads(self, part: slice | None = None, words: int = 1) -> Pads:
        """The pads of some transfers, or of all."""
        part = slice(0, self.blocks.shape[0]) if part is None else part
        if self.delta is not None:
            return Pads(first=self._hashed(part, words, None), second=self._hashed(part, words, self.delta))
        return Pads(chosen=self._hashed(part, words, None)) if self.bits is not None else Pads()

    def _hashed(self, part: slice, words: int, flip: Array | None) -> Array:
        hashes = -(-words // 2)
        blocks, start = self.blocks[part], self.start + hashes * part.start
        if hashes == 1:
            return robust_hash(blocks, start, flip)
        spread = robust_hash(np.repeat(blocks, hashes, axis=0), start, flip)
        return spread.reshape(blocks.shape[0], 2 * hashes)


class Link:
    """Transfers from party `sender` to party `receiver`, as any participant sees them.

    Attributes:
        free: the receiver's numbers are what the transfers choose, and the sender's bits what their pads say.
    """

    def __init__(self, session: Session, sender: int, receiver: int) -> None:
        self.session = session
        self.sender, self.receiver = sender, receiver
        self.sends, self.receives = session.me == sender, session.me == receiver
        self.free = receiver == (sender + 1) % session.parties
        self.cot = Cot(session, sender, receiver, checked=False)

    @property
    def label(self) -> str:
        """For names."""
        return f"{self.sender} to {self.receiver}"

    def draw(self, at: Scope, count: int) -> Step[Transfers]:
        """`count` random transfers."""
        batch = yield from self.cot.extend(at, count)
        return self.given(at, batch.q if self.sends else batch.t, batch.bits)

    def given(self, at: Scope, blocks: Array, choices: Array) -> Transfers:
        """Correlated transfers, to be hashed by the name of `at`."""
        if self.sends or self.receives:
            self.session.touched(HASHED * blocks.shape[0])
        start = at.ident >> 1  # tweaks of different scopes hardly ever meet, and blocks are fresh in any case
        return Transfers(blocks, choices if self.receives else None, self.cot.delta if self.sends else None, start)

    def choose(self, at: Scope, given: Transfers, wanted: Array) -> Step[Transfers]:
        """The same transfers with other choices, `wanted` uint8 (count,) at the receiver. One round, a bit each."""
        name = at.step()
        if self.receives:
            yield Exchange(name, {self.sender: [wire.pack(given.bits ^ wanted, 1)]})
            return given._replace(bits=wanted)
        if not self.sends:
            yield Exchange(name)
            return given
        count = given.blocks.shape[0]
        arriving = self.session.blank((wire.packed_size(count, 1),), np.uint8)
        yield Exchange(name, None, {self.receiver: [arriving]})
        swapped = bits.unpack(arriving, count).astype(np.uint64)[:, None]
        return given._replace(blocks=given.blocks ^ (swapped * given.delta))

    def carry(self, at: Scope, arrays: list[Array]) -> Step[None]:
        """One round: these arrays, from the sender's to the receiver's."""
        name = at.step()
        sends = {self.receiver: arrays} if self.sends else None
        yield Exchange(name, sends, {self.sender: arrays} if self.receives else None)

    def products(self, at: Scope, pads: Callable[[slice], Pads], a: Array, b: Array) -> Step[Array | None]:
        """Our part of a_i b_j for (n,) numbers, the sender's a and the receiver's b. One round, 260 bytes each."""
        size = a.shape[0]
        if not (self.sends or self.receives):
            yield from self.carry(at, [])
            return None
        words, halves = self.session.blank((size, gilboa.WORDS)), self.session.blank((size,), np.uint32)
        part = self.session.blank((size,))
        for piece, rows in _pieces(a, gilboa.BITS) if self.sends else ():
            given = pads(rows)
            part[piece] = gilboa.send(given.first, given.second, a[piece], words[piece], halves[piece])
        yield from self.carry(at, [words, halves])
        for piece, rows in _pieces(b, gilboa.BITS) if self.receives else ():
            part[piece] = gilboa.receive(pads(rows).chosen, b[piece], words[piece], halves[piece])
        return part

    def selected(self, at: Scope, given: Transfers, x: Array) -> Step[Array | None]:
        """Our part of x_i times the receiver's bit. One round, 8 bytes each."""
        if not (self.sends or self.receives):
            yield from self.carry(at, [])
            return None
        message, part = self.session.blank(x.shape), self.session.blank(x.shape)
        for piece, _ in _pieces(x) if self.sends else ():
            pads = given.pads(piece)
            message[piece], part[piece] = gilboa.send_number(pads.first, pads.second, x[piece])
        yield from self.carry(at, [message])
        for piece, _ in _pieces(x) if self.receives else ():
            part[piece] = gilboa.receive_number(given.pads(piece).chosen, given.bits[piece], message[piece])
        return part

    def ands(self, given: Transfers, count: int) -> tuple[Array, Array]:
        """Words of the pads' lowest bits: the sender's first and second; the receiver's chosen ones, then a blank."""
        words = self.session.blank((count,)), self.session.blank((count,))
        for piece, rows in _pieces(words[0], gilboa.BITS) if self.sends or self.receives else ():
            pads = given.pads(rows)
            for word, pad in zip(words, (pads.first, pads.second) if self.sends else (pads.chosen,), strict=False):
                word[piece] = gilboa.lowest_bits(pad)
        return words


class SemiHonestTuples:
    """The production of one session at one participant. `supply` hands out what is made here."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.me, n = session.me, session.parties
        self.links = [
            Link(session, sender, receiver) for sender in range(n) for receiver in range(n) if sender != receiver
        ]
        makers = {PRODUCTS: self.products, AND_WORDS: self.words, CONVERSIONS: self.conversions}
        self.supply = Supply(makers, BATCH, {MATRICES: self._matrices, TRANSFERS: self._transfers}, self._prepare)

    def _prepare(self, at: Scope) -> Step[None]:
        """Base transfers between all pairs, in parallel."""
        yield from parallel([link.cot.setup(at.child(link.label)) for link in self.links])

    def products(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `PRODUCTS`."""
        return (yield from self._in_chunks(at, count, CHUNK // gilboa.BITS, self._products))

    def words(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `AND_WORDS`."""
        return (yield from self._in_chunks(at, count, CHUNK // gilboa.BITS, self._words))

    def conversions(self, at: Scope, count: int) -> Step[Parts]:
        """Kind `CONVERSIONS`."""
        return (yield from self._in_chunks(at, count, CHUNK, self._conversions))

    def _in_chunks(self, at: Scope, count: int, size: int, make: Callable[[Scope, int], Step[Parts]]) -> Step[Parts]:
        """Chunk by chunk, so that memory for transfers is bounded."""
        if count <= size:
            return (yield from make(at, count))
        whole: Parts = ()
        for start in range(0, count, size):
            part = yield from make(at.child(f"chunk {start // size}"), min(size, count - start))
            whole = whole or tuple(self.session.blank((count, *array.shape[1:]), array.dtype) for array in part)
            for into, array in zip(whole, part, strict=True):
                into[start : start + array.shape[0]] = array
        return whole

    def _draw(self, at: Scope, links: list[Link], count: int) -> Step[tuple[list[Transfers], Array]]:
        """Transfers in all links, and our choices in them, which are those of the one that is free to choose."""
        given = yield from parallel([link.draw(at.child(link.label), count) for link in links])
        chosen = [one.bits for link, one in zip(links, given, strict=True) if link.receives and link.free]
        return given, chosen[0] if chosen else self.session.blank((count,), np.uint8)

    def _chosen(self, at: Scope, links: list[Link], given: list[Transfers], wanted: Array) -> Step[list[Transfers]]:
        """All links with the same choices of their receiver. One round for more than two parties, else none."""
        bound = [number for number, link in enumerate(links) if not link.free]
        steps = [links[number].choose(at.child(links[number].label), given[number], wanted) for number in bound]
        changed = dict(zip(bound, (yield from parallel(steps)), strict=True))
        return [changed.get(number, one) for number, one in enumerate(given)]

    def _uniform(self, at: Scope, shape: tuple[int, ...]) -> Array:
        return self.session.draw((self.me,), at.step(), self.session.blank(shape))

    def _products(self, at: Scope, count: int) -> Step[Parts]:
        a = self._uniform(at, (count,))
        given, choice = yield from self._draw(at.child("transfers"), self.links, gilboa.BITS * count)
        b = _numbers(choice)
        given = yield from self._chosen(at.child("choices"), self.links, given, choice)
        here = at.child("messages")
        steps = [
            link.products(here.child(link.label), one.pads, a, b) for link, one in zip(self.links, given, strict=True)
        ]
        return a, b, _sum(a * b, (yield from parallel(steps)))

    def _matrices(self, shape: str) -> Callable[[Scope, int], Step[Parts]]:
        """The maker of a family's member, such as "2x3x4"."""
        m, k, n = map(int, shape.split("x"))

        def make(at: Scope, count: int) -> Step[Parts]:
            made = yield from parallel(
                [self._matrix(at.child(f"product {number}"), m, k, n) for number in range(count)]
            )
            return tuple(np.stack(arrays) for arrays in zip(*made, strict=True))

        return make

    def _transfers(self, receiver: str) -> Callable[[Scope, int], Step[Parts]]:
        """The maker of transfers to this party."""

        def make(at: Scope, count: int) -> Step[Parts]:
            links = self.links_to(int(receiver))
            given = yield from parallel([link.cot.extend(at.child(link.label), count) for link in links])
            parts = [(one.q if link.sends else one.t, one.bits) for link, one in zip(links, given, strict=True)]
            return tuple(array for pair in parts for array in pair)

        return make

    def links_to(self, receiver: int) -> list[Link]:
        """All links to a party."""
        return [link for link in self.links if link.receiver == receiver]

    def transfers(self, at: Scope, receiver: int, count: int) -> Step[list[Transfers]]:
        """From the supply: `count` random transfers to a party from each other one, in the order of `links_to`."""
        parts = yield from self.supply.take(at, f"{TRANSFERS}{receiver}", count)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        links = self.links_to(receiver)
        return [
            link.given(at.child(link.label), blocks, choices)
            for link, (blocks, choices) in zip(links, pairs, strict=True)
        ]

    def _matrix(self, at: Scope, m: int, k: int, n: int) -> Step[Parts]:
        """One product; the party with the left matrix receives, so that matrix has to be the smaller one."""
        if m > n:
            right, left, both = yield from self._matrix(at, n, k, m)
            return tuple(contiguous(array.T) for array in (left, right, both))
        right = self._uniform(at, (k, n))
        left, both = self.session.blank((m, k)), self.session.blank((m, n))
        both[...] = 0
        rows = max(1, 8 * CHUNK // (gilboa.BITS * n))
        for row in range(m):
            for start in range(0, k, rows):
                piece = slice(start, min(start + rows, k))
                here = at.child(f"row {row} from {start}")
                left[row, piece], sums = yield from self._row(here, right[piece])
                both[row] += sums
        return left, right, both

    def _row(self, at: Scope, right: Array) -> Step[tuple[Array, Array]]:
        """A random row (k,), and its product with the matrix (k, n)."""
        k, n = right.shape
        given, choice = yield from self._draw(at.child("transfers"), self.links, gilboa.BITS * k)
        row = _numbers(choice)
        given = yield from self._chosen(at.child("choices"), self.links, given, choice)
        here, spread, flat = at.child("messages"), np.repeat(row, n), right.reshape(-1)
        pads = [_by_columns(one.pads(words=n), k, n) for one in given]
        steps = [
            link.products(here.child(link.label), pad.cut, flat, spread)
            for link, pad in zip(self.links, pads, strict=True)
        ]
        products = _sum(spread * flat, (yield from parallel(steps)))
        return row, np.add.reduce(products.reshape(k, n), axis=0)

    def _words(self, at: Scope, count: int) -> Step[Parts]:
        given, choice = yield from self._draw(at.child("transfers"), self.links, gilboa.BITS * count)
        b = _numbers(choice)
        given = yield from self._chosen(at.child("choices"), self.links, given, choice)
        words = [link.ands(one, count) for link, one in zip(self.links, given, strict=True)]
        first, second = next(pair for link, pair in zip(self.links, words, strict=True) if link.sends and link.free)
        a, here = first ^ second, at.child("messages")
        steps = [_ands(link, here.child(link.label), pair, a, b) for link, pair in zip(self.links, words, strict=True)]
        c = a & b
        for part in (yield from parallel(steps)):
            c = c if part is None else c ^ part
        return a, b, c

    def _conversions(self, at: Scope, count: int) -> Step[Parts]:
        """Party by party: a bit is added to the exclusive or of those before it, which all of them hold as a number."""
        up = [link for link in self.links if link.sender < link.receiver]
        given, chosen = yield from self._draw(at.child("transfers"), up, count)
        first = self.session.draw((self.me,), at.step(), self.session.blank((count,), np.uint8)) & np.uint8(1)
        bit = chosen if self.me else first
        given = yield from self._chosen(at.child("choices"), up, given, bit)
        number: Array = bit.astype(np.uint64)
        none: Array = np.zeros_like(number)
        value = number if self.me == 0 else none
        for party in range(1, self.session.parties):
            here = at.child(f"party {party}")
            pairs = [(link, one) for link, one in zip(up, given, strict=True) if link.receiver == party]
            steps = [link.selected(here.child(link.label), one, value) for link, one in pairs]
            both = _sum(none, (yield from parallel(steps)))
            value = value + (number if self.me == party else none) - both * np.uint64(2)
        return bit, value


def _ands(link: Link, at: Scope, words: tuple[Array, Array], a: Array, b: Array) -> Step[Array | None]:
    """Our part of a_i & b_j. A link that is not free corrects a_i: one round, 8 bytes per word."""
    if not link.free:
        message = words[0] ^ words[1] ^ a if link.sends else link.session.blank(a.shape)
        yield from link.carry(at, [message] if link.sends or link.receives else [])
        if link.receives:
            return np.asanyarray(words[0] ^ (b & message))
    return words[0] if link.sends or link.receives else None


def _pieces(numbers: Array, each: int = 1) -> Iterator[tuple[slice, slice]]:
    """Pieces of numbers with `each` transfers for each one, and their transfers; a ghost is one piece."""
    size = numbers.shape[0]
    step = size if is_ghost(numbers) else PIECE // each
    for start in range(0, size, step or 1):
        end = min(start + step, size)
        yield slice(start, end), slice(each * start, each * end)


def _by_columns(pads: Pads, k: int, n: int) -> Pads:
    """Pads (64 k, n) in the order of k n products that have their bits in common: (64 k n, 1)."""

    def turned(pad: Any) -> Any:
        if pad is None:
            return None
        return contiguous(np.swapaxes(contiguous(pad[:, :n]).reshape(k, gilboa.BITS, n), 1, 2)).reshape(-1, 1)

    return pads._replace(first=turned(pads.first), second=turned(pads.second), chosen=turned(pads.chosen))


def _numbers(choice: Array) -> Array:
    """Bits (64 n,) uint8 as numbers (n,), the lowest bit first."""
    return np.asanyarray(bits.pack(choice)).view(np.uint64)


def _sum(own: Array, parts: list[Array | None]) -> Array:
    """Our part of a product: our own term, and our parts of those with others."""
    for part in parts:
        if part is not None:
            own = own + part
    return own
