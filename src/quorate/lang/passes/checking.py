"""Types are inferred anew and compared with what the plan says."""

from __future__ import annotations

from quorate.errors import InternalError
from quorate.lang.operations import kind_of
from quorate.lang.passes.facts import Facts
from quorate.lang.plan import Plan

__all__ = ["check_types"]


def check_types(plan: Plan, facts: Facts | None) -> Plan:
    """Types are inferred anew and compared.

    Raises:
        InternalError: an operation does not have the type that follows from its operands, or names a later one.
        UserError: operands of types that an operation does not take.
    """
    for index, operation in enumerate(plan.operations):
        if any(not 0 <= operand < index for operand in operation.operands):
            raise InternalError(f"operation {index} ({operation.kind}) has operands that do not come before it")
        types = [plan.operations[operand].type for operand in operation.operands]
        inferred = kind_of(operation.kind).type_of(types, operation.attributes, operation.type)
        if inferred != operation.type:
            raise InternalError(f"operation {index} ({operation.kind}) is {inferred}, and not {operation.type}")
    return plan
