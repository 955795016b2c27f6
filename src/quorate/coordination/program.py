"""What every participant of a session runs: agree, set up, execute the approved plan, forget the keys.

The same program runs on sockets, in a simulation and, on arrays without content, for a quote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from quorate.coordination.agreement import REHEARSAL, RUN, Statement, agree
from quorate.coordination.roster import Roster, roster
from quorate.coordination.spec import Spec
from quorate.coordination.stock import Provision, Store, assume, provide
from quorate.crypto.hashing import hex_digest
from quorate.data.prepare import Prepared
from quorate.engine.count import count
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.session import Session
from quorate.errors import AgreementError, UserError
from quorate.lang.execute import KEEP, STORED, Results, execute
from quorate.lang.plan import Plan
from quorate.lang.stages import Stages
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make
from quorate.sharing.share import Share

__all__ = ["Job", "Outcome", "Stored", "check_plan", "needs", "raw_bounds", "session_program"]

Progress = Callable[[int, int], None]
"""(operations done, operations in all)."""


@dataclass(frozen=True)
class Stored:
    """Shares kept from earlier sessions, by input and column; and the session of each input that they come from."""

    shares: Mapping[tuple[str, str], Share] = field(default_factory=dict, repr=False)
    sessions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One participant's view of a session to run.

    Attributes:
        spec: the checked spec that this participant approved.
        plan: the unbound plan that belongs to it.
        me: this participant's index in the roster.
        inputs: the prepared data of the inputs that this participant owns.
        stored: shares kept from earlier sessions, for stored inputs (parties only).
        rows: row counts assumed when only counting; not used otherwise.
        certificates: participant -> pinned fingerprint; all must hold the same. Empty in a simulation.
        rehearsal: for a rehearsal, the rows of every input; `inputs` are made up then, and kept shares are not used.
        store: tuples made beforehand; None: there are none, or they must not be used.
        stocked: when only counting, whether all tuples are taken to be in stock at all parties.
        stages: where to save and to go on; plans of lasting sessions run in stages anyway, see `quorate.lang.stages`.
        on_setup: called when the keys of the session are agreed and the plan is about to begin; not while counting.
        agreed: called with the rows of every input once they are agreed; not while counting.
        took: called with the amounts, by kind, of tuples that were taken from stock; not while counting.
    """

    spec: Spec
    plan: Plan
    me: int
    inputs: Mapping[str, Prepared] = field(default_factory=dict, repr=False)
    stored: Stored = field(default_factory=Stored)
    rows: Mapping[str, int] = field(default_factory=dict)
    progress: Progress | None = None
    certificates: Mapping[str, str] = field(default_factory=dict)
    rehearsal: Mapping[str, int] | None = None
    ident: str = ""
    store: Store | None = None
    stocked: bool = False
    stages: Stages | None = None
    on_setup: Callable[[], None] | None = None
    agreed: Callable[[Mapping[str, int]], None] | None = None
    took: Callable[[Mapping[str, int]], None] | None = None

    @property
    def roster(self) -> Roster:
        """Who takes part."""
        return roster(self.spec)

    def session(self, *, counting: bool = False, seed: bytes = b"") -> Session:
        """A session of this participant, without keys yet; its private randomness is that of `seed`, or fresh."""
        who = self.roster
        network = self.spec.network.model
        return Session(
            self.me,
            who.parties,
            who.participants,
            who.dealer,
            counting,
            seed,
            network,
            ident=self.ident.encode(),
            security=self.spec.security,
        )


@dataclass(frozen=True)
class Outcome:
    """What a participant takes away: opened results (decoded), kept shares, and what was agreed at the start.

    `findings` says what was found out about parties that cheated although the computation could go on.
    """

    values: dict[str, npt.NDArray[np.generic]] = field(repr=False)
    kept: dict[str, Share] = field(repr=False)
    rows: dict[str, int]
    commitments: dict[str, str]
    findings: tuple[str, ...] = ()


