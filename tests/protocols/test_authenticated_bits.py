"""The Boolean side of the authenticated protocols passes the conformance suite, with a dealer and without."""

import numpy as np
import pytest

from quorate.circuits import compare
from quorate.testing.boolean_conformance import BooleanConformance
from quorate.testing.protocol_checks import require, run_counted
from quorate.testing.world import World

DEALT = [("spdz", 3, 2), ("spdz2k", 2, 1)]
OWN = [("spdz", 2, 1), ("spdz2k", 2, 1), ("spdz", 3, 2)]


def name(configuration):
    return f"{configuration[0]}-{configuration[1]}"


class TestWithDealer(BooleanConformance):
    @pytest.fixture(params=DEALT, ids=name)
    def configuration(self, request):
        return request.param


@pytest.mark.slow
class TestWithoutDealer(BooleanConformance):
    @pytest.fixture(params=OWN, ids=name)
    def configuration(self, request):
        return request.param

    def world(self, configuration, outsiders=0):
        protocol, parties, threshold = configuration
        return World(protocol, parties, threshold, outsiders=outsiders, dealer=False)


VALUES = np.array([0, 1, -1, 5, -(2**58) + 1, 2**58 - 1])


def everything(p, at):
    """What the Boolean side does, and a recipient outside, with tuples that the parties make."""
    outsider = p.session.parties
    x = yield from p.input(at.child("x"), 1, VALUES.shape, VALUES if p.me == 1 else None)
    negative = yield from compare.is_negative(p, at.child("negative"), x)
    zero = yield from compare.is_zero(p, at.child("zero"), x, 8)
    number = yield from p.to_arithmetic(at.child("number"), negative)
    numbers, bits = yield from p.shuffle(at.child("shuffle"), [x, negative])
    shuffled = [(yield from p.reveal(at.child("numbers"), numbers, [0, outsider]))]
    shuffled.append((yield from p.reveal_bits(at.child("bits"), bits, [0, outsider])))
    plain = [(yield from p.reveal_bits(at.child("plain"), negative, range(p.session.parties)))]
    plain.append((yield from p.reveal_bits(at.child("to 1"), zero, [1])))
    plain.append((yield from p.reveal(at.child("number 1"), number, [1])))
    return shuffled, plain


@pytest.mark.parametrize("configuration", OWN[:2], ids=name)
def test_without_dealer(configuration):
    protocol, parties, threshold = configuration
    outcome = run_counted(World(protocol, parties, threshold, outsiders=1, dealer=False), everything)
    for participant in (0, parties):
        numbers, bits = outcome.values[participant][0]
        assert sorted(numbers.tolist()) == sorted(VALUES.tolist())
        assert np.array_equal(bits, numbers < 0)
    negative, zero, number = outcome.values[1][1]
    require(np.array_equal(negative, VALUES < 0) and np.array_equal(number, VALUES < 0), "signs")
    assert np.array_equal(zero[:4], VALUES[:4] == 0)
    assert outcome.values[1][0] == [None, None]
    assert outcome.values[parties][1] == [None, None, None]
