"""From the author's source to the plan of a spec: traced, made cheaper, with the protocol that suits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quorate.author.notes import Note
from quorate.author.source import Source
from quorate.coordination.breakdown import counting_protocols
from quorate.coordination.choose import Choice, choose
from quorate.coordination.program import check_plan, raw_bounds
from quorate.coordination.quote import assumed_rows
from quorate.coordination.roster import roster
from quorate.coordination.rules import AUTO
from quorate.coordination.spec import Spec
from quorate.coordination.whole import with_parts
from quorate.errors import UserError
from quorate.lang.execute import STORED
from quorate.lang.passes import PASSES, Applied, Facts, steps
from quorate.lang.plan import Plan

__all__ = ["Compiled", "Progress", "compiled"]

Progress = Callable[[str, int, int], None]
"""(what is done, steps done, steps in all)."""


@dataclass(frozen=True)
class Compiled:
    """A spec with a protocol by name, its plan after all passes, and what there is to say about it.

    Attributes:
        spec: outputs are as written, with the parts of whole results; see `agreed`.
        note: what it was compiled from.
        passes: what each pass did.
        choice: for protocol "auto", what was considered.
        problem: why the plan cannot run with the most rows that the spec allows; empty if it can.
    """

    spec: Spec
    plan: Plan
    note: Note
    passes: Sequence[Applied]
    choice: Choice | None = None
    problem: str = ""

    @property
    def agreed(self) -> Spec:
        """The spec as nodes have it: with an output for each part."""
        return self.spec.spread


def compiled(spec: Spec, file: Path, rows: Mapping[str, int], progress: Progress | None = None) -> Compiled:
    """The plan of the source after all passes; for protocol "auto", with the protocol that suits it.

    Args:
        spec: as it is written, see `load_spec`; `file` is where.
        rows: input -> rows for which costs are weighed; of other inputs the most allowed.

    Raises:
        UserError: see `Source.traced`, `with_parts` and `check_plan`; or no protocol can run the plan.
    """
    work = _Work(Source(spec, file), assumed_rows(spec, rows), progress or _quiet)
    spec = with_parts(spec, file, list(work.traced.outputs))
    check_plan(spec.spread, work.traced)
    if spec.protocol.name != AUTO:
        return work.improved(spec)
    choice = work.chosen(spec, work.traced)
    made = work.improved(spec.settled(choice.protocol))
    for _ in choice.candidates:  # the best protocol for the plan that was improved for it
        again = work.chosen(spec, made.plan)
        if again.protocol == choice.protocol:
            return replace(made, choice=again)
        choice, made = again, work.improved(spec.settled(again.protocol))
    return replace(made, choice=choice)


class _Work:
    """A traced source, and the row counts to plan for."""

    def __init__(self, source: Source, rows: Mapping[str, int], told: Progress) -> None:
        told(f"tracing {source.path.name}", 0, 1)
        self.traced = source.traced.plan
        told(f"tracing {source.path.name}", 1, 1)
        self._note = Note(source.digest, self.traced.digest)
        self._rows = rows
        self._told = told

    def chosen(self, spec: Spec, plan: Plan) -> Choice:
        """What suits a spec with protocol "auto"."""
        self._told("choosing a protocol", 0, 1)
        choice = choose(spec.spread, plan, self._rows)
        self._told("choosing a protocol", 1, 1)
        return choice

    def improved(self, spec: Spec) -> Compiled:
        """The plan after all passes, for these row counts if it can run with them."""
        what, problem = f"planning for {spec.protocol.name}", ""
        done: list[Applied] = []
        try:
            self._told(what, 0, len(PASSES))
            for one in steps(self.traced, self._facts(spec.spread), check=True):
                done.append(one)
                self._told(what, len(done), len(PASSES))
        except UserError as found:
            problem = str(found)
            done = list(steps(self.traced))
        return Compiled(spec, done[-1].after, self._note, done, problem=problem)

    def _facts(self, spec: Spec) -> Facts:
        owners: dict[str, int | str] = {item.name: roster(spec).owners.get(item.name, STORED) for item in spec.inputs}
        return Facts(counting_protocols(spec, self.traced, self._rows), raw_bounds(spec), self._rows, owners)


def _quiet(what: str, done: int, total: int) -> None:
    """Says nothing."""
