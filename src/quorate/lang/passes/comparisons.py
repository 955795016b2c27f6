"""Comparisons that ask the same thing share their work; those that the ranges decide are not made."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from quorate.lang.operations.base import Bounds
from quorate.lang.passes.facts import Facts
from quorate.lang.passes.rewrite import Rewriter, Rule, apply_rules, is_constant
from quorate.lang.plan import Operation, Plan

__all__ = ["decide_by_ranges", "share_comparisons"]

Operands = tuple[int, ...]

LARGEST = 64
"""Constants with more elements are not looked through."""


def share_comparisons(plan: Plan, facts: Facts | None) -> Plan:
    """Comparisons that ask the same thing share their work.

    `x - y < 0` is `x < y`, and `c < x` is the opposite of `x < c + 1` where that is compared as well: raw values are
    integers, also those of fixed-point numbers.
    """
    below = {
        (operation.operands[0], _values(plan.operations[operation.operands[1]]))
        for operation in plan.operations
        if operation.kind == "lt" and _values(plan.operations[operation.operands[1]]) is not None
    }
    rules: dict[str, Rule] = {"lt": partial(_less, below), "eq": _equal}
    return apply_rules(plan, rules)


def _values(operation: Operation) -> tuple[Any, ...] | None:
    """A small constant as something to look up."""
    attributes = operation.attributes
    if not is_constant(operation) or len(attributes["values"]) > LARGEST:
        return None
    return attributes["dtype"], tuple(attributes["shape"]), tuple(attributes["values"])


def _less(below: set[tuple[int, Any]], r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, (a, b) = r.old(index), operands
    if r.new(a).kind == r.new(b).kind == "neg":
        return r.emit("lt", (r.new(b).operands[0], r.new(a).operands[0]), operation)
    if r.is_all(b, 0) and _is_difference(r, index, a):
        return r.emit("lt", r.new(a).operands, operation)
    if r.is_all(a, 0) and _is_difference(r, index, b):
        return r.emit("lt", r.new(b).operands[::-1], operation)
    constant = _values(r.old(operation.operands[0]))
    if constant is None:
        return None
    dtype, shape, values = constant
    above = tuple(value + 1 for value in values)
    if (operation.operands[1], (dtype, shape, above)) not in below:
        return None
    limit = r.emit("constant", (), operation, values=list(above), shape=list(shape), dtype=dtype)
    return r.emit("not", (r.emit("lt", (b, limit), operation),), operation)


def _equal(r: Rewriter, index: int, operands: Operands) -> int | None:
    a, b = operands
    for one, other in ((a, b), (b, a)):
        if r.is_all(one, 0) and _is_difference(r, index, other):
            return r.emit("eq", r.new(other).operands, r.old(index))
    return None


def _is_difference(r: Rewriter, index: int, position: int) -> bool:
    """Whether a new value is a difference that is compared as a whole."""
    return r.new(position).kind == "sub" and r.new(position).type.shape == r.old(index).type.shape


def decide_by_ranges(plan: Plan, facts: Facts | None) -> Plan:
    """What the ranges decide is not computed.

    It becomes a constant, or one of the operands.
    """
    if facts is None:
        return plan
    ranges = facts.ranges(plan)
    rules: Mapping[str, Rule] = {
        "lt": partial(_decided_less, ranges),
        "eq": partial(_decided_equal, ranges),
        "minimum": partial(_decided_extreme, ranges, 0),
        "maximum": partial(_decided_extreme, ranges, 1),
        "abs": partial(_decided_abs, ranges),
        "clip": partial(_decided_clip, ranges),
    }
    return apply_rules(plan, rules)


def _two(ranges: list[Bounds], operation: Operation) -> Any:
    return [ranges[operand] for operand in operation.operands]


def _decided_less(ranges: list[Bounds], r: Rewriter, index: int, operands: Operands) -> int | None:
    operation = r.old(index)
    (a, b), (c, d) = _two(ranges, operation)
    if b < c or a >= d:
        return r.filled(int(b < c), operation.type, operation)
    return None


def _decided_equal(ranges: list[Bounds], r: Rewriter, index: int, operands: Operands) -> int | None:
    operation = r.old(index)
    (a, b), (c, d) = _two(ranges, operation)
    return r.filled(0, operation.type, operation) if b < c or d < a else None


def _decided_extreme(ranges: list[Bounds], larger: int, r: Rewriter, index: int, operands: Operands) -> int | None:
    operation = r.old(index)
    (a, b), (c, d) = _two(ranges, operation)
    if b <= c or d <= a:
        first_is_lower = b <= c
        return r.spread(operands[larger if first_is_lower else 1 - larger], operation.type.shape, operation)
    return None


def _decided_abs(ranges: list[Bounds], r: Rewriter, index: int, operands: Operands) -> int | None:
    (range_,) = _two(ranges, r.old(index))
    if range_[0] >= 0:
        return operands[0]
    return r.emit("neg", operands, r.old(index)) if range_[1] <= 0 else None


def _decided_clip(ranges: list[Bounds], r: Rewriter, index: int, operands: Operands) -> int | None:
    operation = r.old(index)
    (range_,) = _two(ranges, operation)
    low, high = operation.attributes.get("low"), operation.attributes.get("high")
    inside = (low is None or low <= range_[0]) and (high is None or range_[1] <= high)
    return operands[0] if inside and r.new(operands[0]).type == operation.type else None
