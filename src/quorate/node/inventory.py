"""What a stock of tuples holds, how fast it is filled, and which session spent what: for people and quotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from quorate.node.journal import Event
from quorate.node.tuples import Group, Shelf

__all__ = ["Inventory", "KindStock", "Spending", "inventory"]

_RECENT = 32


@dataclass(frozen=True)
class KindStock:
    """One kind of tuple.

    Attributes:
        left: tuples that may still be handed out.
        wanted: how many stocks.yaml asks for; None: nothing.
        made, spent: ever, as far as the journal goes back.
        per_second: tuples per second of the last batches that were made, without the time to connect; None: no batch.
    """

    left: int
    wanted: int | None
    made: int
    spent: int
    per_second: float | None


@dataclass(frozen=True)
class Spending:
    """What a session took: positions `start` ... `stop` - 1 of a kind, at `time` (seconds since 1970)."""

    session: str
    kind: str
    start: int
    stop: int
    time: float


@dataclass(frozen=True)
class Inventory:
    """The stock of one group; `generation` is empty if there is none."""

    group: Group
    generation: str
    kinds: dict[str, KindStock]
    sessions: tuple[Spending, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        group = {name: getattr(self.group, name) for name in self.group.__struct_fields__}
        kinds = {kind: asdict(stock) for kind, stock in self.kinds.items()}
        return {**group, "generation": self.generation, "kinds": kinds, "sessions": [asdict(s) for s in self.sessions]}


def inventory(shelf: Shelf, wanted: Mapping[str, int] | None = None) -> Inventory:
    """What `shelf` holds, with the amounts that stocks.yaml asks for; changes nothing."""
    ledger, events = shelf.look(), list(shelf.journal.events())
    kinds = sorted({*ledger.chunks, *(wanted or {}), *(event.kind for event in events if event.kind)})
    stocks = {}
    for kind in kinds:
        of_kind = [event for event in events if event.kind == kind]
        made, spent = (sum(e.stop - e.start for e in of_kind if e.what == what) for what in ("made", "spent"))
        stocks[kind] = KindStock(ledger.left(kind), (wanted or {}).get(kind), made, spent, _rate(of_kind))
    sessions = tuple(
        Spending(e.session, e.kind, e.start, e.stop, e.time) for e in events if e.what == "spent" and e.stop > e.start
    )
    return Inventory(shelf.group, ledger.generation, stocks, sessions)


def _rate(events: Iterable[Event]) -> float | None:
    recent = [event for event in events if event.what == "made"][-_RECENT:]
    seconds = sum(event.seconds for event in recent)
    return sum(event.stop - event.start for event in recent) / seconds if seconds else None
