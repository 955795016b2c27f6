"""Tables, ranks, quantiles, groups and proportions against SciPy, pandas and statsmodels."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_digits, load_iris, load_wine
from statsmodels.stats.proportion import proportion_confint

import quorate as q
import quorate.analytics as a
from quorate.errors import UserError

rng = np.random.default_rng(11)
IRIS, SPECIES = load_iris(return_X_y=True, as_frame=True)
WINE, CULTIVAR = load_wine(return_X_y=True, as_frame=True)
DIGITS = load_digits()
N = 400
WARD = rng.integers(0, 3, N)
CAUSE = (WARD + rng.integers(0, 4, N) * (rng.random(N) < 0.8)) % 4
SMOKER = rng.random(N) < 0.4
ILL = (rng.random(N) < 0.3) ^ (SMOKER & (rng.random(N) < 0.3))
SOME = rng.random(N) < 0.6


@pytest.mark.parametrize("protocol", ["clear", "rep3", "shamir", "semi2k"])
def test_crosstab(protocol):
    expected = pd.crosstab(WARD[SOME], CAUSE[SOME])
    with q.simulate(protocol=protocol) as net:
        table = a.crosstab(
            net.secret(WARD), net.secret(CAUSE), where=net.secret(SOME), index_groups=["a", "b", "c"], least=0
        ).reveal()
    assert list(table.index) == ["a", "b", "c"]
    assert (table.to_numpy() == expected.to_numpy()).all()


def test_small_cells_of_a_table_are_hidden():
    index, columns = np.repeat([0, 0, 1, 1], [20, 3, 9, 30]), np.repeat([0, 1, 0, 1], [20, 3, 9, 30])
    with q.simulate(protocol="rep3") as net:
        table = a.crosstab(net.secret(index), net.secret(columns)).reveal()
    np.testing.assert_array_equal(table.to_numpy(), [[20, np.nan], [np.nan, 30]])


@pytest.mark.parametrize("protocol", ["clear", "rep3", "shamir"])
def test_chi_square(protocol):
    with q.simulate(protocol=protocol) as net:
        ward, cause, smoker, ill, some = (net.secret(x) for x in (WARD, CAUSE, SMOKER, ILL, SOME))
        pairs = [
            (a.chi2_contingency(ward, cause), stats.chi2_contingency(pd.crosstab(WARD, CAUSE))),
            (
                a.chi2_contingency(ward, cause, where=some, expected=True),
                stats.chi2_contingency(pd.crosstab(WARD[SOME], CAUSE[SOME])),
            ),
            (a.chi2_contingency(smoker, ill), stats.chi2_contingency(pd.crosstab(SMOKER, ILL))),
            (
                a.chi2_contingency(smoker, ill, correction=False),
                stats.chi2_contingency(pd.crosstab(SMOKER, ILL), correction=False),
            ),
        ]
        found = net.reveal(*(ours for ours, _ in pairs))
    for ours, (_, expected) in zip(found, pairs, strict=True):
        assert ours.statistic == pytest.approx(expected.statistic, rel=1e-7)
        assert ours.pvalue == pytest.approx(expected.pvalue, rel=1e-5)
        assert (ours.dof, ours.low_expected) == (expected.dof, (expected.expected_freq < 5).sum())
    np.testing.assert_allclose(found[1].expected_freq, pairs[1][1].expected_freq)


def test_chi_square_of_poor_tables():
    """Independent to the last digit, empty categories, one category, too few rows."""
    index, columns = np.repeat([0, 0, 2, 2], 10), np.repeat([0, 1, 0, 1], 10)
    sparse = np.repeat([1, 4, 1, 4], [13, 7, 8, 12])
    with q.simulate(protocol="rep3") as net:
        first, second = net.secret(index, range=(0, 5)), net.secret(columns)
        equal, single, few, high, four = net.reveal(
            a.chi2_contingency(first, second),
            a.chi2_contingency(first, second, where=second == 1),
            a.chi2_contingency(first, second, where=first == 1),
            a.chi2_contingency(second, second, correction=True),
            a.chi2_contingency(net.secret(sparse, range=(0, 5)), second),
        )
    assert (equal.statistic, equal.dof, equal.n) == (pytest.approx(0, abs=1e-6), 1, 40)
    assert (single.statistic, single.pvalue, single.dof) == (0, 1, 0)
    assert all(np.isnan(value) for value in few.values())
    assert high.statistic == pytest.approx(stats.chi2_contingency([[20, 0], [0, 20]]).statistic, rel=1e-7)
    assert four.statistic == pytest.approx(stats.chi2_contingency(pd.crosstab(sparse, columns)).statistic, rel=1e-6)


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
@pytest.mark.parametrize("table", [[[8, 2], [1, 5]], [[0, 9], [7, 3]], [[40, 25], [18, 60]], [[6, 0], [0, 4]]])
def test_fisher(table, alternative):
    index, columns = np.repeat([0, 0, 1, 1], np.ravel(table)), np.repeat([0, 1, 0, 1], np.ravel(table))
    with q.simulate(protocol="clear") as net:
        found = a.fisher_exact(net.secret(index), net.secret(columns == 1), alternative=alternative).reveal()
    expected = stats.fisher_exact(table, alternative=alternative)
    assert found.pvalue == pytest.approx(expected.pvalue, abs=1e-6)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-7)


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_fisher_opens_no_table(protocol):
    with q.simulate(protocol=protocol) as net:
        smoker, ill, some = (net.secret(x[:60]) for x in (SMOKER, ILL, SOME))
        answer = a.fisher_exact(smoker, ill, where=some)
        few = a.fisher_exact(smoker, ill, where=some, least=61)
        found, hidden, one = net.reveal(answer, few, a.fisher_exact(smoker, ill, where=ill, least=0))
        raw = net.reveal(*few.parts().values())
    assert set(answer.parts()) == {"pvalue", "shown", "zero", "infinite", "ratio", "ratio_power"}
    expected = stats.fisher_exact(pd.crosstab(SMOKER[:60][SOME[:60]], ILL[:60][SOME[:60]]))
    assert found.pvalue == pytest.approx(expected.pvalue, abs=1e-6)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-6)
    assert not np.any(raw)
    assert np.isnan(hidden.pvalue)
    assert np.isnan(one.statistic)
    assert one.pvalue == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_mann_whitney(protocol):
    width = IRIS.iloc[:, 1].to_numpy()
    x, y = width[SPECIES == 1], width[SPECIES == 2]
    small, large = rng.normal(size=6), rng.normal(size=12) + 1
    with q.simulate(protocol=protocol) as net:
        X, Y = net.secret(x, scale=16), net.secret(y, scale=16)
        S, L = net.secret(small, scale=20), net.secret(large, scale=20)
        by = a.mannwhitneyu(net.secret(width), by=net.secret(SPECIES.to_numpy()), alternative="greater")
        same = net.secret(np.full(10, 3))
        pairs = [
            (a.mannwhitneyu(X, Y), stats.mannwhitneyu(x, y)),
            (a.mannwhitneyu(X, Y, use_continuity=False), stats.mannwhitneyu(x, y, use_continuity=False)),
            (by, stats.mannwhitneyu(width[SPECIES == 0], x, alternative="greater")),
            (a.mannwhitneyu(S, L), stats.mannwhitneyu(small, large)),
            (a.mannwhitneyu(S, L, alternative="less"), stats.mannwhitneyu(small, large, alternative="less")),
            (a.mannwhitneyu(S, L, method="asymptotic"), stats.mannwhitneyu(small, large, method="asymptotic")),
            (a.mannwhitneyu(same, same), stats.mannwhitneyu(np.full(10, 3), np.full(10, 3))),
        ]
        found = net.reveal(*(ours for ours, _ in pairs))
    for ours, (_, expected) in zip(found, pairs, strict=True):
        assert ours.statistic == expected.statistic
        assert ours.pvalue == pytest.approx(expected.pvalue, rel=1e-9)


def test_mann_whitney_of_small_or_different_columns():
    with q.simulate(protocol="clear") as net:
        x = net.secret(np.arange(12.0))
        hidden = a.mannwhitneyu(x, by=x > 8.0).reveal()
        nobody = a.mannwhitneyu(x, by=x > 20.0, least=0).reveal()
        with pytest.raises(UserError, match=r"scale=16"):
            a.mannwhitneyu(x, net.secret(np.arange(3.0), scale=16))
    assert np.isnan(hidden.statistic)
    assert np.isnan(nobody.pvalue)


@pytest.mark.parametrize("protocol", ["clear", "rep3", "shamir", "semi2k"])
def test_quantiles(protocol):
    shares = [0.0, 0.1, 1 / 3, 0.5, 0.9, 1.0]
    length, some = IRIS.iloc[:, 2].to_numpy(), SPECIES.to_numpy() > 0
    with q.simulate(protocol=protocol) as net:
        x, by, where = net.secret(length), net.secret(SPECIES.to_numpy()), net.secret(some)
        whole, part, groups, median = net.reveal(
            a.quantile(x, shares), a.quantile(x, shares, where=where), a.quantile(x, shares, by=by), a.quantile(x, 0.5)
        )
    np.testing.assert_allclose(whole, np.quantile(length, shares), atol=2e-6)
    np.testing.assert_allclose(part, np.quantile(length[some], shares), atol=2e-6)
    expected = pd.Series(length).groupby(SPECIES.to_numpy()).quantile(shares).unstack()
    np.testing.assert_allclose(groups, expected, atol=2e-6)
    assert median == pytest.approx(np.median(length), abs=2e-6)


def test_quantiles_of_small_groups():
    with q.simulate(protocol="clear") as net:
        x, by = net.secret(np.arange(20.0)), net.secret(np.repeat([0, 1, 3], [9, 8, 3]))
        answer = a.quantile(x, [0.5], by=by, groups=5)
        found, nothing = net.reveal(answer, a.quantile(x, 0.5, where=by == 3))
    assert np.isnan(found[0.5]).tolist() == [False, True, True, True, True]  # 1 is next in size to the hidden ones
    assert np.isnan(nothing)


def test_histogram():
    pixels = DIGITS.data[:, 20]
    with q.simulate(protocol="rep3") as net:
        x = net.secret(pixels, range=(0, 16), scale=0)
        counts = a.histogram(x, 8, (0, 16)).reveal()
        some = a.histogram(x, [0, 4, 8, 16], where=x > 2.0).reveal()
        default = a.histogram(x, 4).reveal()
        flat = a.histogram(net.secret(np.full(9, 2)), 2).reveal()
    assert counts.counts.tolist() == np.histogram(pixels, 8, (0, 16))[0].tolist()
    assert counts.bin_edges.tolist() == np.linspace(0, 16, 9).tolist()
    assert some.counts.tolist() == np.histogram(pixels[pixels > 2], [0, 4, 8, 16])[0].tolist()
    assert default.counts.tolist() == np.histogram(pixels, 4, (0, 16))[0].tolist()
    assert np.isnan(flat.counts).all()  # the empty bin cannot be hidden alone


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_grouped(protocol):
    statistics = ["count", "sum", "mean", "var", "std", "median"]
    columns = WINE.iloc[:, [0, 9, 12]]
    with q.simulate(protocol=protocol) as net:
        X, by = net.secret(columns), net.secret(CULTIVAR.to_numpy())
        found = a.grouped(X, by, statistics, groups=["I", "II", "III"]).reveal()
        single = a.grouped(X["alcohol"], by, ["mean"], where=X["alcohol"] > 13.0).reveal()
    expected = columns.groupby(CULTIVAR).agg(statistics)
    assert list(found.columns) == list(expected.columns)
    assert list(found.index) == ["I", "II", "III"]
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-4)
    rich = WINE[WINE["alcohol"] > 13].groupby(CULTIVAR)["alcohol"].mean()
    assert list(single.columns) == ["mean"]
    np.testing.assert_allclose(single["mean"].dropna(), rich[~single["mean"].isna().to_numpy()], rtol=1e-6)


def test_small_groups_are_hidden_with_the_next_in_size():
    codes, values = np.repeat([0, 1, 2, 3], [20, 4, 7, 9]), np.arange(40.0)
    with q.simulate(protocol="rep3") as net:
        answer = a.grouped(net.secret(values), net.secret(codes), ["count", "mean", "std", "median"])
        found = answer.reveal()
        opened = dict(zip(answer.parts(), net.reveal(*answer.parts().values()), strict=True))
    assert np.isnan(found.loc[[1, 2]]).all().all()
    assert not np.isnan(found.loc[[0, 3]]).any().any()
    assert all(not np.any(part[1:3]) for part in opened.values())


def test_groups_of_one_and_of_equal_values():
    codes, values = np.array([0, 1, 1, 1]), np.array([3.0, 0.1, 0.1, 0.1])
    with q.simulate(protocol="clear") as net:
        found = a.grouped(net.secret(values), net.secret(codes, range=(0, 2)), ["count", "mean", "var"], least=0)
        found = found.reveal()
    assert found["count"].tolist() == [1, 3, 0]
    assert np.isnan(found["var"][0])
    assert found["var"][1] == 0
    assert np.isnan(found["mean"][2])


def test_describe():
    with q.simulate(protocol="rep3") as net:
        found = a.describe(net.secret(WINE.iloc[:, :4]), [0, 0.5, 1]).reveal()
    expected = WINE.iloc[:, :4].describe([0.5])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_keys_that_nobody_knows(protocol):
    codes = rng.choice([10115, 20095, 80331, 1067, 99999], 150, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    codes[:3] = [50667, 50667, 4]
    values, some = rng.integers(0, 1000, 150), rng.random(150) < 0.9
    with q.simulate(protocol=protocol) as net:
        key, x, where = net.secret(codes), net.secret(values), net.secret(some)
        answer = a.grouped_by_key(x, key, ["count", "sum", "mean"], size=9, where=where)
        found, two = net.reveal(answer, a.grouped_by_key({"x": x, "y": x}, key, size=9, least=1))
        with pytest.raises(UserError, match="no room among 3"):
            a.grouped_by_key(x, key, size=3).reveal()
        opened = dict(zip(answer.parts(), net.reveal(*answer.parts().values()), strict=True))
    expected = pd.Series(values[some]).groupby(codes[some]).agg(["count", "sum", "mean"])
    large = expected[expected["count"] >= 5]
    if expected["count"].sum() - large["count"].sum() < 5:
        large = large.drop(large["count"].idxmin())
    np.testing.assert_allclose(found, large)
    assert list(found.index) == list(large.index)
    assert not np.any(opened["key"][len(large) :])
    assert list(two.columns) == [("x", "count"), ("x", "mean"), ("y", "count"), ("y", "mean")]
    np.testing.assert_allclose(two["y"], pd.Series(values).groupby(codes).agg(["count", "mean"]))


@pytest.mark.parametrize("method", ["wilson", "beta", "normal"])
def test_proportions(method):
    with q.simulate(protocol="rep3") as net:
        smoker, some = net.secret(SMOKER), net.secret(SOME)
        whole, part = net.reveal(
            a.proportion_confint(smoker, method=method),
            a.proportion_confint(smoker, 0.9, method=method, where=some),
        )
    assert (whole.low, whole.high) == pytest.approx(proportion_confint(SMOKER.sum(), N, 0.05, method))
    assert whole.proportion == SMOKER.mean()
    count = SMOKER[SOME].sum(), SOME.sum()
    assert (part.low, part.high) == pytest.approx(proportion_confint(*count, 0.1, method))


def test_rare_cases_are_hidden():
    with q.simulate(protocol="clear") as net:
        rare = net.secret(np.arange(100) < 3)
        answer = a.proportion_confint(rare)
        found, common, allowed = net.reveal(
            answer, a.proportion_confint(~rare), a.proportion_confint(rare, method="beta", least=0)
        )
        assert net.reveal(*answer.parts().values()) == (0, 0)
    assert np.isnan(found.proportion)
    assert np.isnan(common.low)
    assert (allowed.low, allowed.high) == pytest.approx(proportion_confint(3, 100, 0.05, "beta"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, g: a.grouped(x, g, ["mode"]), "'mode'; use count"),
        (lambda x, g: a.grouped(x, x), "whole numbers"),
        (lambda x, g: a.grouped(x, g * 100), "give groups="),
        (lambda x, g: a.grouped(x, g[:5], groups=2), "rows"),
        (lambda x, g: a.grouped_by_key(x, g, ["std"], size=2), "'std'; use count"),
        (lambda x, g: a.grouped_by_key(x, g[:5], size=2), "each of the 20 rows"),
        (lambda x, g: a.quantile(x, 50), "between 0 and 1"),
        (lambda x, g: a.quantile(x, 0.5, by=g[:5]), "rows"),
        (lambda x, g: a.crosstab(g, g[:5]), "20 rows of one column and 5"),
        (lambda x, g: a.histogram(x, 0), "at least one bin"),
        (lambda x, g: a.histogram(x, [3, 1]), "ascending"),
        (lambda x, g: a.mannwhitneyu(x, x, method="t"), "auto, asymptotic"),
        (lambda x, g: a.fisher_exact(g, g, alternative="both"), "two-sided"),
        (lambda x, g: a.fisher_exact(*[q.concatenate([g] * 250)] * 2), "chi2_contingency for more"),
    ],
)
def test_refused(call, message):
    with q.simulate(protocol="clear") as net:
        x, g = net.secret(np.arange(20.0)), net.secret(np.arange(20) % 2)
        with pytest.raises(UserError, match=message):
            call(x, g)
