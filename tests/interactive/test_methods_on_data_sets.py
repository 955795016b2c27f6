"""Methods of `quorate.analytics` open aggregates: on data sets of others they come through a node's look at plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.analytics.test_conformance import CASES

import quorate as q
from quorate.coordination.aggregates import check_openings, lineage
from quorate.coordination.lineage import Facts, Region, Strand
from quorate.errors import UserError
from quorate.interactive.backend import HeldColumn
from quorate.interactive.composing import compose
from quorate.lang.array import SecretArray
from quorate.lang.known import reference
from quorate.lang.ranges import plan_ranges
from quorate.lang.result import Result
from quorate.node.room import ranges_of
from quorate.sharing.dtype import BOOL, INT, fixed

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "notebooks-on-nodes.md"

A = q.analytics
ROWS, LEAST = 120, 10
COLUMNS = {
    "x": (fixed(16), 0, 10),
    "z": (fixed(16), -1, 1),
    "y": (fixed(16), 0, 100),
    "group": (INT, 0, 3),
    "flag": (BOOL, 0, 1),
    "time": (INT, 0, 100),
    "count": (INT, 0, 20),
}
OWNERS = ("a", "b")


def pooled() -> tuple[q.Net, SimpleNamespace]:
    """An interactive session, and the columns of two owners' data sets, one below the other."""
    net = q.simulate()
    data = SimpleNamespace()
    for name, (dtype, low, high) in COLUMNS.items():
        held = [HeldColumn(f"{o}.{name}", ROWS, dtype, (low << dtype.scale, high << dtype.scale)) for o in OWNERS]
        both = [net._live.hold(owner, name, column) for owner, column in zip(OWNERS, held, strict=True)]
        setattr(data, name, q.concatenate(both))
    data.X = q.column_stack([data.x, data.z])
    return net, data


def look(made: Callable[[SimpleNamespace], Any]) -> None:
    """Raises `UserError` if a node would refuse to open this."""
    net, data = pooled()
    thing = made(data)
    parts = thing.parts().values() if isinstance(thing, Result) else [thing]
    request = net._live.request([part for part in parts if isinstance(part, SecretArray) and part.known() is None])
    work = compose(request, me="analyst", parties=("p", "q", "r"), protocol="rep3")
    bound, inputs = work.plan.bind(work.rows), {item.name: item for item in work.spec.inputs}
    sources = {}
    for name, column in bound.inputs:
        owner = str(inputs[name].stored).partition(".")[0]
        sources[name, column] = Facts(frozenset({Strand(f"{owner}@1", owner, 1, Region(0, 0, ROWS), ROWS)}))
    known = lineage(bound, sources, ranges_of(work.spec, bound))
    assert any(known[target].strands for target in bound.outputs.values())
    check_openings(bound, known, list(request.opened), "analyst", LEAST)


