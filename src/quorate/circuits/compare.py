"""Comparisons, exact for all values that a protocol can hold.

Nothing is opened and nothing can overflow as long as the difference lies within the capacity; see
`quorate.protocols.signs` for how they work.

`bits`, where given, is a promise: the tested value (for two operands their difference) is below 2**bits in magnitude.
Rings then work on words of 8, 16 or 32 bits; fields take no notice. A false promise gives a wrong result.

Cost with two summands (rep3, shamir with t = 1, semi2k with n = 2) on words of w bits, without what the summands cost
(rep3, shamir one round): both take log2(w) rounds, `is_negative` 2 w - 3 bits of ands, `is_zero` w - 1. More summands
are first reduced to two.
"""

from __future__ import annotations

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.adder import lanes
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["equal", "is_negative", "is_zero", "less"]


def less(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x < y, elementwise for equal shapes; width 1."""
    return is_negative(p, at, p.sub(x, y), bits)


def equal(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x == y, elementwise for equal shapes; width 1."""
    return is_zero(p, at, p.sub(x, y), bits)


def is_negative(p: Protocol, at: Scope, x: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x < 0; width 1."""
    return p.negative(at, x, 64 if bits is None else lanes(bits + 1))


def is_zero(p: Protocol, at: Scope, x: Arithmetic, bits: int | None = None) -> Step[Boolean]:
    """x == 0; width 1."""
    return p.zero(at, x, 64 if bits is None else lanes(max(bits, 1)))
