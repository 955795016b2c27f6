"""Random forests: each tree is that of the reference on the same draws, and forests are as good as scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets, ensemble
from tests.analytics.trees_reference import Reference

from quorate.analytics.trees.forest import RandomForestClassifier, RandomForestRegressor
from quorate.analytics.trees.sampling import bootstrapped, features_of
from quorate.errors import UserError
from quorate.interactive.net import simulate
from quorate.lang.computation import computation

TREES = 3


def _fit(model, X, y, protocol="clear"):
    with simulate(protocol=protocol) as net:
        rows, target = net.secret(X), net.secret(y)
        fitted = model.fit(rows, target)
        opened, found, score = net.reveal(fitted, fitted.predict(rows), fitted.score(rows, target))
        often = bootstrapped(target, model.random_state, model.n_estimators)
        return opened, found, score, often, rows.reveal()


def test_trees_are_those_of_the_reference():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(TREES, 3, max_bins=8, random_state=4)
    opened, found, _, often, rows = _fit(model, X, y)
    model.n_features_in_, model.edges_ = 30, opened.edges_
    permitted = model._permitted(5)
    for k in range(TREES):
        own = [flags[:, k << level : (k + 1) << level] for level, flags in enumerate(permitted)]
        weighted = (y * often[k])[:, None].astype(float)
        expected = Reference(
            rows, opened.edges_, weighted, often[k].astype(float), 3, 5, chosen=often[k] > 0, permitted=own
        )
        assert opened.splits_[k].tolist() == expected.splits.tolist()
        assert np.abs(TREES * opened.values_[k] - expected.values).max() < 1e-4
    assert np.array_equal(found, opened.predict(X))


def test_draws_are_what_they_should_be():
    with simulate(protocol="clear") as net:
        often = bootstrapped(net.secret(np.arange(400.0)), 1, 2)
    assert often.sum(1).tolist() == [400, 400]
    assert 0.55 < (often > 0).mean() < 0.7
    assert not np.array_equal(*often)
    flags = features_of(1, 0, 30, 50, 5)
    assert (flags.sum(0) == 5).all()
    assert flags.any(1).all()


@pytest.mark.parametrize("load", [datasets.load_breast_cancer, datasets.load_wine, datasets.load_iris])
def test_classifier_is_as_good_as_scikit_learn(load):
    X, y = load(return_X_y=True)
    *_, score, _, _ = _fit(RandomForestClassifier(10), X, y)
    plain = ensemble.RandomForestClassifier(10, max_depth=4, min_samples_leaf=5, random_state=0)
    assert score > plain.fit(X, y).score(X, y) - 0.03


def test_regressor_is_as_good_as_scikit_learn():
    X, y = datasets.load_diabetes(return_X_y=True)
    opened, found, score, _, _ = _fit(RandomForestRegressor(10), X, y)
    plain = ensemble.RandomForestRegressor(10, max_depth=4, min_samples_leaf=5, max_features=1 / 3, random_state=0)
    assert score > plain.fit(X, y).score(X, y) - 0.03
    assert np.abs(found - opened.predict(X)).max() < 1e-6


def test_without_draws_all_trees_are_one():
    X, y = datasets.load_iris(return_X_y=True)
    opened, *_ = _fit(RandomForestClassifier(2, 2, max_bins=8, max_features=4, bootstrap=False), X, y)
    assert opened.splits_[0].tolist() == opened.splits_[1].tolist()
    assert np.array_equal(opened.values_[0], opened.values_[1])


def test_under_rep3():
    X, y = datasets.load_iris(return_X_y=True)
    model = RandomForestClassifier(2, 2, max_bins=4)
    plain, secret = (_fit(model, X, y, protocol)[0] for protocol in ("clear", "rep3"))
    assert plain.splits_.tolist() == secret.splits_.tolist()


def test_draws_need_a_number_of_rows():
    @computation
    def trained(data):
        return {"model": RandomForestRegressor(2).fit({"a": data.a}, data.b)}

    from quorate.lang.known import Known, reference
    from quorate.sharing.dtype import fixed

    known = Known({("data", name): (0, 1 << 20) for name in "ab"}, {"data": 50}, reference())
    with pytest.raises(UserError, match="number of rows that is known"):
        trained.trace({"data": {"a": fixed(16), "b": fixed(16)}}, None, known)
