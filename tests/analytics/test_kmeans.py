"""k-means against scikit-learn with the same first centres, on data that ships with it."""

import numpy as np
import pytest
from sklearn.cluster import KMeans as PlainKMeans
from sklearn.datasets import load_digits, load_iris, load_wine

import quorate as q
from quorate.analytics import KMeans
from quorate.errors import UserError
from quorate.lang.computation import Computation
from quorate.lang.known import Known, reference
from quorate.lang.ranges import plan_ranges
from quorate.sharing.dtype import BOOL, fixed

BLOBS = np.array([[0, 0], [0.5, 0], [0, 0.5], [9, 9], [9.5, 9], [9, 9.5], [-8, 7], [-8, 7.5]], float)
THREE = [[0.0, 0.0], [9.0, 9.0], [-8.0, 7.0]]


def plain(X, init, steps=10):
    return PlainKMeans(len(init), init=init, n_init=1, max_iter=steps, tol=0, algorithm="lloyd").fit(X)


@pytest.mark.parametrize(
    ("load", "k", "protocol"),
    [
        (load_iris, 3, "clear"),
        (load_wine, 3, "clear"),
        (load_digits, 10, "clear"),
        (load_iris, 3, "rep3"),
        (load_iris, 6, "rep3"),
    ],
)
def test_public_data_sets(load, k, protocol):
    X = load().data
    init = X[:: len(X) // k][:k]
    expected = plain(X, init)
    with q.simulate(protocol=protocol) as net:
        secret = net.secret(X)
        model = KMeans(k, init=init, least=0).fit(secret)
        found, labels = net.reveal(model, model.predict(secret))
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, atol=2e-4)
    np.testing.assert_allclose(found.inertia_, expected.inertia_, rtol=1e-4)
    np.testing.assert_array_equal(labels, expected.labels_)
    np.testing.assert_array_equal(found.sizes_, np.bincount(expected.labels_, minlength=k))


