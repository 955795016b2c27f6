"""Parties are lost at any moment after the inputs were dealt: the others finish with the same results."""

import random
from functools import lru_cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.circuits import compare, divide
from quorate.circuits.lexical import Key
from quorate.circuits.sort import sort
from quorate.engine.exchange import Fork, parallel
from quorate.engine.simulate import survive
from quorate.protocols.shamir_quorum import ShamirQuorum
from quorate.sharing.share import Arithmetic
from quorate.testing.world import World

X = np.array([5, -7, 100, 3, 12, -1], np.int64)
Y = np.array([3, 9, 4, 2, 8, 1], np.int64)
SEED = 5


def products(p, at, x, y):
    """Every kind of product, side by side and after each other."""
    xs, ys = (share.map(lambda part: part.reshape(2, 3)) for share in (x, y))
    squares, table = yield Fork(
        [
            p.mul(at.child("square"), x, x),
            p.matmul(at.child("matmul"), xs, ys.map(lambda part: part.T.copy())),
        ]
    )
    inner, quarter = yield from parallel(
        [p.dot(at.child("dot"), xs, ys), p.mul(at.child("shifted"), squares, y, shift=2)]
    )
    return [squares, table, inner, quarter]


def words(p, at, x, y):
    """Comparisons, words, conversions."""
    smaller = yield from compare.less(p, at.child("less"), x, y)
    same = yield from compare.equal(p, at.child("equal"), x, x)
    both = yield from p.and_(at.child("and"), smaller, same)
    number = yield from p.to_arithmetic(at.child("number"), both)
    return [smaller, both, number]


def division(p, at, x, y):
    return [(yield from divide.divide(p, at, x, y, divisor_bits=4, quotient_bits=8, scale=4))]


def orders(p, at, x, y):
    smaller = yield from compare.less(p, at.child("less"), x, y)
    shuffled = yield from p.shuffle(at.child("shuffle"), [x, smaller, y])
    (ordered,) = yield from sort(p, at.child("sort"), [Key(x, -8, 101)], [y])
    return [*shuffled, ordered]


def whole(work, needs, *, only_inputs=False):
    """Set-up, tuples, inputs, and then the work, whose results everybody gets, one outsider too."""

    def program(p, at):
        if needs:
            yield from p.prepare(at.child("prepare"), needs)
        x = yield from p.input(at.child("x"), 0, X.shape, X if p.me == 0 else None)
        y = yield from p.input(at.child("y"), p.parties - 1, Y.shape, Y if p.me == p.parties - 1 else None)
        if only_inputs:
            return None
        results = yield from work(p, at.child("work"), x, y)
        opened = []
        for number, result in enumerate(results):
            open_ = p.reveal if isinstance(result, Arithmetic) else p.reveal_bits
            opened.append((yield from open_(at.child(f"open {number}"), result, range(len(p.session.participants)))))
        return [np.asarray(values).tolist() for values in opened]

    return program


@lru_cache
def undisturbed(configuration, work):
    """What is needed, the results, and how many messages everybody has sent after the inputs and in all."""
    needs = {}

    def counted(p, at):
        yield from whole(work, {})(p, at)
        if p.supply is not None:
            needs.update(p.supply.used)

    world(configuration).count(counted)
    begun = world(configuration).run(whole(work, needs, only_inputs=True))
    ended = world(configuration).run(whole(work, needs))
    return needs, ended.values, begun.messages, ended.messages


def world(configuration):
    return World("shamir_quorum", *configuration, seed=SEED, outsiders=1)


def lose(configuration, work, moments, seed, *, rejoin=False):
    """The parties after a run in which some are lost: party -> when, from 0 (after the inputs) to 1 (at the end)."""
    needs, _, begun, ended = undisturbed(configuration, work)
    lost = {party: round(begun[party] + moment * (ended[party] - begun[party])) for party, moment in moments.items()}
    programs = world(configuration).programs(whole(work, needs))
    return survive(programs, lost, random.Random(seed).randrange, rejoin=rejoin)


def check(configuration, work, moments, seed):
    expected = undisturbed(configuration, work)[1]
    parties = lose(configuration, work, moments, seed)
    for index, party in enumerate(parties):
        if index not in moments:
            assert party.done
        assert not party.done or party.result == expected[index]
    again = lose(configuration, work, moments, seed, rejoin=True)
    assert [party.result for party in again] == expected
    assert not any(party.leftovers() for party in again)


def losses(parties, count):
    return [chosen for size in range(1, count + 1) for chosen in combinations(range(parties), size)]


