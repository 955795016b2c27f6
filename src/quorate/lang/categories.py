"""Which texts the codes of a column stand for: public, and followed through operations that only move rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from quorate.errors import UserError
from quorate.lang.plan import Operation
from quorate.lang.public import time_hint

if TYPE_CHECKING:
    from quorate.lang.recorded import Recorded

__all__ = ["DIFFER", "Categories", "check_same", "codes_of", "traced"]

Categories = tuple[str, ...]
"""The texts of codes 0, 1, 2, ..."""

DIFFER = (
    "so their codes differ; owners agree on one list in one order: give all categories={...} of net.secret, or a schema"
)
"""What is wrong with columns of other lists, and what to do."""

Declared = Mapping[tuple[str, str], Categories]

_MOVING = ("index", "reshape", "broadcast", "aligned")
"""Kinds whose results are values of their one operand."""

_BUNDLES = {"sort": 0, "group": 0, "shuffle": 0, "compact": 1, "merge": 0}
"""Kinds whose k-th result holds values of operand k, or of one later."""


def traced(operations: Sequence[Operation], position: int, declared: Declared) -> Categories | None:
    """The texts that the values of an operation stand for; None where they are no codes, or of several lists."""
    seen: dict[int, Categories | None] = {}
    todo = [position]
    while todo:
        at = todo[-1]
        sources = _sources(operations, at)
        missing = [source for source in sources if source not in seen]
        if missing and at not in seen:
            todo.extend(missing)
            continue
        todo.pop()
        if at not in seen:
            seen[at] = _joined([seen[source] for source in sources]) if sources else _own(operations[at], declared)
    return seen[position]


def _own(operation: Operation, declared: Declared) -> Categories | None:
    if operation.kind != "input":
        return None
    return declared.get((operation.attributes["input"], operation.attributes["column"]))


def _joined(found: Sequence[Categories | None]) -> Categories | None:
    return found[0] if all(one == found[0] for one in found) else None


def _sources(operations: Sequence[Operation], position: int) -> list[int]:
    """The operations whose values an operation holds, as they are; public codes among them say nothing."""
    operation = operations[position]
    if operation.kind in _MOVING:
        return [operation.operands[0]]
    if operation.kind == "concat" and operation.attributes["axis"] == 0:
        return [one for one in operation.operands if not _public(operations, one)]
    if operation.kind == "item":
        return _of_bundle(operations[operation.operands[0]], operation.attributes["index"])
    return []


def _public(operations: Sequence[Operation], position: int) -> bool:
    while operations[position].kind in _MOVING:
        position = operations[position].operands[0]
    return operations[position].kind == "constant"


def _of_bundle(bundle: Operation, index: int) -> list[int]:
    place = index + _BUNDLES.get(bundle.kind, len(bundle.operands))
    if bundle.kind == "group" and index >= bundle.attributes["keys"]:
        return []
    if bundle.kind == "merge":
        return [bundle.operands[place], bundle.operands[place + len(bundle.operands) // 2]]
    return [bundle.operands[place]] if place < len(bundle.operands) else []


def check_same(arrays: Sequence[Recorded]) -> None:
    """Raises `UserError` if codes of differing lists of categories meet: below each other, or in a comparison."""
    lists = [found for array in arrays if (found := array.categories) is not None]
    if any(found != lists[0] for found in lists):
        other = next(found for found in lists if found != lists[0])
        order = ", the same in another order" if sorted(other) == sorted(lists[0]) else ""
        raise UserError(
            f"one column has the categories {', '.join(lists[0])}, another {', '.join(other)}{order}, {DIFFER}"
        )


def codes_of(array: Recorded, values: Any) -> Any:
    """Public values to compare an array with: texts as the codes of its categories, all others as they are.

    Raises:
        UserError: a text that is no category, or the array has none.
    """
    if isinstance(values, str):
        return _code(array, values)
    if isinstance(values, np.ndarray):
        return values if values.dtype.kind not in "OUS" else codes_of(array, values.tolist())
    if isinstance(values, list | tuple | set | frozenset) and any(isinstance(one, str) for one in values):
        return [_code(array, str(one)) for one in values]
    return values


def _code(array: Recorded, text: str) -> int:
    names = array.categories
    if names is None:
        told = time_hint(text) or "compare it with numbers"
        raise UserError(f"{text!r} is a text, and {array!r} has no categories; {told}")
    folded = [name.strip().casefold() for name in names]
    if (wanted := text.strip().casefold()) not in folded:
        raise UserError(f"{text!r} is none of the categories {', '.join(names)}")
    return folded.index(wanted)
