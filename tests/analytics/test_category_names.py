"""Results name categories: groups, classes, cells, thresholds."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate.analytics.trees.opened import OpenedTrees
from quorate.errors import DataError, UserError

mpl.use("Agg")
WARDS, ENDS = ["surgery", "medicine", "maternity"], ["home", "clinic", "unknown"]
ROWS = 90


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    ward, days = rng.integers(0, 3, ROWS), rng.integers(1, 20, ROWS)
    end = np.where(ward == 0, 0, np.where(days > 12, 2, 1))
    return pd.DataFrame(
        {
            "ward": pd.Categorical.from_codes(ward, WARDS),
            "days": days,
            "end": pd.Categorical.from_codes(end, ENDS),
            "ill": rng.random(ROWS) < 0.5,
        }
    )


@pytest.fixture(scope="module")
def net():
    with q.simulate(protocol="clear") as session:
        yield session


@pytest.fixture(scope="module")
def table(net, frame):
    return net.secret(frame)


def test_groups(net, table, frame):
    grouped, quantiles, cells, curves = net.reveal(
        q.analytics.grouped(table.days, table.ward, ["mean"]),
        q.analytics.quantile(table.days, [0.5], by=table.ward),
        q.analytics.crosstab(table.ward, table.end, least=0),
        q.analytics.KaplanMeier().fit(table.days, table.ill, by=table.ward),
    )
    means = frame.groupby("ward", observed=False)["days"].mean()
    assert grouped["mean"].to_dict() == pytest.approx(means.to_dict(), rel=1e-5)
    assert list(quantiles.index) == WARDS
    pd.testing.assert_frame_equal(
        cells,
        pd.crosstab(frame.ward, frame.end, dropna=False),
        check_dtype=False,
        check_names=False,
        check_index_type=False,
        check_column_type=False,
        check_categorical=False,
    )
    assert set(curves.table()["group"]) == set(WARDS)
    assert [text.get_text() for text in q.plots.survival(curves).get_legend().get_texts()] == WARDS


def test_a_number_of_groups_has_no_names(table):
    assert list(q.analytics.grouped(table.days, table.ward, ["mean"], groups=3).reveal().index) == [0, 1, 2]


def test_histograms(table, frame):
    bars = q.analytics.histogram(table.ward).reveal()
    assert bars.to_pandas()["counts"].to_dict() == frame.ward.value_counts().to_dict()
    assert [label.get_text() for label in q.plots.histogram(bars).get_xticklabels()] == WARDS
    assert "bin_edges" in q.analytics.histogram(table.ward, 2).reveal()


def test_trees(table, frame):
    X = {"ward": table.ward, "days": table.days}
    model = q.analytics.DecisionTreeClassifier(max_depth=2, min_samples_leaf=2, max_bins=32).fit(X, table.end)
    opened = model.reveal()
    assert "ward in (surgery)" in opened.text() or "ward in (surgery, medicine)" in opened.text()
    for trees in (opened, OpenedTrees.from_json(opened.to_json())):
        found = trees.predict(frame[["ward", "days"]])
        assert (found == frame.end.to_numpy()).mean() > 0.85
    with pytest.raises(DataError, match="'legal' is none of the categories surgery, medicine, maternity"):
        opened.predict({"ward": ["legal"], "days": [1]})
    cells = q.analytics.confusion_matrix(table.end, model.predict(X), least=0).reveal()
    assert list(cells.index) == list(cells.columns) == ENDS
    assert np.trace(cells) == (opened.predict(frame) == frame.end.to_numpy()).sum()


def test_classes(table):
    X = {"days": table.days, "ill": table.ill}
    bayes = q.analytics.GaussianNB(3).fit(X, table.end).reveal()
    assert list(bayes.to_pandas("theta_").index) == list(bayes.to_pandas("class_count_").index) == ENDS
    logistic = q.analytics.LogisticRegression(classes=3, max_iter=2).fit(X, table.end)
    with pytest.warns(q.analytics.SeparationWarning):
        opened = logistic.reveal()
    assert list(opened.to_pandas("coef_").index) == ENDS
    assert list(opened.to_pandas("coef_").columns) == ["days", "ill"]
    titles = {listing.title: listing for listing in opened.tables()}
    assert [row[0] for row in titles["coef"].rows] == ENDS
    two = q.analytics.LogisticRegression(max_iter=2).fit(X, table.ill)
    assert two.class_names_ is None


@pytest.mark.parametrize(
    "method",
    [
        lambda t: q.analytics.LinearRegression().fit({"ward": t.ward}, t.days),
        lambda t: q.analytics.LinearRegression().fit(t.days, t.ward),
        lambda t: q.analytics.LogisticRegression().fit(q.column_stack([t.ward, t.days]), t.ill),
        lambda t: q.analytics.GaussianNB().fit([t.ward, t.days], t.ill),
        lambda t: q.analytics.KMeans(2).fit(t[["ward", "days"]]),
        lambda t: q.analytics.PCA(1).fit(t[["ward", "days"]]),
        lambda t: q.analytics.mean(t.ward),
        lambda t: q.analytics.quantile(t.ward, 0.5),
        lambda t: q.analytics.describe(t),
        lambda t: q.analytics.ttest_ind(t.ward, t.days),
        lambda t: q.analytics.grouped(t, t.ill),
    ],
)
def test_codes_are_no_measurements(table, method):
    with pytest.raises(UserError, match=r"is a column of categories .* for w in ward\.categories\[1:\]"):
        method(table)


def test_categories_as_columns_of_bools_and_as_plain_numbers(table, frame):
    ward = table.ward
    flags = {f"ward {name}": ward == name for name in ward.categories[1:]}
    opened = q.analytics.LinearRegression().fit(flags, table.days).reveal()
    means = frame.groupby("ward", observed=False)["days"].mean()
    assert opened.coef_ == pytest.approx((means - means["surgery"])[WARDS[1:]].to_numpy(), abs=1e-3)
    assert q.analytics.mean(ward.astype(int)).reveal() == pytest.approx(frame.ward.cat.codes.mean())


def test_models_refuse_codes_of_another_list(net, table, frame):
    turned = net.secret(frame.assign(ward=frame.ward.cat.reorder_categories(WARDS[::-1])))
    tree = q.analytics.DecisionTreeClassifier(max_depth=1).fit(table[["ward", "days"]], table.ward)
    bayes = q.analytics.CategoricalNB(3).fit(table[["ward"]], table.ward)
    for model, columns in ((tree, ["ward", "days"]), (bayes, ["ward"])):
        model.score(table[columns], table.ward)
        for wrong in (
            lambda m=model, c=columns: m.predict(turned[c]),
            lambda m=model, c=columns: m.score(table[c], turned.ward),
        ):
            with pytest.raises(UserError, match="the model was fitted to surgery, medicine, maternity, so their codes"):
                wrong()


def test_groups_by_the_name_of_a_column(table, frame):
    found = q.analytics.grouped(table[["ward", "days"]], "ward", ["mean"]).reveal()
    assert found["days"]["mean"].to_dict() == pytest.approx(
        frame.groupby("ward", observed=False)["days"].mean().to_dict(), rel=1e-5
    )
    keyed = q.analytics.grouped_by_key(table[["ward", "days"]], "ward", ["count"], size=3).reveal()
    assert keyed["days"]["count"].tolist() == frame.ward.value_counts()[WARDS].tolist()
    with pytest.raises(UserError, match="'wrad' is the name of no column here; the table has ward, days"):
        q.analytics.grouped(table[["ward", "days"]], "wrad")
    with pytest.raises(UserError, match="'ward' is the name of no column here; give a secret column"):
        q.analytics.grouped(table.days, "ward")


def test_tables_of_a_session_hold_texts(net, table, frame):
    groups = net.frame(q.group_by(table, by="ward").agg(days="mean"))
    assert groups.set_index("ward")["days"].to_dict() == pytest.approx(
        frame.groupby("ward", observed=False)["days"].mean().to_dict(), rel=1e-3
    )
    assert net.arrow(ward=table.ward, days=table.days)["ward"].to_pylist() == frame.ward.tolist()
    assert net.frame(code=table.ward + 0)["code"].tolist() == frame.ward.cat.codes.tolist()


def test_kept_models_know_their_classes(net, table, tmp_path):
    model = q.analytics.DecisionTreeClassifier(max_depth=1).fit({"days": table.days}, table.end)
    with q.simulate(protocol="rep3") as other:
        data = other.secret({"days": np.arange(20), "end": pd.Categorical(ENDS * 6 + ENDS[:2], ENDS)})
        kept = q.analytics.DecisionTreeClassifier(max_depth=1).fit({"days": data.days}, data.end)
        other.keep(kept, tmp_path / "model.json")
        assert other.load(tmp_path / "model.json").class_names_ == ENDS
    assert model.class_names_ == ENDS


def test_opened_results_read_well_in_a_terminal(table):
    X = {"days": table.days, "ill": table.ill}
    with pytest.warns(q.analytics.SeparationWarning):
        opened = q.analytics.LogisticRegression(classes=3, max_iter=2).fit(X, table.end).reveal()
    shown = repr(opened)
    assert max(map(len, shown.splitlines())) <= 80 + len("  …")
    blocks = {block.split()[0]: block.splitlines() for block in shown.split("\n\n")}
    assert [line.split()[0] for line in blocks["coef"]] == ["coef", *ENDS]
    assert blocks["coef"][0].split() == ["coef", "days", "ill"]
    assert blocks["intercept_conf_int"][0].split() == ["intercept_conf_int", "lower", "upper"]
    curves = repr(q.analytics.KaplanMeier().fit(table.days, table.ill, by=table.ward).reveal())
    *_, last, note = curves.split("\n\n")
    assert [line.split()[0] for line in last.splitlines()[1:]] == WARDS
    assert note.startswith("hidden: fewer rows")
    assert last.splitlines()[0].endswith("…")
    assert max(map(len, note.splitlines())) <= 80
