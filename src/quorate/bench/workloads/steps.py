"""Workloads that are a step on two shared arrays: the primitives and circuits by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.bench.workloads.base import CHECKED, Workload, first_rows, opened, require_close, shared
from quorate.bench.workloads.data import Integral, spread
from quorate.circuits.compare import equal, less
from quorate.circuits.tiles import tiled, tiled_product
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Share

__all__ = ["FRACTION", "STEPS", "OnPair"]

FRACTION = 16
STEADY = 100_000
DEPENDENT = 10_000

Operation = Callable[[Protocol, Scope, Arithmetic, Arithmetic], Step[Share]]
Pair = tuple[Arithmetic, Arithmetic]


@dataclass(frozen=True)
class OnPair(Workload):
    """A step on two shared arrays of integers.

    Attributes:
        name: for messages.
        step: what is timed.
        expect: the same in the clear, on raw integers.
        sizes: the default sizes n.
        bits: operands are integers below 2**bits in absolute value, spread evenly.
        field_bits: the same for protocols over 2**61 - 1.
        shape: shape of the operands for size n.
        tolerance: units by which results may differ.
        count: elementary operations in one repetition of size n.
        alike: a quarter of the elements of the second operand are those of the first.
    """

    name: str
    step: Operation
    expect: Callable[[Integral, Integral], npt.NDArray[Any]]
    sizes: tuple[int, ...]
    bits: int
    field_bits: int
    shape: Callable[[int], tuple[int, ...]] = lambda n: (n,)
    tolerance: int = 0
    count: Callable[[int], int] = int
    alike: bool = False

    def operations(self, size: int) -> int:
        return self.count(size)

    def values(self, p_bits: int, which: int, start: int, count: int) -> Integral:
        """Part of an operand."""
        values = spread(which, start, count, p_bits)
        if which and self.alike:
            first, index = spread(0, start, count, p_bits), np.arange(start, start + count)
            values = np.where(index % 4 == 0, first, values)
        return values

    def operands(self, p: Protocol, at: Scope, size: int) -> Step[Pair]:
        bits, shape = self._width(p), self.shape(size)
        x = yield from shared(p, at.child("x"), 0, shape, partial(self.values, bits, 0))
        y = yield from shared(p, at.child("y"), 1 % p.parties, shape, partial(self.values, bits, 1))
        return x, y

    def blanks(self, p: Protocol, size: int) -> Pair:
        return p.empty(self.shape(size)), p.empty(self.shape(size))

    def work(self, p: Protocol, at: Scope, size: int, operands: Pair) -> Step[Share]:
        return self.step(p, at, *operands)

    def check(self, p: Protocol, at: Scope, size: int, result: Share) -> Step[None]:
        got = yield from opened(p, at, first_rows(result))
        if got is not None:
            require_close(self.name, {"z": got}, {"z": self._expected(self._width(p), size)}, self.tolerance)

    def clear(self, size: int) -> Callable[[], Any]:
        shape = self.shape(size)
        x, y = (self.values(self.bits, which, 0, int(np.prod(shape))).reshape(shape) for which in range(2))
        return lambda: self.expect(x, y)

    def _width(self, p: Protocol) -> int:
        return self.bits if p.modulus_bits == 64 else self.field_bits

    def _expected(self, bits: int, size: int) -> npt.NDArray[Any]:
        shape = self.shape(size)
        count = int(np.prod(shape)) if len(shape) == 2 else min(CHECKED, shape[0])
        x, y = (self.values(bits, which, 0, count).reshape(-1, *shape[1:]) for which in range(2))
        return self.expect(x, y)[:CHECKED]


def _product(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled_product(p, at, x, y)


def _fixed(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled_product(p, at, x, y, FRACTION)


def _comparison(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled(p, at, less, x, y)


def _equality(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled(p, at, equal, x, y)


def _matmul(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return p.matmul(at, x, y)


def _dependent(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    z = x
    for k in range(DEPENDENT):
        z = yield from p.mul(at.child(str(k)), z, y)
    return z


def _steady(step: Operation) -> Operation:
    """Vectors of a hundred thousand elements, each after the one before it."""

    def run(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
        result: Share | None = None
        for start in range(0, x.size, STEADY):
            piece = slice(start, start + STEADY)
            a, b = (whole.map(lambda part, piece=piece: part[piece]) for whole in (x, y))  # type: ignore[misc]
            done = yield from step(p, at.child(f"vector {start}"), a, b)
            if result is None:
                result = done.map(lambda part: p.session.blank(x.shape, part.dtype))
            for into, part in zip(result.parts, done.parts, strict=True):
                into[piece] = part
        return p.empty(x.shape) if result is None else result

    return run


STEPS = (
    OnPair("product", _product, np.multiply, (10**6, 10**7), 31, 28),
    OnPair("product_steady", _steady(_product), np.multiply, (10**7,), 31, 28),
    OnPair("comparison", _comparison, np.less, (10**6,), 61, 58),
    OnPair("comparison_steady", _steady(_comparison), np.less, (20 * STEADY,), 61, 58),
    OnPair("equality", _equality, np.equal, (10**6,), 61, 58, alike=True),
    OnPair("matmul", _matmul, np.matmul, (512, 1024), 26, 24, shape=lambda n: (n, n), count=lambda n: n**3),
    OnPair("fixed_product", _fixed, lambda x, y: x * y >> FRACTION, (10**6,), 30, 28, tolerance=3),
    OnPair(
        "dependent_products",
        _dependent,
        lambda x, y: x * y**DEPENDENT,
        (DEPENDENT,),
        1,
        1,
        shape=lambda n: (1,),
        count=lambda n: DEPENDENT,
    ),
)
