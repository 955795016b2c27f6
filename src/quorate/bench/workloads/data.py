"""Public test data: reproducible, spread evenly, computed piece by piece."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Integral", "spread"]

Integral = npt.NDArray[np.int64]
MOST_COLUMNS = 256


def spread(column: int, start: int, count: int, bits: int, *, signed: bool = True) -> Integral:
    """Elements `start` to `start + count` of a column of integers below 2**bits in absolute value (bits >= 1).

    Columns are numbered from 0 to 255; with `signed` about half of the values are negative.
    """
    index = np.arange(start, start + count, dtype=np.uint64) * np.uint64(MOST_COLUMNS) + np.uint64(column)
    mixed = (index ^ (index >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xD1342543DE82EF95)
    mixed ^= mixed >> np.uint64(32)
    values = (mixed >> np.uint64(64 - bits)).astype(np.int64)
    return np.where(mixed & np.uint64(1), values, -values) if signed else values
