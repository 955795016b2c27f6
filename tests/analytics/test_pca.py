"""Principal components against scikit-learn, on data that ships with it."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA as PlainPCA

import quorate as q
from quorate.analytics import PCA
from quorate.errors import UserError
from quorate.lang.computation import Computation
from quorate.lang.known import Known, reference
from quorate.lang.ranges import plan_ranges
from quorate.sharing.dtype import BOOL, fixed


def standard(X):
    return (X - X.mean(0)) / X.std(0)


def check(found, expected, vectors, values=1e-5):
    np.testing.assert_allclose(found.components_, expected.components_, atol=vectors)
    np.testing.assert_allclose(found.explained_variance_, expected.explained_variance_, rtol=values)
    np.testing.assert_allclose(
        found.explained_variance_ratio_, expected.explained_variance_ratio_, rtol=values, atol=1e-7
    )
    np.testing.assert_allclose(found.mean_, expected.mean_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("load", "prepare", "count", "protocol", "vectors", "values"),
    [
        (load_iris, np.asarray, 4, "rep3", 1e-6, 1e-5),
        (load_wine, np.asarray, 5, "clear", 5e-5, 1e-4),  # the fifth explains 1e-5 of the variance
        (load_wine, standard, 8, "clear", 1e-5, 1e-5),
        (load_breast_cancer, standard, 4, "clear", 1e-5, 1e-5),
        (load_digits, np.asarray, 3, "clear", 1e-4, 1e-5),  # three columns are constant
    ],
)
def test_public_data_sets(load, prepare, count, protocol, vectors, values):
    X = prepare(load().data)
    expected = PlainPCA(count, svd_solver="full").fit(X)
    with q.simulate(protocol=protocol) as net:
        found = PCA(count).fit(net.secret(X)).reveal()
    check(found, expected, vectors, values)


@pytest.mark.parametrize("protocol", ["shamir", "semi2k"])
def test_protocols_agree(protocol):
    X = load_iris().data[:, :3]
    with q.simulate(protocol=protocol) as net:
        found = PCA(1).fit(net.secret(X)).reveal()
    check(found, PlainPCA(1).fit(X), 1e-5)


def test_transform_and_back():
    X = load_iris().data + np.array([0, 100, 0, 0])
    expected = PlainPCA(2).fit(X)
    with q.simulate(protocol="clear") as net:
        secret = net.secret(X)
        model = PCA(2).fit(secret)
        z = model.transform(secret)
        found, back = net.reveal(z, model.inverse_transform(z))
    np.testing.assert_allclose(found, expected.transform(X), atol=1e-4)
    np.testing.assert_allclose(back, expected.inverse_transform(expected.transform(X)), atol=1e-4)


def test_equal_eigenvalues_give_vectors_that_span_the_same():
    X = np.vstack([np.eye(3), -np.eye(3)])
    X[:, 0] *= 2
    with q.simulate(protocol="clear") as net:
        model = PCA(3).fit(net.secret(X))
        with pytest.warns(RuntimeWarning, match="components 1, 2 have nearly the same variance"):
            found = model.reveal()
    np.testing.assert_allclose(found.explained_variance_, [1.6, 0.4, 0.4], atol=1e-5)
    np.testing.assert_allclose(found.components_ @ found.components_.T, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(found.components_[0], [1, 0, 0], atol=1e-4)


def test_components_without_variance_are_zero():
    x = np.linspace(-1, 1, 30)
    X = np.column_stack([x, 2 * x, np.full(30, 4.0)])
    with q.simulate(protocol="clear") as net:
        found = PCA().fit(net.secret(X)).reveal()
        flat = PCA(2).fit(net.secret(np.full((9, 2), 3.0)))
        with pytest.warns(RuntimeWarning, match="constant"):
            constant = flat.reveal()
    np.testing.assert_allclose(found.components_[0], [0.2**0.5, 0.8**0.5, 0], atol=1e-5)
    assert not found.components_[1:].any()
    np.testing.assert_allclose(found.explained_variance_ratio_, [1, 0, 0], atol=1e-5)
    assert np.isnan(constant.components_).all()
    assert np.isnan(constant.explained_variance_).all()
    assert np.isnan(constant.explained_variance_ratio_).all()


def test_rows_chosen_by_a_mask():
    X = load_iris().data
    chosen = np.arange(len(X)) % 3 > 0
    spoilt = np.where(chosen[:, None], X, 7.0)
    with q.simulate(protocol="clear") as net:
        found = PCA(2).fit(net.secret(spoilt), where=net.secret(chosen)).reveal()
        empty = PCA(1).fit(net.secret(X), where=net.secret(np.zeros(len(X), bool)))
        with pytest.warns(RuntimeWarning, match="constant"):
            nobody = empty.reveal()
    check(found, PlainPCA(2).fit(X[chosen]), 1e-4, 1e-4)
    assert np.isnan(nobody.components_).all()
    assert np.isnan(nobody.explained_variance_).all()


def test_rows_of_two_owners():
    @q.computation
    def joint(a, b):
        return {"pca": PCA(2).fit({name: q.concatenate([a[name], b[name]]) for name in ("x", "y", "z")})}

    X = load_iris().data[:, :3]
    parts = [{name: X[p, k] for k, name in enumerate("xyz")} for p in (slice(0, 60), slice(60, 150))]
    found = joint.simulate(a=parts[0], b=parts[1])
    np.testing.assert_allclose(found["pca"]["components_"], PlainPCA(2).fit(X).components_, atol=1e-3)


@pytest.mark.parametrize("protocol", ["rep3", "shamir"])
@pytest.mark.parametrize("limits", [(-1, 1, 23), (0, 2.0**-20, 44), (-(2.0**30), 2.0**30, 0), (1000, 1010, 14)])
@pytest.mark.parametrize(("width", "rows"), [(2, 10**6), (40, 100)])
def test_everything_fits_whatever_the_declared_ranges(width, rows, limits, protocol):
    def fit(data):
        features = {name: data[name] for name in data if name.startswith("x")}
        model = PCA(2).fit(features)
        z = model.transform(features)
        return {"model": model, "z": z, "back": model.inverse_transform(z), "some": PCA(1).fit(features, where=data.m)}

    low, high, scale = limits
    types = {f"x{j}": fixed(scale) for j in range(width)} | {"m": BOOL}
    bounds = {("data", name): (int(low * 2**scale), int(high * 2**scale)) for name in types} | {("data", "m"): (0, 1)}
    fits = reference(protocol)
    plan = Computation(fit).trace({"data": types}, known=Known(bounds, {"data": rows}, fits))
    plan_ranges(plan.bind({"data": rows}), fits, bounds)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("from 1 to 3, the columns", lambda net, X: PCA(4).fit(X)),
        ("from 1 to 3, the columns", lambda net, X: PCA(0).fit(X)),
        ("64 is the most", lambda net, X: PCA(2).fit(net.secret(np.zeros((3, 65))))),
        ("two or more", lambda net, X: PCA(2).fit(X[:1])),
        ("not fitted", lambda net, X: PCA(2).transform(X)),
        ("not fitted", lambda net, X: PCA(2).inverse_transform(X)),
        ("fitted to 3", lambda net, X: PCA(2).fit(X).transform(X[:, :2])),
        ("3 columns for 2 components", lambda net, X: PCA(2).fit(X).inverse_transform(X)),
    ],
)
def test_refusals(message, call):
    with q.simulate(protocol="clear") as net, pytest.raises(UserError, match=message):
        call(net, net.secret(np.random.default_rng(0).normal(size=(9, 3))))


@pytest.mark.parametrize(("limits", "rows"), [((0, 3000), 300), ((0, 200), 40), ((0, 2000), 300)])
def test_a_declared_range_much_wider_than_the_data(limits, rows):
    X = np.random.default_rng(3).normal(size=(300, 3)) * [3, 2, 1] + 100
    some = np.arange(300) < rows
    with q.simulate(protocol="clear") as net:
        chosen = {} if rows == 300 else {"where": net.secret(some)}
        found = PCA(3).fit(net.secret(X, range=limits), **chosen).reveal()
    expected = PlainPCA(3).fit(X[some])
    np.testing.assert_allclose(found.explained_variance_ratio_, expected.explained_variance_ratio_, rtol=1e-3)
    np.testing.assert_allclose(found.explained_variance_, expected.explained_variance_, rtol=1e-3)


def test_few_of_many_rows():
    X = np.random.default_rng(3).normal(size=(20000, 2)) * [2, 1] + 100
    some = np.arange(20000) < 50
    with q.simulate(protocol="clear") as net:
        found = PCA(2).fit(net.secret(X, range=(0, 200)), where=net.secret(some)).reveal()
    np.testing.assert_allclose(found.explained_variance_, PlainPCA(2).fit(X[some]).explained_variance_, rtol=1e-3)


def test_a_spread_that_is_lost_in_rounding_is_told():
    X = np.random.default_rng(3).normal(size=(300, 2)) + 100
    with q.simulate(protocol="clear") as net:
        with pytest.warns(match="rounded to multiples"):
            data = net.secret(X, range=(0, 10**7))
        with pytest.warns(RuntimeWarning, match="declare a narrower range"):
            found = PCA(2).fit(data).reveal()
    assert not found.resolved_
    assert np.isnan(found.explained_variance_ratio_).all()


@pytest.mark.parametrize("gap", [0.01, 1e-3, 1e-5])
def test_close_variances(gap):
    random = np.random.default_rng(3)
    axes = np.linalg.qr(random.normal(size=(300, 5)) @ np.eye(5))[0]
    axes = np.linalg.qr(axes - axes.mean(0))[0] * np.sqrt([1, 1 - gap, 1 - 2 * gap, 0.5, 0.2])
    X = axes @ np.linalg.qr(random.normal(size=(5, 5)))[0]
    with q.simulate(protocol="clear") as net:
        made = PCA(3).fit(net.secret(X * 16))
        if gap < 0.004:
            with pytest.warns(RuntimeWarning, match="nearly the same variance"):
                found = made.reveal()
        else:
            found = made.reveal()
    assert found.separated_.all() == (gap > 0.004)
    np.testing.assert_allclose(found.components_ @ found.components_.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(found.explained_variance_, PlainPCA(3).fit(X * 16).explained_variance_, rtol=5e-4)


def test_noise_of_many_rows():
    X = np.random.default_rng(3).normal(size=(20000, 20))
    with q.simulate(protocol="clear") as net:
        found = PCA(5).fit(net.secret(X, range=(-6, 6))).reveal()
    np.testing.assert_allclose(found.components_ @ found.components_.T, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(found.explained_variance_, PlainPCA(5).fit(X).explained_variance_, rtol=1e-4)
