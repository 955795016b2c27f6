"""Memory that is used again instead of being given back: first touches cost more than the arithmetic on it.

The operating system zeroes fresh pages one fault at a time, which costs several times what a copy costs, and the C
library returns large blocks as soon as they are free.
"""

from __future__ import annotations

import ctypes
import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Pool", "keep_freed_memory"]

SMALLEST = 1 << 20
"""Arrays below this many bytes are left to the C library."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Tell the C library (glibc) of this process to keep what is freed; elsewhere nothing happens.

    For processes that do one computation and end, such as the worker of a session.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 << 20)
        mallopt(_TRIM_THRESHOLD, 1 << 30)


def _free(blocks: list[npt.NDArray[np.uint8]], references: int) -> npt.NDArray[np.uint8] | None:
    """The first block with no more than so many references, counted while this function looks at it."""
    for block in blocks:
        if sys.getrefcount(block) <= references:
            return block
    return None


def _references_when_idle() -> int:
    """What `sys.getrefcount` says in `_free` about a block that only its list knows; depends on the interpreter."""
    probe = [np.empty(1, np.uint8)]
    return next(count for count in range(1, 10) if _free(probe, count) is not None)


_IDLE = _references_when_idle()


class Pool:
    """Hands out large uninitialised arrays and uses their memory again once nobody refers to it.

    A view keeps its block referenced, so a block is free exactly when only the pool knows it.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, list[npt.NDArray[np.uint8]]] = {}

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """As `numpy.empty`."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if size < SMALLEST:
            return np.empty(shape, kind)
        blocks = self._blocks.setdefault(size, [])
        block = _free(blocks, _IDLE)
        if block is None:
            block = np.empty(size, np.uint8)
            blocks.append(block)
        return block.view(kind).reshape(shape)

    def clear(self) -> None:
        """Give everything back that is free."""
        self._blocks.clear()
