"""Long chains of one associative operation become trees: as many operations, fewer rounds."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from quorate.lang.cost import is_local
from quorate.lang.operations.arithmetic import product_range
from quorate.lang.operations.base import Range
from quorate.lang.passes.facts import Facts
from quorate.lang.passes.rewrite import Rewriter
from quorate.lang.plan import Operation, Plan

__all__ = ["balance"]

KINDS = frozenset({"and", "or", "mul", "minimum", "maximum"})


def balance(plan: Plan, facts: Facts | None) -> Plan:
    """Chains become trees.

    `((a & b) & c) & d` is `(a & b) & (c & d)`, and so for `or`, products of integers, minima and maxima. What is ready
    first is put together first, so no chain gets longer. A power becomes one by squaring.
    """
    wanted = set() if facts is None else _below_chains(plan)
    if facts is None or not wanted:
        return plan
    rewriter, trees = Rewriter(plan), _Trees(plan, facts, wanted)
    inner = {index for index in range(len(plan.operations)) if trees.goes_on(rewriter, index)}
    for index, operation in enumerate(plan.operations):
        made = None
        if operation.kind in KINDS and index not in inner:
            made = trees.balanced(rewriter, index)
        rewriter.place.append(rewriter.copy(index) if made is None else made)
    return rewriter.finish()


def _below_chains(plan: Plan) -> set[int]:
    """The operations of chains of one kind, and all that they depend on: what has to be priced."""
    operations, uses = plan.operations, Rewriter(plan).uses
    todo = [
        index
        for index, operation in enumerate(operations)
        if operation.kind in KINDS
        and any(uses[operand] == 1 and _same_chain(operations[operand], operation) for operand in operation.operands)
        and not is_local(plan, operation)
    ]
    found: set[int] = set()
    while todo:
        index = todo.pop()
        if index not in found:
            found.add(index)
            todo.extend(operations[index].operands)
    return found


def _same_chain(before: Operation, operation: Operation) -> bool:
    """Whether an operation does the same as the one on whose result it works."""
    alike = before.kind == operation.kind and before.type == operation.type
    return alike and not before.attributes and not operation.attributes


class _Trees:
    """Chains of a plan; only operations that are `wanted` have their rounds known."""

    def __init__(self, plan: Plan, facts: Facts, wanted: set[int]) -> None:
        self.plan, self.facts = plan, facts
        self.rounds = facts.rounds(plan, wanted)
        self.ends: list[int] = []
        for operation, rounds in zip(plan.operations, self.rounds, strict=True):
            self.ends.append(max((self.ends[operand] for operand in operation.operands), default=0) + rounds)
        self.parents = self._only_parents()
        self.ranges = facts.ranges(plan)
        self.limit = 1 << facts.protocols[0].capacity

    def _only_parents(self) -> dict[int, int]:
        """Operation -> the operation of the same kind and type that alone uses it."""
        parents = {}
        for index, operation in enumerate(self.plan.operations):
            if operation.kind in KINDS and self.rounds[index]:
                for operand in operation.operands:
                    if _same_chain(self.plan.operations[operand], operation):
                        parents[operand] = index
        return parents

    def goes_on(self, r: Rewriter, index: int) -> bool:
        """Whether an old operation is an inner node of a tree."""
        return r.uses[index] == 1 and index in self.parents and self.rounds[index] > 0

    def balanced(self, r: Rewriter, root: int) -> int | None:
        """The tree below an old operation, rebuilt; None if that is not better."""
        leaves = self._leaves(r, root)
        rounds, operation = self.rounds[root], self.plan.operations[root]
        if len(leaves) < 3 or not rounds or self._end(leaves, rounds) >= self.ends[root]:
            return None
        heap = [(self.ends[leaf], order, r.place[leaf], self._range(leaf)) for order, leaf in enumerate(leaves)]
        if operation.kind == "mul" and not self._all_fit(heap):
            return None
        return self._build(r, heap, rounds, operation)

    def _leaves(self, r: Rewriter, root: int) -> list[int]:
        leaves, todo = [], [root]
        while todo:
            index = todo.pop()
            if index == root or (self.goes_on(r, index) and self.plan.operations[index].kind == self._kind(root)):
                todo.extend(reversed(self.plan.operations[index].operands))
            else:
                leaves.append(index)
        return leaves

    def _kind(self, index: int) -> str:
        return self.plan.operations[index].kind

    def _end(self, leaves: list[int], rounds: int) -> int:
        """The round in which the tree would end."""
        ends = [self.ends[leaf] for leaf in leaves]
        heapify(ends)
        while len(ends) > 1:
            heappush(ends, max(heappop(ends), heappop(ends)) + rounds)
        return ends[0]

    def _range(self, leaf: int) -> Range:
        range_ = self.ranges[leaf]
        return (0, 0) if isinstance(range_, list) else range_

    def _all_fit(self, heap: list[tuple[int, int, int, Range]]) -> bool:
        """Whether the product of any of the factors fits."""
        product = 1
        for *_, (low, high) in heap:
            product *= max(1, abs(low), abs(high))
        return product < self.limit

    def _build(self, r: Rewriter, heap: list[tuple[int, int, int, Range]], rounds: int, like: Operation) -> int:
        heapify(heap)
        order = len(heap)
        while len(heap) > 1:
            (_, _, a, first), (end, _, b, second) = heappop(heap), heappop(heap)
            made = r.emit(like.kind, (a, b), like)
            heappush(heap, (end + rounds, order, made, product_range(first, second)))
            order += 1
        return heap[0][2]
