"""Constants are computed now, equal things once, and what nobody needs not at all."""

from __future__ import annotations

from quorate.lang.fold import folded
from quorate.lang.passes.facts import Facts
from quorate.lang.passes.rewrite import Rewriter, is_constant, needed
from quorate.lang.plan import Plan

__all__ = ["fold_constants", "remove_unused", "share_equal"]


def fold_constants(plan: Plan, facts: Facts | None) -> Plan:
    """Operations on constants are done now."""
    rewriter = Rewriter(plan)
    for index, operation in enumerate(plan.operations):
        used = [rewriter.new(rewriter.place[operand]) for operand in operation.operands]
        constant = None
        if used and all(is_constant(one) for one in used):
            constant = folded(operation.kind, used, operation.attributes)
        rewriter.place.append(
            rewriter.copy(index) if constant is None else rewriter.emit("constant", (), operation, **constant)
        )
    return rewriter.finish()


def share_equal(plan: Plan, facts: Facts | None) -> Plan:
    """Equal operations are done once, with operands in either order where that is the same."""
    rewriter = Rewriter(plan)
    for index in range(len(plan.operations)):
        rewriter.place.append(rewriter.copy(index))
    return rewriter.finish()


def remove_unused(plan: Plan, facts: Facts | None) -> Plan:
    """What no output needs is left out."""
    return needed(plan)
