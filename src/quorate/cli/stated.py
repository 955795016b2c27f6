"""The stated precision of a computation's outputs."""

from __future__ import annotations

from collections.abc import Mapping

from quorate.coordination.program import Job, raw_bounds
from quorate.coordination.spec import Spec
from quorate.lang.plan import Plan
from quorate.lang.precision import plan_errors
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make

__all__ = ["counting_protocols", "stated_errors"]


def counting_protocols(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> list[Protocol]:
    """Every participant's protocol, in sessions that only count; in order of the roster."""
    jobs = [Job(spec, plan, me, rows=rows) for me in range(len(Job(spec, plan, 0).roster.participants))]
    return [make(spec.protocol.name, job.session(counting=True), spec.threshold) for job in jobs]


def stated_errors(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> dict[str, float]:
    """Output -> how far it may be from exact arithmetic on the owners' numbers, in the worst case.

    Raises:
        UserError: values may not fit the protocol with these row counts.
    """
    protocol = counting_protocols(spec, plan, rows)[0]
    errors = plan_errors(plan.bind(rows), protocol, raw_bounds(spec))
    return {name: errors[target] for name, target in plan.outputs.items()}
