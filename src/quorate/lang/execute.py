"""Runs a bound plan: everything that can go on goes on together, so that a plan takes the rounds of its longest chain.

Operations advance in lockstep, with one message per peer and round for all of them; what waits for an operation starts
in the very round in which it ends. Large operations go on beside, tile by tile. Nothing here depends on timing: all
participants put together the same rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any, cast

import numpy as np

from quorate.circuits.tiles import TILE, tiled
from quorate.engine.exchange import Branch, Fork, Join, Lockstep, Spawn, Step
from quorate.engine.names import Scope
from quorate.errors import EnvironmentFault, UserError
from quorate.lang.boundary import KEEP, STORED, Boundary, Key, Results
from quorate.lang.operations.base import Call, Range, Value, kind_of, spread
from quorate.lang.plan import Plan
from quorate.lang.ranges import call_of, place, plan_ranges
from quorate.lang.snapshot import Seat, Snapshot
from quorate.lang.stages import Stages, fits, stages_of
from quorate.protocols.base import Integers, Protocol
from quorate.sharing.share import Share

__all__ = ["KEEP", "STORED", "Results", "execute"]


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
    stages: Stages | None = None,
) -> Step[Results]:
    """Run a bound plan as one participant.

    Args:
        inputs: raw int64 columns of the inputs that this participant owns, by (input, column).
        owners: input -> participant index, or `STORED`.
        outputs: output -> participants that learn it, or `KEEP`.
        bounds: (input, column) -> declared raw range.
        stored: at the parties, kept shares of stored inputs.
        progress: called with (operations done, operations in all).
        stages: run the plan in stages, see `quorate.lang.stages`; the same at all participants, but for who saves and
            who goes on from where. Has no effect under a protocol that is not `resumable`.

    Raises:
        UserError: values may not fit the protocol (before anything is sent), or an input is missing.
        EnvironmentFault: what was restored belongs to something else.
    """
    boundary = Boundary(plan, protocol, at, inputs, owners, outputs, bounds, stored or {})
    session = protocol.session
    ranges = plan_ranges(plan, protocol, bounds)
    if session.me < session.parties or session.me == session.dealer:
        yield from _Execution(boundary, ranges, progress, stages if protocol.resumable else None).work()
    else:
        yield from boundary.attend()
    return boundary.results.sorted_as(plan.outputs)


class _Execution:
    """The state of a run at a compute party or the dealer: values that are still needed, and what waits for what."""

    def __init__(
        self,
        boundary: Boundary,
        ranges: Sequence[Any],
        progress: Callable[[int, int], None] | None = None,
        stages: Stages | None = None,
    ) -> None:
        self.boundary, self.ranges, self.progress = boundary, ranges, progress
        self.plan, self.p, self.at = boundary.plan, boundary.p, boundary.at
        self.kinds = [kind_of(operation.kind) for operation in self.plan.operations]
        self.values: dict[int, Value] = {}
        self.together = Lockstep()
        self.branches: list[Branch] = []
        self.done = 0
        self.stages, self.stage = stages, 0
        self.ready: list[tuple[int, int]] = []  # stage and operation
        count = len(self.plan.operations)
        self.stage_of = [0] * count if stages is None else stages_of(self.plan, stages.least)
        self.consumers: list[list[int]] = [[] for _ in range(count)]
        self.missing = [0] * count
        self.uses = [0] * count
        for index, operation in enumerate(self.plan.operations):
            operands = set(operation.operands)
            self.missing[index] = len(operands)
            for operand in operands:
                self.consumers[operand].append(index)
                self.uses[operand] += 1
        for index in boundary.named:
            self.uses[index] += 1

    def work(self) -> Step[None]:
        """Everything from the inputs to the outputs, stage by stage."""
        if self.stages is not None and self.stages.restored is not None:
            self._restore(self.stages.restored)
        else:
            yield from self._inputs()
        for index, operation in enumerate(self.plan.operations):
            if not operation.operands and operation.kind != "input" and self.stage_of[index] >= self.stage:
                heappush(self.ready, (self.stage_of[index], index))
        last = max(self.stage_of, default=0)
        while True:
            self._start_ready()
            yield from self.together.run()
            for branch in self.branches:
                yield Join(branch)
            self.branches.clear()
            yield from self.p.checked()  # what is kept was opened to nobody, and must be right all the same
            if self.stage >= last:
                return
            self._save()
            self.stage += 1

    # -- stages -------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        session, stages = self.p.session, self.stages
        if stages is None or stages.save is None or session.counting:
            return
        results = self.boundary.results.sorted_as(self.plan.outputs)
        facts = (self._seat(stages), self.stage, self.p.progress(), tuple(session.findings))
        stages.save(self.stage, Snapshot(*facts, values=dict(self.values), results=results))

    def _seat(self, stages: Stages) -> Seat:
        p = self.p
        return Seat(self.plan.digest, p.session.ident.hex(), p.name, p.parties, p.threshold, p.me, stages.least)

    def _restore(self, snapshot: Snapshot) -> None:
        """Go on after the stage that a snapshot was made at the end of."""
        if self.stages is None or snapshot.seat != self._seat(self.stages):
            raise EnvironmentFault("the stored state of this session belongs to another plan, session or participant")
        self.stage = snapshot.stage + 1
        over = [index for index, stage in enumerate(self.stage_of) if stage < self.stage]
        for index in over:
            self.uses[index] = 0
            for consumer in self.consumers[index]:
                self.missing[consumer] -= 1
                self.uses[index] += self.stage_of[consumer] >= self.stage
                if not self.missing[consumer] and self.stage_of[consumer] >= self.stage:
                    heappush(self.ready, (self.stage_of[consumer], consumer))
        wanted = {index for index in over if self.uses[index]}
        operations = self.plan.operations
        if wanted != set(snapshot.values) or not all(fits(snapshot.values[i], operations[i].type) for i in wanted):
            raise EnvironmentFault("the stored state of this session does not fit its plan; go on from an earlier one")
        self.values.update(cast("Mapping[int, Value]", snapshot.values))
        self.boundary.results.values.update(snapshot.results.values)
        self.boundary.results.kept.update(snapshot.results.kept)
        self.p.proceed(snapshot.progress)
        self.p.session.findings[:] = snapshot.findings
        self.done = len(over)

    # -- operations ---------------------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Do what is local at once, the author's order first, and let the rest take part in the rounds."""
        ready, operations = self.ready, self.plan.operations
        while ready and ready[0][0] <= self.stage:
            _, index = heappop(ready)
            operation, kind = operations[index], self.kinds[index]
            if kind.local(operation, [operations[operand].type for operand in operation.operands]):
                self._note(index, self._local(index))
            else:
                self.together.add(self._step(index), partial(self._ended, index))

    def _local(self, index: int) -> Value:
        call = self._call(index, self.at)
        try:
            value: Value = self.kinds[index].run(call)
        except UserError as problem:
            raise type(problem)(f"{place(index, call.operation)}: {problem}") from problem
        if self.p.session.counting:
            self.p.session.touched(_bytes([*call.values, value]))
        return value

    def _step(self, index: int) -> Step[Value]:
        operation, kind = self.plan.operations[index], self.kinds[index]
        call = self._call(index, self.at.child(f"{index} {operation.kind}"))
        try:
            large = kind.elementwise and math.prod(call.shape) > TILE
            result: Value = yield from _in_tiles(call) if large else kind.run(call)
        except UserError as problem:
            raise type(problem)(f"{place(index, operation)}: {problem}") from problem
        return result

    def _call(self, index: int, at: Scope) -> Call:
        values = self.values
        return call_of(
            self.plan,
            index,
            self.ranges,
            self.p,
            at,
            [values[operand] for operand in self.plan.operations[index].operands],
        )

    def _ended(self, index: int, value: Value) -> None:
        self._note(index, value)
        self._start_ready()

    def _note(self, index: int, value: Value) -> None:
        """An operation is done: note what can start now, forget what nobody needs any more."""
        if self.uses[index]:
            self.values[index] = value
        missing = self.missing
        for consumer in self.consumers[index]:
            missing[consumer] -= 1
            if not missing[consumer]:
                heappush(self.ready, (self.stage_of[consumer], consumer))
        for operand in set(self.plan.operations[index].operands):
            self._drop(operand)
        if index in self.boundary.named:
            self._leave(index, value)
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, len(self.kinds))

    def _drop(self, index: int) -> None:
        """One use of a value is over; after the last it is forgotten."""
        self.uses[index] -= 1
        if not self.uses[index]:
            del self.values[index]

    # -- inputs and outputs -------------------------------------------------------------------------------------------

    def _inputs(self) -> Step[None]:
        """Every column by itself, since its owner may be outside and take no part in the rest."""
        shared = []
        for index, operation in enumerate(self.plan.operations):
            if operation.kind == "input":
                kept = self.boundary.kept(index)
                if kept is None:
                    shared.append(index)
                else:
                    self._note(index, kept)
        shares = yield Fork([self.boundary.take(index) for index in shared], len(shared))
        for index, share in zip(shared, shares, strict=True):
            self.together.add(self.boundary.admit(index, share), partial(self._ended, index))

    def _leave(self, index: int, value: Value) -> None:
        step = self._output(index, value)
        if self.boundary.leaves_beside(index):
            self.together.add(self._beside(step), self.branches.append)
        else:
            self.together.add(step, lambda _: None)

    def _output(self, index: int, value: Value) -> Step[None]:
        yield from self.boundary.give(index, value)
        self._drop(index)

    def _beside(self, step: Step[None]) -> Step[Branch]:
        branch: Branch = yield Spawn([step], 1)
        return branch


def _bytes(values: Sequence[Any]) -> int:
    """The size of values, those in bundles included."""
    total = 0
    for value in values:
        if isinstance(value, Share):
            total += sum(part.nbytes for part in value.parts)
        else:
            total += _bytes(value) if isinstance(value, list) else value.nbytes
    return total


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
