"""Division by a power of two of a sum of k summands modulo M, for protocols in which nobody may be trusted.

Let M be 2**64 or p = 2**61 - 1, L = 64 or 61, |x| < 2**(L - 2) and x' = x + 2**(L - 2), so 0 < x' < 2**(L - 1). Let
x' = a_1 + ... + a_k - w M with 0 <= a_j < M: the sum wraps w times, 0 <= w < k. Then

    x' / 2**f = (a_1 + ... + a_k - w M) / 2**f,

so the quotients a_j / 2**f, each rounded to the nearest, less w times 2**(L - f), are x' / 2**f up to rounding. What is
to be computed is w, and the top b bits t_j of the summands tell it:

    w = (t_1 + ... + t_k + k - 1) >> b,         where b = `top_bits(k)` is the least with 2**(b - 1) >= k - 1.

Proof. Let q = 2**(L - b), a_j = t_j q + l_j with 0 <= l_j < q, T the sum of the t_j, and M = 2**b q - m with m = 0
(ring) or 1 (field). T q = x' + w M - sum of l_j >= 1 + w 2**b q - w m - k (q - 1) > w 2**b q - k q, as w m < k; so
T >= w 2**b - (k - 1). And T q <= x' + w M < 2**(L - 1) + w 2**b q, so T < w 2**b + 2**(b - 1), since 2**(L - 1) / q is
2**(b - 1). Hence w 2**b <= T + k - 1 < w 2**b + 2**(b - 1) + k - 1 <= (w + 1) 2**b.

Error. A rounded quotient is off by e_j with -1/2 < e_j <= 1/2 (at least 2**-f above the lower end), and w 2**(L - f)
differs from w M / 2**f by w m / 2**f < k 2**-f. So the result is off by more than -k / 2 and at most k / 2: see `error`
and `offsets`. That holds always, not just with high probability. Beside the summands' own quotients and top bits, which
must be right and of the same summand, nothing is needed but the protocol's own (verified) products.

The sum is computed by adders on arithmetic bits. An adder of two bits x, y needs the product m = x y: it carries m and
leaves x + y - 2 m. Two in a row never both carry, so the sum of their carries is a bit again, and this makes a full
adder. Bits that are public, and the constant k - 1, cost no product. Carries out of the top column add up to w.
Source for counting wraps from top bits: ours; for k = 2 and one bit it is the correction in Dalskov, Escudero, Keller,
"Fantastic Four", USENIX Security 2021, section 5.2.

Cost: `cost(k, public)` is (products, rounds): (1, 1) for k = 2, (5, 3) for k = 3, (14, 5) for k = 4, (17, 6) for k = 5,
(74, 10) for k = 10; with one of the summands public none for k = 2, (3, 2) for k = 3, (11, 5) for k = 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Integers, Protocol
from quorate.sharing.share import Arithmetic, concatenate

__all__ = ["assembled", "cost", "count_wraps", "error", "offsets", "rounded", "shifted", "top_bits", "tops", "truncate"]

Array = npt.NDArray[Any]


def top_bits(k: int) -> int:
    """How many top bits of each of k summands tell how often their sum wraps."""
    return 1 + (k - 2).bit_length() if k > 2 else 1


def error(k: int) -> float:
    """Worst error of the result in units of its last place: `Protocol.truncation_error`."""
    return k / 2


def offsets(k: int) -> tuple[int, int]:
    """Least and greatest difference from rounding down: `Protocol.truncation_offsets`.

    The result differs from x / 2**f by more than -k / 2 and at most k / 2, and x / 2**f from its floor by less than 1.
    """
    return -((k - 1) // 2), (k + 1) // 2


# -- what the holders of a summand compute --------------------------------------------------------------------------


def rounded(summand: Array, shift: int) -> Array:
    """a_j / 2**shift rounded to the nearest, for uint64 summands; 1 <= shift."""
    return np.asanyarray((summand >> np.uint64(shift)) + ((summand >> np.uint64(shift - 1)) & np.uint64(1)))


def tops(summand: Array, k: int, length: int) -> list[Array]:
    """The top bits of a summand of `length` bits (64 or 61), the lowest of them first."""
    count = top_bits(k)
    return [(summand >> np.uint64(length - count + j)) & np.uint64(1) for j in range(count)]


def shifted(p: Protocol, x: Arithmetic) -> Arithmetic:
    """x' = x + 2**capacity, of which the summands are to be taken."""
    if p.capacity > p.modulus_bits - 2:
        raise InternalError(
            f"a capacity of {p.capacity} bits leaves no room to count wraps modulo {p.modulus_bits} bits"
        )
    return p.add_public(x, np.asarray(1 << p.capacity, np.int64))


