"""Magnitudes, signs, extremes of two and limits are exact on every protocol, edges of the range included."""

import numpy as np
import pytest

from quorate.circuits import limits
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS

BITS = 30
EDGE = 2**BITS - 1


def values(seed, bits=BITS):
    edges = [0, 1, -1, 2, -2, 2**bits - 1, 1 - 2**bits, 2 ** (bits - 1), -(2 ** (bits - 1))]
    return np.array([*edges, *np.random.default_rng(seed).integers(1 - 2**bits, 2**bits, 60)])


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS)
@pytest.mark.parametrize(("bits", "told"), [(BITS, BITS), (7, 7), (57, None)])
def test_magnitude_and_sign(configuration, bits, told):
    x = values(1, bits)
    check_circuit(configuration, lambda p, at, x: limits.absolute(p, at, x, told), [x], np.abs(x))
    check_circuit(configuration, lambda p, at, x: limits.sign(p, at, x, told), [x], np.sign(x))


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS)
def test_extremes_of_two(configuration):
    x, y = values(1), np.concatenate([values(1)[:9], values(2)[9:]])
    x[9:12] = y[9:12]
    check_circuit(configuration, lambda p, at, x, y: limits.minimum(p, at, x, y, 31), [x, y], np.minimum(x, y))
    check_circuit(configuration, lambda p, at, x, y: limits.maximum(p, at, x, y, 31), [x, y], np.maximum(x, y))


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS)
@pytest.mark.parametrize(
    ("low", "high"), [(-5, 7), (0, 0), (None, 3), (-1, None), (None, None), (-EDGE, EDGE), (EDGE, EDGE)]
)
def test_clip(configuration, low, high):
    x = np.concatenate([values(3), np.arange(-8, 9)])
    expected = x if low is None and high is None else np.clip(x, low, high)
    check_circuit(configuration, lambda p, at, x: limits.clip(p, at, x, low, high, 31), [x], expected)


@pytest.mark.parametrize("shape", [(0,), (), (2, 3)])
def test_any_shape(shape):
    x = np.arange(-3, 3)[: int(np.prod(shape))].reshape(shape)
    check_circuit(("rep3", 3, 1), lambda p, at, x: limits.absolute(p, at, x, 4), [x], np.abs(x))
    check_circuit(("rep3", 3, 1), lambda p, at, x: limits.sign(p, at, x, 4), [x], np.sign(x))
    check_circuit(("rep3", 3, 1), lambda p, at, x: limits.clip(p, at, x, -1, 1, 4), [x], np.clip(x, -1, 1))
