"""What is known of the values while a computation is being recorded: how far they can reach, what codes stand for.

Whoever writes an algorithm for fixed-point numbers has to choose scales. They follow from the declared ranges of the
columns and from the largest numbers of rows, which are public, and never from the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import UserError
from quorate.lang.categories import Categories, traced
from quorate.lang.dims import Size, bind_size
from quorate.lang.operations.base import Bounds, Range
from quorate.lang.plan import Operation, Plan, bound_operation
from quorate.lang.ranges import range_of
from quorate.protocols.base import Protocol
from quorate.protocols.registry import default_threshold, make, protocol_class

__all__ = ["Known", "Limits", "reference"]

Limits = tuple[float, float]
"""The smallest and the largest value that an array may hold, in real units."""


@dataclass
class Known:
    """Public facts about the inputs of a computation.

    Attributes:
        bounds: (input, column) -> smallest and largest raw value.
        rows: input -> most rows that it may have.
        protocol: what values have to fit.
        categories: (input, column) -> the texts of codes 0, 1, 2, ..., for columns of categories.
    """

    bounds: dict[tuple[str, str], Range]
    rows: dict[str, int]
    protocol: Protocol
    categories: dict[tuple[str, str], Categories] = field(default_factory=dict)
    _ranges: dict[int, Bounds] = field(default_factory=dict, repr=False)
    _bound: dict[int, Operation] = field(default_factory=dict, repr=False)

    @property
    def capacity(self) -> int:
        """Raw values lie strictly between -2**capacity and 2**capacity."""
        return self.protocol.capacity

    def size(self, size: Size) -> int:
        """A size, with the most rows that there may be in place of row counts."""
        return bind_size(size, self.rows)

    def categories_of(self, operations: Sequence[Operation], position: int) -> Categories | None:
        """The texts that the values of an operation stand for; None where they are no codes of one list."""
        return traced(operations, position, self.categories) if self.categories else None

    def limits(self, operations: Sequence[Operation], position: int) -> Limits:
        """How far the values of an operation can reach.

        Raises:
            UserError: it has several results, a range is not declared, or values may not fit the protocol.
        """
        found = self._range(operations, position)
        if isinstance(found, list):
            raise UserError("an operation with several results has no range of its own; take one of them first")
        scale = operations[position].type.dtype.scale
        return math.ldexp(found[0], -scale), math.ldexp(found[1], -scale)

    def _range(self, operations: Sequence[Operation], position: int) -> Bounds:
        todo = [position]
        while todo:
            at = todo[-1]
            missing = [o for o in operations[at].operands if o not in self._ranges]
            if at in self._ranges or not missing:
                todo.pop()
                if at not in self._ranges:
                    self._ranges[at] = self._one(operations, at)
            else:
                todo.extend(missing)
        return self._ranges[position]

    def _one(self, operations: Sequence[Operation], position: int) -> Bounds:
        bound = _Sparse(self._bound, len(operations))
        self._bound[position] = bound_operation(operations[position], self.rows, operations, bound)
        plan = Plan("", bound)  # type: ignore[arg-type]
        return range_of(plan, position, self._ranges, self.protocol, _NOWHERE, self.bounds)


_NOWHERE = Scope.root("known")


class _Sparse(Sequence[Operation]):
    """Those operations of a plan that were looked at, by position."""

    def __init__(self, held: Mapping[int, Operation], length: int) -> None:
        self._held, self._length = held, length

    def __getitem__(self, position: int) -> Operation:  # type: ignore[override]
        return self._held[position]

    def __len__(self) -> int:
        return self._length


def reference(name: str = "clear", parties: int | None = None, threshold: int | None = None) -> Protocol:
    """A protocol to ask what fits it; it computes nothing."""
    cls = protocol_class(name)
    count = cls.usual_parties if parties is None else parties
    names = tuple(f"party {k}" for k in range(count))
    session = Session(0, count, names, None, counting=True)
    return make(name, session, default_threshold(name, count) if threshold is None else threshold)
