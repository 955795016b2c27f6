"""Exact rounding, over the whole range, its edges and all ties."""

import numpy as np
import pytest

from quorate.circuits import rounding
from quorate.testing.circuit_conformance import check_circuit
from quorate.testing.world import CONFIGURATIONS

WAYS = {
    rounding.down: lambda v, unit: v // unit,
    rounding.up: lambda v, unit: -(-v // unit),
    rounding.towards_zero: lambda v, unit: v // unit if v >= 0 else -(-v // unit),
    rounding.half_to_even: lambda v, unit: round_half_even(v, unit),
}


def round_half_even(value, unit):
    low, rest = divmod(value, unit)
    return low + (2 * rest > unit or (2 * rest == unit and low % 2 == 1))


def values(shift, bits):
    unit, top = 1 << shift, (1 << bits) - 1
    near = [j * unit // 2 + k for j in range(-7, 8) for k in (-1, 0, 1)]
    edges = [top, -top, top - 1, 1 - top, top // 2, -(top // 2), top // 3 * 2, -(top // 5)]
    spread = [(k * 0x9E3779B97F4A7C15 % (2 * top + 1)) - top for k in range(120)]
    return np.array([v for v in near + edges + spread if abs(v) <= top], np.int64)


SIZES = [(16, 57), (1, 1), (20, 8), (1, 20), (16, 40), (7, 8), (8, 8), (40, 57)]


@pytest.mark.parametrize(
    ("configuration", "sizes"), [(c, SIZES if c == ("rep3", 3, 1) else SIZES[:2]) for c in CONFIGURATIONS]
)
@pytest.mark.parametrize("circuit", WAYS, ids=lambda circuit: circuit.__name__)
def test_rounding(configuration, sizes, circuit):
    for shift, bits in sizes:
        check(configuration, circuit, shift, bits)


def check(configuration, circuit, shift, bits):
    x = values(shift, bits)
    expected = np.array([WAYS[circuit](int(v), 1 << shift) for v in x], np.int64)
    check_circuit(configuration, lambda p, at, x: circuit(p, at, x, shift, bits), [x], expected)
