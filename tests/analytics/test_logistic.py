"""Logistic regression against statsmodels and scikit-learn, and what is defined for data that has no answer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import quorate as q
from quorate import fixed
from quorate.analytics.dependent import DependentColumnsWarning
from quorate.analytics.regression.logistic import LogisticRegression, SeparationWarning
from quorate.errors import UserError
from quorate.lang.known import Known, reference
from quorate.sharing.dtype import INT

sk = pytest.importorskip("sklearn.linear_model")
sm = pytest.importorskip("statsmodels.api")


@pytest.fixture(scope="module")
def cancer():
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(return_X_y=True)


def _simulated(rows=200, seed=3, features=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(0, [1.0, 4.0, 0.1][:features], (rows, features)) + [0.0, 50.0, 0.0][:features]
    eta = X @ [1.0, 0.2, -6.0][:features] - 10.0
    return X, (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(int)


def _logit(X, y, **options):
    return sm.Logit(y, sm.add_constant(X)).fit(disp=0, maxiter=100, **options)


def _fitted(X, y, protocol="clear", parties=None, fit=None, **options):
    with q.simulate(protocol=protocol, parties=parties) as net:
        model = LogisticRegression(**options)
        hidden = {name: net.secret(value) for name, value in (fit or {}).items()}
        return model.fit(net.secret(X), net.secret(y), **hidden).reveal()


def _all(opened):
    return np.append(opened.intercept_, opened.coef_)


def _errors(opened):
    return np.append(opened.intercept_error_, opened.standard_errors_)


@pytest.mark.parametrize(("protocol", "parties"), [("rep3", 3), pytest.param("clear", None, marks=pytest.mark.slow)])
def test_maximum_likelihood_in_raw_units(cancer, protocol, parties):
    X, y = cancer[0][:, [0, 1, 4, 8]], cancer[1]
    expected = _logit(X, y)
    opened = _fitted(X, y, protocol, parties, penalty=None)
    assert np.allclose(_all(opened), expected.params, rtol=1e-4)
    assert np.allclose(_errors(opened), expected.bse, rtol=1e-3)
    assert np.allclose(opened.z_, expected.tvalues[1:], rtol=1e-3)
    assert np.allclose(opened.p_values_, expected.pvalues[1:], rtol=2e-2)
    assert np.allclose(opened.conf_int_, expected.conf_int()[1:], rtol=1e-3)
    assert np.allclose(opened.ratios_, np.exp(expected.params[1:]), rtol=1e-3)
    assert opened.log_likelihood_ == pytest.approx(expected.llf, abs=1e-2)
    assert opened.converged_
    assert not opened.separated_
    assert opened.step_ < 1e-4


def test_penalised_with_thirty_features(cancer):
    X, y = (cancer[0] - cancer[0].mean(0)) / cancer[0].std(0), cancer[1]
    expected = sk.LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(X, y)
    opened = _fitted(X, y)
    assert np.abs(opened.coef_ - expected.coef_[0]).max() < 1e-4 * np.abs(expected.coef_).max()
    assert opened.intercept_ == pytest.approx(expected.intercept_[0], abs=1e-4)
    assert opened.converged_


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "parties"), [("rep3", 3), ("shamir", 3), ("semi2k", 2)])
def test_small_data_under_every_protocol(protocol, parties):
    X, y = _simulated(100, features=2)
    expected = _logit(X, y)
    opened = _fitted(X, y, protocol, parties, penalty=None, max_iter=7)
    assert np.allclose(_all(opened), expected.params, rtol=2e-3)
    assert np.allclose(_errors(opened), expected.bse, rtol=2e-3)


@pytest.mark.slow
def test_without_intercept_and_with_another_strength():
    X, y = _simulated()
    X = X - X.mean(0)
    expected = sk.LogisticRegression(C=0.1, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(X, y)
    opened = _fitted(X, y, C=0.1, fit_intercept=False)
    assert np.allclose(opened.coef_, expected.coef_[0], rtol=1e-3, atol=1e-4)
    assert opened.intercept_ == 0


def test_rows_that_do_not_count():
    X, y = _simulated()
    where = np.arange(len(y)) % 3 != 0
    expected = _logit(X[where], y[where])
    opened = _fitted(X, y, fit={"where": where}, penalty=None)
    assert np.allclose(_all(opened), expected.params, rtol=1e-3)
    assert np.allclose(_errors(opened), expected.bse, rtol=1e-3)
    assert opened.log_likelihood_ == pytest.approx(expected.llf, abs=1e-2)


def test_weights_of_rows():
    X, y = _simulated()
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(y))
    expected = sk.LogisticRegression(C=2.0, tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=weight)
    opened = _fitted(X, y, fit={"sample_weight": weight}, C=2.0)
    assert np.allclose(_all(opened), np.append(expected.intercept_, expected.coef_), rtol=2e-3)


@pytest.mark.slow
def test_several_classes_are_each_against_all_others():
    from sklearn.datasets import load_iris
    from sklearn.multiclass import OneVsRestClassifier

    X, y = load_iris(return_X_y=True)
    expected = OneVsRestClassifier(sk.LogisticRegression(tol=1e-10, max_iter=10_000)).fit(X, y)
    with q.simulate(protocol="clear") as net:
        secret, target = net.secret(X), net.secret(y)
        model = LogisticRegression(classes=3).fit(secret, target)
        opened, shares, found, score = net.reveal(
            model, model.predict_proba(secret), model.predict(secret), model.score(secret, target)
        )
    coefficients = np.concatenate([one.coef_ for one in expected.estimators_])
    assert np.abs(opened.coef_ - coefficients).max() < 1e-3 * np.abs(coefficients).max()
    assert np.abs(shares - expected.predict_proba(X)).max() < 1e-3
    assert np.array_equal(found, expected.predict(X))
    assert score == pytest.approx(expected.score(X, y), abs=1e-4)


def test_predictions_of_a_model_that_stays_secret(cancer):
    X, y = cancer[0][:, :4], cancer[1]
    expected = sk.LogisticRegression(tol=1e-10, max_iter=10_000).fit(X[:400], y[:400])
    with q.simulate(protocol="clear") as net:
        model = LogisticRegression().fit(net.secret(X[:400]), net.secret(y[:400]))
        fresh = net.secret(X[400:])
        shares, found = net.reveal(model.predict_proba(fresh), model.predict(fresh))
        score = model.score(fresh, net.secret(y[400:])).reveal()
    assert np.abs(shares - expected.predict_proba(X[400:])).max() < 1e-3
    assert np.mean(found == expected.predict(X[400:])) > 0.99
    assert score == pytest.approx(expected.score(X[400:], y[400:]), abs=0.01)


# -- owners ------------------------------------------------------------------------------------------------------------


def _known(**rows):
    names = {("a", "x"): 16, ("b", "x"): 16, ("a", "z"): 16, ("b", "z"): 16}
    bounds = {key: (-(8 << scale), 8 << scale) for key, scale in names.items()}
    return Known(bounds | {("a", "y"): (0, 1), ("b", "y"): (0, 1)}, rows, reference("rep3"))


def test_rows_of_two_owners_and_numbers_of_rows_that_are_not_known_yet():
    @q.computation
    def joint(a, b):
        X = {name: q.concatenate([a[name], b[name]]) for name in ("x", "z")}
        return {"model": LogisticRegression(penalty=None, max_iter=6).fit(X, q.concatenate([a.y, b.y]))}

    columns = {"x": fixed(16), "z": fixed(16), "y": INT}
    plan = joint.trace({"a": columns, "b": columns}, known=_known(a=500, b=500))
    assert {"model.coef_", "model.standard_errors_", "model.converged_"} <= set(plan.outputs)
    X, y = _simulated(120, features=2)
    X[:, 1] -= 50
    expected = _logit(X, y)
    parts = [{"x": X[part, 0], "z": X[part, 1], "y": y[part] > 0} for part in (slice(70), slice(70, None))]
    found = joint.simulate(protocol="clear", a=parts[0], b=parts[1])
    assert np.allclose(found["model"]["coef_"], expected.params[1:], rtol=2e-3)


def test_columns_of_two_owners():
    @q.computation
    def joint(a, b):
        a, b = q.align(a, b)
        return {"model": LogisticRegression(penalty=None, max_iter=7).fit({"x": a.x, "z": b.z}, a.y)}

    X, y = _simulated(120, features=2)
    expected = _logit(X, y)
    found = joint.simulate(protocol="clear", a={"x": X[:, 0], "y": y > 0}, b={"z": X[:, 1]})
    assert np.allclose(found["model"]["coef_"], expected.params[1:], rtol=2e-3)


# -- data without an answer --------------------------------------------------------------------------------------------


def test_separated_classes_are_told():
    x = np.linspace(-1, 1, 60)
    with pytest.warns(SeparationWarning, match="perfectly separated"):
        opened = _fitted(x[:, None], (x > 0.1).astype(int), penalty=None)
    assert (opened.converged_, opened.separated_) == (False, True)
    assert np.isfinite(_all(opened)).all()
    assert opened.coef_[0] > 0


def test_a_category_with_one_class_only_is_told():
    rng = np.random.default_rng(5)
    rare = np.arange(200) < 8
    y = np.where(rare, 1, rng.integers(0, 2, 200))
    with pytest.warns(SeparationWarning, match="category"):
        opened = _fitted(np.stack([rare, rng.normal(size=200)], axis=1), y, penalty=None)
    assert (opened.converged_, opened.separated_) == (False, False)


def test_separated_classes_have_a_penalised_answer():
    x = np.linspace(-1, 1, 60)[:, None]
    y = (x[:, 0] > 0.1).astype(int)
    expected = sk.LogisticRegression(tol=1e-10).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = _fitted(x, y)
    assert opened.coef_ == pytest.approx(expected.coef_[0], rel=1e-3)
    assert opened.converged_
    assert opened.separated_ == bool((expected.predict(x) == y).all())


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_only(value):
    X = np.random.default_rng(2).normal(size=(50, 2))
    with q.simulate(protocol="clear") as net:
        model = LogisticRegression(penalty=None).fit(net.secret(X), net.secret(np.full(50, value), range=(0, 1)))
        with pytest.warns(SeparationWarning):
            opened = model.reveal()
    assert (opened.converged_, opened.separated_) == (False, True)
    assert (opened.intercept_ > 3) == bool(value)


def test_constant_and_collinear_columns_get_no_coefficient():
    X, y = _simulated()
    wide = np.column_stack([X[:, 0], np.full(len(y), 7.0), X[:, 1], 2 * X[:, 0] - X[:, 1], X[:, 2]])
    expected = _logit(X, y)
    with pytest.warns(DependentColumnsWarning, match="columns x1, x3: constant"):
        opened = _fitted(wide, y, penalty=None)
    assert np.allclose(opened.coef_[[0, 2, 4]], expected.params[1:], rtol=1e-3)
    assert np.array_equal(opened.coef_[[1, 3]], [0, 0])
    assert np.isnan(opened.standard_errors_[[1, 3]]).all()
    assert np.isnan(opened.p_values_[[1, 3]]).all()


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(6, 9)), np.array([0, 1, 0, 1, 1, 0])
    expected = sk.LogisticRegression(tol=1e-10, max_iter=10_000).fit(X, y)
    opened = _fitted(X, y)
    assert np.abs(_all(opened) - np.append(expected.intercept_, expected.coef_)).max() < 1e-3
    with pytest.warns(SeparationWarning), pytest.warns(DependentColumnsWarning):
        assert not _fitted(X, y, penalty=None).converged_


def test_no_rows_count():
    X, y = _simulated(40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeparationWarning)
        warnings.simplefilter("ignore", DependentColumnsWarning)
        opened = _fitted(X, y, fit={"where": np.zeros(40, bool)}, penalty=None)
    assert np.array_equal(opened.coef_, np.zeros(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "l1"}, "penalty"),
        ({"C": 0.0}, "C 0.0"),
        ({"solver": "lbfgs"}, "solver"),
        ({"classes": 1}, "classes"),
        ({"max_iter": 0}, "max_iter"),
        ({"solver": "minibatch", "learning_rate": -1.0}, "learning_rate"),
        ({"solver": "minibatch", "batch_size": 0}, "batch_size"),
    ],
)
def test_parameters_that_cannot_be(options, message):
    X, y = _simulated(20)
    with pytest.raises(UserError, match=message):
        _fitted(X, y, **options)


def test_classes_beyond_the_declared_ones():
    X, y = _simulated(20)
    for labels, options in ((y + 1, {}), (y * 2 - 1, {}), (y * 1.0, {}), (y + 2, {"classes": 3})):
        with pytest.raises(UserError, match="classes are bools, or integers"):
            _fitted(X, labels, **options)
    with pytest.raises(UserError, match="not fitted"), q.simulate(protocol="clear") as net:
        LogisticRegression().predict(net.secret(X))
    with pytest.raises(UserError, match="rows"):
        _fitted(X[:10], y)
    with pytest.raises(UserError, match="cannot both"):
        _fitted(X, y, fit={"where": y > 0, "sample_weight": y})
    with pytest.raises(UserError, match="negative"):
        _fitted(X, y, fit={"sample_weight": y - 0.5})


# -- batches -----------------------------------------------------------------------------------------------------------


def _descended(X, y, batch, epochs, rate, shrink):
    """The same steps with NumPy's floats."""
    weights = np.zeros(X.shape[1])
    for _ in range(epochs):
        for start in range(0, len(y), batch):
            rows, wanted = X[start : start + batch], y[start : start + batch]
            step = rows.T @ (wanted - 1 / (1 + np.exp(-rows @ weights))) / len(rows)
            weights += rate * (step - shrink * weights)
    return weights


