"""What every operation of a bound plan costs when it is run by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
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

__all__ = ["Cost", "opening_costs", "operation_costs"]


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
    owners: Mapping[str, int | str],
) -> list[Cost]:
    """The cost of every operation of a bound plan.

    Args:
        plan: bound to row counts.
        protocols: every participant's view, parties first, of sessions that are counting.
        bounds: (input, column) -> smallest and largest raw value.
        owners: input -> participant index, or "stored".

    Raises:
        UserError: values may not fit the protocol.
    """
    _set_up(protocols)
    ranges = plan_ranges(plan, protocols[0], bounds)
    return [
        _of_all(protocols, lambda p, index=index, operation=operation: _step(plan, p, ranges, owners, index, operation))
        for index, operation in enumerate(plan.operations)
    ]


def opening_costs(
    plan: Plan, protocols: Sequence[Protocol], recipients: Mapping[str, Collection[int]]
) -> dict[str, Cost]:
    """The cost of opening each output to its recipients; kept outputs are absent in `recipients` and cost nothing."""
    _set_up(protocols)
    return {
        name: _of_all(
            protocols, lambda p, type_=plan.operations[plan.outputs[name]].type, to=to: _opening(p, type_, to)
        )
        for name, to in recipients.items()
    }


def _set_up(protocols: Sequence[Protocol]) -> None:
    for protocol in protocols:
        protocol.session.erase()
        count(protocol.setup(Scope.root("setup")))


def _of_all(protocols: Sequence[Protocol], step: Any) -> Cost:
    parties = [count(program) if (program := step(p)) is not None else None for p in protocols]
    counted = [party for party in parties if party is not None]
    return Cost(
        max((party.rounds for party in counted), default=0),
        tuple(0 if party is None else sum(party.sent.values()) for party in parties),
    )


def _step(
    plan: Plan, p: Protocol, ranges: Sequence[Bounds], owners: Mapping[str, int | str], index: int, operation: Operation
) -> Step[Any] | None:
    """What participant `p.me` runs for this operation; None for nothing."""
    at = Scope.root(f"{index} {operation.kind}")
    if operation.kind == "input":
        owner = owners[operation.attributes["input"]]
        return None if isinstance(owner, str) else _input(p, at, owner, operation)
    types = [plan.operations[operand].type for operand in operation.operands]
    kind = kind_of(operation.kind)
    if kind.local(operation, types) or _outside(p):
        return None
    call = call_of(plan, index, ranges, p, at, [_blank(p, type_) for type_ in types])
    step: Step[Any] = kind.run(call)
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
