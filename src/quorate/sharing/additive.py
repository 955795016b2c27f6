"""Additive sharing modulo 2**64: n random parts that sum to the secret. All n are needed; fewer know nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["combine", "split"]

Array = npt.NDArray[Any]


def split(values: Array, masks: Sequence[Array]) -> list[Array]:
    """Parts of `values` (uint64, any shape) for len(masks) + 1 parties; `masks` are uniform arrays of that shape."""
    rest = values.copy()
    for mask in masks:
        rest -= mask
    return [*masks, rest]


def combine(parts: Sequence[Array]) -> Array:
    """The secret, uint64."""
    total = np.zeros_like(parts[0])
    for part in parts:
        total += part
    return total
