"""Places far from the data, such as the year 0 of data about 2020, brought near by a secret power of two."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import quorate.lang.functions as q
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["REACH", "Lowered", "lowered"]

REACH = 6
"""Lowered values are within 2**REACH, and their sum is at least 1 where they had to be lowered."""

STEP = 6
"""Bits by which values are lowered at once."""


@dataclass(frozen=True)
class Lowered:
    """values * factor is what there was.

    Attributes:
        values: within +-2**REACH.
        chosen: which of the powers 2**(STEP * k) is the factor, as 0 or 1, int, shape (steps + 1,).
        factor: secret int.
    """

    values: SecretArray
    chosen: SecretArray
    factor: SecretArray

    def over_square(self, number: SecretArray) -> SecretArray:
        """One number divided by the square of the factor."""
        steps = int(str(self.chosen.shape[0]))
        return q.stack([_divided(number.sum(), 2 * STEP * k) for k in range(steps)]) @ self.chosen


def lowered(values: SecretArray) -> Lowered:
    """Divide a vector by a secret power of two if it is large: 10 rounds, without giving up digits of small ones."""
    low, high = values.limits
    size = int(str(values.shape[0]))
    bits = math.ceil(math.log2(max(-low, high, 1.0) * size))
    steps = max(0, -(-(bits - REACH) // STEP))
    limits = 2.0 ** (REACH + STEP * np.arange(steps))
    above = [q.ones_like(values[:1], dtype=INT)]
    if steps:
        above.append((abs(values).sum().reshape(1) > limits).astype(INT))
    flags = q.concatenate([*above, q.zeros_like(values[:1], dtype=INT)])
    chosen = flags[:-1] - flags[1:]
    parts = q.stack([_divided(values, STEP * k).clip(-(2.0**REACH), 2.0**REACH) for k in range(steps + 1)])
    near = (parts * chosen[:, None]).sum(0).clip(-(2.0**REACH), 2.0**REACH)
    return Lowered(near, chosen, (chosen @ (1 << STEP * np.arange(steps + 1))).clip(1, 1 << STEP * steps))


def _divided(values: SecretArray, shift: int) -> SecretArray:
    """values / 2**shift at the same scale."""
    for _ in range(0, shift, STEP):
        scale = values.dtype.scale
        values = values.astype_raw(fixed(scale + STEP)).astype(fixed(scale))
    return values
