"""Bit operations on secret words, at the edges of their widths, on every protocol and by every way they can go."""

import numpy as np
import pytest

from quorate.circuits import bitwise
from quorate.circuits.cheapest import cheapest
from quorate.engine.exchange import parallel
from quorate.engine.network import Network
from quorate.engine.session import Session
from quorate.protocols.registry import make, protocol_class
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS

EVERY = pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS)
WAYS = {"bits": bitwise._by_bits, "adder": bitwise._by_adder}


def edges(width, signed):
    """Values of a width: its ends, powers of two, alternating bits."""
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    chosen = [low, low + 1, -1, 0, 1, high - 1, high, 0x5555555555555555 % (high + 1), high // 3, high // 2 + 1]
    return np.array([v for v in chosen if low <= v <= high], np.int64)


def pairs(x, y):
    return np.repeat(x, len(y)), np.tile(y, len(x))


def capacity(configuration):
    return protocol_class(configuration[0]).capacity


@EVERY
@pytest.mark.parametrize(("width", "signed"), [(1, False), (60, True), (59, False)])
def test_logic(configuration, width, signed):
    x = edges(min(width, capacity(configuration) if signed else width), signed)
    x, y = pairs(x, x)

    def circuit(p, at, a, b):
        each = (bitwise.bit_and, bitwise.bit_or, bitwise.bit_xor)
        return parallel([do(p, at.child(do.__name__), a, b, width, signed) for do in each])

    check_circuit(configuration, circuit, [x, y], [x & y, x | y, x ^ y], opens=True, seed=1)


@EVERY
def test_and_needs_the_width_of_one_operand(configuration):
    wide = edges(capacity(configuration), True)
    x, y = pairs(wide, edges(7, False))

    def secret(p, at, a, b):
        return bitwise.bit_xor(p, at, a, b, 7)

    def public(p, at, a):
        return bitwise.bit_or(p, at, a, y, 7)

    check_circuit(configuration, secret, [x, y], x ^ y, opens=True, seed=2)
    check_circuit(configuration, public, [x], x | y, opens=True, seed=2)


@EVERY
@pytest.mark.parametrize("way", WAYS)
def test_both_ways_back_to_numbers(configuration, way):
    """Words of every kind of width; modulo 2**61 - 1 the sum with the mask wraps about every other time."""
    x = np.concatenate([edges(58, False), np.arange(100) * 2**51 + 7])

    def circuit(p, at, a):
        words = yield from bitwise.low_bits(p, at.child("words"), a, 58)
        return (yield from WAYS[way](p, at.child("back"), words))

    check_circuit(configuration, circuit, [x], x, opens=way == "adder", seed=3)


def test_the_way_back_depends_on_network_and_size():
    def chosen(network, count):
        session = Session(0, 3, ("a", "b", "c"), counting=True, network=network)
        p = make("rep3", session, 1)

        def sized(way):
            return lambda q, at: bitwise._on_ghosts(way, (count,), 64, q, at)

        ways = [sized(way) for way in WAYS.values()]
        return list(WAYS)[cheapest(p, ways, ("test", count))]

    far, near = Network.parse("40ms", "1Gbit"), Network.parse("0.1ms", "1Gbit")
    assert chosen(far, 10) == chosen(near, 10) == "bits"
    assert chosen(far, 10**4) == "bits"
    assert chosen(near, 10**4) == chosen(far, 10**6) == "adder"


@EVERY
def test_shift_left_by_secret_amounts(configuration):
    most = capacity(configuration) - 3
    x, amount = pairs(np.array([-7, -1, 0, 1, 5, 7], np.int64), np.arange(most + 1))

    def circuit(p, at, a, b):
        return bitwise.shift_left_by(p, at, a, b, most)

    check_circuit(configuration, circuit, [x, amount], x << amount, seed=4)
    check_circuit(configuration, lambda p, at, a: bitwise.shift_left_by(p, at, a, a, 0), [x], x, seed=4)


@EVERY
@pytest.mark.parametrize(("width", "most"), [(59, 62), (2, 1), (12, 0)])
def test_shift_words_right_by_secret_amounts(configuration, width, most):
    x, amount = pairs(edges(width, True), np.arange(most + 1))

    def circuit(p, at, a, b):
        return bitwise.shift_words_right(p, at, a, b, width, most)

    check_circuit(configuration, circuit, [x, amount], x >> amount, opens=True, seed=5)


@EVERY
@pytest.mark.parametrize(("bits", "shift"), [(58, 1), (58, 40), (58, 57), (20, 3), (20, 20), (9, 0), (5, 30)])
def test_floor_shift(configuration, bits, shift):
    around = [k * 2**shift + d for k in (-2, -1, 0, 1, 3) for d in (-1, 0, 1)]
    values = [v for v in around if abs(v) < 2**bits]
    x = np.tile(np.concatenate([edges(bits, False), -edges(bits, False), np.array(values, np.int64)]), 3)
    check_circuit(configuration, lambda p, at, a: bitwise.floor_shift(p, at, a, shift, bits), [x], x >> shift, seed=8)


@EVERY
@pytest.mark.parametrize("shift", [1, 30])
def test_floor_shift_of_all_that_fits(configuration, shift):
    bits = capacity(configuration)
    x = np.tile(np.concatenate([edges(bits, False), -edges(bits, False)]), 4)
    check_circuit(configuration, lambda p, at, a: bitwise.floor_shift(p, at, a, shift, bits), [x], x >> shift, seed=9)


@EVERY
@pytest.mark.parametrize("width", [1, 4, 58])
def test_popcount(configuration, width):
    x = edges(width, False)
    expected = np.array([int(v).bit_count() for v in x])
    check_circuit(configuration, lambda p, at, a: bitwise.popcount(p, at, a, width), [x], expected, seed=6)


@pytest.mark.parametrize("layers", range(bitwise.DEEPEST + 1))
def test_popcount_after_any_number_of_adders(layers):
    flags = np.array([[(v >> k) & 1 for v in (0, 2**61 - 1, 0x123456789ABCDEF)] for k in range(61)], np.bool_)

    def circuit(p, at, bits):
        return bitwise._count(p, at, bits, layers)

    check_circuit(("rep3", 3, 1), circuit, [flags], flags.sum(0), seed=7)


@EVERY
def test_no_elements(configuration):
    none = np.zeros((0, 3), np.int64)
    check_circuit(configuration, lambda p, at, a, b: bitwise.bit_and(p, at, a, b, 9), [none, none], none, opens=True)
    check_circuit(configuration, lambda p, at, a: bitwise.popcount(p, at, a, 9), [none], none)
