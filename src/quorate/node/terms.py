"""What every interactive session keeps to, whatever a node's standing approval says."""

from __future__ import annotations

import os

from quorate.coordination.footprint import peak_live
from quorate.coordination.program import Job
from quorate.coordination.spec import Input, Spec
from quorate.errors import AgreementError, UserError
from quorate.lang.plan import Plan
from quorate.node.desk import Assignment
from quorate.node.vault import Kept
from quorate.protocols.base import Protocol
from quorate.protocols.registry import make

__all__ = ["check_kept", "check_memory", "check_terms", "counting"]

_LONGEST_SESSION = 24 * 3600.0
_LONGEST_JOIN = 600.0


def check_terms(spec: Spec, task: Assignment) -> None:
    """Raises `UserError` for a spec that no interactive session may have, whatever the standing approval says."""
    caller = task.coordinator
    prefix = task.session + "-"
    for item in spec.inputs:
        if item.owner not in (None, caller):
            raise UserError(f"input {item.name!r} belongs to {item.owner}, who takes no part; use a data set of theirs")
        if item.min_rows != item.max_rows:
            raise UserError(f"input {item.name!r} of an interactive session has to state how many rows it has")
    for output in spec.outputs:
        if output.keep is None and spec.recipients(output) != (caller,):
            raise UserError(f"output {output.name!r} of an interactive session goes to {caller} alone")
        if output.keep is not None and not output.keep.startswith(prefix):
            raise UserError(f"what an interactive session keeps has a name that begins with {prefix!r}")
    if caller in spec.parties or caller == spec.dealer:
        raise UserError(
            f"{caller} computes itself; whoever asks for an interactive session has to be an outside member"
        )
    if task.prepare.rehearsal is not None or spec.lasting or spec.abort.on_dropout != "abort":
        raise UserError("interactive sessions are no rehearsals, run with 'delivery: direct', and lose nobody")
    if spec.timeouts.session > _LONGEST_SESSION or spec.timeouts.join > _LONGEST_JOIN:
        raise UserError(
            "an interactive session takes a day at most, and waits ten minutes at most for its participants"
        )


def check_kept(item: Input, kept: Kept | None) -> None:
    """Raises `AgreementError` unless what is declared of a stored column holds; results could overflow."""
    if item.stored is None:
        return
    if kept is None or kept.note is None or len(item.columns) != 1:
        raise AgreementError(f"input {item.name!r}: {item.stored!r} is no column of an interactive session")
    low, high = item.columns[0].dtype.encode(list(item.columns[0].bounds)).tolist()
    if not low <= kept.note.bounds[0] <= kept.note.bounds[1] <= high:
        raise AgreementError(
            f"input {item.name!r} is declared to lie in {low} to {high}, but what is kept lies in "
            f"{kept.note.bounds[0]} to {kept.note.bounds[1]} (raw); connect again"
        )


def counting(spec: Spec, plan: Plan) -> Protocol:
    """A party's view of a session of this bound plan that is counted and not run."""
    return make(spec.protocol.name, Job(spec, plan, 0).session(counting=True), spec.threshold)


def check_memory(spec: Spec, plan: Plan, most_mb: int | None) -> None:
    """Raises `UserError` if a party would hold more than `most_mb` MiB at a time; by default, than its machine has."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if most_mb is None else most_mb << 20
    needed = peak_live(plan, counting(spec, plan))
    if needed > most:
        raise UserError(
            f"most_memory_mb: the session would hold {needed >> 20} MiB of shares at a time at each party; at most "
            f"{most >> 20} here. Compute in smaller pieces"
        )
