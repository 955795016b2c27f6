"""What every method of `quorate.analytics`, and every method of another package with the same shape, has to withstand.

A test module names its methods as `Case`s and calls the checks, or `check_all`. Nothing here compares with a plaintext
library: that is what each method's own tests are for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.analytics.axes import LABELS, axes_of
from quorate.analytics.base import Estimator, Fitted
from quorate.errors import UserError
from quorate.lang.array import Table
from quorate.lang.computation import Traced, computation
from quorate.lang.dims import Dim
from quorate.lang.known import Known, reference
from quorate.lang.plan import Plan
from quorate.lang.simulation import Simulated, Simulation
from quorate.sharing.dtype import DType, fixed, of_numpy

__all__ = ["PROTOCOLS", "Case", "check_all"]

PROTOCOLS = ("rep3", "shamir", "semi2k")

NAMES = {"feature_categories_", *(name for names in LABELS.values() for name in names)}
"""Results that are labels of others."""

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """A method with data to fit it to.

    Attributes:
        make: an estimator that is not fitted.
        data: seed -> columns, numbers of equal length; the same length, types and ranges for every seed.
        ranges: column -> smallest and largest value.
        fit: estimator, table -> the fitted estimator.
        use: what may be done with a fitted estimator, such as `lambda model, table: model.predict(features)`; None if
            nothing.
        tolerance: by how much results may differ between protocols, relative to the largest of each part.
        scale: fraction bits of columns of floats.
    """

    make: Callable[[], Estimator]
    data: Callable[[int], Columns]
    ranges: Mapping[str, tuple[float, float]]
    fit: Callable[[Estimator, Table], Estimator]
    use: Callable[[Estimator, Table], Any] | None = None
    tolerance: float = 1e-2
    scale: int = 16
    _runs: dict[tuple[str, int], Simulated] = field(default_factory=dict, init=False, repr=False, compare=False)

    def dtypes(self) -> dict[str, DType]:
        """Column -> type."""
        types = {name: np.asarray(values).dtype for name, values in self.data(0).items()}
        return {name: fixed(self.scale) if kind.kind == "f" else of_numpy(kind) for name, kind in types.items()}

    def plan(self, protocol: str, rows: Mapping[str, int] | None = None) -> Plan:
        """The method as an approved computation would run it; with symbolic rows unless they are given."""
        return self.traced(protocol, rows).plan

    def traced(self, protocol: str, rows: Mapping[str, int] | None = None) -> Traced:
        """The same, with what its results are made of."""
        dtypes = self.dtypes()
        most = len(next(iter(self.data(0).values())))
        known = Known(self.bounds(), {"data": most}, reference(protocol))

        def fitted(data: Table) -> dict[str, Any]:
            model = self.fit(self.make(), data)
            return {"model": model, "used": self.use(model, data)} if self.use else {"model": model}

        return computation(fitted).traced({"data": dtypes}, rows, known)

    def bounds(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Declared ranges as raw integers."""
        found = {}
        for name, dtype in self.dtypes().items():
            low, high = dtype.encode(np.array(self.ranges[name])).tolist()
            found["data", name] = low, high
        return found

    def run(self, protocol: str, seed: int) -> Simulated:
        """Fit by simulated parties; recorded, planned and run once for every protocol and seed."""
        if (protocol, seed) not in self._runs:
            columns = self.data(seed)
            raw = {("data", name): dtype.encode(columns[name]) for name, dtype in self.dtypes().items()}
            rows = {"data": len(next(iter(raw.values())))}
            made = Simulation(protocol, seed=seed).run(self.plan(protocol).bind(rows), raw, self.bounds())
            self._runs[protocol, seed] = made
        return self._runs[protocol, seed]


def check_all(case: Case, protocols: Sequence[str] = PROTOCOLS) -> None:
    """All checks. Raises `AssertionError` that says what is not as it has to be."""
    check_parameters(case)
    check_refuses_unfitted(case)
    check_compiles(case)
    check_restored(case)
    check_oblivious(case)
    check_finished(case)
    check_axes(case)
    check_protocols(case, protocols)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def check_parameters(case: Case) -> None:
    """The constructor's parameters are attributes, plain data, and make the same estimator again."""
    made = case.make()
    params = made.get_params()
    again = type(made)(**msgspec.json.decode(msgspec.json.encode(params)))
    _require(msgspec.json.encode(again.get_params()) == msgspec.json.encode(params), f"{made!r} is not made again")


