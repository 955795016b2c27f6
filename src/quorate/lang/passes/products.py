"""Sums of products become inner products, which communicate one element however many products they add up."""

from __future__ import annotations

from functools import partial
from typing import Any

from quorate.errors import UserError
from quorate.lang.dims import Shape, text_of
from quorate.lang.operations.arithmetic import product_range
from quorate.lang.operations.base import concrete
from quorate.lang.passes.facts import Facts
from quorate.lang.passes.rewrite import Rewriter, apply_rules
from quorate.lang.passes.terms import Term, add_up, roots, terms_of
from quorate.lang.plan import Operation, Plan, Type
from quorate.sharing.dtype import INT

__all__ = ["fuse_sums", "fuse_terms"]

Operands = tuple[int, ...]


# -- the sum over an axis of a product -------------------------------------------------------------------------------


def fuse_sums(plan: Plan, facts: Facts | None) -> Plan:
    """Sums over products are inner products.

    So are `(x @ y).sum(axis)`, and sums of what a bool chooses where that is cheaper. Products of fixed-point numbers
    are then added up before they are truncated, which has to fit.
    """
    return apply_rules(plan, {"sum": partial(_fused_sum, None if facts is None else _Room(plan, facts))})


class _Room:
    """Whether sums of products fit before they are truncated, and what choices cost."""

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self.facts, self.ranges = facts, facts.ranges(plan)
        self.bound = plan.bind(facts.rows)
        self.limit = 1 << facts.protocols[0].capacity

    def for_sum(self, index: int) -> bool:
        """Whether an old sum, or sum of sums, of products fits."""
        operation, count = self.bound.operations[index], 1
        while operation.kind == "sum":
            count *= concrete(self._operand(operation).type.shape)[operation.attributes["axis"]]
            operation = self._operand(operation)
        if operation.kind == "dot":
            count *= concrete(self._operand(operation).type.shape)[-1]
        ranges: list[Any] = [self.ranges[operand] for operand in operation.operands]
        low, high = product_range(*ranges)
        return max(-low, high) * count < self.limit

    def _operand(self, operation: Operation) -> Operation:
        return self.bound.operations[operation.operands[0]]

    def sum_of_chosen_pays(self, index: int) -> bool:
        """Whether an old sum over a choice costs more than conversion of the bools and an inner product."""
        operation = self.bound.operations[index]
        chosen = self._operand(operation)
        types = [self.bound.operations[one].type for one in chosen.operands]
        ranges = [self.ranges[one] for one in chosen.operands]
        flags, last = (
            Type(INT, chosen.type.shape),
            [*operation.type.shape, chosen.type.shape[operation.attributes["axis"]]],
        )
        sides = [Type(INT, tuple(last)), Type(chosen.type.dtype, tuple(last))]
        before = self.facts.price("select", types, ranges, {}, chosen.type)
        convert = self.facts.price("to_int", types[:1], [(0, 1)], {}, flags)
        multiply = self.facts.price("dot", sides, [(0, 1), ranges[1]], {}, operation.type)
        fewer = convert.rounds + multiply.rounds <= before.rounds
        return fewer and convert.total + multiply.total < before.total


def _fused_sum(room: _Room | None, r: Rewriter, index: int, operands: Operands) -> int | None:
    operation = r.old(index)
    product, axis = operation.operands[0], operation.attributes["axis"]
    made, used = r.new(operands[0]), r.old(product)
    if r.uses[product] != 1:
        return None
    if made.kind == used.kind == "select" and room is not None and room.sum_of_chosen_pays(index):
        return _sum_of_chosen(r, made, operation)
    if made.kind not in ("mul", "dot") or used.kind not in ("mul", "dot", "sum"):
        return None
    if not all(r.new(operand).type.secret for operand in made.operands):
        return None
    if made.attributes.get("shift", 0) and not (room is not None and room.for_sum(index)):
        return None
    try:
        sides = [_summed_last(r, operand, made, axis, operation) for operand in made.operands]
    except UserError:  # sizes that cannot be put together before the plan is bound
        return None
    return r.emit("dot", sides, operation, **made.attributes)


def _sum_of_chosen(r: Rewriter, made: Operation, operation: Operation) -> int | None:
    """The sum over a choice between a value and zero."""
    condition, x, y = made.operands
    if not r.is_all(y, 0) or r.new(condition).type.shape != made.type.shape:
        return None
    flags = r.emit("to_int", (condition,), operation)
    product = Operation("mul", (), {}, made.type)
    sides = [_summed_last(r, side, product, operation.attributes["axis"], operation) for side in (x, flags)]
    return r.emit("dot", sides, operation)


def _summed_last(r: Rewriter, operand: int, product: Operation, axis: int, like: Operation) -> int:
    """One side of the product with the axis of the sum last; of an inner product, as part of its last axis."""
    inner = product.kind == "dot"
    shape: Shape = r.new(operand).type.shape if inner else product.type.shape
    side = r.spread(operand, shape, like)
    rest = [k for k in range(len(product.type.shape)) if k != axis]
    order = [*rest, axis, *([len(shape) - 1] if inner else [])]
    if order != sorted(order):
        side = r.emit("transpose", (side,), like, axes=order)
    if not inner:
        return side
    sizes = r.new(side).type.shape
    merged = sizes[-2] * sizes[-1]  # type: ignore[operator]  # refused, where both are symbols
    return r.emit("reshape", (side,), like, shape=[text_of(size) for size in (*sizes[:-2], merged)])


# -- sums of products that are written out ---------------------------------------------------------------------------


def fuse_terms(plan: Plan, facts: Facts | None) -> Plan:
    """Products that are added up one by one are one inner product: one element, one truncation."""
    rewriter = Rewriter(plan)
    whole = roots(rewriter)
    for index in range(len(plan.operations)):
        made = _fused_terms(rewriter, index) if index in whole else None
        rewriter.place.append(rewriter.copy(index) if made is None else made)
    return rewriter.finish()


Alike = tuple[str, int, Shape]
"""Products that can be added up as one: their kind, their shift and their shape."""


def _fused_terms(r: Rewriter, index: int) -> int | None:
    groups: dict[Alike, list[Term]] = {}
    rest: list[Term] = []
    for sign, term in terms_of(r, index):
        key = _product(r, term)
        if key is None:
            rest.append((sign, term))
        else:
            groups.setdefault(key, []).append((sign, term))
    if not any(len(group) > 1 for group in groups.values()):
        return None
    operation = r.old(index)
    parts = [(sign, r.place[term]) for sign, term in rest]
    for (kind, shift, _), group in groups.items():
        if len(group) == 1:
            parts.append((group[0][0], r.place[group[0][1]]))
            continue
        operands = [operand for _, term in group for operand in r.new(r.place[term]).operands]
        attributes = {"signs": [sign for sign, _ in group]} | ({"shift": shift} if shift else {})
        fused = "products" if kind == "mul" else "inner_products"
        parts.append((1, r.emit(fused, operands, operation, **attributes)))
    return add_up(r, parts, operation)


def _product(r: Rewriter, term: int) -> Alike | None:
    """What an old operation has in common with others, if it is a product of secrets that only this sum uses."""
    operation, made = r.old(term), r.new(r.place[term])
    if operation.kind not in ("mul", "dot") or r.uses[term] != 1 or made.kind != operation.kind:
        return None
    if not all(r.new(operand).type.secret for operand in made.operands):
        return None
    return made.kind, made.attributes.get("shift", 0), made.type.shape
