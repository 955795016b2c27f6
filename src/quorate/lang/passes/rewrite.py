"""How passes make a new plan from an old one: operations in order, equal ones once, unused ones left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quorate.lang.dims import Shape, text_of
from quorate.lang.operations import kind_of
from quorate.lang.plan import Operation, Plan, Type

__all__ = ["Rewriter", "Rule", "apply_rules", "is_constant", "needed"]

COMMUTATIVE = frozenset({"add", "mul", "eq", "and", "or", "xor", "minimum", "maximum", "dot"})
"""Kinds whose two operands may change places; uses that differ in nothing else are equal."""


class Rewriter:
    """A plan under construction, made from `plan`.

    Positions of the old plan and of the new one are both plain numbers: `place[old]` is the new position of the value
    that an old operation had.

    Attributes:
        plan: the old plan.
        operations: the new operations so far.
        place: new positions of the old operations so far.
        uses: how often each old operation is used by others or as an output.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.operations: list[Operation] = []
        self.place: list[int] = []
        self.uses = [0] * len(plan.operations)
        self._known: dict[object, int] = {}
        for operation in plan.operations:
            for operand in operation.operands:
                self.uses[operand] += 1
        for target in plan.outputs.values():
            self.uses[target] += 1

    def old(self, index: int) -> Operation:
        """An operation of the old plan."""
        return self.plan.operations[index]

    def new(self, index: int) -> Operation:
        """An operation of the new plan."""
        return self.operations[index]

    def copy(self, index: int) -> int:
        """An old operation as it is, on the new positions of its operands."""
        operation = self.plan.operations[index]
        operands = tuple([self.place[operand] for operand in operation.operands])
        before = [self.plan.operations[operand].type for operand in operation.operands]
        same = before == [self.operations[operand].type for operand in operands]
        return self._add(operation.kind, operands, operation.attributes, operation, operation.type if same else None)

    def emit(self, kind: str, operands: Sequence[int], like: Operation, **attributes: Any) -> int:
        """A new operation on new positions; `like` is the old one for which it stands, for its source line.

        Raises:
            UserError: types or shapes do not fit.
        """
        return self._add(kind, tuple(operands), attributes, like, None)

    def filled(self, raw: int, type_: Type, like: Operation) -> int:
        """A public value of the type's data type and shape, all of whose elements are the raw integer `raw`."""
        one = self.emit("constant", (), like, values=[raw], shape=[], dtype=str(type_.dtype))
        return self.spread(one, type_.shape, like)

    def spread(self, position: int, shape: Shape, like: Operation) -> int:
        """A new value broadcast to `shape`."""
        if self.operations[position].type.shape == shape:
            return position
        return self.emit("broadcast", (position,), like, shape=[text_of(size) for size in shape])

    def is_all(self, position: int, raw: int) -> bool:
        """Whether a new value is public and all its elements are the raw integer `raw`."""
        operation = self.operations[position]
        while operation.kind == "broadcast":
            operation = self.operations[operation.operands[0]]
        return is_constant(operation) and set(operation.attributes["values"]) == {raw}

    def finish(self) -> Plan:
        """The new plan, without operations that no output needs."""
        outputs = {name: self.place[target] for name, target in self.plan.outputs.items()}
        return needed(Plan(self.plan.name, tuple(self.operations), outputs))

    def _add(
        self, kind: str, operands: tuple[int, ...], attributes: Mapping[str, Any], like: Operation, type_: Type | None
    ) -> int:
        named = tuple(sorted(operands)) if kind in COMMUTATIVE else operands
        key = (kind, named, repr(sorted(attributes.items()))) if attributes else (kind, named)
        position = self._known.get(key)
        if position is None:
            if type_ is None:
                types = [self.operations[operand].type for operand in operands]
                type_ = kind_of(kind).type_of(types, attributes, like.type)
            position = self._known[key] = len(self.operations)
            same = like.attributes is attributes and like.operands == operands and like.type is type_
            self.operations.append(like if same else Operation(kind, operands, attributes, type_, like.where))
        return position


Rule = Callable[[Rewriter, int, tuple[int, ...]], int | None]
"""(rewriter, old operation, new positions of its operands) -> new position of its value; None to copy it."""


def apply_rules(plan: Plan, rules: Mapping[str, Rule]) -> Plan:
    """The plan with each operation replaced as the rule for its kind says."""
    rewriter = Rewriter(plan)
    for index, operation in enumerate(plan.operations):
        rule = rules.get(operation.kind)
        made = None
        if rule is not None:
            made = rule(rewriter, index, tuple([rewriter.place[operand] for operand in operation.operands]))
        rewriter.place.append(rewriter.copy(index) if made is None else made)
    return rewriter.finish()


def needed(plan: Plan) -> Plan:
    """The plan without operations that no output needs."""
    wanted = [False] * len(plan.operations)
    for target in plan.outputs.values():
        wanted[target] = True
    for index in range(len(plan.operations) - 1, -1, -1):
        if wanted[index]:
            for operand in plan.operations[index].operands:
                wanted[operand] = True
    if all(wanted):
        return plan
    place, kept = [0] * len(plan.operations), list[Operation]()
    for index, operation in enumerate(plan.operations):
        if wanted[index]:
            place[index] = len(kept)
            operands = tuple([place[operand] for operand in operation.operands])
            kept.append(Operation(operation.kind, operands, operation.attributes, operation.type, operation.where))
    return Plan(plan.name, tuple(kept), {name: place[target] for name, target in plan.outputs.items()})


def is_constant(operation: Operation) -> bool:
    """Whether an operation is a constant of known values."""
    return operation.kind == "constant" and "values" in operation.attributes
