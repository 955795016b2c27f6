"""Rows and columns of opened results are labelled by what they are, also where numbers of them happen to be equal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import quorate as q
from quorate.analytics.opened import HIDDEN, Fitted
from quorate.cli.results_view import page, show_results
from quorate.testing.method_conformance import Case, check_axes

A = q.analytics
NAMES = ["age", "cost"]
ROWS = 60


@pytest.fixture(scope="module")
def session():
    with q.simulate(seed=5) as made:
        yield made


@pytest.fixture(scope="module")
def data(session):
    rng = np.random.default_rng(3)
    flag = rng.random(ROWS) < 0.5
    X = {"age": rng.integers(20, 90, ROWS), "cost": rng.integers(0, 60, ROWS) + 40 * flag}
    return session.secret(X), session.secret(flag)


def test_clusters_are_rows_with_a_size_and_a_centre(session, data):
    model = A.KMeans(2, max_iter=2, least=0).fit(data[0])
    opened = model.reveal()
    frame = opened.to_pandas()
    assert frame.index.tolist() == [0, 1]
    assert frame.index.name == "cluster"
    assert frame.columns.tolist() == ["sizes", "shown", *NAMES]
    assert frame["cost"].tolist() == opened.cluster_centers_[:, 1].tolist()
    assert session.frame(model).equals(frame)
    sizes = next(listing for listing in opened.tables() if listing.title == "sizes, shown")
    assert sizes.headings == ["cluster", "sizes", "shown"]
    assert [row[0] for row in sizes.rows] == ["0", "1"]
    assert "<th>cluster</th>" in opened._repr_html_()


@pytest.mark.parametrize(
    "make",
    [A.GaussianNB, lambda: A.MultinomialNB(2), lambda: A.BernoulliNB(2, binarize=50)],
    ids=["gaussian", "multinomial", "bernoulli"],
)
def test_classes_are_rows_of_naive_bayes(data, make):
    frame = make().fit(*data).reveal().to_pandas()
    assert frame.index.tolist() == [0, 1]
    assert frame.index.name == "class"
    assert {"class_count", "class_log_prior"} < set(frame.columns)
    assert all(any(name in column for column in frame.columns) for name in NAMES)


def test_features_are_rows_of_trees_and_components_rows_of_pca(data):
    tree = A.DecisionTreeClassifier(max_depth=1, max_bins=4).fit(*data).reveal()
    assert tree.to_pandas().columns.tolist() == ["feature_importances"]
    assert tree.to_pandas().index.tolist() == NAMES
    assert tree.to_pandas("classes_").index.tolist() == [0, 1]
    components = A.PCA().fit(data[0]).reveal().to_pandas()
    assert components.index.tolist() == [0, 1]
    assert components.index.name == "component"
    assert {"explained_variance", *NAMES} <= set(components.columns)


def test_where_nothing_is_stated_rows_and_columns_have_numbers():
    values = {"feature_names_in_": NAMES, "n_features_in_": 2, "sizes_": np.array([3, 4]), "spread_": np.eye(2)}
    opened = Fitted(values)
    assert opened.to_pandas().index.tolist() == [0, 1]
    assert opened.to_pandas("spread_").columns.tolist() == ["0", "1"]
    assert not any(name in repr(opened) or name in opened._repr_html_() for name in NAMES)


class _Unstated(A.KMeans):
    AXES: ClassVar = {"sizes_": ("cluster",)}


class _Foreign(A.KMeans):
    AXES: ClassVar = {**A.KMeans.AXES, "sizes_": ("feature",)}


@pytest.mark.parametrize(("kind", "said"), [(_Unstated, "does not say"), (_Foreign, "others of this name")])
def test_the_conformance_suite_finds_axes_that_are_not_or_wrongly_stated(kind, said):
    rng = np.random.default_rng(1)
    values = {name: rng.uniform(-2, 2, 20) for name in ("a", "b", "c")}
    case = Case(lambda: kind(2, max_iter=1), lambda _: values, dict.fromkeys(values, (-2, 2)), lambda m, d: m.fit(d))
    with pytest.raises(AssertionError, match=said):
        check_axes(case)


def test_a_histogram_is_one_table_and_says_why_bins_are_hidden(session, capsys):
    column = session.secret([100] * 30 + [30_000] * 20 + [90_000] * 2, range=(0, 100_000))
    opened = A.histogram(column, bins=5).reveal()
    (listing,) = opened.tables()
    assert listing.headings == ["bin", "counts"]
    assert [row[0] for row in listing.rows][:2] == ["0 to 20,000", "20,000 to 40,000"]
    assert opened.to_pandas()["counts"]["0 to 20,000"] == 30
    assert " ".join(repr(opened).split()).endswith(HIDDEN)
    assert HIDDEN in opened._repr_html_()
    show_results({"stays": opened})
    assert "hidden: fewer rows" in capsys.readouterr().out
    assert "hidden" not in repr(A.histogram(column, bins=5, least=0).reveal())


def test_tables_of_few_rows_say_that_cells_are_hidden(session, capsys):
    codes, other = np.repeat([0, 1], [30, 3]), np.tile([0, 1, 2], 11)
    secret = session.secret({"a": codes, "b": other}, range={"a": (0, 1), "b": (0, 2)})
    for found in (
        A.crosstab(secret["a"], secret["b"]).reveal(),
        A.grouped(secret["b"], secret["a"], ["mean"]).reveal(),
    ):
        assert found.attrs["note"] == HIDDEN
        show_results({"cells": found})
        assert "hidden: fewer rows" in capsys.readouterr().out
        assert HIDDEN in page("cells", {"cells": found}, "")


def test_small_p_values_are_bounds_in_tables_and_numbers_in_frames(capsys):
    values = {"coef_": np.array([1.0, 2.0]), "p_values_": np.array([1e-9, 0.25]), "pvalue": 3e-7}
    opened = Fitted(values, axes=dict.fromkeys(values, ("feature",)))
    assert "<0.0001" in repr(opened)
    assert "1e-09" not in repr(opened)
    assert opened._repr_html_().count("&lt;0.0001") == 2
    assert opened.to_pandas()["p_values"].tolist() == [1e-9, 0.25]
    show_results({"table": pd.DataFrame({"P>|z|": [1e-9, 0.25], "lower": [1e-9, 1.0]})})
    shown = capsys.readouterr().out
    assert "<0.0001" in shown
    assert "1e-09" in shown
