"""Running the schedule of a session again on made-up data: were its messages as planned, and who waited for whom?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from quorate.coordination.program import Job, session_program
from quorate.coordination.roster import roster
from quorate.coordination.spec import Spec
from quorate.coordination.synthetic import check_rows
from quorate.durable.rerun import Rerun, rerun
from quorate.durable.trace import Recorded
from quorate.engine.names import Scope
from quorate.errors import AgreementError, UserError
from quorate.node.approval import Approved, made_up_inputs
from quorate.node.stand_in import stand_ins

__all__ = ["recorded_rows", "replayed", "traces"]


def traces(home: Path, session: str, member: str | None = None) -> dict[str, Path]:
    """The traces that nodes left of a session below their data folder, by member; `member`: only that one's.

    Raises:
        UserError: there is none.
    """
    if not session or not session.isalnum():
        raise UserError(f"{session!r} is no session; 'quorate run' and the logs of nodes tell their identifiers")
    found = {path.parent.parent.name: path for path in sorted(home.glob(f"sessions/*/{session}/trace.jsonl"))}
    chosen = {name: path for name, path in found.items() if member in (None, name)}
    if not chosen:
        others = f"; there is one of {', '.join(found)}" if found else ""
        whose = f" of {member}" if member else ""
        raise UserError(
            f"no trace of session {session}{whose} below {home}{others}; only sessions with delivery durable or queued "
            "leave one, in the --home of each node that took part"
        )
    return chosen


def recorded_rows(spec: Spec, recorded: Recorded, given: Mapping[str, int]) -> dict[str, int]:
    """The rows to run with: what was agreed in the session, else what is given, else the fewest that are allowed.

    A session that failed before its participants agreed on rows has exchanged nothing that depends on them.

    Raises:
        UserError: unknown inputs, or rows that the spec forbids.
    """
    if unknown := sorted(set(given) - {item.name for item in spec.inputs}):
        raise UserError(f"the spec has no input {unknown[0]!r}; it has {', '.join(item.name for item in spec.inputs)}")
    known = {**given, **recorded.rows}
    return check_rows(spec, {item.name: known.get(item.name, item.min_rows) for item in spec.inputs})


def replayed(approved: Approved, recorded: Recorded, rows: Mapping[str, int]) -> Rerun:
    """Make all participants here, on made-up data with these rows, and give one of them the messages of its trace.

    Raises:
        AgreementError: the trace belongs to another spec or plan.
    """
    header, who = recorded.header, roster(approved.spec)
    if (header.spec, header.participants) != (approved.digest, who.participants):
        raise AgreementError(
            f"the trace is of spec {header.name!r} with digest {header.spec[:16]}, {approved.path} has "
            f"{approved.digest[:16]}; use spec and plan as they were then"
        )
    scopes = [Scope.root() for _ in who.participants]
    stores = stand_ins(approved.spec, recorded.stock) if _stocked(recorded) else []
    programs = []
    for me, name in enumerate(who.participants):
        job = Job(
            approved.spec,
            approved.plan,
            me,
            made_up_inputs(approved.spec, name, rows),
            rehearsal=rows,
            ident=header.session,
            store=stores[me] if me < len(stores) else None,
        )
        programs.append(session_program(job, job.session(), scopes[me]))
    return rerun(programs, scopes, who.participants, header.me, recorded.messages)


def _stocked(recorded: Recorded) -> bool:
    """Whether the parties had a stock in common: then they went on to say what is in it."""
    stock = Scope.root().child("stock").ident
    return any(event.message[0] == stock and event.step > 1 for event in recorded.messages)
