"""Two ways in which parts add up to a secret: sums modulo 2**64, and exclusive or."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["SUM", "XOR", "Group", "pair", "total"]

Array = npt.NDArray[Any]


class Group(NamedTuple):
    """Addition of parts and its inverse."""

    add: np.ufunc
    sub: np.ufunc


SUM = Group(np.add, np.subtract)
XOR = Group(np.bitwise_xor, np.bitwise_xor)


def total(parts: list[Array], group: Group = XOR) -> Array:
    """All parts together."""
    result = parts[0]
    for part in parts[1:]:
        result = group.add(result, part)
    return np.asanyarray(result)


def pair(one: int, other: int) -> tuple[int, int]:
    """Two indices in ascending order, which is how a common key is named."""
    return (one, other) if one < other else (other, one)
