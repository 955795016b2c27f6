"""Passes: what makes a plan cheaper without changing what it computes.

A pass is a function from a plan to a plan. It may look at `Facts`: who runs the plan and on what. Without them, passes
do only what is right under every protocol and for all values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quorate.errors import UserError
from quorate.lang.passes.algebra import simplify
from quorate.lang.passes.balance import balance
from quorate.lang.passes.checking import check_types
from quorate.lang.passes.comparisons import decide_by_ranges, share_comparisons
from quorate.lang.passes.conversions import convert_once, keep_bits
from quorate.lang.passes.facts import Facts, Figures
from quorate.lang.passes.folding import fold_constants, remove_unused, share_equal
from quorate.lang.passes.products import fuse_sums, fuse_terms
from quorate.lang.passes.truncation import merge_scales, truncate_sums
from quorate.lang.plan import Plan

__all__ = ["PASSES", "Applied", "Facts", "Figures", "Pass", "optimise", "steps"]


@dataclass(frozen=True)
class Pass:
    """A named pass; its docstring's first line says what it does."""

    name: str
    run: Callable[[Plan, Facts | None], Plan]

    @property
    def summary(self) -> str:
        """One line."""
        return (self.run.__doc__ or "").strip().splitlines()[0]


PASSES = (
    Pass("types", check_types),
    Pass("fold", fold_constants),
    Pass("share", share_equal),
    Pass("algebra", simplify),
    Pass("ranges", decide_by_ranges),
    Pass("comparisons", share_comparisons),
    Pass("scales", merge_scales),
    Pass("bits", keep_bits),
    Pass("sums", fuse_sums),
    Pass("terms", fuse_terms),
    Pass("truncation", truncate_sums),
    Pass("trees", balance),
    Pass("choices", convert_once),
    Pass("tidy", simplify),
    Pass("unused", remove_unused),
)
"""All passes, in the order in which they run."""


@dataclass(frozen=True)
class Applied:
    """What one pass did.

    Attributes:
        before, after: the plan; the same object where nothing changed.
        refused: why a result was not taken, else empty.
        figures: cost and errors of `before` and `after`, if they were asked for.
    """

    name: str
    before: Plan
    after: Plan
    refused: str = ""
    figures: tuple[Figures, Figures] | None = None


def optimise(plan: Plan, facts: Facts | None = None, *, check: bool = False) -> Plan:
    """The plan after all passes.

    Args:
        facts: where it is to run.
        check: take the result of a pass only if neither its cost nor an error has grown; costs a count of the plan for
            each pass that changes something.

    Raises:
        UserError: with `facts`, values may not fit the protocol.
    """
    for applied in steps(plan, facts, check=check):
        plan = applied.after
    return plan


def steps(plan: Plan, facts: Facts | None = None, *, check: bool = False) -> Iterator[Applied]:
    """What every pass does, in order; arguments and errors of `optimise`."""
    figures = facts.figures(plan) if facts is not None and check else None
    for one in PASSES:
        made = one.run(plan, facts)
        if made == plan:
            yield Applied(one.name, plan, plan, figures=None if figures is None else (figures, figures))
            continue
        applied = Applied(one.name, plan, made) if facts is None else _checked(one.name, plan, made, facts, figures)
        yield applied
        if not applied.refused:
            plan, figures = made, None if applied.figures is None else applied.figures[1]


def _checked(name: str, plan: Plan, made: Plan, facts: Facts, before: Figures | None) -> Applied:
    """The result of a pass, if values still fit and, where the figures before are known, it is no worse."""
    try:
        if before is None:
            facts.ranges(made)
            return Applied(name, plan, made)
        after = facts.figures(made)
    except UserError as problem:
        kept = None if before is None else (before, before)
        return Applied(name, plan, plan, f"values would not fit: {problem}", kept)
    if not after.no_worse_than(before):
        return Applied(name, plan, plan, "it would cost more or be less exact", (before, before))
    return Applied(name, plan, made, "", (before, after))
