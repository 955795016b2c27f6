"""Tables of coefficients: estimates, standard errors, tests and confidence intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.dims import Dim
from quorate.lang.result import Result

__all__ = ["CoefficientTable", "shown"]

INTERCEPT = "(intercept)"


SPREAD = ("standard_errors_", "intercept_error_", "r2_", "residual_std_")


def shown(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Opened results, NaN where the spread of y is not resolved; a warning says so."""
    if values.get("resolved_", True):
        return values
    warnings.warn(
        "the spread of y is not resolved: y is constant, or few rows count, or its declared range is thousands of "
        "times its spread; R squared and standard errors are NaN; declare a narrower range for y",
        RuntimeWarning,
        stacklevel=4,
    )
    lost = {name: np.full_like(np.asarray(values[name], np.float64), np.nan)[()] for name in SPREAD if name in values}
    return {**values, **lost}


class CoefficientTable(Result):
    """Coefficients of a linear model with Student's t, two-sided p-values and 95 % confidence intervals.

    `reveal` gives a pandas data frame, one row per coefficient, the intercept first; its `attrs` hold `r2`,
    `residual_std` and `degrees_of_freedom`. t, p and the limits are computed from what was opened, with SciPy. A
    coefficient that could not be estimated (a constant or dependent column) has NaN throughout.

    Opens: coefficients and standard errors, which columns are independent, r2, the residual standard deviation, and,
    where rows were chosen by a secret mask, how many of them.
    """

    def __init__(
        self,
        arrays: Mapping[str, SecretArray],
        names: Sequence[str] | None,
        width: int,
        intercept: bool,
        free: Any,
    ) -> None:
        self._arrays, self._intercept, self._free = dict(arrays), intercept, free
        self._names = list(names) if names is not None and len(names) == width else [f"x{j}" for j in range(width)]

    def parts(self) -> Mapping[str, SecretArray]:
        """The secret results, by the names that the model gives them."""
        return self._arrays

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The data frame. Raises `UserError` where pandas and SciPy are not installed."""
        try:
            import pandas as pd
            from scipy import stats
        except ImportError:
            raise UserError("tables of coefficients need pandas and SciPy: pip install 'quorate[analytics]'") from None
        values = shown(values)
        free = int(values.get("degrees_of_freedom_", 0 if isinstance(self._free, SecretArray | Dim) else self._free))
        estimate, error = (self._with_intercept(values, *names) for names in _PAIRS)
        known = self._known(values) & (free > 0)
        estimate, error = np.where(known, estimate, np.nan), np.where(known & (error > 0), error, np.nan)
        t = estimate / error
        reach = stats.t.ppf(0.975, free) * error if free > 0 else error
        table = {
            "coef": estimate,
            "std err": error,
            "t": t,
            "P>|t|": 2 * stats.t.sf(np.abs(t), free) if free > 0 else error,
            "[0.025": estimate - reach,
            "0.975]": estimate + reach,
        }
        frame = pd.DataFrame(table, index=[INTERCEPT] * self._intercept + self._names)
        frame.attrs |= {"r2": values["r2_"], "residual_std": values["residual_std_"], "degrees_of_freedom": free}
        return frame

    def _with_intercept(self, values: Mapping[str, Any], each: str, first: str) -> Any:
        return np.append(values[first], values[each]) if self._intercept else np.asarray(values[each])

    def _known(self, values: Mapping[str, Any]) -> Any:
        found = np.asarray(values["independent_"], bool)
        return np.append(True, found) if self._intercept else found


_PAIRS = (("coef_", "intercept_"), ("standard_errors_", "intercept_error_"))
