"""Poisson regression against statsmodels and scikit-learn, and what is defined for data that has no answer."""

from __future__ import annotations

import numpy as np
import pytest

import quorate as q
from quorate import fixed
from quorate.analytics.dependent import DependentColumnsWarning
from quorate.analytics.regression.poisson import ConvergenceWarning, PoissonRegression
from quorate.errors import UserError
from quorate.lang.known import Known, reference
from quorate.sharing.dtype import INT

sm = pytest.importorskip("statsmodels.api")


@pytest.fixture(scope="module")
def visits():
    """Visits to a doctor in the RAND health insurance experiment, as shipped with statsmodels."""
    data = sm.datasets.randhie.load().data.iloc[::20]
    return data[["lncoins", "idp", "physlm", "disea", "hlthg"]].to_numpy(float), data["mdvis"].to_numpy(int)


def _simulated(rows=150, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal([0, 30], [1, 10], (rows, 2))
    exposure = rng.uniform(1, 50, rows)
    mean = np.exp(0.3 * X[:, 0] - 0.05 * (X[:, 1] - 30) - 1)
    return X, rng.poisson(mean), rng.poisson(mean * exposure), exposure


def _glm(X, y, **options):
    return sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson(), **options).fit()


def _fitted(X, y, protocol="clear", parties=None, fit=None, **options):
    with q.simulate(protocol=protocol, parties=parties) as net:
        hidden = {name: net.secret(value) for name, value in (fit or {}).items()}
        return PoissonRegression(**options).fit(net.secret(X), net.secret(y), **hidden).reveal()


def _close(opened, expected, tolerance=1e-4):
    estimates = np.append(opened.intercept_, opened.coef_)
    errors = np.append(opened.intercept_error_, opened.standard_errors_)
    assert np.abs(estimates - expected.params).max() <= tolerance * np.abs(expected.params).max()
    assert np.allclose(errors, expected.bse, rtol=1e-3)
    assert opened.deviance_ == pytest.approx(expected.deviance, rel=1e-3)
    assert opened.converged_


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_visits_to_a_doctor(visits, protocol):
    expected = _glm(*visits)
    opened = _fitted(*visits, protocol)
    _close(opened, expected)
    assert np.allclose(opened.z_, expected.tvalues[1:], rtol=1e-3)
    assert np.allclose(opened.conf_int_, expected.conf_int()[1:], rtol=1e-3, atol=1e-5)
    assert np.allclose(opened.ratios_, np.exp(expected.params[1:]), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "parties"), [("shamir", 3), ("semi2k", 2)])
def test_small_data_under_other_protocols(protocol, parties):
    X, y, _, _ = _simulated(80)
    _close(_fitted(X, y, protocol, parties, max_iter=7), _glm(X, y), 1e-3)


def test_exposure_and_offset():
    X, _, y, exposure = _simulated()
    expected = _glm(X, y, exposure=exposure)
    with q.simulate(protocol="clear") as net:
        secret, target, observed = net.secret(X), net.secret(y), net.secret(exposure)
        model = PoissonRegression().fit(secret, target, exposure=observed)
        opened, found = net.reveal(model, model.predict(secret, exposure=observed))
    _close(opened, expected)
    assert np.allclose(found, expected.fittedvalues, rtol=1e-3, atol=1e-3)
    _close(_fitted(X, y, fit={"offset": np.log(exposure)}), expected)


def test_rows_that_do_not_count():
    X, y, _, _ = _simulated()
    where = np.arange(len(y)) % 4 != 0
    _close(_fitted(X, y, fit={"where": where}), _glm(X[where], y[where]), 1e-3)


@pytest.mark.slow
def test_weights_of_rows():
    X, y, _, _ = _simulated()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    _close(_fitted(X, y, fit={"sample_weight": weight}), _glm(X, y, freq_weights=weight), 1e-3)


def test_penalty_and_score():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, _, _ = _simulated()
    expected = linear_model.PoissonRegressor(alpha=0.5, tol=1e-10, max_iter=10_000).fit(X, y)
    with q.simulate(protocol="clear") as net:
        secret, target = net.secret(X), net.secret(y)
        model = PoissonRegression(alpha=0.5).fit(secret, target)
        opened, score, found = net.reveal(model, model.score(secret, target), model.predict(secret))
    assert np.allclose(opened.coef_, expected.coef_, rtol=1e-3)
    assert score == pytest.approx(expected.score(X, y), abs=1e-3)
    assert np.allclose(found, expected.predict(X), rtol=1e-3)


@pytest.mark.slow
def test_without_intercept():
    X, y, _, _ = _simulated()
    X = X - X.mean(0)
    expected = sm.GLM(y, X, family=sm.families.Poisson()).fit()
    opened = _fitted(X, y, fit_intercept=False)
    assert np.allclose(opened.coef_, expected.params, rtol=1e-3)
    assert np.allclose(opened.standard_errors_, expected.bse, rtol=1e-3)
    assert opened.intercept_ == 0


