"""Quotients rounded down and remainders against Python's, over ranges with their edges, for divisors of any sign."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.circuits.quotient import floor_divide, floor_divide_public
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS, MALICIOUS


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS)
@pytest.mark.parametrize("divisor", [1, -7, 10, -(2**39) + 1])
def test_public_divisors(configuration, divisor):
    limit = 1 << 30
    edges = [k * divisor + j for k in (-3, -1, 0, 1, 2) for j in (-1, 0, 1) if abs(k * divisor + j) <= limit]
    x = np.array([*edges, limit, -limit, 12345, -12345], np.int64)

    def circuit(p, at, x):
        return list((yield from floor_divide_public(p, at, x, divisor, limit)))

    check_circuit(configuration, circuit, [x], [x // divisor, x % divisor])


@pytest.mark.parametrize("configuration", CONFIGURATIONS + MALICIOUS)
@pytest.mark.parametrize("divisor", [(-128, 127), (0, 1000), (-9, -1)])
def test_secret_divisors(configuration, divisor):
    low, high = divisor
    limit = 1 << 14
    several = sorted({low, high, *(y for y in (-3, -1, 0, 1, 2, 7) if low <= y <= high)})
    x, y = np.meshgrid([limit, -limit, 0, 1, -1, 13, -13, 127, -128, 4096], several)
    safe = np.where(y == 0, 1, y)
    expected = [np.where(y == 0, 0, x // safe), np.where(y == 0, 0, x % safe)]

    def circuit(p, at, x, y):
        return list((yield from floor_divide(p, at, x, y, divisor=divisor, quotient_bits=limit.bit_length())))

    check_circuit(configuration, circuit, [x.astype(np.int64), y.astype(np.int64)], expected)