# -- the whole, for protocols whose holders of summands are trusted to place functions of them -----------------------


def truncate(p: Protocol, at: Scope, x: Arithmetic, shift: int) -> Step[Arithmetic]:
    """`Protocol.truncate` on `Protocol.known`, for protocols in which what is known of a summand is placed without a
    message, or else is verified."""
    k, length = p.summand_count, p.modulus_bits
    count = top_bits(k)

    def function(words: npt.NDArray[np.uint64], number: int) -> Integers:
        return np.stack([rounded(words, shift), *tops(words, k, length)]).view(np.int64)

    known = yield from p.known(at.child("known"), shifted(p, x), function, 1 + count)
    rows = [[share.map(lambda part, j=j: part[j]) for j in range(1 + count)] for share in known]  # type: ignore[misc]
    wraps = yield from count_wraps(p, at.child("wraps"), [row[1:] for row in rows])
    return assembled(p, [row[0] for row in rows], wraps, shift)


def assembled(p: Protocol, highs: Sequence[Arithmetic], wraps: Arithmetic, shift: int) -> Arithmetic:
    """x / 2**shift from the rounded quotients of the summands of x' and the number of wraps. Local."""
    weight = 1 << (p.modulus_bits - shift)
    total = p.scale(wraps, -weight)  # at most 2**63, of which only the negative is an int64
    for high in highs:
        total = p.add(total, high)
    return p.add_public(total, np.asarray(-(1 << (p.capacity - shift)), np.int64))


# -- counting wraps --------------------------------------------------------------------------------------------------


class _Product(NamedTuple):
    """The adder of two bits, by their numbers: `carry` and `rest` are numbers of new ones. Without `right` the other
    bit is the public one of `column`, and nothing has to be multiplied."""

    left: int
    right: int | None
    column: int
    carry: int
    rest: int


class _Plan(NamedTuple):
    """Adders by rounds, bits that are sums of two carries (number, carry, carry), and the bits that add up to w."""

    rounds: tuple[tuple[_Product, ...], ...]
    merged: tuple[tuple[int, int, int], ...]
    wraps: tuple[int, ...]


class _Planner:
    """Adds up columns of bits, each time those that are there first."""

    def __init__(self, secret: int, public: Sequence[bool]) -> None:
        count = len(public)
        self.ready = dict.fromkeys(range(secret * count), 0)
        self.products: list[tuple[int, _Product]] = []
        self.merged: list[tuple[int, int, int]] = []
        columns = [[secret * column + j for j in range(secret)] for column in range(count)]
        for column, bits in enumerate(columns):
            carries = self._column(bits, column, public=public[column])
            if column + 1 < count:
                columns[column + 1] += carries
            else:
                self.wraps = tuple(carries)

    def _column(self, bits: list[int], column: int, *, public: bool) -> list[int]:
        """What is carried out of a column, to which a public bit belongs too or not."""
        carries = list[int]()
        while len(bits) > 1 or public:
            bits.sort(key=lambda bit: (-self.ready[bit], bit))  # the earliest last
            carry, rest = self._adder(bits.pop(), None if public else bits.pop(), column)
            public = False
            if bits:
                other, rest = self._adder(rest, bits.pop(), column)
                carry = self._merge(carry, other)
            bits.append(rest)
            carries.append(carry)
        return carries

    def _adder(self, left: int, right: int | None, column: int) -> tuple[int, int]:
        start = self.ready[left] if right is None else max(self.ready[left], self.ready[right])
        carry, rest = len(self.ready), len(self.ready) + 1
        self.ready[carry] = self.ready[rest] = start + (right is not None)
        self.products.append((start, _Product(left, right, column, carry, rest)))
        return carry, rest

    def _merge(self, one: int, other: int) -> int:
        both = len(self.ready)
        self.ready[both] = max(self.ready[one], self.ready[other])
        self.merged.append((both, one, other))
        return both

    def plan(self) -> _Plan:
        """What was added, by rounds."""
        last = max((self.ready[bit] for bit in self.wraps), default=0)
        rounds = [tuple(product for start, product in self.products if start == r) for r in range(last + 1)]
        return _Plan(tuple(rounds), tuple(self.merged), self.wraps)


