"""Large vectors in tiles: each tile is a step of its own, so that one computes while another waits for the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Fork, Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Share

__all__ = ["LANES", "TILE", "lanes_of", "tiled", "tiled_product"]

TILE = 1 << 16
"""Elements per tile: large enough that Python does not show, small enough for the second-level cache."""

LANES = 6
"""Tiles under way at a time, at least."""

MOST_LANES = 64

Elementwise = Callable[..., Step[Share]]
"""(protocol, scope, *shares of equal shape) -> share of that shape."""


Operand = Share | npt.NDArray[Any]
"""A share, or a public array."""


def lanes_of(p: Protocol, size: int) -> int:
    """How many tiles of an array of `size` elements are under way at a time.

    Enough for computing and sending to overlap; on a long way, enough for what fits into it: a tile sends about eight
    bytes per element and round. Never more than there are tiles.
    """
    network = p.session.network
    on_the_way = network.rtt_us * network.bandwidth // 8_000_000
    wanted = LANES + on_the_way // (8 * TILE)
    return max(1, min(wanted, MOST_LANES, -(-size // TILE)))


def tiled(p: Protocol, at: Scope, step: Elementwise, *operands: Operand, lanes: int | None = None) -> Step[Share]:
    """Apply an elementwise step to operands of equal shape, in tiles along the flattened arrays if they are large.

    `lanes` tiles are under way at a time, by default `lanes_of`.
    """
    shape, size = operands[0].shape, operands[0].size
    if size <= TILE:
        return (yield from step(p, at, *operands))
    flat = [operand.reshape(-1) if isinstance(operand, np.ndarray) else operand.map(_flatten) for operand in operands]
    result: list[Share] = []

    def tile(start: int) -> Step[None]:
        piece = slice(start, min(start + TILE, size))
        pieces = [x[piece] if isinstance(x, np.ndarray) else x.map(lambda part: part[piece]) for x in flat]
        part = yield from step(p, at.child(f"tile {start // TILE}"), *pieces)
        if not result:
            result.append(part.map(lambda a: p.session.blank((size,), a.dtype)))
        for whole, a in zip(result[0].parts, part.parts, strict=True):
            whole[piece] = a

    yield Fork([tile(start) for start in range(0, size, TILE)], lanes or lanes_of(p, size))
    return result[0].map(lambda part: part.reshape(shape))


def _flatten(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return part.reshape(-1)


def tiled_product(
    p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, shift: int = 0, lanes: int | None = None
) -> Step[Arithmetic]:
    """`Protocol.mul` in tiles; without a shift every tile writes its place in the result."""
    if x.size <= TILE:
        return (yield from p.mul(at, x, y, shift))
    if shift:
        return (yield from tiled(p, at, lambda p, at, a, b: p.mul(at, a, b, shift), x, y, lanes=lanes))  # type: ignore[return-value]
    shape, size = x.shape, x.size
    flat = [operand.map(lambda part: part.reshape(-1)) for operand in (x, y)]
    result = p.empty((size,))

    def tile(start: int) -> Step[Arithmetic]:
        piece = slice(start, min(start + TILE, size))
        a, b, out = (operand.map(lambda part: part[piece]) for operand in (*flat, result))
        return p.mul(at.child(f"tile {start // TILE}"), a, b, out=out)

    yield Fork([tile(start) for start in range(0, size, TILE)], lanes or lanes_of(p, size))
    return result.map(lambda part: part.reshape(shape))
