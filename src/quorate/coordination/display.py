"""Quotes and explanations as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quorate.coordination.captions import box_facts, box_title, dealer_warning, duration
from quorate.html import Markup, bytes_text, folded, panel, table

if TYPE_CHECKING:
    from quorate.coordination.outline import Box, Outline
    from quorate.coordination.quote import Quote

__all__ = ["explanation_html", "quote_html"]

_EXACT = (
    "Rounds and bytes are exact: the real program was run on arrays without content. Times and memory are predictions."
)


def quote_html(made: Quote) -> Markup:
    """What a session costs each participant, and how long it takes."""
    rows = [
        [
            cost.name,
            cost.role,
            cost.rounds,
            bytes_text(cost.bytes_sent),
            duration(cost.seconds),
            f"{cost.memory_mb} MiB",
        ]
        for cost in made.participants
    ]
    rows.append(["all", "", made.rounds, bytes_text(made.bytes_sent), duration(made.seconds), ""])
    apart = made.network
    network = "the measured network" if apart["measured"] else f"{apart['rtt']} round trip, {apart['bandwidth']}/s each"
    time = (
        f"{duration(made.seconds)} on {network}: {duration(made.latency_seconds)} waiting for messages on their way, "
        f"{duration(made.transfer_seconds)} for bytes to pass, {duration(made.computing_seconds)} computing. "
    )
    warning = [table(["trusted dealer"], [[dealer_warning(made.dealer)]])] if made.dealer is not None else []
    tuples = [table(["correlated randomness", "count"], list(made.tuples.items()))] if made.tuples else []
    return panel(
        f"{made.spec}: {made.protocol}, {made.adversary}, threshold {made.threshold}",
        *warning,
        table(["participant", "role", "rounds", "bytes sent", "time", "memory"], rows),
        *tuples,
        note=time + _EXACT,
    )


def explanation_html(document: Mapping[str, Any], drawn: Outline, svg: str) -> Markup:
    """A plan: what is opened to whom, what each operation costs, and the drawing."""
    protocol = document["protocol"]
    boxes = sorted((box for box in drawn.boxes if box.rounds), key=lambda box: -box.seconds)
    return panel(
        f"{document['spec']}: {protocol['name']}, threshold {protocol['threshold']}",
        table(
            ["result", "what happens to it", "longest chain"], [_output(*item) for item in document["outputs"].items()]
        ),
        table(["who", "role", "brings", "learns"], [_learns(*item) for item in document["learns"].items()]),
        folded("Where the time goes", table(_COSTS, [_cost(document, box) for box in boxes])),
        folded("Drawing of the plan", Markup(svg)),
        note=document["protection"],
    )


_COSTS = ["operation", "type, range, worst error", "source", "rounds", "bytes", "time"]


def _output(name: str, output: Mapping[str, Any]) -> list[Any]:
    fate = f"opened to {', '.join(output['to'])}" if output["keep"] is None else f"kept as shares, {output['keep']!r}"
    return [name, fate, f"{output['critical_rounds']:,} rounds, {duration(output['critical_seconds'])}"]


def _learns(name: str, part: Mapping[str, Any]) -> list[Any]:
    return [name, part["role"], ", ".join(part["knows"]) or "–", ", ".join(part["results"]) or "no result"]


def _cost(document: Mapping[str, Any], box: Box) -> list[Any]:
    row = document["operations"][box.members[0]]
    facts = ", ".join(box_facts(row))
    return [box_title(box, row), facts, box.where, box.rounds, bytes_text(box.bytes_sent), duration(box.seconds)]
