"""What a workload is, and the pieces that all of them are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.bench.workloads.data import Integral
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import InternalError
from quorate.protocols.base import Protocol
from quorate.sharing.share import Arithmetic, Boolean, Share

__all__ = ["CHECKED", "Workload", "first_rows", "opened", "require_close", "shared"]

PIECE = 1 << 18
CHECKED = 1000
"""Rows of a result that are opened and compared with the truth."""


class Workload(ABC):
    """A named measurement: operands that are shared beforehand, what is timed, and the truth."""

    sizes: tuple[int, ...]
    """The sizes that are measured by default."""

    stocked: bool = False
    """Whether the tuples that the work uses up are made beforehand, untimed."""

    def operations(self, size: int) -> int:
        """Elementary operations in one repetition, for the rate."""
        return size

    @abstractmethod
    def operands(self, p: Protocol, at: Scope, size: int) -> Step[Any]:
        """Share the operands; not timed."""

    @abstractmethod
    def blanks(self, p: Protocol, size: int) -> Any:
        """Operands without content, for counting."""

    @abstractmethod
    def work(self, p: Protocol, at: Scope, size: int, operands: Any) -> Step[Any]:
        """What is timed."""

    @abstractmethod
    def check(self, p: Protocol, at: Scope, size: int, result: Any) -> Step[None]:
        """Open the first rows of the result to all parties and compare them with the truth.

        Raises:
            InternalError: the result is wrong.
        """

    @abstractmethod
    def clear(self, size: int) -> Callable[[], Any] | None:
        """The same on plaintext with NumPy, ready to be timed; None if there is no such thing."""


def shared(
    p: Protocol, at: Scope, owner: int, shape: tuple[int, ...], values: Callable[[int, int], Integral]
) -> Step[Arithmetic]:
    """An input of party `owner`, shared in pieces so that the set-up does not show in peak memory.

    Args:
        values: the elements from flat position `start` on, `count` of them.
    """
    flat = p.empty((int(np.prod(shape)),))
    for start in range(0, flat.size, PIECE):
        count = min(PIECE, flat.size - start)
        mine = values(start, count) if p.me == owner else None
        part = yield from p.input(at.child(str(start)), owner, (count,), mine)
        for whole, piece in zip(flat.parts, part.parts, strict=True):
            whole[start : start + count] = piece
    return flat.map(lambda part: part.reshape(shape))


def first_rows(share: Share) -> Share:
    """A copy of the first rows."""
    return share.map(lambda part: part[:CHECKED].copy())


def opened(p: Protocol, at: Scope, share: Share) -> Step[npt.NDArray[Any] | None]:
    """The values, at every party; None at the dealer."""
    open_ = p.reveal_bits if isinstance(share, Boolean) else p.reveal
    return (yield from open_(at, share, range(p.parties)))  # type: ignore[arg-type]


def require_close(what: str, got: Mapping[str, Any], wanted: Mapping[str, Any], within: float) -> None:
    """Raises `InternalError` unless all results of a benchmark are as wanted, up to an absolute error."""
    for name, expected in wanted.items():
        error = np.abs(np.asarray(got[name], np.float64) - np.asarray(expected, np.float64)).max(initial=0)
        if not error <= within:
            raise InternalError(f"benchmark {what}: {name} is off by {error:g}; please report this")