@pytest.mark.parametrize(("protocol", "penalty"), [("clear", "l2"), ("rep3", None)])
def test_minibatch_takes_the_steps_of_gradient_descent(protocol, penalty):
    rng = np.random.default_rng(4)
    X = rng.uniform(-1, 1, (90, 4))
    y = (X @ [1, -2, 0.5, 0] + rng.normal(0, 0.3, 90) > 0).astype(int)
    with q.simulate(protocol=protocol) as net:
        model = LogisticRegression(
            penalty, 0.1, fit_intercept=False, solver="minibatch", batch_size=32, epochs=4, learning_rate=0.7
        )
        opened = model.fit(net.secret(X, range=(-1, 1)), net.secret(y)).reveal()
    expected = _descended(X, y, 32, 4, 0.7, 10 / 90 if penalty else 0.0)
    assert np.abs(opened.coef_ - expected).max() < 2e-3
    assert "standard_errors_" not in opened


@pytest.mark.parametrize("limits", [(2015, 2020), (0, 3000)])
def test_intercept_far_from_the_data(limits):
    random = np.random.default_rng(0)
    year, x = random.integers(2015, 2021, 300), random.normal(size=300)
    y = random.random(300) < 1 / (1 + np.exp(-0.3 * (year - 2017) - x))
    plain = sm.Logit(y, sm.add_constant(np.column_stack([year, x]))).fit(disp=0)
    with q.simulate(protocol="clear") as net:
        data = net.secret({"year": year, "x": x}, range={"year": limits, "x": (-6, 6)})
        found = LogisticRegression(penalty=None, max_iter=7).fit(data, net.secret(y)).reveal()
    np.testing.assert_allclose(found.intercept_error_, plain.bse[0], rtol=1e-3)
