"""Reading and writing a table at secret positions.

The index is split into digits, each digit becomes a one-hot vector of numbers, and the table is narrowed digit by
digit, the highest first: an inner product with its one-hot vector leaves one block of rows. With two digits of about
half of the bits a read costs about 2 sqrt(n) conversions of bits and sqrt(n) products instead of n conversions, for one
round more ("square-root trick"). Where the digits are cut is chosen for the session's network. Many reads of one table
are a product of matrices. Nothing is opened; an index out of range gives no guarantee: callers prove its range.

Bytes per read of a row of c values from n, with digits of a, b, ... values (a b ... >= n), for one party of rep3: 8 for
each of the a + b + ... positions, and 8 c for every row that is left after a digit. Every element of the table takes
part in every read, so computing time is in proportion to reads times table: many reads of a large table are better
done by sorting.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from quorate.circuits import prices
from quorate.circuits.compare import equal
from quorate.circuits.logic import not_
from quorate.circuits.onehot import digits_of, digits_price, expanded, expansion, one_hot, with_ands
from quorate.circuits.packed import packed
from quorate.circuits.prices import SAMPLE, Price
from quorate.circuits.reduce import any_of
from quorate.circuits.strips import flattened, strip_width, strips, taken
from quorate.circuits.tiles import tiled
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.engine.network import Network
from quorate.kernels.ghost import contiguous
from quorate.protocols import adder
from quorate.protocols.base import Bilinear, Integers, Protocol
from quorate.sharing.share import Arithmetic, Boolean, concatenate

__all__ = ["read", "read_bits", "read_public", "read_public_bits", "write", "write_bits"]


RING_BITS = 64
MOST_SUMMED = 256
"""Rows of public tables that may be read through the summands of the index."""


# -- where to cut the index --------------------------------------------------------------------------------------------


class _Rates(NamedTuple):
    """What decides where an index is cut."""

    network: Network
    conversion: Price
    product: Price
    public: bool  # the table is, so the first narrowing is local
    writes: bool  # for a write, rows are narrowed once and widened once


def _rates(p: Protocol, *, public: bool = False, writes: bool = False) -> _Rates:
    return _Rates(p.session.network, prices.conversion(p), prices.product(p), public, writes)


def cuts(rates: _Rates, table: tuple[int, ...], accesses: int) -> list[int]:
    """How many rows are left after each digit, the last being 1, for a table of (rows, columns), rows > 1."""
    return list(_cuts(rates, table[0], table[1], accesses)[1])


@lru_cache(maxsize=1 << 12)
def _cuts(rates: _Rates, rows: int, columns: int, accesses: int) -> tuple[int, tuple[int, ...]]:
    """The least time in nanoseconds and the cuts that take it."""
    if rows == 1:
        return 0, ()
    ways = []
    for bits in range((rows - 1).bit_length()):
        left = 1 << bits
        later, rest = _cuts(rates._replace(public=False), left, columns, accesses)
        sent = rates.conversion.of(accesses * -(-rows // left))
        passes = (0 if rates.public else 1) + rates.writes
        sent += passes * rates.product.of(accesses * left * columns)
        time = rates.network.nanoseconds(passes * rates.product.rounds, sent)
        ways.append((time + later, (left, *rest)))
    return min(ways)


# -- one-hot vectors of the digits -------------------------------------------------------------------------------------


def _flags(p: Protocol, at: Scope, index: Arithmetic, rows: int, left: list[int]) -> Step[list[Boolean]]:
    """For every digit of the index (n,) its one-hot bits (values of the digit, n), the highest digit first."""
    if len(left) == 1:
        return [(yield from one_hot(p, at, index, rows))]
    digits = yield from digits_of(p, at.child("bits"), index, (rows - 1).bit_length())
    steps, blocks = [], rows
    for k, block in enumerate(left):
        low, high = block.bit_length() - 1, (blocks - 1).bit_length()
        steps.append(expanded(p, at.child(f"digit {k}"), taken(digits, slice(low, high)), -(-blocks // block)))
        blocks = block
    return (yield from parallel(steps))


def _one_hot_digits(p: Protocol, at: Scope, index: Arithmetic, rows: int, left: list[int]) -> Step[list[Arithmetic]]:
    """`_flags` as numbers."""
    flags = yield from _flags(p, at.child("flags"), index, rows, left)
    return (yield from _numbers(p, at.child("numbers"), flags))


def _numbers(p: Protocol, at: Scope, flags: list[Boolean]) -> Step[list[Arithmetic]]:
    """Bits as numbers, all in one go."""
    together = concatenate(flags, 0)
    numbers: Any = yield from tiled(p, at, lambda p, at, bits: p.to_arithmetic(at, bits), together)
    ends = np.cumsum([flag.shape[0] for flag in flags])
    return [taken(numbers, slice(end - flag.shape[0], end)) for flag, end in zip(flags, ends.tolist(), strict=True)]


# -- reading -----------------------------------------------------------------------------------------------------------


def read(p: Protocol, at: Scope, table: Arithmetic, index: Arithmetic) -> Step[Arithmetic]:
    """Rows of a table (n, ...) at secret positions 0 <= index < n: (*index.shape, ...)."""
    shape = (*index.shape, *table.shape[1:])
    rows = table.map(_as_rows)
    if not index.size or not rows.shape[1]:
        return p.public(np.zeros(shape, np.int64))
    if rows.shape[0] == 1:
        return rows.map(lambda part: contiguous(np.broadcast_to(part, (index.size, part.shape[1]))).reshape(shape))
    left = cuts(_rates(p), rows.shape, index.size)
    hot = yield from _one_hot_digits(p, at.child("digits"), flattened(index), rows.shape[0], left)
    found = yield from _narrowed(p, at.child("read"), rows, hot, left)
    return found.map(lambda part: part.reshape(shape))


def read_public(p: Protocol, at: Scope, table: Integers, index: Arithmetic) -> Step[Arithmetic]:
    """As `read` for a table that everybody knows; the first digit picks its block without communication."""
    shape = (*index.shape, *table.shape[1:])
    rows = _as_rows(table)
    if not index.size or not rows.shape[1] or rows.shape[0] == 1:
        return p.public(contiguous(np.broadcast_to(rows, (index.size, rows.shape[1]))).reshape(shape))
    if _summands_pay(p, rows.shape, index.size):
        found = yield from _by_summands(p, at, rows[:, 0], index)
        return found.map(lambda part: part.reshape(shape))
    left = cuts(_rates(p, public=True), rows.shape, index.size)
    hot = yield from _one_hot_digits(p, at.child("digits"), flattened(index), rows.shape[0], left)
    missing = hot[0].shape[0] * left[0] - rows.shape[0]
    blocks = np.concatenate([rows, np.zeros((missing, rows.shape[1]), np.int64)]).reshape(hot[0].shape[0], -1)
    first = _public_product(p, _turned(hot[0]), blocks)
    found = yield from _picked(p, at.child("read"), first, hot[1:], left[1:], rows.shape[1])
    return found.map(lambda part: part.reshape(shape))


def _by_summands(p: Protocol, at: Scope, values: Integers, index: Arithmetic) -> Step[Arithmetic]:
    """`read_public` where the index is the sum of two summands that single parties know: one makes a one-hot vector of
    its own, the other turns the table by its own."""
    size = 1 << (len(values) - 1).bit_length()
    table = np.concatenate([values, np.zeros(size - len(values), np.int64)])
    return p.known_dot(at, index, partial(_turned_or_hot, table=table), size)


def _turned_or_hot(summand: npt.NDArray[np.uint64], number: int, *, table: Integers) -> Integers:
    places, mask = np.arange(len(table), dtype=np.uint64)[:, None], np.uint64(len(table) - 1)
    low = summand & mask
    turned = ((places + low) & mask).astype(np.int64)
    result: Integers = (places == low).astype(np.int64) if number == 0 else np.take(table, turned)
    return result


def _summands_pay(p: Protocol, table: tuple[int, ...], accesses: int) -> bool:
    """Whether `_by_summands` is possible and takes less time than one-hot vectors of digits."""
    if table[1] != 1 or table[0] > MOST_SUMMED or p.modulus_bits != RING_BITS or p.summand_count != 2:
        return False
    rates, bits = _rates(p, public=True), (table[0] - 1).bit_length()
    way = prices.price(p, partial(_sample, table[0]), ("read by summands", bits))
    time, left = _cuts(rates, *table, accesses)
    hot = with_ands(p, digits_price(p, bits), *_expansions(table[0], left))
    time += rates.network.nanoseconds(hot.rounds + rates.conversion.rounds, hot.of(accesses))
    return rates.network.nanoseconds(way.rounds, way.of(accesses)) < time


def _sample(rows: int, p: Protocol, at: Scope) -> Step[Arithmetic]:
    return _by_summands(p, at, np.zeros(rows, np.int64), p.empty((SAMPLE,)))


def _expansions(rows: int, left: tuple[int, ...]) -> tuple[int, int]:
    """Rounds of ands, and ands of bits per index, for the one-hot vectors of all digits."""
    found = [expansion(-(-before // after)) for before, after in zip((rows, *left), left, strict=False)]
    return max(levels for levels, _ in found), sum(ands for _, ands in found)


def _as_rows(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A table with two dimensions."""
    return part.reshape(part.shape[0], math.prod(part.shape[1:]))