def check_refuses_unfitted(case: Case) -> None:
    """Using what is not fitted is an error of the user's, with advice."""
    if case.use is None:
        return

    def used(data: Table) -> dict[str, Any]:
        return {"x": case.use(case.make(), data)} if case.use else {}

    known = Known(case.bounds(), {"data": len(next(iter(case.data(0).values())))}, reference())
    try:
        computation(used).trace({"data": case.dtypes()}, None, known)
    except UserError as problem:
        _require("fit" in str(problem), f"the refusal of an unfitted method does not say to fit it: {problem}")
        return
    raise AssertionError("an unfitted method was used without an error")


def check_compiles(case: Case) -> None:
    """It becomes a plan for numbers of rows that are not known yet, the same for everybody who traces it."""
    first, second = case.plan("rep3"), case.plan("rep3")
    _require(first.digest == second.digest, "two traces of one method give different plans")
    rows = len(next(iter(case.data(0).values())))
    for count in (rows, max(1, rows - 3)):
        first.bind({"data": count})


def check_restored(case: Case) -> None:
    """A fitted model can be taken apart into plain data and secret arrays, and put together again."""

    def both(data: Table) -> dict[str, Any]:
        model = case.fit(case.make(), data)
        params, public = (msgspec.json.decode(msgspec.json.encode(x)) for x in (model.get_params(), model.public()))
        again = type(model).restored(params, public, dict(model.parts()))
        _require(list(again.parts()) == list(model.parts()), "a restored model has other parts")
        used = case.use(again, data) if case.use else model
        return {"used": used}

    known = Known(case.bounds(), {"data": len(next(iter(case.data(0).values())))}, reference())
    computation(both).trace({"data": case.dtypes()}, None, known)


def check_oblivious(case: Case) -> None:
    """Rounds and bytes do not depend on the data."""
    first, second = case.run("rep3", 1), case.run("rep3", 2)
    _require(first.rounds == second.rounds, f"rounds depend on the data: {first.rounds}, {second.rounds}")
    _require(first.bytes_sent == second.bytes_sent, "bytes depend on the data")


def check_finished(case: Case) -> None:
    """What is made of opened parts knows the rows of the run, although they were not known while recording."""
    made = _opened(case)
    told = made.items() if isinstance(made, Mapping) else [("the result", made)]
    for name, value in told:
        _require(not isinstance(value, Dim), f"{name} is {value} when opened, not a number")


def check_axes(case: Case) -> None:
    """The method states what the axes of all its opened results are, and axes of one name are of one length."""
    made = _opened(case)
    if not isinstance(made, Fitted):
        return
    lengths: dict[str, int] = {}
    for name, value in made.items():
        shape = _shape(value)
        if not shape or name in NAMES:
            continue
        axes = axes_of(made.axes, name, len(shape))
        _require(axes is not None, f"AXES does not say what the axes of {name}, of shape {shape}, are")
        for axis, length in zip(axes or (), shape, strict=True):
            known = lengths.setdefault(axis, length)
            _require(known == length, f"the axis {axis!r} of {name} has {length} places, others of this name {known}")


def _opened(case: Case) -> Any:
    """What a run in the clear gives, opened; warnings of little data are no matter here."""
    rows = {"data": len(next(iter(case.data(1).values())))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return case.traced("clear").finished(case.run("clear", 1).values, rows)["model"]


def _shape(value: Any) -> tuple[int, ...]:
    """Of an array or a list of numbers; () of lists that differ in length, and of what is no array."""
    try:
        return np.shape(value) if value is not None else ()
    except ValueError:
        return ()


def check_protocols(case: Case, protocols: Sequence[str]) -> None:
    """Every protocol finds what the same arithmetic in the clear finds."""
    wanted = case.run("clear", 1).values
    for protocol in protocols:
        found = case.run(protocol, 1).values
        for name, value in wanted.items():
            expected, got = np.asarray(value, np.float64), np.asarray(found[name], np.float64)
            error = float(np.abs(got - expected).max(initial=0.0))
            within = case.tolerance * max(1e-6, float(np.abs(expected).max(initial=0.0)))
            _require(error <= within, f"{protocol}: {name} is off by {error:g}, more than {within:g}")
