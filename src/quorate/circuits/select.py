"""Choosing between values by a secret bit."""

from __future__ import annotations

from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["select"]


def select(p: Protocol, at: Scope, condition: Boolean, x: Arithmetic, y: Arithmetic) -> Step[Arithmetic]:
    """x where the condition holds, else y; equal shapes. One conversion of a bit and one product."""
    chosen = yield from p.to_arithmetic(at.child("condition"), condition)
    difference = yield from p.mul(at.child("choice"), chosen, p.sub(x, y))
    return p.add(y, difference)
