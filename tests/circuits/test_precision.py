"""The stated errors of division, square root and truncation hold over the ranges that the circuits accept."""

from fractions import Fraction

import numpy as np
import pytest

from quorate.circuits import divide, root
from quorate.errors import UserError
from quorate.protocols.registry import protocol_class
from quorate.testing.world import World

SECRET = [("rep3", 3, 1), ("shamir", 3, 1), ("semi2k", 2, 1)]
WIDER = [*SECRET, ("shamir", 5, 2), ("rep3-bare", 3, 1), ("shamir-bare", 3, 1)]
DIVISIONS = [
    (1, 1, 0),
    (1, 29, 16),
    (20, 20, 16),
    (12, 29, 16),
    (29, 29, 0),
    (45, 12, 16),
    (55, 1, 20),
    (30, 1, 45),
    (30, 8, 39),
    (40, 10, -4),
    (30, 26, -20),
    (24, 4, -4),
    (28, 29, -3),
    (58, 0, 0),
]


def run(configuration, operation, *inputs, seed=5):
    def program(p, at):
        shares = []
        for k, values in enumerate(inputs):
            shares.append((yield from p.input(at.child(f"{k}"), 0, values.shape, values if p.me == 0 else None)))
        result = yield from operation(p, at.child("operation"), *shares)
        opened = yield from p.reveal(at.child("open"), result, [0])
        return opened, p.truncation_error, divide.worst_error(p)

    return World(*configuration, seed=seed).run(program).values[0]


def division(divisor_bits, quotient_bits, count, rng):
    """Dividends and divisors at and between the edges of the ranges."""
    top = 2**divisor_bits
    near = [1, 2, 3, top - 1, top - 2, top // 2, top // 2 + 1, top // 4 + 1]
    y = [min(max(1, v), top - 1) for v in near] + [int(2 ** (divisor_bits * u)) for u in rng.random(count)]
    y = [min(max(1, v), top - 1) for v in y]
    x = []
    for k, v in enumerate(y):
        limit = v * 2**quotient_bits - 1
        x.append([limit, -limit, limit // 2, int(limit * rng.random())][k % 4])
    return np.array(x, np.int64), np.array(y, np.int64)


@pytest.mark.parametrize("configuration", WIDER)
@pytest.mark.parametrize("ranges", DIVISIONS)
def test_division(configuration, ranges):
    divisor_bits, quotient_bits, scale = ranges
    x, y = division(divisor_bits, quotient_bits, 300, np.random.default_rng(1))
    got, _, bound = run(
        configuration,
        lambda p, at, x, y: divide.divide(
            p, at, x, y, divisor_bits=divisor_bits, quotient_bits=quotient_bits, scale=scale
        ),
        x,
        y,
    )
    errors = [
        abs(Fraction(int(g)) - Fraction(int(a), int(b)) * Fraction(2) ** scale)
        for g, a, b in zip(got, x, y, strict=True)
    ]
    assert max(errors) <= bound


@pytest.mark.parametrize("configuration", WIDER)
@pytest.mark.parametrize("ranges", [(20, 20, 16), (12, 29, 16), (10, 10, 27), (30, 20, -4)])
def test_division_by_zero_gives_zero(configuration, ranges):
    divisor_bits, quotient_bits, scale = ranges
    x = np.random.default_rng(2).integers(-(2**30), 2**30, 500)
    got, _, bound = run(
        configuration,
        lambda p, at, x, y: divide.divide(
            p, at, x, y, divisor_bits=divisor_bits, quotient_bits=quotient_bits, scale=scale
        ),
        x,
        np.zeros(500, np.int64),
    )
    assert np.abs(got).max() <= 2 * bound


@pytest.mark.parametrize("ranges", [(40, 40, 0), (10, 50, 0), (10, 28, 31), (64, 1, 0), (35, 28, 10), (47, 12, 30)])
def test_division_refuses_ranges_that_do_not_fit(ranges):
    divisor_bits, quotient_bits, scale = ranges
    one = np.ones(1, np.int64)
    with pytest.raises(UserError, match="declare narrower ranges"):
        run(
            ("shamir", 3, 1),
            lambda p, at, x, y: divide.divide(
                p, at, x, y, divisor_bits=divisor_bits, quotient_bits=quotient_bits, scale=scale
            ),
            one,
            one,
        )


@pytest.mark.parametrize("configuration", WIDER)
@pytest.mark.parametrize(
    "ranges", [(58, 0, 0), (40, 16, 16), (16, 16, 16), (58, 32, 16), (1, 0, 20), (31, 7, 11), (20, -4, 2)]
)
def test_sqrt(configuration, ranges):
    bits, shift_in, scale = ranges
    rng = np.random.default_rng(3)
    top = 2**bits - 1
    values = [0, 1, 2, 3, top, top // 2, top // 4, *(int(2 ** (bits * u)) for u in rng.random(300))]
    x = np.array([min(v, top) for v in values], np.int64)
    got, unit, _ = run(
        configuration, lambda p, at, x: root.sqrt(p, at, x, bits=bits, shift_in=shift_in, scale=scale), x
    )
    exact = np.sqrt(x.astype(np.longdouble) / np.longdouble(2.0) ** shift_in) * np.longdouble(2.0) ** scale
    allowed = unit * (root.RELATIVE_ERROR * exact + 1)
    assert (np.abs(got - exact) <= allowed).all(), np.max(np.abs(got - exact) - allowed)


def test_sqrt_refuses_what_does_not_fit():
    with pytest.raises(UserError, match="narrower ranges"):
        run(("shamir", 3, 1), lambda p, at, x: root.sqrt(p, at, x, bits=60, shift_in=0, scale=0), np.ones(1, np.int64))
    with pytest.raises(UserError, match="fewer"):
        run(("rep3", 3, 1), lambda p, at, x: root.sqrt(p, at, x, bits=20, shift_in=0, scale=55), np.ones(1, np.int64))


@pytest.mark.parametrize("configuration", [*SECRET, ("semi2k", 3, 2)])
@pytest.mark.parametrize("shift", [1, 16, 45])
def test_truncation_never_fails_near_the_capacity(configuration, shift):
    """A method that is wrong with probability |x| / 2**63 would fail half of these."""
    capacity = protocol_class(configuration[0]).capacity
    near = np.arange(100_000, dtype=np.int64) % 5000 + 1
    x = np.where(np.arange(100_000) % 2, 2**capacity - near, near - 2**capacity)
    got, unit, _ = run(configuration, lambda p, at, x: p.truncate(at, x, shift), x)
    quotient, rest = x >> shift, x & (2**shift - 1)
    assert (np.abs((got - quotient) - rest / 2.0**shift) <= unit).all()
