"""Cox regression equals that of lifelines."""

import numpy as np
import pytest

import quorate as q
from quorate.analytics.dependent import DependentColumnsWarning, NarrowColumnsWarning
from quorate.analytics.survival.cox import CoxRegression
from quorate.errors import UserError
from quorate.interactive.net import simulate

pd = pytest.importorskip("pandas")
lifelines = pytest.importorskip("lifelines")
datasets = pytest.importorskip("lifelines.datasets")

pytestmark = pytest.mark.filterwarnings("ignore::lifelines.exceptions.ConvergenceWarning")

ERROR = 5e-5
"""Largest difference to lifelines: of coefficients in standard errors, of standard errors relative to themselves."""


def assert_same(opened, fitter, error=ERROR):
    errors = fitter.standard_errors_.to_numpy()
    np.testing.assert_allclose(opened.coef_ / errors, fitter.params_.to_numpy() / errors, rtol=0, atol=error)
    np.testing.assert_allclose(opened.standard_errors_ / errors, 1.0, rtol=0, atol=error)
    assert bool(opened.converged_)


@pytest.fixture(scope="module")
def rossi():
    return datasets.load_rossi()


@pytest.fixture(scope="module")
def rossi_fit(rossi):
    return lifelines.CoxPHFitter().fit(rossi, "week", "arrest")


def columns_of(frame, without=("week", "arrest")):
    return {name: frame[name].to_numpy() for name in frame if name not in without}


def test_rossi(rossi, rossi_fit):
    with simulate(protocol="rep3") as net:
        X, week, arrest = (net.secret(x) for x in (columns_of(rossi), rossi.week.to_numpy(), rossi.arrest.to_numpy()))
        model = CoxRegression(grid=range(1, 53), iterations=5).fit(X, week, arrest)
        hazards = model.predict_partial_hazard(X)
        opened, found = net.reveal(model, hazards)
    assert_same(opened, rossi_fit)
    baseline = rossi_fit.baseline_cumulative_hazard_.iloc[:, 0].reindex(range(1, 53), method="ffill")
    np.testing.assert_allclose(opened.baseline_cumulative_hazard_, baseline, rtol=1e-4)
    np.testing.assert_allclose(found, rossi_fit.predict_partial_hazard(rossi), rtol=2e-4)
    summary = opened.summary()
    for name in ("coef", "exp(coef)", "se(coef)", "z", "p"):
        np.testing.assert_allclose(summary[name], rossi_fit.summary[name], rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(
        summary[["coef lower 95%", "coef upper 95%"]], rossi_fit.confidence_intervals_, atol=1e-4
    )
    assert list(summary.index) == list(rossi_fit.params_.index)


def fit(frame, duration, event, where=None, protocol="clear", **options):
    options.setdefault("grid", range(1, 53))
    with simulate(protocol=protocol) as net:
        features = net.secret(columns_of(frame, (duration, event)))
        ended = net.secret(frame[event].to_numpy(int))
        chosen = {} if where is None else {"where": net.secret(where)}
        return CoxRegression(**options).fit(features, net.secret(frame[duration].to_numpy()), ended, **chosen).reveal()


@pytest.fixture(scope="module")
def small(rossi):
    return rossi[["week", "arrest", "fin", "age", "prio"]]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["shamir", "semi2k"])
def test_protocols_with_rows_of_two_owners(protocol):
    frame = datasets.load_leukemia().astype(int)
    halves = [frame[:20], frame[20:]]
    with simulate(protocol=protocol) as net:
        parts = [[net.secret(half[name].to_numpy()) for half in halves] for name in ("logWBC", "Rx", "t", "status")]
        wbc, arm, time, event = (q.concatenate(part) for part in parts)
        opened = CoxRegression(grid=range(1, 36), iterations=5).fit([wbc, arm], time, event).reveal()
    assert_same(opened, lifelines.CoxPHFitter().fit(frame[["logWBC", "Rx", "t", "status"]], "t", "status"))


def test_compiled_with_columns_of_two_owners(small):
    @q.computation
    def recidivism(prison, court):
        prison, court = q.align(prison, court)
        features = {"fin": prison.fin, "age": prison.age, "prio": court.prio}
        model = CoxRegression(grid=range(1, 53), iterations=5).fit(features, prison.week, court.arrest == 1)
        return {"cox": model, "hazards": model.predict_partial_hazard(features)}

    prison, court = columns_of(small, ("arrest", "prio")), columns_of(small, ("week", "fin", "age"))
    found = recidivism.simulate(prison=prison, court=court, protocol="clear")
    fitter = lifelines.CoxPHFitter().fit(small, "week", "arrest")
    error = fitter.standard_errors_.to_numpy()
    np.testing.assert_allclose(found["cox"]["coef_"] / error, fitter.params_.to_numpy() / error, atol=ERROR)
    np.testing.assert_allclose(found["cox"]["standard_errors_"], error, rtol=ERROR)
    np.testing.assert_allclose(found["hazards"], fitter.predict_partial_hazard(small), rtol=2e-4)


