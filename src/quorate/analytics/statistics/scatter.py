"""Sums of squares and products about means, exactly: the second pass over centred columns.

What the rounding of means adds to a sum of squares is computed, and taken away (the corrected two-pass algorithm; Chan,
Golub and LeVeque, Algorithms for Computing the Sample Variance, The American Statistician 37, 1983, equation 1.7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import quorate.lang.functions as q
from quorate.analytics.columns import known, most_rows
from quorate.analytics.linear_algebra import gram, gram_bits
from quorate.analytics.scaling import lifted, times
from quorate.analytics.statistics.spread import Centred, Piece, as_fixed, centred
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["Scatter", "bits_for", "enough", "scatter", "shares", "squares", "weighted_mean", "within"]

FINER = 22
"""Fraction bits of errors of means, which are counted in units of the values."""

DIGITS = 17
"""Binary digits that weighted sums keep in spite of their roundings, about."""

NOTHING = 8
"""A sum of squares of up to so many units comes from rounding means."""


@dataclass(frozen=True)
class Scatter:
    """Products of centred columns, summed over the rows that count, times their weights.

    Element (i, j) is products[i, j] * 2**(weight_exponent + e[i] + e[j]), e = exponent - STEP * level of the column.

    Attributes:
        products: shape (d, d), fixed; exactly 0 in rows and columns of constant columns.
        columns: how each was centred.
        weight_exponent: of the unit of the weights, public, 0 without.
    """

    products: SecretArray
    columns: list[Centred]
    weight_exponent: int


def bits_for(rows: int, capacity: int) -> int:
    """The scale of centred columns whose squares can be summed exactly over so many rows."""
    return gram_bits(rows, capacity, 1)


def squares(piece: Piece, bits: int | None = None) -> tuple[SecretArray, Centred]:
    """The sum of squared distances from the mean of one column, a number of scale 2 * bits."""
    found = centred([piece], bits or bits_for(most_rows(piece.values), known(piece.values).capacity))
    return within(found.u[0], piece.counted, found.exact), found


def within(u: SecretArray, counted: SecretArray | None, exact: bool) -> SecretArray:
    """Sums of squares of centred values about the means of groups.

    Args:
        u: shape (n,).
        counted: bools, shape (n,) for one group or (n, k) for k of them, which do not overlap; None for all.
        exact: whether values were not rounded when they were centred.

    Returns:
        A number, or shape (k,); the scale is twice that of u. 0 if all values are the same.
    """
    size: Any = u.shape[0]
    if counted is None:
        rest = (u - u.mean(0)).astype_raw(INT)
        total, left = rest @ rest, rest.sum()
    elif counted.ndim == 1:
        mean = u.mean(0, where=counted)
        rest = ((u - mean) * counted.astype(INT)).astype_raw(INT)
        total, left, size = rest @ rest, rest.sum(), counted.sum()
    else:
        total, left, size = _of_groups(u, counted)
    rows, scale = most_rows(u), 2 * u.dtype.scale
    return _corrected(total, left, size, rows, exact, (rows + 1) << scale).astype_raw(fixed(scale))


def _of_groups(u: SecretArray, counted: SecretArray) -> tuple[SecretArray, SecretArray, SecretArray]:
    means = u[:, None].broadcast_to(counted.shape).mean(0, where=counted)
    rest = ((u[:, None] - means) * counted.astype(INT)).astype_raw(INT).T
    return q.vecdot(rest, rest), rest.sum(1), counted.sum(0)


def _corrected(total: SecretArray, left: SecretArray, size: Any, rows: int, exact: bool, largest: int) -> SecretArray:
    """Raw sums of squares less what the rounding of means added; too little to be anything counts as nothing."""
    error = left.clip(-4 * rows, 4 * rows)
    rest = (total - _whole(error * _over(error, size))).clip(0, largest)
    return rest * (rest > (NOTHING if exact else 2 * rows)).astype(INT)


def _over(values: SecretArray, size: Any) -> SecretArray:
    """Whole numbers over a size that is at least a quarter of them, or 0."""
    if isinstance(size, SecretArray):
        found = as_fixed(values).record("div", as_fixed(size), scale=FINER)
    else:
        found = as_fixed(values).astype(fixed(FINER)) / size
    return found.clip(-4.0, 4.0)


def _whole(values: SecretArray) -> SecretArray:
    """Fixed-point numbers rounded to whole ones."""
    return values.astype(fixed(0)).astype_raw(INT)


def scatter(
    found: Sequence[SecretArray], counted: SecretArray | None = None, weights: SecretArray | None = None
) -> Scatter:
    """Sums of products of columns less their means, for covariances and correlations.

    With weights, means are weighted too, and each product is rounded once, to a part in 2**20 or so of the largest.

    Args:
        found: columns, shape (n,) each.
        counted: which rows count, bools, shape (n,); None for all.
        weights: shape (n,), from 0.
    """
    rows = most_rows(found[0])
    bits = bits_for(rows, known(found[0]).capacity)
    columns = [centred([Piece(column, counted)], bits) for column in found]
    u = q.column_stack([column.u[0] for column in columns])
    mask = None if counted is None else counted[:, None].broadcast_to(u.shape)
    if weights is None:
        mean = u.mean(0) if mask is None else u.mean(0, where=mask)
        rest = u - mean if mask is None else (u - mean) * mask.astype(INT)
        raw = rest.astype_raw(INT)
        size = u.shape[0] if counted is None else counted.sum()
        total, left = raw.T @ raw, raw.sum(0).clip(-4 * rows, 4 * rows)
        total = total - _whole(left[:, None] * _over(left, size)[None, :])
        exponent = 0
    else:
        share, exponent = shares(weights, counted)
        rest = u - weighted_mean(u, share)
        total = gram((share[:, None] * rest).astype(fixed(bits)), rest).astype_raw(INT)
    exact = weights is None and all(column.exact for column in columns)
    there = (total.diagonal() > (NOTHING if exact else 2 * rows)).astype(INT)
    total = total * there[:, None] * there[None, :]
    return Scatter(total.astype_raw(fixed(2 * bits)), columns, exponent)


def shares(weights: SecretArray, counted: SecretArray | None = None) -> tuple[SecretArray, int]:
    """Weights from 0 to 1 of the rows that count, and the exponent of their unit.

    Raises:
        UserError: weights may be negative.
    """
    low, high = weights.limits
    if low < 0:
        raise UserError("weights may be negative; declare a range that starts at 0, such as range=(0, 10)")
    bits = bits_for(most_rows(weights), known(weights).capacity)
    exponent = math.ceil(math.log2(high)) if high > 0 else 0
    fine = as_fixed(weights)
    if fine.dtype.scale + exponent > bits:
        share = fine.astype(fixed(bits - exponent)).astype_raw(fixed(bits)).clip(0.0, 1.0)
    else:
        share = fine.astype_raw(fixed(fine.dtype.scale + exponent)).astype(fixed(bits))
    return share if counted is None else share * counted.astype(INT), exponent


def weighted_mean(u: SecretArray, share: SecretArray) -> SecretArray:
    """Of columns within [-1, 1], to 2**-22, for weights that are `enough`."""
    rows, fine = most_rows(share), u.dtype.scale + share.dtype.scale
    total = gram(share[:, None], u)[0]
    sums = q.concatenate([share.sum().astype(total.dtype)[None], total])[None, :]
    near = lifted(sums, rows.bit_length(), math.floor(math.log2(_least(share))), 1.0)
    mean = times(near.values[0, 1:], near.inverse(), fine)
    return mean.clip(-1.0, 1.0).astype(u.dtype)


def enough(share: SecretArray) -> SecretArray:
    """Whether weights are large enough, against their declared range, for the roundings of all rows to do no harm."""
    return share.sum() >= _least(share)


def _least(share: SecretArray) -> float:
    """Roundings of rows add up to the root of their number, in units of the last digit."""
    return math.ldexp(math.sqrt(most_rows(share)), DIGITS - share.dtype.scale)
