"""quorate explain: what a computation does, what it costs, how exact it is, and who learns what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.approved import Opened, Rows, open_spec
from quorate.cli.common import Json, SpecFile, print_json
from quorate.cli.conditions import Bandwidth, Rtt, network_of

if TYPE_CHECKING:
    from quorate.coordination.breakdown import OperationCost
    from quorate.coordination.roster import Roster
    from quorate.coordination.spec import Spec
    from quorate.engine.network import Network
    from quorate.lang.plan import Plan

__all__ = ["describe", "explain"]

WHOLE_RESULT = "the result itself, to those whom the approved spec names; to nobody else, and nothing on the way to it"


def explain(
    spec: SpecFile,
    rows: Rows = None,
    rtt: Rtt = None,
    bandwidth: Bandwidth = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the plan into this file.")] = None,
    json: Json = False,
) -> None:
    """Show a computation as a tree: its operations with types, ranges, cost and precision, and who learns what.

    Costs and ranges are for the most rows that the spec allows, or for those given with --rows.
    """
    opened = open_spec(spec, rows)
    plan = opened.plan
    document, costs = describe(opened, network_of(opened.spec, rtt, bandwidth))
    if svg is not None:
        _draw(svg, document, plan, costs)
    if json:
        print_json(document)
        return
    from quorate.cli.explain_view import show
    from quorate.coordination.outline import outline

    for line in opened.remarks:
        print(line)
    show(document, outline(plan, costs))
    if svg is not None:
        print(f"drawn in {svg}")


def _draw(file: Path, document: Mapping[str, Any], plan: Plan, costs: Sequence[OperationCost]) -> None:
    from quorate.cli.explain_svg import drawing
    from quorate.coordination.outline import outline
    from quorate.files import write_atomic

    write_atomic(file, drawing(document, outline(plan, costs)).encode())


def describe(opened: Opened, network: Network) -> tuple[dict[str, Any], list[OperationCost]]:
    """Everything that `quorate explain` says as plain data, and the cost of every operation.

    Raises:
        UserError: the plan cannot run with these row counts, for example since values may overflow.
    """
    from quorate.coordination.breakdown import breakdown
    from quorate.coordination.machine import load_machine
    from quorate.coordination.roster import roster
    from quorate.coordination.timeline import Links

    spec, plan, rows = opened.spec, opened.plan, opened.rows
    who = roster(spec)
    costs, openings = breakdown(spec, plan, rows, Links(network), load_machine())
    document = {
        "spec": spec.name,
        "plan_digest": plan.digest,
        "spec_digest": spec.digest(plan.digest),
        "rows": rows,
        "network": {"rtt": network.rtt, "bandwidth": network.rate},
        "protocol": {"name": spec.protocol.name, "adversary": spec.protocol.adversary, "threshold": spec.threshold},
        "choice": None if opened.choice is None else opened.choice.as_dict(),
        "protection": _protection(spec),
        "dealer": spec.dealer,
        "operations": _operations(spec, plan, rows, costs),
        "outputs": _outputs(spec, plan, costs, openings),
        "openings": {name: {"rounds": cost.rounds, "bytes_sent": cost.bytes_sent} for name, cost in openings.items()},
        "learns": {name: _learns(spec, plan, who, index) for index, name in enumerate(who.participants)},
        "opened_inside": _opened_inside(plan),
    }
    return document, costs


def _behaviour(spec: Spec) -> str:
    """What the adversary is taken to do, and what happens then."""
    if spec.protocol.adversary == "semi-honest":
        return "parties may look at everything they get, but are taken to run the agreed program."
    return (
        "parties may send what they like. Everything is checked before it is opened; a party that cheats ends the "
        f"session without a result, and gets away with it with a probability of 2^-{spec.security} at most."
    )


def _protection(spec: Spec) -> str:
    """Adversary and threshold in words."""
    count, parties = spec.threshold, len(spec.parties)
    alone = "any single one of them learns" if count == 1 else f"any {count} of them that pool all they see learn"
    words = (
        f"{', '.join(spec.parties)} compute on shares. Of these {parties} parties, {alone} nothing beyond what is "
        f"listed here, and {count + 1} or more that collude could see all inputs. The adversary is "
        f"{spec.protocol.adversary}: {_behaviour(spec)} If a party drops out, the session ends without a result."
    )
    if spec.dealer is None:
        return words
    from quorate.cli.quote import dealer_warning

    return f"{words} TRUSTED DEALER: {dealer_warning(spec.dealer)}"


def _operations(
    spec: Spec, plan: Plan, rows: Mapping[str, int], costs: Sequence[OperationCost]
) -> list[dict[str, Any]]:
    from quorate.coordination.breakdown import counting_protocols
    from quorate.coordination.program import raw_bounds
    from quorate.lang.operations import kind_of
    from quorate.lang.precision import plan_errors
    from quorate.lang.ranges import plan_ranges

    bound, bounds, protocol = plan.bind(rows), raw_bounds(spec), counting_protocols(spec, plan, rows)[0]
    errors, ranges = plan_errors(bound, protocol, bounds), plan_ranges(bound, protocol, bounds)
    names = {target: name for name, target in plan.outputs.items()}
    return [
        {
            "index": index,
            "kind": operation.kind,
            "operands": list(operation.operands),
            "attributes": dict(operation.attributes),
            "type": str(operation.type),
            "bound_type": str(bound.operations[index].type),
            "range": _real(ranges[index], [part.dtype.scale for part in operation.type.parts or (operation.type,)]),
            "error": errors[index] if math.isfinite(errors[index]) else None,
            "opens": kind_of(operation.kind).opens,
            "rounds": costs[index].rounds,
            "bytes_sent": costs[index].bytes_sent,
            "seconds": costs[index].seconds,
            "output": names.get(index),
            "where": operation.where,
        }
        for index, operation in enumerate(plan.operations)
    ]


def _real(range_: Any, scales: Sequence[int]) -> list[Any]:
    """Smallest and largest value in real units; of an operation with several results a list of these."""
    if isinstance(range_, list):
        return [_real(part, [scale]) for part, scale in zip(range_, scales, strict=True)]
    return [math.ldexp(end, -scales[0]) for end in range_]


def _outputs(
    spec: Spec, plan: Plan, costs: Sequence[OperationCost], openings: Mapping[str, OperationCost]
) -> dict[str, Any]:
    """Output -> to whom it is opened, at what cost, and the chain of operations that takes longest to it."""
    from quorate.coordination.outline import critical_path

    described = {}
    for output in spec.outputs:
        path = critical_path(plan, costs, plan.outputs[output.name])
        opening = openings.get(output.name)
        ends = [opening] if opening is not None else []
        described[output.name] = {
            "operation": plan.outputs[output.name],
            "to": list(spec.recipients(output)),
            "keep": output.keep,
            "opens": WHOLE_RESULT if ends else "nothing: the parties keep it as shares",
            "rounds": sum(part.rounds for part in ends),
            "bytes_sent": sum(part.bytes_sent for part in ends),
            "critical_path": path,
            "critical_rounds": sum(part.rounds for part in [*(costs[index] for index in path), *ends]),
            "critical_seconds": sum(part.seconds for part in [*(costs[index] for index in path), *ends]),
        }
    return described


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
