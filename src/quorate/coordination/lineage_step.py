"""One operation of a plan, and what happens to what is known of its operands when they meet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec

from quorate.coordination.lineage import Facts, Region, Shape, Strand, bounded, everywhere, tidy, union
from quorate.coordination.lineage_moves import seen_as
from quorate.lang.operations.base import Bounds, concrete, kind_of
from quorate.lang.plan import Operation, Plan

__all__ = ["Sources", "Step", "anywhere", "hits"]

Sources = Mapping[tuple[str, str], Facts]
"""(input, column) -> what is known of a stored column."""

_MULTIPLYING = frozenset({"mul", "products", "dot", "inner_products", "matmul"})
_LINEAR = _MULTIPLYING | {"add", "sub", "neg", "rescale", "view", "div_public", "broadcast", "aligned"}
"""Kinds that may bring row numbers together with rows: weights of 0, 1, 2, ... pick none."""
_ROUNDING = frozenset({"rescale", "rescale_floor", "div_public"})
"""Kinds that may turn row numbers into steps."""
_ELEMENTWISE = frozenset({"add", "sub", "neg", "not", "xor", "bit_not", "shift_left", "view", "aligned", "broadcast"})
_ORDER_KEPT = frozenset({"view", "rescale", "rescale_floor", "broadcast", "aligned"})
_COMBINING = frozenset({"sum", "count", "mean_square", "any", "all"})  # any and all tell less than a count
_PICKING = frozenset({"prod", "min", "max", "argmin", "argmax"})


class Step:
    """One operation, with what is known of those before it."""

    def __init__(
        self,
        plan: Plan,
        index: int,
        before: Sequence[Facts],
        sources: Sources,
        ranges: Sequence[Bounds | None] | None,
        mixing: bool,
        reader: str,
    ) -> None:
        self.operation: Operation = plan.operations[index]
        self.kind = self.operation.kind
        self.attributes = self.operation.attributes
        self.numbers = self.operation.operands
        self.operands = [before[operand] for operand in self.numbers]
        self.before = [plan.operations[operand] for operand in self.numbers]
        self.types = [operation.type for operation in self.before]
        self.ranges = None if ranges is None else [ranges[operand] for operand in self.numbers]
        self.sources, self.mixing, self.reader = sources, mixing, reader

    @property
    def shape(self) -> Shape:
        return concrete(self.operation.type.shape)

    def shapes(self, index: int) -> Shape:
        return concrete(self.types[index].shape)

    def facts(self) -> Facts:
        if self.kind in _ELEMENTWISE or kind_of(self.kind).elementwise:
            return self.together(range(len(self.operands)), self.shape)
        if self.kind in _COMBINING or self.kind in _PICKING:
            return self.reduced(self.operands[0], self.attributes["axis"], combining=self.kind in _COMBINING)
        return self.unknown()

    def unknown(self) -> Facts:
        """A kind that is not known here, such as one of another package."""
        one = union(self.operands, frozenset())
        types = self.operation.type.parts or (self.operation.type,)
        parts = [replace(one.scrambled(concrete(t.shape)), chosen=everywhere(concrete(t.shape))) for t in types]
        return Facts(parts=tuple(parts)) if self.operation.type.parts else parts[0]

    # -- values that meet ----------------------------------------------------------------------------------------------

    def together(self, which: Sequence[int], shape: Shape, pairs: Sequence[Sequence[int]] | None = None) -> Facts:
        """Element by element, after broadcasting; operands meet within `pairs`, by default all of them."""
        seen = {k: seen_as(self.operands[k], self.shapes(k), shape) for k in which}
        linear = self.kind in _LINEAR
        strands: list[Strand] = []
        ramps: set[int] = set()
        regions: list[Region] = []
        for pair in pairs or [list(which)]:
            bent, straight = self._ramps([seen[k] for k in pair], linear)
            decided = not linear and any(self.decided(k) for k in pair)
            for k in pair:
                others = [seen[j] for j in pair if self.numbers[j] != self.numbers[k]]
                strands += [self._met(strand, seen[k], others, linear, bent) for strand in seen[k].strands]
                regions += seen[k].chosen
            ramps |= straight
            regions += [Region(axis, 0, shape[axis], decided) for axis in bent]
        return Facts(tidy(strands), bounded(regions), frozenset(ramps))

    def decided(self, operand: int) -> bool:
        """Whether data has a part in this operand: it rests on rows, and is not proven to be one and the same.

        Data sets of the reader do not count: what lies in them is for the reader to choose.
        """
        if all(strand.owner == self.reader for strand in self.operands[operand].strands):
            return False
        bounds = None if self.ranges is None else self.ranges[operand]
        return not isinstance(bounds, tuple) or bool(bounds[0] != bounds[1])

    def _met(
        self, strand: Strand, own: Facts, others: Sequence[Facts], linear: bool, bent: Collection[int] = ()
    ) -> Strand:
        """A strand of one operand, once it has met the others, where row numbers were bent along some axes."""
        kept = self.kind in _ORDER_KEPT or not strand.order
        after = strand if kept else msgspec.structs.replace(strand, order=0)
        spot = strand.place
        if spot is None or self.mixing:
            return after
        met = [*others, own] if not linear or self.kind in _MULTIPLYING else others
        hit = any(hits(region, strand, spot) for facts in met for region in facts.chosen)
        if self.kind not in _ROUNDING:
            hit |= spot.axis in bent
        if self.kind in _MULTIPLYING and strand.running:
            hit |= any(spot.axis in facts.ramps for facts in others)
        if not linear:
            hit |= any(spot.axis in facts.ramps for facts in (own, *others))
        if hit:
            return strand.picked()
        if self.kind in _MULTIPLYING and any(spot.axis in facts.ramps for facts in others):
            return msgspec.structs.replace(after, count=max(1, after.count - 1))  # one row number may be 0
        return after

    def _ramps(self, seen: Sequence[Facts], linear: bool) -> tuple[set[int], set[int]]:
        """Axes along which row numbers become something else, and those along which they stay."""
        axes = {axis for facts in seen for axis in facts.ramps}
        if not linear or self._rounds():
            return axes, set()
        several = self.kind in _MULTIPLYING
        squared = {axis for axis in axes if several and sum(axis in facts.ramps for facts in seen) > 1}
        return squared, axes - squared

    def _rounds(self) -> bool:
        """Whether digits may go."""
        if self.kind not in _ROUNDING:
            return False
        return self.kind == "div_public" or self.operation.type.dtype.scale < self.types[0].dtype.scale

    def reduced(self, facts: Facts, axis: int, *, combining: bool) -> Facts:
        """After a reduction along `axis`."""
        strands = [_reduced(strand, axis, combining) for strand in facts.strands]
        regions = [r._replace(axis=r.axis - (r.axis > axis)) for r in facts.chosen if r.axis != axis]
        ramps = frozenset(old - (old > axis) for old in facts.ramps if old != axis)
        return Facts(tidy(strands), bounded(regions), ramps)

    def columns(self) -> list[Facts]:
        """The operands, columns of one table, once they have met and their rows have changed places."""
        shapes = [self.shapes(k) for k in range(len(self.operands))]
        # An element of a column goes with the whole row of the others: what matters is where along axis 0 they differ.
        flat = [_along_rows(facts) for facts in self.operands]
        chosen = self._chosen_within(flat)
        result = []
        for k, facts in enumerate(self.operands):
            others = [flat[j] for j in range(len(flat)) if self.numbers[j] != self.numbers[k]]
            strands = [anywhere(self._met(strand, facts, others, False), shapes[k][0]) for strand in facts.strands]
            whole = everywhere(shapes[k]) if chosen and (facts.chosen or facts.ramps) else frozenset()
            result.append(Facts(tidy(strands), whole))
        return result

    def _chosen_within(self, columns: Sequence[Facts]) -> bool:
        """Whether something differs as the author chose among the rows of one data set, not just between data sets."""
        spots = [strand.place for facts in self.operands for strand in facts.strands if strand.place is not None]
        regions = [region for facts in columns for region in facts.chosen]
        ramps = any(facts.ramps for facts in columns)
        return ramps or not spots or any(_disturbs(region, spot) for region in regions for spot in spots)


def hits(region: Region, strand: Strand, spot: Region) -> bool:
    """Whether chosen values pick among the rows of a strand.

    At a place that data decides, rows that data has arranged are order statistics; others are picked by position.
    """
    return _disturbs(region, spot) and not (region.decided and strand.arranged)


def _disturbs(region: Region, spot: Region) -> bool:
    """Whether values differ in a chosen way between positions of a strand."""
    return region.axis == spot.axis and min(region.high, spot.high) - max(region.low, spot.low) > 1


def anywhere(strand: Strand, rows: int) -> Strand:
    """After rows have changed places."""
    return strand if strand.place is None or strand.place.axis else strand.at(Region(0, 0, rows))


def _along_rows(facts: Facts) -> Facts:
    """What a column is to the other columns of its table."""
    return Facts(
        chosen=frozenset(region for region in facts.chosen if region.axis == 0), ramps=facts.ramps & frozenset({0})
    )


def _reduced(strand: Strand, axis: int, combining: bool) -> Strand:
    if strand.place is None:
        return strand
    if strand.place.axis == axis:
        return strand.combined() if combining else strand.lost()
    moved = strand.place._replace(axis=strand.place.axis - (strand.place.axis > axis))
    return msgspec.structs.replace(strand.at(moved), order=0)
