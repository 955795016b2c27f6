"""Functions by trigonometric sums and powers keep their stated errors over their ranges, edges included, everywhere."""

import math
from fractions import Fraction

import numpy as np
import pytest

from quorate.circuits import exponential, logarithm, root, sigmoid, trigonometry, wave_tables
from quorate.circuits.series import absolute_error, evaluate, traits
from quorate.errors import UserError
from quorate.testing.circuit_conformance import run_circuit
from quorate.testing.world import CONFIGURATIONS

LD = np.longdouble
SWEPT = [("clear", 1, 0), ("rep3", 3, 1), ("rep3-bare", 3, 1)]
BARE = [("shamir-bare", 3, 1), ("semi2k-bare", 3, 2)]
THIN = [("shamir", 3, 1), ("shamir", 5, 2), ("semi2k", 2, 1), ("semi2k", 3, 2), ("semi2k", 4, 3), *BARE]
SLOW = ("shamir", 5, 2)
CASES = [(configuration, 20_000) for configuration in SWEPT] + [
    pytest.param(configuration, 60, marks=pytest.mark.slow if configuration == SLOW else ()) for configuration in THIN
]
TABLES = {
    "RECIPROCAL": (lambda x: 1 / x, True),
    "ROOT": (np.sqrt, True),
    "INVERSE_ROOT": (lambda x: 1 / np.sqrt(x), True),
    "LOGARITHM": (np.log2, False),
    "ARCTANGENT": (np.arctan, False),
    "TANH": (np.tanh, False),
}


