"""The smallest and largest along an axis, and where it is first: tournaments.

In a match of m contestants all m (m - 1) / 2 pairs are compared at once; one has won all its comparisons, the earlier
of equals; its value is an inner product. A match of two costs the fewest comparisons (n - 1 in all), larger ones save
rounds: a tournament of matches of m takes log_m(n) times the rounds of a comparison and about n m / 2 comparisons. How
large the matches of every level are is chosen for the session's network, with what the operations cost in the
protocol at hand. Nothing is opened.

Rounds of a match of two: a comparison and the choice by a bit; of m: a comparison, ceil(log2(m - 1)) ands, the
conversion of a bit, a product.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.circuits import prices
from quorate.circuits.compare import less
from quorate.circuits.logic import not_
from quorate.circuits.prices import Price
from quorate.circuits.reduce import all_of
from quorate.circuits.strips import columns_of, flattened, strip_width, strips, taken
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.engine.network import Network
from quorate.errors import UserError
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, concatenate

__all__ = ["Tournament", "extreme", "extreme_position", "matches"]

SIZES = (2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Sizes of matches that are considered; up to the largest, a match of all that are left as well."""

Places = npt.NDArray[np.int64] | Arithmetic | None


class Tournament(NamedTuple):
    """What a tournament is about.

    Attributes:
        largest: whether the largest wins, otherwise the smallest.
        bits: differences of values are proven to be below 2**bits; None if nothing is known.
        value, place: which of the winner's value and place are wanted.
    """

    largest: bool
    bits: int | None
    value: bool
    place: bool


def extreme(p: Protocol, at: Scope, x: Arithmetic, *, largest: bool, bits: int | None = None) -> Step[Arithmetic]:
    """The smallest or largest along the first axis: (n, ...) to (...), n > 0.

    Args:
        largest: whether to look for the largest.
        bits: any two values that are compared differ by less than 2**bits; fewer bits cost less. None: by less than
            2**capacity.

    Raises:
        UserError: n = 0.
    """
    what = Tournament(largest, bits, value=True, place=False)
    value, _ = yield from _tournament(p, at, x, what)
    return value


def extreme_position(
    p: Protocol, at: Scope, x: Arithmetic, *, largest: bool, bits: int | None = None
) -> Step[Arithmetic]:
    """Where along the first axis the smallest or largest is, the first of equals; see `extreme`."""
    what = Tournament(largest, bits, value=False, place=True)
    _, place = yield from _tournament(p, at, x, what)
    return place


def _tournament(p: Protocol, at: Scope, x: Arithmetic, what: Tournament) -> Step[tuple[Arithmetic, Arithmetic]]:
    """Value and place of the winner; what is not wanted may be anything of that shape."""
    shape = x.shape[1:]
    if not x.shape[0]:
        raise UserError("there is no smallest and no largest of nothing; make sure that the axis is not empty")
    values = columns_of(x)
    places: Places = np.arange(values.shape[0]).reshape(-1, 1) if what.place else None
    for level, size in enumerate(matches(p, values.shape, what) if x.size and what.bits != 0 else ()):
        last = values.shape[0] == size
        wanted = what._replace(value=what.value or not last)
        values, places = yield from _level(p, at.child(f"level {level}"), values, places, size, wanted)
    place = p.public(np.zeros(shape, np.int64)) if not isinstance(places, Arithmetic) else _first_row(places, shape)
    return _first_row(values, shape), place


def _first_row(x: Arithmetic, shape: tuple[int, ...]) -> Arithmetic:
    return x.map(lambda part: contiguous(part[0]).reshape(shape))


# -- the schedule ------------------------------------------------------------------------------------------------------


class _Rates(NamedTuple):
    """What decides a schedule."""

    network: Network
    comparison: Price
    conjunction: Price
    conversion: Price
    product: Price
    injection: Price
    place: bool


def _rates(p: Protocol, what: Tournament) -> _Rates:
    return _Rates(
        p.session.network,
        prices.comparison(p, what.bits),
        prices.conjunction(p),
        prices.conversion(p),
        prices.product(p),
        prices.injection(p),
        what.place,
    )


