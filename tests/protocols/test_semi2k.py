"""semi2k without a dealer: the parties make their correlated randomness themselves."""

import numpy as np
import pytest

from quorate.engine.exchange import Fork, parallel
from quorate.errors import UserError
from quorate.protocols.semi2k import Semi2k
from quorate.sharing.share import Boolean
from quorate.testing.protocol_checks import run_counted
from quorate.testing.protocol_conformance import ProtocolConformance
from quorate.testing.world import World

X = np.array([[5, -7, 2**60, 0], [-(2**61), 3, 1, -1], [2**62 - 1, -(2**62) + 1, 12345, 8]])
Y = np.array([[1, 2, -3, 9], [4, -(2**33), 0, 7], [1, 1, 77, -(2**40)]])


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestWithoutDealer(ProtocolConformance):
    @pytest.fixture(params=[("semi2k", 2, 1), ("semi2k", 3, 2)], ids=["2", "3"])
    def configuration(self, request):
        return request.param

    def world(self, configuration, outsiders=0):
        seed = super().world(configuration, outsiders).seed
        return World(*configuration, outsiders=outsiders, seed=seed, dealer=False)


def opened(parties, operation, *, outsiders=0):
    """What party 0 learns of operation(p, at, x, y); costs are as counted, at outsiders too."""

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
        y = yield from p.input(at.child("y"), 1, Y.shape, Y if p.me == 1 else None)
        result = yield from operation(p, at.child("work"), x, y)
        open_ = p.reveal_bits if isinstance(result, Boolean) else p.reveal
        return (yield from open_(at.child("open"), result, [0]))

    world = World("semi2k", parties, dealer=False, outsiders=outsiders)
    return run_counted(world, program).values[0]


@pytest.mark.parametrize("parties", [2, 3, 4])
def test_products(parties):
    np.testing.assert_array_equal(opened(parties, lambda p, at, x, y: p.mul(at, x, y)), X * Y)


def test_products_with_an_outsider():
    np.testing.assert_array_equal(opened(2, lambda p, at, x, y: p.mul(at, x, y), outsiders=1), X * Y)


@pytest.mark.parametrize("parties", [2, 3])
def test_inner_and_matrix_products(parties):
    np.testing.assert_array_equal(opened(parties, lambda p, at, x, y: p.dot(at, x, y)), (X * Y).sum(1))
    tall = opened(parties, lambda p, at, x, y: p.matmul(at, x, y.map(lambda part: part.T)))
    np.testing.assert_array_equal(tall, X @ Y.T)
    flat = opened(parties, lambda p, at, x, y: p.matmul(at, x.map(lambda part: part.T), y))
    np.testing.assert_array_equal(flat, X.T @ Y)


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("shift", [1, 20, 62])
def test_truncation(parties, shift):
    session = World("semi2k", parties, dealer=False)._root(0, counting=True)
    low, high = Semi2k(session, parties - 1).truncation_offsets
    for _ in range(3):
        difference = opened(parties, lambda p, at, x, y: p.truncate(at, x, shift)) - (X >> shift)
        assert low <= difference.min()
        assert difference.max() <= high


@pytest.mark.parametrize("parties", [2, 3])
def test_comparison_and_conversion(parties):
    def operation(p, at, x, y):
        below = yield from p.negative(at.child("below"), x)
        return (yield from p.to_arithmetic(at.child("number"), below))

    np.testing.assert_array_equal(opened(parties, operation), X < 0)


@pytest.mark.parametrize(("parties", "rows"), [(2, 1), (2, 2), (2, 77), (3, 5), (3, 64)])
def test_shuffle(parties, rows):
    """Columns of every kind stay together; the order is a permutation."""

    def program(p, at):
        numbers = np.arange(rows)
        x = yield from p.input(at.child("x"), 0, (rows, 2), np.stack([numbers, -numbers], 1) if p.me == 0 else None)
        bits = p.public_bits((numbers & 1).astype(np.uint8), 1)
        words = p.public_bits(numbers.astype(np.uint16), 12)
        columns = yield from p.shuffle(at.child("shuffle"), [x, bits, words])
        found = yield from p.reveal(at.child("numbers"), columns[0], [0])
        bits = yield from p.reveal_bits(at.child("bits"), columns[1], [0])
        return found, bits, (yield from p.reveal_bits(at.child("words"), columns[2], [0]))

    found, bits, words = run_counted(World("semi2k", parties, dealer=False), program).values[0]
    np.testing.assert_array_equal(np.sort(found[:, 0]), np.arange(rows))
    np.testing.assert_array_equal(found[:, 1], -found[:, 0])
    np.testing.assert_array_equal(bits, found[:, 0] & 1)
    np.testing.assert_array_equal(words, found[:, 0])


def test_steps_side_by_side_share_productions():
    """Whatever runs at the same time is supplied together, and what is produced in excess serves what comes later."""

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, (600,), np.arange(600) if p.me == 0 else None)
        forked = yield Fork([p.mul(at.child(f"fork {k}"), x, x) for k in range(3)])
        merged = yield from parallel([p.mul(at.child(f"lane {k}"), x, x) for k in range(3)])
        results = []
        for k, z in enumerate([*forked, *merged]):
            results.append((yield from p.reveal(at.child(f"open {k}"), z, [0])))
        return results, dict(p.supply.used), p.supply.stock.kinds()

    outcome = run_counted(World("semi2k", 2, dealer=False), program)
    results, used, left = outcome.values[0]
    for result in results:
        np.testing.assert_array_equal(result, np.arange(600) ** 2)
    assert used == {"products": 3600}
    assert left == outcome.values[1][2] == {"products": 1024 + 1024 - 1800}


def test_stocked_tuples_cost_nothing_more():
    """With tuples in stock a product opens two masked values, in one round."""

    def program(p, at):
        x = yield from p.input(at.child("x"), 0, (50,), np.arange(50) if p.me == 0 else None)
        p.supply.stock.put("products", (yield from p.supply.produce(at.child("ahead"), "products", 50)))
        before = p.supply.stock.kinds()
        z = yield from p.mul(at.child("product"), x, x)
        return before, p.supply.stock.kinds(), (yield from p.reveal(at.child("open"), z, [0]))

    def ahead(p, at):
        yield from p.supply.produce(at.child("ahead"), "products", 50)

    outcome = run_counted(World("semi2k", 2, dealer=False), program)
    before, after, squares = outcome.values[0]
    np.testing.assert_array_equal(squares, np.arange(50) ** 2)
    assert (before, after) == ({"products": 50}, {"products": 0})
    alone = run_counted(World("semi2k", 2, dealer=False), ahead)
    assert outcome.rounds[0] == alone.rounds[0] + 2
    assert outcome.bytes_sent[0] == alone.bytes_sent[0] + 50 * 16


def test_the_dealer_is_no_party():
    session = World("semi2k", 3, dealer=False)._root(0, counting=True)
    session.dealer = 2
    with pytest.raises(UserError, match="must not be one of the parties"):
        Semi2k(session, 2)
