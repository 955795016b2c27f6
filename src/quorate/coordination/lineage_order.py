"""What becomes known of the results of sorting, grouping and running values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

import msgspec

from quorate.coordination.lineage import NOTHING, Facts, Region, Strand, everywhere, tidy, union
from quorate.coordination.lineage_step import Step, anywhere, hits
from quorate.lang.operations.base import concrete

__all__ = ["RULES", "positions_of_others"]


def _sorted(step: Step) -> Facts:
    columns, keys = step.columns(), step.attributes["keys"]
    ruling = [strand for facts in columns[:keys] for strand in facts.strands]
    chosen = any(facts.chosen for facts in columns[:keys])
    decided = any(step.decided(k) for k in range(keys))
    padding = step.shapes(0)[0] - positions_of_others(step)
    parts = []
    for k, facts in enumerate(columns):
        strands = tidy([*facts.strands, *ruling])
        strands = frozenset(msgspec.structs.replace(strand, arranged=decided) for strand in strands)
        if k < keys:
            ordered = [msgspec.structs.replace(s, order=1) if k else s.sorted(padding) for s in strands]
            strands = frozenset(ordered)
        parts.append(Facts(strands, everywhere(step.shapes(k)) if chosen or facts.chosen else frozenset()))
    order = Facts(tidy(ruling), frozenset({Region(0, 0, step.shapes(0)[0], decided)}))
    return Facts(parts=(*parts, *([order] if step.attributes["order"] else [])))


def _merged(step: Step) -> Facts:
    half = len(step.operands) // 2
    columns = step.columns()
    keys = [s for k in range(step.attributes["keys"]) for run in (0, half) for s in columns[run + k].strands]
    parts = []
    for k, type_ in enumerate(step.operation.type.parts[:half]):
        shape = concrete(type_.shape)
        strands = [*columns[k].strands, *columns[half + k].strands, *keys]
        parts.append(Facts(tidy(anywhere(strand, shape[0]) for strand in strands), everywhere(shape)))
    return Facts(parts=tuple(parts))


def _shuffled(step: Step) -> Facts:
    return Facts(parts=tuple(step.columns()))


def _compacted(step: Step) -> Facts:
    mask, *columns = step.columns()
    parts = [union([facts, mask], frozenset()) for facts in columns]
    count = step.reduced(mask, 0, combining=True)
    return Facts(parts=(*parts, count))


def _topped(step: Step) -> Facts:
    """The largest rest together on as many rows as they are, less what is no data; which they are tells of one row."""
    facts, most = step.operands[0], step.attributes["k"]
    place, padding = Region(0, 0, most), step.shapes(0)[0] - positions_of_others(step)
    largest = [
        s.lost() if s.place is None or s.place.axis else s.lost().at(place, s.sorted(padding).within(most))
        for s in facts.strands
    ]
    regions = everywhere((most,))
    return Facts(parts=(Facts(tidy(largest), regions), Facts(_singles(facts).strands, regions)))


def _grouped(step: Step) -> Facts:
    """Groups of keys that can take few values have many rows on average; of others, each may be of one."""
    columns, keys = step.columns(), step.attributes["keys"]
    values = _values(step, range(keys))
    sizes = [concrete(part.shape) for part in step.operation.type.parts]
    groups = sizes[0][0]
    decided = any(step.decided(k) for k in range(keys))
    ruling = union([_totals(facts, values, groups) for facts in columns[:keys]], frozenset())
    results = [ruling] * keys
    for what, index, *_ in step.attributes["aggregates"]:
        column = NOTHING if what == "count" else columns[index]
        whole = _totals(column, values, groups) if what in ("sum", "mean", "count") else _singles(column)
        results.append(union([ruling, whole], frozenset()))
    every = union([step.reduced(facts, 0, combining=True) for facts in columns[:keys]])
    results += [ruling if size else every for size in sizes[len(results) :]]
    return Facts(
        parts=tuple(
            replace(facts, chosen=frozenset(r._replace(decided=decided and not r.axis) for r in everywhere(size)))
            for facts, size in zip(results, sizes, strict=True)
        )
    )


def _values(step: Step, keys: Iterable[int]) -> int | None:
    """How many values keys can take together; None if that is not known."""
    found = [None if step.ranges is None else step.ranges[k] for k in keys]
    pairs = [(bounds[0], bounds[1]) for bounds in found if isinstance(bounds, tuple)]
    return math.prod(int(high) - int(low) + 1 for low, high in pairs) if len(pairs) == len(found) else None


def _histogram(step: Step) -> Facts:
    """Which bin is which is public, so that constants could be put there as the author likes."""
    met = step.together(range(len(step.operands)), step.shapes(0))
    return Facts(tidy(strand.combined() for strand in met.strands), everywhere(step.shape))


def _one_hot(step: Step) -> Facts:
    """A category has as many rows, on average, as there are, divided by the number of categories."""
    facts, size = step.together([0], step.shapes(0)), step.shape[-1]
    strands = tidy(msgspec.structs.replace(s, count=max(1, s.count // max(1, size))) for s in facts.strands)
    return replace(facts, strands=strands, chosen=facts.chosen | {Region(len(step.shape) - 1, 0, size)})


def _thresholds(step: Step) -> Facts:
    facts = step.together([0], step.shape)
    return replace(facts, chosen=facts.chosen | {Region(0, 0, step.shape[0])})


def _quantile(step: Step) -> Facts:
    """An order statistic tells of as many rows of data sets as lie beyond it, even if all that is no data does too."""
    share = min(min(Fraction(*pair), 1 - Fraction(*pair)) for pair in step.attributes["q"])
    whole = Region(0, 0, step.shapes(0)[0])
    beyond = math.floor(share * whole.high)
    strands = []
    for strand in step.operands[0].strands:
        if strand.place is not None and strand.place.axis == 0:
            rows = strand.within(beyond) if strand.place == whole else 1
            strand = msgspec.structs.replace(strand.lost(), rows=strand.rows * rows)
        strands.append(strand)
    chosen = step.operands[0].chosen or step.operands[0].ramps
    return Facts(tidy(strands), everywhere(step.shape) if chosen else frozenset())


def positions_of_others(step: Step) -> int:
    """How many elements of a column at least are rows of data sets that the reader has not placed.

    Rows of several data sets may lie at the same positions, as after a sum; those of one in several pieces, or in
    several versions, may be the same rows. What lies at positions of its own counts in full.
    """
    spans: dict[tuple[str, str], tuple[int, int, int]] = {}
    for strand in step.operands[0].strands:
        place = strand.place
        if place is None or place.axis or strand.owner == step.reader:
            continue
        key = (strand.owner, strand.source.partition("@")[0])
        high, low, count = spans.get(key, (place.high, place.low, strand.count))
        spans[key] = (max(high, place.high), min(low, place.low), min(count, strand.count))
    # The most that spans without a position in common hold together, among those that end at `high` or before.
    best: list[tuple[int, int]] = []
    for high, low, count in sorted(spans.values()):
        before = max((most for end, most in best if end <= low), default=0)
        best.append((high, before + min(count, high - low)))
    return max((most for _, most in best), default=0)


def _running(step: Step) -> Facts:
    """Values move on to all positions behind theirs. Counts of positions are row numbers, if data has no part in it.

    What is no sum may be the same row everywhere, unless data decides where each run of rows starts.
    """
    axis = step.attributes.get("axis", 0)
    facts = step.operands[0] if len(step.operands) == 1 else _segments(step)
    adding = step.kind == "cumsum" or step.attributes.get("op") == "sum"
    size, found = step.shape[axis], facts.strands
    if adding and not step.mixing:
        found = tidy(_weighed(facts, strand, axis) for strand in found)
    first = step.attributes.get("op") == "first" and step.decided(1)
    found = tidy(_onwards(strand, axis, size, adding=adding, apart=adding or first) for strand in found)
    if axis in facts.ramps or any(region.axis == axis for region in facts.chosen):
        return Facts(found, facts.chosen | {Region(axis, 0, size)}, facts.ramps - {axis})
    decided = any(step.decided(k) for k in range(len(step.operands)))
    return Facts(found, facts.chosen, facts.ramps if decided or not adding else facts.ramps | {axis})


def _weighed(facts: Facts, strand: Strand, axis: int) -> Strand:
    """A running sum of what has met row numbers, or of a running sum, has weights like their squares."""
    if strand.place is None or strand.place.axis != axis:
        return strand
    bent = strand.running or axis in facts.ramps or any(hits(r, strand, strand.place) for r in facts.chosen)
    return strand.picked() if bent else strand


def _onwards(strand: Strand, axis: int, size: int, *, adding: bool, apart: bool) -> Strand:
    """A strand after running values; `apart`: elements still rest on rows of their own."""
    place = strand.place
    strand = msgspec.structs.replace(strand, order=0)
    if place is None or place.axis != axis:
        return strand
    if not apart:
        return strand.lost()
    return msgspec.structs.replace(strand, place=Region(axis, place.low, size), running=strand.running or adding)


def _segments(step: Step) -> Facts:
    """Values with a mark for every row."""
    values, starts = step.columns()
    return union([values, starts], frozenset())


def _totals(facts: Facts, values: int | None, size: int) -> Facts:
    """After sums along axis 0 within groups by keys that take so many `values`; `size` groups come out."""
    return Facts(tidy(_total(strand, values, size) for strand in facts.strands))


def _total(strand: Strand, values: int | None, size: int) -> Strand:
    """All groups together have the rows that there were, unless there are more of them than are shown."""
    if strand.place is None or strand.place.axis:
        return strand.lost()
    every = strand.combined()
    rows = max(1, 0 if values is None else every.rows // values)
    place = Region(0, 0, size)
    return msgspec.structs.replace(
        every, rows=rows, place=place, count=max(1, min(size, every.rows // rows)), arranged=True
    )


def _singles(facts: Facts) -> Facts:
    return Facts(tidy(strand.lost() for strand in facts.strands))


RULES: dict[str, Callable[[Step], Facts]] = {
    "sort": _sorted,
    "merge": _merged,
    "shuffle": _shuffled,
    "compact": _compacted,
    "top_k": _topped,
    "group": _grouped,
    "histogram": _histogram,
    "quantile": _quantile,
    "cumsum": _running,
    "cummax": _running,
    "cummin": _running,
    "segmented_scan": _running,
    "one_hot": _one_hot,
    "thresholds": _thresholds,
}
