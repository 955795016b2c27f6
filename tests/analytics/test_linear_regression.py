"""Least squares against scikit-learn, statsmodels and NumPy, on data that ships with scikit-learn."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression as PlainRegression
from sklearn.linear_model import Ridge as PlainRidge

import quorate as q
from quorate.analytics import LinearRegression, Ridge
from quorate.analytics.dependent import DependentColumnsWarning
from quorate.errors import UserError
from quorate.interactive.uploads import CoarseWarning
from quorate.lang.computation import Computation
from quorate.lang.known import Known, reference
from quorate.lang.ranges import plan_ranges
from quorate.sharing.dtype import BOOL, fixed

DIABETES = load_diabetes(return_X_y=True)


def noisy(rows=60, seed=5):
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 3)) * [1, 10, 0.1] + [0, 100, 0]
    return X, X @ [2.0, -0.5, 7.0] + 3 + random.normal(size=rows)


def fitted(X, y, protocol="clear", model=None, **more):
    with q.simulate(protocol=protocol) as net:
        secret = {name: net.secret(values) for name, values in more.items()}
        return (model or LinearRegression()).fit(net.secret(X), net.secret(y), **secret).reveal()


@pytest.mark.parametrize(
    ("load", "protocol", "coefficients", "errors"),
    [
        (load_diabetes, "rep3", 1e-5, 1e-5),
        (load_wine, "clear", 1e-5, 1e-5),
        (load_breast_cancer, "clear", 5e-4, 2e-3),
    ],
)
def test_public_data_sets(load, protocol, coefficients, errors):
    X, y = load(return_X_y=True)
    found, plain = fitted(X, y.astype(float), protocol), PlainRegression().fit(X, y)
    reference_ = sm.OLS(y, sm.add_constant(X)).fit()
    np.testing.assert_allclose(found.coef_, plain.coef_, rtol=coefficients)
    np.testing.assert_allclose(found.intercept_, plain.intercept_, rtol=1e-5)
    np.testing.assert_allclose(found.standard_errors_, reference_.bse[1:], rtol=errors)
    np.testing.assert_allclose(found.intercept_error_, reference_.bse[0], rtol=1e-4)
    np.testing.assert_allclose(found.r2_, reference_.rsquared, atol=1e-6)
    np.testing.assert_allclose(found.residual_std_, np.sqrt(reference_.scale), rtol=1e-5)
    assert found.independent_.all()


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k", "rep3_malicious"])
def test_protocols_agree(protocol):
    X, y = noisy()
    found, plain = fitted(X, y, protocol), PlainRegression().fit(X, y)
    np.testing.assert_allclose(found.coef_, plain.coef_, rtol=1e-5)
    np.testing.assert_allclose(found.intercept_, plain.intercept_, rtol=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 20.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_ridge(alpha, intercept):
    X, y = DIABETES
    found = fitted(X, y, model=Ridge(alpha, fit_intercept=intercept))
    plain = PlainRidge(alpha, fit_intercept=intercept).fit(X, y)
    np.testing.assert_allclose(found.coef_, plain.coef_, rtol=3e-5, atol=1e-4)
    np.testing.assert_allclose(found.intercept_, plain.intercept_, rtol=1e-5)


def test_without_intercept():
    X, y = noisy()
    found, plain = fitted(X, y, model=LinearRegression(fit_intercept=False)), sm.OLS(y, X).fit()
    np.testing.assert_allclose(found.coef_, plain.params, rtol=1e-5)
    np.testing.assert_allclose(found.standard_errors_, plain.bse, rtol=1e-5)
    np.testing.assert_allclose(found.r2_, plain.rsquared, atol=1e-6)  # of the squares, not of the variance
    assert found.intercept_ == 0
    assert "intercept_error_" not in found


def test_sample_weight():
    X, y = noisy()
    weight = np.random.default_rng(1).uniform(0, 50, len(y))
    found, plain = fitted(X, y, sample_weight=weight), sm.WLS(y, sm.add_constant(X), weight).fit()
    np.testing.assert_allclose(np.append(found.intercept_, found.coef_), plain.params, rtol=2e-5, atol=1e-4)
    np.testing.assert_allclose(np.append(found.intercept_error_, found.standard_errors_), plain.bse, rtol=1e-4)
    np.testing.assert_allclose(found.residual_std_, np.sqrt(plain.scale), rtol=1e-4)
    np.testing.assert_allclose(found.r2_, plain.rsquared, atol=1e-5)


def test_whole_weights_are_repeated_rows():
    X, y = noisy(40)
    times = np.random.default_rng(2).integers(0, 5, 40)
    found = fitted(X, y, sample_weight=times)
    plain = PlainRegression().fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(found.coef_, plain.coef_, rtol=1e-5)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_rows_chosen_by_a_mask(protocol):
    X, y = noisy()
    chosen = np.random.default_rng(3).random(len(y)) < 0.4
    spoilt = np.where(chosen, y, 1000.0)
    found, plain = fitted(X, spoilt, protocol, where=chosen), sm.OLS(y[chosen], sm.add_constant(X[chosen])).fit()
    np.testing.assert_allclose(np.append(found.intercept_, found.coef_), plain.params, rtol=1e-3)
    np.testing.assert_allclose(np.append(found.intercept_error_, found.standard_errors_), plain.bse, rtol=1e-3)
    assert found.degrees_of_freedom_ == plain.df_resid


def test_a_mask_that_chooses_nothing():
    X, y = noisy()
    with pytest.warns(DependentColumnsWarning, match="x0, x1"), pytest.warns(RuntimeWarning, match="few rows count"):
        found = fitted(X, y, where=np.zeros(len(y), bool))
    assert not found.coef_.any()
    assert not found.independent_.any()
    assert np.isnan(found.standard_errors_).all()
    assert found.intercept_ == 0


def test_dependent_and_constant_columns_get_nothing():
    X, y = noisy()
    wide = np.column_stack([X[:, 0], np.full(len(y), 3.5), X[:, 1:], X[:, 0] * 2 - X[:, 2], np.zeros(len(y))])
    with pytest.warns(DependentColumnsWarning, match="columns x1, x4, x5: constant"):
        found = fitted(wide, y)
    solved = np.linalg.lstsq(np.column_stack([np.ones(len(y)), wide]), y, rcond=1e-9)[0]
    assert list(found.independent_) == [True, False, True, True, False, False]
    assert (found.coef_[~found.independent_] == 0).all()
    predicted = wide @ found.coef_ + found.intercept_
    np.testing.assert_allclose(predicted, np.column_stack([np.ones(len(y)), wide]) @ solved, atol=1e-3)


def test_constant_target():
    X, _ = noisy()
    with pytest.warns(RuntimeWarning, match="not resolved"):
        found = fitted(X, np.full(len(X), 7.5))
    np.testing.assert_allclose(found.coef_, 0, atol=1e-4)
    np.testing.assert_allclose(found.intercept_, 7.5, atol=1e-3)
    assert np.isnan(found.r2_)
    assert np.isnan(found.standard_errors_).all()


def test_a_perfect_fit_leaves_next_to_nothing():
    X, _ = noisy()
    found = fitted(X, X @ [1.0, 2.0, -3.0] + 5)
    np.testing.assert_allclose(found.coef_, [1, 2, -3], rtol=1e-4)
    assert found.r2_ > 1 - 1e-7
    assert found.residual_std_ < 1e-3


def test_columns_far_from_zero():
    random = np.random.default_rng(8)
    X = np.column_stack([random.integers(1980, 2020, 80), random.normal(1e5, 1, 80)]).astype(float)
    y = 3.0 * X[:, 0] + 40 * X[:, 1] + random.normal(size=80)
    with pytest.warns(CoarseWarning):  # 24 bits of 1e5 leave few for a standard deviation of 1
        found = fitted(X, y)
    np.testing.assert_allclose(found.coef_, PlainRegression().fit(X, y).coef_, rtol=1e-3)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_predict_and_score(protocol):
    X, y = DIABETES
    plain = PlainRegression().fit(X, y)
    with q.simulate(protocol=protocol) as net:
        model = LinearRegression().fit(net.secret(X), net.secret(y))
        predicted, score = net.reveal(model.predict(net.secret(X[:7])), model.score(net.secret(X), net.secret(y)))
    np.testing.assert_allclose(predicted, plain.predict(X[:7]), atol=1e-2)
    np.testing.assert_allclose(score, plain.score(X, y), atol=1e-4)


def test_scores_of_bad_models_are_negative():
    X, y = noisy()
    other = y[::-1] * 0.7 - 10
    mask = np.arange(len(y)) % 3 > 0
    weight = np.arange(len(y)) / 7.0
    plain = PlainRegression().fit(X, y)
    with q.simulate(protocol="clear") as net:
        model = LinearRegression().fit(net.secret(X), net.secret(y))
        X_, other_ = net.secret(X), net.secret(other)
        masked = model.score(X_, other_, where=net.secret(mask))
        weighted = model.score(X_, other_, sample_weight=net.secret(weight))
        constant = model.score(X_, net.secret(np.full(len(y), 2.0)))
        score, masked, weighted, constant = net.reveal(model.score(X_, other_), masked, weighted, constant)
    np.testing.assert_allclose(score, plain.score(X, other), rtol=1e-3)
    np.testing.assert_allclose(masked, plain.score(X[mask], other[mask]), rtol=1e-3)
    np.testing.assert_allclose(weighted, plain.score(X, other, weight), rtol=1e-3)
    assert constant == 0


def test_scores_with_weights_far_below_their_declared_range():
    X, y = noisy()
    weight = np.arange(len(y)) % 4
    with q.simulate(protocol="rep3", seed=1) as net:
        model = LinearRegression().fit(net.secret(X), net.secret(y))
        weights = [net.secret(weight, range=(0, most)) for most in (100, 10**7)]
        good, lost = net.reveal(*(model.score(net.secret(X), net.secret(y), sample_weight=one) for one in weights))
    np.testing.assert_allclose(good, PlainRegression().fit(X, y).score(X, y, weight), atol=1e-3)
    assert lost == -255


def test_summary_is_that_of_statsmodels():
    X, y = noisy()
    plain = sm.OLS(y, sm.add_constant(X)).fit()
    with q.simulate(protocol="clear") as net:
        table = net.secret({"age": X[:, 0], "height": X[:, 1], "dose": X[:, 2]})
        frame = LinearRegression().fit(table, net.secret(y)).summary().reveal()
    assert list(frame.index) == ["(intercept)", "age", "height", "dose"]
    np.testing.assert_allclose(frame["coef"], plain.params, rtol=1e-4)
    np.testing.assert_allclose(frame["std err"], plain.bse, rtol=1e-4)
    np.testing.assert_allclose(frame["t"], plain.tvalues, rtol=1e-3)
    np.testing.assert_allclose(frame["P>|t|"], plain.pvalues, rtol=1e-2, atol=1e-12)
    np.testing.assert_allclose(frame[["[0.025", "0.975]"]], plain.conf_int(), rtol=1e-3, atol=1e-3)
    assert frame.attrs["degrees_of_freedom"] == 56


def test_summary_of_a_column_without_an_estimate_is_nan():
    X, y = noisy()
    chosen = np.arange(len(y)) % 2 == 0
    with q.simulate(protocol="clear") as net:
        model = LinearRegression().fit(
            net.secret(np.column_stack([X, X[:, 0]])), net.secret(y), where=net.secret(chosen)
        )
        with pytest.warns(DependentColumnsWarning, match="x3"):
            frame = model.summary().reveal()
    assert frame.loc["x3"].isna().all()
    assert frame.loc[["(intercept)", "x0", "x1", "x2"]].notna().all().all()
    assert frame.attrs["degrees_of_freedom"] == 25


def test_a_compiled_computation_of_two_owners():
    @q.computation
    def joint(a, b):
        rows = {name: q.concatenate([a[name], b[name]]) for name in ("x", "z")}
        target, keep = q.concatenate([a.y, b.y]), q.concatenate([a.keep, b.keep])
        return {"all": LinearRegression().fit(rows, target), "some": Ridge(2.0).fit(rows, target, where=keep)}

    types = {"x": fixed(12), "z": fixed(12), "y": fixed(12), "keep": BOOL}
    bounds = {(owner, name): (-(1 << 16), 1 << 16) for owner in "ab" for name in ("x", "z", "y")}
    bounds |= {(owner, "keep"): (0, 1) for owner in "ab"}
    known = Known(bounds, {"a": 1000, "b": 1000}, reference("rep3"))
    plan = joint.trace({"a": types, "b": types}, known=known)
    assert plan.bind({"a": 40, "b": 500}).outputs.keys() >= {"all.coef_", "all.standard_errors_", "some.coef_"}
    X, y = noisy(50, 9)
    keep = np.arange(50) % 4 > 0
    split = [{"x": X[p, 0], "z": X[p, 2], "y": y[p], "keep": keep[p]} for p in (slice(0, 20), slice(20, 50))]
    found = joint.simulate(a=split[0], b=split[1])
    chosen = X[:, [0, 2]]
    np.testing.assert_allclose(found["all"]["coef_"], PlainRegression().fit(chosen, y).coef_, atol=1e-2)
    np.testing.assert_allclose(found["some"]["coef_"], PlainRidge(2.0).fit(chosen[keep], y[keep]).coef_, atol=1e-2)


def test_columns_of_two_owners_side_by_side():
    @q.computation
    def joint(clinic, insurer):
        clinic, insurer = q.align(clinic, insurer)
        return {"model": LinearRegression().fit({"x": clinic.x, "z": insurer.z}, clinic.y)}

    X, y = noisy(50, 9)
    found = joint.simulate(clinic={"x": X[:, 0], "y": y}, insurer={"z": X[:, 1]})
    np.testing.assert_allclose(found["model"]["coef_"], PlainRegression().fit(X[:, :2], y).coef_, atol=1e-3)


def everything(data):
    features = {name: data[name] for name in data if name.startswith("x")}
    model = LinearRegression().fit(features, data.y)
    return {
        "model": model,
        "predicted": model.predict(features),
        "score": model.score(features, data.y),
        "masked": Ridge(2.0**-60, False).fit(features, data.y, where=data.m),
        "weighted": LinearRegression().fit(features, data.y, sample_weight=data.w),
    }


@pytest.mark.parametrize("protocol", ["rep3", "shamir"])
@pytest.mark.parametrize("limits", [(-1, 1, 23), (0, 2.0**-20, 44), (-(2.0**30), 2.0**30, 0), (1000, 1010, 14)])
@pytest.mark.parametrize(("width", "rows"), [(1, 10**6), (2, 100), (5, 10**6), (16, 10**4)])
def test_everything_fits_whatever_the_declared_ranges(width, rows, limits, protocol):
    low, high, scale = limits
    types = {f"x{j}": fixed(scale) for j in range(width)} | {"y": fixed(scale), "m": BOOL, "w": fixed(12)}
    bounds = {("data", name): (int(low * 2**scale), int(high * 2**scale)) for name in types}
    bounds |= {("data", "m"): (0, 1), ("data", "w"): (0, 1 << 20)}
    fits = reference(protocol)
    plan = Computation(everything).trace({"data": types}, known=Known(bounds, {"data": rows}, fits))
    plan_ranges(plan.bind({"data": rows}), fits, bounds)  # refuses what may overflow


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("rows and y has", lambda net, X, y: LinearRegression().fit(X, y[:9])),
        ("at least one row more", lambda net, X, y: LinearRegression().fit(X[:4], y[:4])),
        ("one secret bool per row", lambda net, X, y: LinearRegression().fit(X, y, where=y)),
        ("cannot be negative", lambda net, X, y: LinearRegression().fit(X, y, sample_weight=y)),
        ("one value per row", lambda net, X, y: LinearRegression().fit(X, y, sample_weight=net.secret([1.0, 2.0]))),
        ("no penalty", lambda net, X, y: Ridge(-1.0).fit(X, y)),
        ("no penalty", lambda net, X, y: Ridge(float("nan")).fit(X, y)),
        ("not fitted", lambda net, X, y: LinearRegression().predict(X)),
        ("not fitted", lambda net, X, y: LinearRegression().summary()),
        ("was fitted to 3", lambda net, X, y: LinearRegression().fit(X, y).predict(X[:, :2])),
        ("64 is the most", lambda net, X, y: LinearRegression().fit(net.secret(np.zeros((80, 65))), q.tile(y, 2)[:80])),
        ("one secret value per row", lambda net, X, y: LinearRegression().fit(X, X)),
    ],
)
def test_refusals(message, call):
    X, y = noisy()
    with q.simulate(protocol="clear") as net, pytest.raises(UserError, match=message):
        call(net, net.secret(X), net.secret(y))


@pytest.mark.parametrize("limits", [(2015, 2020), (0, 3000), (2000, 2100)])
def test_intercept_far_from_the_data(limits):
    random = np.random.default_rng(0)
    year, x, rows = random.integers(2015, 2021, 300), random.normal(size=300), np.arange(300) < 60
    y = 0.3 * year + x + random.normal(size=300)
    X = sm.add_constant(np.column_stack([year, x]))
    with q.simulate(protocol="clear") as net:
        data = net.secret({"year": year, "x": x}, range={"year": limits, "x": (-6, 6)})
        target = net.secret(y, range=(500, 700))
        found = LinearRegression().fit(data, target).reveal()
        few = LinearRegression().fit(data, target, where=net.secret(rows)).reveal()
    np.testing.assert_allclose(found.intercept_error_, sm.OLS(y, X).fit().bse[0], rtol=1e-3)
    np.testing.assert_allclose(few.intercept_error_, sm.OLS(y[rows], X[rows]).fit().bse[0], rtol=1e-3)


@pytest.mark.parametrize("wide", [2**8, 2**11, 2**15, 2**18])
def test_a_target_much_narrower_than_its_declared_range(wide):
    X, y = noisy()
    plain = sm.OLS(y, sm.add_constant(X)).fit()
    with q.simulate(protocol="clear") as net:
        target = net.secret(y, range=(-16.0 * wide, 16.0 * wide), scale=16)
        model = LinearRegression().fit(net.secret(X), target)
        own = LinearRegression().fit(net.secret(X), net.secret(y))
        score = own.score(net.secret(X), target).reveal()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = model.reveal()
    np.testing.assert_allclose(score, plain.rsquared, atol=1e-4)
    if found.resolved_:
        np.testing.assert_allclose(found.r2_, plain.rsquared, atol=1e-3)
        np.testing.assert_allclose(found.standard_errors_, plain.bse[1:], rtol=1e-2)
        np.testing.assert_allclose(found.residual_std_, plain.mse_resid**0.5, rtol=1e-2)
    else:
        assert np.isnan([found.r2_, found.residual_std_, found.intercept_error_, *found.standard_errors_]).all()
    assert found.resolved_ == (wide < 2**12)
