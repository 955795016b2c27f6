"""How to sort rows in random order with few comparisons, all of whose outcomes are public: the plan.

Sample insertion (Frazer, McKellar, "Samplesort: A Sampling Approach to Minimal Storage Tree Sorting", JACM 17 (3),
1970): some m rows are sorted; every other row finds its place among them by a search of fixed length; the rows that
fall into the same gap are compared each with each. Since the rows are in random order, the first m are a sample, and
so on recursively. Deviations: searches compare with several pivots at a time where rounds are dear, and the number of
comparisons within gaps, which chance decides, is padded to a bound, so that the size of no message depends on it.

The bound. The sizes b_1 ... b_g of the g = m + 1 gaps are a uniformly random composition of r, the number of inserted
rows. So they are geometric variables with P(b) = (1 - q) q^b, q = r / (r + g), given that their sum is r. That sum has
probability C(r + g - 1, r) (1 - q)^g q^r >= 1 / 3 sqrt(g / (r (r + g))), by Robbins' form of Stirling's formula. With
f(b) = b (b - 1) / 2, Chernoff's inequality for the variables truncated at B gives for every w > 1

    P(f(b_1) + ... + f(b_g) > T) <= 3 sqrt(r (r + g) / g) (g q^(B + 1) + w^-T (sum over b <= B of P(b) w^f(b))^g).

B and T are chosen such that both terms are below 2**-`SECURITY`, so that a level fails with probability below
2**-(SECURITY - 1), and a sort, with at most 31 levels, below 2**-40. Only additions, products, quotients and square
roots of floats are used, which IEEE 754 rounds alike everywhere: all participants find the same number.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from quorate.circuits.prices import Price
from quorate.engine.network import Network

__all__ = ["SECURITY", "SLACK", "Level", "condition", "pairs_bound", "plan"]

SECURITY = 46
SLACK = 2
"""Bits that the rounding of floats may take: it is far below one."""
WIDEST_SEARCH = 7
LARGEST_STEP = 7
LOG2_E_ABOVE = 1.4426950408889636
OWN_NANOSECONDS = 40
"""What a comparison costs its party beside sending its bytes: fetching the rows, masks, the carry tree."""


class Level(NamedTuple):
    """One insertion: `before` sorted rows become `after`.

    Attributes:
        before: number of sorted rows; 2**sum(digits) - 1.
        after: number of sorted rows afterwards.
        digits: bits of the place that the steps of the search find; a step of d bits takes 2**d - 1 comparisons a row.
        pairs: comparisons within gaps, dummies included.
    """

    before: int
    after: int
    digits: tuple[int, ...]
    pairs: int

    @property
    def comparisons(self) -> int:
        """Of all steps."""
        return (self.after - self.before) * sum((1 << digit) - 1 for digit in self.digits) + self.pairs

    @property
    def steps(self) -> int:
        """Steps of comparisons, one after the other."""
        return len(self.digits) + 1


@lru_cache(maxsize=256)
def plan(rows: int, price: Price, network: Network) -> tuple[Level, ...]:
    """The cheapest levels that sort so many rows, when comparisons have this price."""
    if rows < 2:
        return ()
    chosen = _Chooser(price, network).best(rows)[1]
    return tuple(Level(m, n, digits, pairs_bound(m, n)) for m, n, digits in chosen)


Insertion = tuple[int, int, tuple[int, ...]]
"""(before, after, digits) of a level."""
Priced = tuple[int, list[Insertion]]
"""Nanoseconds, and levels."""


class _Chooser:
    """Dynamic programming over the sizes 2**k - 1 of samples."""

    def __init__(self, price: Price, network: Network) -> None:
        self.price, self.network = price, network
        self.known: dict[int, Priced] = {}

    def best(self, rows: int) -> Priced:
        """The cheapest levels that sort so many rows."""
        if rows not in self.known:
            top = (rows - 1).bit_length() - 1
            ways: list[Priced] = [(self._step(rows * (rows - 1) // 2), [(0, rows, ())])]
            for bits in range(max(2, top - WIDEST_SEARCH), top + 1):
                sample = (1 << bits) - 1
                if sample < rows:
                    cost, levels = self.best(sample)
                    own, digits = self._insertion(bits, rows)
                    ways.append((cost + own, [*levels, (sample, rows, digits)]))
            self.known[rows] = min(ways, key=lambda way: way[0])
        return self.known[rows]

    def _insertion(self, bits: int, rows: int) -> tuple[int, tuple[int, ...]]:
        """Nanoseconds and digits of the cheapest search among 2**bits - 1 rows, comparisons within gaps included."""
        sample = (1 << bits) - 1
        searches = []
        for steps in {-(-bits // size) for size in range(1, min(bits, LARGEST_STEP) + 1)}:
            digits = tuple(bits // steps + (k < bits % steps) for k in range(steps))
            searches.append((sum(self._step((rows - sample) * ((1 << d) - 1)) for d in digits), digits))
        cost, digits = min(searches)
        return cost + self._step(_usual_pairs(sample, rows)), digits

    def _step(self, comparisons: int) -> int:
        time = self.network.nanoseconds(self.price.rounds, self.price.of(comparisons))
        return time + comparisons * OWN_NANOSECONDS


def _usual_pairs(before: int, after: int) -> int:
    """About `pairs_bound`, for choosing."""
    inserted, gaps = after - before, before + 1
    expected = inserted * inserted // gaps
    return expected + expected * 16 // (math.isqrt(gaps) + 1)


@lru_cache(maxsize=4096)
def pairs_bound(before: int, after: int) -> int:
    """So many comparisons within gaps suffice, but with negligible probability, when `before` rows become `after`."""
    inserted, gaps = after - before, before + 1
    everything = inserted * (inserted - 1) // 2
    if gaps == 1 or inserted < 2:
        return everything
    wanted = SECURITY + SLACK + condition(inserted, gaps)
    q = inserted / (inserted + gaps)
    longest = _truncation(q, gaps, wanted)
    found = everything
    for halvings in range(1, 40):
        whole, half = _root_of_two(halvings), _root_of_two(halvings + 1)
        for rate, w in ((2.0**-halvings, whole), (1.5 * 2.0**-halvings, whole * half)):
            log_moment = _log_moment(q, w, longest)
            if log_moment is not None:
                found = min(found, math.ceil((gaps * log_moment + wanted) / rate))
    return found


def condition(inserted: int, gaps: int) -> int:
    """log2 of 3 sqrt(r (r + g) / g), or a little more: the price of independent gaps, see above."""
    return ((9 * inserted * (inserted + gaps) // gaps + 1).bit_length() + 1) // 2


def _truncation(q: float, gaps: int, wanted: int) -> int:
    """The smallest B with gaps * q**(B + 1) <= 2**-wanted."""
    left, longest = gaps * q, 0
    while left > 2.0**-wanted:
        left *= q
        longest += 1
    return longest


def _root_of_two(halvings: int) -> float:
    """2**(2**-halvings)."""
    root = 2.0
    for _ in range(halvings):
        root = math.sqrt(root)
    return root


def _log_moment(q: float, w: float, longest: int) -> float | None:
    """At least log2 of the sum over b <= longest of (1 - q) q**b w**(b (b - 1) / 2); None if that is no use."""
    excess, power = 0.0, 1.0
    plain = weighted = (1 - q) * q
    for _ in range(2, longest + 1):
        power *= w
        plain *= q
        weighted *= q * power
        excess += weighted - plain
        if excess > 0.5:
            return None
    # ln(1 + x) is below its alternating series cut off after a positive term
    return (excess - excess * excess / 2 + excess * excess * excess / 3) * LOG2_E_ABOVE
