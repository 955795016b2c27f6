"""quorate explain: what a computation does, what it costs, how exact it is, and who learns what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quorate.cli.approved import Rows, open_spec, parse_rows
from quorate.cli.common import Json, SpecFile, print_json

if TYPE_CHECKING:
    from quorate.coordination.roster import Roster
    from quorate.coordination.spec import Spec
    from quorate.lang.plan import Plan

__all__ = ["explain"]


def explain(spec: SpecFile, rows: Rows = None, json: Json = False) -> None:
    """Show a computation: its operations with types, ranges, cost and precision, and who learns what.

    Costs and ranges are for the most rows that the spec allows, or for those given with --rows.
    """
    loaded, plan = open_spec(spec)
    document = describe(loaded, plan, parse_rows(rows or []))
    if json:
        print_json(document)
    else:
        from quorate.cli.explain_view import show

        show(document)


def describe(spec: Spec, plan: Plan, given: Mapping[str, int]) -> dict[str, Any]:
    """Everything that `quorate explain` says, as plain data.

    Raises:
        UserError: the plan cannot run with these row counts, for example since values may overflow.
    """
    from quorate.coordination.quote import assumed_rows
    from quorate.coordination.roster import roster

    rows, who = assumed_rows(spec, given), roster(spec)
    return {
        "spec": spec.name,
        "plan_digest": plan.digest,
        "spec_digest": spec.digest(plan.digest),
        "rows": rows,
        "protocol": _protocol(spec),
        "protection": _protection(spec),
        "dealer": spec.dealer,
        "operations": _operations(spec, plan, rows),
        "openings": _openings(spec, plan, rows),
        "learns": {name: _learns(spec, plan, who, index) for index, name in enumerate(who.participants)},
        "opened_inside": _opened_inside(plan),
    }


def _protocol(spec: Spec) -> dict[str, Any]:
    return {"name": spec.protocol.name, "adversary": spec.protocol.adversary, "threshold": spec.threshold}


def _protection(spec: Spec) -> str:
    """Adversary and threshold in words."""
    count, parties = spec.threshold, len(spec.parties)
    alone = "any single one of them learns" if count == 1 else f"any {count} of them that pool all they see learn"
    words = (
        f"{', '.join(spec.parties)} compute on shares. Of these {parties} parties, {alone} nothing beyond what is "
        f"listed here, and {count + 1} or more that collude could see all inputs. The adversary is "
        f"{spec.protocol.adversary}: parties may look at everything they get, but are taken to run the agreed program. "
        "If a party drops out, the session ends without a result."
    )
    if spec.dealer is None:
        return words
    from quorate.cli.quote import dealer_warning

    return f"{words} TRUSTED DEALER: {dealer_warning(spec.dealer)}"


def _operations(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> list[dict[str, Any]]:
    from quorate.coordination.breakdown import counting_protocols
    from quorate.coordination.program import raw_bounds
    from quorate.coordination.roster import roster
    from quorate.lang.cost import operation_costs
    from quorate.lang.precision import plan_errors
    from quorate.lang.ranges import plan_ranges

    bound, bounds, protocols = plan.bind(rows), raw_bounds(spec), counting_protocols(spec, plan, rows)
    owners: dict[str, int | str] = {item.name: roster(spec).owners.get(item.name, "stored") for item in spec.inputs}
    costs = operation_costs(bound, protocols, bounds, owners)
    errors, ranges = plan_errors(bound, protocols[0], bounds), plan_ranges(bound, protocols[0], bounds)
    names = {target: name for name, target in plan.outputs.items()}
    described = []
    for index, operation in enumerate(plan.operations):
        scale = operation.type.dtype.scale
        described.append(
            {
                "index": index,
                "kind": operation.kind,
                "operands": list(operation.operands),
                "attributes": dict(operation.attributes),
                "type": str(operation.type),
                "bound_type": str(bound.operations[index].type),
                "range": [math.ldexp(end, -scale) for end in ranges[index]],
                "error": errors[index] if math.isfinite(errors[index]) else None,
                "rounds": costs[index].rounds,
                "bytes_sent": costs[index].total,
                "output": names.get(index),
                "where": operation.where,
            }
        )
    return described


def _openings(spec: Spec, plan: Plan, rows: Mapping[str, int]) -> dict[str, Any]:
    """Output -> what it costs to open it to its recipients."""
    from quorate.coordination.breakdown import counting_protocols
    from quorate.coordination.roster import roster
    from quorate.lang.cost import opening_costs

    costs = opening_costs(plan.bind(rows), counting_protocols(spec, plan, rows), roster(spec).recipients)
    return {name: {"rounds": cost.rounds, "bytes_sent": cost.total} for name, cost in costs.items()}


def _learns(spec: Spec, plan: Plan, who: Roster, index: int) -> dict[str, Any]:
    """What one participant brings, which results are opened to it, what it keeps, and what is public."""
    name = who.participants[index]
    is_party = index < who.parties
    return {
        "role": "party" if is_party else "trusted dealer" if index == who.dealer else "outside",
        "knows": [item.name for item in spec.inputs if item.owner == name],
        "results": {
            output.name: str(plan.operations[plan.outputs[output.name]].type)
            for output in spec.outputs
            if name in spec.recipients(output)
        },
        "keeps_shares_of": [output.name for output in spec.outputs if output.keep is not None] if is_party else [],
        "public": "the spec and plan, the number of rows and the salted commitment of every input"
        + ("; sizes and times of messages" if is_party else ""),
    }


def _opened_inside(plan: Plan) -> list[str]:
    """What operations open on the way, one sentence each; empty: nothing but the results is ever opened."""
    from quorate.lang.operations import kind_of

    kinds = {operation.kind for operation in plan.operations}
    return [f"{kind}: {kind_of(kind).opens}" for kind in sorted(kinds) if kind != "input" and kind_of(kind).opens]
