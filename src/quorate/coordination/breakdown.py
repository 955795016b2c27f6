"""Where the rounds, bytes and time of a plan go: every operation by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from quorate.coordination.program import Job, raw_bounds
from quorate.coordination.spec import Spec
from quorate.engine.network import Network
from quorate.lang.cost import Cost, opening_costs, operation_costs
from quorate.lang.plan import Plan
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make

__all__ = ["OperationCost", "breakdown", "counting_protocols", "largest"]


@dataclass(frozen=True, slots=True)
class OperationCost:
    """Cost of an operation of the plan, or of opening an output, alone.

    Attributes:
        index: the operation's position in the plan; of an opening that of the value that is opened.
        what: kind of operation, or "open NAME".
        where: line of the author's source.
        rounds, bytes_sent: exact; bytes of all participants.
        seconds: predicted for the network. What does not wait for each other shares rounds, so a session takes less
            than the sum.
        transfer_seconds: the part of these that grows with the bytes, the rest being rounds.
    """

    index: int
    what: str
    where: str
    rounds: int
    bytes_sent: int
    seconds: float
    transfer_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def counting_protocols(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> list[Protocol]:
    """Every participant's protocol, in sessions that only count; in order of the roster."""
    jobs = [Job(spec, plan, me, rows=rows) for me in range(len(Job(spec, plan, 0).roster.participants))]
    return [make(spec.protocol.name, job.session(counting=True), spec.threshold) for job in jobs]


def breakdown(
    spec: Spec, plan: Plan, rows: Mapping[str, int], network: Network
) -> tuple[list[OperationCost], dict[str, OperationCost]]:
    """The cost of every operation, and of opening every output that is opened.

    Raises:
        UserError: the plan cannot run with these row counts.
    """
    bound, who = plan.bind(rows), Job(spec, plan, 0).roster
    owners: dict[str, int | str] = {item.name: who.owners.get(item.name, "stored") for item in spec.inputs}
    costs = operation_costs(bound, counting_protocols(spec, plan, rows), raw_bounds(spec), owners)
    operations = [
        _priced(index, operation.kind, operation.where, cost, network)
        for index, (operation, cost) in enumerate(zip(plan.operations, costs, strict=True))
    ]
    openings = {
        name: _priced(plan.outputs[name], f"open {name}", "", cost, network)
        for name, cost in opening_costs(bound, counting_protocols(spec, plan, rows), who.recipients).items()
    }
    return operations, openings


def largest(costs: list[OperationCost], most: int) -> list[OperationCost]:
    """The operations that take longest, first the longest; those that take no time are left out."""
    costly = [cost for cost in costs if cost.seconds > 0]
    return sorted(costly, key=lambda cost: (-cost.seconds, cost.index))[:most]


def _priced(index: int, what: str, where: str, cost: Cost, network: Network) -> OperationCost:
    transfer = network.nanoseconds(0, max(cost.bytes_sent))
    seconds = (network.nanoseconds(cost.rounds, 0) + transfer) / 1e9
    return OperationCost(index, what, where, cost.rounds, cost.total, seconds, transfer / 1e9)
