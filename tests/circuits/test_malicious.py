"""Circuits on protocols against active adversaries: what other protocols do not show."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from quorate.circuits import compact, compare, exponential, radix, trigonometry
from quorate.testing.circuit_conformance import check_circuit, run_circuit

MALICIOUS = [("rep3_malicious", 3, 1), ("shamir_malicious", 3, 1), ("spdz", 2, 1), ("spdz2k", 2, 1)]
EVERY = pytest.mark.parametrize("configuration", MALICIOUS, ids=str)


@EVERY
def test_exponentials(configuration: tuple[str, int, int]) -> None:
    """Summands may be others at every call of `known`: all that is asked of them is asked at once."""
    rate, low, high, scale = exponential.LOG2_E / 2**8, -5 << 8, 5 << 8, 16
    x = np.array([low, -700, -1, 0, 1, 255, 256, 1000, high])
    stated: list[Any] = []

    def circuit(p: Any, at: Any, x: Any) -> Any:
        how = exponential.power_plan(p, rate=rate, low=low, high=high, scale=scale)
        stated.append(exponential.power_error(p, how, rate, low, high))
        return exponential.power(p, at, x, rate=rate, low=low, high=high, scale=scale)

    got, _ = run_circuit(configuration, circuit, x)
    exact = np.exp(x / 256) * 2.0**scale
    relative, units = stated[0]
    assert (np.abs(got - exact) <= relative * exact + units).all()


@EVERY
def test_sines(configuration: tuple[str, int, int]) -> None:
    """At and next to every quarter turn."""
    quarter = Fraction(1, 2) * trigonometry.PI * 2**12
    x = np.array([round(k * quarter) + d for k in range(-5, 6) for d in (-1, 0, 1)])
    for circuit, function in ((trigonometry.sine, np.sin), (trigonometry.cosine, np.cos)):
        stated: list[float] = []

        def turned(p: Any, at: Any, x: Any, circuit: Any = circuit, stated: list[float] = stated) -> Any:
            stated.append(trigonometry.wave_error(p, largest=1 << 16, shift_in=12, scale=14))
            return circuit(p, at, x, shift_in=12, scale=14)

        got, _ = run_circuit(configuration, turned, x)
        assert np.abs(got - function(x / 2**12) * 2**14).max() <= stated[0]


@EVERY
def test_running_sums_and_moved_rows(configuration: tuple[str, int, int]) -> None:
    """Sums of rows are made of shares with several limbs; what they are shared with is checked when they are opened."""
    mask = np.array([True, False, False, True, True, False, True])
    values = np.arange(7) * 1000 - 3000

    def circuit(p: Any, at: Any, mask: Any, x: Any) -> Any:
        rows, count = yield from compact.compact(p, at.child("compact"), mask, [x])
        return [*rows, count, radix.prefix_sums(p, x)]

    kept = [*values[mask], 0, 0, 0]
    check_circuit(configuration, circuit, [mask, values], [kept, 4, values.cumsum()], opens=True)


@EVERY
def test_equality(configuration: tuple[str, int, int]) -> None:
    """Of numbers at the edges, which is no check of the protocol's own."""
    x = np.array([0, 1, -1, 1 << 58, -(1 << 58), 7])
    y = np.array([0, -1, -1, 1 << 58, 1 << 58, 8])
    check_circuit(configuration, lambda p, at, x, y: compare.equal(p, at, x, y), [x, y], (x == y).astype(np.int64))