def session_program(job: Job, session: Session, at: Scope) -> Step[Outcome]:
    """The whole session of one participant. With a store, run it inside `quorate.coordination.stock.orderly`.

    Raises:
        AgreementError: see `agree`; or an input has a number of rows that the spec forbids.
        UserError: ranges do not fit the protocol with these row counts.
    """
    who = job.roster
    names = tuple(item.name for item in job.spec.inputs)
    rows, commitments = yield from agree(session, at.child("agreement"), who, names, _statement(job))
    rows = dict(job.rows) if session.counting else _allowed(job.spec, rows)
    if job.agreed is not None and not session.counting:
        job.agreed(rows)
    protocol = make(job.spec.protocol.name, session, job.spec.threshold)
    taken = yield from _provision(job, session, at.child("stock"), protocol, rows)
    if job.took is not None and taken.generation and not session.counting:
        job.took({kind: len(parts[0]) for kind, parts in taken.tuples.items()})
    try:
        yield from protocol.setup(at.child("setup"))
        if protocol.supply is not None:
            for kind, parts in taken.tuples.items():
                protocol.supply.stock.put(kind, parts)
        if protocol.survives:
            yield from protocol.prepare(at.child("prepare"), needs(job.spec, job.plan, rows))
        if job.on_setup is not None and not session.counting:
            job.on_setup()
        results = yield from _computation(job, protocol, at.child("plan"), rows)
    finally:
        session.erase()
        if protocol.supply is not None:
            protocol.supply.stock.clear()
    return Outcome(results.values, results.kept, rows, commitments, tuple(session.findings))


def _computation(job: Job, protocol: Protocol, at: Scope, rows: dict[str, int]) -> Step[Results]:
    names = [item.name for item in job.spec.inputs]
    return execute(
        job.plan.bind(rows),
        protocol,
        at,
        inputs={(name, column): raw for name, item in job.inputs.items() for column, raw in item.columns.items()},
        owners={name: job.roster.owners.get(name, STORED) for name in names},
        stored=dict(job.stored.shares) if job.rehearsal is None else _made_up(job, protocol),
        outputs=_destinations(job.spec, job.roster),
        bounds=raw_bounds(job.spec),
        progress=None if protocol.session.counting else job.progress,
        stages=job.stages or (Stages() if job.spec.lasting else None),
    )


def _provision(job: Job, session: Session, at: Scope, protocol: Protocol, rows: dict[str, int]) -> Step[Provision]:
    """What we take along of what is in stock; the secrets under which it was made become those of the session."""
    if protocol.supply is None:
        return Provision()
    wanted = partial(needs, job.spec, job.plan, rows)
    if session.counting and job.stocked:
        taken = yield from assume(session, at, protocol, wanted)
    else:
        taken = yield from provide(session, at, protocol, job.store, wanted, job.ident)
    session.stock_keys = taken.secrets
    return taken


