"""`@quorate.computation`: a Python function on secret arrays as a plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.crypto.entropy import SeededEntropyForTests, SystemEntropy
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.private import SEED_BYTES
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import UserError
from quorate.lang.array import SecretArray, Table, Trace
from quorate.lang.dims import Dim
from quorate.lang.execute import Results, execute
from quorate.lang.plan import Plan
from quorate.protocols.registry import default_threshold, make, protocol_class
from quorate.sharing.dtype import INT, DType, of_numpy

__all__ = ["Computation", "computation", "simulated"]

Columns = Mapping[str, DType]
Key = tuple[str, str]
VALUE = "value"
"""Column name of an input that is a single array."""


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

    def trace(self, inputs: Mapping[str, Columns | DType], rows: Mapping[str, int] | None = None) -> Plan:
        """The plan for inputs with these columns (or, for a bare type, a single array).

        Row counts stay symbols, to be bound when a session starts, unless they are given in `rows`.

        Raises:
            UserError: parameters and inputs differ, the result is no dictionary of values, or an operation is not
                possible on secrets.
        """
        if sorted(self._inputs) != sorted(inputs):
            raise UserError(f"{self.name} takes the inputs {', '.join(self._inputs)}, but got {', '.join(inputs)}")
        trace = Trace(self.name)
        arguments = {name: _argument(trace, name, columns, (rows or {}).get(name)) for name, columns in inputs.items()}
        results = self._function(**arguments)
        if not isinstance(results, Mapping) or not results:
            raise UserError(f"{self.name} must return a dictionary of named results, not {type(results).__name__}")
        return trace.plan({name: _result(trace, name, value) for name, value in results.items()})

    def simulate(
        self, protocol: str = "rep3", parties: int | None = None, seed: int | None = None, **inputs: Any
    ) -> dict[str, npt.NDArray[np.generic]]:
        """Run all parties in this process on the given arrays (or dictionaries or DataFrames of columns).

        For trying things out: one process sees all data. Ranges are taken from the data. Every input belongs to one
        of the parties and all of them learn the results.
        """
        columns = {name: _columns_of(value) for name, value in inputs.items()}
        if empty := [name for name, table in columns.items() if not table]:
            raise UserError(f"input {empty[0]!r} has no columns; give arrays by column name")
        rows = {name: next(iter(table.values()))[1].shape[0] for name, table in columns.items()}
        plan = self.trace(
            {
                name: next(iter(table.values()))[0] if list(table) == [VALUE] else {c: d for c, (d, _) in table.items()}
                for name, table in columns.items()
            },
            rows,
        )
        raw = {(name, c): values for name, table in columns.items() for c, (_, values) in table.items()}
        bounds = {key: _bounds(values, plan.inputs.get(key)) for key, values in raw.items()}
        return simulated(plan.bind(rows), protocol, parties, raw, seed, bounds)


def computation(function: Callable[..., Any]) -> Computation:
    """Decorator: make a function of secret inputs a `Computation`."""
    return Computation(function)


def _argument(trace: Trace, name: str, columns: Columns | DType, rows: int | None) -> SecretArray | Table:
    if isinstance(columns, DType):
        return trace.input(name, VALUE, columns, rows)
    return Table(name, {column: trace.input(name, column, dtype, rows) for column, dtype in columns.items()})


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


def simulated(
    plan: Plan,
    name: str,
    parties: int | None,
    raw: dict[Key, npt.NDArray[np.int64]],
    seed: int | None,
    bounds: dict[Key, tuple[int, int]],
) -> dict[str, npt.NDArray[np.generic]]:
    """The results of a bound plan, run by all parties in this process on raw columns within their bounds."""
    from quorate.lang.passes import Facts, optimise

    cls = protocol_class(name)
    parties = cls.usual_parties if parties is None else parties
    dealer = parties if cls.dealer_allowed else None
    size = parties + (dealer is not None)
    names = tuple(f"party {k}" for k in range(size))
    order = list(dict.fromkeys(key[0] for key in raw))
    owners: dict[str, int | str] = {input_: k % parties for k, input_ in enumerate(order)}
    threshold = default_threshold(name, parties)
    everybody = [make(name, Session(me, parties, names, dealer, counting=True), threshold) for me in range(size)]
    rows = {key[0]: len(values) for key, values in reversed(raw.items())}
    plan = optimise(plan, Facts(everybody, bounds, rows, owners))

    def program(me: int) -> Step[Results]:
        entropy = SystemEntropy() if seed is None else SeededEntropyForTests(seed, str(me))
        session = Session(me, parties, names, dealer, seed=entropy.bytes(SEED_BYTES))
        at = Scope.root()
        protocol = make(name, session, threshold)
        yield from protocol.setup(at.child("setup"))
        mine = {key: values for key, values in raw.items() if owners[key[0]] == me}
        outputs: dict[str, tuple[int, ...] | str] = dict.fromkeys(plan.outputs, tuple(range(parties)))
        return (
            yield from execute(
                plan, protocol, at.child("plan"), inputs=mine, owners=owners, outputs=outputs, bounds=bounds
            )
        )

    results: Results = simulate([program(me) for me in range(size)])[0].result
    return {output: results.values[output] for output in plan.outputs}


def _bounds(values: npt.NDArray[np.int64], dtype: DType | None) -> tuple[int, int]:
    """The smallest range of the form [-2**k, 2**k] or [0, 2**k] that holds the values, within that of the type."""
    least, most = (dtype or INT).limits
    largest = 1 << int(np.abs(values).max(initial=0)).bit_length()
    return (max(-largest, least) if int(values.min(initial=0)) < 0 else 0), min(largest, most)
