"""The conformance suite for kinds of operations: for those of this package, and for anybody's own.

    check_operation(
        "add",
        [Operand(np.arange(5), INT), Operand(np.arange(5), INT)],
        oracle=lambda a, b: a + b,
    )

runs a plan of that one operation under every protocol and holds it against the oracle on exact numbers: results within
stated error and range, cost as quoted at every participant (the dealer and one outside included), nothing opened that
the kind does not state, the plan readable from its JSON, the same in tiles, and with arrays of no and of one element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import quorate.circuits.tiles
import quorate.lang.boundary
import quorate.lang.execute
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.lang.boundary import Results
from quorate.lang.execute import execute
from quorate.lang.operations.base import Range, kind_of
from quorate.lang.plan import Operation, Plan, Type
from quorate.lang.precision import plan_errors
from quorate.lang.ranges import plan_ranges
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make
from quorate.sharing.dtype import INT, DType
from quorate.testing.circuit_conformance import OPENINGS
from quorate.testing.world import CONFIGURATIONS, World

__all__ = ["Operand", "check_operation"]

Array = npt.NDArray[Any]
Oracle = Callable[..., Any]
TINY = 4
"""Elements per tile where the same is done in tiles."""


@dataclass(frozen=True)
class Operand:
    """An example operand.

    Attributes:
        values: real values, of any shape.
        dtype: as which they are shared.
        secret: False for a public constant.
        bounds: declared raw range; by default that of the values.
    """

    values: Any
    dtype: DType = INT
    secret: bool = True
    bounds: Range | None = None

    @property
    def raw(self) -> npt.NDArray[np.int64]:
        """The raw integers."""
        return self.dtype.encode(self.values)

    @property
    def exact(self) -> Array:
        """The values after rounding to the data type."""
        return np.asarray(self.dtype.decode(self.raw))

    def range(self) -> Range:
        """The declared raw range."""
        raw = self.raw
        return self.bounds or ((int(raw.min()), int(raw.max())) if raw.size else (0, 0))

    def first(self, count: int) -> Operand:
        """The first elements along axis 0, in the same range."""
        return Operand(np.asarray(self.values)[:count], self.dtype, self.secret, self.range())


@dataclass
class _Case:
    kind: str
    operands: Sequence[Operand]
    attributes: Mapping[str, Any]
    oracle: Oracle
    slack: float
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.plan = _plan(self.kind, self.operands, self.attributes)
        names = [f"x{k}" for k, operand in enumerate(self.operands) if operand.secret]
        secret = [operand for operand in self.operands if operand.secret]
        self.raw = {(name, "value"): one.raw.reshape(-1) for name, one in zip(names, secret, strict=True)}
        self.bounds = {(name, "value"): one.range() for name, one in zip(names, secret, strict=True)}
        self.owners: dict[str, int | str] = dict.fromkeys(names, 0)


def check_operation(
    kind: str,
    operands: Sequence[Operand],
    attributes: Mapping[str, Any] | None = None,
    *,
    oracle: Oracle,
    configurations: Sequence[tuple[str, int, int]] = CONFIGURATIONS,
    slack: float = 1e-9,
    edges: bool = True,
) -> None:
    """Check one use of a kind.

    Args:
        operands: the example; sizes of a few to some hundred elements are enough.
        oracle: the exact operands (arrays) -> the exact result, a list of them for a kind with several results.
        configurations: (protocol, parties, threshold).
        slack: what the oracle's own floats may be off.
        edges: also try no element and one, where the kind is elementwise and all operands have the same first axis.

    Raises:
        AssertionError: what does not conform, with protocol and place.
        UserError: the kind refuses the example.
    """
    case = _Case(kind, operands, dict(attributes or {}), oracle, slack)
    _check_encoding(case)
    for configuration in configurations:
        _check_run(case, configuration)
    if not kind_of(kind).elementwise:
        return
    with _tiles():
        _check_run(case, ("rep3", 3, 1))
    shapes = [np.shape(operand.values) for operand in operands]
    if edges and shapes and all(shape and shape[0] == shapes[0][0] for shape in shapes):
        for count in (0, 1):
            few = _Case(kind, [operand.first(count) for operand in operands], case.attributes, oracle, slack)
            for configuration in configurations:
                _check_run(few, configuration)


def _plan(kind: str, operands: Sequence[Operand], attributes: Mapping[str, Any]) -> Plan:
    """Operands, the operation, and its results as outputs r0, r1 ..."""
    operations: list[Operation] = []
    places = []
    for k, operand in enumerate(operands):
        shape = list(operand.raw.shape)
        if operand.secret:
            facts: dict[str, Any] = {"input": f"x{k}", "column": "value", "dtype": str(operand.dtype)}
            _append(operations, "input", (), facts, Type(operand.dtype, (operand.raw.size,)))
            _append(operations, "reshape", (len(operations) - 1,), {"shape": shape})
        else:
            facts = {"values": operand.raw.reshape(-1).tolist(), "shape": shape, "dtype": str(operand.dtype)}
            _append(operations, "constant", (), facts)
        places.append(len(operations) - 1)
    _append(operations, kind, tuple(places), attributes)
    result = len(operations) - 1
    targets = [result]
    if parts := operations[result].type.parts:
        for k in range(len(parts)):
            _append(operations, "item", (result,), {"index": k})
        targets = list(range(result + 1, len(operations)))
    return Plan("conformance", tuple(operations), {f"r{k}": target for k, target in enumerate(targets)})


def _append(
    operations: list[Operation], kind: str, operands: tuple[int, ...], attributes: Mapping[str, Any], stated: Any = None
) -> None:
    types = [operations[operand].type for operand in operands]
    type_ = kind_of(kind).type_of(types, attributes, stated or Type(INT, ()))
    operations.append(Operation(kind, operands, dict(attributes), type_))


def _check_encoding(case: _Case) -> None:
    again = Plan.from_json(case.plan.to_json())
    if again.to_json() != case.plan.to_json() or again.operations != case.plan.operations:
        raise AssertionError(f"{case.kind}: the plan changes when it is written and read")


def _check_run(case: _Case, configuration: tuple[str, int, int]) -> None:
    protocol, parties, threshold = configuration
    what = f"{case.kind} under {protocol} with {parties} parties"
    world = World(protocol, parties, threshold, outsiders=1, seed=11)
    opened: set[str] = set()
    to = (0, world.size - 1)
    plan = case.plan.bind({name: len(case.raw[name, "value"]) for name, _ in case.raw})

    def program(p: Protocol, at: Scope) -> Step[Results]:
        _watch(p, opened)
        mine = dict(case.raw) if p.me == 0 else {}
        outputs = dict.fromkeys(plan.outputs, to)
        return execute(plan, p, at, inputs=mine, owners=case.owners, outputs=outputs, bounds=case.bounds)

    quoted, outcome = world.count(program), world.run(program)
    if (quoted.rounds, quoted.sent, quoted.messages) != (outcome.rounds, outcome.sent, outcome.messages):
        raise AssertionError(
            f"{what}: took {outcome.rounds} rounds, {outcome.sent} bytes; quoted {quoted.rounds}, {quoted.sent}"
        )
    if opened and not kind_of(case.kind).opens:
        raise AssertionError(f"{what}: uses {', '.join(sorted(opened))}, and Kind.opens states nothing")
    _check_results(case, what, plan, _alone(world, threshold), [outcome.values[k].values for k in to])


def _alone(world: World, threshold: int) -> Protocol:
    """Party 0's view, for ranges and errors."""
    names = tuple(f"p{k}" for k in range(world.size))
    return make(world.protocol, Session(0, world.parties, names, world.dealer, counting=True), threshold)


