"""Workloads that are a plan: what users write and get, run by the plan executor on shares that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.bench.workloads.base import CHECKED, Workload, first_rows, opened, require_close, shared
from quorate.bench.workloads.data import Integral, spread
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.lang.computation import computation
from quorate.lang.execute import KEEP, STORED, execute
from quorate.lang.operations.base import Range
from quorate.lang.plan import Plan
from quorate.protocols.base import Protocol
from quorate.sharing.dtype import INT, DType
from quorate.sharing.share import Share

__all__ = ["Column", "OnPlan"]

VALUE = "value"
"""The column of an input that is a single one."""

Values = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """A column of test data.

    Attributes:
        name: of the input, or INPUT.COLUMN of a table.
        dtype: its type.
        bits: raw values are integers below 2**bits in absolute value.
        field_bits: the same for protocols over 2**61 - 1; 0: as `bits`.
        signed: about half of them are negative.
        least: what is lower in absolute value is raised to this (a divisor, say).
        values: (size, start, count) -> raw values, where they are not just spread evenly.
    """

    name: str
    dtype: DType = INT
    bits: int = 31
    field_bits: int = 0
    signed: bool = True
    least: int = 0
    values: Callable[[int, int, int], Integral] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(input, column)."""
        name, _, column = self.name.partition(".")
        return name, column or VALUE

    def width(self, ring: bool) -> int:
        """Bits under a protocol over a ring or a field."""
        return self.bits if ring or not self.field_bits else self.field_bits

    def bounds(self, ring: bool) -> Range:
        """The declared range."""
        high = (1 << self.width(ring)) - 1
        return (-high if self.signed else self.least), high


@dataclass(frozen=True)
class OnPlan(Workload):
    """A computation on columns of `size` rows.

    Attributes:
        name: for messages.
        function: what is measured, as under `quorate.computation`.
        columns: its inputs.
        expect: the same on NumPy arrays of decoded columns (input, or INPUT.COLUMN -> array); its results are compared.
        sizes: default numbers of rows.
        tolerance: absolute error that results may have.
        count: elementary operations for so many rows.
        unordered: results may stand in any order; all of their rows are opened.
    """

    name: str
    function: Callable[..., Any]
    columns: tuple[Column, ...]
    expect: Callable[[Values], Values]
    sizes: tuple[int, ...]
    tolerance: float = 0
    count: Callable[[int], int] = int
    unordered: bool = False

    def operations(self, size: int) -> int:
        return self.count(size)

    def operands(self, p: Protocol, at: Scope, size: int) -> Step[dict[tuple[str, str], Share]]:
        shares: dict[tuple[str, str], Share] = {}
        for index, column in enumerate(self.columns):
            part = partial(self._values, index, size, p.modulus_bits == 64)
            shares[column.key] = yield from shared(p, at.child(column.name), index % p.parties, (size,), part)
        return shares

    def blanks(self, p: Protocol, size: int) -> dict[tuple[str, str], Share]:
        return {column.key: p.empty((size,)) for column in self.columns}

    def work(self, p: Protocol, at: Scope, size: int, operands: Any) -> Step[dict[str, Share]]:
        plan = self.plan(size)
        results = yield from execute(
            plan,
            p,
            at,
            inputs={},
            owners={name: STORED for name, _ in plan.inputs},
            outputs=dict.fromkeys(plan.outputs, KEEP),
            bounds={column.key: column.bounds(p.modulus_bits == 64) for column in self.columns},
            stored=operands,
        )
        return results.kept

    def check(self, p: Protocol, at: Scope, size: int, result: dict[str, Share]) -> Step[None]:
        plan, got = self.plan(size), {}
        for name, share in result.items():
            raw = yield from opened(
                p, at.child(name), share if self.unordered or not share.shape else first_rows(share)
            )
            if raw is not None:
                got[name] = plan.operations[plan.outputs[name]].type.dtype.decode(raw.astype(np.int64))
        if got:
            wanted = self.expect(self._decoded(size, p.modulus_bits == 64))
            shown: Callable[[Any], Any] = np.sort if self.unordered else _first
            require_close(
                self.name,
                {name: shown(values) for name, values in got.items()},
                {name: shown(values) for name, values in wanted.items()},
                self.tolerance,
            )

    def clear(self, size: int) -> Callable[[], Any]:
        values = self._decoded(size, ring=True)
        return lambda: self.expect(values)

    def plan(self, size: int) -> Plan:
        """The computation, traced and bound."""
        return _plan(self, size)

    def declared(self) -> dict[str, DType | dict[str, DType]]:
        """The types of the inputs as `Computation.trace` takes them."""
        inputs: dict[str, DType | dict[str, DType]] = {}
        for column in self.columns:
            name, field = column.key
            if field == VALUE:
                inputs[name] = column.dtype
            else:
                table = inputs.setdefault(name, {})
                if isinstance(table, dict):
                    table[field] = column.dtype
        return inputs

    def _values(self, index: int, size: int, ring: bool, start: int, count: int) -> Integral:
        column = self.columns[index]
        if column.values is not None:
            return column.values(size, start, count)
        values = spread(index, start, count, column.width(ring), signed=column.signed)
        return np.maximum(values, column.least) if column.least else values

    def _decoded(self, size: int, ring: bool) -> Values:
        return {
            column.name: column.dtype.decode(self._values(index, size, ring, 0, size))
            for index, column in enumerate(self.columns)
        }


def _first(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values[:CHECKED] if np.ndim(values) else values


@lru_cache(maxsize=8)
def _plan(workload: OnPlan, size: int) -> Plan:
    rows = dict.fromkeys((column.key[0] for column in workload.columns), size)
    return computation(workload.function).trace(workload.declared(), rows).bind(rows)