def test_rows_that_do_not_count(small):
    where = np.arange(len(small)) % 4 > 0
    spoiled = small.copy()
    spoiled.loc[~where, ["fin", "age", "prio"]] = [1, 44, 18]
    opened = fit(spoiled, "week", "arrest", where=where, iterations=5)
    assert_same(opened, lifelines.CoxPHFitter().fit(small[where], "week", "arrest"))


def test_fine_times_are_rounded_up_to_the_grid():
    frame, grid = datasets.load_regression_dataset(), np.arange(0.5, 20, 0.5)
    opened = fit(frame, "T", "E", grid=grid)
    rounded = frame.copy()
    rounded["T"] = np.append(grid, 99)[np.searchsorted(grid, frame["T"])]
    rounded.loc[frame["T"] > grid[-1], "E"] = 0
    assert_same(opened, lifelines.CoxPHFitter().fit(rounded, "T", "E"), 3e-4)


def test_breslow(small):
    statsmodels = pytest.importorskip("statsmodels.api")
    X = small[["fin", "age", "prio"]].to_numpy(float)
    expected = statsmodels.PHReg(small.week, X, small.arrest, ties="breslow").fit()
    opened = fit(small, "week", "arrest", ties="breslow", iterations=5)
    np.testing.assert_allclose((opened.coef_ - expected.params) / expected.bse, 0, atol=ERROR)
    np.testing.assert_allclose(opened.standard_errors_, expected.bse, rtol=ERROR)


@pytest.mark.parametrize("penalizer", [0.2, 30.0])
def test_penalizer(small, penalizer):
    where = np.arange(len(small)) % 4 > 0
    opened = fit(small, "week", "arrest", where=where, penalizer=penalizer, iterations=5)
    assert_same(opened, lifelines.CoxPHFitter(penalizer=penalizer).fit(small[where], "week", "arrest"), 1e-3)


def test_constant_and_dependent_columns_have_coefficient_0(small):
    wide = small.assign(one=1, twice=2 * small.fin)
    with pytest.warns(DependentColumnsWarning, match="one, twice"):
        opened = fit(wide, "week", "arrest", iterations=5)
    fitter = lifelines.CoxPHFitter().fit(small, "week", "arrest")
    assert opened.independent_.tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(opened.coef_[:3], fitter.params_, atol=1e-5)
    assert (opened.coef_[3:] == 0).all()
    assert (opened.standard_errors_[3:] == 0).all()
    assert np.isnan(opened.p_values_[3:]).all()
    assert bool(opened.converged_)


def test_a_range_far_too_wide_has_no_standard_error(small):
    frame = small[["fin", "prio", "age", "week", "arrest"]]
    with simulate(protocol="clear") as net:
        limits = {"fin": (0, 1), "prio": (0, 300), "age": (0, 2000)}
        features = net.secret({name: frame[name].to_numpy() for name in limits}, range=limits)
        rest = [net.secret(frame[name].to_numpy()) for name in ("week", "arrest")]
        model = CoxRegression(iterations=5).fit(features, *rest)
        with pytest.warns(NarrowColumnsWarning, match="of age are"):
            opened = model.reveal()
    fitter = lifelines.CoxPHFitter().fit(frame, "week", "arrest")
    np.testing.assert_allclose(opened.coef_, fitter.params_, atol=1e-2)
    np.testing.assert_allclose(opened.standard_errors_[:2], fitter.standard_errors_.iloc[:2], rtol=1e-3)
    assert np.isnan(opened.standard_errors_[2])
    assert np.isnan(opened.p_values_[2])


def test_no_events(small):
    with pytest.warns(DependentColumnsWarning):
        opened = fit(small.assign(arrest=0), "week", "arrest", iterations=2)
    assert (opened.coef_ == 0).all()
    assert not opened.independent_.any()
    assert np.nanmax(opened.baseline_cumulative_hazard_) == 0


@pytest.mark.parametrize("iterations", [6, *(pytest.param(count, marks=pytest.mark.slow) for count in (14, 25))])
def test_separation_does_not_converge(iterations):
    with simulate(protocol="clear") as net:
        first = np.repeat([1, 0], 30)
        weeks, ended = np.append(np.arange(1, 31), np.full(30, 40)), first
        secrets = [net.secret(x) for x in (first[:, None], weeks, ended)]
        model = CoxRegression(grid=range(1, 41), iterations=iterations).fit(*secrets)
        with pytest.warns(UserWarning, match="did not converge"):
            opened = model.reveal()
    assert not opened.converged_
    assert opened.coef_[0] > 5


def test_too_few_iterations_are_told(small):
    with pytest.warns(UserWarning, match="did not converge"):
        assert not fit(small, "week", "arrest", iterations=1).converged_


