"""What parties run together to make tuples for their stocks: agree, set up, make chunk after chunk, store each.

All agree on what is made; on the generation, or on a new one if they do not all have the same; and on the positions
that new tuples get: above everything that any of them ever used. Before each chunk every party says whether it goes
on, so a node that wants to run a real session ends production within one chunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from quorate.coordination.agreement import Statement, agree
from quorate.coordination.roster import Roster
from quorate.coordination.stock import Store, agree_generation, agree_holdings
from quorate.crypto.hashing import canonical_json, hex_digest
from quorate.engine.exchange import Exchange, Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import InternalError
from quorate.preprocessing.ledger import Agreed
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make

__all__ = ["PRODUCTION", "Batch", "Production", "production_program"]

PRODUCTION = "production of tuples"
"""What such a session is for, in its statement."""
Batch = tuple[str, int]
"""A kind and how many of it are made at once."""
_FULL = 1 << 47
"""A generation ends before positions get here."""


@dataclass(frozen=True)
class Production:
    """One party's view of a production session.

    Attributes:
        session: the session's id.
        parties, protocol, threshold, security: the group.
        batches: what is made, in this order.
        me: our index among the parties.
        store: where it goes.
        certificates: party -> pinned fingerprint; all must hold the same.
        goes_on: asked before every batch; False ends the session for all.
        progress: called with (tuples made, tuples to make in all).
    """

    session: str
    parties: tuple[str, ...]
    protocol: str
    threshold: int
    security: int
    batches: Sequence[Batch]
    me: int
    store: Store
    certificates: Mapping[str, str] = field(default_factory=dict)
    goes_on: Callable[[], bool] = lambda: True
    progress: Callable[[int, int], None] | None = None

    def engine_session(self) -> Session:
        """The session of this party, without keys yet."""
        facts = (self.me, len(self.parties), self.parties)
        return Session(*facts, ident=self.session.encode(), security=self.security)

    @property
    def roster(self) -> Roster:
        """The parties, and nobody else."""
        return Roster(self.parties, len(self.parties), None, {}, {})

    @property
    def statement(self) -> Statement:
        """What all have to agree on."""
        group = (self.parties, self.protocol, self.threshold, self.security, list(self.batches))
        digest = hex_digest(canonical_json(group), "quorate/production/1")
        return Statement(digest, digest, certificates=self.certificates, purpose=PRODUCTION)


def production_program(job: Production, session: Session, at: Scope) -> Step[dict[str, int]]:
    """Make the batches; how many tuples of each kind were stored.

    Raises:
        AgreementError: a party was asked for something else, or runs another release.
        IntegrityError: somebody cheated.

    Run it inside `quorate.coordination.stock.orderly`.
    """
    try:
        yield from agree(session, at.child("agreement"), job.roster, (), job.statement)
        protocol = make(job.protocol, session, job.threshold)
        generation, agreed = yield from _generation(job, session, at.child("generation"))
        fresh = not generation
        if not fresh:
            session.stock_keys = job.store.secrets(generation, job.session)
        yield from protocol.setup(at.child("setup"))
        if fresh:
            yield from protocol.witness(at.child("witness"))
            generation = hex_digest(job.session.encode(), "quorate/generation/1")[:32]
            job.store.begin(generation, protocol.stock_keys(), job.session)
        return (yield from _batches(job, protocol, at, generation, agreed))
    finally:
        session.erase()


def _generation(job: Production, session: Session, at: Scope) -> Step[tuple[str, dict[str, Agreed]]]:
    """The generation that all parties have, "" for a new one; and what they have in common of it."""
    mine = job.store.ledger().generation
    generations = yield from agree_generation(session, at.child("names"), mine)
    kinds = sorted({kind for kind, _ in job.batches})
    everything = dict.fromkeys(kinds, Agreed(0, 0, 0))
    if "" in generations or len(set(generations)) > 1:
        return "", everything
    held = job.store.holdings(mine, kinds)
    agreed = yield from agree_holdings(session, at.child("holdings"), kinds, held)
    if any(common.end >= _FULL for common in agreed.values()):
        return "", everything
    return mine, agreed


def _batches(
    job: Production, protocol: Protocol, at: Scope, generation: str, agreed: Mapping[str, Agreed]
) -> Step[dict[str, int]]:
    if protocol.supply is None:
        raise InternalError(f"{job.protocol} makes no tuples; please report this")
    ends = {kind: common.end for kind, common in agreed.items()}
    made = dict.fromkeys(ends, 0)
    total = sum(amount for _, amount in job.batches)
    for number, (kind, amount) in enumerate(job.batches):
        here = at.child(f"batch {number}")
        if not (yield from _all_go_on(job, here)):
            break
        begun = time.monotonic()
        parts = yield from protocol.supply.produce(here.child(kind), kind, amount)
        yield from protocol.checked()
        job.store.add(generation, job.session, kind, ends[kind], parts, time.monotonic() - begun)
        ends[kind] += amount
        made[kind] += amount
        if job.progress is not None:
            job.progress(sum(made.values()), total)
    return made


def _all_go_on(job: Production, at: Scope) -> Step[bool]:
    """Whether no party wants to stop. One round, a byte to every other party."""
    mine = np.array([job.goes_on()], np.uint8)
    others = [party for party in range(len(job.parties)) if party != job.me]
    heard = {party: [np.zeros(1, np.uint8)] for party in others}
    yield Exchange(at.step(), {party: [mine] for party in others}, heard)
    return bool(mine[0]) and all(said[0][0] for said in heard.values())
