"""Scores, curves and folds against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

import quorate as q
from quorate import fixed
from quorate.analytics import LinearRegression, LogisticRegression
from quorate.analytics.validation.folds import KFold, cross_val_score, train_test_split
from quorate.analytics.validation.roc import roc_auc_score, roc_curve
from quorate.analytics.validation.scores import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    mean_squared_error,
    r2_score,
)
from quorate.errors import UserError
from quorate.lang.known import Known, reference
from quorate.sharing.dtype import BOOL

metrics = pytest.importorskip("sklearn.metrics")
selection = pytest.importorskip("sklearn.model_selection")


@pytest.fixture(scope="module")
def scored():
    """Classes with probabilities that have many ties."""
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, 120)
    return y, np.round(np.clip(rng.normal(0.4 + 0.2 * y, 0.25), 0.1, 0.9), 1) + 0.0


def _opened(function, *arrays, protocol="clear", parties=None, **options):
    with q.simulate(protocol=protocol, parties=parties) as net:
        secret = [net.secret(array) for array in arrays]
        if "where" in options:
            options["where"] = net.secret(options["where"])
        return function(*secret, **options).reveal()


# -- ROC ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "parties"),
    [("clear", None), ("rep3", 3), pytest.param("shamir", 3, marks=pytest.mark.slow), ("semi2k", 2)],
)
def test_area_under_the_curve_with_ties(scored, protocol, parties):
    y, score = (part[:60] for part in scored)
    found = _opened(roc_auc_score, y, score, protocol=protocol, parties=parties)
    assert found == pytest.approx(metrics.roc_auc_score(y, score), abs=2e-6)


def test_area_of_rows_that_count(scored):
    where = np.arange(120) % 3 > 0
    expected = metrics.roc_auc_score(scored[0][where], scored[1][where])
    assert _opened(roc_auc_score, *scored, where=where) == pytest.approx(expected, abs=2e-6)


def test_area_of_the_best_and_the_worst_order():
    y, score = np.repeat([0, 1], 10), np.arange(20.0)
    assert _opened(roc_auc_score, y, score) == 1
    assert _opened(roc_auc_score, y, -score) == 0
    assert _opened(roc_auc_score, y, score * 0 + 1) == 0.5


def test_area_of_one_class_is_not_defined(scored):
    with q.simulate(protocol="clear") as net:
        y, score = net.secret(np.zeros(10, int), range=(0, 1)), net.secret(np.linspace(0, 1, 10))
        assert np.isnan(roc_auc_score(y, score).reveal())
    assert np.isnan(_opened(roc_auc_score, scored[0], scored[1], least=100))


def test_curve_at_public_thresholds(scored):
    thresholds = np.arange(0.05, 1.0, 0.1)
    found = _opened(roc_curve, *scored, thresholds=thresholds)
    y, score = scored
    assert found.thresholds_[0] == np.inf
    for fpr, tpr, at in zip(found.fpr_, found.tpr_, found.thresholds_, strict=True):
        assert fpr == pytest.approx(np.mean(score[y == 0] >= at), abs=1e-4)
        assert tpr == pytest.approx(np.mean(score[y == 1] >= at), abs=1e-4)


def test_curve_of_the_rows_that_count(scored):
    (y, score), where = scored, np.arange(120) % 3 > 0
    found = _opened(roc_curve, y, score, where=where, thresholds=[0.3, 0.6])
    for fpr, tpr, at in zip(found.fpr_, found.tpr_, found.thresholds_, strict=True):
        assert fpr == pytest.approx(np.mean(score[where & (y == 0)] >= at), abs=1e-4)
        assert tpr == pytest.approx(np.mean(score[where & (y == 1)] >= at), abs=1e-4)


def test_curve_of_rows_that_count(scored):
    where = np.arange(120) % 3 > 0
    found = _opened(roc_curve, *scored, thresholds=[0.45], where=where)
    y, score = scored[0][where], scored[1][where]
    assert found.tpr_[1] == pytest.approx(np.mean(score[y == 1] >= 0.45), abs=1e-4)
    assert found.fpr_[1] == pytest.approx(np.mean(score[y == 0] >= 0.45), abs=1e-4)


def test_curve_of_a_small_class_is_hidden(scored):
    y = (np.arange(120) < 4).astype(int)
    found = _opened(roc_curve, y, scored[1])
    assert np.isnan(found.tpr_).all()
    assert np.isnan(found.fpr_).all()
    assert not np.isnan(_opened(roc_curve, y, scored[1], least=4).tpr_).any()


def test_scores_that_cannot_be(scored):
    y, score = scored
    for arrays, options, message in (
        ((y + 1, score), {}, "bool, or 0 and 1"),
        ((y[:5], score), {}, "one secret number per row"),
        ((y, score), {"thresholds": []}, "thresholds"),
        ((y, score), {"thresholds": [np.nan]}, "thresholds"),
    ):
        with pytest.raises(UserError, match=message):
            _opened(roc_curve, *arrays, **options)


# -- scores ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "parties"), [("clear", None), ("rep3", 3), ("shamir", 3), ("semi2k", 2)])
def test_scores_of_numbers_and_of_classes(protocol, parties):
    rng = np.random.default_rng(2)
    y = rng.normal(150, 40, 50)
    found = y + rng.normal(0, 10, 50)
    classes, probabilities = rng.integers(0, 3, 50), rng.dirichlet([1, 1, 1], 50)
    taken = probabilities.argmax(1)
    with q.simulate(protocol=protocol, parties=parties) as net:
        a, b, c, d, e = (net.secret(part) for part in (y, found, classes, probabilities, taken))
        opened = net.reveal(
            mean_squared_error(a, b),
            r2_score(a, b),
            log_loss(c, d),
            accuracy_score(c, e),
            confusion_matrix(c, e, 3, least=0),
        )
    expected = (
        metrics.mean_squared_error(y, found),
        metrics.r2_score(y, found),
        metrics.log_loss(classes, probabilities),
        metrics.accuracy_score(classes, taken),
    )
    assert np.allclose(opened[:4], expected, rtol=1e-3)
    assert np.array_equal(opened[4], metrics.confusion_matrix(classes, taken))


def test_scores_of_rows_that_count(scored):
    rng = np.random.default_rng(3)
    y, where = rng.normal(0, 1, 120), np.arange(120) % 3 > 0
    found = y + rng.normal(0, 0.3, 120)
    expected = metrics.mean_squared_error(y[where], found[where])
    assert _opened(mean_squared_error, y, found, where=where) == pytest.approx(expected, rel=1e-3)
    classes, probabilities = scored
    expected = metrics.log_loss(classes[where], probabilities[where])
    assert _opened(log_loss, classes, probabilities, where=where) == pytest.approx(expected, rel=1e-3)
    expected = metrics.confusion_matrix(classes[where], classes[where])
    found = _opened(confusion_matrix, classes, classes, where=where, least=0)
    assert np.array_equal(found, expected)


def test_no_rows_count(scored):
    nothing = np.zeros(120, bool)
    assert _opened(mean_squared_error, scored[1], scored[1], where=nothing) == 0
    assert _opened(accuracy_score, scored[0], scored[0], where=nothing) == 0
    assert _opened(log_loss, *scored, where=nothing) == 0


def test_impossible_predictions_lose_no_more_than_the_least_probability():
    y = np.array([0, 1, 1])
    assert _opened(log_loss, y, 1.0 - y) == pytest.approx(20 * np.log(2), rel=1e-4)


def test_small_cells_are_hidden():
    y, found = np.repeat([0, 1], [40, 23]), np.concatenate([np.repeat([0, 1], [37, 3]), np.repeat([0, 1], [9, 14])])
    opened = _opened(confusion_matrix, y, found)
    assert np.isnan(opened[0, 1])
    assert opened[0, 0] == 37
    assert np.isnan(opened).sum() == 2
    with pytest.raises(UserError, match="classes"):
        _opened(confusion_matrix, y, found, classes=1)


# -- folds -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "folds"), [(10, 5), (13, 4), (7, 7)])
def test_folds_are_those_of_scikit_learn(rows, folds):
    found = list(KFold(folds).split(rows))
    for (train, test), (expected, tested) in zip(found, selection.KFold(folds).split(np.arange(rows)), strict=True):
        positions = np.arange(rows)
        assert np.array_equal(np.concatenate([positions[part] for part in train]), expected)
        assert np.array_equal(positions[test], tested)


@pytest.mark.parametrize(("folds", "rows"), [(1, 10), (11, 10), (2.5, 10)])
def test_folds_that_cannot_be(folds, rows):
    with pytest.raises(UserError):
        list(KFold(folds).split(rows))


def test_cross_validation_of_least_squares():
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression as Plain

    X, y = load_diabetes(return_X_y=True)
    X = X[:, :4]
    with q.simulate(protocol="clear") as net:
        secret, target = net.secret(X), net.secret(y)
        own = cross_val_score(LinearRegression(), secret, target, cv=4)
        error = cross_val_score(LinearRegression(), secret, target, cv=4, scoring="neg_mean_squared_error")
        found = net.reveal(own, error)
    assert np.allclose(found[0], selection.cross_val_score(Plain(), X, y, cv=selection.KFold(4)), atol=2e-3)
    expected = selection.cross_val_score(Plain(), X, y, cv=selection.KFold(4), scoring="neg_mean_squared_error")
    assert np.allclose(found[1], expected, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc", "neg_log_loss"])
def test_cross_validation_of_logistic_regression(scoring):
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression as Plain

    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, :3]
    model = Plain(tol=1e-10, max_iter=10_000)
    expected = selection.cross_val_score(model, X, y, cv=selection.KFold(3), scoring=scoring)
    with q.simulate(protocol="clear") as net:
        found = cross_val_score(LogisticRegression(max_iter=8), net.secret(X), net.secret(y), 3, scoring).reveal()
    assert np.allclose(found, expected, atol=6e-3)


def test_a_fold_with_one_class_has_no_area():
    y = np.repeat([0, 1], [20, 10])
    X = np.random.default_rng(0).normal(size=(30, 1))
    with q.simulate(protocol="clear") as net:
        model = LogisticRegression(solver="minibatch", epochs=1)
        found = cross_val_score(model, net.secret(X), net.secret(y), cv=3, scoring="roc_auc").reveal()
    assert np.isnan(found).all()


def test_cross_validation_in_a_secret_order_and_with_rows_that_do_not_count():
    rng = np.random.default_rng(1)
    x = np.sort(rng.normal(size=60))
    y = 2 * x + rng.normal(0, 0.1, 60)
    y[:10] = -9
    where = np.arange(60) >= 10
    with q.simulate(protocol="rep3") as net:
        folds = KFold(3, shuffle=True)
        hidden = {"where": net.secret(where)}
        found = cross_val_score(LinearRegression(), {"x": net.secret(x)}, net.secret(y), folds, **hidden).reveal()
    assert (found > 0.9).all()


def test_train_and_test_parts():
    X, y = np.arange(30.0).reshape(10, 3), np.arange(10)
    expected = selection.train_test_split(X, y, test_size=0.25, shuffle=False)
    with q.simulate(protocol="clear") as net:
        secret, target = net.secret(X), net.secret(y)
        found = net.reveal(*train_test_split(secret, target))
        table = train_test_split({"a": secret[:, 0]}, target, test_size=0.5)
        mixed = net.reveal(*train_test_split(secret, target, shuffle=True))
        for share in (0.0, 1.0, 0.99):
            with pytest.raises(UserError, match="test_size"):
                train_test_split(secret, target, test_size=share)
    for part, wanted in zip(found, expected, strict=True):
        assert np.array_equal(part, wanted)
    assert list(table[0]) == ["a"]
    assert sorted(np.concatenate(mixed[2:]).tolist()) == list(range(10))
    assert np.array_equal(mixed[0][:, 0], mixed[2] * 3)


def test_folds_of_unknown_rows_and_unknown_scores():
    @q.computation
    def folds(a):
        return {"scores": cross_val_score(LinearRegression(), {"x": a.x}, a.x)}

    known = Known({("a", "x"): (-(1 << 16), 1 << 16)}, {"a": 100}, reference())
    with pytest.raises(UserError, match="number of rows"):
        folds.trace({"a": {"x": fixed(16)}}, known=known)
    with q.simulate(protocol="clear") as net:
        x = net.secret(np.arange(10.0))
        with pytest.raises(UserError, match="scoring"):
            cross_val_score(LinearRegression(), {"x": x}, x, scoring="accurate")


def test_area_and_matrix_for_numbers_of_rows_that_are_not_known_yet():
    @q.computation
    def scores(a):
        return {
            "auc": roc_auc_score(a.y, a.s),
            "matrix": confusion_matrix(a.y, a.s > 0.5),
            "curve": roc_curve(a.y, a.s),
        }

    known = Known({("a", "s"): (0, 1 << 16), ("a", "y"): (0, 1)}, {"a": 1000}, reference("rep3"))
    plan = scores.trace({"a": {"s": fixed(16), "y": BOOL}}, known=known)
    assert {"auc.value", "matrix.shown_", "curve.true_"} <= set(plan.outputs)


def test_r_squared_of_values_that_are_alike_is_0_whatever_was_predicted():
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    with q.simulate(protocol="rep3", seed=1) as net:
        scores = []
        for value in (0.3, 3.0, 3.7, 7.3, 9.1):
            truth = net.secret(np.full(200, value), range=(0, 10))
            scores += [r2_score(truth, net.secret(value + noise, range=(-10, 20))), r2_score(truth, truth)]
        assert not any(net.reveal(*scores))
