"""Matrices in fixed point against NumPy."""

import numpy as np
import pytest

import quorate as q
from quorate.analytics.columns import common_unit, in_real_units, unit
from quorate.analytics.decomposition.orthonormal import orthonormal
from quorate.analytics.linear_algebra import factorised, gram, normalised
from quorate.analytics.refinement import precise_dot, precise_product, refined
from quorate.errors import UserError

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(50, 4)) @ np.diag([1.0, 0.1, 3.0, 0.02]) + RANDOM.normal(size=(50, 1))


def columns_of(net, matrix):
    return [net.secret(column) for column in matrix.T]


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_a_factor_and_its_inverse(protocol):
    with q.simulate(protocol=protocol) as net:
        u = unit(columns_of(net, X), 22)
        normal = normalised(gram(u.u, u.u))
        factor = factorised(normal.matrix)
        N, T, flags = net.reveal(normal.wide, factor.inverse, factor.independent)
    assert (np.diag(N) >= 0.25).all()
    assert (np.diag(N) < 1).all()
    np.testing.assert_allclose(T @ N @ T.T, np.eye(4), atol=1e-4)
    assert flags.all()


def test_refinement_solves_to_the_last_digits():
    with q.simulate(protocol="rep3") as net:
        u = unit(columns_of(net, X), 22)
        normal = normalised(gram(u.u, u.u))
        z, rest = refined(normal.wide, factorised(normal.matrix, 3))
        N, found, left = net.reveal(normal.wide, z, rest)
    solved = np.linalg.solve(N[:3, :3], N[:3, 3])
    np.testing.assert_allclose(found, solved, atol=1e-7)
    np.testing.assert_allclose(left, N[3, 3] - N[:3, 3] @ solved, atol=1e-9)


def test_products_finer_than_one_product_can_be():
    with q.simulate(protocol="rep3") as net:
        a, b = (net.secret(np.round(X[:, k], 9), scale=36) for k in (0, 2))
        dot = precise_dot(a, b, 24)
        product = precise_product(net.secret(X), net.secret(X[0] * 1e3, scale=40))
        found, many = net.reveal(dot, product)
    np.testing.assert_allclose(found, X[:, 0] @ X[:, 2], rtol=1e-7)
    np.testing.assert_allclose(many, X @ X[0] * 1e3, rtol=1e-5, atol=1e-3)


def test_orthonormal_columns():
    with q.simulate(protocol="clear") as net:
        wide = np.column_stack([X, X[:, 0] + X[:, 1]])
        basis = orthonormal(unit(columns_of(net, wide), 22).u).reveal()
    np.testing.assert_allclose(basis[:, :4].T @ basis[:, :4], np.eye(4), atol=1e-5)
    assert not basis[:, 4].any()


@pytest.mark.parametrize("scale", [2.0**-30, 1.0, 2.0**20])
def test_units_are_powers_of_two_and_lead_back(scale):
    matrix = np.column_stack([X[:, 0] * scale, 1000 * scale + X[:, 1] * scale])
    with q.simulate(protocol="clear") as net:
        secret = columns_of(net, matrix)
        own, common = unit(secret, 24), common_unit(secret, 24)
        back, u = net.reveal(in_real_units(own.u, own.exponent), common.u)
    np.testing.assert_allclose(back + own.centre, matrix, atol=2e-4 * scale)
    np.testing.assert_allclose(u * common.factor + common.centre, matrix, atol=2e-4 * scale)
    assert len(set(common.exponent)) == 1
    assert np.abs(u).max() <= 1


def test_more_columns_than_can_be_solved_for_are_refused():
    with q.simulate(protocol="clear") as net, pytest.raises(UserError, match="64 is the most"):
        factorised(net.secret(np.zeros(65 * 65)).reshape(65, 65))
