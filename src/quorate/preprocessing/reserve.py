"""What silent correlations make beyond what was asked for, first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.errors import InternalError

__all__ = ["Reserve"]

Array = npt.NDArray[Any]


class Reserve:
    """Arrays of equal length that belong together, ghosts among them; parts are views where possible."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Array, ...]] = deque()
        self.left = 0

    def put(self, arrays: Sequence[Array]) -> None:
        """Add to the end."""
        self._kept.append(tuple(arrays))
        self.left += len(arrays[0])

    def take(self, count: int) -> tuple[Array, ...]:
        """The first `count` rows of every array, which are then forgotten.

        Raises:
            InternalError: there are not so many, or nothing was ever put in.
        """
        if count > self.left or not self._kept:
            raise InternalError(f"{count} rows were asked of a reserve of {self.left}")
        taken: list[tuple[Array, ...]] = []
        missing = count
        while not taken or missing:
            first = self._kept.popleft()
            part = tuple(array[:missing] for array in first)
            rest = tuple(array[missing:] for array in first)
            if len(rest[0]) or not self._kept:  # the last one stays, if empty, to tell what arrays there are
                self._kept.appendleft(rest)
            missing -= len(part[0])
            taken.append(part)
        self.left -= count
        return taken[0] if len(taken) == 1 else tuple(np.concatenate(parts) for parts in zip(*taken, strict=True))