def needs(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> dict[str, int]:
    """How many tuples of each kind a session uses up, found by counting; nothing if the parties make none."""
    job = Job(spec, plan, 0, rows=rows)
    session = job.session(counting=True)
    protocol = make(spec.protocol.name, session, spec.threshold)
    if protocol.supply is None:
        return {}

    def program(at: Scope) -> Step[None]:
        yield from protocol.setup(at.child("setup"))
        yield from _computation(job, protocol, at.child("plan"), dict(rows))

    count(program(Scope.root()))
    return dict(sorted(protocol.supply.used.items()))


def _allowed(spec: Spec, rows: dict[str, int]) -> dict[str, int]:
    """The row counts, if the spec allows them: an owner's own check must not be all that guards a minimum."""
    for item in spec.inputs:
        if not item.min_rows <= rows[item.name] <= item.max_rows:
            raise AgreementError(
                f"input {item.name!r} has {rows[item.name]} rows, the spec allows {item.min_rows} to {item.max_rows}; "
                "its owner must provide other data, or all must agree on another spec"
            )
    return rows


def raw_bounds(spec: Spec) -> dict[tuple[str, str], tuple[int, int]]:
    """The declared range of every column as raw integers."""
    bounds = {}
    for item in spec.inputs:
        for column in item.columns:
            bounds[item.name, column.name] = column.raw_bounds
    return bounds


def check_plan(spec: Spec, plan: Plan) -> None:
    """Raises `UserError` unless the plan's inputs and outputs are those of the spec, types included.

    Also if a dealer, who knows the orders of shuffles, would get to see rows that a shuffle is to make anonymous.
    """
    declared = {(item.name, column.name): column.dtype for item in spec.inputs for column in item.columns}
    for (name, column), dtype in plan.inputs.items():
        if (name, column) not in declared:
            raise UserError(f"the plan reads column {column!r} of input {name!r}, which the spec does not declare")
        if declared[name, column] != dtype:
            raise UserError(
                f"the plan takes {name}.{column} as {dtype}, the spec declares {declared[name, column]}; "
                "run 'quorate compile' after a change of the spec"
            )
    named = {output.name for output in spec.outputs}
    if missing := sorted(named - set(plan.outputs)):
        whole = any(name.startswith(f"{one}.") for one in missing for name in plan.outputs)
        hint = "; run 'quorate compile', which finds the parts of whole results" if whole else ""
        raise UserError(f"the plan does not compute the outputs {', '.join(missing)} that the spec names{hint}")
    if extra := sorted(set(plan.outputs) - named):
        raise UserError(f"the plan computes {', '.join(extra)}, which the spec opens to nobody; name them in 'outputs'")
    dealt = [output.name for output in spec.outputs if spec.dealer in spec.recipients(output)]
    if dealt and (shown := sorted(set(dealt) & _shuffled(plan))):
        raise UserError(
            f"the outputs {', '.join(shown)} go to the dealer {spec.dealer}, who knows the orders of shuffles and "
            "could put shuffled rows back; name another dealer or other recipients"
        )


def _shuffled(plan: Plan) -> set[str]:
    """The outputs that depend on a shuffle."""
    after: list[bool] = []
    for operation in plan.operations:
        after.append(operation.kind == "shuffle" or any(after[operand] for operand in operation.operands))
    return {name for name, target in plan.outputs.items() if after[target]}


def _statement(job: Job) -> Statement:
    plan_digest = job.plan.digest
    return Statement(
        spec=job.spec.digest(plan_digest),
        plan=plan_digest,
        rows={name: item.rows for name, item in job.inputs.items()} | _stored_rows(job),
        commitments={name: item.commitment.digest for name, item in job.inputs.items()} | _origins(job),
        certificates=job.certificates,
        purpose=RUN if job.rehearsal is None else REHEARSAL,
    )


def _made_up(job: Job, protocol: Protocol) -> dict[tuple[str, str], Share]:
    """In place of kept shares, shares of the smallest value that each column may have."""
    stored: dict[tuple[str, str], Share] = {}
    for item in job.spec.inputs:
        if item.stored is None or job.rehearsal is None or job.me >= protocol.parties:
            continue
        for column in item.columns:
            values = np.full(job.rehearsal[item.name], column.raw_bounds[0], np.int64)
            bits = column.dtype.kind == "bool"
            made = protocol.public_bits(values.astype(np.uint8)) if bits else protocol.public(values)
            stored[item.name, column.name] = made
    return stored


def _origins(job: Job) -> dict[str, str]:
    """For stored inputs, what the parties must agree on is the session that they come from."""
    return {name: hex_digest(session.encode(), "quorate/kept/1") for name, session in job.stored.sessions.items()}


def _stored_rows(job: Job) -> dict[str, int]:
    if job.rehearsal is not None:
        inside = job.me < job.roster.parties
        return {item.name: job.rehearsal[item.name] for item in job.spec.inputs if item.stored is not None and inside}
    return {name: share.shape[0] for (name, _), share in job.stored.shares.items()}


def _destinations(spec: Spec, who: Roster) -> dict[str, Any]:
    """Output -> recipients' indices, or `KEEP`."""
    return {output.name: KEEP if output.keep is not None else who.recipients[output.name] for output in spec.outputs}
