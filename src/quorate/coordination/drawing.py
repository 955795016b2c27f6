"""The drawing of a plan as SVG: inputs at the top, results at the bottom, text that can be searched and read out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from quorate.coordination.captions import box_facts, box_title, cost_text
from quorate.coordination.layout import Layout, arrange
from quorate.coordination.outline import Outline

__all__ = ["drawing"]

_HEIGHT, _ROW, _GAP, _MARGIN = 58.0, 104.0, 22.0, 24.0
_LEGEND, _TOP = 30.0, 84.0
_LETTER = 7.2
"""Width of a letter of the 12 px font, with room to spare."""
_WIDEST, _LONGEST = 350.0, 46
_FILLS = {
    "input": ("#e3f3df", "#3c763d", "data that comes in"),
    "local": ("#f2f2f2", "#888888", "local: no messages"),
    "interactive": ("#dcecfa", "#2a6496", "needs messages"),
    "opening": ("#fbdde9", "#a6245c", "opens something on the way"),
    "result": ("#fff1cf", "#9a6b00", "result that is opened"),
    "kept": ("#ece4f7", "#5b3c88", "result that is kept as shares"),
}
_STYLE = (
    ".plan text{font:12px system-ui,sans-serif;fill:#1a1a1a}.plan .t{font-weight:600}.plan .h{font-size:17px;"
    "font-weight:600}.plan .s{fill:#444}.plan path{fill:none;stroke:#777;stroke-width:1.3}"
    ".plan .b{stroke-dasharray:5 4}"
)
"""Only for what is within: a drawing may stand in a page beside others."""


@dataclass(frozen=True)
class _Shape:
    """A box of the drawing: its lines of text, and what a pointer on it or a screen reader tells."""

    style: str
    lines: list[str]
    told: str

    @property
    def width(self) -> float:
        return min(_WIDEST, max(len(line) for line in self.lines) * _LETTER + 24)


def drawing(document: Mapping[str, Any], drawn: Outline) -> str:
    """The SVG document. `document` is what `quorate explain --json` prints, `drawn` the plan's outline."""
    shapes, edges, backward = _parts(document, drawn)
    layout = arrange([shape.width for shape in shapes], edges, _GAP)
    width = max(layout.width, 640.0) + 2 * _MARGIN
    height = _TOP + layout.layers * _ROW + _LEGEND + _MARGIN
    protocol = document["protocol"]
    title = f"{document['spec']}: plan and cost with {protocol['name']}"
    mark = document["plan_digest"][:8]
    body = [
        f'<svg class="plan" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-labelledby="title-{mark} desc-{mark}">',
        f'<title id="title-{mark}">{escape(title)}</title>',
        f'<desc id="desc-{mark}">{escape(_description(document, drawn))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text class="h" x="{_MARGIN}" y="34">{escape(title)}</text>',
        f'<text class="s" x="{_MARGIN}" y="56">{escape(_subtitle(document, drawn))}</text>',
        *(_line(layout, edge) for edge in edges),
        *(_back(layout, edge) for edge in backward),
        *(_box(shape, layout.x[index], layout.layer[index]) for index, shape in enumerate(shapes)),
        *_legend({shape.style for shape in shapes}, height - _MARGIN),
        "</svg>",
    ]
    return "\n".join(body) + "\n"


def _parts(
    document: Mapping[str, Any], drawn: Outline
) -> tuple[list[_Shape], list[tuple[int, int]], list[tuple[int, int]]]:
    """Shapes, the edges that lead down, and those that lead back up (in loops of which only one turn is drawn)."""
    shapes: list[_Shape] = []
    edges: list[tuple[int, int]] = []
    backward: list[tuple[int, int]] = []
    for number, box in enumerate(drawn.boxes):
        row = document["operations"][box.members[0]]
        facts, cost = box_facts(row), cost_text(box)
        lines = [box_title(box, row), *(text for text in ("  ".join(facts), cost) if text)]
        opens = f"; opens: {row['opens']}" if box.style == "opening" else ""
        told = f"{'; '.join([*lines, row['where']])}{opens}"
        shapes.append(_Shape(box.style, [_short(line) for line in lines], told))
        for operand in box.operands:
            (edges if operand < number else backward).append((operand, number))
    for number, names in _results(document, drawn).items():
        edges.append((number, len(shapes)))
        shapes.append(_result(document, names))
    return shapes, edges, backward


def _results(document: Mapping[str, Any], drawn: Outline) -> dict[int, list[str]]:
    """Box -> names of the results that it gives; constants of the plan are left out."""
    results: dict[int, list[str]] = {}
    for name, output in document["outputs"].items():
        number = drawn.place.get(output["operation"])
        if number is not None:
            results.setdefault(number, []).append(name)
    return results


