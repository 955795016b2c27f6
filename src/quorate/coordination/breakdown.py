"""Where the rounds, bytes and time of a plan go: every operation by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from quorate.coordination.machine import Machine
from quorate.coordination.program import Job, raw_bounds
from quorate.coordination.spec import Spec
from quorate.coordination.timeline import Links, predict
from quorate.engine.exchange import Step
from quorate.lang.cost import Cost, opening_costs, operation_costs, operation_steps, set_up
from quorate.lang.plan import Plan
from quorate.lang.ranges import plan_ranges
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make

__all__ = ["OperationCost", "breakdown", "counting_protocols"]


@dataclass(frozen=True, slots=True)
class OperationCost:
    """Cost of an operation of the plan, or of opening an output, alone.

    Attributes:
        index: the operation's position in the plan; of an opening that of the value that is opened.
        what: kind of operation, or "open NAME".
        where: line of the author's source.
        rounds, bytes_sent: exact; bytes of all participants.
        seconds: predicted, with all parties on their own. What does not wait for each other shares rounds, so a session
            takes less than the sum.
        bulk_seconds: the part of these that grows with the data, the rest being rounds.
    """

    index: int
    what: str
    where: str
    rounds: int
    bytes_sent: int
    seconds: float
    bulk_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def counting_protocols(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> list[Protocol]:
    """Every participant's protocol, in sessions that only count; in order of the roster."""
    jobs = [Job(spec, plan, me, rows=rows) for me in range(len(Job(spec, plan, 0).roster.participants))]
    return [make(spec.protocol.name, job.session(counting=True), spec.threshold) for job in jobs]


def breakdown(
    spec: Spec, plan: Plan, rows: Mapping[str, int], links: Links, machine: Machine
) -> tuple[list[OperationCost], dict[str, OperationCost]]:
    """The cost of every operation, and of opening every output that is opened.

    Raises:
        UserError: the plan cannot run with these row counts.
    """
    bound, who = plan.bind(rows), Job(spec, plan, 0).roster
    operations = _Alone(spec, bound, rows, links, machine).all()
    costs = opening_costs(bound, counting_protocols(spec, plan, rows), who.recipients)
    openings = {name: _opening(plan.outputs[name], name, cost, links, machine) for name, cost in costs.items()}
    return operations, openings


class _Alone:
    """Every operation of a bound plan by itself; those that are alike are predicted once."""

    def __init__(self, spec: Spec, plan: Plan, rows: Mapping[str, int], links: Links, machine: Machine) -> None:
        who = Job(spec, plan, 0).roster
        self.plan, self.links, self.machine = plan, links, machine
        self.owners: dict[str, int | str] = {item.name: who.owners.get(item.name, "stored") for item in spec.inputs}
        bounds = raw_bounds(spec)
        self.costs = operation_costs(plan, counting_protocols(spec, plan, rows), bounds, self.owners)
        self.protocols = counting_protocols(spec, plan, rows)
        set_up(self.protocols)
        self.ranges = plan_ranges(plan, self.protocols[0], bounds)

    def all(self) -> list[OperationCost]:
        known: dict[int, tuple[float, float]] = {}
        result = []
        for index, (operation, cost) in enumerate(zip(self.plan.operations, self.costs, strict=True)):
            if id(cost) not in known:  # one object for all operations that are alike
                known[id(cost)] = self._times(index, cost)
            result.append(
                OperationCost(index, operation.kind, operation.where, cost.rounds, cost.total, *known[id(cost)])
            )
        return result

    def _times(self, index: int, cost: Cost) -> tuple[float, float]:
        """Seconds in all, and the part of them that grows with the data."""
        if not cost.rounds:
            return 0.0, 0.0
        steps = operation_steps(self.plan, self.protocols, self.ranges, self.owners, index)
        sessions = [protocol.session for protocol in self.protocols]
        timeline = predict([step or _nothing() for step in steps], sessions, self.links, self.machine)
        machine = self.machine
        small = cost.rounds * (machine.step_ns + machine.send_ns + machine.receive_ns)
        return timeline.ended / 1e9, (timeline.transfer + max(0, timeline.computing - small)) / 1e9


def _nothing() -> Step[None]:
    yield from ()


def _opening(index: int, name: str, cost: Cost, links: Links, machine: Machine) -> OperationCost:
    """An opening is one message from everybody to everybody who is to learn it."""
    size = max(cost.bytes_sent)
    bulk = max(links.network.nanoseconds(0, size), machine.sending(size) + machine.receiving(size))
    seconds = (links.network.nanoseconds(cost.rounds, 0) + bulk) / 1e9
    return OperationCost(index, f"open {name}", "", cost.rounds, cost.total, seconds, bulk / 1e9)
