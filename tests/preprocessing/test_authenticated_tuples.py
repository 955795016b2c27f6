"""Authenticated tuples are what they are said to be, with MACs, whoever makes them, and cost what was counted."""

import numpy as np
import pytest

from quorate.kernels.field import P
from quorate.sharing.domain import FIELD, RING
from quorate.testing.protocol_checks import run_counted
from quorate.testing.world import World

CONFIGURATIONS = [
    (name, parties, dealer) for name in ("spdz", "spdz2k") for parties in (2, 3) for dealer in (True, False)
]
KINDS = ("products", "squares", "random numbers", "input masks 1", "matrix products 2x3x2")


@pytest.fixture(params=CONFIGURATIONS, ids=lambda c: f"{c[0]}-{c[1]}-{'dealer' if c[2] else 'own'}")
def world(request):
    name, parties, dealer = request.param
    return World(name, parties, dealer=dealer, seed=7)


def produced(world, kind, count):
    """What every party has of the tuples, its MAC key, and all at every participant as counted."""

    def program(p, at):
        parts = yield from p.supply.produce(at, kind, count)
        return (list(parts), list(p.alpha)) if p.me < p.parties else None

    return run_counted(world, program).values[: world.parties]


def exact(domain, limbs):
    modulus = P if domain is FIELD else 1 << 128
    numbers = limbs[0].astype(object)
    return (numbers if domain is FIELD else numbers + (limbs[1].astype(object) << 64)) % modulus


def values(world, held):
    """The values of the tuples as Python's integers; their tags must be right."""
    domain = FIELD if world.protocol == "spdz" else RING
    modulus = P if domain is FIELD else 1 << 128
    limbs = domain.limbs
    alpha = sum(int(exact(domain, [np.asarray(limb) for limb in key])) for _, key in held)
    found = []
    for start in range(0, min(len(parts) for parts, _ in held) // (2 * limbs) * 2 * limbs, 2 * limbs):
        x = sum(exact(domain, parts[start : start + limbs]) for parts, _ in held) % modulus
        tag = sum(exact(domain, parts[start + limbs : start + 2 * limbs]) for parts, _ in held) % modulus
        assert np.array_equal(tag, x * alpha % modulus)
        found.append(x)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_tuples(world, kind):
    count = 5
    held = produced(world, kind, count)
    found = values(world, held)
    secret = P if world.protocol == "spdz" else 1 << 64
    if kind == "products":
        a, b, c = found
        assert np.array_equal(c % secret, a * b % secret)
        assert len(set(a)) == len(set(b)) == count
    elif kind == "squares":
        assert np.array_equal(found[1] % secret, found[0] * found[0] % secret)
    elif kind.startswith("matrix"):
        a, b, c = found
        assert a.shape == (count, 2, 3)
        assert b.shape == (count, 3, 2)
        for k in range(count):
            assert np.array_equal(c[k] % secret, a[k].dot(b[k]) % secret)
    elif kind.startswith("input"):
        domain = FIELD if world.protocol == "spdz" else RING
        known = held[1][0][2 * domain.limbs :]
        assert np.array_equal(exact(domain, known), found[0])
    else:
        assert len(set(found[0])) == count


def test_more_than_a_chunk(monkeypatch):
    monkeypatch.setattr("quorate.preprocessing.authenticated_triples.CHUNK", 3)
    world = World("spdz", 2, dealer=False, seed=7)
    a, b, c = values(world, produced(world, "products", 8))
    assert len(set(a)) == 8
    assert np.array_equal(c, a * b % P)
