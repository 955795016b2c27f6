"""Between the arithmetic and the Boolean representation."""

from __future__ import annotations

import numpy as np

from quorate.circuits.compare import is_negative
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols import adder
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["bits_at", "to_arithmetic", "to_bits", "to_boolean"]


def to_arithmetic(p: Protocol, at: Scope, b: Boolean) -> Step[Arithmetic]:
    """Bits (width 1) as the integers 0 and 1."""
    return p.to_arithmetic(at, b)


def to_bits(p: Protocol, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
    """The low `width` bits of x in two's complement.

    With a field protocol x must not be negative and the result has 61 bits whatever `width` says.
    """
    words = yield from p.summands(at.child("summands"), x, width=adder.lanes(width))
    u, v, _ = yield from adder.carry_save(p, at.child("save"), words)
    return (yield from adder.sum_words(p, at.child("sum"), u, v, width))


def to_boolean(p: Protocol, at: Scope, x: Arithmetic) -> Step[Boolean]:
    """The integers 0 and 1 as bits (width 1)."""
    if p.modulus_bits == adder.FIELD_BITS:
        return (yield from is_negative(p, at, p.neg(x)))
    words = yield from p.summands(at, x, width=8)
    low = adder.bit_of(words[0], 0)
    for word in words[1:]:
        low = p.xor(low, adder.bit_of(word, 0))
    return low


def bits_at(words: Boolean, positions: list[int]) -> Boolean:
    """The chosen bits of every word, shape (len(positions), *words.shape), width 1; local."""
    parts = tuple(
        np.stack([((part >> part.dtype.type(k)) & part.dtype.type(1)).astype(np.uint8) for k in positions])
        for part in words.parts
    )
    return Boolean(words.scheme, parts)
