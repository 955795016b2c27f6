"""How the digits that there is room for are shared in Newton's method, and whether they were enough."""

from __future__ import annotations

from quorate.analytics.columns import bits_of
from quorate.analytics.regression.design import Design
from quorate.analytics.regression.newton import Family, Outcome
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import fixed

__all__ = ["precise", "shared"]

LEAST_FEATURE = 14
"""Features keep so many fraction bits where they meet residuals."""

LEAST_CURVATURE = 2.0**-5
"""Enlarged Hessians of a smaller trace have no digits left, and no directions to go."""


def shared(design: Design, bits: int, most: int) -> tuple[int, SecretArray]:
    """Fraction bits of expected values below 2**bits, and the features, so that sums of their products fit.

    Rounding expected values shifts all their sums, and rounding features only adds to noise: these give way first.
    """
    whole = bits_of(design.x) - design.x.dtype.scale
    room = design.rows.room(bits + 1, whole)
    coarse = min(design.x.dtype.scale, max(LEAST_FEATURE, room - most))
    return min(most, room - coarse), design.x.astype(fixed(coarse))


def precise(design: Design, family: Family, outcome: Outcome) -> SecretArray:
    """Whether roundings of expected values and Hessians move coefficients by less than 1/8 of a standard error.

    Roundings of one unit in every row add up to rows * 2**-scale, which is to be small against the root of the
    information.
    """
    information = design.rows.weighted(outcome.last.weight).sum()
    least = 2.0 ** (2 * design.rows.bits + design.rows.exponent - 2 * family.scale + 6)
    high = information.limits[1]
    return (information >= min(least, high)) & (outcome.curvature > LEAST_CURVATURE)
