"""Hyperbolic tangent and logistic function of a secret, as trigonometric sums (`series`).

tanh is nearly +-1 far from 0. A sum of sines of odd multiples of an angle is symmetric about a quarter of its period,
as a function that levels off is, so that few are needed. Idea: Fourier series of the logistic function in Lu, Huang,
Zhang, Wang, Hong, "Squirrel", USENIX Security 2023. Deviation: best approximations (scripts/numeric_tables.py), and no
limit to the range: beyond the interval of the sum two comparisons, beside it, choose -1 or 1, exactly.

Worst error of tanh, without rounding: 2**-13.4 (results with up to `COARSE` fraction bits) or 2**-24 (with more); half
of it for the logistic function. With rep3 3 rounds and, for |x| up to 4, 8 or 10 in the logistic function at 16 bits,
(80, 144, 160) + 48 bytes in all; beyond, a comparison's rounds and three more, 32 bytes for the choice.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from quorate.circuits.compare import is_negative
from quorate.circuits.limits import stacked
from quorate.circuits.series import Series, absolute_error, evaluate, finest, traits
from quorate.circuits.wave_tables import TANH
from quorate.engine.exchange import Step, parallel
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = ["sigmoid", "tanh", "tanh_error", "tanh_plan"]

COARSE = 16
"""With more fraction bits than this the finer sums are taken."""


class Tanh(NamedTuple):
    """The sum, and the raw values from which on (below: down to which) the result is 1 (-1), where such occur."""

    series: Series
    low: int | None
    high: int | None


def sigmoid(
    p: Protocol, at: Scope, x: Arithmetic, *, low: int, high: int, shift_in: int, scale: int
) -> Step[Arithmetic]:
    """2**scale / (1 + exp(-x / 2**shift_in)) for low <= x <= high, elementwise: (1 + tanh(x / 2)) / 2.

    The error is `tanh_error` for shift_in + 1 and scale - 1.
    """
    half = yield from tanh(p, at, x, low=low, high=high, shift_in=shift_in + 1, scale=scale - 1)
    return p.add_public(half, np.asarray(1 << (scale - 1), np.int64))


def tanh(p: Protocol, at: Scope, x: Arithmetic, *, low: int, high: int, shift_in: int, scale: int) -> Step[Arithmetic]:
    """tanh(x / 2**shift_in) * 2**scale for low <= x <= high, elementwise; see `tanh_error`.

    Raises:
        UserError: the result is finer than the protocol can compute.
    """
    how = tanh_plan(p, low=low, high=high, shift_in=shift_in, scale=scale)
    steps: list[Step[Any]] = [evaluate(p, at.child("sum"), x, how.series, Fraction(2) ** -shift_in, scale)]
    if how.low is not None or how.high is not None:
        steps.append(_outside(p, at.child("outside"), x, how, max(abs(low), abs(high)).bit_length() + 1))
    results = yield from parallel(steps)
    result: Arithmetic = results[0]
    for flag in results[1:]:
        result = yield from _levelled(p, at, result, flag, how, 1 << scale)
    return result


def _outside(p: Protocol, at: Scope, x: Arithmetic, how: Tanh, bits: int) -> Step[Boolean]:
    """Whether x lies below (first row) and above (last row) the sum's interval, as far as it may."""
    over = []
    if how.low is not None:
        over.append(p.add_public(x, np.asarray(-how.low - 1, np.int64)))
    if how.high is not None:
        over.append(p.add_public(p.neg(x), np.asarray(how.high - 1, np.int64)))
    return (yield from is_negative(p, at, stacked(over), bits))


def _levelled(p: Protocol, at: Scope, result: Arithmetic, flags: Boolean, how: Tanh, one: int) -> Step[Arithmetic]:
    """The result, but -one below and one above."""
    count = flags.shape[0]
    ends = yield from p.weigh(at.child("ends"), flags, [[int(j == k) for j in range(count)] for k in range(count)])
    outside = ends[0] if count == 1 else p.add(*ends)
    level = p.scale(ends[-1], one) if how.high is not None else p.scale(ends[0], -one)
    if count == 2:
        level = p.sub(level, p.scale(ends[0], one))
    beyond = yield from p.mul(at.child("choice"), outside, result)
    return p.add(p.sub(result, beyond), level)


def tanh_plan(p: Protocol, *, low: int, high: int, shift_in: int, scale: int) -> Tanh:
    """How `tanh` goes: the sum for the smallest interval that holds the range, or the largest there is.

    Raises:
        UserError: the result is finer than the protocol can compute.
    """
    tables = [series for series in TANH if (series.error < 2.0**-20) == (scale > COARSE)]
    largest = max(abs(low), abs(high)) * Fraction(2) ** -shift_in
    series = next((series for series in tables if series.high >= largest), tables[-1])
    if scale > finest(traits(p), series):
        raise UserError(f"tanh with {scale} fraction bits is finer than {p.name} can compute; use fewer")
    edge = math.floor(series.high * Fraction(2) ** shift_in)
    return Tanh(series, -edge if low < -edge else None, edge if high > edge else None)


def tanh_error(p: Protocol, *, low: int, high: int, shift_in: int, scale: int) -> float:
    """Worst error of `tanh` in units of the last place."""
    how = tanh_plan(p, low=low, high=high, shift_in=shift_in, scale=scale)
    reach = math.ceil(how.series.high * Fraction(2) ** shift_in)
    own = absolute_error(traits(p), how.series, Fraction(2) ** -shift_in, scale, reach)
    inside = math.ldexp(how.series.error, scale) + own
    if how.low is None and how.high is None:
        return inside
    return max(inside, math.ldexp(TAIL[how.series.high], scale))


TAIL = {Fraction(5): 9.0796e-5, Fraction(9): 3.0460e-8}
"""1 - tanh at the ends of the widest intervals."""
