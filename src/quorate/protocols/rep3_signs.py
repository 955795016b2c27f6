"""Signs and tests for zero with three parties: the trees of `quorate.protocols.signs` on what the parties know anyway.

x = v + x2 with v = x0 + x1. Party 0 knows v and shares it between parties 1 and 2, who know x2: a mask common to
parties 0 and 2, and the rest for party 1. So every part of the words that the trees start from is known to two parties,
and the first level is one fused loop. What is sent: the rest of v, under a mask that party 1 does not know, and masked
parts of ands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Name, Scope
from quorate.kernels import bits, replicated
from quorate.protocols import adder, signs
from quorate.sharing.share import Arithmetic, Boolean
from quorate.sharing.wire import word_type

if TYPE_CHECKING:
    from quorate.protocols.rep3 import Rep3

__all__ = ["negative", "zero"]

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]


def negative(p: Rep3, at: Scope, x: Arithmetic, width: int) -> Step[Boolean]:
    """See `Protocol.negative`; 1 + log2(width) rounds."""
    first, second = (part.reshape(-1) for part in x.parts)
    mask, name = _mask(p, at, first, width), at.step()
    g: Pair
    if p.me == 0:
        rest, z, g = replicated.carry_dealer(first, second, mask)
        yield Exchange(name, {1: [rest]})
    else:
        dealt = yield from _dealt(p, name, mask)
        z, g = replicated.carry_holder(dealt, second if p.me == 1 else first, p.me == 1)
    pair = yield from _shared(p, at.child(f"level {width}"), z)
    for level in (32, 16, 8):
        if level < width:
            z, g = replicated.carry_next(pair, g)
            pair = yield from _shared(p, at.child(f"level {level}"), z)
    combined = [bits.carry_combine(a, b, 8) for a, b in zip(g, pair, strict=True)]
    carry = yield from adder.last_levels(p, at, *adder.columns(p.name, combined), 4, first.size)
    return carry.map(lambda part: part.reshape(x.shape))


def zero(p: Rep3, at: Scope, x: Arithmetic, width: int) -> Step[Boolean]:
    """See `Protocol.zero`; 1 + log2(width) rounds."""
    first, second = (part.reshape(-1) for part in x.parts)
    mask, name = _mask(p, at, first, width), at.step()
    if p.me == 0:
        rest, z = replicated.ones_dealer(first, second, mask)
        yield Exchange(name, {1: [rest]})
    else:
        dealt = yield from _dealt(p, name, mask)
        z = replicated.ones_holder(dealt, (second if p.me == 1 else first) - np.uint64(1), p.me == 1)
    while True:
        lanes = 8 * z.dtype.itemsize
        pair = yield from _shared(p, at.child(f"{lanes} bits"), z)
        if lanes == 8:
            break
        z = replicated.ones_next(pair)
    return (yield from signs.last_ones(p, at, Boolean(p.name, pair, 8), x.shape))


def _mask(p: Rep3, at: Scope, like: Array, width: int) -> Array:
    """Words common to parties 0 and 2; at party 1 room for as many."""
    return p.common(at, 0, 2, p.session.blank(like.shape, word_type(width)))


def _dealt(p: Rep3, name: Name, room: Array) -> Step[Array]:
    """Parties 1 and 2: their parts of v. One round."""
    yield Exchange(name, None, {0: [room]} if p.me == 1 else None)
    return room


def _shared(p: Rep3, at: Scope, z: Array) -> Step[Pair]:
    """What we have of the sharing of words of which everybody has an unmasked part. One round."""
    words = yield from p.masked_and(at, z, 8 * z.dtype.itemsize)
    return words.parts[0], words.parts[1]