def _watch(p: Protocol, opened: set[str]) -> None:
    """Note the opening primitives that are used below the operation itself."""

    def noted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(at: Scope, *arguments: Any, **options: Any) -> Any:
            if "/output " not in at.path:
                opened.add(name)
            return method(at, *arguments, **options)

        return call

    for name in OPENINGS:
        if hasattr(p, name):
            setattr(p, name, noted(name, getattr(p, name)))


def _check_results(case: _Case, what: str, plan: Plan, p: Protocol, results: Sequence[Mapping[str, Array]]) -> None:
    """Every recipient's results against the oracle, the stated errors and the proven ranges."""
    ranges, errors = plan_ranges(plan, p, case.bounds), plan_errors(plan, p, case.bounds)
    exact = case.oracle(*(operand.exact for operand in case.operands))
    wanted = exact if isinstance(exact, list | tuple) else [exact]
    if len(wanted) != len(plan.outputs):
        raise AssertionError(f"{what}: {len(plan.outputs)} results, {len(wanted)} from the oracle")
    for k, truth in enumerate(wanted):
        target = plan.outputs[f"r{k}"]
        dtype, bound = plan.operations[target].type.dtype, errors[target] + case.slack
        for got in (result[f"r{k}"] for result in results):
            if np.shape(got) != np.shape(truth):
                raise AssertionError(f"{what}: result {k} has shape {np.shape(got)}, the oracle {np.shape(truth)}")
            off = np.abs(np.asarray(got, np.float64) - np.asarray(truth, np.float64)).max(initial=0)
            if off > bound:
                raise AssertionError(f"{what}: result {k} is off by {off:g}, stated is {errors[target]:g}")
            raw, range_ = dtype.encode(got), ranges[target]
            if raw.size and not (int(range_[0]) <= raw.min() and raw.max() <= int(range_[1])):  # type: ignore[arg-type]
                raise AssertionError(f"{what}: result {k} leaves its proven range {range_}")


@contextmanager
def _tiles() -> Iterator[None]:
    """Tiles of a few elements, so that small examples are large."""
    modules: tuple[Any, ...] = (quorate.circuits.tiles, quorate.lang.execute, quorate.lang.boundary)
    before = [module.TILE for module in modules]
    try:
        for module in modules:
            module.TILE = TINY
        yield
    finally:
        for module, size in zip(modules, before, strict=True):
            module.TILE = size
