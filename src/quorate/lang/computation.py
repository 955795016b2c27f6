"""`@quorate.computation`: a Python function on secret arrays as a plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table, Trace
from quorate.lang.dims import Dim
from quorate.lang.known import Known, reference
from quorate.lang.plan import Plan
from quorate.lang.result import Result
from quorate.lang.simulation import Simulation
from quorate.sharing.dtype import DType, of_numpy

__all__ = ["Computation", "Traced", "computation"]

Columns = Mapping[str, DType]
VALUE = "value"
"""Column name of an input that is a single array."""


@dataclass(frozen=True)
class Traced:
    """A plan, and what the function returned that it was recorded from."""

    plan: Plan
    _results: Mapping[str, Any]

    def finished(self, values: Mapping[str, Any], rows: Mapping[str, int]) -> dict[str, Any]:
        """What the results give, as in an interactive session, for the opened outputs of a run.

        Args:
            values: output -> value. Results without any are left out, and those of which some parts were opened to
                somebody else come as they are, by part.
            rows: input -> rows of the run.

        Raises:
            UserError: a library that a result needs is missing.
        """
        return dict(self._finished(values, rows))

    def _finished(self, values: Mapping[str, Any], rows: Mapping[str, int]) -> Iterator[tuple[str, Any]]:
        for name, value in self._results.items():
            if not isinstance(value, Result):
                if name in values:
                    yield name, values[name]
                continue
            opened = {key.removeprefix(f"{name}."): one for key, one in values.items() if key.startswith(f"{name}.")}
            if opened.keys() >= value.parts().keys():
                yield name, _bound(value, rows).finished(opened)
            elif opened:
                yield name, opened


class Computation:
    """A function from inputs to a dictionary of named results, to be traced or simulated.

    Each parameter is an input: a `Table` of columns, or one array.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[str] | None = None) -> None:
        """`inputs` names the parameters of a function that takes any keywords; by default they are its own."""
        self._function = function
        self._inputs = list(inspect.signature(function).parameters) if inputs is None else list(inputs)
        self.name = function.__name__
        update_wrapper(self, function)  # type: ignore[arg-type]

    def trace(
        self,
        inputs: Mapping[str, Columns | DType],
        rows: Mapping[str, int] | None = None,
        known: Known | None = None,
    ) -> Plan:
        """The plan for inputs with these columns (or, for a bare type, a single array).

        Row counts stay symbols, to be bound when a session starts, unless they are given in `rows`. `known` are ranges
        and largest row counts of the inputs, which the methods of `quorate.analytics` choose their scales by.

        Raises:
            UserError: parameters and inputs differ, the result is no dictionary of values, or an operation is not
                possible on secrets.
        """
        return self.traced(inputs, rows, known).plan

    def traced(
        self,
        inputs: Mapping[str, Columns | DType],
        rows: Mapping[str, int] | None = None,
        known: Known | None = None,
    ) -> Traced:
        """The plan, and what the function returned; arguments and errors of `trace`."""
        if sorted(self._inputs) != sorted(inputs):
            raise UserError(f"{self.name} takes the inputs {', '.join(self._inputs)}, but got {', '.join(inputs)}")
        trace = Trace(self.name, known)
        arguments = {name: _argument(trace, name, columns, (rows or {}).get(name)) for name, columns in inputs.items()}
        results = self._function(**arguments)
        if not isinstance(results, Mapping) or not results:
            raise UserError(f"{self.name} must return a dictionary of named results, not {type(results).__name__}")
        named: dict[str, SecretArray] = {}
        for name, value in _flat(results):
            if name in named:
                raise UserError(f"{self.name} returns {name!r} twice: as a part of a whole result, and by itself")
            named[name] = _result(trace, name, value)
        plan = trace.plan(named)
        return Traced(plan, {str(name): value for name, value in results.items()})

    def simulate(
        self, protocol: str = "rep3", parties: int | None = None, seed: int | None = None, **inputs: Any
    ) -> dict[str, Any]:
        """Run all parties in this process on the given arrays (or dictionaries or DataFrames of columns).

        For trying things out: one process sees all data. Ranges are taken from the data. Every input belongs to one
        of the parties and all of them learn the results: NumPy values, and of methods what `reveal` gives.
        """
        columns = {name: _columns_of(value) for name, value in inputs.items()}
        if empty := [name for name, table in columns.items() if not table]:
            raise UserError(f"input {empty[0]!r} has no columns; give arrays by column name")
        rows = {name: next(iter(table.values()))[1].shape[0] for name, table in columns.items()}
        raw = {(name, c): values for name, table in columns.items() for c, (_, values) in table.items()}
        bounds = {(name, c): _bounds(v, dtype) for name, table in columns.items() for c, (dtype, v) in table.items()}
        made = self.traced(
            {
                name: next(iter(table.values()))[0] if list(table) == [VALUE] else {c: d for c, (d, _) in table.items()}
                for name, table in columns.items()
            },
            rows,
            Known(bounds, rows, reference(protocol, parties)),
        )
        run = Simulation(protocol, parties, seed=seed).run(made.plan.bind(rows), raw, bounds)
        return made.finished(run.values, rows)


def computation(function: Callable[..., Any]) -> Computation:
    """Decorator: make a function of secret inputs a `Computation`."""
    return Computation(function)


def _argument(trace: Trace, name: str, columns: Columns | DType, rows: int | None) -> SecretArray | Table:
    if isinstance(columns, DType):
        return trace.input(name, VALUE, columns, rows)
    return Table(name, {column: trace.input(name, column, dtype, rows) for column, dtype in columns.items()})


def _bound(result: Result, rows: Mapping[str, int]) -> Result:
    """A result whose public facts hold numbers in place of row counts."""
    made = copy(result)
    vars(made).update({name: one.bind(rows) for name, one in vars(result).items() if isinstance(one, Dim)})
    return made


def _flat(results: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values of results; those of several parts as NAME.PART."""
    for name, value in results.items():
        if isinstance(value, Result):
            yield from ((f"{name}.{part}", array) for part, array in value.parts().items())
        else:
            yield str(name), value


def _result(trace: Trace, name: str, value: Any) -> SecretArray:
    if isinstance(value, SecretArray):
        return value
    if isinstance(value, int | Dim) and not isinstance(value, bool):
        return trace.rows(value)
    raise UserError(f"result {name!r} is a {type(value).__name__}; return secret arrays or row counts")


def _columns_of(value: Any) -> dict[str, tuple[DType, npt.NDArray[np.int64]]]:
    """Column -> type and raw values, from an array, a dictionary or a DataFrame."""
    if hasattr(value, "keys"):
        return {str(column): _encoded(np.asarray(value[column])) for column in value.keys()}  # noqa: SIM118 - DataFrame
    return {VALUE: _encoded(np.atleast_1d(np.asarray(value)))}


def _encoded(values: npt.NDArray[Any]) -> tuple[DType, npt.NDArray[np.int64]]:
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise UserError(
            f"an input column is a one-dimensional array of numbers or bools, not {values.dtype}{values.shape}"
        )
    dtype = of_numpy(values.dtype)
    return dtype, dtype.encode(values)


def _bounds(values: npt.NDArray[np.int64], dtype: DType) -> tuple[int, int]:
    """The smallest range of the form [-2**k, 2**k] or [0, 2**k] that holds the values, within that of the type."""
    least, most = dtype.limits
    largest = 1 << (max(1, int(np.abs(values).max(initial=0))) - 1).bit_length()
    return (max(-largest, least) if int(values.min(initial=0)) < 0 else 0), min(largest, most)
