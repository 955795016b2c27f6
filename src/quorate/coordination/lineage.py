"""How the elements of a value rest on the rows of data sets, and how that changes when elements are moved.

A `Strand` follows the rows of one data set through a plan. A `Region` says where, along an axis, values differ in a way
that the author of the plan chose, row by row: her own uploads, constants, pieces put side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

import msgspec

__all__ = ["NOTHING", "Facts", "Region", "Shape", "Strand", "bounded", "everywhere", "placed", "tidy", "union"]

Shape = tuple[int, ...]
_MOST_STRANDS = 24
_MOST_REGIONS = 24


class Region(NamedTuple):
    """Positions `low` ... `high` - 1 along `axis`, among which values differ; beyond them they do not.

    `decided` says that data has a part in where they differ, as in a comparison of row numbers with a secret count.
    """

    axis: int
    low: int
    high: int
    decided: bool = False


class Strand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a value rests on a data set: every element that does so combines at least `rows` of its rows.

    Attributes:
        source: data set and version.
        owner: the member that placed it.
        rows: see above.
        place: where along an axis other elements rest on other rows; None: nowhere that is known.
        count: how many such elements there are at least.
        order: 2 if the elements along `place` are sorted, 1 if they are within the runs of other keys, else 0.
        padding: how many elements of a sorted column at most are no rows that others than the reader have placed.
        arranged: which row lies where along `place` was decided by data.
        running: elements are running sums, so that rows count the more the farther they lie from the end.
        weighed: rows were given weights that the author of the plan chose for each, so that a sum is none over rows.
    """

    source: str
    owner: str
    rows: int = 1
    place: Region | None = None
    count: int = 1
    order: int = 0
    padding: int = 0
    arranged: bool = False
    running: bool = False
    weighed: bool = False

    def combined(self) -> Strand:
        """After a sum along its place."""
        return msgspec.structs.replace(self.lost(), rows=self.rows * self.count)

    def picked(self) -> Strand:
        """After it met weights that the author chose for each row."""
        return msgspec.structs.replace(self.lost(), weighed=True)

    def lost(self) -> Strand:
        """After something that picks single elements, or mixes positions in a way that is not followed."""
        return msgspec.structs.replace(self, place=None, count=1, order=0, padding=0, arranged=False, running=False)

    def sorted(self, padding: int) -> Strand:
        """After its elements were sorted, with so many others at most among them."""
        return msgspec.structs.replace(self, order=2, padding=padding)

    def within(self, taken: int) -> int:
        """How many of its elements are at least among `taken` of a sorted column: others may lie there first."""
        return max(1, min(self.count, taken - self.padding)) if self.order == 2 else 1

    def at(self, place: Region, count: int | None = None) -> Strand:
        """Elsewhere."""
        return msgspec.structs.replace(self, place=place, count=self.count if count is None else count)


@dataclass(frozen=True)
class Facts:
    """What is known of one value; of a bundle, of its `parts`.

    Attributes:
        strands: how it rests on data sets.
        chosen: where it differs as the author of the plan chose.
        ramps: axes along which it is, or holds, row numbers times a number.
        sure: of a stored column, whether its range is more than the author's word.
        form: of what was given another shape, the shape that it had and what was known then, for its way back.
    """

    strands: frozenset[Strand] = frozenset()
    chosen: frozenset[Region] = frozenset()
    ramps: frozenset[int] = frozenset()
    parts: tuple[Facts, ...] = field(default=())
    sure: bool = True
    form: tuple[Shape, Facts] | None = field(default=None, compare=False)

    def moved(self, move: Callable[[Region], Region | None], axis: Callable[[int], int | None]) -> Facts:
        """After a change of shape: `move` gives the new region for one, `axis` the new axis; None: it is gone."""
        strands = [s if s.place is None else placed(s, move(s.place)) for s in self.strands]
        regions = [moved for region in self.chosen if (moved := move(region)) is not None]
        ramps = [new for old in self.ramps if (new := axis(old)) is not None]
        return Facts(tidy(strands), bounded(regions), frozenset(ramps))

    def scrambled(self, shape: Shape) -> Facts:
        """After something that is not followed: strands lose their places, and what was chosen is everywhere."""
        whole = everywhere(shape) if self.chosen or self.ramps else frozenset()
        return Facts(tidy(strand.lost() for strand in self.strands), whole)


NOTHING = Facts()


def placed(strand: Strand, place: Region | None) -> Strand:
    """A strand at another place; None: nowhere that is known."""
    return strand.lost() if place is None else strand.at(place)


def everywhere(shape: Shape) -> frozenset[Region]:
    """All positions of all axes."""
    return frozenset(Region(axis, 0, size) for axis, size in enumerate(shape) if size > 1)


def tidy(strands: Iterable[Strand]) -> frozenset[Strand]:
    """The same without what others say already; with too many of them, one of each data set that says the least."""
    merged: dict[tuple[Any, ...], Strand] = {}
    for strand in strands:
        key = (strand.source, strand.owner, strand.place)
        before = merged.get(key)
        merged[key] = strand if before is None else _weaker(before, strand)
    floor = {key[:2]: strand.rows for key, strand in merged.items() if key[2] is None}
    kept = [s for k, s in merged.items() if k[2] is None or s.rows < floor.get(k[:2], math.inf)]
    if len(kept) <= _MOST_STRANDS:
        return frozenset(kept)
    return frozenset(
        reduce(_weaker, [strand.lost() for strand in kept if strand.source == source])
        for source in {strand.source for strand in kept}
    )


def _weaker(one: Strand, other: Strand) -> Strand:
    return Strand(
        one.source,
        one.owner,
        min(one.rows, other.rows),
        one.place,
        min(one.count, other.count),
        min(one.order, other.order),
        max(one.padding, other.padding),
        one.arranged and other.arranged,
        one.running or other.running,
        one.weighed or other.weighed,
    )


def bounded(regions: Iterable[Region]) -> frozenset[Region]:
    """The same; of an axis with too many of them, one that covers all."""
    found = frozenset(regions)
    if len(found) <= _MOST_REGIONS:
        return found
    return frozenset(
        Region(axis, min(r.low for r in found if r.axis == axis), max(r.high for r in found if r.axis == axis))
        for axis in {region.axis for region in found}
    )


def union(several: Sequence[Facts], ramps: frozenset[int] = frozenset()) -> Facts:
    """What is known of a value that depends on all of these, in one shape."""
    return Facts(
        tidy(strand for facts in several for strand in facts.strands),
        bounded(region for facts in several for region in facts.chosen),
        ramps,
    )
