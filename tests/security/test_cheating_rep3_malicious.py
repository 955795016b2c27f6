"""A party of rep3_malicious that really cheats: honest parties abort or get what is right."""

import numpy as np
import pytest

from quorate.circuits import compare
from quorate.testing.cheating import Cheating
from quorate.testing.world import World

PARTIES = [0, 1, 2]
C, D = np.array([5, -3, 100]), np.array([7, 9, -1])


def product(p, at):
    """Results do not depend on what parties input, so that everything a cheater changes is cheating."""
    r, s = (yield from p.random(at.child("r"), (3,))), (yield from p.random(at.child("s"), (3,)))
    y = p.add_public(s, D)
    first = yield from p.mul(at.child("first"), p.add_public(r, C), y)
    second = yield from p.mul(at.child("second"), r, y)
    return p.sub(p.sub(first, second), p.scale(s, C))


def products(p, at):
    number = yield from product(p, at.child("product"))
    inner = yield from p.dot(at.child("dot"), number, number)
    column = number.map(lambda part: part.reshape(3, 1))
    square = yield from p.matmul(at.child("matmul"), column, column.map(lambda part: part.reshape(1, 3)))
    opened = [(yield from p.reveal(at.child("number"), number, PARTIES))]
    opened.append((yield from p.reveal(at.child("inner"), inner, [0])))
    opened.append((yield from p.reveal(at.child("square"), square, [1, 2, 3])))
    return opened


def words(p, at):
    number = yield from product(p, at.child("product"))
    below = yield from compare.less(p, at.child("less"), number, p.public(np.array([36, -27, 0])), 8)
    chosen = yield from p.inject(at.child("inject"), below, number)
    opened = [(yield from p.reveal_bits(at.child("below"), below, [0, 1, 2, 3]))]
    opened.append((yield from p.reveal(at.child("chosen"), chosen, PARTIES)))
    opened.append((yield from p.and_open(at.child("and"), below, below, [2, 3])))
    return opened


def shuffled(p, at):
    number = yield from product(p, at.child("product"))
    (column,) = yield from p.shuffle(at.child("shuffle"), [number])
    total = p.sum(column, 0)
    return (yield from p.reveal(at.child("total"), total, PARTIES))


PROGRAMS = {"products": products, "words": words, "shuffled": shuffled}
EXPECTED = {
    "products": (C * D, (C * D) @ (C * D)),
    "words": ((C * D < [36, -27, 0]).astype(np.uint8), np.where(C * D < [36, -27, 0], C * D, 0)),
}


def runs(program):
    return Cheating(World("rep3_malicious", outsiders=1, seed=11), PROGRAMS[program], corrupt=PARTIES)


@pytest.mark.parametrize("program", EXPECTED)
def test_honest_runs_are_right(program):
    opened = World("rep3_malicious", outsiders=1, seed=11).run(PROGRAMS[program]).values[0]
    for got, wanted in zip(opened, EXPECTED[program], strict=False):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_cheater_gets_nothing_accepted(program):
    cheating = runs(program)
    for attempt in cheating.attempts(every=41):
        cheating.check(attempt)
    assert cheating.outcomes["check failed"]


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_whatever_a_cheater_does_nothing_is_accepted(program):
    cheating = runs(program)
    for attempt in cheating.attempts():
        cheating.check(attempt)
    assert cheating.outcomes["check failed"] > cheating.outcomes["no effect"]
