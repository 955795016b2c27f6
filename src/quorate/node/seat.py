"""One participant's part in one session on the mesh: connect, run the program, measure."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from quorate.coordination.program import Job, Outcome, Stored, session_program
from quorate.coordination.roster import Roster, roster
from quorate.coordination.stock import orderly
from quorate.data.prepare import Prepared
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.node.approval import Approved
from quorate.node.identity import Identity
from quorate.node.mesh import Doorway, connect
from quorate.node.messages import Report, Traffic
from quorate.node.tuples import Shelf
from quorate.transport.conduct import conduct, with_names
from quorate.transport.link import Link

__all__ = ["Pulse", "Seat", "peak_mb", "throttled", "traffic"]

Pulse = Callable[[], None]
"""Called about once a second while the session runs; ends it by raising."""
_EVERY = 0.2


@dataclass
class Seat:
    """Everything that a participant brings to a session.

    Attributes:
        identity: who we are.
        approved: our own copy of the spec and plan.
        session: the session's id.
        inputs, stored: our data, see `Job`.
        rehearsal: see `Job`; what comes out of a rehearsal is dropped here.
        store: our stock of tuples, leased to this session.
        progress: called with (operations done, operations in all).
        pulse: see `Pulse`.
    """

    identity: Identity
    approved: Approved
    session: str
    inputs: Mapping[str, Prepared] = field(default_factory=dict, repr=False)
    stored: Stored = field(default_factory=Stored)
    progress: Callable[[int, int], None] | None = None
    pulse: Pulse | None = None
    rehearsal: Mapping[str, int] | None = None
    store: Shelf | None = None

    @property
    def who(self) -> Roster:
        """The participants."""
        return roster(self.approved.spec)

    @property
    def me(self) -> int:
        """Our index among them."""
        return self.who.index(self.identity.name)

    def job(self) -> Job:
        """Our view of the session, to run."""
        pinned = {name: self.identity.federation.member(name).fingerprint for name in self.who.participants}
        return Job(
            self.approved.spec,
            self.approved.plan,
            self.me,
            self.inputs,
            self.stored,
            progress=self.progress,
            certificates=pinned,
            rehearsal=self.rehearsal,
            ident=self.session,
            store=self.store,
        )

    def take_part(self, doorway: Doorway | None) -> tuple[Outcome, Report]:
        """Connect to the other participants, run the session, and close all connections.

        Args:
            doorway: where connections to us arrive, closed here; None for those who only dial.

        Raises:
            QuorateError: whatever ends the session; the others have been told then.
        """
        spec, who = self.approved.spec, self.who
        begun = time.monotonic()
        links = connect(self.identity, who, self.me, self.session, doorway, spec.timeouts.join)
        connected = time.monotonic()
        job, root = self.job(), Scope.root()
        party = Party(session_program(job, job.session(), root))
        with orderly(self.store):
            outcome: Outcome = conduct(
                party,
                links,
                root_scope=root,
                names=who.participants,
                round_timeout=spec.timeouts.round,
                session_timeout=spec.timeouts.session,
                on_progress=self.beat,
            )
        if self.rehearsal is not None:
            outcome = replace(outcome, values={}, kept={})  # of no meaning, and not to be taken for results
        return outcome, self.report(party, traffic(party, links), outcome, (begun, connected, time.monotonic()))

    def beat(self, _: Party) -> None:
        """Called about once a second."""
        if self.pulse is not None:
            self.pulse()

    def report(
        self, party: Party, peers: dict[str, Traffic], outcome: Outcome, moments: tuple[float, float, float]
    ) -> Report:
        """What we measured; `moments` are those of beginning, connection and end, in seconds."""
        begun, connected, ended = moments
        return Report(
            member=self.identity.name,
            session=self.session,
            rounds=party.rounds,
            messages=party.messages,
            bytes_sent=sum(party.sent.values()),
            peers=peers,
            seconds=ended - begun,
            connect_seconds=connected - begun,
            compute_seconds=ended - connected,
            peak_mb=peak_mb(),
            rows=outcome.rows,
            commitments=outcome.commitments,
            rehearsal=self.rehearsal is not None,
            findings=tuple(with_names(text, self.who.participants) for text in outcome.findings),
        )


def traffic(party: Party, links: Mapping[int, Link]) -> dict[str, Traffic]:
    """What went to and came from each peer, by name."""
    return {
        link.name: Traffic(sent=party.sent.get(index, 0), wire_out=link.bytes_out, wire_in=link.bytes_in)
        for index, link in sorted(links.items())
    }


def peak_mb() -> float:
    """Most memory that this process has used so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def throttled(tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """The same callback, called at most five times a second, and for the last operation."""
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _EVERY:
            last = now
            tell(done, total)

    return progress
