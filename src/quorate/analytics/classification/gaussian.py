"""Naive Bayes with normally distributed features."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.classification.bayes import LOG_SCALE, NaiveBayes, log_shares
from quorate.analytics.columns import columns, known, most_rows, names_of, unit
from quorate.analytics.dependent import NarrowColumnsWarning
from quorate.analytics.linear_algebra import gram
from quorate.analytics.regression.design import product, relabelled
from quorate.analytics.statistics.floating import floating
from quorate.lang.array import SecretArray
from quorate.sharing.dtype import INT, fixed

__all__ = ["GaussianNB"]

SCALE = 22
"""Fraction bits of features in units."""

NARROW_BITS = 12
"""Standard deviations are at least 2**-NARROW_BITS, in units of the reach of a column's declared range."""

DISTANCE_SCALE = 10
"""Least fraction bits of distances in standard deviations; those for which that leaves no room are cut."""

LEAST = 0.25
"""The least variance, after it was enlarged."""

FAR = 4.0
"""Values further from the middle of the declared range, in units of its reach, count as this far."""


class GaussianNB(NaiveBayes):
    """Features with a normal distribution within each class.

    Parameters:
        classes: number of classes; y holds 0 ... classes - 1.

    Results:
        class_count_: rows of each class, shape (classes,).
        class_log_prior_: logarithms of their shares; -64 for a class without rows, which is never predicted.
        unit_theta_, unit_var_: means and variances, shape (classes, features), of columns in units: u = (x - middle_) /
            2**exponent_, which lies within [-1, 1]. Variances are kept enlarged by the square of unit_factor_, secret
            powers of two. Standard deviations below 2**-12 count as that, which a `NarrowColumnsWarning` tells when
            they are opened; this stands in place of scikit-learn's `var_smoothing`.
        middle_, exponent_: public, one per feature, from the declared ranges.

    When results are opened, `theta_` and `var_` are the means and variances of the features themselves. Nothing is
    revealed but the number of rows and columns, until results are opened.
    """

    unit_theta_: SecretArray
    unit_var_: SecretArray
    unit_factor_: SecretArray
    middle_: list[float]
    exponent_: list[int]

    def fit(self, X: Any, y: Any, where: Any = None) -> Self:
        """Fit to a secret matrix or table of shape (rows, features) and a secret column of classes.

        Raises:
            UserError: shapes that do not fit, classes beyond the declared ones, or ranges too wide for the protocol.
        """
        found = columns(X)
        flags = self._flags(found, y, where)
        rows_bits = max(1, (most_rows(flags) - 1).bit_length())
        units = unit(found, min(SCALE, (known(flags).capacity - 7 - rows_bits) // 2))
        counts = flags.sum(0)
        means, variances, factors = _moments(units.u, flags, counts, rows_bits)
        self.n_features_in_, self.feature_names_in_ = len(found), names_of(X)
        self.middle_, self.exponent_ = units.centre.tolist(), units.exponent.tolist()
        return self._learn(
            class_count_=counts,
            class_log_prior_=log_shares(counts),
            unit_theta_=means,
            unit_var_=variances,
            unit_factor_=factors,
        )

    def _joint(self, X: Any) -> SecretArray:
        found = self._features(X)
        u = q.column_stack([_in_units(*each) for each in zip(found, self.middle_, self.exponent_, strict=True)])
        means, variances, factors = self.unit_theta_, self.unit_var_.clip(LEAST, 1.0), self.unit_factor_
        roots, logs = variances.record("rsqrt", scale=16), variances.record("log", scale=LOG_SCALE)
        base = self.class_log_prior_ - logs.sum(1) / 2 + factors.record("log", scale=LOG_SCALE).sum(1)
        each = [base[k] - _distance((u - means[k]) * factors[k], roots[k]) / 2 for k in range(self.classes)]
        joint: SecretArray = q.stack(each, axis=1)
        return joint

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The opened results, with means and variances of the features themselves; warns of columns at the floor."""
        opened = super().finished({name: value for name, value in values.items() if not name.startswith("unit_")})
        self._warn_of_narrow(values)
        del opened["middle_"], opened["exponent_"]
        unit_var = np.asarray(values["unit_var_"]) / np.asarray(values["unit_factor_"], np.float64) ** 2
        factor = np.ldexp(1.0, self.exponent_)
        opened["theta_"] = np.asarray(values["unit_theta_"]) * factor + self.middle_
        opened["var_"] = unit_var * factor**2
        return opened

    def _warn_of_narrow(self, values: Mapping[str, Any]) -> None:
        if "unit_var_" not in values or "class_count_" not in values:
            return
        least = (np.asarray(values["unit_factor_"]) == 1 << NARROW_BITS) & (np.asarray(values["unit_var_"]) == 1)
        floor = least & (np.asarray(values["class_count_"])[:, None] > 1)
        names = self.feature_names_in_ or [f"x{k}" for k in range(floor.shape[1])]
        if floor.any():
            told = ", ".join(str(names[k]) for k in np.flatnonzero(floor.any(0)))
            warnings.warn(
                f"standard deviations of {told} within a class are below 2**-12 of the reach of the declared range and "
                "count as that, so var_ and predictions are not those of the data: declare narrower ranges (or leave "
                "out columns that are constant)",
                NarrowColumnsWarning,
                stacklevel=4,
            )


def _in_units(column: SecretArray, middle: float, exponent: int) -> SecretArray:
    """A column in the units of the one that the model was fitted to."""
    own = min(48, SCALE - exponent)
    moved = column.astype(fixed(own)) - middle
    scaled = moved.astype_raw(fixed(own + exponent)).astype(fixed(SCALE))
    low, high = scaled.limits
    return scaled if low >= -FAR and high <= FAR else scaled.clip(-FAR, FAR)


def _distance(away: SecretArray, roots: SecretArray) -> SecretArray:
    """Sums of squares in units of standard deviations, shape (rows,)."""
    features = int(str(away.shape[1]))
    room = (known(away).capacity - 2 - features.bit_length()) // 2
    limit = 2.0 ** (room - DISTANCE_SCALE - 1)
    near = away.clip(-limit, limit)
    reach = math.ceil(math.log2(max(-near.limits[0], near.limits[1]))) + 1
    z = product("mul", near, roots, min(16, room - reach))
    return product("dot", z, z, LOG_SCALE)


def _moments(
    u: SecretArray, flags: SecretArray, counts: SecretArray, rows_bits: int
) -> tuple[SecretArray, SecretArray, SecretArray]:
    """Means of every class, variances from 1/4 to 1, and powers of two by whose squares those are enlarged.

    Of values within [-1, 1], shape (classes, features) each. Sums of squares about the means are exact whole numbers,
    so that variances keep their digits however small they are.
    """
    middle, scale = u.mean(0), u.dtype.scale
    away = u - middle
    sums = gram(flags, away)
    means = _quotients(sums, counts, _growth(counts, rows_bits), rows_bits, 2.0)
    raw, mean, total = (one.astype_raw(INT) for one in (away, means.astype(u.dtype), sums))
    about = (flags.T @ (raw * raw) - 2 * mean * total + counts[:, None] * mean * mean).clip(0, None)
    variances, factors = _enlarged(about, counts, -2 * scale)
    return (means.astype(fixed(SCALE)) + middle.astype(fixed(SCALE))).clip(-1.0, 1.0), variances, factors


def _enlarged(squares: SecretArray, counts: SecretArray, exponent: int) -> tuple[SecretArray, SecretArray]:
    """squares * 2**exponent / counts as a number from 1/4 to 1 and a power of two by whose square that is enlarged."""
    whole = floating(counts[:, None].broadcast_to(squares.shape))
    found = floating(squares, exponent) / whole
    power = found.power - found.exponent // 2
    fine = (found.mantissa > 0) & (power <= NARROW_BITS)
    power = q.where(fine, power.clip(0, NARROW_BITS), NARROW_BITS)
    chosen = (power[..., None] == np.arange(NARROW_BITS + 1)).astype(INT)
    factor = (chosen @ (1 << np.arange(NARROW_BITS + 1))).clip(1, 1 << NARROW_BITS)
    return q.where(fine, found.mantissa, 1.0), factor


def _growth(counts: SecretArray, rows_bits: int) -> SecretArray:
    """Secret powers of two by which counts come between half of 2**rows_bits and that."""
    flags = [(counts <= 2 ** (rows_bits - k)).astype(INT) << (k - 1) for k in range(1, rows_bits + 1)]
    grown: SecretArray = sum(flags[1:], flags[0]) + 1
    return grown


def _quotients(sums: SecretArray, counts: SecretArray, grown: SecretArray, rows_bits: int, reach: float) -> SecretArray:
    """Sums over classes by their counts, fixed(30); 0 for a class without rows."""
    wide = (relabelled(sums, rows_bits, rows_bits + 1) * grown[:, None]).clip(-reach, reach)
    share = (counts * grown).astype_raw(fixed(rows_bits)).clip(0.5, 1.0)
    found: SecretArray = wide.astype(fixed(30)) / share.astype(fixed(30))[:, None]
    return found.clip(-reach, reach)
