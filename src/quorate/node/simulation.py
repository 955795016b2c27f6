"""A whole session in this process: to try a spec out before the other organisations take part."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quorate.coordination.program import Job, Outcome, session_program
from quorate.coordination.roster import roster
from quorate.engine.names import Scope
from quorate.engine.simulate import simulate
from quorate.errors import UserError
from quorate.node.approval import Approved, made_up_inputs, prepare_inputs
from quorate.node.messages import Report, Traffic
from quorate.node.seat import peak_mb

__all__ = ["Simulation", "simulated"]


@dataclass(frozen=True)
class Simulation:
    """What all participants together learned, and what each would have sent; there is no network in it."""

    values: dict[str, npt.NDArray[np.generic]] = field(repr=False)
    reports: dict[str, Report]


def simulated(
    approved: Approved,
    data: Mapping[str, str],
    progress: Callable[[int, int], None] | None = None,
    rehearsal: Mapping[str, int] | None = None,
) -> Simulation:
    """Run all participants of a spec here. `data` is input -> path, for every input; a rehearsal makes it up.

    Raises:
        UserError: an input has no file, or is stored as shares, which only real parties have.
        DataError: the data does not fit the spec.
    """
    spec, who = approved.spec, roster(approved.spec)
    stored = [item.name for item in spec.inputs if item.stored is not None]
    if stored and rehearsal is None:
        raise UserError(f"a simulation has no kept shares for the stored inputs {', '.join(stored)}; run it on nodes")
    begun = time.monotonic()
    jobs = [
        Job(
            spec,
            approved.plan,
            me,
            prepare_inputs(spec, name, data) if rehearsal is None else made_up_inputs(spec, name, rehearsal),
            progress=None if me else progress,
            rehearsal=rehearsal,
        )
        for me, name in enumerate(who.participants)
    ]
    parties = simulate([session_program(job, job.session(), Scope.root()) for job in jobs])
    seconds = time.monotonic() - begun
    outcomes: list[Outcome] = [party.result for party in parties]
    reports = {}
    for name, party, outcome in zip(who.participants, parties, outcomes, strict=True):
        reports[name] = Report(
            member=name,
            session="simulation",
            rounds=party.rounds,
            messages=party.messages,
            bytes_sent=sum(party.sent.values()),
            peers={who.participants[peer]: Traffic(sent=size) for peer, size in sorted(party.sent.items())},
            seconds=seconds,
            connect_seconds=0.0,
            compute_seconds=seconds,
            peak_mb=peak_mb(),
            rows=outcome.rows,
            commitments=outcome.commitments,
            rehearsal=rehearsal is not None,
        )
    if rehearsal is not None:
        return Simulation({}, reports)
    return Simulation({name: value for outcome in outcomes for name, value in outcome.values.items()}, reports)
