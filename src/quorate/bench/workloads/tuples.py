"""Correlated randomness by itself: how fast it is made, and work for which it was made beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quorate.bench.workloads.base import Workload
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.preprocessing.stock import Parts
from quorate.preprocessing.supply import Supply
from quorate.protocols.base import Protocol

__all__ = ["PREFIX", "Online", "Tuples", "stock_up", "supply_of"]

PREFIX = "tuples "
"""Names of workloads that make tuples: this, and the kind."""


@dataclass(frozen=True)
class Online(Workload):
    """Another workload without what can be done before the operands are there."""

    whole: Workload
    stocked: bool = True

    @property
    def sizes(self) -> tuple[int, ...]:  # type: ignore[override]
        """Those of the whole."""
        return self.whole.sizes

    def operations(self, size: int) -> int:
        return self.whole.operations(size)

    def operands(self, p: Protocol, at: Scope, size: int) -> Step[Any]:
        return self.whole.operands(p, at, size)

    def blanks(self, p: Protocol, size: int) -> Any:
        return self.whole.blanks(p, size)

    def work(self, p: Protocol, at: Scope, size: int, operands: Any) -> Step[Any]:
        return self.whole.work(p, at, size, operands)

    def check(self, p: Protocol, at: Scope, size: int, result: Any) -> Step[None]:
        return self.whole.check(p, at, size, result)

    def clear(self, size: int) -> Callable[[], Any] | None:
        return self.whole.clear(size)


@dataclass(frozen=True)
class Tuples(Workload):
    """Making tuples of one kind. Results are not opened: tests check that tuples are right."""

    kind: str
    sizes: tuple[int, ...] = (1 << 16,)

    def operands(self, p: Protocol, at: Scope, size: int) -> Step[None]:
        yield from ()

    def blanks(self, p: Protocol, size: int) -> None:
        return None

    def work(self, p: Protocol, at: Scope, size: int, operands: None) -> Step[Parts]:
        return (yield from supply_of(p).produce(at, self.kind, size))

    def check(self, p: Protocol, at: Scope, size: int, result: Parts) -> Step[None]:
        yield from ()

    def clear(self, size: int) -> None:
        return None


def supply_of(p: Protocol) -> Supply:
    """The supply of a protocol. Raises `UserError` if it needs none."""
    if p.supply is None:
        raise UserError(f"{p.name} needs no tuples; choose a protocol that does, such as semi2k without a dealer")
    return p.supply


def stock_up(p: Protocol, at: Scope, needs: dict[str, int]) -> Step[None]:
    """Make tuples, by kind so many, and keep them for what follows. Without any, get ready to make them."""
    if p.supply is not None:
        yield from p.supply.ready()
    for kind, count in sorted(needs.items()):
        supply = supply_of(p)
        supply.stock.put(kind, (yield from supply.produce(at.child(kind), kind, count)))
    yield from p.checked()
