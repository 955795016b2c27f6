"""Naive Bayes classifiers against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

import quorate as q
from quorate import fixed
from quorate.analytics.classification.discrete import BernoulliNB, CategoricalNB, MultinomialNB
from quorate.analytics.classification.gaussian import GaussianNB
from quorate.analytics.dependent import NarrowColumnsWarning
from quorate.errors import UserError
from quorate.lang.known import Known, reference
from quorate.sharing.dtype import BOOL

datasets = pytest.importorskip("sklearn.datasets")
plain = pytest.importorskip("sklearn.naive_bayes")


def _used(model, X, y, protocol="clear", parties=None, where=None, ranges=None):
    """The opened model, probabilities, classes and score on the same rows."""
    with q.simulate(protocol=protocol, parties=parties) as net:
        secret, target = net.secret(X, range=ranges), net.secret(y, range=(0, model.classes - 1))
        hidden = {} if where is None else {"where": net.secret(where)}
        model.fit(secret, target, **hidden)
        return net.reveal(model, model.predict_proba(secret), model.predict(secret), model.score(secret, target))


def _agrees(opened, expected, X, y, tolerance=1e-3):
    model, shares, found, score = opened
    assert np.allclose(model.class_count_, expected.class_count_)
    assert np.abs(shares - expected.predict_proba(X)).max() < tolerance
    assert np.array_equal(found, expected.predict(X))
    assert score == pytest.approx(expected.score(X, y), abs=1e-4)


@pytest.mark.parametrize(("protocol", "parties"), [("clear", None), ("rep3", 3), ("shamir", 3), ("semi2k", 2)])
def test_gaussian_on_iris(protocol, parties):
    X, y = datasets.load_iris(return_X_y=True)
    expected = plain.GaussianNB(var_smoothing=0).fit(X, y)
    opened = _used(GaussianNB(classes=3), X, y, protocol, parties)
    _agrees(opened, expected, X, y)
    assert np.allclose(opened[0].theta_, expected.theta_, rtol=1e-4)
    assert np.allclose(opened[0].var_, expected.var_, rtol=1e-3)
    assert np.allclose(np.exp(opened[0].class_log_prior_), expected.class_prior_, rtol=1e-4)


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_gaussian_with_columns_of_different_reach(name):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    expected = plain.GaussianNB(var_smoothing=0).fit(X, y)
    opened = _used(GaussianNB(classes=int(y.max()) + 1), X, y)
    _agrees(opened, expected, X, y, tolerance=2e-3)
    assert np.allclose(opened[0].theta_, expected.theta_, rtol=1e-4)
    assert np.allclose(opened[0].var_, expected.var_, rtol=1e-4)


def test_gaussian_rows_that_do_not_count_and_classes_without_rows():
    X, y = datasets.load_iris(return_X_y=True)
    where = (np.arange(150) % 2 == 0) & (y < 2)
    expected = plain.GaussianNB(var_smoothing=0).fit(X[where], y[where])
    model, shares, found, _ = _used(GaussianNB(classes=3), X, y, where=where)
    assert model.class_count_.tolist() == [25, 25, 0]
    assert np.allclose(model.theta_[:2], expected.theta_, rtol=1e-4)
    assert (found < 2).all()
    assert np.abs(shares[y < 2][:, :2] - expected.predict_proba(X[y < 2])).max() < 1e-3


def test_gaussian_of_a_constant_column():
    X = np.column_stack([np.repeat([0.0, 1.0], 10), np.full(20, 5.0)])
    with pytest.warns(NarrowColumnsWarning, match="of x0, x1 within"):
        model, shares, found, _ = _used(GaussianNB(), X, np.repeat([0, 1], 10))
    assert np.isfinite(shares).all()
    assert np.array_equal(found, np.repeat([0, 1], 10))
    assert (model.var_ > 0).all()


@pytest.mark.parametrize(("most", "precise"), [(2e6, True), (1e8, False)])
def test_gaussian_of_a_range_far_too_wide_is_right_or_told(most, precise):
    y = np.repeat([0, 1], 50)
    cost = 8000 + 2000 * y + np.random.default_rng(0).normal(0, 1000, 100).round()
    expected = plain.GaussianNB(var_smoothing=0).fit(cost[:, None], y)
    with q.simulate(protocol="rep3", seed=1) as net:
        data = net.secret({"cost": cost}, range={"cost": (0, most)}, scale=0)
        model = GaussianNB().fit(data, net.secret(y, range=(0, 1)))
        shares = model.predict_proba(data)
        if precise:
            shares, found = net.reveal(shares, model)
            np.testing.assert_allclose(found.var_, expected.var_, rtol=1e-3)
            np.testing.assert_allclose(shares, expected.predict_proba(cost[:, None]), atol=2e-3)
        else:
            with pytest.warns(NarrowColumnsWarning, match="cost"):
                model.reveal()


def test_gaussian_on_other_ranges_than_it_was_fitted_to():
    X, y = datasets.load_iris(return_X_y=True)
    fresh = np.vstack([X[::10], [[60.0, 3.0, 4.0, 1.0]]])
    expected = plain.GaussianNB(var_smoothing=0).fit(X, y).predict(fresh)
    with q.simulate(protocol="clear") as net:
        model = GaussianNB(classes=3).fit(net.secret(X), net.secret(y, range=(0, 2)))
        found = model.predict(net.secret(fresh, range=(0, 100))).reveal()
    assert np.array_equal(found, expected)


@pytest.fixture(scope="module")
def categories():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    return np.stack([(y + rng.integers(0, 2, 90)) % 3, rng.integers(0, 4, 90), np.minimum(y, 1)], axis=1), y


@pytest.mark.parametrize(("protocol", "parties"), [("clear", None), ("rep3", 3), ("shamir", 3), ("semi2k", 2)])
def test_categories(categories, protocol, parties):
    X, y = categories
    expected = plain.CategoricalNB(alpha=0.5).fit(X, y)
    limits = [(0, 2), (0, 3), (0, 1)]
    opened = _used(CategoricalNB(classes=3, alpha=0.5), X, y, protocol, parties, ranges=limits)
    _agrees(opened, expected, X, y)
    for found, wanted in zip(opened[0].feature_log_prob_, expected.feature_log_prob_, strict=True):
        assert np.allclose(found, wanted, atol=1e-4)
    for found, wanted in zip(opened[0].category_count_, expected.category_count_, strict=True):
        assert np.array_equal(found, wanted)


def test_categories_that_cannot_be(categories):
    X, y = categories
    for model, limits, message in (
        (CategoricalNB(3, categories=[3, 4]), (0, 3), "2 numbers for 3 features"),
        (CategoricalNB(3, categories=3), (0, 3), "3 categories are integers"),
        (CategoricalNB(3), (-1, 3), "declared range 0 to 3"),
        (CategoricalNB(3, alpha=0.0), (0, 3), "alpha"),
    ):
        with pytest.raises(UserError, match=message):
            _used(model, X, y, ranges=limits)


def test_features_that_are_there_or_not():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 100)
    X = rng.normal(y[:, None] * [0.5, -1.0, 0.0], 1.0)
    expected = plain.BernoulliNB(alpha=2.0).fit(X, y)
    opened = _used(BernoulliNB(alpha=2.0), X, y)
    _agrees(opened, expected, X, y)
    assert np.allclose(opened[0].feature_log_prob_, expected.feature_log_prob_, atol=1e-4)
    flags = (X > 0).astype(int)
    _agrees(_used(BernoulliNB(alpha=2.0, binarize=None), flags, y, ranges=(0, 1)), expected, X, y)
    with pytest.raises(UserError, match="compare first"):
        _used(BernoulliNB(binarize=None), X, y)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_counts(protocol):
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 60)
    X = rng.poisson(np.array([[5, 1, 2, 0.5], [1, 5, 2, 0.5], [2, 2, 2, 3]])[y])
    expected = plain.MultinomialNB().fit(X, y)
    opened = _used(MultinomialNB(classes=3), X, y, protocol)
    _agrees(opened, expected, X, y)
    assert np.allclose(opened[0].feature_log_prob_, expected.feature_log_prob_, atol=1e-4)
    with pytest.raises(UserError, match="negative"):
        _used(MultinomialNB(classes=3), X - 20, y)


def test_digits_as_shares_of_ink():
    X, y = datasets.load_digits(return_X_y=True)
    X, y = X[:300, 8:40] / 16, y[:300]
    expected = plain.MultinomialNB(alpha=0.25).fit(X, y)
    opened = _used(MultinomialNB(classes=10, alpha=0.25), X, y, ranges=(0, 1))
    assert np.mean(opened[2] == expected.predict(X)) > 0.99
    assert np.allclose(opened[0].feature_log_prob_, expected.feature_log_prob_, atol=1e-3)


def test_owners_of_rows_and_of_columns():
    X, y = datasets.load_iris(return_X_y=True)
    expected = plain.GaussianNB(var_smoothing=0).fit(X[:, :2], y > 0)

    @q.computation
    def rows(a, b):
        both = {name: q.concatenate([a[name], b[name]]) for name in ("x", "z", "y")}
        model = GaussianNB().fit({"x": both["x"], "z": both["z"]}, both["y"])
        return {"model": model, "classes": model.predict({"x": both["x"], "z": both["z"]})}

    @q.computation
    def cols(a, b):
        a, b = q.align(a, b)
        return {"classes": GaussianNB().fit([a.x, b.z], a.y).predict([a.x, b.z])}

    parts = [{"x": X[part, 0], "z": X[part, 1], "y": y[part] > 0} for part in (slice(70), slice(70, None))]
    found = rows.simulate(protocol="clear", a=parts[0], b=parts[1])
    assert np.array_equal(found["classes"], expected.predict(X[:, :2]))
    found = cols.simulate(protocol="clear", a={"x": X[:, 0], "y": y > 0}, b={"z": X[:, 1]})
    assert np.array_equal(found["classes"], expected.predict(X[:, :2]))
    table = {"x": fixed(16), "z": fixed(16), "y": BOOL}
    bounds = {(name, c): (0, 8 << 16) for name in "ab" for c in "xz"} | {("a", "y"): (0, 1), ("b", "y"): (0, 1)}
    plan = rows.trace({"a": table, "b": table}, known=Known(bounds, {"a": 1000, "b": 1000}, reference("rep3")))
    assert {"model.unit_theta_", "model.class_log_prior_", "classes"} <= set(plan.outputs)


def test_what_is_not_fitted_or_does_not_fit():
    with q.simulate(protocol="clear") as net:
        X, y = net.secret(np.zeros((4, 2)), range=(0, 1)), net.secret(np.array([0, 1, 0, 1]))
        with pytest.raises(UserError, match="not fitted"):
            GaussianNB().predict(X)
        with pytest.raises(UserError, match="fitted to 2"):
            GaussianNB().fit(X, y).predict(X[:, :1])
        with pytest.raises(UserError, match="rows"):
            GaussianNB().fit(X, y[:3])
        with pytest.raises(UserError, match="classes"):
            GaussianNB(classes=1).fit(X, y)
