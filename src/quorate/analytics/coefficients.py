"""Opened coefficients: tests, confidence limits and tables, the same for all models that have standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.analytics.axes import LIMIT, Axes
from quorate.analytics.base import Estimator
from quorate.analytics.opened import Fitted, needed
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.result import Result

__all__ = ["LIFELINES", "NORMAL", "STUDENT", "CoefficientTable", "Coefficients", "Tabulated", "wald"]

INTERCEPT = "(intercept)"

TABLE: Sequence[str] = (
    "coef_",
    "intercept_",
    "standard_errors_",
    "intercept_error_",
    "independent_",
    "narrow_",
    "log_likelihood_",
    "converged_",
    "separated_",
    "step_",
)
"""What is opened for a table, beside single numbers."""

AXES: Axes = {
    **dict.fromkeys(("coef_", "standard_errors_", "independent_", "narrow_", "z_"), ("class", "feature")),
    **dict.fromkeys(("p_values_", "ratios_", "hazard_ratios_", "lower_", "upper_", "mean_"), ("class", "feature")),
    **dict.fromkeys(("intercept_", "intercept_error_", "intercept_z_", "intercept_ratios_"), ("class",)),
    **dict.fromkeys(("intercept_p_values_", "log_likelihood_", "converged_", "separated_", "step_"), ("class",)),
    **dict.fromkeys(("baseline_cumulative_hazard_", "baseline_shown_", "times_"), ("time",)),
    "conf_int_": ("class", "feature", LIMIT),
    "intercept_conf_int_": ("class", LIMIT),
}
"""What the axes of results of all these models are."""

Floats = npt.NDArray[np.float64]

Titles = Mapping[str, str]
"""Titles of a table's columns, and what each holds: a key of what `wald` returns."""

STUDENT: Titles = {
    "coef": "estimate",
    "std err": "error",
    "t": "statistic",
    "P>|t|": "p",
    "[{low:g}": "lower",
    "{high:g}]": "upper",
}
"""As in statsmodels, for Student's distribution."""

NORMAL: Titles = {{"t": "z", "P>|t|": "P>|z|"}.get(title, title): held for title, held in STUDENT.items()}
"""As in statsmodels, for the normal distribution."""

LIFELINES: Titles = {
    "coef": "estimate",
    "exp(coef)": "ratio",
    "se(coef)": "error",
    "coef lower {percent:g}%": "lower",
    "coef upper {percent:g}%": "upper",
    "z": "statistic",
    "p": "p",
}
"""As in lifelines."""


def wald(estimate: Any, error: Any, confidence: float = 0.95, free: float | None = None) -> dict[str, Floats]:
    """Tests of estimates against 0, two-sided, and confidence limits; NaN where there is no standard error.

    Args:
        estimate: of any shape.
        error: standard errors, of the same shape; 0 and NaN where there is none.
        confidence: of the limits.
        free: degrees of freedom of Student's distribution; None stands for the normal distribution.

    Raises:
        UserError: SciPy is not installed.
    """
    stats = needed("scipy.stats")
    around = stats.norm if free is None else stats.t(free if free > 0 else np.nan)
    estimate, error = np.asarray(estimate, np.float64), np.asarray(error, np.float64)
    error = np.where(error > 0, error, np.nan)[()]
    statistic = estimate / error
    reach = around.ppf(0.5 + confidence / 2) * error
    with np.errstate(over="ignore"):
        ratio = np.exp(estimate)
    return {
        "estimate": estimate,
        "error": error,
        "statistic": statistic,
        "p": 2 * around.sf(np.abs(statistic)),
        "lower": estimate - reach,
        "upper": estimate + reach,
        "ratio": ratio,
    }


class Coefficients(Fitted):
    """Opened results of a model with coefficients."""

    def __init__(
        self, values: Mapping[str, Any], titles: Titles, confidence: float = 0.95, free: float | None = None
    ) -> None:
        super().__init__(values, axes=AXES)
        self._how = (titles, confidence, free)

    def summary(self) -> Any:
        """A pandas data frame with one row per coefficient, the intercept first: estimate, error, test, limits.

        Titles of columns are those of statsmodels, of Cox's model those of lifelines. Where there are several classes,
        rows are named by class and feature. A coefficient without an estimate (of a constant or dependent column) has
        NaN throughout. `attrs` holds all results that are single numbers, without the underscore.

        Raises:
            UserError: standard errors were not opened, or pandas or SciPy is not installed.
        """
        titles, confidence, free = self._how
        if "coef_" not in self or "standard_errors_" not in self:
            raise UserError("a table of coefficients needs coef_ and standard_errors_; this result does not have both")
        found = wald(*self._rows(), confidence, free)
        low = 0.5 - confidence / 2
        text = {"low": low, "high": 1 - low, "percent": 100 * confidence}
        pandas = needed("pandas")
        columns = {title.format(**text): found[held].reshape(-1) for title, held in titles.items()}
        frame = pandas.DataFrame(columns, index=self._index(pandas))
        others = {name.strip("_"): value for name, value in self._numbers().items() if not name.startswith("intercept")}
        frame.attrs |= others
        if self.provenance:
            frame.attrs["quorate"] = self.provenance
        return frame

    def _rows(self) -> tuple[Floats, Floats]:
        """Estimates and standard errors, the intercept first, shape (coefficients,) or (classes, coefficients)."""
        known = np.asarray(self.get("independent_", True), bool)
        made = []
        for each, first in (("coef_", "intercept_"), ("standard_errors_", "intercept_error_")):
            values = np.where(known, np.asarray(self[each], np.float64), np.nan)
            if "intercept_error_" in self:
                values = np.concatenate([np.asarray(self[first], np.float64)[..., None], values], axis=-1)
            made.append(values)
        return made[0], made[1]

    def _index(self, pandas: Any) -> Any:
        names = [INTERCEPT] * ("intercept_error_" in self) + self._features()
        classes = np.shape(self["coef_"])[:-1]
        if not classes:
            return names
        told = self.get("class_names_") or list(range(classes[0]))
        return pandas.MultiIndex.from_product([told, names], names=["class", "coefficient"])


class CoefficientTable(Result):
    """The table of a model's coefficients: `reveal` opens what it needs, and gives `Coefficients.summary`.

    Opens: coefficients, standard errors, which columns are independent, and the single numbers of the model, such as
    R squared or whether it converged.
    """

    def __init__(self, model: Tabulated) -> None:
        self._model = model

    def parts(self) -> Mapping[str, SecretArray]:
        """The secret results, by the names that the model gives them."""
        return {name: part for name, part in self._model.parts().items() if name in TABLE or not part.ndim}

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The data frame. Raises `UserError` where pandas and SciPy are not installed."""
        return self._model.finished(values).summary()


class Tabulated(Estimator):
    """A model whose opened results are `Coefficients`."""

    def summary(self) -> CoefficientTable:
        """A table of the coefficients; `reveal` opens what it needs and gives a pandas data frame.

        Raises:
            UserError: not fitted yet, or fitted in a way that has no standard errors.
        """
        self._require_fit()
        if "standard_errors_" not in self.parts():
            raise UserError("there are no standard errors after solver='minibatch'; use the solver 'newton'")
        return CoefficientTable(self)
