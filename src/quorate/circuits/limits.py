"""Absolute value, sign, the smaller and the larger of two, and limits: a comparison and a product by its result.

All are exact. Costs are those of the comparisons, side by side, and of `inject` (`sign`: of `weigh`). `bits` says that
what is compared with zero is below 2**bits in magnitude; see `compare`.
"""

from __future__ import annotations

import numpy as np

from quorate.circuits.compare import is_negative, less
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, concatenate

__all__ = ["absolute", "clip", "maximum", "minimum", "sign", "stacked"]


def absolute(p: Protocol, at: Scope, x: Arithmetic, bits: int | None = None) -> Step[Arithmetic]:
    """The magnitude of x, elementwise, for |x| < 2**bits."""
    negative = yield from is_negative(p, at.child("sign"), x, bits)
    below = yield from p.inject(at.child("choice"), negative, x)
    return p.sub(x, p.scale(below, 2))


def sign(p: Protocol, at: Scope, x: Arithmetic, bits: int | None = None) -> Step[Arithmetic]:
    """-1, 0 or 1, elementwise, for |x| < 2**bits."""
    both = stacked([x, p.neg(x)])
    flags = yield from is_negative(p, at.child("signs"), both, bits)
    first = np.zeros(both.shape, np.uint8)
    first[0] = 1
    (count,) = yield from p.weigh(at.child("flags"), p.xor_public(flags, first), [[1, 1]])  # x >= 0 and x > 0
    return p.add_public(count, np.asarray(-1, np.int64))


def minimum(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, bits: int | None = None) -> Step[Arithmetic]:
    """The smaller of x and y, elementwise for equal shapes, for |x - y| < 2**bits."""
    smaller = yield from less(p, at.child("comparison"), x, y, bits)
    return p.add(y, (yield from p.inject(at.child("choice"), smaller, p.sub(x, y))))


def maximum(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic, bits: int | None = None) -> Step[Arithmetic]:
    """The larger of x and y, elementwise for equal shapes, for |x - y| < 2**bits."""
    smaller = yield from less(p, at.child("comparison"), x, y, bits)
    return p.add(x, (yield from p.inject(at.child("choice"), smaller, p.sub(y, x))))


def clip(
    p: Protocol, at: Scope, x: Arithmetic, low: int | None, high: int | None, bits: int | None = None
) -> Step[Arithmetic]:
    """x, but at least `low` and at most `high` (None: no limit), where both distances are below 2**bits in magnitude.

    With both limits, low <= high. Only the limits that are given cost anything.
    """
    over: list[Arithmetic] = []
    if low is not None:
        over.append(p.add_public(x, np.asarray(-low, np.int64)))
    if high is not None:
        over.append(p.add_public(p.neg(x), np.asarray(high, np.int64)))
    if not over:
        return x
    outside = stacked(over)
    flags = yield from is_negative(p, at.child("comparisons"), outside, bits)
    moves = yield from p.inject(at.child("choice"), flags, outside)
    up = _row(moves, 0) if low is not None else None
    down = _row(moves, len(over) - 1) if high is not None else None
    x = x if up is None else p.sub(x, up)
    return x if down is None else p.add(x, down)


def stacked(shares: list[Arithmetic]) -> Arithmetic:
    """Shares of one shape along a new first axis."""
    return concatenate([share.map(lambda part: part[None]) for share in shares], 0)


def _row(x: Arithmetic, index: int) -> Arithmetic:
    return x.map(lambda part: part[index])
