"""Newton's steps for a likelihood whose score and information nobody sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quorate.analytics.linear_algebra import Factor, Normalised, factorised, normalised
from quorate.analytics.scaling import sum_of_products, times, triangle
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["Level", "Step", "levelled", "newton_step", "standard_errors"]

LEVEL_SCALE = 36
"""Fraction bits of score and information per event."""

STEP_SCALE = 24
MOST_SCORE = 4.0
"""The largest element of score or information per event, for x within 2 of its mean."""

MOST_STEP = 64.0
"""The largest step of a coefficient, in units of a normalised matrix; larger ones are cut."""


@dataclass(frozen=True)
class Level:
    """A secret power of 4 that brings the number of events to the size of the largest possible one.

    Attributes:
        factor: 4**k, int, a number: factor * events lies between 2**bits / 4 and 2**bits, unless there are none.
        root: 2**k.
        bits: public, even.
    """

    factor: SecretArray
    root: SecretArray
    bits: int


def levelled(events: SecretArray, rows: int) -> Level:
    """The level of a secret number of events among at most so many rows. About 15 rounds."""
    bits = 2 * math.ceil(rows.bit_length() / 2)
    edges = [1 << bits - 2 * k for k in range(1, bits // 2 + 1)]
    below = events[None].record("thresholds", edges=edges)[:, 0].astype(INT)
    powers = [1 << k for k in range(len(edges))]
    return Level((below * [3 * power**2 for power in powers]).sum() + 1, (below * powers).sum() + 1, bits)


@dataclass(frozen=True)
class Step:
    """What a step adds to coefficients, and what it was made of.

    Attributes:
        change: shape (d,), fixed.
        distance: the step in standard deviations of coefficients, times the root of twice the number of events or
            less; shape (d,).
        normal, factor: the information per event, normalised, and its factor.
    """

    change: SecretArray
    distance: SecretArray
    normal: Normalised
    factor: Factor


def newton_step(score: SecretArray, information: SecretArray, level: Level) -> Step:
    """information^-1 @ score, with 0 for dependent columns. About 60 rounds, and 40 per column.

    Args:
        score: shape (d,).
        information: the upper triangle of a symmetric matrix, row by row.
    """
    d = int(str(score.shape[0]))
    per_event = _per_event(information, level)[triangle(d)[2]].reshape(d, d)
    normal = normalised(per_event)
    factor = factorised(normal.matrix)
    aim = _per_event(score, level) * normal.root
    aim = aim.astype_raw(fixed(aim.dtype.scale + normal.exponent)).astype(fixed(STEP_SCALE)).clip(-8.0, 8.0)
    distance = _product(factor.inverse, aim, d)
    change = _product(factor.inverse.T, distance, d)
    return Step(change * normal.root, distance, normal, factor)


def _product(matrix: SecretArray, values: SecretArray, d: int) -> SecretArray:
    return sum_of_products(matrix, values[:, None], STEP_SCALE, d)[:, 0].clip(-MOST_STEP, MOST_STEP)


def _per_event(values: SecretArray, level: Level) -> SecretArray:
    whole = times(values, level.factor, LEVEL_SCALE)
    if whole.dtype.scale + level.bits > LEVEL_SCALE:
        whole = whole.astype(fixed(LEVEL_SCALE - level.bits))
    scaled = whole.astype_raw(fixed(whole.dtype.scale + level.bits))
    return scaled.clip(-MOST_SCORE, MOST_SCORE)


def standard_errors(step: Step, level: Level) -> tuple[SecretArray, int]:
    """Roots of the diagonal of the inverse information: numbers, and the exponent of a power of two to multiply with.

    0 for dependent columns. About 25 rounds.
    """
    d = int(str(step.distance.shape[0]))
    inverse = step.factor.inverse
    spread = times(inverse, inverse, STEP_SCALE, d).sum(0).clip(0.0, None).sqrt()
    half, odd = divmod(step.normal.exponent, 2)
    found = spread * (0.5**0.5 if odd else 1.0) * step.normal.root * level.root
    return found, -half - level.bits // 2
