"""Standard errors of generalised linear models, and what follows from them once they are opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import quorate.lang.functions as q
from quorate.analytics.coefficients import NORMAL, Coefficients, wald
from quorate.analytics.columns import bits_of, fitting, in_real_units, known, times
from quorate.analytics.refinement import precise_dot
from quorate.analytics.regression.design import Design, product
from quorate.analytics.regression.lowered import lowered
from quorate.analytics.regression.newton import BELOW, Outcome
from quorate.lang.array import SecretArray

__all__ = ["coefficients", "inferred", "standard_errors"]


def coefficients(design: Design, slopes: SecretArray) -> dict[str, SecretArray]:
    """`coef_` and `intercept_` of the features themselves, from slopes per unit."""
    if not design.intercept:
        return {"coef_": design.real(slopes), "intercept_": slopes[0] * 0}
    own = slopes[1:]
    offsets = design.offsets()
    moved = fitting(own, bits_of(offsets) + design.unknowns.bit_length()) @ offsets
    return {"coef_": design.real(own), "intercept_": slopes[0] - moved}


def standard_errors(design: Design, outcome: Outcome) -> dict[str, SecretArray]:
    """Roots of the diagonal of the inverse Hessian, 0 where it is none, and which features are independent."""
    frame = outcome.frame
    half, odd = divmod(-(frame.exponent + design.rows.exponent + BELOW), 2)
    scaled = _spread(outcome, frame.axes, 1 + odd) * frame.root
    if not design.intercept:
        own = in_real_units(scaled, half - design.unit.exponent)
        return {"standard_errors_": own, "independent_": frame.independent}
    own = in_real_units(scaled[1:], half - design.unit.exponent)
    error = _intercept_error(design, outcome, half, odd)
    return {"standard_errors_": own, "intercept_error_": error, "independent_": frame.independent[1:]}


def _intercept_error(design: Design, outcome: Outcome, half: int, odd: int) -> SecretArray:
    """Of the combination of unknowns that is the intercept where all features are 0."""
    frame = outcome.frame
    offsets = design.offsets()
    wide = offsets * frame.root[1:]
    contrast = q.concatenate([frame.root[:1].astype(wide.dtype), -wide])
    near = lowered(precise_dot(frame.axes, contrast, 16))
    return in_real_units(times(_spread(outcome, near.values[:, None], 1 + odd)[0], near.factor), half)


def _spread(outcome: Outcome, places: SecretArray, often: int) -> SecretArray:
    """Roots of so many times the variances of combinations of the frame's axes, one per column of `places`."""
    inverse = outcome.inverse
    extra = int(str(inverse.shape[0])).bit_length()
    spare = known(inverse).capacity - 2 - bits_of(places) - 12 - extra
    half = product("matmul", inverse, places, min(18, spare)).clip(-(2.0**12), 2.0**12)
    variance = product("dot", half.T, places.T, 18).clip(0.0, 2.0**20)
    return (variance * outcome.enlarged * often).clip(0.0, None).sqrt()


def inferred(public: Mapping[str, Any], values: Mapping[str, Any]) -> Coefficients:
    """Opened results, with z values, two-sided p-values (normal distribution), 95 % limits and exp(coefficients).

    Raises:
        UserError: SciPy is not installed.
    """
    found = Coefficients({**public, **values}, NORMAL)
    for kind, error in (("coef", "standard_errors_"), ("intercept", "intercept_error_")):
        if error in values:
            tests = wald(values[f"{kind}_"], values[error])
            prefix = "" if kind == "coef" else "intercept_"
            found[error] = tests["error"]
            found[f"{prefix}z_"], found[f"{prefix}p_values_"] = tests["statistic"], tests["p"]
            found[f"{prefix}conf_int_"] = np.stack([tests["lower"], tests["upper"]], axis=-1)
            found[f"{prefix}ratios_"] = tests["ratio"]
    return found
