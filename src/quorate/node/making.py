"""The worker of a session that makes tuples for the stock of a group."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from quorate.coordination.federation import Federation
from quorate.coordination.production import Production, production_program
from quorate.coordination.spec import Timeouts
from quorate.coordination.stock import keyed, orderly
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.errors import EnvironmentFault
from quorate.node.desk import Desk, Making, Ready
from quorate.node.identity import Identity
from quorate.node.mesh import Doorway, connect
from quorate.node.messages import Finished, Report
from quorate.node.seat import peak_mb, throttled, traffic
from quorate.node.tuples import Group, Shelf
from quorate.transport.conduct import conduct

__all__ = ["TIMEOUTS", "Maker"]

log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""How long to wait for a process to end whose session has."""
TIMEOUTS = Timeouts(round=120, join=30, session=3600)


class Maker:
    """One party's part in a session that makes tuples."""

    def __init__(self, desk: Desk, task: Making, doorway: Doorway) -> None:
        self._desk, self._task, self._doorway = desk, task, doorway

    def run(self) -> None:
        """Take the leases, wait for the start, make and store; raises whatever ends the session."""
        asked, task = self._task.produce, self._task
        log.info("session %s: worker %d makes tuples", task.session, os.getpid())
        identity = Identity(task.federation, task.member, Path(task.key))
        shelf = self._shelf()
        self._desk.send(Ready(spec_name="", spec_digest="", spec="", participants=asked.parties))
        self._desk.await_start(TIMEOUTS.join)
        self._desk.send(Finished(report=self._make(identity, shelf)))

    def _shelf(self) -> Shelf:
        asked = self._task.produce
        group = Group(
            parties=asked.parties, protocol=asked.protocol, threshold=asked.threshold, security=asked.security
        )
        fence = None if self._task.fence is None else Path(self._task.fence)
        shelf = Shelf(Path(self._task.home), self._task.member, group, fence)
        if not (shelf.lease_production(_PATIENCE) and (not keyed(asked.protocol) or shelf.lease(_PATIENCE))):
            raise EnvironmentFault("another session uses this stock of tuples now; try again when it has ended")
        return shelf

    def _make(self, identity: Identity, shelf: Shelf) -> Report:
        job = self._job(identity.federation, shelf)
        who = job.roster
        begun = time.monotonic()
        links = connect(identity, who, job.me, job.session, self._doorway, TIMEOUTS.join)
        connected = time.monotonic()
        root = Scope.root("production")
        party = Party(production_program(job, job.engine_session(), root))
        with orderly(shelf):
            made: dict[str, int] = conduct(
                party,
                links,
                root_scope=root,
                names=who.participants,
                round_timeout=TIMEOUTS.round,
                session_timeout=TIMEOUTS.session,
                on_progress=lambda _: self._desk.check(),
            )
        log.info(
            "session %s: stored %s", job.session, ", ".join(f"{n} {kind}" for kind, n in made.items()) or "nothing"
        )
        ended = time.monotonic()
        return Report(
            member=identity.name,
            session=job.session,
            rounds=party.rounds,
            messages=party.messages,
            bytes_sent=sum(party.sent.values()),
            peers=traffic(party, links),
            seconds=ended - begun,
            connect_seconds=connected - begun,
            compute_seconds=ended - connected,
            peak_mb=peak_mb(),
            rows={},
            commitments={},
        )

    def _job(self, federation: Federation, shelf: Shelf) -> Production:
        asked = self._task.produce
        return Production(
            asked.session,
            asked.parties,
            asked.protocol,
            asked.threshold,
            asked.security,
            asked.batches,
            asked.parties.index(self._task.member),
            shelf,
            {name: federation.member(name).fingerprint for name in asked.parties},
            self._goes_on,
            throttled(self._desk.tell_progress),
        )

    def _goes_on(self) -> bool:
        self._desk.check()
        return not self._desk.paused
