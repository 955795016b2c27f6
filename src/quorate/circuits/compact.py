"""Picking out rows: those chosen by a secret mask come first, in their order; how many there are stays secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from quorate.circuits.radix import as_numbers, placed, targets
from quorate.circuits.tiles import tiled, tiled_product
from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["chosen_first", "compact", "kept", "spread_rows"]

AnyShare = TypeVar("AnyShare", bound=Share)


def compact(p: Protocol, at: Scope, mask: Boolean, columns: Sequence[Share]) -> Step[tuple[list[Share], Arithmetic]]:
    """The rows of the columns (n, ...) that are chosen, in their order, then zeros; and how many were chosen, ().

    Opens to all parties where rows go, after a shuffle: a uniformly random permutation, see `radix.placed`.
    Rounds: a conversion of bits, a product, a shuffle, an opening. One conversion and one product per row, a product
    (or and) per element, and the shuffle.
    """
    if not mask.size:
        return list(columns), p.public(np.zeros((), np.int64))
    numbers = yield from as_numbers(p, at.child("mask"), mask)
    steps = [kept(p, at.child(f"column {k}"), column, mask, numbers) for k, column in enumerate(columns)]
    target, *rest = yield Fork([_targets(p, at.child("targets"), numbers), *steps], 1 + len(steps))
    return (yield from placed(p, at.child("move"), target, rest)), p.sum(numbers, 0)


def chosen_first(p: Protocol, at: Scope, numbers: Arithmetic, columns: Sequence[Share]) -> Step[list[Share]]:
    """The rows whose number is 1, then those whose number is 0, each in their order. Opens what `compact` opens.

    One product per row, and a shuffle.
    """
    target = yield from _targets(p, at.child("targets"), numbers)
    return (yield from placed(p, at.child("move"), target, columns))


def kept(p: Protocol, at: Scope, column: Share, mask: Boolean, numbers: Arithmetic) -> Step[Share]:
    """The rows of a column that are chosen, zeros in place of the others; the mask (n,) as bits and as numbers."""
    if isinstance(column, Arithmetic):
        return (yield from tiled_product(p, at, column, spread_rows(numbers, column.shape)))
    if not isinstance(column, Boolean) or column.width != 1:
        raise InternalError(f"rows of {column!r} cannot be picked out")
    return (yield from tiled(p, at, lambda p, at, a, b: p.and_(at, a, b), column, spread_rows(mask, column.shape)))


def _targets(p: Protocol, at: Scope, numbers: Arithmetic) -> Step[Arithmetic]:
    left_out = p.sub(p.public(np.ones(numbers.shape, np.int64)), numbers)
    return (yield from targets(p, at, left_out.map(lambda part: part[None])))


def spread_rows(flags: AnyShare, shape: tuple[int, ...]) -> AnyShare:
    """A flag per row, for every element of the row."""
    column = (len(flags.parts[0]), *[1] * (len(shape) - 1))
    return flags.map(lambda part: contiguous(np.broadcast_to(part.reshape(column), shape)))
