"""Opened results of Cox regression: what follows from coefficients and standard errors in public."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.analytics.coefficients import LIFELINES, Coefficients, wald
from quorate.analytics.dependent import NarrowColumnsWarning
from quorate.analytics.small_groups import blanked
from quorate.errors import UserError

__all__ = ["CoxResults", "checked_confidence", "warn_of_narrow"]

RESULTS = {
    "hazard_ratios_": "ratio",
    "lower_": "lower",
    "upper_": "upper",
    "z_": "statistic",
    "p_values_": "p",
}
"""What follows from coefficients and their errors, by its name in `wald`."""


class CoxResults(Coefficients):
    """What `CoxRegression` found, opened, and what follows from it.

    Attributes:
        coef_, standard_errors_, mean_, baseline_cumulative_hazard_ and so on: as of `CoxRegression`; NaN where the
            baseline is not shown.
        hazard_ratios_: exp(coef_).
        lower_, upper_: confidence intervals of coef_.
        z_, p_values_: Wald's test of each coefficient. All are NaN where a column does not count.
    """

    def __init__(self, values: Mapping[str, Any], alpha: float) -> None:
        super().__init__(values, LIFELINES, checked_confidence(alpha))
        self["times_"] = np.asarray(values["times_"])
        if "coef_" in values and "standard_errors_" in values:
            self._tests(checked_confidence(alpha))
        if "baseline_cumulative_hazard_" in values and "baseline_shown_" in values:
            shown = self["baseline_shown_"]
            self["baseline_cumulative_hazard_"] = blanked(self["baseline_cumulative_hazard_"], shown)
        if "converged_" in values and not bool(values["converged_"]):
            warnings.warn("Newton's method did not converge: see CoxRegression.converged_", stacklevel=4)

    def _tests(self, confidence: float) -> None:
        if "narrow_" in self:
            narrow = np.asarray(self["narrow_"], bool)
            self["standard_errors_"] = np.where(narrow, np.nan, np.asarray(self["standard_errors_"], float))
        tests = wald(self["coef_"], self["standard_errors_"], confidence)
        for name, held in RESULTS.items():
            self[name] = tests[held]


def warn_of_narrow(values: Mapping[str, Any], names: Sequence[str] | None) -> None:
    """Warn of columns whose declared range is too wide for precise standard errors, where there is an estimate."""
    if not values.get("converged_", True):
        return
    places = np.flatnonzero(np.asarray(values.get("narrow_", []), bool)).tolist()
    if places:
        told = ", ".join(str(names[k]) if names is not None else f"x{k}" for k in places)
        warnings.warn(
            f"the declared ranges of {told} are more than about 200 times their standard deviations: their standard "
            "errors are not precise and stay NaN; declare narrower ranges",
            NarrowColumnsWarning,
            stacklevel=4,
        )


def checked_confidence(alpha: float) -> float:
    """1 - alpha. Raises `UserError` for no such alpha."""
    if not 0 < alpha < 1:
        raise UserError(f"alpha {alpha!r}; give a number between 0 and 1, such as 0.05 for 95 % confidence")
    return 1.0 - alpha