@pytest.mark.parametrize("protocol", ["shamir", "semi2k", "rep3_malicious"])
def test_protocols_agree(protocol):
    with q.simulate(protocol=protocol) as net:
        found = KMeans(3, init=THREE, max_iter=2, least=2).fit(net.secret(BLOBS)).reveal()
    np.testing.assert_allclose(found.cluster_centers_, plain(BLOBS, THREE, 2).cluster_centers_, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_seeding_finds_clusters_that_lie_far_apart(seed):
    X = load_iris().data
    best = PlainKMeans(3, n_init=10, random_state=0).fit(X).inertia_
    with q.simulate(protocol="clear") as net:
        found = KMeans(3, random_state=seed).fit(net.secret(X)).reveal()
        blobs = KMeans(3, random_state=seed, least=2).fit(net.secret(BLOBS)).reveal()
    assert found.inertia_ < 2 * best
    assert sorted(blobs.sizes_) == [2, 3, 3]


def test_seeding_under_a_protocol_is_that_in_the_clear():
    inertias = []
    for protocol in ("clear", "rep3"):
        with q.simulate(protocol=protocol) as net:
            inertias.append(KMeans(3, max_iter=3).fit(net.secret(load_iris().data)).inertia_.reveal())
    np.testing.assert_allclose(*inertias, rtol=1e-3)


def test_secret_first_centres():
    X = load_iris().data
    with q.simulate(protocol="clear") as net:
        found = KMeans(3).fit(net.secret(X), init=net.secret(X[[0, 60, 120]])).reveal()
    np.testing.assert_allclose(found.cluster_centers_, plain(X, X[[0, 60, 120]]).cluster_centers_, atol=1e-5)


def test_an_empty_cluster_keeps_its_centre():
    init = [*THREE, [-9.5, -9.5]]
    with q.simulate(protocol="clear") as net:
        model = KMeans(4, init=init, least=0).fit(net.secret(BLOBS, range=(-10, 10)))
        found = model.reveal()
    np.testing.assert_allclose(found.cluster_centers_[3], [-9.5, -9.5], atol=1e-3)
    assert list(found.sizes_) == [3, 3, 2, 0]


def test_small_clusters_are_dissolved():
    with q.simulate(protocol="rep3") as net:
        secret = net.secret(BLOBS)
        model = KMeans(3, init=THREE, max_iter=3, least=3).fit(secret)
        found, labels = net.reveal(model, model.predict(secret))
    assert list(found.shown_) == [True, True, False]
    assert np.isnan(found.cluster_centers_[2]).all()
    assert list(found.sizes_) == [5, 3, 0]
    assert list(labels) == [0, 0, 0, 1, 1, 1, 0, 0]


def test_hidden_centres_are_not_opened():
    with q.simulate(protocol="clear") as net:
        model = KMeans(3, init=THREE, least=3).fit(net.secret(BLOBS))
        assert not model.cluster_centers_.reveal()[2].any()


def test_rows_chosen_by_a_mask():
    chosen = np.array([1, 1, 1, 1, 1, 1, 0, 0], bool)
    with q.simulate(protocol="clear") as net:
        secret, mask = net.secret(BLOBS), net.secret(chosen)
        found = KMeans(2, init=THREE[:2], least=0).fit(secret, where=mask).reveal()
        seeded = KMeans(2, least=0).fit(secret, where=mask).reveal()
        nobody = KMeans(2, least=0).fit(secret, where=net.secret(np.zeros(8, bool))).reveal()
    expected = plain(BLOBS[chosen], np.array(THREE[:2]))
    for one in (found, seeded):
        np.testing.assert_allclose(
            sorted(one.cluster_centers_[:, 0]), sorted(expected.cluster_centers_[:, 0]), atol=1e-4
        )
        np.testing.assert_allclose(one.inertia_, expected.inertia_, atol=1e-2)
    assert nobody.inertia_ == 0
    assert not nobody.sizes_.any()


def test_one_cluster_constant_columns_and_columns_far_from_zero():
    X = np.column_stack([np.arange(20) % 2 + 1990.0, np.full(20, 3.0), np.zeros(20)])
    with q.simulate(protocol="clear") as net:
        one = KMeans(1).fit(net.secret(X)).reveal()
        two = KMeans(2, init=X[:2]).fit(net.secret(X)).reveal()
    np.testing.assert_allclose(one.cluster_centers_, [[1990.5, 3, 0]], atol=1e-4)
    np.testing.assert_allclose(two.cluster_centers_, X[:2], atol=1e-4)
    assert two.inertia_ < 1e-3


def test_columns_of_two_owners_and_rows_not_known_yet():
    @q.computation
    def joint(left, right):
        left, right = q.align(left, right)
        return {"clusters": KMeans(3, init=THREE, least=2).fit({"x": left.x, "y": right.y})}

    found = joint.simulate(left={"x": BLOBS[:, 0]}, right={"y": BLOBS[:, 1]})
    np.testing.assert_allclose(found["clusters"]["cluster_centers_"], plain(BLOBS, THREE).cluster_centers_, atol=1e-3)
    assert "clusters.labels_" not in found


@pytest.mark.parametrize("protocol", ["rep3", "shamir"])
@pytest.mark.parametrize("limits", [(-1, 1, 23), (0, 2.0**-20, 44), (-(2.0**30), 2.0**30, 0), (1000, 1010, 14)])
@pytest.mark.parametrize(("width", "rows"), [(1, 10**6), (8, 10**5), (30, 50)])
def test_everything_fits_whatever_the_declared_ranges(width, rows, limits, protocol):
    def fit(data):
        features = {name: data[name] for name in data if name.startswith("x")}
        model = KMeans(4, max_iter=2).fit(features, where=data.m)
        return {"model": model, "labels": model.predict(features)}

    low, high, scale = limits
    types = {f"x{j}": fixed(scale) for j in range(width)} | {"m": BOOL}
    bounds = {("data", name): (int(low * 2**scale), int(high * 2**scale)) for name in types} | {("data", "m"): (0, 1)}
    fits = reference(protocol)
    plan = Computation(fit).trace({"data": types}, known=Known(bounds, {"data": rows}, fits))
    plan_ranges(plan.bind({"data": rows}), fits, bounds)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("whole number from 1 to 256", lambda X: KMeans(0).fit(X)),
        ("whole number from 1 to 1000", lambda X: KMeans(2, max_iter=0).fit(X)),
        ("fewer rows than clusters", lambda X: KMeans(9).fit(X)),
        ('use "k-means\\+\\+"', lambda X: KMeans(2, init="best").fit(X)),
        ("initial centres have the shape", lambda X: KMeans(2, init=THREE).fit(X)),
        ("no least size", lambda X: KMeans(2, least=-1).fit(X)),
        ("one secret bool per row", lambda X: KMeans(2).fit(X, where=X[:, 0])),
        ("not fitted", lambda X: KMeans(2).predict(X)),
        ("the model was fitted to 2", lambda X: KMeans(2).fit(X).predict(X[:, :1])),
    ],
)
def test_refusals(message, call):
    with q.simulate(protocol="clear") as net, pytest.raises(UserError, match=message):
        call(net.secret(BLOBS))
