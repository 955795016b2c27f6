"""Every method of `quorate.analytics` passes the conformance suite of its kind."""

from __future__ import annotations

import numpy as np
import pytest

from quorate import analytics
from quorate.errors import UserError
from quorate.testing.method_conformance import Case, check_all, check_oblivious, check_restored

ROWS = 40


def _numbers(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (ROWS, 3))
    columns = {f"x{k}": X[:, k] for k in range(3)}
    labels = (X[:, 0] + rng.normal(0, 1, ROWS) > 0).astype(np.int64)
    return columns | {
        "y": np.clip(X @ [1.0, -2.0, 0.5] + rng.normal(0, 0.1, ROWS), -8, 8),
        "label": labels,
        "count": rng.poisson(2, ROWS).clip(0, 15),
    }


RANGES = {"x0": (-2, 2), "x1": (-2, 2), "x2": (-2, 2), "y": (-8, 8), "label": (0, 1), "count": (0, 15)}


def _x(data):
    return {name: data[name] for name in ("x0", "x1", "x2")}


def _supervised(make, target="y", method="predict", **options):
    return Case(
        make,
        _numbers,
        RANGES,
        lambda model, data: model.fit(_x(data), data[target]),
        lambda model, data: getattr(model, method)(_x(data)),
        **options,
    )


def _alone(make, fit, **options):
    """A method that has nothing to do with what was fitted."""
    return Case(make, _numbers, RANGES, fit, **options)


def _counted(make):
    return Case(
        make,
        _numbers,
        RANGES,
        lambda model, data: model.fit([data["count"], data["label"]], data["label"]),
        lambda model, data: model.predict_proba([data["count"], data["label"]]),
    )


CASES = {
    "BernoulliNB": _supervised(analytics.BernoulliNB, "label", "predict_proba"),
    "CategoricalNB": _counted(analytics.CategoricalNB),
    "GaussianNB": _supervised(analytics.GaussianNB, "label", "predict_proba"),
    "LogisticRegression": _supervised(lambda: analytics.LogisticRegression(max_iter=2), "label", "predict_proba"),
    "MultinomialNB": _counted(analytics.MultinomialNB),
    "PoissonRegression": _supervised(lambda: analytics.PoissonRegression(max_iter=2), "count"),
    "Concentration": _alone(
        lambda: analytics.Concentration(threshold=3, least=1), lambda m, d: m.fit([d], "count", "label")
    ),
    "Exposure": _alone(
        lambda: analytics.Exposure(16, institutions=1, least=2), lambda m, d: m.fit([d], "count", "label")
    ),
    "DecisionTreeClassifier": _supervised(
        lambda: analytics.DecisionTreeClassifier(max_depth=2, max_bins=4), "label", "predict_proba"
    ),
    "DecisionTreeRegressor": _supervised(lambda: analytics.DecisionTreeRegressor(max_depth=2, max_bins=4)),
    "GradientBoostingClassifier": _supervised(
        lambda: analytics.GradientBoostingClassifier(2, 0.5, max_depth=2, max_bins=4), "label", "predict_proba"
    ),
    "GradientBoostingRegressor": _supervised(
        lambda: analytics.GradientBoostingRegressor(2, 0.5, max_depth=2, max_bins=4)
    ),
    "GWAS": Case(
        lambda: analytics.GWAS(least=2),
        _numbers,
        RANGES,
        lambda m, d: m.fit(d["y"], [d["x0"]]),
        lambda m, d: m.test_variants({"g": d["label"]}).parts()["share_"],
    ),
    "HistoricalRisk": _alone(lambda: analytics.HistoricalRisk([0.9, 0.95]), lambda m, d: m.fit([d["y"], d["x0"]])),
    "NormalRisk": _alone(lambda: analytics.NormalRisk(0.95), lambda m, d: m.fit([d["y"], d["x0"]])),
    "CoxRegression": Case(
        lambda: analytics.CoxRegression(iterations=1, grid=[3, 6, 9]),
        _numbers,
        RANGES,
        lambda model, data: model.fit({"x0": data["x0"], "x1": data["x1"]}, data["count"], data["label"]),
        lambda model, data: model.predict_partial_hazard({"x0": data["x0"], "x1": data["x1"]}),
    ),
    "KaplanMeier": _alone(
        lambda: analytics.KaplanMeier(range(16), least=2, least_events=3),
        lambda m, d: m.fit(d["count"], d["label"], by=d["x0"] > 0),
    ),
    "KMeans": _alone(lambda: analytics.KMeans(2, max_iter=3), lambda m, d: m.fit(_x(d))),
    "LinearRegression": _supervised(analytics.LinearRegression),
    "PCA": Case(lambda: analytics.PCA(1), _numbers, RANGES, lambda m, d: m.fit(_x(d)), lambda m, d: m.transform(_x(d))),
    "RandomForestClassifier": _supervised(
        lambda: analytics.RandomForestClassifier(2, 2, max_bins=4, bootstrap=False), "label", "predict_proba"
    ),
    "RandomForestRegressor": _supervised(lambda: analytics.RandomForestRegressor(2, 2, max_bins=4, bootstrap=False)),
    "Ridge": _supervised(lambda: analytics.Ridge(alpha=2.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_conformance(name):
    check_all(CASES[name])


class _Leaky(analytics.LinearRegression):
    """Depends on values that it should not see: the number of its operations follows a hidden counter."""

    calls = 0

    def predict(self, X):
        type(self).calls += 1
        found = super().predict(X)
        for _ in range(type(self).calls % 2):
            found = found.clip(-1.0, 1.0)
        return found


def test_the_suite_finds_costs_that_change():
    with pytest.raises(AssertionError, match="depend on the data"):
        check_oblivious(_supervised(_Leaky))


class _Forgetful(analytics.LinearRegression):
    def predict(self, X):
        if not hasattr(self, "seen"):
            raise UserError("call fit first")
        return super().predict(X)

    def fit(self, X, y, sample_weight=None, where=None):
        self.seen = True
        return super().fit(X, y, sample_weight, where)


def test_the_suite_finds_models_that_cannot_be_restored():
    with pytest.raises(UserError, match="call fit first"):
        check_restored(_supervised(_Forgetful))
