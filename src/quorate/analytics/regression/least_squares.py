"""Least squares on secret rows, each with a secret weight: exact sums, one factorisation, refined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import quorate.lang.functions as q
from quorate.analytics.columns import Unit, bits_of, fitting, in_real_units, times
from quorate.analytics.linear_algebra import (
    Factor,
    Normalised,
    factorised,
    normalised,
)
from quorate.analytics.refinement import precise_dot, refined
from quorate.analytics.regression.lowered import lowered
from quorate.analytics.weights import SMALLEST, Weights
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.dims import Size
from quorate.sharing.dtype import INT, fixed

__all__ = ["LEAST_SQUARE", "Solved", "results", "solve"]

WIDE = 40
"""Fraction bits of variances."""

LARGEST_PENALTY = 4096.0

LEAST_SQUARE = 2.0**-16
"""A target's normalised sum of squares below this one is that of a constant."""

LEAST_TARGET = 2.0**-12
"""Below it, too few digits of the target's sum of squares are left for R squared and errors."""


@dataclass(frozen=True)
class Solved:
    """A solution in units of the normalised matrix, of features first and the target last.

    Attributes:
        means, aim_mean: of features and target; None without an intercept.
        coefficients: shape (features,).
        residual: what is left of the normalised target's square.
    """

    units: Unit
    aim: Unit
    weights: Weights
    means: SecretArray | None
    aim_mean: SecretArray | None
    normal: Normalised
    factor: Factor
    coefficients: SecretArray
    residual: SecretArray


def solve(units: Unit, aim: Unit, weights: Weights, intercept: bool, penalty: float) -> Solved:
    """Weighted least squares of one target column."""
    u, v = units.u, aim.u[:, 0]
    d = int(str(u.shape[1]))
    means, aim_mean = (weights.means(u), weights.means(aim.u)[0]) if intercept else (None, None)
    both = q.column_stack([u - means, v - aim_mean] if intercept else [u, v])
    products = weights.gram(both)
    if penalty:
        products = products + np.diag(_penalties(units, weights, penalty, products.limits[1]))
    normal = normalised(products)
    factor = factorised(normal.matrix, d)
    coefficients, left = refined(normal.wide, factor)
    return Solved(units, aim, weights, means, aim_mean, normal, factor, coefficients, left.clip(0.0, 1.0))


def _penalties(units: Unit, weights: Weights, penalty: float, most: float) -> npt.NDArray[np.float64]:
    """What a penalty adds to the diagonal."""
    added = penalty * np.ldexp(1.0, -2 * units.exponent - weights.exponent)
    if added.max() > LARGEST_PENALTY * most:
        column = int(added.argmax())
        raise UserError(
            f"the penalty {penalty:g} is more than {LARGEST_PENALTY:g} times the largest possible sum of squares of "
            f"column {column}; nothing would be left of its coefficient: use a smaller one, or other units"
        )
    return np.append(added, 0.0)


def results(solved: Solved, free: Size | SecretArray) -> dict[str, Any]:
    """The parts of a fitted model, in real units."""
    d = int(str(solved.units.u.shape[1]))
    root, scale = solved.normal.root[:d], solved.normal.inverse_root[d]
    slopes = times(solved.coefficients * root, scale)
    exponent = int(solved.aim.exponent[0])
    powers = exponent - solved.units.exponent
    spread = _spread(solved.residual, free)
    inverse = (solved.factor.inverse * solved.factor.inverse).sum(0).clip(0.0, None).sqrt()
    found: dict[str, Any] = {
        "coef_": in_real_units(slopes, powers),
        "independent_": solved.factor.independent,
        "resolved_": solved.normal.matrix[d, d] > LEAST_TARGET,
        "r2_": 1.0 - share(solved.residual, solved.normal.wide[d, d]),
        "standard_errors_": in_real_units(times(times(spread, inverse), root) * scale, powers),
        "residual_std_": _residual_std(spread * scale, solved.normal.exponent + solved.weights.exponent, exponent),
    }
    return found | (_intercept(solved, spread * scale) if solved.means is not None else _none(slopes))


def _none(slopes: SecretArray) -> dict[str, Any]:
    return {"intercept_": slopes[0] * 0}


def _spread(residual: SecretArray, free: Size | SecretArray) -> SecretArray:
    """The root of what is left over per degree of freedom; 0 where there is none."""
    rest = residual.astype(fixed(WIDE))
    if isinstance(free, SecretArray):
        rest = fitting(rest, bits_of(free))
        return ((rest / free.clip(1, None)).clip(0.0, 1.0).sqrt() * (free > 0).astype(INT)).astype(fixed(28))
    return (rest / free).clip(0.0, None).sqrt().astype(fixed(28))


def _residual_std(spread: SecretArray, exponent: int, aim: int) -> SecretArray:
    """`spread` is in units in which the sum of squares is 2**exponent."""
    half, odd = divmod(exponent, 2)
    return in_real_units(spread * (2.0**0.5 if odd else 1.0), half + aim)


def _intercept(solved: Solved, spread: SecretArray) -> dict[str, SecretArray]:
    """The intercept, where all features are 0, and its standard error."""
    if solved.means is None or solved.aim_mean is None:
        raise UserError("there is no intercept without means")
    units, aim, normal = solved.units, solved.aim, solved.normal
    d = int(str(units.u.shape[1]))
    offset = units.centre / units.factor
    middle = (solved.means + offset) * normal.root[:d]
    moved = times(precise_dot(solved.coefficients, middle), normal.inverse_root[d])
    at_zero = solved.aim_mean - moved + float(aim.centre[0] / aim.factor[0])
    near = lowered(precise_dot(solved.factor.inverse, middle, 16))
    own = near.over_square(_power_over(near.values, normal.exponent, solved.weights))
    root = (near.values @ near.values + own).astype(fixed(20)).clip(0.0, None).sqrt()
    error = times(times(spread, root), near.factor)
    exponent = int(aim.exponent[0])
    return {"intercept_": in_real_units(at_zero, exponent), "intercept_error_": in_real_units(error, exponent)}


def _power_over(like: SecretArray, exponent: int, weights: Weights) -> SecretArray:
    """2**exponent over the sum of weights."""
    if weights.total is None:
        found: SecretArray = like.constant(2.0**exponent, fixed(14)) / weights.rows
        return found
    inverse = 1.0 / weights.total.matrix[0, 0].clip(SMALLEST, 1.0)
    root = weights.total.root * weights.total.root
    return inverse.astype(fixed(20)) * root * 2.0 ** (exponent - weights.total.exponent)


def share(part: SecretArray, whole: SecretArray) -> SecretArray:
    """part / whole for 0 <= part <= whole <= 1; 1 where there is next to no whole, so that nothing is explained."""
    numerator, denominator = (one.astype(fixed(28)).clip(0.0, 1.0) for one in (part, whole))
    ratio = (numerator / denominator.clip(LEAST_SQUARE, 1.0)).clip(0.0, 1.0)
    return q.where(denominator > LEAST_SQUARE, ratio, 1.0)
