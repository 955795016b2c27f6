"""Between the arithmetic and the Boolean representation."""

from __future__ import annotations

import numpy as np

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols import adder
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["bits_to_integers", "to_arithmetic", "to_bits"]


def to_arithmetic(p: Protocol, at: Scope, b: Boolean) -> Step[Arithmetic]:
    """Bits (width 1) as the integers 0 and 1."""
    return p.to_arithmetic(at, b)


def to_bits(p: Protocol, at: Scope, x: Arithmetic, width: int = 64) -> Step[Boolean]:
    """The low `width` bits of x in two's complement.

    With a field protocol x must not be negative and the result has 61 bits whatever `width` says.
    """
    words = yield from p.summands(at.child("summands"), x)
    u, v, _ = yield from adder.carry_save(p, at.child("save"), words)
    return (yield from adder.sum_words(p, at.child("sum"), u, v, width))


def bits_to_integers(p: Protocol, at: Scope, words: Boolean, positions: list[int]) -> Step[Arithmetic]:
    """The chosen bits of every word as integers 0 and 1, shape (len(positions), *words.shape); one conversion."""
    parts = tuple(
        np.stack([((part >> part.dtype.type(k)) & part.dtype.type(1)).astype(np.uint8) for k in positions])
        for part in words.parts
    )
    return p.to_arithmetic(at, Boolean(words.scheme, parts))