def _result(document: Mapping[str, Any], names: list[str]) -> _Shape:
    outputs = [document["outputs"][name] for name in names]
    first = outputs[0]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    fate = f"kept as {first['keep']!r}" if first["keep"] is not None else f"to {', '.join(first['to'])}"
    cost = f"{first['rounds']} round, {sum(output['bytes_sent'] for output in outputs):,} B" if first["rounds"] else ""
    lines = [_short(line) for line in (f"{names[0]}{more}", fate, cost) if line]
    told = f"{', '.join(names)}: {fate}; opens: {first['opens']}; longest chain {first['critical_rounds']} rounds"
    return _Shape("result" if first["keep"] is None else "kept", lines, told)


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _description(document: Mapping[str, Any], drawn: Outline) -> str:
    names = ", ".join(document["outputs"])
    return (
        f"A layered graph of {len(drawn.boxes)} boxes for {len(document['operations'])} operations, inputs at the top, "
        f"the results {names} at the bottom. Every box names an operation, the type and range of its result, and its "
        "rounds, bytes and time."
    )


def _subtitle(document: Mapping[str, Any], drawn: Outline) -> str:
    rows = ", ".join(f"{name} {count:,}" for name, count in document["rows"].items())
    apart = document["network"]
    folded = f"; {drawn.folded}" if drawn.folded else ""
    return f"rows: {rows}; network: {apart['rtt']} round trip, {apart['bandwidth']}/s{folded}"


def _top(layer: int) -> float:
    return _TOP + layer * _ROW


def _line(layout: Layout, edge: tuple[int, int]) -> str:
    """A curve from the lower edge of a box, between the boxes on its way, to the upper edge of another."""
    upper, lower = edge
    stations = [(layout.x[upper], _top(layout.layer[upper]) + _HEIGHT)]
    for x, layer in layout.paths[edge]:
        stations += [(x, _top(layer)), (x, _top(layer) + _HEIGHT)]
    stations.append((layout.x[lower], _top(layout.layer[lower])))
    parts = [f"M{_at(stations[0])}"]
    for index, (one, other) in enumerate(pairwise(stations)):
        if index % 2:
            parts.append(f"L{_at(other)}")
        else:
            middle = (one[1] + other[1]) / 2
            parts.append(f"C{_at((one[0], middle))} {_at((other[0], middle))} {_at(other)}")
    return f'<path d="{" ".join(parts)}"/>'


def _back(layout: Layout, edge: tuple[int, int]) -> str:
    """A dashed curve up to a box of which only the first turn of a loop is drawn."""
    source, target = edge
    begin = (layout.x[source] + 20, _top(layout.layer[source]))
    end = (layout.x[target] + 20, _top(layout.layer[target]) + _HEIGHT)
    aside = max(begin[0], end[0]) + 90
    return f'<path class="b" d="M{_at(begin)} C{_at((aside, begin[1]))} {_at((aside, end[1]))} {_at(end)}"/>'


def _at(point: tuple[float, float]) -> str:
    return f"{point[0] + _MARGIN:.1f},{point[1]:.1f}"


def _box(shape: _Shape, centre: float, layer: int) -> str:
    fill, stroke, _ = _FILLS[shape.style]
    left, top = centre - shape.width / 2 + _MARGIN, _top(layer)
    rounded = 14 if shape.style in ("result", "kept") else 4
    first = top + _HEIGHT / 2 + 4 - 8 * (len(shape.lines) - 1)
    texts = [
        f'<text{" class=" + chr(34) + "t" + chr(34) if index == 0 else ""} x="{left + 12:.1f}" '
        f'y="{first + 16 * index:.1f}">{escape(line)}</text>'
        for index, line in enumerate(shape.lines)
    ]
    return (
        f'<g><title>{escape(shape.told)}</title><rect x="{left:.1f}" y="{top:.1f}" width="{shape.width:.1f}" '
        f'height="{_HEIGHT}" rx="{rounded}" fill="{fill}" stroke="{stroke}"/>{"".join(texts)}</g>'
    )


def _legend(styles: set[str], y: float) -> Iterator[str]:
    x = _MARGIN
    for style, (fill, stroke, words) in _FILLS.items():
        if style in styles:
            yield f'<rect x="{x:.1f}" y="{y - 11:.1f}" width="14" height="14" fill="{fill}" stroke="{stroke}"/>'
            yield f'<text x="{x + 20:.1f}" y="{y:.1f}">{words}</text>'
            x += 20 + len(words) * _LETTER + 18