def _turned(x: Arithmetic) -> Arithmetic:
    return x.map(lambda part: contiguous(part.T))


def _narrowed(p: Protocol, at: Scope, rows: Arithmetic, hot: list[Arithmetic], left: list[int]) -> Step[Arithmetic]:
    """The rows (accesses, columns) that the digits' one-hot vectors pick."""
    values, columns = hot[0].shape[0], rows.shape[1]
    missing = np.zeros((values * left[0] - rows.shape[0], columns), np.int64)
    blocks = concatenate([rows, p.public(missing)], 0) if missing.size else rows
    wide = blocks.map(lambda part: part.reshape(values, left[0] * columns))
    found = yield from p.matmul(at.child("first digit"), _turned(hot[0]), wide)
    return (yield from _picked(p, at, found, hot[1:], left[1:], columns))


def _picked(
    p: Protocol, at: Scope, found: Arithmetic, hot: list[Arithmetic], left: list[int], columns: int
) -> Step[Arithmetic]:
    """What is left of rows (accesses, block * columns) after the other digits."""
    for digit, block in zip(hot, left, strict=True):
        step = partial(_pick, width=block * columns)
        (found,) = yield from strips(
            p, at.child(f"{block} rows"), step, [found, _turned(digit)], strip_width(found.shape[1]), axis=0
        )
    return found


