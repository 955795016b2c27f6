"""Simulated parties behind an interactive session: for learning, for tests, and for developing what nodes will run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quorate import __version__
from quorate.crypto.entropy import SystemEntropy
from quorate.errors import UserError
from quorate.interactive.backend import Backend, DataSet, Progress, Request, Run
from quorate.lang.simulation import Simulation
from quorate.protocols.registry import protocol_class
from quorate.sharing.share import Share

if TYPE_CHECKING:
    from quorate.coordination.spec import Spec
    from quorate.lang.plan import Plan

__all__ = ["SimulatedParties"]


class SimulatedParties(Backend):
    """All parties in this process, on one thread."""

    def __init__(
        self,
        parties: int | None = None,
        protocol: str = "rep3",
        threshold: int | None = None,
        seed: int | None = None,
    ) -> None:
        """Raises `UserError` for protocols, numbers of parties or thresholds that do not exist."""
        self._simulation = Simulation(protocol, parties, threshold, seed)
        self.protocol = protocol
        self.parties = self._simulation.names[: self._simulation.count]
        self.threshold = self._simulation.threshold or 0
        self.keeps = protocol_class(protocol).keeps
        self._vault: dict[str, list[Share]] = {}

    def run(self, request: Request, progress: Progress | None = None) -> Run:
        """Run a plan; see `Backend`."""
        began = time.perf_counter()
        missing = [column.name for column in request.held.values() if column.name not in self._vault]
        if missing:
            raise UserError(f"the parties hold no shares called {missing[0]!r}; load them under another name")
        done = self._simulation.run(
            request.plan,
            {key: column.raw for key, column in request.uploads.items()},
            request.bounds,
            held={key: self._vault[column.name] for key, column in request.held.items()},
            kept=list(request.kept),
            progress=progress,
        )
        self._vault.update({request.kept[output]: shares for output, shares in done.kept.items()})
        return Run(
            done.values,
            SystemEntropy().bytes(16).hex(),
            request.plan.digest,
            self.protocol,
            self.parties,
            max(done.rounds),
            sum(done.bytes_sent),
            tuple(done.bytes_sent),
            time.perf_counter() - began,
            datetime.now(UTC).isoformat(timespec="seconds"),
            __version__,
        )

    def described(self, request: Request) -> tuple[Spec, Plan, dict[str, int]]:
        """What real parties would agree on; see `Backend`."""
        from quorate.interactive.composing import compose  # needs much of a node

        work = compose(
            request,
            me="analyst",
            parties=self.parties,
            protocol=self.protocol,
            threshold=self.threshold or None,
            held_name=lambda _: "held",
        )
        return work.spec, work.plan, work.rows

    def forget(self, names: Sequence[str]) -> None:
        """Delete kept shares; see `Backend`."""
        for name in names:
            self._vault.pop(name, None)

    def lasting(self, names: Sequence[str]) -> Mapping[str, str]:
        """The same names; simulated parties end with this process all the same."""
        return {name: name for name in names}

    def data_sets(self) -> Mapping[str, DataSet]:
        """Simulated parties hold no data of others."""
        return {}

    def close(self) -> None:
        """Delete all shares."""
        self._vault.clear()
