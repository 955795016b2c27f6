"""How far the results of a bound plan may be from exact arithmetic on the owners' own numbers, in the worst case.

An error here is absolute and in real units. It counts rounding of inputs to their scale, every truncation, and what
earlier errors grow to. Constants are what the plan says (a factor of the source keeps about 24 bits in the plan). Bools
are taken as exact: a comparison is exact on the rounded numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from quorate.engine.names import Scope
from quorate.lang.operations.base import Accuracy, Bounds, Error, Range, kind_of
from quorate.lang.plan import Plan, Type
from quorate.lang.ranges import call_of, plan_ranges
from quorate.protocols.base import Protocol

__all__ = ["plan_errors"]


def plan_errors(plan: Plan, p: Protocol, bounds: Mapping[tuple[str, str], Range]) -> list[float]:
    """The worst error of every operation's result; infinite where it depends on how small a divisor gets.

    Of a bundle it is the largest of its parts.

    Args:
        plan: bound to row counts.
        p: the protocol that runs it.
        bounds: (input, column) -> smallest and largest raw value.

    Raises:
        UserError: values may not fit the protocol, see `plan_ranges`.
    """
    ranges, nowhere = plan_ranges(plan, p, bounds), Scope.root("errors")
    errors: list[list[Error]] = []
    for index, operation in enumerate(plan.operations):
        call = call_of(plan, index, ranges, p, nowhere)
        sizes = [_size(ranges[o], plan.operations[o].type) for o in operation.operands]
        before = [error for o in operation.operands for error in errors[o]]
        step = Accuracy(call, before, sizes, 2.0**-operation.type.dtype.scale)
        errors.append(_of_parts(kind_of(operation.kind).error(step), operation.type))
    return [max(error.value for error in parts) for parts in errors]


def _size(range_: Bounds, type_: Type) -> float:
    """The largest absolute value in real units; of a bundle, none."""
    if isinstance(range_, list):
        return 0.0
    return math.ldexp(max(abs(end) for end in range_), -type_.dtype.scale)


def _of_parts(found: Error | list[Error], type_: Type) -> list[Error]:
    """One error per part, one in all if there are no parts; bools are exact."""
    parts: Sequence[Type] = type_.parts or (type_,)
    each = found if isinstance(found, list) else [found] * len(parts)
    return [Error(0.0) if part.dtype.kind == "bool" else error for part, error in zip(parts, each, strict=True)]
