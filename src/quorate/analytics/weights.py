"""What each row counts: masks and weights, and sums of products under them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from quorate.analytics.columns import known, vector
from quorate.analytics.linear_algebra import Normalised, gram, normalised
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.dims import Size
from quorate.sharing.dtype import BOOL, INT, fixed

__all__ = ["SMALLEST", "Weights", "weights_of"]

SMALLEST = 3 / 16
"""A normalised total below this one is none: all weights are 0, or next to it."""


@dataclass(frozen=True)
class Weights:
    """What each row counts.

    Attributes:
        rows: the number of rows, or of those that count, if that is secret.
        weight: row's weight over 2**exponent, from 0 to 1, an int or fixed-point; None if all are 1.
        exponent: public.
        total: normalised sum of weights, 1 x 1.
    """

    rows: Size | SecretArray
    weight: SecretArray | None = None
    exponent: int = 0
    total: Normalised | None = None

    def applied(self, u: SecretArray) -> SecretArray:
        """Each row times its weight."""
        if self.weight is None:
            return u
        return (u * (self.weight if u.ndim == 1 else self.weight[:, None])).astype(u.dtype)

    def means(self, u: SecretArray) -> SecretArray:
        """Weighted means of columns within [-1, 1]; 0 if no row counts."""
        if self.weight is None or self.total is None:
            return u.mean(0)
        sums = gram(self.weight[:, None], u)[0]
        wide = min(42, known(u).capacity - 19)
        small = _divided(sums, self.total.exponent, wide) * (self.total.root * self.total.root)
        share = small.clip(-1.0, 1.0).astype(fixed(28))
        mean = share / self.total.matrix[0, 0].clip(SMALLEST, 1.0)
        return (mean * self.some.astype(INT)).clip(-1.0, 1.0).astype(u.dtype)

    @property
    def some(self) -> SecretArray:
        """Whether any row counts."""
        if self.total is None:
            raise UserError("without weights all rows count")
        return self.total.matrix[0, 0] > SMALLEST

    def gram(self, c: SecretArray) -> SecretArray:
        """Weighted sums of products of columns; all 0 if no row counts."""
        if self.weight is None:
            return gram(c, c)
        return gram(self.applied(c), c) * self.some.astype(INT)


def weights_of(like: SecretArray, where: Any, sample_weight: Any, bits: int) -> Weights:
    """Weights of the rows of `like`, at most `bits` fraction bits.

    Raises:
        UserError: not one secret bool, or secret number from 0, per row.
    """
    if where is None and sample_weight is None:
        return Weights(like.shape[0])
    flags = None if where is None else _flags(where, like)
    count = like.shape[0] if flags is None else flags.sum()
    weight, exponent = (flags, 0) if sample_weight is None else _scaled(vector(sample_weight, "sample_weight"), bits)
    if weight is None or weight.shape[0] != like.shape[0]:
        raise UserError(f"sample_weight has one value per row: {like.shape[0]}")
    if flags is not None and sample_weight is not None:
        weight = weight * flags
    total = gram(weight[:, None], weight[:, None] * 0 + 1) if weight.dtype == INT else weight.sum()[None, None]
    return Weights(count, weight, exponent, normalised(total))


def _flags(where: Any, like: SecretArray) -> SecretArray:
    if not isinstance(where, SecretArray) or where.dtype != BOOL or where.shape != (like.shape[0],):
        raise UserError("where is one secret bool per row, such as table.age > 17")
    return where.astype(INT)


def _scaled(weight: SecretArray, bits: int) -> tuple[SecretArray, int]:
    """A weight within [0, 1] and the exponent of the power of two that it was divided by."""
    low, high = weight.limits
    if low < 0:
        raise UserError(f"sample_weight may be {low:g}; declare a range from 0, since weights cannot be negative")
    exponent = math.ceil(math.log2(high)) if high > 0 else 0
    return _divided(weight, exponent, bits), exponent


def _divided(array: SecretArray, exponent: int, scale: int) -> SecretArray:
    """array / 2**exponent with at most `scale` fraction bits."""
    own = array.dtype.scale + exponent
    if own > scale:
        array, own = array.astype(fixed(scale - exponent)), scale
    return array.astype_raw(fixed(own))
