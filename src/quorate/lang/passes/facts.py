"""What passes may know beside the plan: who runs it, with how many rows, and which values the inputs can take."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from quorate.lang.cost import Cost, Owners, known_costs, likeness, operation_cost, operation_costs, set_up
from quorate.lang.operations.base import Bounds, Range
from quorate.lang.plan import Operation, Plan, Type
from quorate.lang.precision import plan_errors
from quorate.lang.ranges import Known, plan_ranges
from quorate.protocols.base import Protocol

__all__ = ["Facts", "Figures"]


@dataclass(frozen=True)
class Figures:
    """What a plan costs: rounds of its longest chain, bytes of all participants; and the worst errors of its outputs.

    Openings of outputs are left out: passes cannot change them.
    """

    rounds: int
    bytes_sent: int
    errors: Mapping[str, float]

    def no_worse_than(self, other: Figures) -> bool:
        """Whether nothing has grown."""
        close = 1 + 1e-9  # of floats that were added up in another order
        return (
            self.rounds <= other.rounds
            and self.bytes_sent <= other.bytes_sent
            and all(error <= other.errors[name] * close for name, error in self.errors.items())
        )


@dataclass(frozen=True)
class Facts:
    """Where a plan is to run.

    Attributes:
        protocols: every participant's view, parties first, of sessions that are counting.
        bounds: (input, column) -> smallest and largest raw value.
        rows: the most rows that each input may have.
        owners: input -> participant index, or "stored".
    """

    protocols: Sequence[Protocol]
    bounds: Mapping[tuple[str, str], Range]
    rows: Mapping[str, int]
    owners: Owners
    _ranges: Known = field(default_factory=dict, repr=False)
    _latest: list[tuple[Plan, list[Bounds]]] = field(default_factory=list, repr=False)

    @cached_property
    def _prices(self) -> dict[object, Cost]:
        return known_costs(self.protocols)

    def ranges(self, plan: Plan) -> list[Bounds]:
        """The ranges of a plan's operations with the most rows. Raises `UserError` where values may not fit."""
        for known, ranges in self._latest:
            if known is plan:  # one pass after the other asks for the same
                return ranges
        ranges = plan_ranges(plan.bind(self.rows), self.protocols[0], self.bounds, self._ranges)
        self._latest[:] = [(plan, ranges), *self._latest[:1]]
        return ranges

    def costs(self, plan: Plan) -> list[Cost]:
        """What every operation of a plan costs by itself. Raises `UserError` where values may not fit."""
        return operation_costs(plan.bind(self.rows), self.protocols, self.bounds, self.owners, self.ranges(plan))

    def rounds(self, plan: Plan, wanted: Collection[int]) -> list[int]:
        """How many rounds the operations that are `wanted` take by themselves; 0 for others.

        One participant is counted, since all go through the same rounds.

        Raises:
            UserError: values may not fit.
        """
        one, ranges = self.protocols[:1], self.ranges(plan)
        costs = operation_costs(plan.bind(self.rows), one, self.bounds, self.owners, ranges, wanted)
        return [cost.rounds for cost in costs]

    def price(
        self, kind: str, types: Sequence[Type], ranges: Sequence[Bounds], attributes: Mapping[str, Any], result: Type
    ) -> Cost:
        """What one operation would cost by itself, on operands of these bound types and ranges."""
        values = [Operation("input", (), {"input": ""}, type_) for type_ in types]
        plan = Plan("price", (*values, Operation(kind, tuple(range(len(types))), attributes, result)))
        key = likeness(plan, ranges, {}, plan.operations[-1])
        if key not in self._prices:
            set_up(self.protocols)
            self._prices[key] = operation_cost(plan, self.protocols, ranges, {}, len(types))
        return self._prices[key]

    def figures(self, plan: Plan) -> Figures:
        """Cost and precision of a plan. Raises `UserError` where values may not fit."""
        errors = plan_errors(plan.bind(self.rows), self.protocols[0], self.bounds)
        costs = self.costs(plan)
        ends: list[int] = []
        for operation, cost in zip(plan.operations, costs, strict=True):
            ends.append(max((ends[operand] for operand in operation.operands), default=0) + cost.rounds)
        return Figures(
            max((ends[target] for target in plan.outputs.values()), default=0),
            sum(cost.total for cost in costs),
            {name: errors[target] for name, target in plan.outputs.items()},
        )
