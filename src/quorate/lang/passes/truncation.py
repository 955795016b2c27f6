"""Fewer truncations: scales are changed once instead of twice, inside products, and after sums instead of before."""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.errors import UserError
from quorate.lang.operations.arithmetic import product_range
from quorate.lang.operations.base import concrete
from quorate.lang.passes.facts import Facts
from quorate.lang.passes.rewrite import Rewriter, apply_rules
from quorate.lang.passes.terms import Term, add_up, roots, terms_of
from quorate.lang.plan import Operation, Plan, Type

__all__ = ["merge_scales", "truncate_sums"]

Operands = tuple[int, ...]
PRODUCTS = ("mul", "dot", "matmul", "products", "inner_products")


# -- one change of scale ---------------------------------------------------------------------------------------------


def merge_scales(plan: Plan, facts: Facts | None) -> Plan:
    """Changes of scale are merged.

    Several in a row become one, and one after a product becomes part of it. A factor that was made finer before a
    product that drops bits again is multiplied as it was.
    """
    return apply_rules(plan, {"rescale": _merged_scale} | dict.fromkeys(PRODUCTS[:3], _coarser_factors))


def _plain(operation: Operation) -> bool:
    """Whether an operation rounds as protocols truncate, and not in a way that its author asked for."""
    return "rounding" not in operation.attributes


def _merged_scale(r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, inner = r.old(index), r.new(operands[0])
    if not (_plain(operation) and _plain(inner)):
        return None
    scale, used = operation.attributes["scale"], r.old(operation.operands[0])
    single = r.uses[operation.operands[0]] == 1 and used.kind == inner.kind  # else it stands for a value used elsewhere
    if inner.kind == "rescale":
        before = r.new(inner.operands[0]).type.dtype.scale
        exact = inner.type.dtype.scale >= before
        if not exact and scale > inner.type.dtype.scale:
            return None  # bits are cut off on purpose
        if scale == before and r.new(inner.operands[0]).type == operation.type:
            return inner.operands[0]
        return r.emit("rescale", inner.operands, operation, scale=scale)
    if inner.kind in PRODUCTS and single:
        drop = inner.attributes.get("shift", 0) + inner.type.dtype.scale - scale
        if 0 <= drop < 60 and (drop or operation.type.dtype == inner.type.dtype):
            shift = {"shift": drop} if drop else {}
            rest = {name: value for name, value in inner.attributes.items() if name != "shift"}
            return _same_type(r, r.emit(inner.kind, inner.operands, operation, **rest, **shift), operation)
    return None


def _same_type(r: Rewriter, position: int, operation: Operation) -> int | None:
    return position if r.new(position).type == operation.type else None


def _coarser_factors(r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, shift, factors = r.old(index), r.old(index).attributes.get("shift", 0), list(operands)
    if not shift or not _plain(operation):
        return None
    for place, factor in enumerate(operands):
        finer = r.new(factor)
        if finer.kind == "rescale":
            up = finer.type.dtype.scale - r.new(finer.operands[0]).type.dtype.scale
            if 0 < up <= shift:
                factors[place], shift = finer.operands[0], shift - up
    if factors == list(operands):
        return None
    made = r.emit(operation.kind, factors, operation, **({"shift": shift} if shift else {}))
    return _same_type(r, made, operation)


# -- sums before truncations -----------------------------------------------------------------------------------------


class _Finer(NamedTuple):
    """A value that is truncated: what makes it before that, on new positions, and where its range is known from."""

    kind: str
    operands: Operands
    drop: int
    term: int


def truncate_sums(plan: Plan, facts: Facts | None) -> Plan:
    """Sums are truncated once, after they are added up, where that fits."""
    if facts is None:
        return plan
    room = _Room(plan, facts)
    rewriter = Rewriter(plan)
    whole = roots(rewriter)
    for index, operation in enumerate(plan.operations):
        made = None
        if index in whole:
            made = _sum_first(rewriter, room, index)
        elif operation.kind == "sum":
            made = _axis_first(rewriter, room, index)
        rewriter.place.append(rewriter.copy(index) if made is None else made)
    return rewriter.finish()


class _Room:
    """The ranges of values before they are truncated."""

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self.ranges = facts.ranges(plan)
        self.bound = plan.bind(facts.rows)
        self.limit = 1 << facts.protocols[0].capacity

    def reach(self, term: int) -> int:
        """The largest magnitude of an old value before it is truncated."""
        operation = self.bound.operations[term]
        ranges: list[Any] = [self.ranges[operand] for operand in operation.operands]
        low, high = product_range(*ranges) if operation.kind == "mul" else ranges[0]
        return max(abs(int(low)), abs(int(high)))

    def size(self, term: int, axis: int) -> int:
        """How many elements an old value has along an axis."""
        return concrete(self.bound.operations[term].type.shape)[axis]


def _finer(r: Rewriter, term: int) -> _Finer | None:
    """What an old value is before its truncation, if it is truncated by itself and used by one other operation."""
    operation, made = r.old(term), r.new(r.place[term])
    if r.uses[term] != 1 or made.kind != operation.kind or not _plain(made):
        return None
    if made.kind == "rescale":
        drop = r.new(made.operands[0]).type.dtype.scale - made.type.dtype.scale
        return _Finer("rescale", made.operands, drop, term) if drop > 0 else None
    shift = made.attributes.get("shift", 0)
    public = [not r.new(operand).type.secret for operand in made.operands]
    if made.kind == "mul" and shift and any(public):
        return _Finer("mul", made.operands, shift, term)
    return None


def _before(r: Rewriter, value: _Finer, like: Operation, scale: int) -> int:
    """The value before its truncation, in the new plan, at a scale. Raises `UserError` if that is too fine."""
    made = value.operands[0] if value.kind == "rescale" else r.emit("mul", value.operands, like)
    return made if r.new(made).type.dtype.scale == scale else r.emit("rescale", (made,), like, scale=scale)


def _sum_first(r: Rewriter, room: _Room, index: int) -> int | None:
    operation = r.old(index)
    groups: dict[Type, list[tuple[int, _Finer]]] = {}
    parts: list[Term] = []
    for sign, term in terms_of(r, index):
        finer = _finer(r, term)
        if finer is None:
            parts.append((sign, r.place[term]))
        else:
            groups.setdefault(r.new(r.place[term]).type, []).append((sign, finer))
    if not any(len(group) > 1 for group in groups.values()):
        return None
    for type_, group in groups.items():
        most = max(finer.drop for _, finer in group)
        reach = sum(room.reach(finer.term) << (most - finer.drop) for _, finer in group)
        if len(group) == 1 or reach >= room.limit:
            parts += [(sign, r.place[finer.term]) for sign, finer in group]
            continue
        try:
            finest = type_.dtype.scale + most
            total = add_up(r, [(sign, _before(r, finer, operation, finest)) for sign, finer in group], operation)
        except UserError:  # a scale that is too fine, or two kinds of numbers
            return None
        parts.append((1, r.emit("rescale", (total,), operation, scale=type_.dtype.scale)))
    return add_up(r, parts, operation)


def _axis_first(r: Rewriter, room: _Room, index: int) -> int | None:
    operation = r.old(index)
    term, axis = operation.operands[0], operation.attributes["axis"]
    finer = _finer(r, term)
    if finer is None or room.reach(term) * room.size(term, axis) >= room.limit:
        return None
    try:
        before = _before(r, finer, operation, operation.type.dtype.scale + finer.drop)
        total = r.emit("sum", (before,), operation, axis=axis)
    except UserError:
        return None
    return r.emit("rescale", (total,), operation, scale=operation.type.dtype.scale)
