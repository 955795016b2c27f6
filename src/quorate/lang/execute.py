"""Runs a bound plan: everything that can go on goes on together, so that independent work shares rounds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits.convert import to_boolean
from quorate.circuits.tiles import TILE, tiled
from quorate.engine.exchange import Fork, Step, parallel
from quorate.engine.names import Scope
from quorate.errors import DataError, InternalError, UserError
from quorate.kernels.ghost import ghost
from quorate.lang.operations.base import Call, Range, Value, concrete, kind_of, spread
from quorate.lang.operations.io import constant_values
from quorate.lang.plan import Operation, Plan
from quorate.lang.ranges import call_of, place, plan_ranges
from quorate.protocols.base import Integers, Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["KEEP", "STORED", "Results", "execute"]

STORED = "stored"
"""Owner of an input whose shares the parties have kept."""

KEEP = "keep"
"""Destination of an output whose shares the parties keep."""

Key = tuple[str, str]
Array = npt.NDArray[Any]


@dataclass
class Results:
    """Opened outputs (decoded values, only those opened to this participant) and kept shares, by output name."""

    values: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    kept: dict[str, Share] = field(default_factory=dict)


def execute(
    plan: Plan,
    protocol: Protocol,
    at: Scope,
    *,
    inputs: Mapping[Key, Integers],
    owners: Mapping[str, int | str],
    outputs: Mapping[str, tuple[int, ...] | str],
    bounds: Mapping[Key, Range],
    stored: Mapping[Key, Share] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Step[Results]:
    """Run a bound plan as one participant.

    Args:
        inputs: raw int64 columns of the inputs that this participant owns, by (input, column).
        owners: input -> participant index, or `STORED`.
        outputs: output -> participants that learn it, or `KEEP`.
        bounds: (input, column) -> declared raw range.
        stored: at the parties, kept shares of stored inputs.
        progress: called with (operations done, operations in all).

    Raises:
        UserError: values may not fit the protocol (before anything is sent), or an input is missing.
    """
    execution = _Execution(plan, protocol, at, dict(inputs), owners, outputs, bounds, dict(stored or {}), progress)
    session = protocol.session
    if session.me < session.parties or session.me == session.dealer:
        yield from execution.work()
    else:
        yield from execution.attend()
    return execution.results


class _Execution:
    """The state of one run: values that are still needed, and what waits for what."""

    def __init__(
        self,
        plan: Plan,
        protocol: Protocol,
        at: Scope,
        inputs: dict[Key, Integers],
        owners: Mapping[str, int | str],
        outputs: Mapping[str, tuple[int, ...] | str],
        bounds: Mapping[Key, Range],
        stored: dict[Key, Share],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.plan, self.p, self.at = plan, protocol, at
        self.me = protocol.me
        self.inputs, self.owners, self.outputs, self.stored = inputs, owners, outputs, stored
        self.progress = progress
        self.bounds, self.ranges = bounds, plan_ranges(plan, protocol, bounds)
        self.values: dict[int, Value] = {}
        self.results = Results()
        self.done = 0
        self.named: dict[int, list[str]] = {}
        for name, target in plan.outputs.items():
            self.named.setdefault(target, []).append(name)
        count = len(plan.operations)
        self.consumers: list[list[int]] = [[] for _ in range(count)]
        self.missing = [0] * count
        for index, operation in enumerate(plan.operations):
            operands = set(operation.operands)
            self.missing[index] = len(operands)
            for operand in operands:
                self.consumers[operand].append(index)
        self.uses = [len(consumers) + (index in self.named) for index, consumers in enumerate(self.consumers)]

    # -- compute parties and the dealer -------------------------------------------------------------------------------

    def work(self) -> Step[None]:
        """Waves of operations that are ready, until all are done."""
        ready = deque(index for index, missing in enumerate(self.missing) if not missing)
        while ready:
            alone: list[Step[None]] = []
            together: list[Step[None]] = []
            finished: list[int] = []
            while ready:
                self._start(ready.popleft(), ready, alone, together, finished)
            if not alone and len(together) == 1:
                yield from together[0]
            elif alone or together:
                steps = [*alone, parallel(together)] if together else alone
                yield Fork(steps, len(steps))
            for index in finished:
                self._release(index, ready)

    def _start(
        self, index: int, ready: deque[int], alone: list[Step[None]], together: list[Step[None]], finished: list[int]
    ) -> None:
        """Do a local operation now; prepare the step of any other for this wave."""
        if index >= len(self.plan.operations):
            alone.append(self._output(index - len(self.plan.operations)))
            return
        operation = self.plan.operations[index]
        kind = kind_of(operation.kind)
        if operation.kind == "input":
            alone.append(self._input(index, operation))
            finished.append(index)
            return
        types = [self.plan.operations[operand].type for operand in operation.operands]
        if kind.local(operation, types):
            try:
                self.values[index] = kind.run(self._call(index, operation, self.at))
            except UserError as problem:
                raise type(problem)(f"{place(index, operation)}: {problem}") from problem
            self._release(index, ready)
            return
        place_ = self.at.child(f"{index} {operation.kind}")
        large = math.prod(concrete(operation.type.shape)) > TILE if kind.elementwise else False
        (alone if large else together).append(self._step(index, operation, place_, large))
        finished.append(index)

    def _call(self, index: int, operation: Operation, at: Scope) -> Call:
        return call_of(
            self.plan, index, self.ranges, self.p, at, [self.values[operand] for operand in operation.operands]
        )

    def _step(self, index: int, operation: Operation, at: Scope, large: bool) -> Step[None]:
        call = self._call(index, operation, at)
        try:
            step = _in_tiles(call) if large else kind_of(operation.kind).run(call)
            self.values[index] = yield from step
        except UserError as problem:
            raise type(problem)(f"{place(index, operation)}: {problem}") from problem

    def _release(self, index: int, ready: deque[int]) -> None:
        """Note that an operation is done: start what waited for it, drop what nobody needs any more."""
        operations = self.plan.operations
        for consumer in self.consumers[index]:
            self.missing[consumer] -= 1
            if not self.missing[consumer]:
                ready.append(consumer)
        if index in self.named:
            ready.append(len(operations) + index)
        for operand in set(operations[index].operands):
            self._drop(operand)
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, len(operations))

    def _drop(self, index: int) -> None:
        """One use of a value is over; after the last it is forgotten."""
        self.uses[index] -= 1
        if not self.uses[index]:
            self.values.pop(index, None)

    # -- input and output ---------------------------------------------------------------------------------------------

    def _input(self, index: int, operation: Operation) -> Step[None]:
        key = (operation.attributes["input"], operation.attributes["column"])
        owner = self.owners[key[0]]
        shape = concrete(operation.type.shape)
        at = self.at.child(f"{index} input")
        if isinstance(owner, str):
            self.values[index] = self._kept(key, operation, shape)
            return
        values = self.inputs.get(key) if owner == self.me else None
        if owner == self.me and values is None and not self.p.session.counting:
            raise UserError(f"the data for column {key[1]!r} of input {key[0]!r} is missing at its owner")
        if values is not None:
            _check_column(key, values, shape, self.bounds[key])
        share: Share = yield from self.p.input(at, owner, shape, values)
        if operation.type.dtype.kind == "bool" and (self.me < self.p.parties or self.me == self.p.session.dealer):
            share = yield from to_boolean(self.p, at.child("bits"), share)  # type: ignore[arg-type]
        self.values[index] = share

    def _kept(self, key: Key, operation: Operation, shape: tuple[int, ...]) -> Share:
        if self.me >= self.p.parties or self.p.session.counting:
            return self._placeholder(operation)
        if key not in self.stored:
            raise UserError(f"the shares kept for input {key[0]!r}, column {key[1]!r} are missing at this party")
        share = self.stored[key]
        if share.shape != shape or isinstance(share, Boolean) != (operation.type.dtype.kind == "bool"):
            raise UserError(
                f"what is kept for input {key[0]!r}, column {key[1]!r} is no {operation.type}; declare the columns of "
                "a stored input as they were kept"
            )
        return share

    def _output(self, index: int) -> Step[None]:
        """Open, keep or simply report one value under all its names."""
        value, operation = self.values[index], self.plan.operations[index]
        for name in self.named[index]:
            destination = self.outputs[name]
            if isinstance(value, np.ndarray) and operation.kind == "constant" and not isinstance(destination, str):
                if self.me in destination:
                    self.results.values[name] = operation.type.dtype.decode(value)
                continue
            if isinstance(value, np.ndarray):
                bits = operation.type.dtype.kind == "bool"
                value = self.p.public_bits(value.astype(np.uint8)) if bits else self.p.public(value)
            if isinstance(destination, str):
                self.results.kept[name] = value
            else:
                opened = yield from self._open(self.at.child(f"output {name}"), value, destination)
                if opened is not None and not self.p.session.counting:
                    self.results.values[name] = operation.type.dtype.decode(opened)
        self._drop(index)

    def _open(self, at: Scope, value: Share, to: tuple[int, ...]) -> Step[Any]:
        if isinstance(value, Boolean):
            return (yield from self.p.reveal_bits(at, value, to))
        if isinstance(value, Arithmetic):
            return (yield from self.p.reveal(at, value, to))
        raise InternalError(f"{value!r} cannot be opened")

    # -- owners and recipients outside --------------------------------------------------------------------------------

    def attend(self) -> Step[None]:
        """Give own inputs, take own outputs; the rest happens elsewhere."""
        steps: list[Step[None]] = []
        for index, operation in enumerate(self.plan.operations):
            if operation.kind == "input" and self.owners[operation.attributes["input"]] == self.me:
                steps.append(self._input(index, operation))
        for index, names in self.named.items():
            wanted = [name for name in names if self.outputs[name] != KEEP and self.me in self.outputs[name]]
            operation = self.plan.operations[index]
            if wanted and operation.kind == "constant":
                self.values[index] = constant_values(operation.attributes)
            elif wanted:
                self.values[index] = self._placeholder(operation)
            self.named[index] = wanted
            steps += [self._output(index)] if wanted else []
        yield Fork(steps, max(1, len(steps)))

    def _placeholder(self, operation: Operation) -> Share:
        """A share without content, of the shape of a value that is computed elsewhere."""
        shape = concrete(operation.type.shape)
        if operation.type.dtype.kind == "bool":
            return self.p.public_bits(ghost(shape, np.uint8))
        return self.p.empty(shape)


def _check_column(key: Key, values: Integers, shape: tuple[int, ...], allowed: Range) -> None:
    """What an owner gives must be what was agreed, since ranges are all that keeps results from overflowing."""
    where = f"column {key[1]!r} of input {key[0]!r}"
    if values.shape != shape:
        raise DataError(f"{where} has shape {values.shape} instead of {shape}; give one value per row")
    if values.size and not (allowed[0] <= int(values.min()) and int(values.max()) <= allowed[1]):
        raise DataError(
            f"{where} holds a value outside of its declared range; correct the data or declare a wider range"
        )


def _in_tiles(call: Call) -> Step[Share]:
    """A large elementwise operation, tile by tile."""
    kind = kind_of(call.operation.kind)
    special = None if kind.tiled is None else kind.tiled(call)
    if special is not None:
        return special  # type: ignore[no-any-return]
    operands = [
        spread(value, call.shape) if isinstance(value, Share) else np.broadcast_to(value, call.shape)
        for value in call.values
    ]

    def step(p: Protocol, at: Scope, *pieces: Value) -> Step[Share]:
        part = Call(call.operation, call.types, call.ranges, call.capacity, p, at, list(pieces), pieces[0].shape)
        return kind.run(part)  # type: ignore[no-any-return]

    return tiled(call.p, call.at, step, *operands)
