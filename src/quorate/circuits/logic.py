"""Boolean connectives on the primitives exclusive or and and."""

from __future__ import annotations

import numpy as np

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Boolean

__all__ = ["not_", "or_"]


def not_(p: Protocol, a: Boolean) -> Boolean:
    """Bitwise complement; local."""
    kind = a.parts[0].dtype
    return p.xor_public(a, np.full(a.shape, (1 << a.width) - 1, kind))


def or_(p: Protocol, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
    """Bitwise or. Costs one and."""
    both = yield from p.and_(at, a, b)
    return p.xor(p.xor(a, b), both)
