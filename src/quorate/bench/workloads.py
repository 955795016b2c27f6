"""What `quorate bench` measures: each workload is a step on freshly shared vectors, repeated in one session.

The time of a repetition is that between two synchronisations of all parties (`_barrier`), on the slowest party.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quorate.circuits.compare import less
from quorate.circuits.divide import divide
from quorate.circuits.tiles import tiled, tiled_product
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.protocols.base import Integers, Protocol
from quorate.sharing.share import Arithmetic, Share

__all__ = ["WORKLOADS", "Timing", "Workload", "measured"]

FRACTION = 16
STEADY = 100_000


@dataclass(frozen=True)
class Workload:
    """A named measurement.

    Attributes:
        step: what is timed, on two shared arrays.
        shape: shape of the operands for size n.
        sizes: the default sizes n.
        bits: operands are uniform integers below 2**bits in absolute value; the second one positive for division.
        operations: elementary operations in one repetition of size n, for the rate.
    """

    step: Callable[[Protocol, Scope, Arithmetic, Arithmetic], Step[Share]]
    shape: Callable[[int], tuple[int, ...]]
    sizes: tuple[int, ...]
    bits: int
    positive: bool = False
    operations: Callable[[int], int] = staticmethod(lambda n: n)


@dataclass(frozen=True)
class Timing:
    """Seconds of every repetition at one party, and what one repetition cost it."""

    seconds: list[float]
    rounds: int = 0
    bytes_sent: int = 0


def _product(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled_product(p, at, x, y)


def _steady(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    z = x
    for k in range(x.size // STEADY):
        piece = slice(k * STEADY, (k + 1) * STEADY)
        z = yield from tiled_product(
            p, at.child(f"vector {k}"), x.map(lambda a, s=piece: a[s]), y.map(lambda a, s=piece: a[s])  # type: ignore[misc]
        )
    return z


def _fixed(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled_product(p, at, x, y, FRACTION)


def _comparison(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return tiled(p, at, less, x, y)


def _matmul(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    return p.matmul(at, x, y)


def _division(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    def step(p: Protocol, at: Scope, a: Arithmetic, b: Arithmetic) -> Step[Arithmetic]:
        return divide(p, at, a, b, divisor_bits=31, quotient_bits=31 if p.capacity >= 62 else 28, scale=FRACTION)

    return tiled(p, at, step, x, y)


def _dependent(p: Protocol, at: Scope, x: Arithmetic, y: Arithmetic) -> Step[Share]:
    z = x
    for k in range(DEPENDENT):
        z = yield from p.mul(at if k == 0 else at.child(str(k)), z, y)
    return z


DEPENDENT = 10_000

WORKLOADS: dict[str, Workload] = {
    "product": Workload(_product, lambda n: (n,), (10**6, 10**7), 28),
    "product_steady": Workload(_steady, lambda n: (n,), (10**7,), 28),
    "comparison": Workload(_comparison, lambda n: (n,), (10**6,), 57),
    "matmul": Workload(_matmul, lambda n: (n, n), (512,), 20, operations=lambda n: n**3),
    "fixed_product": Workload(_fixed, lambda n: (n,), (10**6,), 28),
    "division": Workload(_division, lambda n: (n,), (10**5,), 27, positive=True),
    "dependent_products": Workload(_dependent, lambda n: (1,), (DEPENDENT,), 1, operations=lambda n: DEPENDENT),
}


def measured(p: Protocol, at: Scope, workload: Workload, size: int, repeats: int) -> Step[list[float]]:
    """Run the workload `repeats` times after one warm-up; seconds of each repetition."""
    yield from p.setup(at.child("setup"))
    x = yield from _operand(p, at.child("x"), workload, size, 0)
    y = yield from _operand(p, at.child("y"), workload, size, 1)
    seconds = []
    for k in range(repeats + 1):
        here = at.child(f"repetition {k}")
        yield from _barrier(p, here.child("start"))
        start = time.perf_counter()
        yield from workload.step(p, here.child("work"), x, y)
        yield from _barrier(p, here.child("end"))
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def once(p: Protocol, at: Scope, workload: Workload, size: int) -> Step[None]:
    """One repetition on given shares, without barriers, for counting."""
    x = p.empty(workload.shape(size))
    yield from workload.step(p, at, x, p.empty(workload.shape(size)))


def _operand(p: Protocol, at: Scope, workload: Workload, size: int, owner: int) -> Step[Arithmetic]:
    shape = workload.shape(size)
    mine = p.me == owner and not p.session.counting
    return (yield from p.input(at, owner, shape, _values(workload, shape, owner) if mine else None))


def _values(workload: Workload, shape: tuple[int, ...], seed: int) -> Integers:
    """Reproducible operands; they are public test data, so no cryptographic randomness is needed."""
    index = np.arange(int(np.prod(shape)), dtype=np.uint64).reshape(shape) + np.uint64(seed + 1)
    mixed = (index * np.uint64(0x9E3779B97F4A7C15)) ^ (index << np.uint64(17))
    mixed *= np.uint64(0xD1342543DE82EF95)
    values = (mixed >> np.uint64(64 - workload.bits)).astype(np.int64)
    if workload.positive:
        return values | np.int64(1)
    return np.where(mixed & np.uint64(1), values, -values)


def _barrier(p: Protocol, at: Scope) -> Step[None]:
    """All parties and the dealer wait for each other."""
    members = [*range(p.parties), *([p.session.dealer] if p.session.dealer is not None else [])]
    others = [member for member in members if member != p.me]
    token = np.zeros(1, np.uint8)
    yield Exchange(at.step(), {other: [token] for other in others}, {other: [np.empty(1, np.uint8)] for other in others})