def test_the_baseline_of_few_people_is_not_opened():
    frame = datasets.load_leukemia().astype(int)[["logWBC", "t", "status"]]
    with simulate(protocol="clear") as net:
        features, time, ended = (net.secret(frame[name].to_numpy()) for name in frame)
        model = CoxRegression(grid=range(1, 36), iterations=2, least=6).fit(features, time, ended)
        raw = model.baseline_cumulative_hazard_.reveal()
        shown = model.baseline_shown_.reveal()
    at_risk = (frame.t.to_numpy()[:, None] >= np.arange(1, 36)).sum(0)
    np.testing.assert_array_equal(shown, at_risk >= 6)
    assert (raw[at_risk < 6] == 0).all()
    assert (raw[at_risk >= 6] > 0).all()


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [
        ({"ties": "exact"}, {}, "ties 'exact'"),
        ({"penalizer": -1}, {}, "penalizer"),
        ({"iterations": 0}, {}, "iterations"),
        ({"alpha": 0}, {}, "alpha"),
        ({"least": 0.5}, {}, "least"),
        ({}, {"X": np.ones((3, 2))}, "X has 3 rows"),
        ({}, {"X": np.ones((2, 65))}, "64 is the most"),
        ({}, {"durations": np.array([-3, 4])}, "as low as"),
        ({}, {"events": np.array([0, 7])}, "events are 1 or 0"),
    ],
)
def test_refused(options, columns, message):
    given = {"X": np.ones((2, 2)), "durations": np.array([3, 4]), "events": np.array([0, 1]), **columns}
    with simulate(protocol="clear") as net, pytest.raises(UserError, match=message):
        CoxRegression(**options).fit(**{name: net.secret(values) for name, values in given.items()})


def test_prediction_before_fit_and_of_other_columns(small):
    with simulate(protocol="clear") as net:
        X = net.secret(np.ones((2, 2)))
        with pytest.raises(UserError, match="not fitted"):
            CoxRegression().predict_partial_hazard(X)
        given = [net.secret(small[name].to_numpy()) for name in ("week", "arrest")]
        model = CoxRegression(grid=[26, 52], iterations=1).fit(net.secret(small[["fin"]].to_numpy()), *given)
        with pytest.raises(UserError, match="fitted to 1"):
            model.predict_partial_hazard(X)


@pytest.mark.parametrize("protocol", ["rep3", pytest.param("shamir", marks=pytest.mark.slow)])
def test_concordance(small, protocol):
    """Equal hazards tie but for rounding; that moves a few pairs of thousands."""
    index = pytest.importorskip("lifelines.utils").concordance_index
    where = np.arange(len(small)) % 3 > 0
    with simulate(protocol=protocol) as net:
        features, week, arrest = (
            net.secret(x) for x in (columns_of(small), small.week.to_numpy(), small.arrest.to_numpy())
        )
        model = CoxRegression(grid=range(1, 53), iterations=2).fit(features, week, arrest)
        everybody = model.score(features, week, arrest)
        some = model.score(features, week, arrest, where=net.secret(where))
        nobody = model.score(features, week, arrest * 0)
        coef, found, chosen, none = net.reveal(model.coef_, everybody, some, nobody)
    hazards = small[["fin", "age", "prio"]].to_numpy() @ coef
    assert found == pytest.approx(index(small.week, -np.round(hazards, 6), small.arrest), abs=1e-4)
    wanted = index(small.week[where], -np.round(hazards[where], 6), small.arrest[where])
    assert chosen == pytest.approx(wanted, abs=1e-4)
    assert none == pytest.approx(0, abs=1e-6)


def test_concordance_of_events_at_the_same_time():
    """An event goes before those who leave without one at the same time; two events at one time are no pair."""
    index = pytest.importorskip("lifelines.utils").concordance_index
    rng = np.random.default_rng(4)
    feature, weeks, ended = rng.permutation(40), rng.integers(1, 6, 40), rng.integers(0, 2, 40)
    with simulate(protocol="clear") as net:
        X, time, event = (net.secret(x) for x in (feature[:, None], weeks, ended))
        model = CoxRegression(grid=range(1, 6), iterations=3).fit(X, time, event)
        coef, found = net.reveal(model.coef_, model.score(X, time, event))
    assert found == pytest.approx(index(weeks, -coef[0] * feature, ended), abs=1e-6)


def test_many_ties():
    """Hundreds of events in each cell, where Efron's correction is large."""
    rng = np.random.default_rng(6)
    X = rng.normal(size=(1500, 2))
    weeks = np.ceil(rng.exponential(3 * np.exp(-X @ [0.8, -0.5]))).clip(1, 6).astype(int)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "week": weeks, "event": weeks < 6})
    opened = fit(frame, "week", "event", protocol="rep3", grid=range(1, 7))
    fitter = lifelines.CoxPHFitter().fit(frame, "week", "event")
    assert_same(opened, fitter, 2e-4)
    breslow = fit(frame, "week", "event", ties="breslow", grid=range(1, 7), iterations=4)
    assert abs(breslow.coef_ - opened.coef_).min() > 0.01