@lru_cache(maxsize=64)
def _plan(k: int, public: bool) -> _Plan:
    """How to count the wraps of k summands, one of which may be public."""
    columns = [public or bool(k - 1 >> column & 1) for column in range(top_bits(k))]
    return _Planner(k - public, columns).plan()


def cost(k: int, public: bool = False) -> tuple[int, int]:
    """Products per element, and rounds of products, of `count_wraps` for k summands, one of which may be public."""
    sizes = [sum(product.right is not None for product in products) for products in _plan(k, public).rounds]
    return sum(sizes), sum(map(bool, sizes))


class _Bits:
    """The bits of a running count: known ones by their numbers, sums of carries made when they are wanted."""

    def __init__(self, p: Protocol, plan: _Plan, bits: Sequence[Arithmetic]) -> None:
        self.p = p
        self.known = dict(enumerate(bits))
        self.merged = {both: (one, other) for both, one, other in plan.merged}

    def __getitem__(self, number: int) -> Arithmetic:
        if number not in self.known:
            one, other = self.merged[number]
            self.known[number] = self.p.add(self[one], self[other])
        return self.known[number]

    def added(self, adder: _Product, both: Arithmetic, with_left: Arithmetic) -> None:
        """Note what an adder gives, from the product of its bits and their sum."""
        self.known[adder.carry] = both
        self.known[adder.rest] = self.p.sub(with_left, self.p.scale(both, 2))


def count_wraps(
    p: Protocol, at: Scope, secret: Sequence[Sequence[Arithmetic]], public: npt.NDArray[np.uint64] | None = None
) -> Step[Arithmetic]:
    """w for k summands of x'; see `cost`.

    Args:
        secret: of every summand that is not public its `tops` as numbers 0 and 1, shared: `top_bits(k)` each.
        public: the top bits, as numbers below 2**top_bits(k), of a summand that everybody knows, such as an opened
            masked value; broadcasts to the shape of the bits.
    """
    k = len(secret) + (public is not None)
    if any(len(bits) != top_bits(k) for bits in secret):
        raise InternalError(f"to count the wraps of {k} summands takes {top_bits(k)} bits of each")
    plan, shape = _plan(k, public is not None), secret[0][0].shape
    offset = np.asarray(k - 1, np.uint64) if public is None else public + np.uint64(k - 1)
    offset = np.broadcast_to(offset, shape)
    bits = _Bits(p, plan, [row[column] for column in range(top_bits(k)) for row in secret])
    for number, adders in enumerate(plan.rounds):
        for adder in adders:
            if adder.right is None:
                bit = ((offset >> np.uint64(adder.column)) & np.uint64(1)).astype(np.int64)
                left = bits[adder.left]
                bits.added(adder, p.scale(left, bit), p.add_public(left, bit))
        yield from _multiplied(p, at.child(f"round {number}"), bits, [a for a in adders if a.right is not None])
    total = p.public(contiguous(offset >> np.uint64(top_bits(k))).astype(np.int64))
    for wrap in plan.wraps:
        total = p.add(total, bits[wrap])
    return total


def _multiplied(p: Protocol, at: Scope, bits: _Bits, adders: list[_Product]) -> Step[None]:
    """All adders of one round at once."""
    pairs = [(bits[adder.left], bits[adder.right]) for adder in adders if adder.right is not None]
    if not pairs:
        return
    left, right = (concatenate([pair[side].map(_row) for pair in pairs], 0) for side in (0, 1))
    products = yield from p.mul(at, left, right)
    for j, (adder, pair) in enumerate(zip(adders, pairs, strict=True)):
        bits.added(adder, products.map(lambda part, j=j: part[j]), p.add(*pair))  # type: ignore[misc]


def _row(part: Array) -> Array:
    return part[None]