def _pick(p: Protocol, at: Scope, blocks: Arithmetic, hot: Arithmetic, *, width: int) -> Step[list[Arithmetic]]:
    """From blocks (n, values * width) the ones that one-hot vectors (n, values) mark: (n, width)."""
    n, values = hot.shape
    terms = blocks.map(lambda part: contiguous(part.reshape(n, values, width).transpose(0, 2, 1)))
    factors = hot.map(lambda part: contiguous(np.broadcast_to(part[:, None, :], (n, width, values))))
    return [(yield from p.dot(at, factors, terms))]


def _public_product(p: Protocol, x: Arithmetic, matrix: Integers) -> Arithmetic:
    """x (n, m) times a public matrix (m, k); local."""
    total = p.scale(taken(x, (slice(None), slice(1))), matrix[:1])
    for k in range(1, len(matrix)):
        total = p.add(total, p.scale(taken(x, (slice(None), slice(k, k + 1))), matrix[k : k + 1]))
    return total


def read_bits(p: Protocol, at: Scope, table: Boolean, index: Arithmetic) -> Step[Boolean]:
    """As `read` for a table of bits: a one-hot vector, and a byte per bit that is read."""
    shape, rows = (*index.shape, *table.shape[1:]), table.map(_as_rows)
    if not index.size or not table.size:
        return p.public_bits(np.zeros(shape, np.uint8))
    flags = yield from one_hot(p, at.child("positions"), flattened(index), rows.shape[0])
    marks, bits = (packed(side.map(lambda part: contiguous(part.T))) for side in (flags, rows))
    step = partial(_parities, columns=bits)
    width = strip_width(1, bits.size)
    (found,) = yield from strips(p, at.child("read"), step, [marks], width, axis=0)
    return adder.bit_of(found, 0).map(lambda part: part.reshape(shape))