def matches(p: Protocol, shape: tuple[int, ...], what: Tournament) -> tuple[int, ...]:
    """The sizes of matches, level by level, for `shape` = (contestants, columns).

    A level of size m leaves n // m winners and the n % m contestants without a match.
    """
    return _schedule(_rates(p, what), shape[0], shape[1])[1]


@lru_cache(maxsize=1 << 14)
def _schedule(rates: _Rates, count: int, columns: int) -> tuple[int, tuple[int, ...]]:
    """The least time from `count` contestants to one, in nanoseconds, and the sizes that take it."""
    if count == 1:
        return 0, ()
    ways = []
    for size in sorted({*SIZES, min(count, SIZES[-1])}):
        if size <= count:
            rest, later = _schedule(rates, count // size + count % size, columns)
            time = rates.network.nanoseconds(*_cost(rates, size, count // size * columns))
            ways.append((rest + time, (size, *later)))
    return min(ways)


def _cost(rates: _Rates, size: int, count: int) -> tuple[int, int]:
    """Rounds and bytes of `count` matches."""
    rounds, sent = rates.comparison.rounds, rates.comparison.of(count * size * (size - 1) // 2)
    if size == 2:
        return rounds + rates.injection.rounds, sent + rates.injection.of(count * (1 + rates.place))
    rounds += (size - 2).bit_length() * rates.conjunction.rounds  # ceil(log2(size - 1))
    rounds += rates.conversion.rounds + rates.product.rounds
    sent += rates.conjunction.of(count * (size - 1) * (size - 2))
    sent += rates.conversion.of(count * (size - 1)) + rates.product.of(count * (1 + rates.place))
    return rounds, sent


# -- matches -----------------------------------------------------------------------------------------------------------


def _level(
    p: Protocol, at: Scope, values: Arithmetic, places: Places, size: int, what: Tournament
) -> Step[tuple[Arithmetic, Places]]:
    """All matches of a level: (n, columns) to (n // size + n % size, columns)."""
    groups, columns = values.shape[0] // size, values.shape[1]
    head, tail = slice(groups * size), slice(groups * size, None)
    operands: list[Arithmetic | npt.NDArray[np.int64]] = [_by_match(values, size)]
    if isinstance(places, Arithmetic):
        operands.append(_by_match(places, size))
    elif places is not None:
        spread = np.broadcast_to(places[head], (groups * size, columns))
        operands.append(_grouped(spread, size).astype(np.int64))

    def play(p: Protocol, at: Scope, *pieces: Arithmetic) -> Step[list[Arithmetic]]:
        return _match(p, at, pieces[0], pieces[1] if len(pieces) > 1 else None, what)

    won = yield from strips(p, at, play, operands, strip_width(size * (size - 1) // 2))
    won = [winner.map(lambda part: part.reshape(groups, columns)) for winner in won]
    new_places = None if places is None else concatenate([won[-1], _places_of(p, places, tail, columns)], 0)
    return concatenate([won[0], taken(values, tail)], 0), new_places


def _places_of(p: Protocol, places: npt.NDArray[np.int64] | Arithmetic, rows: slice, columns: int) -> Arithmetic:
    if isinstance(places, Arithmetic):
        return taken(places, rows)
    return p.public(contiguous(np.broadcast_to(places[rows], (len(places[rows]), columns))))


def _by_match(x: Arithmetic, size: int) -> Arithmetic:
    """(n, columns) to (size, matches * columns), with neighbours in one match; a rest is left out."""
    return x.map(lambda part: _grouped(part[: part.shape[0] // size * size], size))


def _grouped(part: npt.NDArray[np.generic], size: int) -> npt.NDArray[np.generic]:
    groups = part.shape[0] // size
    split = part.reshape(groups, size, part.shape[1]).transpose(1, 0, 2)
    return contiguous(split).reshape(size, groups * part.shape[1])  # type: ignore[no-any-return]


def _match(p: Protocol, at: Scope, values: Arithmetic, places: Places, what: Tournament) -> Step[list[Arithmetic]]:
    """Winners of matches between the rows of (m, columns): value, and place if there are places."""
    wins = yield from _wins(p, at.child("wins"), values, what)
    rows = [values] if what.value else []
    rows += [places] if isinstance(places, Arithmetic) else []
    public = [places] if isinstance(places, np.ndarray) else []
    pick = _picked if wins.shape[0] > 1 else _picked_of_two
    picked, found = yield from pick(p, at.child("picked"), wins, rows, public)
    return [*([] if what.value else [taken(values, 0)]), *picked, *found]


Picked = tuple[list[Arithmetic], list[Arithmetic]]


def _picked(
    p: Protocol, at: Scope, wins: Boolean, rows: list[Arithmetic], public: list[npt.NDArray[np.int64]]
) -> Step[Picked]:
    """Of every (m, columns) in `rows` and `public`, in each column the one that `wins` (m - 1, columns) marks, else the
    last: the marks as numbers, and inner products."""
    chosen = yield from p.to_arithmetic(at.child("chosen"), wins)
    found = [_known(p, chosen, places) for places in public]
    if not rows:
        return [], found
    gain, factor = concatenate(_gains(p, rows), 1), concatenate([chosen] * len(rows), 1)
    change = yield from p.dot(at.child("values"), _turned(gain), _turned(factor))
    return _changed(p, rows, change), found


def _picked_of_two(
    p: Protocol, at: Scope, wins: Boolean, rows: list[Arithmetic], public: list[npt.NDArray[np.int64]]
) -> Step[Picked]:
    """As `_picked` for m = 2."""
    steps: list[Step[Arithmetic]] = []
    if rows:
        gain, marks = concatenate(_gains(p, rows), 1), concatenate([wins] * len(rows), 1)
        steps.append(p.inject(at.child("values"), flattened(marks), flattened(gain)))
    if public:
        steps.append(p.to_arithmetic(at.child("chosen"), wins))
    results = yield from parallel(steps)
    return _changed(p, rows, results[0]) if rows else [], [_known(p, results[-1], places) for places in public]


def _gains(p: Protocol, rows: list[Arithmetic]) -> list[Arithmetic]:
    """By how much every contestant but the last exceeds the last."""
    return [p.sub(taken(row, slice(-1)), taken(row, slice(-1, None))) for row in rows]


def _changed(p: Protocol, rows: list[Arithmetic], change: Arithmetic) -> list[Arithmetic]:
    """The last contestants, with the changes for all rows, one after the other."""
    columns = rows[0].shape[1]
    pieces = [taken(change, slice(k * columns, (k + 1) * columns)) for k in range(len(rows))]
    return [p.add(taken(row, -1), piece) for row, piece in zip(rows, pieces, strict=True)]


def _known(p: Protocol, chosen: Arithmetic, places: npt.NDArray[np.int64]) -> Arithmetic:
    """The same for public rows, by marks that are numbers; local."""
    ahead = p.sum(p.scale(chosen, places[:-1] - places[-1:]), 0)
    return p.add_public(ahead, contiguous(places[-1]))


def _turned(x: Arithmetic) -> Arithmetic:
    return x.map(lambda part: contiguous(part.T))


def _wins(p: Protocol, at: Scope, values: Arithmetic, what: Tournament) -> Step[Boolean]:
    """Which of the contestants but the last wins: (m, columns) to bits (m - 1, columns)."""
    size, columns = values.shape
    first, second = np.triu_indices(size, 1)
    pair = [taken(values, index).map(lambda part: part.reshape(-1)) for index in (first, second)]
    smaller, larger = pair if what.largest else pair[::-1]
    beaten = yield from less(p, at.child("compare"), smaller, larger, bits=what.bits)
    beaten = beaten.map(lambda part: part.reshape(len(first), columns))  # the earlier by the later
    if size == 2:
        return not_(p, beaten)
    numbers = np.zeros((size, size), np.int64)
    numbers[first, second] = numbers[second, first] = np.arange(len(first))
    others = np.array([[k for k in range(size) if k != me] for me in range(size - 1)]).T
    me = np.arange(size - 1)
    duels = taken(beaten, numbers[others, me])
    stays = np.broadcast_to((others > me).astype(np.uint8)[..., None], duels.shape)
    return (yield from all_of(p, at.child("all"), p.xor_public(duels, stays)))