METHODS: dict[str, Callable[[SimpleNamespace], Any]] = {
    "mean": lambda d: A.mean(d.x),
    "std": lambda d: A.std(d.x, where=d.flag),
    "cov": lambda d: A.cov(d.X),
    "corrcoef": lambda d: A.corrcoef(d.X),
    "describe": lambda d: A.describe(d.x),
    "quantile": lambda d: A.quantile(d.x, [0.25, 0.5], where=d.flag),
    "histogram": lambda d: A.histogram(d.x, bins=5, range=(0, 10)),
    "grouped": lambda d: A.grouped(d.x, d.group),
    "ttest_ind": lambda d: A.ttest_ind(d.x, by=d.flag),
    "mannwhitneyu": lambda d: A.mannwhitneyu(d.x, d.y),
    "crosstab": lambda d: A.crosstab(d.group, d.flag),
    "chi2_contingency": lambda d: A.chi2_contingency(d.group, d.flag),
    "KaplanMeier": lambda d: A.KaplanMeier(range(0, 100, 10)).fit(d.time, d.flag),
    "logrank_test": lambda d: A.logrank_test(d.time, d.flag, d.group == 1),
    "LinearRegression": lambda d: A.LinearRegression().fit(d.X, d.y),
    "PoissonRegression": lambda d: A.PoissonRegression().fit(d.X, d.count),
    "KMeans": lambda d: A.KMeans(2, init=[[1.0, 0.0], [5.0, 0.5]]).fit(d.X),
    "DecisionTreeClassifier": lambda d: A.DecisionTreeClassifier(max_depth=2).fit(d.X, d.flag),
    "GradientBoostingRegressor": lambda d: A.GradientBoostingRegressor(n_estimators=2, max_depth=2).fit(d.X, d.y),
    "f_oneway": lambda d: A.f_oneway(d.x, by=d.group, groups=4),
    "fisher_exact": lambda d: A.fisher_exact(d.flag, d.group == 1),
    "CoxRegression": lambda d: A.CoxRegression(grid=range(0, 100, 10)).fit(d.X, d.time, d.flag),
    "LogisticRegression": lambda d: A.LogisticRegression().fit(d.X, d.flag),
    "allele_counts": lambda d: A.allele_counts(genotypes(d)),
    "GWAS": lambda d: A.GWAS().fit(d.flag, ancestry(d)).test_variants(genotypes(d)),
    "HistoricalRisk": lambda d: A.HistoricalRisk([0.9, 0.95]).fit(d.x),
    "HistoricalRisk, added up": lambda d: A.HistoricalRisk(0.95).fit([d.x, d.y]),
    "Concentration": lambda d: A.Concentration(3, top=LEAST).fit([{"key": d.time, "sum": d.y}], "key", "sum"),
    "GWAS, strongest": lambda d: A.GWAS("trend").fit(d.flag).test_variants(genotypes(d), most=2),
}


def genotypes(d: SimpleNamespace) -> SecretArray:
    """Copies of six variants."""
    return q.column_stack([(d.count > k).astype(q.int64) + (d.group > 1).astype(q.int64) for k in range(0, 18, 3)])


def ancestry(d: SimpleNamespace) -> SecretArray:
    return A.GenotypeComponents(1, steps=1).fit(genotypes(d)).scores_


@pytest.mark.parametrize("name", METHODS)
def test_results_of_methods_may_be_opened(name):
    look(METHODS[name])


REFUSED = {
    "KMeans": "by itself it begins with a row",
    "GWAS": "what is fitted holds values for each person",
}
"""Of the methods in the conformance suite; the guide says so too."""

FEWER = {"Exposure": 2, "HistoricalRisk": 2}
"""One has 16 categories for 40 rows there, the other takes the largest 2 of them."""


@pytest.mark.parametrize("name", CASES)
def test_every_method_opens_aggregates(name):
    """All parts of a fitted model, on columns of somebody else's data set."""
    case = replace(CASES[name], use=None)
    rows = len(next(iter(case.data(0).values())))
    plan = case.plan("rep3", {"data": rows}).bind({"data": rows})
    strand = Strand("d@1", "owner", 1, Region(0, 0, rows), rows)
    ranges = plan_ranges(plan, reference("rep3"), case.bounds())
    known = lineage(plan, dict.fromkeys(plan.inputs, Facts(frozenset({strand}))), ranges)
    if name not in REFUSED:
        check_openings(plan, known, list(plan.outputs), "analyst", FEWER.get(name, LEAST))
        return
    assert f"`{name}`" in GUIDE.read_text()
    with pytest.raises(UserError, match="of the data set"):
        check_openings(plan, known, list(plan.outputs), "analyst", LEAST)


@pytest.mark.parametrize(
    "made",
    [
        lambda d: A.LinearRegression().fit(d.X, d.y).predict(d.X),
        lambda d: A.KMeans(2).fit(d.X),  # begins with a row
        lambda d: A.quantile(d.x, 0.0),
        lambda d: A.HistoricalRisk(0.98).fit(d.x),  # of four losses
        lambda d: A.Concentration(top=LEAST - 1).fit([{"key": d.time, "sum": d.y}], "key", "sum"),
        lambda d: A.RandomForestClassifier(1, 1).fit(d.X, d.flag),  # draws rows
    ],
)
def test_what_is_about_single_rows_may_not(made):
    with pytest.raises(UserError, match="of the data set"):
        look(made)
