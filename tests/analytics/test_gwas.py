"""Genome-wide association against SciPy and statsmodels on the same genotypes."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

import quorate as q
from quorate.analytics import GWAS, allele_counts
from quorate.errors import UserError
from quorate.lang.known import Known, reference
from quorate.lang.ranges import plan_ranges
from quorate.sharing.dtype import INT
from quorate.testing.method_conformance import Case

PEOPLE, VARIANTS = 240, 15


@pytest.fixture(scope="module")
def study():
    """Genotypes, who is ill, two covariates; one variant is a cause, one has no second allele."""
    rng = np.random.default_rng(4)
    frequency = rng.uniform(0.03, 0.6, VARIANTS)
    genotypes = rng.binomial(2, frequency, size=(PEOPLE, VARIANTS)).astype(np.int8)
    genotypes[:, 7] = 0
    covariates = np.column_stack([rng.normal(size=PEOPLE) + 0.4 * genotypes[:, 5], rng.integers(20, 80, PEOPLE)])
    risk = 1.2 * (genotypes[:, 3] - 0.8) + 0.3 * covariates[:, 0]
    return genotypes, (rng.uniform(size=PEOPLE) < 1 / (1 + np.exp(-risk))).astype(np.int8), covariates


@pytest.fixture(params=["rep3", "shamir"])
def net(request):
    with q.simulate(protocol=request.param, seed=2) as session:
        yield session


@pytest.fixture
def oracle():
    with q.simulate(protocol="clear", seed=2) as session:
        yield session


def secrets(session, study):
    genotypes, ill, covariates = study
    return (
        session.secret(genotypes, range=(0, 2)),
        session.secret(ill, range=(0, 1)),
        session.secret(covariates, range=[(-8, 8), (0, 100)]),
    )


def regressions(genotypes, trait, covariates):
    """(coefficient, standard error, t, p) of each variant; NaN without a second allele."""
    found = []
    for column in genotypes.T:
        if len(np.unique(column)) == 1:
            found.append([np.nan] * 4)
            continue
        model = sm.OLS(trait, np.column_stack([column, np.ones(len(trait)), covariates])).fit()
        found.append([model.params[0], model.bse[0], model.tvalues[0], model.pvalues[0]])
    return np.array(found).T


def test_a_regression_of_every_variant_with_covariates(net, study):
    g, ill, covariates = secrets(net, study)
    found = GWAS().fit(ill, covariates).test_variants(g).reveal()
    effect, error, t, p = regressions(*study)
    assert np.isnan(found.p_values_).nonzero()[0].tolist() == [7]
    kept = ~np.isnan(p)
    assert np.abs(found.effect_ - effect)[kept].max() < 1e-3 * error[kept].max()
    assert found.chi2_[kept] == pytest.approx(t[kept] ** 2, rel=1e-3, abs=1e-4)
    assert np.log(found.p_values_[kept]) == pytest.approx(np.log(p[kept]), rel=1e-3, abs=1e-3)
    strong = kept & (t**2 > 0.1)
    assert found.standard_errors_[strong] == pytest.approx(error[strong], rel=1e-3)
    assert found.p_values_[kept].argmin() == 3


def test_a_trait_in_numbers_without_covariates():
    rng = np.random.default_rng(8)
    genotypes = rng.binomial(2, 0.3, size=(500, 12))
    height = 170 + 2 * genotypes[:, 4] + rng.normal(0, 7, 500)
    with q.simulate(protocol="clear") as session:
        model = GWAS().fit(session.secret(height, range=(100, 230)))
        found = model.test_variants(session.secret(genotypes, range=(0, 2))).reveal()
    effect, error, t, _ = regressions(genotypes, height, np.empty((500, 0)))
    assert found.effect_ == pytest.approx(effect, abs=1e-3 * error.max())
    assert found.chi2_ == pytest.approx(t**2, rel=1e-3, abs=1e-4)


def test_trend_and_allelic_tests(net, study):
    genotypes, ill, _ = study
    g, y, _ = secrets(net, study)
    trend, allelic = net.reveal(GWAS("trend").fit(y).test_variants(g), GWAS("allelic").fit(y).test_variants(g))
    for j in (0, 1, 2, 3, 11):
        squared = np.corrcoef(genotypes[:, j], ill)[0, 1] ** 2
        assert trend.chi2_[j] == pytest.approx(PEOPLE * squared, rel=1e-3, abs=1e-3)
        assert trend.p_values_[j] == pytest.approx(stats.chi2.sf(PEOPLE * squared, 1), rel=1e-2)
        copies = [genotypes[ill == k, j].sum() for k in (0, 1)]
        table = [copies, [2 * (ill == k).sum() - copies[k] for k in (0, 1)]]
        expected = stats.chi2_contingency(table, correction=False)
        assert allelic.chi2_[j] == pytest.approx(expected.statistic, rel=1e-3, abs=1e-3)


def test_missing_genotypes_count_as_the_mean(net, study):
    genotypes, ill, covariates = study
    rng = np.random.default_rng(9)
    known = rng.uniform(size=genotypes.shape) < 0.9
    known[:, 2] = rng.uniform(size=PEOPLE) < 0.1
    written = np.where(known, genotypes, rng.integers(0, 3, genotypes.shape))
    g, y, c = secrets(net, (written, ill, covariates))
    found = GWAS().fit(y, c).test_variants(g, called=net.secret(known.astype(np.int8), range=(0, 1))).reveal()
    mean = np.where(known, genotypes, 0).sum(0) / known.sum(0)
    effect, error, t, _ = regressions(np.where(known, genotypes, mean), ill, covariates)
    kept = ~np.isin(np.arange(VARIANTS), [2, 7])
    assert np.isnan(found.chi2_).nonzero()[0].tolist() == [2, 7]
    assert found.chi2_[kept] == pytest.approx(t[kept] ** 2, rel=2e-3, abs=1e-3)
    assert np.abs(found.effect_ - effect)[kept].max() < 2e-3 * error[kept].max()


def test_only_the_strongest_are_opened(oracle, study):
    g, ill, covariates = secrets(oracle, study)
    model = GWAS().fit(ill, covariates)
    names = [f"rs{k}" for k in range(VARIANTS)]
    all_, best = oracle.reveal(model.test_variants(g), model.test_variants(g, most=3, names=names))
    order = np.argsort(-np.nan_to_num(all_.chi2_))[:3]
    assert best.index_.tolist() == order.tolist()
    assert best.feature_names_in_ == [f"rs{k}" for k in order]
    assert best.effect_ == pytest.approx(all_.effect_[order], rel=1e-2, abs=1e-4)
    assert best.to_pandas().index.tolist() == [f"rs{k}" for k in order]


def test_blocks_of_variants_give_the_same(study):
    with q.simulate(protocol="clear") as session:
        g, ill, covariates = secrets(session, study)
        model = GWAS().fit(ill, covariates)
        whole, *parts = session.reveal(*(model.test_variants(one) for one in (g, g[:, :8], g[:, 8:])))
    assert np.concatenate([part.chi2_ for part in parts]) == pytest.approx(whole.chi2_, rel=1e-3, abs=1e-4, nan_ok=True)


def test_principal_components_take_care_of_populations():
    rng = np.random.default_rng(6)
    population = rng.integers(0, 2, 300)
    frequency = rng.uniform(0.2, 0.5, 60)
    moved = frequency + np.where(np.arange(60) < 30, 0.25, 0)
    genotypes = rng.binomial(2, np.where(population[:, None], moved, frequency))
    ill = (rng.uniform(size=300) < np.where(population, 0.7, 0.2)).astype(int)
    with q.simulate(protocol="clear") as session:
        g, y = session.secret(genotypes, range=(0, 2)), session.secret(ill, range=(0, 1))
        scores = q.analytics.PCA(2).fit_transform(g)
        crude, adjusted = session.reveal(GWAS("trend").fit(y).test_variants(g), GWAS().fit(y, scores).test_variants(g))
    assert np.median(crude.chi2_[:30]) > 4
    assert np.median(adjusted.chi2_) < 1
    own = np.linalg.svd(genotypes - genotypes.mean(0))[0][:, :2]
    assert adjusted.chi2_ == pytest.approx(regressions(genotypes, ill, own)[2] ** 2, rel=0.01, abs=0.01)


def test_counts_and_equilibrium(oracle, study):
    genotypes = study[0]
    found = allele_counts(oracle.secret(genotypes, range=(0, 2))).reveal()
    kept = np.minimum(genotypes.sum(0), 2 * PEOPLE - genotypes.sum(0)) >= 5
    assert (~np.isnan(found.copies_)).tolist() == kept.tolist()
    assert found.copies_[kept].tolist() == genotypes.sum(0)[kept].tolist()
    assert found.heterozygous_[kept].tolist() == (genotypes == 1).sum(0)[kept].tolist()
    for j in kept.nonzero()[0][:5]:
        observed = np.bincount(genotypes[:, j], minlength=3)
        p = genotypes[:, j].mean() / 2
        expected = PEOPLE * np.array([(1 - p) ** 2, 2 * p * (1 - p), p**2])
        assert found.hwe_chi2_[j] == pytest.approx(((observed - expected) ** 2 / expected).sum())
        assert found.minor_frequency_[j] == pytest.approx(min(p, 1 - p))


def test_hidden_variants_are_not_opened(study):
    genotypes = study[0].copy()
    genotypes[:, 9] = 0
    genotypes[:3, 9] = 1
    with q.simulate(protocol="clear") as session:
        g, ill, _ = secrets(session, (genotypes, *study[1:]))
        tested, counted = GWAS().fit(ill).test_variants(g), allele_counts(g)
        assert np.isnan([tested.reveal().effect_[9], counted.reveal().copies_[9]]).all()
        for part in (tested.parts()["share_"], tested.parts()["effect_"], counted.parts()["copies_"]):
            assert part.reveal()[[7, 9]].tolist() == [0, 0]


@pytest.mark.parametrize("test", ["linear", "trend", "allelic"])
def test_a_trait_that_everybody_has_gives_nothing(study, test):
    with q.simulate(protocol="clear") as session:
        model = GWAS(test).fit(session.secret(np.ones(PEOPLE, int), range=(0, 1)))
        found = model.test_variants(session.secret(study[0], range=(0, 2))).reveal()
    assert np.isnan(found.p_values_).all()


def test_a_covariate_twice_and_a_constant_one_count_once(study):
    genotypes, ill, covariates = study
    with q.simulate(protocol="clear") as session:
        g, y, _ = secrets(session, study)
        wide = np.column_stack([covariates[:, 0], covariates[:, 0], np.ones(PEOPLE)])
        found = GWAS().fit(y, session.secret(wide, range=(-8, 8))).test_variants(g).reveal()
    t = regressions(genotypes, ill, covariates[:, :1])[2]
    assert found.chi2_ == pytest.approx(t**2, rel=1e-3, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize("people", [10, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("protocol", ["rep3", "shamir"])
def test_every_number_of_people_fits(people, protocol):
    columns = {"y": INT, "c": q.fixed(20), **{f"g{k}": INT for k in range(3)}}
    bounds = {("a", name): (0, 2) for name in columns} | {("a", "y"): (0, 1), ("a", "c"): (-(2**24), 2**24)}

    def both(a):
        g = q.column_stack([a[f"g{k}"] for k in range(3)])
        missing = g < 2
        tested = GWAS().fit(a.y, a.c).test_variants(g, most=1)
        return {"a": tested, "b": GWAS("allelic").fit(a.y).test_variants(g, missing), "c": allele_counts(g, missing)}

    plan = q.computation(both).trace({"a": columns}, None, Known(bounds, {"a": people}, reference(protocol)))
    plan_ranges(plan.bind({"a": people}), reference(protocol), bounds)


def test_row_counts_that_are_known_only_when_the_session_starts():
    rng = np.random.default_rng(1)
    data = {f"g{k}": rng.integers(0, 3, 60) for k in range(3)} | {"y": rng.integers(0, 2, 60)}
    case = Case(
        GWAS,
        lambda seed: data,
        {"y": (0, 1), **{f"g{k}": (0, 2) for k in range(3)}},
        lambda model, table: model.fit(table["y"]),
        lambda model, table: model.test_variants({f"g{k}": table[f"g{k}"] for k in range(3)}).parts()["share_"],
    )
    expected = [np.corrcoef(data[f"g{k}"], data["y"])[0, 1] ** 2 for k in range(3)]
    assert case.run("rep3", 1).values["used"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda s, g, y: GWAS("cox").fit(y), "test 'cox'"),
        (lambda s, g, y: GWAS("trend").fit(y, y), "knows no covariates"),
        (lambda s, g, y: GWAS().test_variants(g), "call fit first"),
        (lambda s, g, y: GWAS().fit(y[:-1]).test_variants(g), "genotypes of 240 people"),
        (lambda s, g, y: GWAS().fit(y, y[:-1]), "covariates of 239 people"),
        (lambda s, g, y: GWAS().fit(y).test_variants(g, most=0), "most=0"),
        (lambda s, g, y: GWAS().fit(y).test_variants(g, names=["a"]), "1 names for 15 variants"),
        (lambda s, g, y: GWAS().fit(y).test_variants(g * 2), "whole numbers from 0 to 2"),
        (lambda s, g, y: GWAS().fit(y).test_variants(g, called=g[:, :3]), "called are whole numbers from 0 to 1"),
        (lambda s, g, y: allele_counts(g, called=g[:, :3] > 0), "called of shape"),
        (lambda s, g, y: allele_counts(y), "a secret matrix"),
        (lambda s, g, y: allele_counts(g, least=-2), "least=-2"),
    ],
)
def test_studies_that_cannot_be_are_refused(study, do, message):
    with q.simulate(protocol="clear") as session:
        g, y, _ = secrets(session, study)
        with pytest.raises(UserError, match=message):
            do(session, g, y)
