"""What functions are made of where no function of summands can be had: polynomials, and the bits of exponents."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from quorate.circuits import (
    bit_power,
    chebyshev,
    exact,
    exponential,
    root,
    series,
    series_polynomial,
    turns,
    wave_tables,
)
from quorate.circuits.series import Series, Traits
from quorate.testing.circuit_conformance import run_circuit

TABLES = ("RECIPROCAL", "ROOT", "INVERSE_ROOT", "LOGARITHM", "ARCTANGENT", "TANH")
TRAITS = [
    Traits(62, 64, 0, 1.0),
    Traits(62, 64, 0, 1.5),
    Traits(62, 64, 0, 2.5),
    Traits(59, 61, 0, 1.5),
    Traits(59, 61, 0, 2.0),
    Traits(59, 61, 0, 5.0),
]
"""Rings and fields with truncation of 2, 3, 4, 5 and 10 summands."""


def test_public_functions() -> None:
    """Cosines, sines and powers of two of public numbers, against doubles."""
    for turn in (Fraction(k, 77) for k in range(-90, 90)):
        cosine, sine = (value / exact.ONE for value in exact.wave(exact.fixed(turn)))
        assert abs(cosine - math.cos(2 * math.pi * turn)) < 1e-14
        assert abs(sine - math.sin(2 * math.pi * turn)) < 1e-14
        assert abs(exact.power_of_two(exact.fixed(turn * 9)) / exact.ONE / 2.0 ** float(turn * 9) - 1) < 1e-14


def _value(coefficients: tuple[int, ...], u: float) -> float:
    angle = math.acos(u)
    return sum(math.ldexp(c, -exact.PRECISION) * math.cos(n * angle) for n, c in enumerate(coefficients))


def test_coefficients() -> None:
    """Of polynomials themselves, and of a function that is none."""
    third = chebyshev.coefficients(lambda u: exact.times(exact.times(u, u), u))
    assert [round(math.ldexp(c, -exact.PRECISION), 12) for c in third[:5]] == [0, 0.75, 0, 0.25, 0]
    power = chebyshev.coefficients(exact.power_of_two)
    for u in np.linspace(-1, 1, 41):
        assert abs(_value(power, float(u)) - 2**u) < 1e-13


@pytest.mark.parametrize("name", TABLES)
def test_polynomials_are_the_sums(name: str) -> None:
    """What is left out is no more than a quarter of the table's error, or nothing that counts."""
    found: Series
    for found in getattr(wave_tables, name):
        how = series_polynomial.plan(TRAITS[0], found)
        kept = [how.constant, *([0] * how.weights[-1][0])]
        for n, weight in how.weights:
            kept[n] = weight
        scaled = tuple(c << (exact.PRECISION - how.fraction) for c in kept)
        for place in (Fraction(k, 40) for k in range(-40, 41)):
            x = (found.low + found.high) / 2 + place * (found.high - found.low) / 2
            whole = series_polynomial.value(TRAITS[0], found, x, 60) * 2.0**-60
            assert abs(_value(scaled, float(place)) - whole) <= max(found.error / 4, 2.0**-30) + 2.0**-26


@pytest.mark.parametrize("t", TRAITS)
def test_roots_keep_to_what_they_state(t: Traits) -> None:
    """`root.RELATIVE_ERROR` holds for polynomials, however many bits the number has."""
    for bits in range(1, t.capacity - 1):
        high = (1 << bits) - 1
        room = t.capacity - 1 - (root.leading_pair(high) + 1)
        found, digits = root._chosen(t, wave_tables.ROOT, high, room, 0.5)
        own = (series.normal_error(t, found, high, digits, True) - found.error) / 0.5
        assert found.error + own <= root.RELATIVE_ERROR * t.truncation


@pytest.mark.parametrize("t", TRAITS)
def test_errors_stay_useful(t: Traits) -> None:
    """Bounds of what the polynomials themselves add, so that a change for the worse is seen."""
    for name in TABLES:
        for found in getattr(wave_tables, name):
            own = series.absolute_error(t, found, Fraction(1, 1 << 26), 26, 1 << 27) * 2.0**-26
            assert own <= found.error / 4 + 2.0**-21 * t.truncation
    assert turns.sine_error(t, unit=Fraction(1, 1 << 16), largest=1 << 20, digits=26) <= 2.0**5 * t.truncation
    rate = exponential.LOG2_E / 2**16
    how = bit_power.plan(t, rate, -16 << 16, 16 << 16, 16)
    assert how is not None
    assert bit_power.error(t, how, rate, 16 << 16)[0] < 2.0**-22


def _power(low: int, high: int, scale: int, x: list[int]) -> Any:
    """Results and their stated errors, with an exponent of 8 fraction bits."""
    rate, stated = Fraction(1, 256), list[Any]()

    def circuit(p: Any, at: Any, x: Any) -> Any:
        how = exponential.power_plan(p, rate=rate, low=low, high=high, scale=scale)
        assert isinstance(how, bit_power.BitPower)
        stated.append((how, *exponential.power_error(p, how, rate, low, high)))
        return exponential.power(p, at, x, rate=rate, low=low, high=high, scale=scale)

    got, _ = run_circuit(("rep3-bare", 3, 1), circuit, np.array(x))
    return got, stated[0]


@pytest.mark.parametrize(
    ("low", "high", "scale", "choices"),
    [(0, 0, 0, 1), (-256, 256, 20, 1), (0, 44 << 8, 10, 3), (-(30 << 8), 30 << 8, 20, 3), (0, 60 << 8, 0, 5)],
)
def test_powers_of_two_at_every_whole_exponent(low: int, high: int, scale: int, choices: int) -> None:
    """Wide ranges have their highest bits choose a shift; at and next to every power of two of the result."""
    x = [v + d for v in range(low, high + 1, 256) for d in (-1, 0, 1) if low <= v + d <= high]
    got, (how, relative, units) = _power(low, high, scale, x)
    assert len(how.shifts) <= choices
    wanted = [Fraction(2) ** scale * Fraction(2.0 ** (v / 256)) for v in x]
    for value, exactly in zip(got.tolist(), wanted, strict=True):
        assert abs(value - exactly) <= relative * exactly + units


def test_powers_below_the_cut_are_nothing() -> None:
    """However low the exponent is."""
    got, (how, _, units) = _power(-(1 << 20), 512, 10, [-(1 << 20), -99999, -5000, 0, 512])
    assert how.cut is not None
    assert got[:3].tolist() == [0, 0, 0]
    assert abs(got[3] - 1024) <= 2 + units
