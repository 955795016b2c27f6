"""Results that are finished in floating point from what was opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from quorate.analytics.opened import needed
from quorate.errors import UserError
from quorate.lang.array import SecretArray
from quorate.lang.result import Result

__all__ = ["Answer", "checked_alternative", "labelled", "p_value", "stats"]


class Answer(Result):
    """Secret parts, and how what was opened becomes what the user gets.

    Arguments:
        finish: from the opened parts to the result.
        parts: by name.
    """

    def __init__(self, finish: Callable[[Mapping[str, Any]], Any], **parts: SecretArray | None) -> None:
        self._finish = finish
        self._parts = {name: part for name, part in parts.items() if part is not None}

    def parts(self) -> Mapping[str, SecretArray]:
        """What is opened."""
        return self._parts

    def finished(self, values: Mapping[str, Any]) -> Any:
        """The result, from the opened parts."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._finish(values)


def stats() -> Any:
    """SciPy's distributions, with which statistics become p-values. Raises `UserError` if SciPy is missing."""
    return needed("scipy.stats")


def p_value(distribution: Any, statistic: Any, alternative: str) -> float:
    """How likely a symmetric statistic as extreme is: in both directions, or the one that `alternative` names."""
    if alternative == "two-sided":
        return float(2 * distribution.sf(abs(statistic)))
    return float(distribution.sf(statistic) if alternative == "greater" else distribution.cdf(statistic))


def checked_alternative(alternative: str) -> str:
    """Raises `UserError` for what is no alternative of a test."""
    if alternative not in ("two-sided", "less", "greater"):
        raise UserError(f"alternative={alternative!r}; use two-sided, less or greater")
    return alternative


def labelled(values: Any, names: list[str] | None) -> Any:
    """One value per column: a series for columns with names, an array for others, a float for a single column."""
    array = np.asarray(values, np.float64)
    if names is not None and array.ndim:
        return needed("pandas").Series(array, index=names)
    return array if array.ndim else float(array)
