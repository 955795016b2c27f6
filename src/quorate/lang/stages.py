"""Where a plan may be interrupted: it is cut into stages, and a participant goes on from the end of any of them.

Operations are counted in levels: the longest chain of operations that communicate and end with it. A cut lies between
two levels, where few bytes are live, so that operations that do not depend on each other still run together. Cuts
follow from the plan alone, and are the same at all participants.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from quorate.lang.operations.base import Value, concrete, kind_of
from quorate.lang.plan import Plan, Type
from quorate.lang.snapshot import Snapshot
from quorate.sharing.share import Boolean, Share

__all__ = ["LEAST", "Stages", "fits", "stages_of"]

LEAST = 8
"""Levels that a stage has at least, where nothing else is said."""


@dataclass(frozen=True)
class Stages:
    """How a plan is run in stages.

    Attributes:
        save: called with (number of the stage, its snapshot) when a stage has ended and another follows. At that moment
            nothing of the plan is under way: everything that was sent for it has been asked for, and the other way
            round, and what is live was checked. Not called while counting.
        restored: where to go on; the finished stages are skipped. The keys of the session have to be the same.
        least: levels that a stage has at least; the same at all participants.
    """

    save: Callable[[int, Snapshot], None] | None = None
    restored: Snapshot | None = field(default=None, repr=False)
    least: int = LEAST


def stages_of(plan: Plan, least: int) -> list[int]:
    """The number of the stage of every operation of a bound plan, from 0; inputs belong to the first."""
    levels = _levels(plan)
    cuts = _cuts(_live(plan, levels), max(1, least))
    return [bisect_left(cuts, level) for level in levels]


def _levels(plan: Plan) -> list[int]:
    levels: list[int] = []
    for operation in plan.operations:
        before = max((levels[operand] for operand in operation.operands), default=0)
        types = [plan.operations[operand].type for operand in operation.operands]
        local = operation.kind == "input" or kind_of(operation.kind).local(operation, types)
        levels.append(before if local else before + 1)
    return levels


def _live(plan: Plan, levels: Sequence[int]) -> list[int]:
    """Bytes that are live between every level and the next."""
    last = list(levels)
    for index, operation in enumerate(plan.operations):
        for operand in operation.operands:
            last[operand] = max(last[operand], levels[index])
    change = [0] * (max(levels, default=0) + 1)
    for index, operation in enumerate(plan.operations):
        if last[index] > levels[index]:
            size = _size(operation.type)
            change[levels[index]] += size
            change[last[index]] -= size
    return list(accumulate(change))


def _size(type_: Type) -> int:
    if type_.parts:
        return sum(_size(part) for part in type_.parts)
    return math.prod(concrete(type_.shape)) * (1 if type_.dtype.kind == "bool" else 8)


def _cuts(live: Sequence[int], least: int) -> list[int]:
    """Levels after which a stage ends: within `least` levels the one with the fewest bytes."""
    cuts: list[int] = []
    start, depth = 0, len(live) - 1
    while depth - start >= 2 * least:
        start = min(range(start + least, min(start + 2 * least, depth - least + 1)), key=lambda level: live[level])
        cuts.append(start)
    return cuts


def fits(value: Value | list[Value], type_: Type) -> bool:
    """Whether a stored value is of this type."""
    if isinstance(value, list):
        return len(value) == len(type_.parts) and all(map(fits, value, type_.parts))
    arrays = value.parts if isinstance(value, Share) else (value,)
    if type_.parts or any(array.shape != concrete(type_.shape) for array in arrays):
        return False
    return not isinstance(value, Share) or isinstance(value, Boolean) == (type_.dtype.kind == "bool")
