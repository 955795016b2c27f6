"""The coefficients are those that the script derives, and the sums as close to their functions as the tables say."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from quorate.circuits import wave_tables
from quorate.circuits.series import FRACTION

SCRIPT = Path(__file__).parents[2] / "scripts" / "numeric_tables.py"
FUNCTIONS = {
    "RECIPROCAL": lambda x: 1 / x,
    "ROOT": np.sqrt,
    "INVERSE_ROOT": lambda x: 1 / np.sqrt(x),
    "LOGARITHM": np.log2,
    "ARCTANGENT": np.arctan,
    "TANH": np.tanh,
}


def script():
    spec = importlib.util.spec_from_file_location("numeric_tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "index"), [("ROOT", 0), ("ARCTANGENT", 0), ("TANH", 0), ("TANH", 1)])
def test_coefficients_are_derived_anew(name, index):
    tables = script()
    series, target = getattr(wave_tables, name)[index], tables.TARGETS[name][index]
    pairs = [value for pair in zip(series.cosines, series.sines, strict=True) for value in pair]
    assert tables.coefficients(target) == [series.constant, *pairs]
    assert (series.stride, series.period) == (target.stride, target.period)


@pytest.mark.slow
def test_the_whole_module_is_derived_anew(capsys):
    script().main()
    assert capsys.readouterr().out == Path(wave_tables.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sums_are_close_to_their_functions(name):
    for series in getattr(wave_tables, name):
        x = np.linspace(float(series.low), float(series.high), 20_001)
        total = np.full(x.shape, float(series.constant))
        for k, (c, s) in enumerate(zip(series.cosines, series.sines, strict=True)):
            t = 2 * math.pi * (1 + k * series.stride) * (x - float(series.low + series.high) / 2) / float(series.period)
            total += c * np.cos(t) + s * np.sin(t)
        total, exact = total / 2.0**FRACTION, FUNCTIONS[name](x)
        weight = exact if name in ("RECIPROCAL", "ROOT", "INVERSE_ROOT") else 1.0
        assert np.abs((total - exact) / weight).max() <= series.error
        assert series.lowest - 1e-5 <= total.min() <= total.max() <= series.highest + 1e-5
        assert np.abs(np.diff(total) / np.diff(x)).max() <= series.slope + 1e-4
