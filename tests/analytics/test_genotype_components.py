"""Principal components of people against the singular values of standardised genotypes."""

import numpy as np
import pytest

import quorate as q
from quorate.analytics.genetics.components import GenotypeComponents
from quorate.errors import UserError


def population(people=120, variants=300, seed=3):
    random = np.random.default_rng(seed)
    group = random.choice(3, people, p=[0.5, 0.3, 0.2])
    base = random.uniform(0.1, 0.9, variants)
    shares = np.clip(base + random.normal(0, 0.15, (3, variants)), 0.02, 0.98)
    return random.binomial(2, shares[group]).astype(np.int8)


def expected(G, count):
    p = G.mean(0) / 2
    kept = np.minimum(G.sum(0), 2 * len(G) - G.sum(0)) >= 5
    X = ((G - 2 * p) / np.sqrt(np.maximum(2 * p * (1 - p), 1e-9)))[:, kept]
    U = np.linalg.svd(X, full_matrices=False)[0][:, :count]
    return U * np.sign((U**3).sum(0))


@pytest.mark.parametrize("protocol", ["clear", "rep3"])
def test_components_of_three_populations(protocol):
    G = population()
    with q.simulate(protocol=protocol) as net:
        found = GenotypeComponents(2, steps=4).fit(net.secret(G, range=(0, 2))).reveal()
    np.testing.assert_allclose(found.scores_, expected(G, 2), atol=0.01)
    np.testing.assert_allclose(found.scores_.T @ found.scores_, np.eye(2), atol=1e-5)
    assert 1 > found.share_[0] > found.share_[1] > 0


def test_missing_genotypes_and_rare_variants():
    G = population()
    G[:, :3] = 0
    G[4, 1] = 1  # one copy among all: left out
    called = np.random.default_rng(1).random(G.shape) < 0.98
    spoilt = np.where(called, G, 2).astype(np.int8)
    with q.simulate(protocol="clear") as net:
        secret, known = net.secret(spoilt, range=(0, 2)), net.secret(called)
        found = GenotypeComponents(1, steps=4).fit(secret, called=known).scores_.reveal()
    assert abs(found[:, 0] @ expected(G, 1)[:, 0]) > 0.99


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("n_components=0", lambda: GenotypeComponents(0)),
        ("whole number from 1 to 5", lambda: GenotypeComponents(6)),
        ("steps=0", lambda: GenotypeComponents(1, steps=0)),
    ],
)
def test_refusals(message, make):
    with q.simulate(protocol="clear") as net, pytest.raises(UserError, match=message):
        make().fit(net.secret(population(10, 20), range=(0, 2)))
