"""What a session will cost, before anybody runs it: exact, since the real program runs on arrays without content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from quorate.coordination.program import Job, session_program
from quorate.coordination.roster import roster
from quorate.coordination.spec import Spec
from quorate.engine.count import count
from quorate.engine.names import Scope
from quorate.errors import UserError
from quorate.lang.plan import Plan
from quorate.protocols.registry import protocol_class

__all__ = ["ParticipantCost", "Quote", "assumed_rows", "quote"]


@dataclass(frozen=True)
class ParticipantCost:
    """Cost of one participant: message bodies, without framing and encryption (about 30 bytes per message)."""

    name: str
    role: str
    rounds: int
    messages: int
    bytes_sent: int
    sent_to: dict[str, int]


@dataclass(frozen=True)
class Quote:
    """Cost of a session with given row counts. `dealer` names a trusted dealer, where the protocol needs one."""

    spec: str
    protocol: str
    adversary: str
    threshold: int
    dealer: str | None
    rows: dict[str, int]
    rounds: int
    bytes_sent: int
    participants: tuple[ParticipantCost, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


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


def quote(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> Quote:
    """The exact cost of a session for `rows`.

    Raises:
        UserError: the plan cannot run with these row counts, for example since values may overflow.
    """
    who = roster(spec)
    costs = []
    for me, name in enumerate(who.participants):
        job = Job(spec, plan, me, rows=rows)
        party = count(session_program(job, job.session(counting=True), Scope.root()))
        sent = {who.participants[peer]: size for peer, size in sorted(party.sent.items())}
        costs.append(
            ParticipantCost(
                name, _role(me, who.parties, who.dealer), party.rounds, party.messages, sum(sent.values()), sent
            )
        )
    return Quote(
        spec.name,
        spec.protocol.name,
        protocol_class(spec.protocol.name).adversary,
        spec.threshold,
        spec.dealer,
        dict(rows),
        max(cost.rounds for cost in costs),
        sum(cost.bytes_sent for cost in costs),
        tuple(costs),
    )


def _role(me: int, parties: int, dealer: int | None) -> str:
    return "party" if me < parties else "trusted dealer" if me == dealer else "outside"
