"""Runs a traced function among simulated participants and holds it against NumPy, its error bound and its quote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import quorate
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.lang.execute import execute
from quorate.lang.plan import Plan
from quorate.lang.precision import plan_errors
from quorate.protocols.registry import make
from quorate.sharing.dtype import BOOL, INT, DType, fixed
from quorate.testing.world import Outcome, World


@dataclass
class Ran:
    """A finished run: results of participant 0, the worst errors that were promised, and what all participants got."""

    values: dict[str, Any]
    errors: dict[str, float]
    outcome: Outcome
    plan: Plan


def dtype_of(values: np.ndarray) -> DType:
    return {"b": BOOL, "i": INT, "f": fixed(16)}[values.dtype.kind]


def trace(function: Callable[..., Any], dtypes: Mapping[str, DType], rows: Mapping[str, int]) -> Plan:
    return quorate.computation(function).trace(dtypes, rows).bind(rows)


def run_in(
    configuration: tuple[str, int, int],
    function: Callable[..., Any],
    inputs: Mapping[str, Any],
    dtypes: Mapping[str, DType] | None = None,
    bounds: Mapping[str, tuple[int, int]] | None = None,
    outputs: Any = None,
    outsiders: int = 0,
    owners: Mapping[str, int] | None = None,
) -> Ran:
    """Trace, bind, run and count; asserts that the count is exact at every participant."""
    protocol, parties, threshold = configuration
    arrays = {name: np.asarray(values) for name, values in inputs.items()}
    types = {name: (dtypes or {}).get(name) or dtype_of(values) for name, values in arrays.items()}
    raw = {(name, "value"): types[name].encode(values) for name, values in arrays.items()}
    plan = trace(function, types, {name: len(values) for name, values in arrays.items()})
    world = World(protocol, parties, threshold, seed=7, outsiders=outsiders)
    who = owners or {name: index % parties for index, name in enumerate(arrays)}
    ranges = {
        key: (bounds or {}).get(key[0]) or ((int(values.min()), int(values.max())) if values.size else (0, 0))
        for key, values in raw.items()
    }
    to = dict.fromkeys(plan.outputs, tuple(range(parties))) if outputs is None else outputs

    def program(p, at):
        mine = {key: values for key, values in raw.items() if who[key[0]] == p.me}
        return execute(plan, p, at, inputs=mine, owners=who, outputs=to, bounds=ranges)

    outcome, quoted = world.run(program), world.count(program)
    assert (quoted.rounds, quoted.sent, quoted.messages) == (outcome.rounds, outcome.sent, outcome.messages)
    p = make(protocol, Session(0, parties, tuple("abcdefgh"), world.dealer, True), threshold)
    worst = plan_errors(plan, p, ranges)
    errors = {name: worst[target] for name, target in plan.outputs.items()}
    return Ran(outcome.values[0].values, errors, outcome, plan)


def dry(function: Callable[..., Any], bounds: Mapping[str, tuple[int, int]], dtypes: Mapping[str, DType], **rows: int):
    """Range analysis alone, as the executor does it before anything is sent."""
    from quorate.lang.ranges import plan_ranges

    plan = trace(function, dtypes, rows)
    p = make("rep3", Session(0, 3, ("a", "b", "c"), None, True), 1)
    Scope.root()
    return plan, plan_ranges(plan, p, {(name, "value"): range_ for name, range_ in bounds.items()})


@pytest.fixture(name="run_in")
def _run_in() -> Callable[..., Ran]:
    return run_in


@pytest.fixture(name="dry")
def _dry() -> Callable[..., Any]:
    return dry
