"""Large arrays in strips of columns, for steps that treat every column (or row) by itself but not every element.

Counterpart of `tiles`, whose steps are elementwise. While one strip waits for the network, the next one computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits.tiles import LANES, TILE
from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.kernels.ghost import contiguous
from quorate.protocols.base import Protocol
from quorate.sharing.share import AnyShare, Share, concatenate

__all__ = ["columns_of", "flattened", "rows_first", "strip_width", "strips", "taken"]

Operand = Share | npt.NDArray[Any]
Columnwise = Callable[..., Step[Any]]
"""(protocol, scope, *operands) -> list of shares, all with the same length along the axis that is cut."""


BITS = 32 * TILE
"""Bytes of Boolean words in a strip; numbers are limited by `TILE`."""


def strip_width(numbers: int, bits: int = 0) -> int:
    """How many columns a strip has, if each takes so many numbers and bytes of Boolean words of working memory.

    A multiple of eight where it can be, since bits travel eight to a byte.
    """
    width = min(TILE // max(1, numbers), BITS // max(1, bits))
    return max(1, width // 8 * 8 or width)


def strips(
    p: Protocol, at: Scope, step: Columnwise, operands: Sequence[Operand], width: int, axis: int = -1
) -> Step[list[Any]]:
    """Apply `step` to operands of equal length along `axis`, `width` at a time; the results are joined along it."""
    length = operands[0].shape[axis]
    if length <= width:
        return list((yield from step(p, at, *operands)))
    places = [slice(start, min(start + width, length)) for start in range(0, length, width)]
    steps = [
        step(p, at.child(f"strip {k}"), *(_cut(operand, place, axis) for operand in operands))
        for k, place in enumerate(places)
    ]
    parts = yield Fork(steps, LANES)
    return [concatenate(column, axis) for column in zip(*parts, strict=True)]


def _cut(operand: Operand, place: slice, axis: int) -> Operand:
    index = (place,) if axis == 0 else (..., place)
    if isinstance(operand, Share):
        return operand.map(lambda part: contiguous(part[index]))
    return operand[index]


# -- shapes ------------------------------------------------------------------------------------------------------------


def rows_first(x: AnyShare, axis: int) -> AnyShare:
    """The given axis first, the others as they were; contiguous."""
    return x if axis == 0 else x.map(lambda part: contiguous(np.moveaxis(part, axis, 0)))


def columns_of(x: AnyShare) -> AnyShare:
    """Two dimensions: the first axis, and all others as one."""
    return x.map(lambda part: part.reshape(part.shape[0], part[:1].size))


def flattened(x: AnyShare) -> AnyShare:
    """One dimension."""
    return x.map(lambda part: part.reshape(-1))


def taken(x: AnyShare, index: Any) -> AnyShare:
    """`index` applied to every part: a slice, an integer or a public array of integers."""
    return x.map(lambda part: contiguous(part[index]))
