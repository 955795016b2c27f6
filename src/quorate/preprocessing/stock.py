"""What is in stock of correlated randomness during a session: first in, first out, every tuple handed out once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError

__all__ = ["Parts", "Stock"]

Array = npt.NDArray[Any]
Parts = tuple[Array, ...]
"""What a party holds of some tuples of one kind: arrays whose first axis numbers the tuples."""


class Stock:
    """Tuples by kind. Parameters of a kind are part of its name, such as the width in "truncation pairs 16"."""

    __slots__ = ("_chunks",)

    def __init__(self) -> None:
        self._chunks: dict[str, deque[Parts]] = {}

    def kinds(self) -> dict[str, int]:
        """How many tuples of each kind there are."""
        return {kind: self.available(kind) for kind in sorted(self._chunks)}

    def available(self, kind: str) -> int:
        """How many tuples of this kind there are."""
        return sum(parts[0].shape[0] for parts in self._chunks.get(kind, ()))

    def put(self, kind: str, parts: Sequence[Array]) -> None:
        """Add tuples behind those that are there; the arrays belong to the stock from now on.

        Raises:
            InternalError: the arrays are not equally long.
        """
        if not parts or len({part.shape[0] for part in parts}) != 1:
            raise InternalError(f"{kind}: parts of shapes {[part.shape for part in parts]} are not of the same tuples")
        if parts[0].shape[0]:
            self._chunks.setdefault(kind, deque()).append(tuple(parts))

    def take(self, kind: str, count: int) -> Parts:
        """The oldest `count` tuples (at least one); they are gone from the stock.

        Raises:
            InternalError: there are not so many.
        """
        chunks = self._chunks.get(kind)
        if not chunks or self.available(kind) < count:
            raise InternalError(f"{count} {kind} were asked of a stock of {self.available(kind)}; please report this")
        taken: list[Parts] = []
        while count:
            first = chunks.popleft()
            if first[0].shape[0] > count:
                chunks.appendleft(tuple(part[count:] for part in first))
                first = tuple(part[:count] for part in first)
            taken.append(first)
            count -= first[0].shape[0]
        if len(taken) == 1:
            return taken[0]
        return tuple(np.concatenate(pieces) for pieces in zip(*taken, strict=True))

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()

    def __repr__(self) -> str:
        return f"<Stock of {self.kinds()}>"

    def __reduce__(self) -> NoReturn:
        raise InternalError("a stock in memory is not to be stored: its tuples could be used twice")
