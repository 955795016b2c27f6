"""Opened results of Cox regression: what follows from coefficients and standard errors in public."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from quorate.analytics.dependent import NarrowColumnsWarning
from quorate.analytics.opened import Fitted, needed
from quorate.analytics.small_groups import blanked
from quorate.errors import UserError

__all__ = ["CoxResults", "confidence_factor", "warn_of_narrow"]


class CoxResults(Fitted):
    """What `CoxRegression` found, opened, and what follows from it.

    Attributes:
        coef_, standard_errors_, mean_, baseline_cumulative_hazard_ and so on: as of `CoxRegression`; NaN where the
            baseline is not shown.
        hazard_ratios_: exp(coef_).
        lower_, upper_: confidence intervals of coef_.
        z_, p_values_: Wald's test of each coefficient; NaN where a column does not count.
    """

    def __init__(self, values: Mapping[str, Any], alpha: float) -> None:
        super().__init__(values)
        self["times_"] = np.asarray(values["times_"])
        if "coef_" in values and "standard_errors_" in values:
            self._tests(confidence_factor(alpha))
        if "baseline_cumulative_hazard_" in values and "baseline_shown_" in values:
            shown = self["baseline_shown_"]
            self["baseline_cumulative_hazard_"] = blanked(self["baseline_cumulative_hazard_"], shown)
        if "converged_" in values and not bool(values["converged_"]):
            warnings.warn("Newton's method did not converge: see CoxRegression.converged_", stacklevel=4)

    def _tests(self, factor: float) -> None:
        coef, errors = np.asarray(self["coef_"]), np.asarray(self["standard_errors_"], float)
        if "narrow_" in self:
            errors = self["standard_errors_"] = np.where(np.asarray(self["narrow_"], bool), np.nan, errors)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = coef / errors
            self["hazard_ratios_"] = np.exp(coef)
        self["lower_"], self["upper_"] = coef - factor * errors, coef + factor * errors
        self["z_"] = z
        self["p_values_"] = np.array([_two_sided(value) for value in z])

    def summary(self) -> Any:
        """A data frame with one row per feature, with the columns' names of lifelines where it has them.

        Raises:
            UserError: pandas is not installed.
        """
        names = {
            "coef": "coef_",
            "exp(coef)": "hazard_ratios_",
            "se(coef)": "standard_errors_",
            "lower": "lower_",
            "upper": "upper_",
            "z": "z_",
            "p": "p_values_",
        }
        index = self._features()
        frame = needed("pandas").DataFrame({name: self[part] for name, part in names.items()}, index=index)
        frame.attrs["quorate"] = self.provenance
        return frame


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


def _two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2)) if math.isfinite(z) else math.nan


def confidence_factor(alpha: float) -> float:
    """How many standard errors an interval of confidence 1 - alpha reaches. Raises `UserError` for no such alpha."""
    if not 0 < alpha < 1:
        raise UserError(f"alpha {alpha!r}; give a number between 0 and 1, such as 0.05 for 95 % confidence")
    return NormalDist().inv_cdf(1 - alpha / 2)
