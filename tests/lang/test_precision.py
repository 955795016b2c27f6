"""The stated errors hold for what is computed, and follow what the operations do."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quorate
from quorate.engine.session import Session
from quorate.lang.precision import plan_errors
from quorate.protocols.registry import make
from quorate.sharing.dtype import INT, fixed

N = 40
UNIT = 2.0**-16
TYPES = {"f": fixed(16), "k": INT}


@quorate.computation
def everything(x, y):
    f, k, g, m = x.f, x.k, y.f, y.k
    return {
        "sum": f.sum(),
        "mean": f.mean(),
        "masked": f.mean(where=k == 2),
        "nobody": f.mean(where=k == 77),
        "std": f.std(),
        "var": (f * 0.125).var(),
        "product": f * g,
        "scaled": f * 0.3,
        "dot": f.dot(g),
        "quotient": k / (m + 1),
        "third": (f / 3).astype(fixed(8)),
        "root": (f * f + 1).sqrt(),
        "chosen": quorate.where(f < g, f, g),
        "joined": quorate.concatenate([f, g])[1::3],
        "count": k.sum(),
    }


def exact(x, y):
    f, k, g, m = x["f"], x["k"], y["f"], y["k"]
    return {
        "sum": f.sum(),
        "mean": f.mean(),
        "masked": f[k == 2].mean(),
        "nobody": 0.0,
        "std": f.std(),
        "var": (f * 0.125).var(),
        "product": f * g,
        "scaled": f * 0.3,
        "dot": f.dot(g),
        "quotient": k / (m + 1),
        "third": f / 3,
        "root": np.sqrt(f**2 + 1),
        "chosen": np.minimum(f, g),
        "joined": np.concatenate([f, g])[1::3],
        "count": k.sum(),
    }


def stated(inputs, protocol, parties=3):
    rows = dict.fromkeys(inputs, N)
    bounds = {}
    for name, columns in inputs.items():
        for column, values in columns.items():
            raw = TYPES[column].encode(values)
            largest = 1 << int(np.abs(raw).max()).bit_length()
            bounds[name, column] = (-largest if raw.min() < 0 else 0, largest)
    plan = everything.trace(dict.fromkeys(inputs, TYPES), rows).bind(rows)
    dealer = parties if protocol == "semi2k" else None
    names = tuple(f"p{k}" for k in range(parties + (dealer is not None)))
    errors = plan_errors(plan, make(protocol, Session(0, parties, names, dealer, counting=True)), bounds)
    return {name: errors[target] for name, target in plan.outputs.items()}


@pytest.mark.parametrize(("protocol", "parties"), [("clear", 1), ("rep3", 3), ("shamir", 3), ("semi2k", 2)])
@pytest.mark.parametrize("seed", range(3))
def test_no_result_is_further_off_than_stated(protocol, parties, seed):
    source = np.random.default_rng(seed)
    inputs = {
        name: {"f": source.uniform(-20, 20, N), "k": source.integers(0, 5, N).astype(np.int64)} for name in ("x", "y")
    }
    errors = stated(inputs, protocol, parties)
    results = everything.simulate(protocol, parties, seed, **inputs)
    for name, value in exact(**inputs).items():
        assert np.abs(results[name] - value).max() <= errors[name], name
        assert errors[name] < 2, name


def test_bounds_are_not_empty_words():
    """Each is within reach of what truncation and rounding really do, and exact things are called exact."""
    inputs = {name: {"f": np.linspace(-20, 20, N), "k": np.arange(N) % 5} for name in ("x", "y")}
    errors = stated(inputs, "rep3")
    assert errors["count"] == 0
    assert errors["joined"] == UNIT / 2
    assert errors["sum"] == N * UNIT / 2
    assert errors["mean"] < 4 * UNIT
    assert errors["masked"] < 6 * UNIT
    assert errors["mean"] < errors["std"] < 0.02  # every element is as far off as the mean
    assert 2.0**-8 <= errors["third"] < 3 * 2.0**-8


def test_a_quotient_of_inexact_numbers_by_something_that_may_vanish_has_no_bound():
    @quorate.computation
    def ratio(a, b):
        return {"ratio": a / b}

    types = dict.fromkeys("ab", fixed(8))
    rows = dict.fromkeys("ab", 3)
    plan = ratio.trace(types, rows).bind(rows)
    protocol = make("rep3", Session(0, 3, ("p", "q", "r"), counting=True))
    bounds = {("a", "value"): (0, 1000), ("b", "value"): (0, 1000)}
    assert plan_errors(plan, protocol, bounds)[-1] == math.inf
    bounds = {("a", "value"): (0, 1000), ("b", "value"): (256, 1000)}
    assert plan_errors(plan, protocol, bounds)[-1] < 0.05
