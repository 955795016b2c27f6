"""Moments and covariances against NumPy, pandas, SciPy and statsmodels."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from statsmodels.stats.weightstats import DescrStatsW

import quorate as q
import quorate.analytics as a
from quorate.analytics.dependent import NarrowColumnsWarning
from quorate.errors import UserError

rng = np.random.default_rng(7)
IRIS, SPECIES = load_iris(return_X_y=True)
WINE, CULTIVAR = load_wine(return_X_y=True, as_frame=True)
CANCER, BENIGN = load_breast_cancer(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)


def shared(net, data, parts=3, **options):
    """The rows of several owners, with one scale for all."""
    options = {"range": (float(data.min()), float(data.max())), "scale": 16} | options
    return q.concatenate([net.secret(part, **options) for part in np.array_split(data, parts)])


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_mean_and_variance_of_columns(protocol):
    chosen = WINE["alcohol"] > 13
    with q.simulate(protocol=protocol) as net:
        X, some = net.secret(WINE), net.secret(chosen.to_numpy())
        mean, variance, deviation = net.reveal(a.mean(X), a.var(X, ddof=0), a.std(X, where=some))
    assert list(mean.index) == list(WINE)
    np.testing.assert_allclose(mean, WINE.mean(), rtol=1e-6)
    np.testing.assert_allclose(variance, WINE.var(ddof=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, WINE[chosen].std(), rtol=1e-5)


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_rows_of_several_owners(protocol):
    with q.simulate(protocol=protocol) as net:
        y = shared(net, PROGRESS)
        found = net.reveal(a.mean(y), a.std(y), a.ttest_1samp(y, 150.0))
    assert found[:2] == pytest.approx((PROGRESS.mean(), PROGRESS.std(ddof=1)), rel=1e-6)
    assert found[2].statistic == pytest.approx(stats.ttest_1samp(PROGRESS, 150.0).statistic, rel=1e-6)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_weights(protocol):
    weights = rng.integers(0, 5, len(PROGRESS))
    expected = DescrStatsW(PROGRESS, weights, ddof=1)
    matrix = np.cov(DIABETES[:, :3].T, fweights=weights)
    with q.simulate(protocol=protocol) as net:
        y, X, w = net.secret(PROGRESS), net.secret(DIABETES[:, :3]), net.secret(weights)
        mean, variance, cov = net.reveal(
            a.mean(y, sample_weight=w), a.var(y, sample_weight=w), a.cov(X, sample_weight=w)
        )
    assert (mean, variance) == pytest.approx((expected.mean, expected.var), rel=1e-5)
    np.testing.assert_allclose(cov, matrix, atol=1e-5 * matrix.max())


@pytest.mark.parametrize("wide", [1000, 10**6, 2**40])
def test_weights_much_smaller_than_their_declared_range(wide):
    weights = rng.integers(0, 5, len(PROGRESS))
    expected = DescrStatsW(PROGRESS, weights, ddof=1)
    with q.simulate(protocol="rep3", seed=2) as net, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        y, w = net.secret(PROGRESS), net.secret(weights, range=(0, wide))
        found = net.reveal(a.mean(y, sample_weight=w), a.var(y, sample_weight=w))
    if wide == 1000:
        assert found == pytest.approx((expected.mean, expected.var), rel=1e-4)
    else:
        assert np.isnan(found).all()
    assert any(one.category is NarrowColumnsWarning for one in caught) == (wide > 1000)


def test_weights_that_are_not_whole():
    weights = rng.uniform(0, 3, len(PROGRESS))
    expected = DescrStatsW(PROGRESS, weights, ddof=0)
    with q.simulate(protocol="clear") as net:
        y, w = net.secret(PROGRESS), net.secret(weights)
        mean, deviation = net.reveal(a.mean(y, sample_weight=w), a.std(y, sample_weight=w, ddof=0))
    assert (mean, deviation) == pytest.approx((expected.mean, expected.std), rel=1e-5)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_covariance_and_correlation(protocol):
    X = CANCER[:, :6]
    with q.simulate(protocol=protocol) as net:
        cov, corr, some = net.reveal(
            a.cov(net.secret(X)), a.corrcoef(net.secret(X)), a.corrcoef(net.secret(X), where=net.secret(BENIGN == 1))
        )
    scale = np.outer(X.std(0), X.std(0))
    np.testing.assert_allclose(cov / scale, np.cov(X.T) / scale, atol=1e-5)
    np.testing.assert_allclose(corr, np.corrcoef(X.T), atol=1e-5)
    np.testing.assert_allclose(some, np.corrcoef(X[BENIGN == 1].T), atol=1e-5)
    assert (np.diag(corr) == 1).all()


def test_correlation_of_digits():
    from sklearn.datasets import load_digits

    X = load_digits().data[:, 1:7]
    with q.simulate(protocol="clear") as net:
        found = a.corrcoef(net.secret(X, scale=0)).reveal()
    np.testing.assert_allclose(found, np.corrcoef(X.T), atol=1e-6)


CONDITIONS = {
    "years": (rng.integers(1950, 2020, 500), (0, 4000)),
    "seconds of one day": (1_600_000_000 + rng.integers(0, 86_400, 500), (0, 2**32)),
    "milliseconds": (1_600_000_000_000 + rng.integers(0, 864_000, 500), (0, 2**42)),
    "few cents of much": (rng.integers(0, 300, 500), (-(10**12), 10**12)),
    "one in many": ((np.arange(500) == 9).astype(int), (0, 2**40)),
    "outlier": (np.where(np.arange(500) == 9, 2**30, rng.integers(0, 9, 500)), (0, 2**31)),
    "large mean": (1e6 + np.round(rng.normal(size=500), 3), (0, 2e6)),
}


@pytest.mark.parametrize(
    ("name", "protocol"), [*((name, "clear") for name in CONDITIONS), ("milliseconds", "rep3"), ("outlier", "shamir")]
)
def test_badly_conditioned(name, protocol):
    data, limits = CONDITIONS[name]
    some = rng.random(500) < 0.7 if name != "one in many" else np.arange(500) < 300
    with q.simulate(protocol=protocol) as net:
        x, where = net.secret(data, range=limits, scale=16), net.secret(some)
        mean, variance, part, test = net.reveal(a.mean(x), a.var(x), a.var(x, where=where), a.ttest_1samp(x, 5.0))
    stored = np.round(data * 65536.0) / 65536 if data.dtype.kind == "f" else data
    assert mean == pytest.approx(stored.mean(), rel=1e-12, abs=1e-5)
    assert variance == pytest.approx(stored.var(ddof=1), rel=1e-5)
    assert part == pytest.approx(stored[some].var(ddof=1), rel=1e-5)
    assert test.statistic == pytest.approx(stats.ttest_1samp(stored, 5.0).statistic, rel=1e-5)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_constant_columns(protocol):
    X = np.column_stack([np.full(50, 0.1), np.arange(50.0), np.full(50, 7.0)])
    with q.simulate(protocol=protocol) as net:
        s = net.secret(X)
        mean, variance, corr = net.reveal(a.mean(s), a.var(s), a.corrcoef(s))
        wide = net.secret(np.full(50, 3), range=(0, 2**30))
        test, spread = net.reveal(a.ttest_1samp(wide, 1.0), a.std(wide))
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-6)
    assert variance[0] == variance[2] == spread == 0
    assert variance[1] == pytest.approx(X[:, 1].var(ddof=1), rel=1e-6)
    assert np.isnan(corr[0]).all()
    assert np.isnan(corr[:, 2]).all()
    assert corr[1, 1] == 1
    assert np.isnan(test.statistic)
    assert np.isnan(test.pvalue)


def test_nothing_is_opened_of_few_rows():
    with q.simulate(protocol="clear") as net:
        x, few = net.secret(np.arange(30.0)), net.secret(np.arange(30) < 4)
        answers = [a.mean(x, where=few), a.var(x, where=few), a.cov(q.column_stack([x, x]), where=few)]
        answers += [a.ttest_1samp(x, where=few), a.confidence_interval(x, where=few), a.describe(x, where=few)]
        for answer in answers:
            opened = net.reveal(*answer.parts().values())
            assert all(not np.any(part) for part in opened), answer.parts()
        mean, variance, test, allowed = net.reveal(*answers[:2], answers[3], a.mean(x, where=few, least=3))
    assert np.isnan(mean)
    assert np.isnan(variance)
    assert np.isnan(test.statistic)
    assert allowed == 1.5


def test_one_row_and_no_weight():
    with q.simulate(protocol="clear") as net:
        one, zero = net.secret(np.array([4.5])), net.secret(np.array([0.0]), range=(0, 1))
        mean, variance = net.reveal(a.mean(one), a.var(one))
        with pytest.warns(NarrowColumnsWarning, match="sample_weight is 0"):
            weighted = [net.reveal(method(one, sample_weight=zero)) for method in (a.mean, a.var)]
        interval = a.confidence_interval(one).reveal()
    assert mean == 4.5
    assert np.isnan(variance)
    assert np.isnan(weighted).all()
    assert np.isnan(interval.low)
    assert interval.mean == 4.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, m: a.mean(x, where=np.ones(20, bool)), "secret column of 20 bools"),
        (lambda x, m: a.mean(x, where=m[:5]), "secret column of 20 bools"),
        (lambda x, m: a.mean(np.arange(3.0)), "secret matrix or table"),
        (lambda x, m: a.var(x, sample_weight=x - 10), "weights may be negative"),
        (lambda x, m: a.cov([x] * 65), "64 is the most"),
        (lambda x, m: a.ttest_1samp(x, alternative="bigger"), "two-sided, less or greater"),
        (lambda x, m: a.ttest_rel(x, x[:5]), "pairs need as many"),
        (lambda x, m: a.ttest_ind(x), "give two columns"),
        (lambda x, m: a.ttest_ind(x, x, by=m), "a single column"),
        (lambda x, m: a.ttest_ind(x, x, where=m), "one mask"),
        (lambda x, m: a.f_oneway(x, by=x), "codes"),
        (lambda x, m: a.f_oneway(x, by=m, groups=1), "nothing to compare"),
        (lambda x, m: a.f_oneway(x, by=m, groups=65), "1 to 64 groups"),
        (lambda x, m: a.mean(x, where=m, least=-1), "least size"),
        (lambda x, m: a.confidence_interval(x, 95), "between 0 and 1"),
        (lambda x, m: a.proportion_confint(x), "range \\(0, 1\\)"),
        (lambda x, m: a.proportion_confint(m, method="exact"), "wilson"),
    ],
)
def test_refused(call, message):
    with q.simulate(protocol="clear") as net:
        x, m = net.secret(np.arange(20.0)), net.secret(np.arange(20) > 3)
        with pytest.raises(UserError, match=message):
            call(x, m)
