"""Stable sorting of rows by secret keys.

Two ways, of which the cheaper is taken. By comparisons: the number of the row is appended to its key, which makes keys
distinct and the sort stable; rows are shuffled, and their order is found with opened comparisons (`circuits.order`),
of which there are about n log2(n). By digits (`circuits.radix`), if the keys have few bits. What is opened is in both
cases that of a uniformly random permutation: nothing about keys is disclosed, not even whether some are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from quorate.circuits.lexical import Key, comparable, fields_of, packed, word_sizes
from quorate.circuits.order import order_cost, order_of
from quorate.circuits.prices import SAMPLE, Price, price
from quorate.circuits.radix import by_digits, moved, partition
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels.ghost import ghost
from quorate.protocols.base import Protocol
from quorate.sharing.share import Boolean, Share
from quorate.sharing.wire import word_type

__all__ = ["Key", "row_numbers", "sort", "sorted_fields"]

WIDEST_RADIX = 16
WIDEST_DIGIT = 3

Signature = tuple[tuple[int, tuple[int, ...]], ...]
"""Of columns: width (0 for numbers) and the axes after the first."""


class Sorted(NamedTuple):
    """Rows in order, and the words that they were sorted by, from which what makes keys distinct is removed."""

    words: list[Boolean]
    columns: list[Share]


def sort(p: Protocol, at: Scope, keys: Sequence[Key], columns: Sequence[Share]) -> Step[list[Share]]:
    """The rows of the columns (axis 0, n of them) in ascending order of the keys, the first key first; stable.

    Opens to all parties the outcomes of comparisons, or targets of rows, that belong to a uniformly random permutation.
    Sorts in the clear, without communication, where all keys are public.

    Rounds and bytes: those of `lexical.fields_of`, and of the cheaper of
    `Protocol.shuffle` of packed keys and columns, and `order.order_of`; `radix.partition` for every digit of the keys.

    Raises:
        InternalError: see `order.order_of`; probability below 2**-40.
    """
    if all(isinstance(key.values, np.ndarray) for key in keys):
        order = _public_order(keys)
        return [moved(column, order) for column in columns]
    fields = yield from fields_of(p, at.child("keys"), keys)
    return (yield from sorted_fields(p, at, fields, columns)).columns


def sorted_fields(
    p: Protocol, at: Scope, fields: Sequence[Boolean], columns: Sequence[Share], minor: int = 0
) -> Step[Sorted]:
    """As `sort`, by fields of `lexical.fields_of`; of the words the lowest `minor` bits of the fields are removed."""
    count, width = columns[0].shape[0], sum(field.width for field in fields)
    if count < 2 or not width:
        return Sorted(_cleared(packed(fields), minor), list(columns))
    digit = _best_digit(p, count, width, _signature(columns))
    if digit:
        words, rows = yield from by_digits(p, at, packed(fields)[0], width, digit, columns)
        return Sorted(_cleared([words], minor), rows)
    return (yield from _by_comparisons(p, at, fields, columns, minor))


def _by_comparisons(
    p: Protocol, at: Scope, fields: Sequence[Boolean], columns: Sequence[Share], minor: int
) -> Step[Sorted]:
    count = columns[0].shape[0]
    index = row_numbers(p, count)
    words = packed([*fields, index])
    shuffled = yield from p.shuffle(at.child("shuffle"), [*words, *columns])
    keys: list[Any] = shuffled[: len(words)]
    order = yield from order_of(p, at.child("order"), comparable(p, keys), count)
    wanted = [moved(word, order) for word in _cleared(keys, index.width + minor)]
    return Sorted(wanted, [moved(column, order) for column in shuffled[len(words) :]])


def row_numbers(p: Protocol, count: int) -> Boolean:
    """0 ... count - 1 as words, for two rows or more: the last field of a key, which makes it distinct."""
    bits = (count - 1).bit_length()
    return p.public_bits(np.arange(count, dtype=word_type(bits)), bits)


def _cleared(words: Sequence[Boolean], bits: int) -> list[Boolean]:
    """The words without the lowest bits of the number that they are; those with no others are left out."""
    left = []
    for word in reversed(words):
        gone, bits = min(bits, word.width), max(0, bits - word.width)
        mask = word_type(word.width).type((1 << word.width) - (1 << gone))
        if gone < word.width:
            left.append(word.map(lambda part, mask=mask: part & mask) if gone else word)  # type: ignore[misc]
    return left[::-1]


def _public_order(keys: Sequence[Key]) -> npt.NDArray[np.int64]:
    columns = []
    for key in keys:
        values = cast("npt.NDArray[np.int64]", key.values).astype(np.int64)
        columns.append(-values if key.descending else values)
    return np.lexsort(columns[::-1])


# -- choosing ----------------------------------------------------------------------------------------------------------


def _best_digit(p: Protocol, count: int, width: int, columns: Signature) -> int:
    """By how many bits at a time to sort `count` rows with keys of `width` bits; 0: by comparisons."""
    network = p.session.network
    times = {0: network.nanoseconds(*_comparison_cost(p, count, width, columns))}
    if width <= WIDEST_RADIX:
        for digit in range(1, min(width, WIDEST_DIGIT) + 1):
            one, passes = _digit_price(p, digit, width, columns), -(-width // digit)
            times[digit] = network.nanoseconds(one.rounds * passes, one.of(count) * passes)
    return min(times, key=lambda digit: (times[digit], digit))


def _comparison_cost(p: Protocol, count: int, width: int, columns: Signature) -> tuple[int, int]:
    sizes = tuple(word_sizes(width + (count - 1).bit_length()))
    rows = (*((size, ()) for size in sizes), *columns)
    shuffle = price(p, lambda p, at: p.shuffle(at, _blank(p, rows)), ("shuffle", rows))
    rounds, size = order_cost(p, count, sizes)
    return shuffle.rounds + rounds, shuffle.of(count) + size


def _digit_price(p: Protocol, digit: int, width: int, columns: Signature) -> Price:
    rows: Signature = ((word_sizes(width)[0], ()), *columns)

    def way(p: Protocol, at: Scope) -> Step[list[Share]]:
        return partition(p, at, p.public_bits(ghost((digit, SAMPLE), np.uint8)), _blank(p, rows))

    return price(p, way, ("partition", digit, rows))


def _signature(columns: Sequence[Share]) -> Signature:
    return tuple((column.width if isinstance(column, Boolean) else 0, column.shape[1:]) for column in columns)


def _blank(p: Protocol, columns: Signature) -> list[Share]:
    """Columns of `SAMPLE` rows without content."""
    return [
        p.public_bits(ghost((SAMPLE, *axes), word_type(width)), width) if width else p.empty((SAMPLE, *axes))
        for width, axes in columns
    ]
