"""A plan as a picture: boxes for operations, alike ones drawn once if there are many, and what takes longest.

Both the tree and the drawing of `quorate explain` are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from quorate.coordination.breakdown import OperationCost
from quorate.lang.operations import kind_of
from quorate.lang.operations.io import constant_values
from quorate.lang.plan import Operation, Plan

__all__ = ["Box", "Outline", "Style", "critical_path", "outline"]

MOST_BOXES = 24
"""Above so many boxes, operations that are alike share one."""

_CONSTANTS = 3
_ALIKE = "operations that do the same share a box"

Style = Literal["input", "local", "interactive", "opening"]


@dataclass
class Box:
    """One operation of the plan, or several that are alike.

    Attributes:
        members: positions in the plan, in order; the first stands for all.
        style: what kind of work it is: data that comes in, local, with messages, or one that opens something.
        operands: the boxes whose values it uses, without constants.
        constants: values of constant operands, shortened.
        rounds, bytes_sent, seconds: of all members, where those that do the same run together.
    """

    members: list[int]
    kind: str
    style: Style
    where: str
    operands: list[int] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    rounds: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Outline:
    """Boxes in an order in which operands come first (boxes of repeated source lines may use each other in turn).

    Attributes:
        boxes: see `Box`.
        place: operation of the plan -> its box; constants have none.
        folded: how alike operations were put together, in words; empty if every operation has a box of its own.
    """

    boxes: list[Box]
    place: dict[int, int]
    folded: str


def outline(plan: Plan, costs: Sequence[OperationCost], most: int = MOST_BOXES) -> Outline:
    """The boxes of a plan: one per operation if these are at most `most`, else one per group of like operations.

    Alike are operations that do the same to operands that are alike; if that is not enough, those of the same kind in
    the same line of the source; then those of the same kind.
    """
    shown = [index for index, operation in enumerate(plan.operations) if operation.kind != "constant"]
    signatures = _signatures(plan)
    ways: list[tuple[str, Callable[[int], Hashable]]] = [
        ("", lambda index: index),
        (_ALIKE, lambda index: signatures[index]),
        ("operations of one kind in one source line share a box", lambda index: _line(plan.operations[index])),
        ("operations of one kind share a box", lambda index: plan.operations[index].kind),
    ]
    fitting = (way for way in ways if len({way[1](index) for index in shown}) <= most)
    words, key = next(fitting, ways[-1])
    return _folded(plan, costs, shown, key, words, together=words in ("", _ALIKE))


def _signatures(plan: Plan) -> list[int]:
    """Equal numbers for operations that do the same to like operands, whatever their constants."""
    numbers: dict[Hashable, int] = {}
    result: list[int] = []
    for operation in plan.operations:
        operands = tuple(result[operand] for operand in operation.operands)
        text = str(sorted(operation.attributes)) if operation.kind == "constant" else str(dict(operation.attributes))
        key = (operation.kind, text, str(operation.type), operands)
        result.append(numbers.setdefault(key, len(numbers)))
    return result


def _line(operation: Operation) -> Hashable:
    return operation.kind, operation.where


def _folded(
    plan: Plan,
    costs: Sequence[OperationCost],
    shown: Sequence[int],
    key: Callable[[int], Hashable],
    words: str,
    *,
    together: bool,
) -> Outline:
    boxes: list[Box] = []
    numbers: dict[Hashable, int] = {}
    place: dict[int, int] = {}
    for index in shown:
        operation = plan.operations[index]
        number = numbers.setdefault(key(index), len(boxes))
        if number == len(boxes):
            boxes.append(Box([], operation.kind, _style(plan, operation), operation.where))
        place[index] = number
        _enter(boxes[number], index, costs[index], together=together)
    for index in shown:
        _connect(plan, boxes[place[index]], place[index], plan.operations[index], place)
    return Outline(boxes, place, words)


def _enter(box: Box, index: int, cost: OperationCost, *, together: bool) -> None:
    """Count an operation in; of those that run together only the first one's rounds take time."""
    shares = together and bool(box.members)
    box.members.append(index)
    box.rounds += 0 if shares else cost.rounds
    box.bytes_sent += cost.bytes_sent
    box.seconds += cost.bulk_seconds if shares else cost.seconds


def _connect(plan: Plan, box: Box, number: int, operation: Operation, place: Mapping[int, int]) -> None:
    for operand in operation.operands:
        target = place.get(operand)
        if target is not None and target != number and target not in box.operands:
            box.operands.append(target)
        if target is None and len(box.members) == 1:
            box.constants.append(_constant(plan.operations[operand]))


def _constant(operation: Operation) -> str:
    """The first values of a constant, in real units."""
    if "rows" in operation.attributes:
        return "a number of rows"
    values = operation.type.dtype.decode(constant_values(operation.attributes)).reshape(-1)
    text = ", ".join(f"{value:.6g}" for value in values[:_CONSTANTS].tolist())
    return text if values.size <= _CONSTANTS else f"{text}, ... ({values.size})"


def _style(plan: Plan, operation: Operation) -> Style:
    if operation.kind == "input":
        return "input"
    kind = kind_of(operation.kind)
    types = [plan.operations[operand].type for operand in operation.operands]
    if kind.local(operation, types):
        return "local"
    return "opening" if kind.opens else "interactive"


def critical_path(plan: Plan, costs: Sequence[OperationCost], target: int) -> list[int]:
    """The operations on the chain to `target` whose predicted times add up to most; those that take none left out."""
    best: list[float] = []
    before: list[int | None] = []
    for index, operation in enumerate(plan.operations[: target + 1]):
        previous = max(operation.operands, key=lambda operand: (best[operand], -operand), default=None)
        best.append(costs[index].seconds + (0.0 if previous is None else best[previous]))
        before.append(previous)
    path: list[int] = []
    here: int | None = target
    while here is not None:
        path.append(here)
        here = before[here]
    return [index for index in reversed(path) if costs[index].seconds > 0]
