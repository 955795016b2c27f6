"""The methods that `quorate bench analytics` measures, and what plaintext libraries find on the same data."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quorate import analytics
from quorate.bench.workloads.data import spread
from quorate.bench.workloads.methods import Method, Values
from quorate.lang.array import SecretArray, Table

__all__ = ["ANALYSIS"]

FEATURES = 8
Floats = npt.NDArray[np.float64]


def _normal(index: int, rows: int) -> Floats:
    """About normal, the same on every machine: sums of twelve uniform numbers."""
    parts = [np.ldexp(spread(12 * index + k, 0, rows, 30).astype(np.float64), -30) for k in range(12)]
    total: Floats = np.sum(parts, axis=0) / 2.0
    return np.round(total, 6)


def _features(rows: int, count: int = FEATURES) -> Floats:
    return np.stack([_normal(k, rows) for k in range(count)], axis=1)


def _named(X: Floats, **others: npt.NDArray[Any]) -> Values:
    return {f"data.f{k}": X[:, k] for k in range(X.shape[1])} | {f"data.{name}": y for name, y in others.items()}


def _matrix(values: Values) -> Floats:
    return np.stack([values[name] for name in values if name.startswith("data.f")], axis=1)


def _columns(data: Table) -> dict[str, SecretArray]:
    return {name: data[name] for name in data if name.startswith("f")}


# -- least squares -----------------------------------------------------------------------------------------------------


def _linear_data(rows: int) -> Values:
    X = _features(rows)
    return _named(X, y=np.round(X @ np.arange(1.0, FEATURES + 1) + _normal(50, rows) + 5, 6))


def _linear(data: Table) -> dict[str, Any]:
    return {"model": analytics.LinearRegression().fit(_columns(data), data["y"])}


def _linear_expected(values: Values) -> Values:
    import statsmodels.api as sm

    found = sm.OLS(values["data.y"], sm.add_constant(_matrix(values))).fit()
    return {"model.coef_": found.params[1:], "model.standard_errors_": found.bse[1:]}


# -- generalised linear models -----------------------------------------------------------------------------------------


def _logistic_data(rows: int) -> Values:
    X = _features(rows)
    odds = X @ np.linspace(-1.0, 1.0, FEATURES) + 0.5
    chance = np.ldexp(spread(205, 0, rows, 30, signed=False).astype(np.float64), -30)
    return _named(X, label=(chance * (1 + np.exp(-odds)) < 1).astype(np.int64))


def _logistic(data: Table) -> dict[str, Any]:
    return {"model": analytics.LogisticRegression(penalty=None, max_iter=7).fit(_columns(data), data["label"])}


def _logistic_expected(values: Values) -> Values:
    import statsmodels.api as sm

    found = sm.Logit(values["data.label"], sm.add_constant(_matrix(values))).fit(disp=0)
    return {"model.coef_": found.params[1:], "model.standard_errors_": found.bse[1:]}


BATCH, EPOCHS, RATE, WIDE = 128, 10, 0.5, 50


def _batches_data(rows: int) -> Values:
    """50 features within [-1, 1], and on which side of a plane they are."""
    X = np.stack([np.ldexp(spread(600 + k, 0, rows, 16).astype(np.float64), -16) for k in range(WIDE)], axis=1)
    return _named(X, label=(X @ (np.arange(WIDE) % 7 - 3.0) > 0).astype(np.int64))


def _batches(data: Table) -> dict[str, Any]:
    model = analytics.LogisticRegression(
        penalty=None, fit_intercept=False, solver="minibatch", batch_size=BATCH, epochs=EPOCHS, learning_rate=RATE
    )
    return {"model": model.fit(_columns(data), data["label"])}


def _batches_expected(values: Values) -> Values:
    X, y, slopes = _matrix(values), values["data.label"], np.zeros(WIDE)
    for _ in range(EPOCHS):
        for start in range(0, len(y), BATCH):
            x, label = X[start : start + BATCH], y[start : start + BATCH]
            slopes += x.T @ (label - 1 / (1 + np.exp(-x @ slopes))) * (RATE / len(label))
    return {"model.coef_": slopes}


# -- clusters and components -------------------------------------------------------------------------------------------

CLUSTERS = 5
STARTS = np.array([[3.0 * ((k >> j % 3) & 1) - 1.5 + 0.2 * k for j in range(FEATURES)] for k in range(CLUSTERS)])
COMPONENTS = 3


def _clusters_data(rows: int) -> Values:
    chosen = spread(501, 0, rows, 30, signed=False) % CLUSTERS
    return _named(np.round(1.2 * STARTS[chosen] + _features(rows), 6))


def _clusters(data: Table) -> dict[str, Any]:
    return {"model": analytics.KMeans(CLUSTERS, init=STARTS, max_iter=10).fit(_columns(data))}


def _clusters_expected(values: Values) -> Values:
    from sklearn.cluster import KMeans

    found = KMeans(CLUSTERS, init=STARTS, n_init=1, max_iter=10, tol=0, algorithm="lloyd").fit(_matrix(values))
    return {"model.cluster_centers_": found.cluster_centers_, "model.inertia_": np.asarray(found.inertia_)}


def _components_data(rows: int) -> Values:
    return _named(np.round(_features(rows) @ np.diag(np.linspace(2.0, 0.6, FEATURES)), 6))


def _components(data: Table) -> dict[str, Any]:
    return {"model": analytics.PCA(COMPONENTS).fit(_columns(data))}


def _components_expected(values: Values) -> Values:
    from sklearn.decomposition import PCA

    found = PCA(COMPONENTS).fit(_matrix(values))
    return {"model.components_": found.components_, "model.explained_variance_": found.explained_variance_}


# -- statistics --------------------------------------------------------------------------------------------------------

WARDS = 8


def _statistics_data(rows: int) -> Values:
    chosen = spread(401, 0, rows, 3, signed=False)
    return {"data.x": np.round(_normal(400, rows), 3), "data.ward": chosen % WARDS}


def _statistics(data: Table) -> dict[str, Any]:
    x, ward = data["x"], data["ward"]
    return {
        "grouped": analytics.grouped([x], ward, ["count", "mean", "std"], groups=WARDS),
        "ranks": analytics.mannwhitneyu(x, by=ward >= WARDS // 2),
    }


def _statistics_expected(values: Values) -> Values:
    from scipy.stats import mannwhitneyu

    x, ward = values["data.x"], values["data.ward"]
    sizes = np.bincount(ward, minlength=WARDS)
    sums = np.bincount(ward, weights=x, minlength=WARDS)
    u = mannwhitneyu(x[ward < WARDS // 2], x[ward >= WARDS // 2]).statistic
    return {"grouped.n": sizes, "grouped.sum_0": sums, "ranks.twice_u": np.asarray(2 * u)}


# -- survival ----------------------------------------------------------------------------------------------------------

WEEKS = np.arange(1, 53)


def _curve_data(rows: int) -> Values:
    return {
        "data.week": 1 + spread(201, 0, rows, 30, signed=False) % 52,
        "data.event": spread(202, 0, rows, 1, signed=False) % 2,
    }


def _curve(data: Table) -> dict[str, Any]:
    return {"model": analytics.KaplanMeier(WEEKS).fit(data["week"], data["event"])}


def _curve_expected(values: Values) -> Values:
    import lifelines

    found = lifelines.KaplanMeierFitter().fit(values["data.week"], values["data.event"])
    return {"model.survival_": found.survival_function_at_times(WEEKS).to_numpy()}


def _hazards_data(rows: int) -> Values:
    X = _features(rows)
    chance = np.ldexp(spread(203, 0, rows, 30, signed=False) + 1.0, -30)
    until = -60.0 * np.log(chance) * np.exp(-X @ np.linspace(-0.5, 0.5, FEATURES))
    observed = 10 + spread(204, 0, rows, 30, signed=False) % 43
    week = np.ceil(np.minimum(until, observed)).clip(1).astype(np.int64)
    return _named(X, week=week, event=(until <= observed).astype(np.int64))


def _hazards(data: Table) -> dict[str, Any]:
    return {"model": analytics.CoxRegression(grid=WEEKS).fit(_columns(data), data["week"], data["event"])}


def _hazards_expected(values: Values) -> Values:
    import lifelines
    import pandas as pd

    frame = pd.DataFrame({name.partition(".")[2]: column for name, column in values.items()})
    found = lifelines.CoxPHFitter().fit(frame, "week", "event")
    return {"model.coef_": found.params_.to_numpy(), "model.standard_errors_": found.standard_errors_.to_numpy()}


# -- trees -------------------------------------------------------------------------------------------------------------

BOOSTED = 20
"""Trees, and features."""


def _boosting_data(rows: int) -> Values:
    X = _features(rows, BOOSTED)
    odds = X[:, 0] + X[:, 1] * X[:, 2] - np.abs(X[:, 3]) + _normal(300, rows) / 2
    return _named(X, label=(odds > -0.5).astype(np.int64))


def _boosting(data: Table) -> dict[str, Any]:
    model = analytics.GradientBoostingClassifier(BOOSTED).fit(_columns(data), data["label"])
    return {"model": model, "accuracy": model.score(_columns(data), data["label"])}


def _boosting_expected(values: Values) -> Values:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=BOOSTED, max_depth=4, max_leaf_nodes=None, min_samples_leaf=5, max_bins=32, l2_regularization=1.0,
        early_stopping=False,
    )  # fmt: skip
    X, y = _matrix(values), values["data.label"]
    return {"accuracy": np.asarray(model.fit(X, y).score(X, y))}


# -- genome-wide association -------------------------------------------------------------------------------------------

PEOPLE = 1000
COVARIATES = 4
BLOCK = 5000
"""Variants that are looked at together in clear."""


def _genotypes(variants: int) -> npt.NDArray[np.int8]:
    """Copies of the rarer allele, of frequency 0.05 to 0.5, shape (variants, PEOPLE)."""
    rare = 13 + spread(400, 0, variants, 16, signed=False) % 116
    found = np.empty((variants, PEOPLE), np.int8)
    for k in range(variants):
        both = spread(401, k * PEOPLE, PEOPLE, 16, signed=False)
        found[k] = (both % 256 < rare[k]).astype(np.int8) + (both // 256 < rare[k])
    return found


def _gwas_data(variants: int) -> Values:
    genotypes = _genotypes(variants)
    X = _features(PEOPLE, COVARIATES)
    ill = X[:, 0] / 2 + genotypes[0] - genotypes[-1] + _normal(402, PEOPLE) > 0
    return _named(X, ill=ill.astype(np.int64)) | {"genomes.copies": genotypes.T.reshape(-1)}


def _gwas(data: Table, genomes: Table) -> dict[str, Any]:
    genotypes = genomes["copies"].reshape(PEOPLE, -1)
    return {"tested": analytics.GWAS().fit(data["ill"], _columns(data)).test_variants(genotypes)}


def _gwas_expected(values: Values) -> Values:
    """Squared partial correlations, by projecting the covariates out of blocks of variants and of the trait."""
    genotypes = values["genomes.copies"].reshape(PEOPLE, -1)
    basis, _ = np.linalg.qr(np.column_stack([np.ones(PEOPLE), _matrix(values)]))
    ill = values["data.ill"] - basis @ (basis.T @ values["data.ill"])
    shares = []
    for start in range(0, genotypes.shape[1], BLOCK):
        block = genotypes[:, start : start + BLOCK].astype(np.float64)
        block -= basis @ (basis.T @ block)
        shares.append((ill @ block) ** 2 / ((block * block).sum(0) * (ill @ ill)))
    return {"tested.share_": np.concatenate(shares)}


ANALYSIS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("least_squares", _linear_data, _linear, _linear_expected, (100_000,), tolerance=1e-3),
        Method("logistic", _logistic_data, _logistic, _logistic_expected, (100_000,), tolerance=1e-3),
        Method(
            "logistic_batches",
            _batches_data,
            _batches,
            _batches_expected,
            (1_000,),
            tolerance=0.01,
            ranges={f"data.f{k}": (-1, 1) for k in range(WIDE)},
        ),
        Method("kmeans", _clusters_data, _clusters, _clusters_expected, (100_000,), tolerance=1e-3),
        Method("pca", _components_data, _components, _components_expected, (100_000,), tolerance=1e-3),
        Method("statistics", _statistics_data, _statistics, _statistics_expected, (100_000,), tolerance=1e-4),
        Method("kaplan_meier", _curve_data, _curve, _curve_expected, (100_000,), tolerance=1e-6),
        Method("cox", _hazards_data, _hazards, _hazards_expected, (10_000,), tolerance=1e-3),
        Method("gwas", _gwas_data, _gwas, _gwas_expected, (10_000,), tolerance=1e-3, ranges={"genomes.copies": (0, 2)}),
        Method("boosting", _boosting_data, _boosting, _boosting_expected, (10_000,), tolerance=0.03),
    )
}
