"""The first k rows of a sort, without sorting the others.

A random sample is sorted; its row of rank r serves as a bar: all other rows are compared with it once, and only those
that are smaller are sorted. Source of the idea: Floyd, Rivest, "Expected Time Bounds for Selection", CACM 18 (3), 1975.
The number of rows below the bar is up to chance and becomes known; it is a function of the random order of the rows
alone, as are all outcomes (`circuits.order`). The sizes of messages do not depend on it: as many rows are provided for
as are exceeded with negligible probability.

The bounds. With m rows in the sample and n in all, the number X of other rows below the bar is the sum of the first r
sizes of a uniformly random composition of n - m into m + 1 gaps, see `circuits.rank`: that of r geometric variables,
P(b) = (1 - q) q^b with q = (n - m) / (n + 1), divided by the probability of their condition. Chernoff's inequality
gives for a <= r q / (1 - q) <= T

    P(X <= a), P(X >= T) <= c ((a + r) q / a)^a ((1 - q) (a + r) / r)^r, with a = T for the second,

c = 3 sqrt((n - m) (n + 1) / (m + 1)). Rank and room are chosen such that either is below 2**-`SECURITY`. Logarithms
are those of the decimal module, which are correctly rounded: all participants find the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from quorate.circuits.lexical import Key, comparable, fields_of, packed, word_sizes
from quorate.circuits.order import compared, comparison_price, order_cost, order_of
from quorate.circuits.radix import moved
from quorate.circuits.rank import SECURITY, SLACK, condition
from quorate.circuits.sort import row_numbers, sorted_fields
from quorate.circuits.strips import taken
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.kernels.order import below, pairs_with
from quorate.kernels.permutation import apply
from quorate.protocols.base import Protocol
from quorate.sharing.share import Boolean, Share

__all__ = ["first_rows"]

PRECISION = 40


def first_rows(p: Protocol, at: Scope, keys: Sequence[Key], columns: Sequence[Share], count: int) -> Step[list[Share]]:
    """The first `count` of the rows that `sort` would give; 0 <= count <= n.

    Opens to all parties the outcomes of comparisons that belong to a uniformly random permutation.

    Rounds and bytes: `lexical.fields_of`, `Protocol.shuffle`, about n comparisons, and the sorts of the sample and of
    what is below the bar; or those of `sort`, if that is cheaper.

    Raises:
        InternalError: chance had it that too few or too many rows are below the bar; probability below 2**-39.
    """
    if not count:
        return [taken(column, slice(0)) for column in columns]
    fields = yield from fields_of(p, at.child("keys"), keys)
    rows, width = columns[0].shape[0], sum(field.width for field in fields)
    way = _best(p, rows, count, width) if width else None
    if way is None:
        order = yield from sorted_fields(p, at, fields, columns)
        return [taken(column, slice(count)) for column in order.columns]
    words = packed([*fields, row_numbers(p, rows)])
    shuffled = yield from p.shuffle(at.child("shuffle"), [*words, *columns])
    chosen = yield from _chosen(p, at, shuffled[: len(words)], way, count)  # type: ignore[arg-type]
    return [moved(column, chosen) for column in shuffled[len(words) :]]


class _Way(NamedTuple):
    """Rows in the sample, rank of the bar in it (from 1), and room for so many rows below the bar."""

    sample: int
    rank: int
    room: int


def _chosen(p: Protocol, at: Scope, words: Sequence[Boolean], way: _Way, count: int) -> Step[Any]:
    """The positions of the first rows, in order."""
    rows, table = words[0].size, comparable(p, words)
    sample = yield from order_of(p, at.child("sample"), table, way.sample)
    left, right = pairs_with(sample, way.rank - 1, way.sample, rows)
    outcomes = yield from compared(p, at.child("bar"), table, left, right)
    candidates, active = below(sample, way.rank - 1, outcomes, way.room)
    if active is not None and not count <= active <= way.room:
        raise InternalError(
            f"top: chance put {active} rows below the bar, where {count} to {way.room} were provided for; this happens "
            "once in 2**39 runs, and nothing was disclosed: run the computation again"
        )
    smaller = comparable(p, [moved(word, candidates) for word in words])
    order = yield from order_of(p, at.child("order"), smaller, way.room, active)
    return apply(candidates, order[:count])


# -- choosing ----------------------------------------------------------------------------------------------------------


def _best(p: Protocol, rows: int, count: int, width: int) -> _Way | None:
    """The cheapest way to the first `count` rows; None: to sort all."""
    widths = word_sizes(width + (rows - 1).bit_length())
    network, price = p.session.network, comparison_price(p, widths)
    times: dict[_Way | None, int] = {None: network.nanoseconds(*order_cost(p, rows, widths))}
    for bits in range(2, rows.bit_length()):
        way = _way(rows, (1 << bits) - 1, count)
        if way is not None:
            sorts = [order_cost(p, size, widths) for size in (way.sample, way.room)]
            costs = [*sorts, (price.rounds, price.of(rows - way.sample))]
            times[way] = network.nanoseconds(sum(rounds for rounds, _ in costs), sum(size for _, size in costs))
    return min(times, key=lambda way: times[way])


@lru_cache(maxsize=1024)
def _way(rows: int, sample: int, count: int) -> _Way | None:
    """The lowest bar that enough rows are below, and room for those; None if that would be nearly all rows."""
    others = rows - sample
    rank = _smallest(1, sample, lambda rank: _enough(others, sample, rank, count))
    if rank is None:
        return None
    usual = -(-rank * others // (sample + 1))
    too_many = _smallest(usual, others, lambda many: _rare(others, sample, rank, many))
    return None if too_many is None else _Way(sample, rank, too_many - 1 + rank - 1)


def _enough(others: int, sample: int, rank: int, count: int) -> bool:
    """Whether fewer than `count` rows, the bar included, are improbable enough below the row of that rank."""
    if count < rank:
        return True
    return (count - rank) * (sample + 1) < rank * others and _rare(others, sample, rank, count - rank)


def _smallest(low: int, high: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest of low ... high for which a condition holds that holds for all larger ones."""
    if not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _rare(others: int, sample: int, rank: int, found: int) -> bool:
    """Whether so many rows below the bar, or a number further from the mean, are improbable enough."""
    mean = Fraction(rank * others, sample + 1)
    with localcontext(Context(PRECISION)):
        q, r, a = Decimal(others) / (others + sample + 1), Decimal(rank), Decimal(found)
        exponent = r * ((1 - q) * (a + r) / r).ln() + (a * ((a + r) * q / a).ln() if found else 0)
        wanted = (SECURITY + SLACK + condition(others, sample + 1)) * Decimal(2).ln()
        return found != mean and exponent <= -wanted
