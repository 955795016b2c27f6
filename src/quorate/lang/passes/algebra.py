"""What school algebra simplifies: neutral elements, double negations, a value against itself, shapes changed twice."""

from __future__ import annotations

from quorate.lang.passes.facts import Facts
from quorate.lang.passes.rewrite import Rewriter, Rule, apply_rules
from quorate.lang.plan import Operation, Plan

__all__ = ["simplify"]

Operands = tuple[int, ...]


def simplify(plan: Plan, facts: Facts | None) -> Plan:
    """Identities of algebra are applied."""
    return apply_rules(plan, _RULES)


def _same_type(r: Rewriter, index: int, position: int) -> int | None:
    """The new value `position` if it can stand for an old operation as it is."""
    return position if r.new(position).type == r.old(index).type else None


def _operand(r: Rewriter, position: int, kind: str) -> int | None:
    """The operand of a new operation of this kind with one operand; None if it is of another."""
    operation = r.new(position)
    return operation.operands[0] if operation.kind == kind else None


# -- numbers ---------------------------------------------------------------------------------------------------------


def _add(r: Rewriter, index: int, operands: Operands) -> int | None:
    a, b = operands
    for one, other in ((a, b), (b, a)):
        if r.is_all(one, 0):
            return _same_type(r, index, other)
        if (negated := _operand(r, one, "neg")) is not None:
            return r.emit("sub", (other, negated), r.old(index))
    return None


def _sub(r: Rewriter, index: int, operands: Operands) -> int | None:
    a, b = operands
    if a == b:
        return r.filled(0, r.old(index).type, r.old(index))
    if r.is_all(b, 0):
        return _same_type(r, index, a)
    if (negated := _operand(r, b, "neg")) is not None:
        return r.emit("add", (a, negated), r.old(index))
    return None


def _neg(r: Rewriter, index: int, operands: Operands) -> int | None:
    inner = r.new(operands[0])
    if inner.kind == "neg":
        return inner.operands[0]
    return r.emit("sub", inner.operands[::-1], r.old(index)) if inner.kind == "sub" else None


def _mul(r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, (a, b) = r.old(index), operands
    shift = operation.attributes.get("shift", 0)
    for one, other in ((a, b), (b, a)):
        if r.is_all(one, 0):
            return r.filled(0, operation.type, operation)
        if r.is_all(one, 1 << shift) and (same := _same_type(r, index, other)) is not None:
            return same
    if a == b and r.new(a).kind == "to_int":
        return a  # 0 and 1 are their own squares
    return None


def _extreme(r: Rewriter, index: int, operands: Operands) -> int | None:
    return _same_type(r, index, operands[0]) if operands[0] == operands[1] else None


def _abs(r: Rewriter, index: int, operands: Operands) -> int | None:
    if r.new(operands[0]).kind == "abs":
        return operands[0]
    inner = _operand(r, operands[0], "neg")
    return None if inner is None else r.emit("abs", (inner,), r.old(index))


# -- bools -----------------------------------------------------------------------------------------------------------


def _not(r: Rewriter, index: int, operands: Operands) -> int | None:
    return _operand(r, operands[0], "not")


def _opposite(r: Rewriter, a: int, b: int) -> bool:
    return _operand(r, a, "not") == b or _operand(r, b, "not") == a


def _junction(neutral: int) -> Rule:
    """The rule for `and` (neutral element 1) and `or` (0)."""

    def rule(r: Rewriter, index: int, operands: Operands) -> int | None:
        operation, (a, b) = r.old(index), operands
        if a == b:
            return _same_type(r, index, a)
        if _opposite(r, a, b):
            return r.filled(1 - neutral, operation.type, operation)
        for one, other in ((a, b), (b, a)):
            if r.is_all(one, 1 - neutral):
                return r.filled(1 - neutral, operation.type, operation)
            if r.is_all(one, neutral):
                return _same_type(r, index, other)
        return None

    return rule


def _xor(r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, (a, b) = r.old(index), operands
    if a == b or _opposite(r, a, b):
        return r.filled(int(a != b), operation.type, operation)
    for one, other in ((a, b), (b, a)):
        if r.new(other).type.shape == operation.type.shape:
            if r.is_all(one, 0):
                return _same_type(r, index, other)
            if r.is_all(one, 1):
                return _not_of(r, other, operation)
    return None


def _not_of(r: Rewriter, position: int, like: Operation) -> int:
    inner = _operand(r, position, "not")
    return r.emit("not", (position,), like) if inner is None else inner


def _against_itself(result: int) -> Rule:
    def rule(r: Rewriter, index: int, operands: Operands) -> int | None:
        operation = r.old(index)
        return r.filled(result, operation.type, operation) if operands[0] == operands[1] else None

    return rule


def _select(r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, (condition, x, y) = r.old(index), operands
    if x == y or r.is_all(condition, 1):
        return r.spread(x, operation.type.shape, operation)
    if r.is_all(condition, 0):
        return r.spread(y, operation.type.shape, operation)
    inner = _operand(r, condition, "not")
    return None if inner is None else r.emit("select", (inner, y, x), operation)


# -- shapes and scales -----------------------------------------------------------------------------------------------


def _unchanged(r: Rewriter, index: int, operands: Operands) -> int | None:
    return _same_type(r, index, operands[0])


def _reshape(r: Rewriter, index: int, operands: Operands) -> int | None:
    same, inner = _same_type(r, index, operands[0]), _operand(r, operands[0], "reshape")
    if same is not None or inner is None:
        return same
    operation = r.old(index)
    if r.new(inner).type == operation.type:
        return inner
    return r.emit("reshape", (inner,), operation, **operation.attributes)


def _transpose(r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, axes, position = r.old(index), list(r.old(index).attributes["axes"]), operands[0]
    inner = r.new(position)
    if inner.kind == "transpose":
        axes, position = [inner.attributes["axes"][axis] for axis in axes], inner.operands[0]
    if axes == sorted(axes):
        return position
    return r.emit("transpose", (position,), operation, axes=axes)


_RULES: dict[str, Rule] = {
    "add": _add,
    "sub": _sub,
    "neg": _neg,
    "mul": _mul,
    "minimum": _extreme,
    "maximum": _extreme,
    "abs": _abs,
    "not": _not,
    "and": _junction(1),
    "or": _junction(0),
    "xor": _xor,
    "lt": _against_itself(0),
    "eq": _against_itself(1),
    "select": _select,
    "rescale": _unchanged,
    "broadcast": _unchanged,
    "reshape": _reshape,
    "transpose": _transpose,
}