def test_rows_of_two_owners_and_numbers_of_rows_that_are_not_known_yet():
    @q.computation
    def joint(a, b):
        X = {name: q.concatenate([a[name], b[name]]) for name in ("x", "z")}
        return {"model": PoissonRegression(max_iter=8).fit(X, q.concatenate([a.y, b.y]))}

    X, y, _, _ = _simulated(120)
    columns = {"x": fixed(16), "z": fixed(16), "y": INT}
    bounds = {(name, c): (-(64 << 16), 64 << 16) for name in "ab" for c in "xz"} | {
        ("a", "y"): (0, 15),
        ("b", "y"): (0, 15),
    }
    plan = joint.trace({"a": columns, "b": columns}, known=Known(bounds, {"a": 500, "b": 500}, reference("rep3")))
    assert "model.deviance_" in plan.outputs
    parts = [{"x": X[part, 0], "z": X[part, 1], "y": y[part]} for part in (slice(70), slice(70, None))]
    found = joint.simulate(protocol="clear", a=parts[0], b=parts[1])
    assert np.allclose(found["model"]["coef_"], _glm(X, y).params[1:], rtol=1e-3)


def _counts(rows, level, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 2))
    return X, rng.poisson(np.exp(X @ [1, -0.7] + level))


def _in_range(X, y, high):
    with q.simulate(protocol="clear") as net:
        return PoissonRegression().fit(net.secret(X, range=(-6, 6)), net.secret(y, range=(0, high))).reveal()


@pytest.mark.parametrize(("rows", "level", "high"), [(5000, -1, 10_000), (20_000, -6, 1000), (500, 8, 10**6)])
def test_wide_ranges_rare_and_large_counts(rows, level, high):
    X, y = _counts(rows, level)
    opened, expected = _in_range(X, y, high), _glm(X, y)
    assert opened.converged_
    assert (np.abs(opened.coef_ - expected.params[1:]) < 0.02 * expected.bse[1:]).all()
    assert np.allclose(opened.standard_errors_, expected.bse[1:], rtol=0.01)
    assert opened.deviance_ == pytest.approx(expected.deviance, rel=1e-3)


def test_a_range_far_too_wide_is_told():
    with pytest.warns(ConvergenceWarning, match="narrower ranges of y"):
        opened = _in_range(*_counts(5000, -1), 10**6)
    assert not opened.converged_


def test_tiny_weights():
    X, y = _counts(300, 0)
    weight = np.random.default_rng(2).gamma(1, 1e-6, len(y))
    with q.simulate(protocol="clear") as net:
        hidden = net.secret(weight, range=(0, float(weight.max())))
        opened = PoissonRegression().fit(net.secret(X), net.secret(y), sample_weight=hidden).reveal()
    _close(opened, _glm(X, y, freq_weights=weight))


# -- data without an answer --------------------------------------------------------------------------------------------


def test_a_category_without_events():
    rng = np.random.default_rng(3)
    rare = np.arange(100) < 10
    y = np.where(rare, 0, rng.poisson(3, 100))
    with pytest.warns(ConvergenceWarning, match="all counts are 0"):
        opened = _fitted(np.stack([rare, rng.normal(size=100)], axis=1), y, max_iter=8)
    assert not opened.converged_
    assert np.isfinite(opened.coef_).all()


def test_no_events_at_all():
    X = np.random.default_rng(3).normal(size=(40, 1))
    with q.simulate(protocol="clear") as net:
        model = PoissonRegression(max_iter=5).fit(net.secret(X), net.secret(np.zeros(40, int), range=(0, 5)))
        mean = model.predict(net.secret(X)).reveal()
    assert np.abs(mean).max() < 1e-2


def test_constant_and_collinear_columns_get_no_coefficient():
    X, y, _, _ = _simulated()
    wide = np.column_stack([X[:, 0], np.full(len(y), 3.0), X[:, 1], X[:, 0] - X[:, 1]])
    with pytest.warns(DependentColumnsWarning, match="columns x1, x3: constant"):
        opened = _fitted(wide, y)
    assert np.allclose(opened.coef_[[0, 2]], _glm(X, y).params[1:], rtol=1e-3)
    assert np.array_equal(opened.coef_[[1, 3]], [0, 0])
    assert np.isnan(opened.standard_errors_[[1, 3]]).all()


def test_inputs_that_cannot_be():
    X, y, _, exposure = _simulated(20)
    for arguments, message in (
        ({"y": y - 1}, "negative"),
        ({"fit": {"exposure": exposure, "offset": exposure}}, "cannot both"),
        ({"fit": {"exposure": exposure - 30.0}}, "above 0"),
        ({"fit": {"exposure": exposure[:5]}}, "one secret value per row"),
        ({"alpha": -1.0}, "alpha"),
        ({"max_iter": 0}, "max_iter"),
        ({"alpha": 1.0, "fit": {"sample_weight": exposure}}, "alpha counts once per row"),
    ):
        with pytest.raises(UserError, match=message):
            _fitted(**{"X": X, "y": y} | arguments)
