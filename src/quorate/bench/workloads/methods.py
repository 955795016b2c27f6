"""Methods of `quorate.analytics` as workloads: made-up data, one fit, compared with a plaintext library.

Columns are shared beforehand; what is timed is everything from there to the secret results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.bench.workloads.base import Workload, opened, require_close, shared
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.interactive.uploads import column
from quorate.lang.computation import computation
from quorate.lang.execute import KEEP, STORED, execute
from quorate.lang.known import Known, reference
from quorate.lang.operations.base import Range
from quorate.lang.passes import Facts, optimise
from quorate.lang.plan import Plan
from quorate.lang.simulation import Simulation
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make
from quorate.sharing.dtype import DType
from quorate.sharing.share import Share

__all__ = ["Method", "Values"]

Values = dict[str, npt.NDArray[Any]]
"""Input, or INPUT.COLUMN -> values."""

VALUE = "value"


@dataclass(frozen=True)
class Method(Workload):
    """A method on made-up data of `size` rows.

    Attributes:
        name: for messages.
        data: size -> columns; the same in every process.
        function: what is measured, as under `quorate.computation`.
        expect: what a plaintext library finds on the same columns; it may have to be installed.
        sizes: default numbers of rows.
        tolerance: of results, relative to the largest value of each.
        ranges: column -> declared range, where that of the data should not be taken.
    """

    name: str
    data: Callable[[int], Values] = field(repr=False)
    function: Callable[..., Any] = field(repr=False)
    expect: Callable[[Values], Values] = field(repr=False)
    sizes: tuple[int, ...]
    tolerance: float
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)

    def operands(self, p: Protocol, at: Scope, size: int) -> Step[dict[tuple[str, str], Share]]:
        shares: dict[tuple[str, str], Share] = {}
        for index, (key, made) in enumerate(_columns(self, size).items()):
            shares[key] = yield from shared(p, at.child(".".join(key)), index % p.parties, (made.rows,), made.piece)
        return shares

    def blanks(self, p: Protocol, size: int) -> dict[tuple[str, str], Share]:
        return {key: p.empty((made.rows,)) for key, made in _columns(self, size).items()}

    def work(self, p: Protocol, at: Scope, size: int, operands: Any) -> Step[dict[str, Share]]:
        plan = _plan(self, size, p.name, p.parties, p.threshold)
        results = yield from execute(
            plan,
            p,
            at,
            inputs={},
            owners={name: STORED for name, _ in operands},
            outputs=dict.fromkeys(plan.outputs, KEEP),
            bounds={key: made.bounds for key, made in _columns(self, size).items()},
            stored=operands,
        )
        return results.kept

    def check(self, p: Protocol, at: Scope, size: int, result: dict[str, Share]) -> Step[None]:
        plan, got = _plan(self, size, p.name, p.parties, p.threshold), {}
        for name, share in result.items():
            raw = yield from opened(p, at.child(name), share)
            if raw is not None:
                got[name] = plan.operations[plan.outputs[name]].type.dtype.decode(raw.astype(np.int64))
        if got:
            for name, wanted in self.expect(self.data(size)).items():
                within = self.tolerance * float(np.abs(wanted).max(initial=0.0))
                require_close(self.name, {name: got[name]}, {name: wanted}, within)

    def clear(self, size: int) -> Callable[[], Any]:
        values = self.data(size)
        return lambda: self.expect(values)

    def differences(self, size: int, protocol: str = "rep3") -> dict[str, float]:
        """Largest difference of each result to the plaintext library's, relative to the largest value of that result.

        Runs all parties in this process.
        """
        made = _columns(self, size)
        simulation = Simulation(protocol)
        plan = _plan(self, size, protocol, simulation.count, simulation.threshold or 0)
        raw = {key: one.piece(0, one.rows) for key, one in made.items()}
        found = simulation.run(plan, raw, {key: one.bounds for key, one in made.items()}).values
        wanted = self.expect(self.data(size))
        return {
            name: float(np.abs(found[name] - values).max() / max(1e-300, np.abs(values).max()))
            for name, values in wanted.items()
        }


@dataclass(frozen=True)
class _Column:
    """What one column holds, in clear; encoded a piece at a time, since it may be large."""

    values: npt.NDArray[Any] = field(repr=False)
    dtype: DType
    bounds: Range

    @property
    def rows(self) -> int:
        return len(self.values)

    def piece(self, start: int, count: int) -> npt.NDArray[np.int64]:
        return self.dtype.encode(self.values[start : start + count])


def _column(values: npt.NDArray[Any], name: str, limits: tuple[float, float] | None) -> _Column:
    """Where a range is declared, it says all; one row is looked at for the kind of number."""
    made = column(values if limits is None else values[:1], name, limits, None)
    return _Column(values, made.dtype, made.bounds)


def _key(name: str) -> tuple[str, str]:
    input_, _, label = name.partition(".")
    return input_, label or VALUE


@lru_cache(maxsize=2)
def _columns(method: Method, size: int) -> dict[tuple[str, str], _Column]:
    return {_key(name): _column(values, name, method.ranges.get(name)) for name, values in method.data(size).items()}


@lru_cache(maxsize=4)
def _plan(method: Method, size: int, protocol: str, parties: int, threshold: int) -> Plan:
    """The plan after all passes, as parties would run it."""
    made = _columns(method, size)
    bounds = {key: one.bounds for key, one in made.items()}
    rows = {key[0]: one.rows for key, one in made.items()}
    inputs: dict[str, Any] = {}
    for (name, label), one in made.items():
        if label == VALUE:
            inputs[name] = one.dtype
        else:
            inputs.setdefault(name, {})[label] = one.dtype
    known = Known(bounds, rows, reference(protocol, parties, threshold))
    plan = computation(method.function).trace(inputs, rows, known).bind(rows)
    names = tuple(f"party-{k}" for k in range(parties))
    everybody = [make(protocol, Session(me, parties, names, None, True), threshold) for me in range(parties)]
    return optimise(plan, Facts(everybody, bounds, rows, {name: STORED for name, _ in made}))
