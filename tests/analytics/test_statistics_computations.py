"""Every statistic in a computation that is traced before the numbers of rows are known, over data of two owners."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import quorate as q
import quorate.analytics as a
from quorate.lang.known import Known, reference
from quorate.lang.simulation import Simulation
from quorate.sharing.dtype import BOOL, INT, fixed, of_numpy

rng = np.random.default_rng(3)
ROWS = (30, 25)
NORTH, SOUTH = (
    {
        "cost": rng.integers(100, 1000, n),
        "age": rng.uniform(20, 80, n),
        "ward": rng.integers(0, 2, n),
        "sex": rng.random(n) < 0.5,
        "valid": rng.random(n) < 0.8,
    }
    for n in ROWS
)
RANGES = {"cost": (0, 5000), "age": (0, 127), "ward": (0, 1), "sex": (0, 1), "valid": (0, 1)}
BOTH = {name: np.concatenate([NORTH[name], SOUTH[name]]) for name in NORTH}
KEPT = pd.DataFrame(BOTH)[BOTH["valid"]]


def dtypes(columns):
    return {name: fixed(16) if values.dtype.kind == "f" else of_numpy(values.dtype) for name, values in columns.items()}


def run(function, protocol="clear"):
    """What a computation of two inputs gives, traced with symbols for the numbers of rows."""
    inputs = {"north": NORTH, "south": SOUTH}
    made = []

    def traced(north, south):
        made.append(function(north, south))
        return {"found": made[0]}

    bounds, raw = {}, {}
    for name, columns in inputs.items():
        for column, dtype in dtypes(columns).items():
            low, high = dtype.encode(np.array(RANGES[column])).tolist()
            bounds[name, column] = (low, high)
            raw[name, column] = dtype.encode(columns[column])
    rows = {name: len(columns["cost"]) for name, columns in inputs.items()}
    known = Known(bounds, dict.fromkeys(inputs, 40), reference(protocol))
    plan = q.computation(traced).trace({name: dtypes(columns) for name, columns in inputs.items()}, None, known)
    values = Simulation(protocol, seed=1).run(plan.bind(rows), raw, bounds).values
    return made[0].finished({name.removeprefix("found."): value for name, value in values.items()})


def joined(name):
    return lambda north, south: q.concatenate([north[name], south[name]])


cost, age, ward, sex, valid = (joined(name) for name in ("cost", "age", "ward", "sex", "valid"))
X = ("cost", "age")


def both(north, south):
    return {name: joined(name)(north, south) for name in X}


def table(data):
    return pd.crosstab(data["ward"], data["sex"])


def contingency(data):
    return stats.chi2_contingency(table(data))


CASES = {
    "mean": (lambda n, s: a.mean(cost(n, s)), BOTH["cost"].mean()),
    "mean where": (lambda n, s: a.mean(cost(n, s), where=valid(n, s)), KEPT["cost"].mean()),
    "weighted": (
        lambda n, s: a.mean(age(n, s), sample_weight=cost(n, s)),
        np.average(BOTH["age"], weights=BOTH["cost"]),
    ),
    "var": (lambda n, s: a.var(both(n, s)), pd.DataFrame(BOTH)[list(X)].var()),
    "std where": (lambda n, s: a.std(both(n, s), where=valid(n, s)), KEPT[list(X)].std()),
    "cov": (lambda n, s: a.cov(both(n, s)), pd.DataFrame(BOTH)[list(X)].cov()),
    "corrcoef": (lambda n, s: a.corrcoef(both(n, s), where=valid(n, s)), KEPT[list(X)].corr()),
    "quantile": (lambda n, s: a.quantile(cost(n, s), [0.25, 0.5]), np.quantile(BOTH["cost"], [0.25, 0.5])),
    "quantile by": (
        lambda n, s: a.quantile(cost(n, s), 0.5, by=ward(n, s), where=valid(n, s)),
        KEPT.groupby("ward")["cost"].median(),
    ),
    "grouped": (
        lambda n, s: a.grouped(both(n, s), ward(n, s), ["count", "mean", "std", "median"]),
        pd.DataFrame(BOTH).groupby("ward")[list(X)].agg(["count", "mean", "std", "median"]),
    ),
    "describe": (
        lambda n, s: a.describe(both(n, s)),
        pd.DataFrame(BOTH)[list(X)].describe().drop(["min", "max"]),
    ),
    "crosstab": (lambda n, s: a.crosstab(ward(n, s), sex(n, s)), table(BOTH)),
}
TESTS = {
    "ttest_1samp": (lambda n, s: a.ttest_1samp(age(n, s), 50.5), stats.ttest_1samp(BOTH["age"], 50.5)),
    "ttest_rel": (lambda n, s: a.ttest_rel(age(n, s), cost(n, s)), stats.ttest_rel(BOTH["age"], BOTH["cost"])),
    "ttest_ind": (lambda n, s: a.ttest_ind(n.age, s.age), stats.ttest_ind(NORTH["age"], SOUTH["age"])),
    "welch": (
        lambda n, s: a.ttest_ind(age(n, s), by=sex(n, s), equal_var=False),
        stats.ttest_ind(BOTH["age"][~BOTH["sex"]], BOTH["age"][BOTH["sex"]], equal_var=False),
    ),
    "f_oneway": (
        lambda n, s: a.f_oneway(n.cost, s.cost, n.ward + 300, where=[n.valid, None, None]),
        stats.f_oneway(NORTH["cost"][NORTH["valid"]], SOUTH["cost"], NORTH["ward"] + 300),
    ),
    "mannwhitneyu": (lambda n, s: a.mannwhitneyu(n.age, s.age), stats.mannwhitneyu(NORTH["age"], SOUTH["age"])),
    "chi2": (lambda n, s: a.chi2_contingency(ward(n, s), sex(n, s)), contingency(BOTH)),
    "chi2 where": (lambda n, s: a.chi2_contingency(ward(n, s), sex(n, s), where=valid(n, s)), contingency(KEPT)),
    "fisher": (lambda n, s: a.fisher_exact(ward(n, s), sex(n, s)), stats.fisher_exact(table(BOTH))),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    function, expected = CASES[name]
    np.testing.assert_allclose(np.asarray(run(function), float), np.asarray(expected, float), rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("name", TESTS)
def test_tests(name):
    function, expected = TESTS[name]
    found = run(function)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-4)
    assert found.pvalue == pytest.approx(expected.pvalue, rel=1e-3, abs=1e-6)


def test_intervals():
    found = run(lambda n, s: a.confidence_interval(cost(n, s)))
    expected = stats.ttest_1samp(BOTH["cost"], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)
    found = run(lambda n, s: a.proportion_confint(sex(n, s), method="beta"))
    expected = stats.binomtest(int(BOTH["sex"].sum()), 55).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_histogram():
    found = run(lambda n, s: a.histogram(cost(n, s), 4, (0, 1000), least=0))
    assert found.counts.tolist() == np.histogram(BOTH["cost"], 4, (0, 1000))[0].tolist()


@pytest.mark.parametrize("protocol", ["rep3", "shamir", "semi2k"])
def test_columns_of_two_owners_side_by_side(protocol):
    """Vertically split: rows of two inputs that belong together."""

    @q.computation
    def link(clinic, insurer):
        clinic, insurer = q.align(clinic, insurer)
        both = [clinic.age, insurer.cost]
        return {"r": a.corrcoef(both), "t": a.ttest_rel(*both)}

    found = link.simulate(protocol, clinic={"age": NORTH["age"]}, insurer={"cost": NORTH["cost"]})
    r, t = found["r"], found["t"]
    assert r[0, 1] == pytest.approx(
        np.corrcoef(np.asarray(NORTH["age"], float), np.asarray(NORTH["cost"], float))[0, 1], abs=1e-5
    )
    assert t.statistic == pytest.approx(stats.ttest_rel(NORTH["age"], NORTH["cost"]).statistic, rel=1e-5)


WIDE = {"narrow": ((-8, 8), fixed(20)), "whole": ((0, 2**40), INT), "wide": ((-(2**40), 2**40), fixed(8))}


@pytest.mark.parametrize(("name", "protocol"), [*((name, "shamir") for name in WIDE), ("wide", "rep3")])
def test_a_million_rows_fit(name, protocol):
    """No step may overflow; where a column has too many digits, the last ones are given up."""
    (low, high), dtype = WIDE[name]
    columns = {"x": dtype, "y": dtype, "ward": INT, "sex": BOOL}
    raw = dtype.encode(np.array([low, high])).tolist()
    bounds = {("t", "x"): tuple(raw), ("t", "y"): tuple(raw), ("t", "ward"): (0, 9), ("t", "sex"): (0, 1)}

    @q.computation
    def all_of_them(t):
        answers = [
            a.mean(t.x, where=t.sex),
            a.mean(t.x, sample_weight=t.ward),
            a.std(t.x, sample_weight=t.ward, where=t.sex),
            a.corrcoef([t.x, t.y]),
            a.ttest_1samp(t.x),
            a.ttest_ind(t.x, t.y, equal_var=False),
            a.f_oneway(t.x, by=t.ward),
            a.grouped(t.x, t.ward, ["mean", "std", "median"]),
            a.chi2_contingency(t.ward, t.sex),
            a.quantile(t.x, [0.5, 0.999], by=t.sex),
        ]
        for answer in answers:
            assert all(part.limits[0] <= part.limits[1] for part in answer.parts().values())
        return dict(zip("abcdefghij", answers, strict=True))

    all_of_them.trace({"t": columns}, None, Known(bounds, {"t": 10**6}, reference(protocol)))


def test_costs_do_not_depend_on_the_data():
    @q.computation
    def some(x, g):
        return {"a": a.grouped(x, g), "b": a.mannwhitneyu(x, by=g), "c": a.fisher_exact(g, x > 3)}

    plans = []
    for seed in (1, 2):
        data = np.random.default_rng(seed)
        x, g = data.integers(1, 8, 40), data.integers(0, 2, 40)
        raw = {("x", "value"): x, ("g", "value"): g}
        bounds = {("x", "value"): (0, 2**20), ("g", "value"): (0, 1)}
        known = Known(bounds, {"x": 40, "g": 40}, reference("rep3"))
        plan = some.trace({"x": INT, "g": INT}, {"x": 40, "g": 40}, known)
        found = Simulation("rep3", seed=seed).run(plan.bind({"x": 40, "g": 40}), raw, bounds)
        plans.append((plan.digest, found.rounds, found.bytes_sent))
    assert plans[0] == plans[1]
