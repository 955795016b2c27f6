"""Elementary functions in plans keep the error that the plan promises, and refuse what is not defined."""

import numpy as np
import pytest
from tests.lang.conftest import dry, run_in

from quorate.errors import UserError
from quorate.lang.operations import kind_of
from quorate.sharing.dtype import fixed

CONFIGURATIONS = [("clear", 1, 0), ("rep3", 3, 1), ("shamir", 3, 1), ("semi2k", 2, 1)]
WIDE = [("shamir", 5, 2), ("semi2k", 3, 2)]


def one(kind, scale=16):
    return lambda x: {"y": x.trace.record(kind, [x], scale=scale)}


def two(kind, scale=16):
    return lambda x, y: {"y": x.trace.record(kind, [x, y], scale=scale)}


def spread(low, high, count=120):
    """Points of a range at the grid of 16 fraction bits, edges included, dense at its ends."""
    points = (low + high) / 2 - (high - low) / 2 * np.cos(np.linspace(0, np.pi, count))
    return np.unique(np.rint(points * 2**16) / 2**16)


ONE = {
    "exp": (np.exp, -8, 8),
    "exp2": (np.exp2, -30, 11),
    "log": (np.log, 2**-6, 2**14),
    "log2": (np.log2, 0.25, 4),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -50, 50),
    "tanh": (np.tanh, -3, 7),
    "sin": (np.sin, -1000, 1000),
    "cos": (np.cos, -1000, 1000),
    "atan": (np.arctan, -300, 300),
    "reciprocal": (lambda x: 1 / x, 0.5, 1000),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 2**-10, 1000),
    "sqrt": (np.sqrt, 0, 1000),
}


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("kind", ONE)
def test_functions_of_one_number(configuration, kind):
    function, low, high = ONE[kind]
    x = spread(low, high)
    ran = run_in(configuration, one(kind), {"x": x})
    exact = function(x.astype(np.longdouble))
    assert (np.abs(ran.values["y"] - exact) <= ran.errors["y"]).all()
    assert ran.errors["y"] < 0.02 * (1 + np.abs(exact).max())


@pytest.mark.parametrize("configuration", WIDE)
@pytest.mark.parametrize("kind", ["exp", "log", "sigmoid", "sin"])
def test_functions_with_more_than_two_summands(configuration, kind):
    function, low, high = ONE[kind]
    x = spread(low, high, 20)
    ran = run_in(configuration, one(kind), {"x": x})
    assert (np.abs(ran.values["y"] - function(x.astype(np.longdouble))) <= ran.errors["y"]).all()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_power(configuration):
    x, y = spread(0.5, 8), spread(-2, 3)
    ran = run_in(configuration, two("pow"), {"x": x, "y": y})
    assert (np.abs(ran.values["y"] - x**y) <= ran.errors["y"]).all()
    assert ran.errors["y"] < 0.2


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_angle_of_a_vector(configuration):
    rng = np.random.default_rng(4)
    sides = np.array([[a, b] for a in (-7.5, -1, 0, 1, 7.5) for b in (-7.5, -1, 0, 1, 7.5)])
    y, x = np.concatenate([sides, np.rint(rng.uniform(-100, 100, (80, 2)) * 2**16) / 2**16]).T
    ran = run_in(configuration, two("atan2"), {"x": y, "y": x})
    exact = 2.0**-16 * trigonometric_units(configuration)
    assert (np.abs(ran.values["y"] - np.arctan2(y, x)) <= exact).all()


def trigonometric_units(configuration):
    return 5.0 if configuration[2] < 2 else 7.0


def test_zero_divided():
    ran = run_in(("rep3", 3, 1), one("reciprocal"), {"x": np.array([0.0, 1.0, 2.0])})
    assert np.abs(ran.values["y"] - np.array([0.0, 1.0, 0.5])).max() < 2.0**-13


@pytest.mark.parametrize(
    ("kind", "low", "high", "message"),
    [
        ("exp", 0, 60 << 16, "clip the exponent"),
        ("log", 0, 1 << 16, "may be 0 or negative"),
        ("rsqrt", -1, 1 << 16, "may be 0 or negative"),
        ("reciprocal", -1, 1 << 16, "may be negative"),
    ],
)
def test_what_is_not_defined_is_refused(kind, low, high, message):
    with pytest.raises(UserError, match=message):
        dry(one(kind), {"x": (low, high)}, {"x": fixed(16)}, x=3)


@pytest.mark.parametrize("kind", sorted(set(ONE) - {"sqrt"}))
def test_a_result_without_fraction_bits_is_refused(kind):
    with pytest.raises(UserError, match="needs fraction bits"):
        dry(one(kind, 0), {"x": (1, 5)}, {"x": fixed(16)}, x=3)


def test_every_function_is_elementwise():
    assert all(kind_of(name).elementwise for name in [*ONE, "pow", "atan2"])
