"""What becomes known of the results of operations other than elementwise ones and plain reductions."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np

from quorate.coordination.lineage import NOTHING, Facts, Region, Strand, bounded, everywhere, tidy, union
from quorate.coordination.lineage_moves import indexed, joined, reshaped, seen_as
from quorate.coordination.lineage_order import RULES as ORDER
from quorate.coordination.lineage_step import Step
from quorate.lang.operations.io import constant_values
from quorate.lang.plan import Type

__all__ = ["RULES"]


# -- products of vectors and matrices ------------------------------------------------------------------------------


def _inner(step: Step) -> Facts:
    """Pairs multiplied along their last axes."""
    sums = []
    for k in range(0, len(step.operands), 2):
        shape = step.shapes(k)
        met = step.together([k, k + 1], shape)
        sums.append(seen_as(step.reduced(met, len(shape) - 1, combining=True), shape[:-1], step.shape))
    return union(sums, frozenset().union(*(facts.ramps for facts in sums)))


def _products(step: Step) -> Facts:
    which = range(len(step.operands))
    return step.together(which, step.shape, [[k, k + 1] for k in which[::2]])


def _matrices(step: Step) -> Facts:
    """As products of (n, k, 1) and (1, k, m), summed over k."""
    (n, k), (_, m) = step.shapes(0), step.shapes(1)
    left, right = step.operands
    wide = copy.copy(step)
    wide.operands = [reshaped(left, (n, k), (n, k, 1)), reshaped(right, (k, m), (1, k, m))]
    wide.types = [Type(type_.dtype, shape) for type_, shape in zip(step.types, ((n, k, 1), (1, k, m)), strict=True)]
    return step.reduced(wide.together([0, 1], (n, k, m)), 1, combining=True)


def _product(step: Step) -> Facts:
    """What is multiplied by a public 0 rests on nothing."""
    nothing = any(known.kind == "constant" and not constant_values(known.attributes).any() for known in step.before)
    return NOTHING if nothing else step.facts()


def _masked(step: Step) -> Facts:
    met = step.together([0, 1], step.shapes(0))
    return step.reduced(met, step.attributes["axis"], combining=True)


# -- sources -------------------------------------------------------------------------------------------------------


def _input(step: Step) -> Facts:
    key = (step.attributes["input"], step.attributes["column"])
    if key in step.sources:
        return step.sources[key]
    return Facts(chosen=everywhere(step.shape))


def _constant(step: Step) -> Facts:
    values = constant_values(step.attributes)
    regions: list[Region] = []
    ramps: set[int] = set()
    for axis, size in enumerate(values.shape):
        steps = np.diff(values, axis=axis) if values.size else np.zeros(0)
        if not steps.any():
            continue
        if size > 2 and values.ndim == 1 and np.all(steps == steps[0]):
            ramps.add(axis)
            continue
        changes = np.flatnonzero(steps.any(axis=tuple(k for k in range(values.ndim) if k != axis)))
        regions += [Region(axis, int(change), int(change) + 2) for change in changes]
    return Facts(chosen=bounded(regions), ramps=frozenset(ramps))


# -- places --------------------------------------------------------------------------------------------------------


def _transposed(step: Step) -> Facts:
    axes = list(step.attributes["axes"])
    facts = step.operands[0]
    return facts.moved(lambda region: region._replace(axis=axes.index(region.axis)), axes.index)


def _reshaped(step: Step) -> Facts:
    facts, shape = step.operands[0], step.shapes(0)
    if facts.form is not None and facts.form[0] == step.shape:
        return facts.form[1]
    return replace(reshaped(facts, shape, step.shape), form=(shape, replace(facts, form=None)))


def _indexed(step: Step) -> Facts:
    return indexed(step.operands[0], step.shapes(0), step.attributes["index"], step.shape, mixing=step.mixing)


def _concatenated(step: Step) -> Facts:
    axis = step.attributes["axis"]
    return joined(step.operands, [step.shapes(k)[axis] for k in range(len(step.operands))], axis)


def _read(step: Step) -> Facts:
    """Rows of a table at secret positions."""
    table, index = step.operands
    extra = len(step.shapes(1)) - 1

    def axis(old: int) -> int | None:
        return old + extra if old else None

    def move(region: Region) -> Region | None:
        return region._replace(axis=region.axis + extra) if region.axis else None

    # What lies at a place of a sorted column that data decides, such as half of a secret count, is an order statistic.
    decided = step.decided(1)
    strands = [strand.combined() if decided and _is_sorted(strand) else strand for strand in table.strands]
    rows = replace(table, strands=frozenset(strands)).moved(move, axis)
    per_row = any(region.axis == 0 for region in table.chosen) or 0 in table.ramps
    counts = [strand.count for strand in index.strands]
    picked = index.chosen or index.ramps or (per_row and 2 * step.shapes(0)[0] > min(counts, default=0))
    along = everywhere(step.shape[: extra + 1]) if picked else frozenset()
    everything = [msgspec.structs.replace(strand, order=0) for strand in (*rows.strands, *index.strands)]
    return Facts(tidy(everything), bounded(rows.chosen | along), rows.ramps)


def _is_sorted(strand: Strand) -> bool:
    return bool(strand.order and strand.place is not None and strand.place.axis == 0)


def _written(step: Step) -> Facts:
    """Rows of a table that are replaced: the rest of them stay."""
    table, *others = step.operands
    decided = step.decided(1)
    chosen = not decided or any(facts.chosen or facts.ramps for facts in step.operands)
    written = math.prod(step.shapes(1))
    rows = [s if step.mixing else _rest(s, written, chosen) for s in table.strands]
    lost = [strand for facts in others for strand in facts.scrambled(step.shape).strands]
    return Facts(tidy([*rows, *lost]), everywhere(step.shape) if chosen else frozenset())


def _rest(strand: Strand, written: int, chosen: bool) -> Strand:
    """What is left of a strand once rows were replaced, or values within them."""
    if strand.place is None:
        return strand
    if chosen:
        return strand.picked()
    return msgspec.structs.replace(strand, count=max(1, strand.count - written), order=0)


def _item(step: Step) -> Facts:
    return step.operands[0].parts[step.attributes["index"]]


RULES: dict[str, Callable[[Step], Facts]] = {
    "input": _input,
    "constant": _constant,
    "iota": lambda step: Facts(ramps=frozenset({0} if step.shape[0] > 1 else ())),
    "mul": _product,
    "dot": _inner,
    "inner_products": _inner,
    "products": _products,
    "matmul": _matrices,
    "masked_mean": _masked,
    "transpose": _transposed,
    "reshape": _reshaped,
    "index": _indexed,
    "concat": _concatenated,
    "read": _read,
    "write": _written,
    "item": _item,
    **ORDER,
}
