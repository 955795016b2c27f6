"""What is opened of too few rows is zeros: looked at before it becomes NaN, as the one who opens it could."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import quorate as q
from quorate import analytics as a

ROWS = 40
X = np.linspace(1.0, 9.0, ROWS) + np.tile([0.25, -0.5], ROWS // 2)
CODES = np.arange(ROWS) % 2
Z = np.arange(ROWS) % 4 < 2

Method = Callable[[Any, Any], Any]
OF_A_CHOICE: dict[str, Method] = {
    "mean": lambda t, m: a.mean(t.x, where=m),
    "mean, weights": lambda t, m: a.mean(t.x, where=m, sample_weight=t.w),
    "var": lambda t, m: a.var(t.x, where=m),
    "std, weights": lambda t, m: a.std(t.x, where=m, sample_weight=t.w),
    "cov": lambda t, m: a.cov([t.x, t.w], where=m),
    "corrcoef": lambda t, m: a.corrcoef([t.x, t.w], where=m),
    "quantile": lambda t, m: a.quantile(t.x, 0.5, where=m),
    "describe": lambda t, m: a.describe(t.x, where=m),
    "chi2_contingency": lambda t, m: a.chi2_contingency(t.code, t.z, where=m),
    "fisher_exact": lambda t, m: a.fisher_exact(t.code == 1, t.z, where=m),
    "ttest_1samp": lambda t, m: a.ttest_1samp(t.x, 3.0, where=m),
    "ttest_rel": lambda t, m: a.ttest_rel(t.x, t.w, where=m),
    "confidence_interval": lambda t, m: a.confidence_interval(t.x, where=m),
}
"""Methods that look at one choice of rows."""
OF_CELLS: dict[str, Method] = {
    "quantile": lambda t, m: a.quantile(t.x, 0.5, by=t.code, where=m),
    "histogram": lambda t, m: a.histogram(t.code, [-0.5, 0.5, 1.5], where=m),
    "grouped": lambda t, m: a.grouped(t.x, t.code, ["count", "sum", "std", "median"], where=m),
    "grouped_by_key": lambda t, m: a.grouped_by_key(t.x, t.code, size=2, where=m),
    "crosstab": lambda t, m: a.crosstab(t.code, t.one, where=m),
    "ttest_ind": lambda t, m: a.ttest_ind(t.x, by=t.code, where=m),
    "ttest_ind, Welch": lambda t, m: a.ttest_ind(t.x, by=t.code, equal_var=False, where=m),
    "f_oneway": lambda t, m: a.f_oneway(t.x, by=t.code, where=m),
    "mannwhitneyu": lambda t, m: a.mannwhitneyu(t.x, by=t.code, where=m),
    "proportion_confint": lambda t, m: a.proportion_confint(t.code == 1, where=m),
}
"""Methods that look at rows of code 0 and of code 1."""


def opened(method: Method, rows: list[int]) -> dict[str, Any]:
    """What is opened, as it is, if these rows count."""
    chosen = np.isin(np.arange(ROWS), rows)
    with q.simulate(protocol="clear") as net:
        table = net.secret({"x": X, "w": X[::-1].copy(), "code": CODES, "z": Z, "one": np.zeros(ROWS, np.int64)})
        answer = method(table, net.secret(chosen))
        return dict(zip(answer.parts(), net.reveal(*answer.parts().values()), strict=True))


def nothing(parts: dict[str, Any]) -> bool:
    return not any(np.any(part) for part in parts.values())


@pytest.mark.parametrize("name", OF_A_CHOICE)
def test_of_a_choice(name: str) -> None:
    assert nothing(opened(OF_A_CHOICE[name], [4, 9, 20, 31]))
    assert not nothing(opened(OF_A_CHOICE[name], [4, 9, 20, 31, 35]))


@pytest.mark.parametrize("name", OF_CELLS)
def test_of_cells(name: str) -> None:
    """Four rows in either cell are too few; where only one is too small, the other one would tell with the total."""
    even, odd = [0, 4, 14, 20, 34], [1, 7, 9, 25, 31]
    assert nothing(opened(OF_CELLS[name], even[:4] + odd[:4][::-1][:1]))
    assert nothing(opened(OF_CELLS[name], even + odd[:4]))
    assert not nothing(opened(OF_CELLS[name], even + odd))


def test_totals_of_rows_and_columns_beside_a_statistic() -> None:
    """Opened at the user's wish; two rows of code 1 are hidden, and with them the rest of the total."""
    method: Method = lambda t, m: a.chi2_contingency(t.code, t.z, expected=True, where=m)  # noqa: E731
    parts = opened(method, [0, 2, 4, 6, 8, 10, 1, 3])
    assert not np.any(parts["row"])
    assert not np.any(parts["row_shown"])
    assert parts["n"] == 8