CASES = [pytest.param((5, 1), chosen, id=f"1 of 5 without {chosen}") for chosen in losses(5, 2)] + [
    *(pytest.param((3, 1), chosen, id=f"1 of 3 without {chosen}") for chosen in losses(3, 1)),
    *(
        pytest.param((5, 2), chosen, id=f"2 of 5 without {chosen}", marks=[] if len(chosen) == 2 else pytest.mark.slow)
        for chosen in losses(5, 2)
    ),
]


@pytest.mark.parametrize(("configuration", "chosen"), CASES)
def test_products_without_the_lost(configuration, chosen):
    choice = random.Random(f"{configuration} {chosen}")
    check(configuration, products, {party: choice.random() for party in chosen}, choice.random())


@pytest.mark.slow
@pytest.mark.parametrize(("configuration", "chosen"), CASES)
@pytest.mark.parametrize("work", [words, division, orders])
def test_all_else_without_the_lost(configuration, chosen, work):
    choice = random.Random(f"{configuration} {chosen} {work.__name__}")
    check(configuration, work, {party: choice.random() for party in chosen}, choice.random())


@pytest.mark.parametrize("work", [words, division, orders])
@pytest.mark.parametrize(("configuration", "chosen"), [((5, 1), (0, 3)), ((3, 1), (0,))])
def test_some_else_without_the_lost(configuration, chosen, work):
    check(configuration, work, dict.fromkeys(chosen, 0.4), 1)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_any_moment_will_do(data):
    configuration = data.draw(st.sampled_from([(5, 1), (5, 2), (3, 1), (4, 1)]))
    most = {(5, 1): 2, (5, 2): 2, (3, 1): 1, (4, 1): 1}[configuration]
    chosen = data.draw(st.sets(st.integers(0, configuration[0] - 1), max_size=most))
    moments = {party: data.draw(st.floats(0, 1)) for party in chosen}
    check(configuration, products, moments, data.draw(st.integers(0, 2**32)))


@pytest.mark.parametrize(("configuration", "chosen"), [((5, 1), (0, 2, 4)), ((5, 2), (1, 2, 3)), ((3, 1), (0, 2))])
def test_with_one_more_lost_everybody_waits(configuration, chosen):
    expected = undisturbed(configuration, products)[1]
    parties = lose(configuration, products, dict.fromkeys(chosen, 0.3), 3)
    assert not any(party.done for party in parties)
    left = [party for index, party in enumerate(parties[:-1]) if index not in chosen]
    assert all(party.lacking(set(chosen)) for party in left)
    assert not any(party.lacking(set(chosen[1:])) for party in left)
    again = lose(configuration, products, dict.fromkeys(chosen, 0.3), 3, rejoin=True)
    assert [party.result for party in again] == expected


@pytest.mark.parametrize("configuration", [(3, 1), (4, 1), (5, 1), (5, 2)])
def test_results_are_right(configuration):
    """All else is compared with an undisturbed run."""
    for squares, table, inner, quarter in undisturbed(configuration, products)[1]:
        assert squares == (X * X).tolist()
        assert table == (X.reshape(2, 3) @ Y.reshape(2, 3).T).tolist()
        assert inner == (X * Y).reshape(2, 3).sum(1).tolist()
        assert np.abs(np.array(quarter) - X * X * Y / 4).max() <= 5


@pytest.mark.parametrize("configuration", [(5, 2), (3, 1)])
def test_tuples_are_made_before_the_inputs(configuration):
    """After `prepare` nothing is produced: parties who are lost would be missed."""
    needs = undisturbed(configuration, orders)[0]
    assert any(kind.startswith("shuffles") for kind in needs)
    left = []

    def program(p, at):
        results = yield from whole(orders, needs)(p, at)
        left.append(p.supply.stock.kinds() if p.session.me < p.parties else {})
        return results

    world(configuration).run(program)
    assert all(count == 0 for stock in left for count in stock.values())


@pytest.mark.parametrize(("configuration", "most"), [((3, 1), 1), ((4, 1), 1), ((5, 1), 2), ((5, 2), 2), ((6, 2), 3)])
def test_how_many_may_be_lost(configuration, most):
    session = world(configuration)._root(0, counting=True)
    assert ShamirQuorum(session, configuration[1]).most_losses == most


def test_an_owner_lost_before_its_input_is_waited_for():
    needs, _, begun, _ = undisturbed((5, 1), products)
    lost = {4: begun[4] - 2}
    parties = survive(world((5, 1)).programs(whole(products, needs)), lost, random.Random(2).randrange)
    assert not any(party.done for party in parties[:-1])
