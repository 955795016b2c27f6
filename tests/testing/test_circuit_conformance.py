"""The suite for circuits accepts a right one and catches each way to be wrong."""

import numpy as np
import pytest

from quorate.circuits.compare import less
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS

X, Y = np.array([1, -5, 7, 0]), np.array([2, -6, 7, 1])
CHOICE = np.array([True, False, True, False])


def swap(p, at, condition, x, y):
    """Exchange x and y where the condition holds: one conversion and one product."""
    chosen = yield from p.to_arithmetic(at.child("condition"), condition)
    change = yield from p.mul(at.child("change"), chosen, p.sub(y, x))
    return p.add(x, change), p.sub(y, change)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_accepts_a_right_circuit(configuration):
    check_circuit(configuration, swap, [CHOICE, X, Y], [np.where(CHOICE, Y, X), np.where(CHOICE, X, Y)])


def test_notices_a_wrong_result():
    with pytest.raises(AssertionError, match="3 of 4 are wrong"):
        check_circuit(("rep3", 3, 1), lambda p, at, x, y: less(p, at, x, y), [X, Y], X < 0)


def opening(p, at, x):
    seen = yield from p.reveal(at.child("seen"), x, range(p.parties))
    return p.add_public(x, seen if seen is not None else np.zeros(x.shape, np.int64))


def test_notices_an_opening_that_is_not_stated():
    with pytest.raises(AssertionError, match="opens values on its way"):
        check_circuit(("rep3", 3, 1), opening, [X], 2 * X)


def test_an_opening_may_be_allowed():
    check_circuit(("rep3", 3, 1), opening, [X], 2 * X, opens=True)


def test_notices_another_cost_than_predicted():
    def talkative(p, at, x):
        rounds = 1 if p.session.counting else 2
        for k in range(rounds):
            x = yield from p.mul(at.child(f"{k}"), x, x)
        return x

    with pytest.raises(AssertionError, match="was predicted"):
        check_circuit(("rep3", 3, 1), talkative, [X], X**4)
