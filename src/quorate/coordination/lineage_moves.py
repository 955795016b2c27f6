"""How strands and regions (`quorate.coordination.lineage`) go along when the elements of a value are moved."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from quorate.coordination.lineage import Facts, Region, Shape, Strand, bounded, placed, tidy

__all__ = ["indexed", "joined", "reshaped", "seen_as"]


def seen_as(facts: Facts, shape: Shape, wanted: Shape) -> Facts:
    """After broadcasting from `shape` to `wanted`."""
    if shape == wanted:
        return facts
    shift = len(wanted) - len(shape)

    def axis(old: int) -> int | None:
        return old + shift if shape[old] == wanted[old + shift] else None

    def move(region: Region) -> Region | None:
        new = axis(region.axis)
        return None if new is None else region._replace(axis=new)

    return facts.moved(move, axis)


def joined(pieces: Sequence[Facts], lengths: Sequence[int], axis: int) -> Facts:
    """After putting pieces side by side along `axis`; where they meet, values may differ as the author likes.

    That does not matter where both rest on data: the rows of each count for themselves. Nor does it for a value that
    stands before or behind data, as in a comparison of each row with the one before.
    """
    strands: list[Strand] = []
    regions: list[Region] = []
    ramps: set[int] = set()
    start, held = 0, Counter(source for facts in pieces for source in {strand.source for strand in facts.strands})
    for index, (facts, length) in enumerate(zip(pieces, lengths, strict=True)):
        strands += [s if s.place is None else s.at(_shifted(s.place, axis, start)) for s in facts.strands]
        regions += [_shifted(region, axis, start) for region in facts.chosen]
        regions += [Region(axis, start, start + length)] if axis in facts.ramps and len(pieces) > 1 else []
        ramps |= facts.ramps if len(pieces) == 1 else facts.ramps - {axis}
        if index and _shows(pieces, lengths, axis, index, held):
            regions.append(Region(axis, start - 1, start + 1))
        start += length
    return Facts(tidy(strands), bounded(regions), frozenset(ramps))


def _shows(pieces: Sequence[Facts], lengths: Sequence[int], axis: int, index: int, held: Mapping[str, int]) -> bool:
    """Whether it may matter that a piece and the one before it differ; `held` counts the pieces with a data set."""
    edges = {0, len(pieces) - 1}
    sides = (index - 1, index)
    if not any(pieces[k].strands for k in sides):
        return True
    return not all(_alone(pieces[k], axis, held) if pieces[k].strands else k in edges and lengths[k] < 2 for k in sides)


def _alone(piece: Facts, axis: int, held: Mapping[str, int]) -> bool:
    """Whether a piece holds rows of data sets that no other piece rests on, or rows that lie along another axis."""
    if any(strand.place is None for strand in piece.strands):
        return False
    along = {strand.source for strand in piece.strands if strand.place is not None and strand.place.axis == axis}
    return all(held[source] == 1 for source in along)


def _shifted(region: Region, axis: int, start: int) -> Region:
    return region._replace(low=region.low + start, high=region.high + start) if region.axis == axis else region


def indexed(
    facts: Facts,
    shape: Shape,
    index: Sequence[Any],
    wanted: Shape,
    *,
    mixing: bool = False,
) -> Facts:
    """After taking elements at canonical items, see `quorate.lang.operations.structure.indexed_shape`.

    Rows that are taken more often than others were given weights, unless `mixing` says that these do not matter.
    """
    picks, targets = _picks(shape, index)
    strands: list[Strand] = []
    for strand in facts.strands:
        if strand.place is None:
            strands.append(strand)
        elif (left := _picked(strand, picks[strand.place.axis], targets[strand.place.axis])) is not None:
            uneven = not mixing and _uneven(picks[strand.place.axis], strand.place)
            strands.append(left.picked() if uneven else left)
    regions: list[Region] = []
    for region in facts.chosen:
        regions += _region_after(region, picks[region.axis], targets[region.axis])
    ramps = {targets[axis] for axis in facts.ramps if _contiguous(picks[axis])}
    bent = [targets[axis] for axis in facts.ramps if not _contiguous(picks[axis])]
    regions += [Region(axis, 0, wanted[axis]) for axis in bent if axis is not None]
    return Facts(tidy(strands), bounded(regions), frozenset(axis for axis in ramps if axis is not None))


_Picks = range | npt.NDArray[np.int64]


def _picks(shape: Shape, index: Sequence[Any]) -> tuple[list[_Picks], list[int | None]]:
    """Of every axis, which positions are taken in which order, and which axis of the result they lie along."""
    picks: list[_Picks] = []
    targets: list[int | None] = []
    new = 0
    for item in index:
        if item == ["new"]:
            new += 1
            continue
        size = shape[len(picks)]
        if isinstance(item, int):
            picks.append(range(size)[item : item + 1 or size])
            targets.append(None)
            continue
        picks.append(range(size)[slice(*item[1:])] if item[0] == "slice" else np.array(item[1], np.int64) % size)
        targets.append(new)
        new += 1
    for size in shape[len(picks) :]:
        picks.append(range(size))
        targets.append(new)
        new += 1
    return picks, targets


def _picked(strand: Strand, picks: _Picks, target: int | None) -> Strand | None:
    """What is left of a strand; None if none of its positions is taken."""
    place = strand.place
    if place is None:
        return strand
    first, last, taken = _inside(picks, place)
    if not taken:
        return None
    if target is None:
        return strand.lost()
    # Of rows that lie anywhere, all positions that are not taken may have been.
    count = strand.count - (place.high - place.low - taken)
    now = strand.at(Region(target, first, last), max(1, count, strand.within(taken) if place.axis == 0 else 1))
    return now if _contiguous(picks) else msgspec.structs.replace(now, order=0)


def _uneven(picks: _Picks, place: Region) -> bool:
    """Whether some of the positions that are taken in a place are taken more often than others."""
    if isinstance(picks, range):
        return False
    _, times = np.unique(picks[(picks >= place.low) & (picks < place.high)], return_counts=True)
    return bool(times.size and times.min() != times.max())


def _inside(picks: _Picks, place: Region) -> tuple[int, int, int]:
    """Where those that lie in a place begin and end among the picks, and how many different ones they are."""
    if not isinstance(picks, range):
        inside = np.flatnonzero((picks >= place.low) & (picks < place.high))
        ends = (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, 0)
        return *ends, int(np.unique(picks[inside]).size)
    rising = picks if picks.step > 0 else picks[::-1]
    first, last = (
        min(len(rising), max(0, -((rising.start - bound) // rising.step))) for bound in (place.low, place.high)
    )
    ends = (first, last) if picks.step > 0 else (len(picks) - last, len(picks) - first)
    return *ends, last - first


def _region_after(region: Region, picks: _Picks, target: int | None) -> list[Region]:
    if target is None or len(picks) < 2:
        return []
    if not _contiguous(picks):
        return [Region(target, 0, len(picks), region.decided)]
    low, high = max(region.low, int(picks[0])), min(region.high, int(picks[-1]) + 1)
    start = int(picks[0])
    return [Region(target, low - start, high - start, region.decided)] if high - low > 1 else []


def _contiguous(picks: _Picks) -> bool:
    if isinstance(picks, range):
        return picks.step == 1 or len(picks) < 2
    return bool(np.all(np.diff(picks) == 1))


def reshaped(facts: Facts, shape: Shape, wanted: Shape) -> Facts:
    """After a change of shape that leaves the order of elements."""
    blocks = _blocks(shape, wanted)
    strands = [s if s.place is None else _flat(s, _merged(s.place, blocks, wanted, 0)) for s in facts.strands]
    regions: list[Region] = []
    ramps: set[int] = set()
    for region in facts.chosen:
        new = _merged(region, blocks, wanted, 1)
        regions += [Region(axis, 0, wanted[axis]) for axis in blocks[region.axis].axes] if new is None else [new]
    for axis in facts.ramps:
        news, inner, outermost = blocks[axis]
        if len(news) == 1 and inner == 1 and outermost:
            ramps.add(news[0])
        else:
            regions += [Region(new, 0, wanted[new]) for new in news]
    return Facts(tidy(strands), bounded(regions), frozenset(ramps))


def _flat(strand: Strand, place: Region | None) -> Strand:
    """A strand after a change of shape; if its elements lie among others now, they are sorted no more."""
    old, now = strand.place, placed(strand, place)
    if old is None or place is None or place.high - place.low == old.high - old.low:
        return now
    return msgspec.structs.replace(now, order=0)


class _Block(NamedTuple):
    """Where an axis goes: axes of the result, elements of the result per position, whether it is the outermost."""

    axes: list[int]
    inner: int
    outermost: bool


def _merged(region: Region, blocks: Sequence[_Block], wanted: Shape, edge: int) -> Region | None:
    """Where a region goes; None if its axis is split. With `edge`, less the ends within which nothing differs."""
    news, inner, outermost = blocks[region.axis]
    if len(news) != 1:
        return None
    if not outermost:
        return Region(news[0], 0, wanted[news[0]], region.decided)
    less = edge * (inner - 1)
    return Region(news[0], region.low * inner + less, region.high * inner - less, region.decided)


def _blocks(shape: Shape, wanted: Shape) -> list[_Block]:
    """The block of every axis: runs of axes of both shapes that hold equally many elements."""
    if not math.prod(shape):
        return [_Block([], 1, False) for _ in shape]
    result: list[_Block] = []
    old, new = 0, 0
    while old < len(shape):
        left, right, olds, news = shape[old], 1, [shape[old]], []
        old += 1
        while left != right:
            if right < left:
                news += [new] if wanted[new] > 1 else []
                right, new = right * wanted[new], new + 1
            else:
                olds.append(shape[old])
                left, old = left * shape[old], old + 1
        result += [_Block(news, math.prod(olds[k + 1 :]), math.prod(olds[:k]) == 1) for k in range(len(olds))]
    return result
