"""Trees on rows of several owners, kept and used later, opened, and on input that is hard or wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import datasets

import quorate.lang.functions as q
from quorate.analytics.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from quorate.analytics.trees.opened import OpenedTrees
from quorate.analytics.trees.tree import DecisionTreeClassifier, DecisionTreeRegressor
from quorate.errors import DataError, UserError
from quorate.interactive.net import simulate
from quorate.lang.computation import computation

LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1] * 3)
ROWS = np.stack([np.arange(36) % 7, np.arange(36) // 5], 1).astype(float)
SMALL = {"max_depth": 2, "min_samples_leaf": 2, "max_bins": 8}


def _net(protocol="clear"):
    return simulate(protocol=protocol)


def _opened(model, X=ROWS, y=LABELS, **options):
    with _net() as net:
        return model.fit(net.secret(X), net.secret(y), **options).reveal()


# -- owners --------------------------------------------------------------------------------------------------------


def test_rows_of_several_owners_give_the_same_tree():
    X, y = datasets.load_iris(return_X_y=True)
    limits = [(0, 8)] * 4
    with _net() as net:
        parts = [(net.secret(X[k::2], range=limits), net.secret(y[k::2], range=(0, 2))) for k in range(2)]
        both = [q.concatenate(list(pair)) for pair in zip(*parts, strict=True)]
        joint = DecisionTreeClassifier(**SMALL).fit(*both).reveal()
        alone = DecisionTreeClassifier(**SMALL).fit(net.secret(X, range=limits), net.secret(y)).reveal()
    assert joint.splits_.tolist() == alone.splits_.tolist()


def test_columns_of_several_owners_give_the_same_tree():
    X, y = datasets.load_iris(return_X_y=True)
    with _net() as net:
        clinic = net.secret({"length": X[:, 0], "width": X[:, 1]}, range=(0, 8))
        lab = net.secret(X[:, 2:], range=(0, 8))
        columns = {"length": clinic.length, "width": clinic.width, "a": lab[:, 0], "b": lab[:, 1]}
        target = net.secret(y)
        vertical = DecisionTreeClassifier(**SMALL).fit(columns, target).reveal()
        alone = DecisionTreeClassifier(**SMALL).fit(net.secret(X, range=(0, 8)), target).reveal()
    assert vertical.splits_.tolist() == alone.splits_.tolist()
    assert vertical.feature_names_in_ == ["length", "width", "a", "b"]


def test_in_a_computation_of_two_owners():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    use = [7, 20, 22]

    @computation
    def trained(clinic, lab):
        clinic, lab = q.align(clinic, lab)
        features = {"a": clinic.a, "b": clinic.b, "c": lab.c}
        model = GradientBoostingClassifier(2, 0.5, 2, max_bins=8, classes=[0, 1]).fit(features, lab.y)
        return {"model": model, "score": model.score(features, lab.y)}

    tables = {"a": X[:, use[0]], "b": X[:, use[1]]}, {"c": X[:, use[2]], "y": y}
    found = trained.simulate("rep3", clinic=tables[0], lab=tables[1])
    assert found["score"] > 0.9
    assert found["model"]["splits_"].shape == (2, 3)


def test_rows_that_do_not_count():
    keep = np.arange(36) < 24
    with _net() as net:
        rows, target, where = net.secret(ROWS), net.secret(LABELS), net.secret(keep)
        for model in (DecisionTreeClassifier(**SMALL), GradientBoostingClassifier(2, **SMALL)):
            masked = model.fit(rows, target, where=where).reveal()
            fewer = type(model)(**{**model.get_params(), "edges": masked.edges_})
            alone = fewer.fit(net.secret(ROWS[keep]), net.secret(LABELS[keep])).reveal()
            assert masked.splits_.tolist() == alone.splits_.tolist()
            assert np.abs(masked.values_ - alone.values_).max() < 2e-3


# -- later ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(**SMALL),
        DecisionTreeRegressor(**SMALL),
        GradientBoostingClassifier(2, **SMALL),
        GradientBoostingRegressor(2, **SMALL),
    ],
)
def test_a_model_kept_earlier_scores_new_rows(model):
    with _net() as net:
        rows = net.secret(ROWS)
        fitted = model.fit(rows, net.secret(LABELS))
        public = json.loads(json.dumps(fitted.public()))
        again = type(model).restored(fitted.get_params(), public, fitted.parts())
        fresh = net.secret(ROWS[::-1] + 0.25, range=(-100, 100))
        found, expected, opened = net.reveal(again.predict(fresh), fitted.predict(fresh), fitted)
    assert np.array_equal(found, expected)
    assert np.abs(found - opened.predict(ROWS[::-1] + 0.25)).max() < 1e-3


def test_opened_trees_as_text_and_json():
    X, y = datasets.load_iris(return_X_y=True)
    opened = _opened(DecisionTreeClassifier(max_depth=2), X, y)
    again = OpenedTrees.from_json(opened.to_json())
    assert np.array_equal(again.predict(X), opened.predict(X))
    assert again.text() == opened.text()
    assert opened.text(["sl", "sw", "pl", "pw"]).splitlines()[1].startswith("  pl <= ")
    with pytest.raises(DataError, match="no document"):
        OpenedTrees.from_json('{"format": "another"}')
    with pytest.raises(DataError, match="4 features"):
        opened.predict(X[:, :3])
    with pytest.raises(DataError, match="missing values"):
        opened.predict(np.full((1, 4), np.nan))


def test_opened_trees_take_tables_by_name():
    with _net() as net:
        table = net.secret({"a": ROWS[:, 0], "b": ROWS[:, 1]})
        opened = DecisionTreeClassifier(**SMALL).fit(table, net.secret(LABELS)).reveal()
    shuffled = {"b": ROWS[:, 1], "a": ROWS[:, 0]}
    assert np.array_equal(opened.predict(shuffled), opened.predict(ROWS))
    with pytest.raises(DataError, match="no column 'b'"):
        opened.predict({"a": ROWS[:, 0]})


# -- hard input ----------------------------------------------------------------------------------------------------


def test_constant_features_are_never_split_on():
    X = np.column_stack([np.full(36, 3.0), ROWS[:, 0], np.zeros(36)])
    opened = _opened(DecisionTreeClassifier(**SMALL), X)
    assert set(opened.feature_.reshape(-1)) <= {-1, 1}
    nothing = _opened(DecisionTreeClassifier(**SMALL), X[:, :1])
    assert not nothing.splits_.any()
    assert not nothing.feature_importances_.any()
    assert nothing.predict_proba(X[:1, :1])[0, 1] == pytest.approx(LABELS.mean(), abs=1e-4)


@pytest.mark.parametrize("label", [0, 1])
def test_equal_labels_split_nothing(label):
    y = np.full(36, label)
    for model in (
        DecisionTreeClassifier(**SMALL, classes=[0, 1]),
        GradientBoostingClassifier(2, **SMALL, classes=[0, 1]),
    ):
        with _net() as net:
            opened = model.fit(net.secret(ROWS), net.secret(y, range=(0, 1))).reveal()
        assert (opened.predict(ROWS) == label).all()
    tree = _opened(DecisionTreeRegressor(**SMALL), ROWS, np.full(36, 2.5))
    assert not tree.splits_.any()
    assert tree.predict(ROWS) == pytest.approx(np.full(36, 2.5), abs=1e-4)


def test_labels_need_not_start_at_0():
    with _net() as net:
        rows, target = net.secret(ROWS), net.secret(np.array([3, 7, 20])[ROWS[:, 1].astype(int) // 3])
        fitted = DecisionTreeClassifier(**SMALL, classes=[3, 7, 20]).fit(rows, target)
        score, found = net.reveal(fitted.score(rows, target), fitted.predict(rows))
        assert score == pytest.approx(1.0, abs=1e-4)
        assert set(found) == {3, 7, 20}
        near = DecisionTreeClassifier(**SMALL).fit(rows, net.secret(LABELS - 1))
        assert near.classes_ == [-1, 0]
        assert set(near.predict(rows).reveal()) == {-1, 0}


def test_too_few_rows():
    with _net() as net:
        rows, target = net.secret(ROWS[:4]), net.secret(LABELS[:4])
        with pytest.raises(UserError, match="4 rows, but min_samples_leaf=5"):
            DecisionTreeClassifier().fit(rows, target)
        few = net.secret(np.arange(36) < 3)
        opened = DecisionTreeRegressor().fit(net.secret(ROWS), net.secret(ROWS[:, 0]), where=few).reveal()
    assert not opened.splits_.any()
    assert not opened.values_.any()


def test_every_leaf_has_enough_rows():
    opened = _opened(DecisionTreeRegressor(max_depth=3, min_samples_leaf=6), ROWS, ROWS @ [1.0, 3.0])
    leaves = np.unique(opened.predict(ROWS), return_counts=True)[1]
    assert leaves.min() >= 6


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DecisionTreeClassifier(max_depth=0), "max_depth=0"),
        (DecisionTreeClassifier(max_bins=1), "max_bins=1"),
        (DecisionTreeClassifier(min_samples_leaf=0), "min_samples_leaf=0"),
        (DecisionTreeClassifier(edges=[[1.0]]), "each of the 2 features"),
        (DecisionTreeClassifier(edges=[[1.0], [2.0, 1.0]]), "feature 1 are finite numbers in ascending order"),
        (DecisionTreeClassifier(classes=[1]), "2 to 64"),
        (GradientBoostingClassifier(0), "n_estimators=0"),
        (GradientBoostingClassifier(learning_rate=0), "learning_rate=0"),
        (GradientBoostingRegressor(subsample=1.5), "subsample=1.5"),
        (GradientBoostingRegressor(reg_lambda=-1), "reg_lambda=-1"),
    ],
)
def test_parameters_that_cannot_be(model, message):
    with _net() as net, pytest.raises(UserError, match=message):
        model.fit(net.secret(ROWS), net.secret(LABELS))


def test_data_that_cannot_be():
    with _net() as net:
        rows, target = net.secret(ROWS), net.secret(LABELS)
        with pytest.raises(UserError, match="not fitted"):
            DecisionTreeClassifier().predict(rows)
        with pytest.raises(UserError, match="labels are whole numbers"):
            DecisionTreeClassifier().fit(rows, net.secret(ROWS[:, 0]))
        with pytest.raises(UserError, match="declare their range"):
            DecisionTreeClassifier().fit(rows, net.secret(LABELS, range=(0, 1000)))
        with pytest.raises(UserError, match="36 rows and y has 12"):
            DecisionTreeClassifier().fit(rows, net.secret(LABELS[:12]))
        with pytest.raises(UserError, match="has 1 columns"):
            DecisionTreeClassifier(**SMALL).fit(rows, target).predict(rows[:, :1])
        with pytest.raises(UserError, match="where is a secret column of bools"):
            DecisionTreeClassifier().fit(rows, target, where=target)


def test_subsamples_are_public_and_repeatable():
    model = GradientBoostingRegressor(3, 0.5, subsample=0.5, **SMALL)
    first, second = (_opened(model, ROWS, ROWS[:, 0]) for _ in range(2))
    other = _opened(GradientBoostingRegressor(3, 0.5, subsample=0.5, random_state=1, **SMALL), ROWS, ROWS[:, 0])
    assert np.array_equal(first.values_, second.values_)
    assert not np.array_equal(first.values_, other.values_)
