"""Sums written out: the terms of a tree of additions, subtractions and changes of sign."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.lang.passes.rewrite import Rewriter
from quorate.lang.plan import Operation

__all__ = ["Term", "add_up", "roots", "terms_of"]

Term = tuple[int, int]
"""A sign, 1 or -1, and the position of an old operation."""

SUMS = ("add", "sub", "neg")


def roots(r: Rewriter) -> set[int]:
    """The old operations that are whole sums: trees of additions that no other addition alone goes on with."""
    inner = {
        operand
        for operation in r.plan.operations
        if operation.kind in SUMS
        for operand in operation.operands
        if _goes_on(r, operand, operation)
    }
    return {index for index, operation in enumerate(r.plan.operations) if operation.kind in SUMS and index not in inner}


def terms_of(r: Rewriter, root: int) -> list[Term]:
    """The terms of a whole sum, in order."""
    return list(_walk(r, root))


def _walk(r: Rewriter, root: int) -> Iterator[Term]:
    todo = [(1, root)]
    while todo:
        sign, index = todo.pop()
        operation = r.old(index)
        if operation.kind not in SUMS or (index != root and r.uses[index] != 1):
            yield sign, index
            continue
        last = -sign if operation.kind in ("sub", "neg") else sign
        todo.append((last, operation.operands[-1]))
        if len(operation.operands) == 2:
            todo.append((sign, operation.operands[0]))


def _goes_on(r: Rewriter, operand: int, operation: Operation) -> bool:
    return r.uses[operand] == 1 and r.old(operand).kind in SUMS


def add_up(r: Rewriter, terms: list[Term], like: Operation) -> int:
    """The sum of terms, given by new positions.

    Raises:
        UserError: their types do not fit.
    """
    (sign, total), *others = terms
    if sign < 0:
        total = r.emit("neg", (total,), like)
    for sign, term in others:
        total = r.emit("add" if sign > 0 else "sub", (total, term), like)
    return total
