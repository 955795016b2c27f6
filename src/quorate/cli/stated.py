"""The stated precision of a computation's outputs."""

from __future__ import annotations

from collections.abc import Mapping

from quorate.coordination.breakdown import counting_protocols
from quorate.coordination.program import raw_bounds
from quorate.coordination.spec import Spec
from quorate.lang.plan import Plan
from quorate.lang.precision import plan_errors

__all__ = ["stated_errors"]


def stated_errors(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> dict[str, float]:
    """Output -> how far it may be from exact arithmetic on the owners' numbers, in the worst case.

    Raises:
        UserError: values may not fit the protocol with these row counts.
    """
    protocol = counting_protocols(spec, plan, rows)[0]
    errors = plan_errors(plan.bind(rows), protocol, raw_bounds(spec))
    return {name: errors[target] for name, target in plan.outputs.items()}
