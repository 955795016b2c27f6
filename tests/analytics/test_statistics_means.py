"""Tests of means against SciPy and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_iris
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

import quorate as q
import quorate.analytics as a

IRIS, SPECIES = load_iris(return_X_y=True)
CANCER, BENIGN = load_breast_cancer(return_X_y=True)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_tests_of_means(protocol):
    x, y, z = (IRIS[k == SPECIES, 1] for k in range(3))
    with q.simulate(protocol=protocol) as net:
        X, Y, Z, codes = net.secret(x), net.secret(y), net.secret(z), net.secret(SPECIES)
        column = net.secret(IRIS[:, 2])
        pairs = [
            (a.ttest_1samp(X, 3.3), stats.ttest_1samp(x, 3.3)),
            (a.ttest_1samp(X, 3.3, alternative="less"), stats.ttest_1samp(x, 3.3, alternative="less")),
            (a.ttest_rel(X, Y), stats.ttest_rel(x, y)),
            (a.ttest_ind(X, Y), stats.ttest_ind(x, y)),
            (a.ttest_ind(Y, Z, equal_var=False), stats.ttest_ind(y, z, equal_var=False)),
            (a.ttest_ind(Y, Z, alternative="greater"), stats.ttest_ind(y, z, alternative="greater")),
            (a.f_oneway(X, Y, Z), stats.f_oneway(x, y, z)),
            (a.f_oneway(column, by=codes), stats.f_oneway(*(IRIS[k == SPECIES, 2] for k in range(3)))),
        ]
        found = net.reveal(*(ours for ours, _ in pairs))
    for ours, (_, expected) in zip(found, pairs, strict=True):
        assert ours.statistic == pytest.approx(expected.statistic, rel=1e-6)
        assert ours.pvalue == pytest.approx(expected.pvalue, rel=1e-4, abs=1e-12)


def test_welch_as_in_statsmodels():
    x, y = CANCER[BENIGN == 1, 1], CANCER[BENIGN == 0, 1]
    expected = CompareMeans(DescrStatsW(x), DescrStatsW(y)).ttest_ind(usevar="unequal")
    with q.simulate(protocol="clear") as net:
        test = a.ttest_ind(net.secret(CANCER[:, 1]), by=net.secret(BENIGN == 0), equal_var=False).reveal()
    assert (test.statistic, test.pvalue, test.df) == pytest.approx(expected, rel=1e-5)


def test_samples_that_are_too_small():
    values, codes = np.arange(20.0), np.repeat([0, 1, 2], [10, 8, 2])
    with q.simulate(protocol="rep3") as net:
        x, by = net.secret(values), net.secret(codes)
        one = net.secret(np.array([4.0]), range=(0, 20))
        hidden, shown, nobody, single, lonely = net.reveal(
            a.f_oneway(x, by=by),
            a.f_oneway(x, by=by, least=2),
            a.ttest_ind(x, by=by == 7, least=0),
            a.ttest_1samp(one, 1.0),
            a.ttest_ind(x, one, equal_var=False),
        )
    assert np.isnan(hidden.statistic)
    assert np.isnan(hidden.pvalue)
    assert np.isnan(hidden.df_within)
    assert shown.statistic == pytest.approx(stats.f_oneway(values[:10], values[10:18], values[18:]).statistic, rel=1e-6)
    assert all(np.isnan(test.statistic) and np.isnan(test.pvalue) for test in (nobody, single, lonely))
