"""The products of AES in bit planes, see `quorate.kernels.aes`, as maps and as ands of planes.

By Karatsuba's method, as in the kernels: 3 ands for a product in GF(4), 9 in GF(16). So the four products of an inverse
take 9, 3, 6 and 18 ands of bits where a protocol has no products of its own in these fields; Boyar and Peralta ("A
Small Depth-16 Circuit for the AES S-Box", SEC 2012) need 32, in more rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.kernels import aes
from quorate.protocols.base import Bilinear, Times

__all__ = ["PRODUCT4", "PRODUCT16", "SCALE4", "SCALE16"]

Array = npt.NDArray[Any]
Planes = frozenset[int]
"""Planes (or ands) whose exclusive or is meant."""
Element = list[Planes]
"""An element of GF(4) or GF(16), its planes from the lowest on."""


class _Ands:
    """A list of ands of sums of planes."""

    def __init__(self) -> None:
        self.left: list[Planes] = []
        self.right: list[Planes] = []

    def both(self, a: Planes, b: Planes) -> Planes:
        """One and; the result names it by its number."""
        self.left.append(a)
        self.right.append(b)
        return frozenset([len(self.left) - 1])

    def times4(self, a: Element, b: Element) -> Element:
        """A product in GF(4), whose root has w**2 = w + 1."""
        high, low = self.both(a[1], b[1]), self.both(a[0], b[0])
        return [high ^ low, self.both(a[0] ^ a[1], b[0] ^ b[1]) ^ low]

    def times16(self, a: Element, b: Element) -> Element:
        """A product in GF(16), whose root has z**2 = z + w over GF(4)."""
        p = self.times4(a[2:], b[2:])
        q = self.times4(a[:2], b[:2])
        r = self.times4(_sum(a[:2], a[2:]), _sum(b[:2], b[2:]))
        return [q[0] ^ p[1], q[1] ^ p[1] ^ p[0], r[0] ^ q[0], r[1] ^ q[1]]


def _sum(a: Element, b: Element) -> Element:
    return [x ^ y for x, y in zip(a, b, strict=True)]


def _planes(count: int) -> Element:
    return [frozenset([plane]) for plane in range(count)]


def _sums(rows: Sequence[Planes]) -> Callable[[Array], Array]:
    chosen = [sorted(row) for row in rows]

    def sums(x: Array) -> Array:
        return np.stack([np.bitwise_xor.reduce(x[row], axis=0) for row in chosen])

    return sums


def _made(local: Times, ands: _Ands, result: Element) -> Bilinear:
    left, right = _sums(ands.left), _sums(ands.right)
    return Bilinear(local, lambda a, b: (left(a), right(b)), _sums(result))


def _product(local: Times, planes: int) -> Bilinear:
    ands = _Ands()
    times = ands.times4 if planes == 2 else ands.times16
    return _made(local, ands, times(_planes(planes), _planes(planes)))


def _scale(local: Times, planes: int) -> Bilinear:
    """The conjugate of an element of so many planes times one of half as many."""
    ands, half = _Ands(), planes // 2
    times = ands.times4 if half == 2 else ands.times16
    a, n = _planes(planes), _planes(half)
    low = times(_sum(a[:half], a[half:]), n)
    return _made(local, ands, low + times(a[half:], n))


PRODUCT4 = _product(aes.product4, 2)
PRODUCT16 = _product(aes.product16, 4)
SCALE4 = _scale(aes.scale4, 4)
SCALE16 = _scale(aes.scale16, 8)
