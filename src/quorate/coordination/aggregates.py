"""Whether what a plan opens combines enough rows of every data set: a look at the plan alone, before anything runs.

It follows how every element rests on rows (`quorate.coordination.lineage`). Sums, counts, means, products of matrices,
histograms and groups combine rows; picking, sorting, extremes, running values and shuffling do not. A quantile counts
as many rows as lie beyond it on the nearer side, a sum of the largest as many as they are. Rows that were given weights
of the author's own choice, one for each, do not count as combined, since weights of 0 and 1 pick rows.

What it cannot see: a choice of rows by what the data says (all people of one postcode, of whom there is one, or a
condition that always holds), groups with few rows, differences between results, and owners who place values for an
analyst. docs/how-to/notebooks-on-nodes.md says what that means.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.coordination.lineage import Facts, Strand
from quorate.coordination.lineage_rules import RULES
from quorate.coordination.lineage_step import Sources, Step
from quorate.errors import UserError
from quorate.lang.operations.base import Bounds, concrete
from quorate.lang.plan import Operation, Plan
from quorate.lang.ranges import place
from quorate.sharing.dtype import BOOL

__all__ = ["check_openings", "lineage", "proven"]

_OPTIONS = "; for options of methods see 'What nodes refuse' in docs/how-to/notebooks-on-nodes.md"

_LONGEST = 1 << 24
"""Positions along an axis; beyond, the look itself would take memory."""


def lineage(
    plan: Plan, sources: Sources, ranges: Sequence[Bounds] | None = None, *, mixing: bool = False, reader: str = ""
) -> list[Facts]:
    """What is known of every operation of a bound plan.

    Args:
        plan: all sizes are numbers.
        sources: stored columns; all other inputs are the author's own.
        ranges: of all operations, see `quorate.lang.ranges`; without them keys of groups never count as combined.
        mixing: whether rows with weights of the author's choice count as combined all the same.
        reader: the author, who learns what is opened.

    Raises:
        UserError: an array is longer than 2**24 along an axis.
    """
    found: list[Facts] = []
    known = None if ranges is None else _proven(plan, sources, ranges)
    for index, operation in enumerate(plan.operations):
        _check_length(index, operation)
        step = Step(plan, index, found, sources, known, mixing, reader)
        rule = RULES.get(step.kind, Step.facts)
        found.append(rule(step))
    return found


def _check_length(index: int, operation: Operation) -> None:
    for type_ in operation.type.parts or (operation.type,):
        longest = max(concrete(type_.shape), default=0)
        if longest > _LONGEST:
            raise UserError(f"{place(index, operation)} has {longest} elements along an axis; at most {_LONGEST}")


def proven(plan: Plan, sources: Sources) -> list[bool]:
    """Of every operation, whether its range holds whatever the author uploads: shares of hers may be of any number."""
    found: list[bool] = []
    for operation in plan.operations:
        if operation.kind == "input":
            facts = sources.get((operation.attributes["input"], operation.attributes["column"]))
            found.append(facts is not None and facts.sure)
        else:
            found.append(operation.type.dtype == BOOL or all(found[operand] for operand in operation.operands))
    return found


def _proven(plan: Plan, sources: Sources, ranges: Sequence[Bounds]) -> list[Bounds | None]:
    return [bounds if sure else None for bounds, sure in zip(ranges, proven(plan, sources), strict=True)]


def check_openings(plan: Plan, known: Sequence[Facts], opened: Sequence[str], reader: str, least: int) -> None:
    """Raises `UserError` for the first opened output that rests on fewer than `least` rows of a data set.

    Data sets of `reader`, who learns the outputs, do not count.
    """
    for name in opened:
        target = plan.outputs[name]
        strands = [strand for strand in known[target].strands if strand.owner != reader]
        worst = min(strands, key=lambda strand: strand.rows, default=None)
        if worst is not None and worst.rows < least:
            raise UserError(_refusal(place(target, plan.operations[target]), name, worst, least))


def _refusal(where: str, name: str, worst: Strand, least: int) -> str:
    data_set = worst.source.partition("@")[0]
    if worst.weighed:
        return (
            f"openings: output {name!r} ({where}) brings rows of the data set {data_set!r} together with values that "
            "you chose for each row (an upload, a constant, row numbers), which could pick out single rows; leave them "
            f"out, or ask the operators for 'mixing: true'{_OPTIONS}"
        )
    rows = "a single row" if worst.rows == 1 else f"{worst.rows} rows"
    return (
        f"openings: output {name!r} ({where}) may show {rows} of the data set {data_set!r}; open results only "
        f"that combine {least} rows or more by sums, means, counts, matrix products, histograms or groups{_OPTIONS}"
    )
