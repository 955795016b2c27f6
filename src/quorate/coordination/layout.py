"""Places for the boxes of a drawing: layer by layer, few crossings, connected boxes near each other.

After Sugiyama, Tagawa, Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE Trans. SMC 11
(1981): longest-path layers, barycentres for the order, and averages of neighbours for the places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Layout", "arrange"]

_ORDERINGS, _PLACINGS = 8, 12
_THREAD = 14.0
"""Width that a line takes that passes a layer."""

Edge = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """Where everything goes.

    Attributes:
        layer: of every node, 0 at the top.
        x: the horizontal centre of every node.
        paths: edge -> the places (x, layer) where it passes the layers between its ends.
        width, layers: of the whole.
    """

    layer: list[int]
    x: list[float]
    paths: dict[Edge, list[tuple[float, int]]]
    width: float
    layers: int


@dataclass
class _Graph:
    """Nodes, and a chain of points in place of every edge that passes layers."""

    widths: list[float]
    layer: list[int]
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)

    def link(self, upper: int, lower: int) -> None:
        self.below[upper].append(lower)
        self.above[lower].append(upper)

    def point(self, layer: int) -> int:
        self.widths.append(_THREAD)
        self.layer.append(layer)
        self.above.append([])
        self.below.append([])
        return len(self.widths) - 1


def arrange(widths: Sequence[float], edges: Sequence[Edge], gap: float) -> Layout:
    """A layout of nodes of these widths, `gap` apart; every edge leads from a node to one with a higher number."""
    count = len(widths)
    layer = _layers(count, edges)
    graph = _Graph(list(widths), layer, [[] for _ in widths], [[] for _ in widths])
    chains = {edge: _chain(graph, edge) for edge in edges}
    rows = _ordered(graph)
    x = _placed(graph, rows, gap)
    left = min((x[node] - graph.widths[node] / 2 for node in range(len(x))), default=0.0)
    x = [place - left for place in x]
    right = max((x[node] + graph.widths[node] / 2 for node in range(len(x))), default=0.0)
    paths = {edge: [(x[point], graph.layer[point]) for point in chain] for edge, chain in chains.items()}
    return Layout(graph.layer[:count], x[:count], paths, right, len(rows))


def _layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """As far down as the longest chain above; what has nothing above stands right over what it leads to."""
    layer = [0] * count
    for upper, lower in sorted(edges):
        layer[lower] = max(layer[lower], layer[upper] + 1)
    has_above = {lower for _, lower in edges}
    for node in range(count):
        nearest = min((layer[lower] for upper, lower in edges if upper == node), default=None)
        if node not in has_above and nearest is not None:
            layer[node] = nearest - 1
    return layer


def _chain(graph: _Graph, edge: Edge) -> list[int]:
    upper, lower = edge
    points = [graph.point(layer) for layer in range(graph.layer[upper] + 1, graph.layer[lower])]
    stations = [upper, *points, lower]
    for one, other in pairwise(stations):
        graph.link(one, other)
    return points


def _ordered(graph: _Graph) -> list[list[int]]:
    """The nodes of each layer from left to right, sorted by the middle of their neighbours, down and up in turn."""
    rows: list[list[int]] = [[] for _ in range(max(graph.layer, default=-1) + 1)]
    for node, layer in enumerate(graph.layer):
        rows[layer].append(node)
    for turn in range(_ORDERINGS):
        neighbours = graph.below if turn % 2 else graph.above
        for row in reversed(rows) if turn % 2 else rows:
            place = {node: index for other in rows for index, node in enumerate(other)}
            row.sort(key=lambda node: _mean([place[other] for other in neighbours[node]], place[node]))
    return rows


def _placed(graph: _Graph, rows: Sequence[Sequence[int]], gap: float) -> list[float]:
    x = [0.0] * len(graph.widths)
    for row in rows:
        _spread(graph, row, [0.0] * len(row), gap, x)
    for turn in range(_PLACINGS):
        neighbours = graph.below if turn % 2 else graph.above
        for row in reversed(rows) if turn % 2 else rows:
            wanted = [_mean([x[other] for other in neighbours[node]], x[node]) for node in row]
            _spread(graph, row, wanted, gap, x)
    return x


def _spread(graph: _Graph, row: Sequence[int], wanted: Sequence[float], gap: float, x: list[float]) -> None:
    """Places near the wanted ones, in order and far enough apart: half way between pushing right and pushing left."""
    apart = [(graph.widths[one] + graph.widths[other]) / 2 + gap for one, other in pairwise(row)]
    right, left = list(wanted), list(wanted)
    for index, distance in enumerate(apart, 1):
        right[index] = max(right[index], right[index - 1] + distance)
    for index in range(len(row) - 2, -1, -1):
        left[index] = min(left[index], left[index + 1] - apart[index])
    for node, one, other in zip(row, right, left, strict=True):
        x[node] = (one + other) / 2


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