def _parities(p: Protocol, at: Scope, marks: Boolean, *, columns: Boolean) -> Step[list[Boolean]]:
    """For rows of bits, packed, (n, k) and (m, k): the parities of what both have set, in the lowest bits of (n, m)."""
    found = yield from p.bilinear(at, marks, columns, COMMON, (marks.shape[0], columns.shape[0]))
    for by in (4, 2, 1):
        found = p.xor(found, found.map(lambda part, by=by: part >> np.uint8(by)))  # type: ignore[misc]
    return [found]


def _common(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Exclusive or over the last axis of the ands of every row of a with every row of b."""
    return _folded(a[:, None, :] & b[None, :, :])


def _pairs(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Every row of a, and every row of b: (n, k) and (m, k) to (n, m, k)."""
    shape = (a.shape[0], *b.shape)
    return contiguous(np.broadcast_to(a[:, None, :], shape)), contiguous(np.broadcast_to(b[None, :, :], shape))


def _folded(both: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Exclusive or over the last axis."""
    result: npt.NDArray[Any] = np.bitwise_xor.reduce(both, axis=-1)
    return result


COMMON = Bilinear(_common, _pairs, _folded)


def read_public_bits(p: Protocol, at: Scope, table: npt.NDArray[np.uint8], index: Arithmetic) -> Step[Boolean]:
    """As `read_bits` for a table that everybody knows; nothing is sent after the one-hot vector."""
    shape = (*index.shape, *table.shape[1:])
    if not index.size or not table.size:
        return p.public_bits(np.zeros(shape, np.uint8))
    flags = yield from one_hot(p, at, flattened(index), table.shape[0])
    rows = _as_rows(table)[:, None, :]
    return flags.map(lambda part: np.bitwise_xor.reduce(part[:, :, None] & rows, axis=0).reshape(shape))


# -- writing -----------------------------------------------------------------------------------------------------------


def write(p: Protocol, at: Scope, table: Arithmetic, index: Arithmetic, values: Arithmetic) -> Step[Arithmetic]:
    """The table (n, ...) with `values` (*index.shape, ...) at secret positions 0 <= index < n.

    Where an index stands several times, the last value is kept, as in NumPy: all pairs of indices are compared.
    Costs also a read of the old rows, an outer product with the lower digits, and an element per element of the table.
    """
    rows, count = table.map(_as_rows), index.size
    if not count or not rows.size:
        return table
    changes = values.map(lambda part: part.reshape(count, rows.shape[1]))
    if rows.shape[0] == 1:
        return taken(changes, slice(-1, None)).map(lambda part: part.reshape(table.shape))
    left = cuts(_rates(p, writes=True), rows.shape, count)
    steps: list[Step[Any]] = [
        _flags(p, at.child("digits"), flattened(index), rows.shape[0], left),
        _is_last(p, at.child("last"), flattened(index), rows.shape[0]),
    ]
    flags, last = yield from parallel(steps)
    if last is not None:
        flags[0] = yield from p.and_(at.child("drop"), flags[0], _repeated(last, flags[0].shape))
    hot = yield from _numbers(p, at.child("numbers"), flags)
    old = yield from _narrowed(p, at.child("old"), rows, hot, left)
    change = yield from _widened(p, at.child("change"), p.sub(changes, old), hot)
    changed = change.map(lambda part: part.reshape(-1, rows.shape[1])[: rows.shape[0]])
    return p.add(rows, changed).map(lambda part: part.reshape(table.shape))


def _repeated(flags: Boolean, shape: tuple[int, ...]) -> Boolean:
    return flags.map(lambda part: contiguous(np.broadcast_to(part, shape)))


def _widened(p: Protocol, at: Scope, change: Arithmetic, hot: list[Arithmetic]) -> Step[Arithmetic]:
    """What is added to the whole table: rows of changes (accesses, columns), at the places that digits mark."""
    for k, digit in enumerate(reversed(hot[1:])):
        (change,) = yield from strips(
            p,
            at.child(f"digit {k}"),
            _outer,
            [_turned(digit), change],
            strip_width(digit.shape[0] * change.shape[1]),
            axis=0,
        )
    return (yield from p.matmul(at.child("table"), hot[0], change))


def _outer(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[list[Arithmetic]]:
    """Outer products of rows: (n, a) and (n, b) to (n, a * b)."""
    n, a, b = *x.shape, y.shape[1]
    left = x.map(lambda part: contiguous(np.broadcast_to(part[:, :, None], (n, a, b))))
    right = y.map(lambda part: contiguous(np.broadcast_to(part[:, None, :], (n, a, b))))
    product = yield from p.mul(at, left, right)
    return [product.map(lambda part: part.reshape(n, a * b))]


def _is_last(p: Protocol, at: Scope, index: Arithmetic, size: int) -> Step[Boolean | None]:
    """Which of the indices (n,) does not come again later; None for a single one."""
    n = index.shape[0]
    if n == 1:
        return None
    first, second = np.triu_indices(n, 1)
    same = yield from equal(
        p, at.child("equal"), taken(index, first), taken(index, second), bits=(size - 1).bit_length()
    )
    again = yield from any_of(p, at.child("any"), same.map(lambda part: _by_distance(part, first, second)))
    return not_(p, again)


def _by_distance(part: npt.NDArray[Any], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> Any:
    """What belongs to pairs of n, as (n - 1, n): row d holds pairs that are d + 1 apart, at the first of the pair."""
    n = int(second[-1]) + 1
    result = np.zeros_like(part, shape=(n - 1, n))
    result[second - first - 1, first] = part
    return result


def write_bits(p: Protocol, at: Scope, table: Boolean, index: Arithmetic, values: Boolean) -> Step[Boolean]:
    """As `write` for a table of bits; one and for every bit of the table and write."""
    rows, count = table.shape[0], index.size
    if not count or not table.size:
        return table
    steps: list[Step[Any]] = [
        one_hot(p, at.child("positions"), flattened(index), rows),
        _is_last(p, at.child("last"), flattened(index), rows),
    ]
    flags, last = yield from parallel(steps)
    if last is not None:
        flags = yield from p.and_(at.child("drop"), flags, _repeated(last, flags.shape))
    columns = table.size // rows
    old = table.map(lambda part: part.reshape(rows, 1, columns))
    new = values.map(lambda part: part.reshape(1, count, columns))
    cube = (rows, count, columns)
    marks = flags.map(lambda part: contiguous(np.broadcast_to(part[:, :, None], cube)))
    change: Any = yield from tiled(p, at.child("change"), _both, marks, p.xor(old, new))
    flipped = change.map(lambda part: np.bitwise_xor.reduce(part, axis=1))
    return p.xor(table, flipped.map(lambda part: part.reshape(table.shape)))


def _both(p: Protocol, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
    return p.and_(at, a, b)
