"""What every operation of a bound plan costs when it is run by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from quorate.circuits.convert import to_boolean
from quorate.engine.count import count
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.kernels.ghost import ghost
from quorate.lang.operations.base import Bounds, Range, Value, concrete, kind_of
from quorate.lang.plan import Operation, Plan, Type
from quorate.lang.ranges import call_of, plan_ranges
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean

__all__ = [
    "Cost",
    "is_local",
    "known_costs",
    "likeness",
    "opening_costs",
    "operation_cost",
    "operation_costs",
    "operation_steps",
    "set_up",
]

Owners = Mapping[str, int | str]
"""Input -> participant index, or "stored"."""

MOST_REMEMBERED = 20_000
"""Costs of operations that are kept for later plans, under each protocol."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Rounds, and bytes that each participant sends (message bodies), in order of participants.

    The rounds of a whole plan are fewer than their sum: what does not wait for each other shares rounds.
    """

    rounds: int
    bytes_sent: tuple[int, ...]

    @property
    def total(self) -> int:
        """Bytes of all participants together."""
        return sum(self.bytes_sent)


def operation_costs(
    plan: Plan,
    protocols: Sequence[Protocol],
    bounds: Mapping[tuple[str, str], Range],
    owners: Owners,
    ranges: Sequence[Bounds] | None = None,
    wanted: Collection[int] | None = None,
) -> list[Cost]:
    """The cost of every operation of a bound plan. Operations that are alike are counted once.

    Args:
        plan: bound to row counts.
        protocols: every participant's view, parties first, of sessions that are counting.
        bounds: (input, column) -> smallest and largest raw value.
        owners: input -> participant index, or "stored".
        ranges: of all operations, if they are known already.
        wanted: the operations to count; others cost nothing here.

    Raises:
        UserError: values may not fit the protocol.
    """
    set_up(protocols)
    if ranges is None:
        ranges = plan_ranges(plan, protocols[0], bounds)
    known = known_costs(protocols)
    costs = []
    for index, operation in enumerate(plan.operations):
        if wanted is not None and index not in wanted:
            costs.append(Cost(0, (0,) * len(protocols)))
            continue
        key = None if is_local(plan, operation) else likeness(plan, ranges, owners, operation)
        if key not in known:
            known[key] = operation_cost(plan, protocols, ranges, owners, index)
        costs.append(known[key])
    return costs


def known_costs(protocols: Sequence[Protocol]) -> dict[object, Cost]:
    """What operations cost, by `likeness`, as far as it is known; add to it what you count.

    Under protocols whose operations leave nothing behind for later ones, such as tuples or products to check, an
    operation costs the same in all plans, and is counted once in a process.
    """
    first = protocols[0]
    session = first.session
    if not all(p.resumable and not p.progress() for p in protocols[: first.parties]):
        return {}
    who = (len(protocols), first.parties, session.dealer, first.threshold)
    known = _remembered(type(first), who, session.network, session.security)
    if len(known) > MOST_REMEMBERED:
        known.clear()
    return known


@lru_cache(maxsize=32)
def _remembered(*protocol: object) -> dict[object, Cost]:
    return {}


def operation_cost(
    plan: Plan, protocols: Sequence[Protocol], ranges: Sequence[Bounds], owners: Owners, index: int
) -> Cost:
    """The cost of one operation; arguments as for `operation_steps`."""
    return _cost(operation_steps(plan, protocols, ranges, owners, index))


def operation_steps(
    plan: Plan, protocols: Sequence[Protocol], ranges: Sequence[Bounds], owners: Owners, index: int
) -> list[Step[Any] | None]:
    """What each participant runs for one operation, on values without content; None for nothing.

    The sessions must be counting, and set up with `set_up`; arguments are those of `operation_costs`, `ranges` those of
    `plan_ranges`.
    """
    return [_step(plan, p, ranges, owners, index, plan.operations[index]) for p in protocols]


def opening_costs(
    plan: Plan, protocols: Sequence[Protocol], recipients: Mapping[str, Collection[int]]
) -> dict[str, Cost]:
    """The cost of opening each output to its recipients; kept outputs are absent in `recipients` and cost nothing."""
    set_up(protocols)
    types = {name: plan.operations[plan.outputs[name]].type for name in recipients}
    return {name: _cost([_opening(p, types[name], to) for p in protocols]) for name, to in recipients.items()}


def set_up(protocols: Sequence[Protocol]) -> None:
    """Go through the set-up of sessions that are counting, so that steps can follow."""
    for protocol in protocols:
        protocol.session.erase()
        count(protocol.setup(Scope.root("setup")))


def _cost(steps: Sequence[Step[Any] | None]) -> Cost:
    parties = [None if step is None else count(step) for step in steps]
    return Cost(
        max((party.rounds for party in parties if party is not None), default=0),
        tuple(0 if party is None else sum(party.sent.values()) for party in parties),
    )


def is_local(plan: Plan, operation: Operation) -> bool:
    """Whether an operation of a plan costs nothing, whoever runs it."""
    types = [plan.operations[operand].type for operand in operation.operands]
    return operation.kind != "input" and kind_of(operation.kind).local(operation, types)


def likeness(plan: Plan, ranges: Sequence[Bounds], owners: Owners, operation: Operation) -> object:
    """A key: interactive operations of bound plans that have the same cost the same."""
    if operation.kind == "input":
        return owners[operation.attributes["input"]], operation.type
    first = {operand: place for place, operand in reversed(list(enumerate(operation.operands)))}
    return (
        operation.kind,
        repr(sorted(operation.attributes.items())),
        operation.type,
        *((first[one], plan.operations[one].type, str(ranges[one])) for one in operation.operands),
    )


def _step(
    plan: Plan, p: Protocol, ranges: Sequence[Bounds], owners: Owners, index: int, operation: Operation
) -> Step[Any] | None:
    """What participant `p.me` runs for this operation; None for nothing."""
    at = Scope.root(f"{index} {operation.kind}")
    if operation.kind == "input":
        owner = owners[operation.attributes["input"]]
        return None if isinstance(owner, str) else _input(p, at, owner, operation)
    if is_local(plan, operation) or _outside(p):
        return None
    blanks = {operand: _blank(p, plan.operations[operand].type) for operand in operation.operands}
    call = call_of(plan, index, ranges, p, at, [blanks[operand] for operand in operation.operands])
    step: Step[Any] = kind_of(operation.kind).run(call)
    return step


def _input(p: Protocol, at: Scope, owner: int, operation: Operation) -> Step[Any] | None:
    if _outside(p) and owner != p.me:
        return None
    return _shared(p, at, owner, operation)


def _shared(p: Protocol, at: Scope, owner: int, operation: Operation) -> Step[Any]:
    share: Any = yield from p.input(at, owner, concrete(operation.type.shape), None)
    if operation.type.dtype.kind == "bool" and not _outside(p):
        yield from to_boolean(p, at.child("bits"), share)


def _outside(p: Protocol) -> bool:
    return p.me >= p.parties and p.me != p.session.dealer


def _blank(p: Protocol, type_: Type) -> Value:
    """A value of this type without content."""
    shape = concrete(type_.shape)
    if not type_.secret:
        return np.zeros(shape, np.int64)
    return p.public_bits(ghost(shape, np.uint8)) if type_.dtype.kind == "bool" else p.empty(shape)


def _opening(p: Protocol, type_: Type, to: Collection[int]) -> Step[Any] | None:
    if not type_.secret or (_outside(p) and p.me not in to):
        return None
    value, at, everybody = _blank(p, type_), Scope.root("output"), tuple(to)
    if isinstance(value, Boolean):
        return p.reveal_bits(at, value, everybody)
    return p.reveal(at, value, everybody) if isinstance(value, Arithmetic) else None
