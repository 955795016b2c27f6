"""Boosted trees: the steps of a reference in NumPy, and the quality of scikit-learn's boosting by histograms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets, ensemble
from tests.analytics.trees_reference import Reference

from quorate.analytics.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from quorate.interactive.net import simulate

STEPS = 3


def _fit(model, X, y, protocol="clear", **options):
    with simulate(protocol=protocol) as net:
        rows, target = net.secret(X), net.secret(y)
        fitted = model.fit(rows, target, **options)
        found = [fitted.predict(rows), fitted.score(rows, target)]
        if hasattr(model, "predict_proba"):
            found.append(fitted.predict_proba(rows))
        opened, *found = net.reveal(fitted, *found)
        return opened, *found


def _as_stored(X):
    with simulate(protocol="clear") as net:
        return net.secret(X).reveal()


def _regression(X, y, edges, steps, rate, penalty):
    """Values of the leaves of all trees, and the last prediction, for y within [-1, 1]."""
    said, values = np.full(len(y), y.mean()), []
    for _ in range(steps):
        tree = Reference(X, edges, (y - said)[:, None], np.ones(len(y)), 3, 5, penalty)
        said = said + rate * tree.said()[:, 0]
        values.append(rate * tree.values[:, 0])
    return np.array(values), said


def _classification(X, y, edges, steps, rate, penalty):
    """The same for log-odds of two classes."""
    said = np.full(len(y), np.log(y.mean() / (1 - y.mean())))
    values = []
    for _ in range(steps):
        p = 1 / (1 + np.exp(-said))
        tree = Reference(X, edges, (y - p)[:, None], p * (1 - p), 3, 5, penalty)
        said = said + rate * tree.said()[:, 0]
        values.append(rate * tree.values[:, 0])
    return np.array(values), said


@pytest.mark.parametrize("penalty", [1.0, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.0, 2.5))])
def test_regressor_takes_the_steps_of_the_reference(penalty):
    X, y = datasets.load_diabetes(return_X_y=True)
    opened, found, score = _fit(GradientBoostingRegressor(STEPS, 0.3, 3, max_bins=16, reg_lambda=penalty), X, y)
    values, said = _regression(_as_stored(X), y, opened.edges_, STEPS, 0.3, penalty)
    assert np.abs(opened.values_[..., 0] - values).max() < 0.01
    assert np.abs(found - said).max() < 0.02
    assert np.abs(found - opened.predict(X)).max() < 0.01
    assert score == pytest.approx(1 - ((said - y) ** 2).mean() / y.var(), abs=1e-3)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_classifier_takes_the_steps_of_the_reference(penalty):
    X, y = datasets.load_breast_cancer(return_X_y=True)
    model = GradientBoostingClassifier(STEPS, 0.3, 3, max_bins=16, reg_lambda=penalty)
    opened, found, score, shares = _fit(model, X, y)
    values, said = _classification(_as_stored(X), y, opened.edges_, STEPS, 0.3, penalty)
    assert np.abs(opened.values_[..., 0] - values).max() < 2e-3
    assert np.abs(shares[:, 1] - 1 / (1 + np.exp(-said))).max() < 2e-3
    assert np.abs(opened.predict_proba(X) - shares).max() < 1e-3
    sure = np.abs(said) > 0.01
    assert np.array_equal(found[sure], said[sure] > 0)
    assert score == pytest.approx((found == y).mean(), abs=1e-4)


def _plain(kind, steps):
    return kind(
        max_iter=steps, max_depth=4, min_samples_leaf=5, max_bins=32, l2_regularization=1.0, max_leaf_nodes=None,
        early_stopping=False,
    )  # fmt: skip


def test_regressor_is_as_good_as_scikit_learn():
    X, y = datasets.load_diabetes(return_X_y=True)
    *_, score = _fit(GradientBoostingRegressor(), X, y)
    assert score > _plain(ensemble.HistGradientBoostingRegressor, 20).fit(X, y).score(X, y) - 0.02


@pytest.mark.parametrize("load", [datasets.load_breast_cancer, datasets.load_iris, datasets.load_wine])
def test_classifier_is_as_good_as_scikit_learn(load):
    X, y = load(return_X_y=True)
    _, _, score, shares = _fit(GradientBoostingClassifier(10), X, y)
    plain = _plain(ensemble.HistGradientBoostingClassifier, 10).fit(X, y)
    assert score > plain.score(X, y) - 0.02
    assert np.abs(shares - plain.predict_proba(X)).mean() < 0.03


@pytest.mark.slow
def test_digits():
    X, y = datasets.load_digits(return_X_y=True)
    X = X.astype(int)
    _, _, score, _ = _fit(GradientBoostingClassifier(3, 0.5, 4), X, y)
    plain = _plain(ensemble.HistGradientBoostingClassifier, 3).set_params(learning_rate=0.5).fit(X, y)
    assert score > plain.score(X, y) - 0.02
