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
    return p.xor_public(a, np.asarray((1 << a.width) - 1, a.parts[0].dtype))


def or_(p: Protocol, at: Scope, a: Boolean, b: Boolean) -> Step[Boolean]:
    """Bitwise or. Costs one and."""
    both = yield from p.and_(at, a, b)
    return p.xor(p.xor(a, b), both)
