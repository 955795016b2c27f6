"""What a session will cost, before anybody runs it: the real programs run on arrays without content.

Rounds, messages, bytes and correlated randomness are exact. Times and memory are predictions, see
`quorate.coordination.timeline` and `quorate.coordination.footprint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from quorate.coordination.captions import counted, duration
from quorate.coordination.display import quote_html
from quorate.coordination.footprint import peak_live
from quorate.coordination.machine import TYPICAL, Machine
from quorate.coordination.program import Job, needs, session_program
from quorate.coordination.roster import Roster
from quorate.coordination.spec import Spec
from quorate.coordination.timeline import Links, Part, Timeline, predict
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.html import bytes_text
from quorate.lang.plan import Plan
from quorate.protocols.registry import make, protocol_class

__all__ = ["ParticipantCost", "Quote", "assumed_rows", "quote"]

_MIB = 1 << 20
_WORKING = 32 * _MIB
"""Bytes of intermediate arrays that tiles under way need at most."""


@dataclass(frozen=True)
class ParticipantCost:
    """Cost of one participant.

    Attributes:
        bytes_sent, sent_to: message bodies, without framing and encryption; exact, as are `rounds` and `messages`.
        seconds: predicted, from the moment that all are connected to its end.
        busy_seconds: of these, how long it computes, sends or receives.
        memory_mb: predicted peak of its process, MiB.
    """

    name: str
    role: str
    rounds: int
    messages: int
    bytes_sent: int
    sent_to: dict[str, int]
    seconds: float
    busy_seconds: float
    memory_mb: int


@dataclass(frozen=True, repr=False)
class Quote:
    """Cost of a session with given row counts.

    Attributes:
        dealer: the trusted dealer, where the protocol has one.
        tuples: kind of correlated randomness -> how much is used up; empty where the protocol needs none.
        stocked: whether all of it counts as made before; otherwise, without a dealer, the cost includes making it.
        network: what the times are predicted for.
        machine: where the figures for computing come from: a date, or "built-in".
        seconds: predicted time of the session; `latency_seconds`, `transfer_seconds` and `computing_seconds` are what
            its longest chain of causes waits for.
    """

    spec: str
    protocol: str
    adversary: str
    threshold: int
    dealer: str | None
    rows: dict[str, int]
    rounds: int
    bytes_sent: int
    tuples: dict[str, int]
    stocked: bool
    network: dict[str, Any]
    machine: str
    seconds: float
    latency_seconds: float
    transfer_seconds: float
    computing_seconds: float
    participants: tuple[ParticipantCost, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        cost = f"{counted(self.rounds, 'round')}, {bytes_text(self.bytes_sent)} sent, about {duration(self.seconds)}"
        memory = max((one.memory_mb for one in self.participants), default=0)
        network = f"{self.network['rtt']} and {self.network['bandwidth']}"
        return f"<quote with {self.protocol}: {cost} with {network}, {memory:,} MB; as_dict() has all>"

    def _repr_html_(self) -> str:
        return quote_html(self)


def assumed_rows(spec: Spec, given: Mapping[str, int]) -> dict[str, int]:
    """Row counts to quote for: as given, else the most that the spec allows.

    Raises:
        UserError: a given count is for an unknown input or outside what the spec allows.
    """
    for name, rows in given.items():
        item = next((item for item in spec.inputs if item.name == name), None)
        if item is None:
            raise UserError(f"--rows {name}={rows}: the spec has no input {name!r}")
        if not item.min_rows <= rows <= item.max_rows:
            raise UserError(f"--rows {name}={rows}: the spec allows {item.min_rows} to {item.max_rows} rows")
    return {item.name: given.get(item.name, item.max_rows) for item in spec.inputs}


def quote(
    spec: Spec,
    plan: Plan,
    rows: Mapping[str, int],
    links: Links | None = None,
    machine: Machine = TYPICAL,
    *,
    stocked: bool = False,
) -> Quote:
    """The exact cost of a session for `rows`, and its predicted time.

    Args:
        links: the network to predict for, by default that of the spec. What is computed does not depend on it: choices
            between rounds and bytes follow the spec's.
        machine: the machines to predict for.
        stocked: whether tuples that the parties make themselves are all in stock.

    Raises:
        UserError: the plan cannot run with these row counts, for example since values may overflow.
    """
    chosen = Links(spec.network.model) if links is None else links
    job = Job(spec, plan, 0, rows=rows, stocked=stocked)
    who, timeline = job.roster, _timeline(job, chosen, machine)
    costs = tuple(_cost(spec, plan, who, me, part, machine, rows) for me, part in enumerate(timeline.parts))
    return Quote(
        spec.name,
        spec.protocol.name,
        protocol_class(spec.protocol.name).adversary,
        spec.threshold,
        spec.dealer,
        dict(rows),
        max(cost.rounds for cost in costs),
        sum(cost.bytes_sent for cost in costs),
        _tuples(job, timeline),
        stocked,
        {"rtt": chosen.network.rtt, "bandwidth": chosen.network.rate, "measured": bool(chosen.pairs)},
        machine.measured or "built-in",
        timeline.ended / 1e9,
        timeline.latency / 1e9,
        timeline.transfer / 1e9,
        timeline.computing / 1e9,
        costs,
    )


def _tuples(job: Job, timeline: Timeline) -> dict[str, int]:
    who = job.roster
    if who.dealer is None and (made := needs(job.spec, job.plan, job.rows)):
        return made
    return dict(sorted(timeline.parts[who.parties - 1 if who.dealer is None else who.dealer].effort.dealt.items()))


def _timeline(job: Job, links: Links, machine: Machine) -> Timeline:
    who = job.roster
    jobs = [Job(job.spec, job.plan, me, rows=job.rows, stocked=job.stocked) for me in range(len(who.participants))]
    sessions = [job.session(counting=True) for job in jobs]
    programs = [session_program(job, session, Scope.root()) for job, session in zip(jobs, sessions, strict=True)]
    return predict(programs, sessions, links, machine, [who.links(me) for me in range(len(jobs))])


def _cost(
    spec: Spec, plan: Plan, who: Roster, me: int, part: Part, machine: Machine, rows: Mapping[str, int]
) -> ParticipantCost:
    sent = {who.participants[peer]: size for peer, size in sorted(part.party.sent.items())}
    held = _live(spec, plan, rows) if me < who.parties else _own_data(spec, rows, who.participants[me])
    working = 2 * part.in_flight + min(part.effort.made, _WORKING)
    return ParticipantCost(
        who.participants[me],
        "party" if me < who.parties else "trusted dealer" if me == who.dealer else "outside",
        part.party.rounds,
        part.party.messages,
        sum(sent.values()),
        sent,
        part.ended / 1e9,
        part.busy / 1e9,
        machine.base_mb + (held + working) // _MIB,
    )


def _live(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> int:
    session = Job(spec, plan, 0).session(counting=True)
    return peak_live(plan.bind(rows), make(spec.protocol.name, session, spec.threshold))


def _own_data(spec: Spec, rows: Mapping[str, int], name: str) -> int:
    return sum(8 * rows[item.name] * len(item.columns) for item in spec.inputs if item.owner == name)
