"""The authenticated protocols pass the conformance suite, with a dealer and without; costs as documented."""

from typing import Any

import numpy as np
import pytest

from quorate.kernels.ghost import ghost
from quorate.testing.arithmetic_conformance import ArithmeticConformance
from quorate.testing.protocol_checks import run_counted
from quorate.testing.protocol_conformance import ProtocolConformance
from quorate.testing.world import World

X, Y = np.arange(-50, 50), np.arange(100, 200)


def name(configuration):
    return f"{configuration[0]}-{configuration[1]}"


class TestNumbersWithDealer(ArithmeticConformance):
    @pytest.fixture(params=[("spdz", 3, 2), ("spdz2k", 2, 1)], ids=name)
    def configuration(self, request):
        return request.param


@pytest.mark.slow
class TestEverythingWithDealer(ProtocolConformance):
    @pytest.fixture(params=[("spdz", 2, 1), ("spdz", 3, 2), ("spdz2k", 2, 1), ("spdz2k", 3, 2)], ids=name)
    def configuration(self, request):
        return request.param


@pytest.mark.slow
class TestNumbersWithoutDealer(ArithmeticConformance):
    @pytest.fixture(params=[("spdz", 2, 1), ("spdz2k", 2, 1), ("spdz", 3, 2)], ids=name)
    def configuration(self, request):
        return request.param

    def world(self, configuration, outsiders=0):
        protocol, parties, threshold = configuration
        return World(protocol, parties, threshold, outsiders=outsiders, dealer=False)


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize(("protocol", "limbs"), [("spdz", 1), ("spdz2k", 2)])
def test_bytes_on_line(protocol, limbs, parties):
    """Two openings per product and one check, whatever is opened: see the module's figures."""

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
        y = yield from p.input(at.child("y"), 1, Y.shape, Y if p.me == 1 else None)
        z = yield from p.mul(at.child("z"), x, y)
        return (yield from p.reveal(at.child("open"), z, range(p.parties)))

    outcome = run_counted(World(protocol, parties, dealer=True, seed=4), program)
    inputs, opened, check = 8 * 100, 8 * limbs * 100, 224 + 24 * limbs
    keys = 16 * (parties - 1)
    assert np.array_equal(outcome.values[0], X * Y)
    assert outcome.sent[0][1] - keys // (parties - 1) == inputs + 2 * opened + opened + 2 * check


@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
def test_without_dealer(protocol):
    """Inputs from inside and outside, products, a matrix product, a sum with a shift, results for one."""

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
        y = yield from p.input(at.child("y"), 2, Y.shape, Y if p.me == 2 else None)
        z = yield from p.mul(at.child("z"), x, y)
        rows = x.map(lambda part: part[:6].reshape(2, 3)), y.map(lambda part: part[:6].reshape(3, 2))
        m = yield from p.matmul(at.child("m"), *rows)
        first = yield from p.reveal(at.child("all"), z, range(3))
        return first, (yield from p.reveal(at.child("one"), m, [1]))

    outcome = run_counted(World(protocol, 2, outsiders=1, dealer=False, seed=4), program)
    for first, _ in outcome.values:
        assert np.array_equal(first, X * Y)
    assert [second is None for _, second in outcome.values] == [True, False, True]
    assert np.array_equal(outcome.values[1][1], X[:6].reshape(2, 3) @ Y[:6].reshape(3, 2))


class Stocked(World):
    """Goes on with the keys that parties have `kept`; who holds no shares knows their shapes."""

    kept: Any = ()

    def _root(self, me, *, counting):
        session = super()._root(me, counting=counting)
        blank = counting or me >= self.parties
        session.stock_keys = tuple(
            ghost(key.shape, key.dtype) if blank else key for key in self.kept[0 if blank else me]
        )
        return session


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("protocol", ["spdz", "spdz2k"])
def test_tuples_of_an_earlier_session(protocol, parties):
    """Tuples and the keys that belong to them are used again in another session, with an outsider."""

    def produce(p, at):
        yield from p.witness(at.child("witness"))
        return (yield from p.supply.produce(at, "products", 100)), p.stock_keys()

    made = World(protocol, parties, dealer=False, seed=8).run(produce).values
    world = Stocked(protocol, parties, dealer=False, outsiders=1, seed=9)
    world.kept = [keys for _, keys in made]

    def use(p, at):
        tuples, _ = made[min(p.me, parties - 1)]
        blank = p.session.counting or p.me >= parties
        p.supply.stock.put("products", [ghost(part.shape, part.dtype) if blank else part for part in tuples])
        x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
        z = yield from p.mul(at.child("z"), x, x)
        assert not p.supply.stock.available("products")
        return (yield from p.reveal(at.child("open"), z, [0, parties]))

    outcome = run_counted(world, use)
    assert np.array_equal(outcome.values[0], X * X)
    assert np.array_equal(outcome.values[parties], X * X)
