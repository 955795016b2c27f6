"""How much memory a party needs: the values of the plan that it holds at the same time, by what is still used later."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection

import numpy as np

from quorate.kernels.ghost import ghost
from quorate.lang.operations import kind_of
from quorate.lang.operations.base import concrete
from quorate.lang.plan import Plan, Type
from quorate.protocols.base import Protocol

__all__ = ["peak_live"]


def peak_live(plan: Plan, p: Protocol) -> int:
    """The most bytes of shares and public values that a party holds at once, working space not included.

    Args:
        plan: bound to row counts.
        p: a compute party's view of a session that is counting.
    """
    return _Live(plan, p).peak()


class _Live:
    """The executor's order without its work: what is ready goes on together, and a value goes with its last use."""

    def __init__(self, plan: Plan, p: Protocol) -> None:
        self.plan = plan
        arithmetic, bits = p.empty((1,)), p.public_bits(ghost((1,), np.uint8))
        self.per_number = sum(part.nbytes for part in arithmetic.parts)
        self.per_bit = sum(part.nbytes for part in bits.parts)
        self.sizes = [self._size(operation.type) for operation in plan.operations]
        self.consumers: list[list[int]] = [[] for _ in plan.operations]
        for index, operation in enumerate(plan.operations):
            for operand in set(operation.operands):
                self.consumers[operand].append(index)
        self.uses = [len(consumers) for consumers in self.consumers]
        self.missing = [len(set(operation.operands)) for operation in plan.operations]
        self.now = self.most = 0

    def peak(self) -> int:
        """Waves of operations that are ready, until all are done."""
        outputs = frozenset(self.plan.outputs.values())
        ready = deque(index for index, missing in enumerate(self.missing) if not missing)
        while ready:
            together = []
            while ready:
                index = ready.popleft()
                self._hold(self.sizes[index])
                if self._is_local(index):
                    self._end(index, ready, outputs)
                else:
                    together.append(index)
            for index in together:
                self._end(index, ready, outputs)
        return self.most

    def _is_local(self, index: int) -> bool:
        operation = self.plan.operations[index]
        if operation.kind == "input":
            return False
        types = [self.plan.operations[operand].type for operand in operation.operands]
        return kind_of(operation.kind).local(operation, types)

    def _end(self, index: int, ready: deque[int], outputs: Collection[int]) -> None:
        """An operation is done: start what waited for it, forget what nobody needs any more."""
        for consumer in self.consumers[index]:
            self.missing[consumer] -= 1
            if not self.missing[consumer]:
                ready.append(consumer)
        for operand in set(self.plan.operations[index].operands):
            self.uses[operand] -= 1
            if not self.uses[operand] and operand not in outputs:
                self._hold(-self.sizes[operand])

    def _hold(self, size: int) -> None:
        self.now += size
        self.most = max(self.most, self.now)

    def _size(self, type_: Type) -> int:
        if type_.parts:
            return sum(self._size(part) for part in type_.parts)
        elements = math.prod(concrete(type_.shape))
        if not type_.secret:
            return 8 * elements
        return elements * (self.per_bit if type_.dtype.kind == "bool" else self.per_number)
