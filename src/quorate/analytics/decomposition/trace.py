"""Matrices of products brought to a trace near 1, however small a part of its possible size the trace is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.columns import fitting, in_real_units, known
from quorate.analytics.linear_algebra import MOST_SHIFT, normalised
from quorate.lang.array import SecretArray
from quorate.lang.dims import Dim
from quorate.sharing.dtype import INT, fixed

__all__ = ["LEAST_TRACE", "Trace", "enlarged_trace"]

LEAST_TRACE = 3 / 16
"""A smaller one could not be enlarged enough."""

STEP = 8
"""Bits of the columns by which small matrices are enlarged before the rest."""

LEAST_SQUARE = 2.0**12
"""What a row adds to the trace on average, in squares of rounding units, where rounding does no harm."""


@dataclass(frozen=True)
class Trace:
    """products = matrix * 2**exponent / root**2.

    Attributes:
        matrix: of trace `total`, as many digits as can be multiplied.
        total: between 1/4 and 1, or less where it could not be enlarged enough.
        root: secret power of two up to 2**(MOST_SHIFT + STEP), int.
        exponent: public.
        resolved: whether `total` is large enough, and the data not lost in rounding.
        rows: how many count.
    """

    matrix: SecretArray
    total: SecretArray
    root: SecretArray
    exponent: int
    resolved: SecretArray
    rows: Any

    def variances(self, values: SecretArray, exponent: int) -> SecretArray:
        """values * 2**(self.exponent + exponent) / root**2 / (rows - 1); 0 for fewer than two rows."""
        free = self.rows - 1
        most = self.exponent + exponent
        if not isinstance(free, SecretArray):
            found: SecretArray = _lowered(values, self.root, most, range(MOST_SHIFT + STEP + 1)) / free
            return found
        bits = max(1, int(free.limits[1]).bit_length())
        normal = normalised(free.clip(0, 1 << bits).astype_raw(fixed(0)).reshape(1, 1), -(-bits // 2))
        share = values.astype(fixed(28)).clip(0.0, 1.0) / normal.matrix[0, 0].clip(LEAST_TRACE, 1.0)
        ratio = (self.root << SLACK, normal.root[0])
        total = _lowered(share.clip(0.0, 4.0), ratio, most - normal.exponent, range(-SLACK, MOST_SHIFT + STEP + 1))
        return total * (free > 0).astype(INT)


SLACK = 2
"""The number of rows may be enlarged by so many bits more than the trace."""


def _lowered(values: SecretArray, root: Any, exponent: int, shifts: range) -> SecretArray:
    """values * 2**exponent / root**2, where root is 2**shift (or the quotient of a pair, the first times 2**SLACK)."""
    largest = in_real_units(values, exponent - 2 * shifts[0])
    scale = largest.dtype.scale
    total = largest * 0
    for shift in shifts:
        this = root == 1 << shift if isinstance(root, SecretArray) else root[0] == root[1] << (shift + SLACK)
        total = total + in_real_units(values, exponent - 2 * shift).astype(fixed(scale)) * this.astype(INT)
    low, high = largest.limits
    return total.clip(low, high)


def enlarged_trace(products: SecretArray, rows: Any, scale: int) -> Trace:
    """Positive semidefinite sums of products over rows, in two steps; about 40 rounds.

    Args:
        products: shape (d, d).
        rows: how many count, public or secret.
        scale: fraction bits of products of single values.
    """
    first = _trace(products)
    small = first < 2.0 ** (_exponent(first) - 2 * STEP)
    reach = 2.0 ** (_exponent(first) - 2 * STEP)
    fine = products.astype(fixed(min(products.dtype.scale, known(products).capacity - 2 - _exponent(first))))
    inside = fine.clip(-reach, reach) * (1 << 2 * STEP)
    chosen = q.where(small, inside, fine)
    normal = normalised(_trace(chosen).clip(0.0, 2.0 ** _exponent(first))[None, None])
    A = _over(chosen, normal.exponent) * normal.root[0] * normal.root[0]
    total = normal.matrix[0, 0]
    counted: Any = products.trace.rows(rows) if isinstance(rows, Dim) else rows
    sharp = first > counted * (LEAST_SQUARE * 2.0**-scale)
    root = normal.root[0] * (1 + small.astype(INT) * ((1 << STEP) - 1))
    return Trace(A, total, root, normal.exponent, (total > LEAST_TRACE) & sharp, rows)


def _trace(products: SecretArray) -> SecretArray:
    width = int(str(products.shape[0]))
    total: SecretArray = fitting(products.diagonal(), width.bit_length()).sum()
    return total


def _exponent(array: SecretArray) -> int:
    low, high = array.limits
    return int(np.ceil(np.log2(max(-low, high)))) if max(-low, high) > 0 else 0


def _over(products: SecretArray, exponent: int) -> SecretArray:
    """products / 2**exponent, with as many digits as can be multiplied by the square of a root."""
    scale = min(44, known(products).capacity - 18)
    own = products.dtype.scale + exponent
    if own > scale:
        products, own = products.astype(fixed(scale - exponent)), scale
    return products.astype_raw(fixed(own)).astype(fixed(scale))
