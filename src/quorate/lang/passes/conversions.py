"""In which form bools are computed on: as bits, or as the integers 0 and 1; each is converted as rarely as possible."""

from __future__ import annotations

from functools import partial

from quorate.lang.operations.base import Bounds
from quorate.lang.passes.facts import Facts
from quorate.lang.passes.rewrite import Rewriter, Rule, apply_rules
from quorate.lang.plan import Operation, Plan, Type
from quorate.sharing.dtype import BOOL, INT

__all__ = ["convert_once", "keep_bits"]

Operands = tuple[int, ...]
BIT = (0, 1)


def keep_bits(plan: Plan, facts: Facts | None) -> Plan:
    """Logic on bools stays on bits.

    Products of converted bools are conversions of a conjunction, sums of them are counts. `not` after a conversion of
    the same bool is one minus it.
    """
    converted = {operation.operands[0] for operation in plan.operations if operation.kind == "to_int"}
    rules: dict[str, Rule] = {
        "mul": _conjunction,
        "to_int": partial(_opposite, converted),
    }
    if facts is not None:
        rules["sum"] = partial(_counted, facts, facts.ranges(plan))
    return apply_rules(plan, rules)


def _conjunction(r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, values = r.old(index), [r.new(operand) for operand in operands]
    alone = all(r.uses[operand] == 1 for operand in operation.operands)
    if not alone or any(value.kind != "to_int" for value in values) or operands[0] == operands[1]:
        return None
    both = r.emit("and", (values[0].operands[0], values[1].operands[0]), operation)
    return r.emit("to_int", (both,), operation)


def _opposite(converted: set[int], r: Rewriter, index: int, operands: Operands) -> int | None:
    operation = r.old(index)
    inner = r.old(operation.operands[0])
    if inner.kind != "not" or inner.operands[0] not in converted:
        return None
    number = r.emit("to_int", (r.place[inner.operands[0]],), operation)
    one = r.emit("constant", (), operation, values=[1], shape=[], dtype=str(INT))
    return r.emit("sub", (one, number), operation)


def _counted(facts: Facts, ranges: list[Bounds], r: Rewriter, index: int, operands: Operands) -> int | None:
    operation, number = r.old(index), r.new(operands[0])
    if number.kind != "to_int" or r.uses[operation.operands[0]] != 1:
        return None
    flags = number.operands[0]
    bits = r.new(flags).type.bind(facts.rows)
    axis, result = operation.attributes["axis"], operation.type.bind(facts.rows)
    before = facts.price("to_int", [bits], [BIT], {}, Type(INT, bits.shape))
    after = facts.price("count", [bits], [BIT], {"axis": axis}, result)
    if after.rounds > before.rounds or after.total > before.total:
        return None
    return r.emit("count", (flags,), operation, axis=axis)


def convert_once(plan: Plan, facts: Facts | None) -> Plan:
    """A bool that chooses several times is converted once, and multiplied with the differences.

    A bool that is converted for one product only is left to `select`, which may do both in one.
    """
    if facts is None:
        return plan
    shared = _Shared(plan, facts)
    return apply_rules(plan, {"select": shared.select, "mul": shared.product})


class _Shared:
    """Which conditions are worth converting, by the counted costs of the protocol."""

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self.facts, self.plan = facts, plan.bind(facts.rows)
        self.ranges = facts.ranges(plan)
        selects: dict[int, list[int]] = {}
        converted = set()
        for index, operation in enumerate(self.plan.operations):
            if operation.kind == "select" and self.plan.operations[operation.operands[0]].type.secret:
                selects.setdefault(operation.operands[0], []).append(index)
            elif operation.kind == "to_int":
                converted.add(operation.operands[0])
        self.chosen = {
            condition for condition, uses in selects.items() if self._pays(condition, uses, condition in converted)
        }

    def _pays(self, condition: int, selects: list[int], converted: bool) -> bool:
        """Whether conversion and products cost less than the selects, and take no more rounds."""
        if len(selects) == 1 and not converted:
            same = self.plan.operations[selects[0]].type.shape == self.plan.operations[condition].type.shape
            if same:
                return False
        bit = self.plan.operations[condition].type
        once = self.facts.price("to_int", [bit], [BIT], {}, Type(INT, bit.shape))
        before, after = 0, 0 if converted else once.total
        for index in selects:
            operation, types, ranges = self._operands(index)
            old = self.facts.price("select", types, ranges, {}, operation.type)
            flag = Type(INT, bit.shape)
            new = self.facts.price("blend", [flag, *types[1:]], [BIT, *ranges[1:]], {}, operation.type)
            if once.rounds + new.rounds > old.rounds:
                return False
            before, after = before + old.total, after + new.total
        return after < before

    def _operands(self, index: int) -> tuple[Operation, list[Type], list[Bounds]]:
        operation = self.plan.operations[index]
        operands = operation.operands
        return operation, [self.plan.operations[one].type for one in operands], [self.ranges[one] for one in operands]

    def select(self, r: Rewriter, index: int, operands: Operands) -> int | None:
        """As a blend, if its condition is converted."""
        operation, (condition, x, y) = r.old(index), operands
        if operation.operands[0] not in self.chosen:
            return None
        flag = r.emit("to_int", (condition,), operation)
        return r.emit("blend", (flag, x, y), operation)

    def product(self, r: Rewriter, index: int, operands: Operands) -> int | None:
        """c * x as select(c, x, 0), if c is a number for this alone."""
        operation = r.old(index)
        if operation.attributes:
            return None
        for place, other in ((0, 1), (1, 0)):
            number, factor = r.new(operands[place]), operands[other]
            if number.kind != "to_int" or r.uses[operation.operands[place]] != 1 or operands[0] == operands[1]:
                continue
            flag, value = number.operands[0], r.new(factor)
            if flag in self._conditions(r) or not self._select_pays(operation, place, other):
                continue
            zero = r.emit("constant", (), operation, values=[0], shape=[], dtype=str(value.type.dtype))
            return _of_type(r, r.emit("select", (flag, factor, zero), operation), operation)
        return None

    def _conditions(self, r: Rewriter) -> set[int]:
        return {r.place[condition] for condition in self.chosen if condition < len(r.place)}

    def _select_pays(self, operation: Operation, place: int, other: int) -> bool:
        bound = [self.plan.operations[operand] for operand in operation.operands]
        number, value = bound[place].type, bound[other].type
        if number.shape != value.shape or not value.secret:
            return False
        range_ = self.ranges[operation.operands[other]]
        bit, zero = Type(BOOL, number.shape), Type(value.dtype, (), False)
        convert = self.facts.price("to_int", [bit], [BIT], {}, number)
        multiply = self.facts.price("mul", [number, value], [BIT, range_], {}, value)
        both = self.facts.price("select", [bit, value, zero], [BIT, range_, (0, 0)], {}, value)
        return both.rounds <= convert.rounds + multiply.rounds and both.total < convert.total + multiply.total


def _of_type(r: Rewriter, position: int, operation: Operation) -> int | None:
    """A new value, if it has the type of the old one."""
    return position if r.new(position).type == operation.type else None
