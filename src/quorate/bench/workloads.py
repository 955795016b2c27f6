"""What `quorate bench` measures: each workload is a step on freshly shared vectors, repeated in one session.

The time of a repetition is that between two synchronisations of all parties (`_barrier`), on the slowest party.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.circuits.compare import less
from quorate.circuits.divide import divide
from quorate.circuits.tiles import tiled, tiled_product
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["WORKLOADS", "Workload", "measured", "once", "operand"]

FRACTION = 16
STEADY = 100_000
PIECE = 1 << 18
CHECKED = 1000

Integral = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Workload:
    """A named measurement.

    Attributes:
        step: what is timed, on two shared arrays.
        expect: the same in the clear, on raw integers; for the check and for the cost of secrecy.
        shape: shape of the operands for size n.
        sizes: the default sizes n.
        bits: operands are integers below 2**bits in absolute value, spread evenly.
        field_bits: the same for protocols over 2**61 - 1, where it differs.
        tolerance: units by which results may differ.
        positive: the second operand is positive.
        operations: elementary operations in one repetition of size n, for the rate.
    """

    step: Callable[[Protocol, Scope, Arithmetic, Arithmetic], Step[Share]]
    expect: Callable[[Integral, Integral], npt.NDArray[Any]]
    shape: Callable[[int], tuple[int, ...]]
    sizes: tuple[int, ...]
    bits: int
    field_bits: int
    tolerance: int = 0
    positive: bool = False
    operations: Callable[[int], int] = int

    def width(self, p: Protocol) -> int:
        """Bits of the operands under protocol `p`."""
        return self.bits if p.modulus_bits == 64 else self.field_bits


def _product(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled_product(p, at, x, y)


def _steady(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    z = p.empty(x.shape)
    for start in range(0, x.size, STEADY):
        a, b = (_piece(operand, start, STEADY) for operand in (x, y))
        part = yield from tiled_product(p, at.child(f"vector {start}"), a, b)
        for whole, done in zip(z.parts, part.parts, strict=True):
            whole[start : start + STEADY] = done
    return z


def _fixed(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled_product(p, at, x, y, FRACTION)


def _comparison(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled(p, at, less, x, y)


def _matmul(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return p.matmul(at, x, y)


def _division(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    def step(p: Protocol, at: Scope, *operands: Any) -> Step[Arithmetic]:
        return divide(p, at, *operands, divisor_bits=DIVISOR_BITS, quotient_bits=DIVISOR_BITS, scale=FRACTION)

    return tiled(p, at, step, x, y)


def _dependent(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    z = x
    for k in range(DEPENDENT):
        z = yield from p.mul(at.child(str(k)), z, y)
    return z


def _quotients(x: Integral, y: Integral) -> npt.NDArray[Any]:
    return x / y * float(1 << FRACTION)


DIVISOR_BITS = 28
DEPENDENT = 10_000

WORKLOADS: dict[str, Workload] = {
    "product": Workload(_product, np.multiply, lambda n: (n,), (10**6, 10**7), 31, 28),
    "product_steady": Workload(_steady, np.multiply, lambda n: (n,), (10**7,), 31, 28),
    "comparison": Workload(_comparison, np.less, lambda n: (n,), (10**6,), 61, 58),
    "matmul": Workload(_matmul, np.matmul, lambda n: (n, n), (512,), 26, 24, operations=lambda n: n**3),
    "fixed_product": Workload(_fixed, lambda x, y: x * y >> FRACTION, lambda n: (n,), (10**6,), 30, 28, tolerance=3),
    "division": Workload(
        _division, _quotients, lambda n: (n,), (10**5,), DIVISOR_BITS - 1, DIVISOR_BITS - 1, tolerance=4, positive=True
    ),
    "dependent_products": Workload(
        _dependent, lambda x, y: x * y**DEPENDENT, lambda n: (1,), (DEPENDENT,), 1, 1, operations=lambda n: DEPENDENT
    ),
}


def measured(p: Protocol, at: Scope, workload: Workload, size: int, repeats: int) -> Step[list[float]]:
    """Run the workload `repeats` times after one warm-up; seconds of each repetition, on this party's clock.

    Raises:
        InternalError: the result is wrong (its first elements are opened to all parties at the end).
    """
    yield from p.setup(at.child("setup"))
    x = yield from _operand(p, at.child("x"), workload, size, 0)
    y = yield from _operand(p, at.child("y"), workload, size, 1)
    seconds = []
    z: Share | None = None
    for k in range(repeats + 1):
        z = None  # its memory serves the next result
        here = at.child(f"repetition {k}")
        yield from _barrier(p, here.child("start"))
        start = time.perf_counter()
        z = yield from workload.step(p, here.child("work"), x, y)
        yield from _barrier(p, here.child("end"))
        seconds.append(time.perf_counter() - start)
    if z is not None:
        yield from _check(p, at.child("check"), workload, size, z)
    return seconds[1:]


def once(p: Protocol, at: Scope, workload: Workload, size: int) -> Step[None]:
    """One repetition, for counting; set-up included."""
    yield from p.setup(at.child("setup"))
    shape = workload.shape(size)
    yield from workload.step(p, at.child("work"), p.empty(shape), p.empty(shape))


def operand(workload: Workload, shape: tuple[int, ...], bits: int, which: int, start: int, count: int) -> Integral:
    """`count` elements of operand `which` from flat position `start` on; reproducible, public test data."""
    index = np.arange(start, start + count, dtype=np.uint64) * np.uint64(2) + np.uint64(which)
    mixed = (index ^ (index >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xD1342543DE82EF95)
    values = (mixed >> np.uint64(64 - bits)).astype(np.int64)
    if workload.positive and which == 1:
        return values | np.int64(1)
    return np.where(mixed & np.uint64(1), values, -values)


def _operand(p: Protocol, at: Scope, workload: Workload, size: int, which: int) -> Step[Arithmetic]:
    """Operand `which`, an input of that party, shared in pieces so that the set-up does not show in peak memory."""
    shape = workload.shape(size)
    flat = p.empty((int(np.prod(shape)),))
    for start in range(0, flat.size, PIECE):
        count = min(PIECE, flat.size - start)
        values = operand(workload, shape, workload.width(p), which, start, count) if p.me == which else None
        part = yield from p.input(at.child(str(start)), which, (count,), values)
        for whole, piece in zip(flat.parts, part.parts, strict=True):
            whole[start : start + count] = piece
    return flat.map(lambda part: part.reshape(shape))


def _check(p: Protocol, at: Scope, workload: Workload, size: int, z: Share) -> Step[None]:
    shape = workload.shape(size)
    some = z.map(lambda part: part[:CHECKED].copy())
    open_ = p.reveal_bits if isinstance(some, Boolean) else p.reveal
    opened = yield from open_(at, some, range(p.parties))  # type: ignore[arg-type]
    if opened is None:
        return
    wanted = int(np.prod(shape)) if len(shape) == 2 else min(CHECKED, shape[0])
    x, y = (operand(workload, shape, workload.width(p), which, 0, wanted) for which in range(2))
    expected = workload.expect(x.reshape(-1, *shape[1:]), y.reshape(-1, *shape[1:]))[:CHECKED]
    if np.abs(opened.astype(np.float64) - expected.astype(np.float64)).max() > workload.tolerance:
        raise InternalError(f"the benchmark's result under {p.name} is wrong; please report this")


def _piece(x: Arithmetic, start: int, count: int) -> Arithmetic:
    return x.map(lambda part: part[start : start + count])


def _barrier(p: Protocol, at: Scope) -> Step[None]:
    """All parties and the dealer wait for each other."""
    members = [*range(p.parties), *([p.session.dealer] if p.session.dealer is not None else [])]
    others = [member for member in members if member != p.me]
    token = np.zeros(1, np.uint8)
    yield Exchange(
        at.step(), {other: [token] for other in others}, {other: [np.empty(1, np.uint8)] for other in others}
    )
