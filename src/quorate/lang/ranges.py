"""How large the values of a bound plan can get: interval arithmetic on exact integers, so that nothing overflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.lang.operations.base import Bounds, Call, Range, Value, concrete, kind_of
from quorate.lang.plan import Operation, Plan, Type
from quorate.protocols.base import Protocol

__all__ = ["Known", "call_of", "place", "plan_ranges", "range_of"]


Known = dict[object, tuple[Bounds, object]]
"""Ranges of operations that were looked at before, and what must live on so that their keys mean the same."""


def plan_ranges(
    plan: Plan, p: Protocol, bounds: Mapping[tuple[str, str], Range], known: Known | None = None
) -> list[Bounds]:
    """The range of raw values of every operation; of a bundle, the list of the ranges of its parts.

    Args:
        plan: bound to row counts.
        p: the protocol; its capacity is what values must fit.
        bounds: (input, column) -> smallest and largest raw value.
        known: ranges from plans that had some of the same operations, with the same protocol and bounds; is added to.

    Raises:
        UserError: values of an operation may not fit the protocol or their type; names it, its source line and what
            to do.
    """
    ranges: list[Bounds] = []
    nowhere, known, operations = Scope.root("ranges"), {} if known is None else known, plan.operations
    for index, operation in enumerate(operations):
        of_operands = [ranges[operand] for operand in operation.operands]
        if list in map(type, of_operands):
            ranges.append(range_of(plan, index, ranges, p, nowhere, bounds))
            continue
        seen = (operation.attributes, operation.type, *[operations[operand].type for operand in operation.operands])
        key = (operation.kind, *map(id, seen), *of_operands)
        if key not in known:
            known[key] = range_of(plan, index, ranges, p, nowhere, bounds), seen
        ranges.append(known[key][0])
    return ranges


def range_of(
    plan: Plan,
    index: int,
    ranges: Sequence[Bounds] | Mapping[int, Bounds],
    p: Protocol,
    at: Scope,
    bounds: Mapping[tuple[str, str], Range],
) -> Bounds:
    """The range of raw values of one operation, from those of its operands; raises as `plan_ranges`."""
    operation = plan.operations[index]
    call = call_of(plan, index, ranges, p, at)
    try:
        found = _input(call, bounds) if operation.kind == "input" else kind_of(operation.kind).bound(call)
        _check(operation.type, found)
    except UserError as problem:
        raise UserError(f"{place(index, operation)}: {problem}") from None
    return found


def call_of(
    plan: Plan,
    index: int,
    ranges: Sequence[Bounds] | Mapping[int, Bounds],
    p: Protocol,
    at: Scope,
    values: Sequence[Value] = (),
) -> Call:
    """Operation `index` of a bound plan as its kind sees it."""
    operation, operations = plan.operations[index], plan.operations
    types = [operations[operand].type for operand in operation.operands]
    known = cast("list[Range]", [ranges[operand] for operand in operation.operands])  # a list of them: for item alone
    return Call(operation, types, known, p.capacity, p, at, list(values), concrete(operation.type.shape))


def _input(call: Call, bounds: Mapping[tuple[str, str], Range]) -> Range:
    key = (call.attribute("input"), call.attribute("column"))
    if key not in bounds:
        raise UserError(f"no range is declared for column {key[1]!r} of input {key[0]!r}")
    return call.fits(*bounds[key])


def _check(type_: Type, found: Bounds) -> None:
    """Narrow integers are a promise about the range. Raises `UserError` where it is not kept."""
    if isinstance(found, list):
        for part, range_ in zip(type_.parts, found, strict=True):
            part.dtype.check_range(*range_)
    else:
        type_.dtype.check_range(*found)


def place(index: int, operation: Operation) -> str:
    """An operation and its source line, for messages."""
    return f"operation {index}, {operation.kind}" + (f" ({operation.where})" if operation.where else "")
