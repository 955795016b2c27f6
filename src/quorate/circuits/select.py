"""Choosing between values by a secret bit."""

from __future__ import annotations

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["select"]


def select(p: Protocol, at: Scope, condition: Boolean, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
    """x where the condition holds, else y; equal shapes. Costs one `inject`."""
    return p.add(y, (yield from p.inject(at, condition, p.sub(x, y))))
