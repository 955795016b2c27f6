"""Correlated randomness made before a session and taken along into it: who gets which piece, the same at everybody.

Steps of a session run at their own pace, so "the next piece" would be another one at every party. Pieces are
therefore given out by name: before the session, everybody counts the same program (`Reservation` notes what is asked
for under which name) and lays the agreed ranges out over the names in sorted order (`lay_out`). What finds no place
is produced inline, at all participants alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from quorate.engine.names import Name
from quorate.errors import InternalError
from quorate.kernels.ghost import ghost

__all__ = ["Layout", "Places", "Reservation", "Source", "Stock", "Taking", "blanks", "lay_out"]

Array = npt.NDArray[Any]
Layout = Sequence[tuple[tuple[int, ...], str]]
"""Arrays of one kind: (shape of one piece, dtype) of each; with `count` pieces the array has shape (count, *shape)."""
Places = Mapping[tuple[str, Name], int]
"""(kind, name) -> position of its first piece among those taken along."""


class Taking(NamedTuple):
    """Something asked for while counting."""

    kind: str
    name: Name
    size: int


class Source(Protocol):
    """Where protocols ask for pieces; `Session.stock`."""

    @property
    def keys(self) -> Sequence[Array]:
        """The secrets under which the pieces were made (shares of MAC keys); empty if there are none."""
        ...

    def take(self, kind: str, name: Name, count: int, layout: Layout) -> list[Array] | None:
        """`count` pieces for the use `name`, as arrays of `layout`; None: produce them inline."""
        ...


@dataclass
class Stock:
    """Pieces that a participant took along; at whoever holds no shares, ghosts that are given out alike.

    Attributes:
        content: kind -> arrays with the claimed pieces along the first axis; absent at outsiders.
        places: see `lay_out`.
        keys: see `Source.keys`.
    """

    content: Mapping[str, Sequence[Array]] = field(repr=False)
    places: Places = field(repr=False)
    keys: Sequence[Array] = field(default=(), repr=False)
    _taken: set[tuple[str, Name]] = field(default_factory=set, repr=False)

    def take(self, kind: str, name: Name, count: int, layout: Layout) -> list[Array] | None:
        """See `Source.take`. Raises `InternalError` when asked twice under one name."""
        use = kind, name
        start = self.places.get(use)
        if start is None or not count:
            return None
        if use in self._taken:
            raise InternalError("the same correlated randomness was about to be used twice")
        self._taken.add(use)
        if kind not in self.content:
            return blanks(layout, count)
        return [array[start : start + count] for array in self.content[kind]]


@dataclass
class Reservation:
    """Notes in a counting session what is asked for.

    Attributes:
        stocked: whether to count as if everything were there; otherwise as if nothing were.
    """

    stocked: bool = True
    takings: list[Taking] = field(default_factory=list, repr=False)
    keys: Sequence[Array] = ()

    def take(self, kind: str, name: Name, count: int, layout: Layout) -> list[Array] | None:
        """See `Source.take`."""
        if not count:
            return None
        self.takings.append(Taking(kind, name, count))
        return blanks(layout, count) if self.stocked else None

    @property
    def needs(self) -> dict[str, int]:
        """How much is asked for in all, by kind."""
        needs: dict[str, int] = {}
        for taking in self.takings:
            needs[taking.kind] = needs.get(taking.kind, 0) + taking.size
        return dict(sorted(needs.items()))


def blanks(layout: Layout, count: int) -> list[Array]:
    """Ghosts of `count` pieces."""
    return [ghost((count, *shape), np.dtype(kind)) for shape, kind in layout]


def lay_out(takings: Iterable[Taking], claimed: Mapping[str, int]) -> dict[tuple[str, Name], int]:
    """Places for those uses that fit into the `claimed` amounts, in the order of their names.

    Depends on nothing but the set of uses, so that all participants find the same.
    """
    filled: dict[str, int] = {}
    places: dict[tuple[str, Name], int] = {}
    for kind, name, size in sorted(takings):
        start = filled.get(kind, 0)
        if start + size <= claimed.get(kind, 0):
            places[kind, name] = start
            filled[kind] = start + size
    return places
