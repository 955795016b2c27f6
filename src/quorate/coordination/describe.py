"""Everything there is to say about a plan before it runs: operations, cost, precision, and who learns what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorate.coordination.breakdown import OperationCost, breakdown, counting_protocols
from quorate.coordination.captions import box_title, cost_text, dealer_warning
from quorate.coordination.choose import Choice
from quorate.coordination.display import explanation_html
from quorate.coordination.drawing import drawing
from quorate.coordination.machine import load_machine
from quorate.coordination.outline import Outline, critical_path, outline
from quorate.coordination.program import raw_bounds
from quorate.coordination.roster import Roster, roster
from quorate.coordination.spec import Spec
from quorate.coordination.timeline import Links
from quorate.engine.network import Network
from quorate.lang.operations import kind_of
from quorate.lang.plan import Plan
from quorate.lang.precision import plan_errors
from quorate.lang.ranges import plan_ranges

__all__ = ["Explanation", "explanation"]

WHOLE_RESULT = "the result itself, to those whom the approved spec names; to nobody else, and nothing on the way to it"


@dataclass(frozen=True)
class Explanation:
    """What a plan does, costs and shows to whom; notebooks draw it.

    Attributes:
        document: all of it as plain data for JSON.
        drawn: the plan as boxes.
    """

    document: Mapping[str, Any]
    drawn: Outline

    def svg(self) -> str:
        """The plan as a drawing, an SVG document."""
        return drawing(self.document, self.drawn)

    def __str__(self) -> str:
        rows = self.document["operations"]
        boxes = (
            " ".join(filter(None, (box_title(box, rows[box.members[0]]), cost_text(box)))) for box in self.drawn.boxes
        )
        return "\n".join([*boxes, self.document["protection"]])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return explanation_html(self.document, self.drawn, self.svg())


def explanation(
    spec: Spec, plan: Plan, rows: Mapping[str, int], network: Network, choice: Choice | None = None
) -> Explanation:
    """Everything that `quorate explain` says, for these row counts on this network.

    Raises:
        UserError: the plan cannot run with these row counts, for example since values may overflow.
    """
    who = roster(spec)
    costs, openings = breakdown(spec, plan, rows, Links(network), load_machine())
    document = {
        "spec": spec.name,
        "plan_digest": plan.digest,
        "spec_digest": spec.digest(plan.digest),
        "rows": dict(rows),
        "network": {"rtt": network.rtt, "bandwidth": network.rate},
        "protocol": {"name": spec.protocol.name, "adversary": spec.protocol.adversary, "threshold": spec.threshold},
        "choice": None if choice is None else choice.as_dict(),
        "protection": _protection(spec),
        "dealer": spec.dealer,
        "operations": _operations(spec, plan, rows, costs),
        "outputs": _outputs(spec, plan, costs, openings),
        "openings": {name: {"rounds": cost.rounds, "bytes_sent": cost.bytes_sent} for name, cost in openings.items()},
        "learns": {name: _learns(spec, plan, who, index) for index, name in enumerate(who.participants)},
        "opened_inside": _opened_inside(plan),
    }
    return Explanation(document, outline(plan, costs))


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
    return f"{words} TRUSTED DEALER: {dealer_warning(spec.dealer)}"


def _operations(
    spec: Spec, plan: Plan, rows: Mapping[str, int], costs: Sequence[OperationCost]
) -> list[dict[str, Any]]:
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
    kinds = {operation.kind for operation in plan.operations}
    return [f"{kind}: {kind_of(kind).opens}" for kind in sorted(kinds) if kind != "input" and kind_of(kind).opens]