def points(low, high, count, seed=1):
    """Edges, powers of two and their neighbours, and the rest even or even in the logarithm."""
    powers = [s * (2**k + d) for k in range(63) for d in (-1, 0, 1) for s in (1, -1)]
    rng = np.random.default_rng(seed)
    even = [int(low + (high - low) * u) for u in rng.random(count // 2)]
    size = max(abs(low), abs(high), 2)
    near = [int(s * size**u) for u, s in zip(rng.random(count // 2), rng.choice([-1, 1], count // 2), strict=True)]
    edges = [low, low + 1, high - 1, high, 0, 1, -1]
    return np.array([v for v in [*edges, *powers, *even, *near] if low <= v <= high], np.int64)


def check(configuration, circuit, inputs, exact, allowed):
    """`allowed(p)` gives the stated error in units, a number or an array."""
    stated = []

    def noted(p, at, *shares):
        stated.append(allowed(p))
        return circuit(p, at, *shares)

    got, _ = run_circuit(configuration, noted, *inputs, seed=3)
    over = np.abs(got - exact) - stated[0]
    assert (over <= 0).all(), (int(np.argmax(over)), float(over.max()))


@pytest.mark.parametrize(("configuration", "count"), CASES)
@pytest.mark.parametrize("name", TABLES)
def test_sums(configuration, count, name):
    function, relative = TABLES[name]
    unit, digits = Fraction(1, 1 << 26), 24
    for series in getattr(wave_tables, name):
        low, high = (int(end / unit) for end in (series.low, series.high))
        x = points(low, high, count // 4)
        exact = function(x.astype(LD) * 2.0**-26) * 2.0**digits
        table = series.error * (np.abs(exact) if relative else 2.0**digits)
        check(
            configuration,
            lambda p, at, x, series=series: evaluate(p, at, x, series, unit, digits),
            [x],
            exact,
            lambda p, series=series, high=high, table=table: (
                table + absolute_error(traits(p), series, unit, digits, high)
            ),
        )


@pytest.mark.parametrize(("configuration", "count"), CASES)
@pytest.mark.parametrize(
    ("low", "high", "shift", "scale"),
    [
        (-8, 8, 16, 16),
        (-1, 1, 16, 16),
        (-1000, 2, 16, 16),
        (0, 20, 8, 4),
        (3, 4, 16, 24),
        (-16, 16, 16, 16),
        (0, 0, 8, 8),
    ],
)
def test_exp(configuration, count, low, high, shift, scale):
    low, high, rate = low << shift, high << shift, exponential.LOG2_E / 2**shift
    x = points(low, high, min(count, 4000))
    exact = np.exp(x.astype(LD) * LD(2.0) ** -shift) * LD(2.0) ** scale

    def allowed(p):
        how = exponential.power_plan(p, rate=rate, low=low, high=high, scale=scale)
        relative, units = exponential.power_error(p, how, rate, low, high)
        return relative * exact + units

    check(
        configuration,
        lambda p, at, x: exponential.power(p, at, x, rate=rate, low=low, high=high, scale=scale),
        [x],
        exact,
        allowed,
    )


@pytest.mark.parametrize(("configuration", "count"), CASES)
@pytest.mark.parametrize(
    ("low", "high", "scale"), [(1, 2**30, 16), (2**16, 2**17, 16), (1, 2**50, 10), (1000, 2**40, 20)]
)
def test_log(configuration, count, low, high, scale):
    x, base = points(low, high, min(count, 6000)), logarithm.LN_2
    check(
        configuration,
        lambda p, at, x: logarithm.logarithm(p, at, x, low=low, high=high, shift_in=16, base=base, scale=scale),
        [x],
        np.log(x.astype(LD) / 2**16) * 2.0**scale,
        lambda p: logarithm.logarithm_error(p, high=high, base=base, scale=scale),
    )


@pytest.mark.parametrize(("configuration", "count"), CASES)
@pytest.mark.parametrize(("reach", "scale"), [(1, 16), (7.9, 16), (10, 16), (300, 16), (2000, 12), (17, 22), (100, 22)])
def test_sigmoid(configuration, count, reach, scale):
    high = int(reach * 2**16)
    edges = np.array([s * (bound * 2**16 + d) for bound in (2, 4, 8, 10, 18) for d in (-1, 0, 1) for s in (1, -1)])
    x = np.concatenate([points(-high, high, min(count, 6000)), edges[np.abs(edges) <= high]])
    check(
        configuration,
        lambda p, at, x: sigmoid.sigmoid(p, at, x, low=-high, high=high, shift_in=16, scale=scale),
        [x],
        2.0**scale / (1 + np.exp(-x.astype(LD) / 2**16)),
        lambda p: sigmoid.tanh_error(p, low=-high, high=high, shift_in=17, scale=scale - 1),
    )


def test_sigmoid_is_accurate_to_14_bits():
    def circuit(p, at, x):
        worst = sigmoid.tanh_error(p, low=-(2**24), high=2**24, shift_in=17, scale=15)
        assert worst <= 2.0**2
        return sigmoid.sigmoid(p, at, x, low=-(2**24), high=2**24, shift_in=16, scale=16)

    run_circuit(("rep3", 3, 1), circuit, np.zeros(1, np.int64))


@pytest.mark.parametrize(("configuration", "count"), CASES)
def test_waves(configuration, count):
    x = points(-(2**34), 2**34, count // 4)
    for circuit, function in ((trigonometry.sine, np.sin), (trigonometry.cosine, np.cos)):
        check(
            configuration,
            lambda p, at, x, circuit=circuit: circuit(p, at, x, shift_in=16, scale=20),
            [x],
            function(x.astype(LD) / 2**16) * 2**20,
            lambda p: trigonometry.wave_error(p, largest=2**34, shift_in=16, scale=20),
        )


@pytest.mark.parametrize(("configuration", "count"), CASES)
@pytest.mark.parametrize("bits", [16, 25])
def test_arc_tangent(configuration, count, bits):
    x = points(1 - 2**bits, 2**bits - 1, min(count, 2000))
    check(
        configuration,
        lambda p, at, x: trigonometry.arctangent(p, at, x, bits=bits, shift_in=16, scale=16),
        [x],
        np.arctan(x.astype(LD) / 2**16) * 2**16,
        lambda p: trigonometry.arctangent_error(p, bits=bits, shift_in=16, scale=16),
    )


@pytest.mark.parametrize(("configuration", "count"), CASES)
def test_angle(configuration, count):
    corners = np.array([[a, b] for a in (-7, -1, 0, 1, 7, 2**24 - 1) for b in (1 - 2**24, -7, -1, 0, 1, 7)])
    y, x = np.concatenate([corners, np.random.default_rng(0).integers(1 - 2**24, 2**24, (min(count, 2000), 2))]).T
    check(
        configuration,
        lambda p, at, y, x: trigonometry.vector_angle(p, at, y, x, bits=24, scale=16),
        [y, x],
        np.arctan2(y.astype(LD), x.astype(LD)) * 2**16,
        lambda p: trigonometry.arctangent_error(p, bits=24, shift_in=0, scale=16),
    )


@pytest.mark.parametrize(("configuration", "count"), CASES)
@pytest.mark.parametrize(("bits", "low", "shift", "scale"), [(30, 1, 16, 10), (40, 2**20, 16, 20), (17, 2**16, 15, 16)])
def test_inverse_root(configuration, count, bits, low, shift, scale):
    x = points(low, 2**bits - 1, min(count, 6000))
    facts = {"bits": bits, "low": low, "shift_in": shift, "scale": scale}
    exact = LD(2.0) ** scale / np.sqrt(x.astype(LD) / 2.0**shift)
    check(
        configuration,
        lambda p, at, x: root.inverse_root(p, at, x, **facts),
        [x],
        exact,
        lambda p: p.truncation_error * (root.inverse_root_error(p, **facts) * exact + 1),
    )


@pytest.mark.parametrize("shape", [(0,), (), (2, 3)])
def test_any_shape(shape):
    x = np.full(shape, 1 << 16, np.int64)

    def circuit(p, at, x):
        return sigmoid.sigmoid(p, at, x, low=0, high=1 << 20, shift_in=16, scale=16)

    for configuration in (*CONFIGURATIONS, *BARE):
        got, _ = run_circuit(configuration, circuit, x)
        assert got.shape == shape
        assert np.abs(got - 2**16 / (1 + math.exp(-1))).max(initial=0) < 8


def test_constants():
    assert abs(trigonometry.PI - Fraction(math.pi)) < Fraction(1, 1 << 50)
    assert abs(logarithm.LN_2 * exponential.LOG2_E - 1) < Fraction(1, 1 << 126)


def test_what_does_not_fit_is_refused():
    def circuit(p, at, x):
        rate = exponential.LOG2_E / 2**16
        return exponential.power(p, at, x, rate=rate, low=0, high=50 << 16, scale=16)

    with pytest.raises(UserError, match="clip the exponent"):
        run_circuit(("rep3", 3, 1), circuit, np.zeros(1, np.int64))
