"""A stock of tuples in memory, for running a session again that had taken tuples from stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.coordination.production import Production, production_program
from quorate.coordination.spec import Spec
from quorate.engine.names import Scope
from quorate.engine.simulate import simulate
from quorate.preprocessing.ledger import Holding, Ledger

__all__ = ["StandIn", "stand_ins"]

Array = npt.NDArray[Any]


class StandIn:
    """A `Store` of one party that nothing is kept of; see `quorate.coordination.stock`."""

    def __init__(self) -> None:
        self.leased, self.in_use = True, False
        self._ledger = Ledger()
        self._secrets: tuple[Array, ...] = ()
        self._parts: dict[str, list[Array]] = {}

    def ledger(self) -> Ledger:
        """What there is."""
        return self._ledger

    def secrets(self, generation: str, session: str) -> tuple[Array, ...]:
        """The keys of the generation."""
        return self._secrets

    def put_back(self) -> None:
        """Nothing is in use."""

    def holdings(self, generation: str, kinds: Sequence[str]) -> dict[str, Holding]:
        """What can be handed out next, by kind."""
        return {kind: self._ledger.holding(kind) for kind in kinds}

    def claim(self, generation: str, session: str, ranges: Mapping[str, tuple[int, int]]) -> dict[str, list[Array]]:
        """The tuples of these (start, stop)."""
        self._ledger = self._ledger.spent(ranges)
        return {
            kind: [part[start:stop] for part in self._parts[kind]]
            for kind, (start, stop) in ranges.items()
            if start < stop
        }

    def begin(self, generation: str, secrets: Sequence[Array], session: str) -> None:
        """Start a generation."""
        self._ledger, self._secrets, self._parts = Ledger(generation=generation), tuple(secrets), {}

    def add(self, generation: str, session: str, kind: str, start: int, parts: Sequence[Array], seconds: float) -> None:
        """Take tuples; every kind comes once."""
        self._parts[kind] = [np.array(part) for part in parts]
        self._ledger = self._ledger.added(kind, start, start + len(parts[0]))

    def destroy(self, why: str, generation: str | None = None) -> None:
        """Forget everything."""
        self.begin("", (), "")

    def release(self) -> None:
        """Nobody else wants it."""


def stand_ins(spec: Spec, amounts: Mapping[str, int]) -> list[StandIn]:
    """Stocks for all parties of `spec` that hold so many tuples of each kind, made here and now."""
    stores = [StandIn() for _ in spec.parties]
    batches = [(kind, amount) for kind, amount in sorted(amounts.items()) if amount]
    programs = []
    for me, store in enumerate(stores):
        job = Production(
            session="replay",
            parties=spec.parties,
            protocol=spec.protocol.name,
            threshold=spec.threshold,
            security=spec.security,
            batches=batches,
            me=me,
            store=store,
        )
        programs.append(production_program(job, job.engine_session(), Scope.root()))
    simulate(programs)
    return stores
