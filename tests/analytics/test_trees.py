"""Decision trees: the splits of a reference in NumPy, the accuracy of scikit-learn, defined results on bad input."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets, tree
from tests.analytics.trees_reference import Reference

from quorate.analytics.trees.tree import DecisionTreeClassifier, DecisionTreeRegressor
from quorate.interactive.net import simulate


def _fit(model, X, y, protocol="clear", **options):
    with simulate(protocol=protocol) as net:
        rows, target = net.secret(X), net.secret(y)
        fitted = model.fit(rows, target, **options)
        opened = fitted.reveal()
        return opened, fitted.predict(rows).reveal()


def _as_stored(X):
    """Rows as a session stores them, so that comparisons with thresholds come out the same."""
    with simulate(protocol="clear") as net:
        return net.secret(X).reveal()


def _one_hot(y):
    return (y[:, None] == np.unique(y)).astype(float)


SETS = {"iris": datasets.load_iris, "wine": datasets.load_wine, "cancer": datasets.load_breast_cancer}


@pytest.mark.parametrize("name", SETS)
def test_classifier_has_the_splits_of_the_reference(name):
    X, y = SETS[name](return_X_y=True)
    opened, found = _fit(DecisionTreeClassifier(max_depth=3, max_bins=16), X, y)
    outputs = _one_hot(y) if len(set(y)) > 2 else y[:, None].astype(float)
    expected = Reference(_as_stored(X), opened.edges_, outputs, np.ones(len(y)), 3, 5)
    assert opened.splits_[0].tolist() == expected.splits.tolist()
    assert np.abs(opened.values_[0] - expected.values).max() < 1e-5
    assert np.array_equal(found, opened.predict(X))


@pytest.mark.parametrize("depth", [2, 4])
def test_regressor_has_the_splits_of_the_reference(depth):
    X, y = datasets.load_diabetes(return_X_y=True)
    opened, found = _fit(DecisionTreeRegressor(max_depth=depth, max_bins=16), X, y)
    expected = Reference(_as_stored(X), opened.edges_, y[:, None] / 256, np.ones(len(y)), depth, 5)
    assert opened.splits_[0].tolist() == expected.splits.tolist()
    assert np.abs(found - 256 * expected.said()[:, 0]).max() < 1e-2
    assert np.abs(found - opened.predict(X)).max() < 1e-9


@pytest.mark.parametrize(("name", "distance"), [("iris", 0.02), ("wine", 0.03), ("cancer", 0.03)])
def test_classifier_is_as_accurate_as_scikit_learn(name, distance):
    X, y = SETS[name](return_X_y=True)
    _, found = _fit(DecisionTreeClassifier(max_depth=3), X, y)
    plain = tree.DecisionTreeClassifier(max_depth=3, min_samples_leaf=5).fit(X, y)
    assert (found == y).mean() > plain.score(X, y) - distance


def test_regressor_is_as_good_as_scikit_learn():
    X, y = datasets.load_diabetes(return_X_y=True)
    _, found = _fit(DecisionTreeRegressor(), X, y)
    plain = tree.DecisionTreeRegressor(max_depth=4, min_samples_leaf=5).fit(X, y)
    assert 1 - ((found - y) ** 2).mean() / y.var() > plain.score(X, y) - 0.02


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_the_same_tree_under_every_protocol(protocol):
    X, y = datasets.load_iris(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=2, max_bins=8)
    plain, said = _fit(model, X[::2], y[::2])
    opened, found = _fit(model, X[::2], y[::2], protocol)
    assert opened.splits_.tolist() == plain.splits_.tolist()
    assert np.array_equal(found, said)
