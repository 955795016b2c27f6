"""What a party has in stock of one generation, as numbers alone: which positions it holds, and which are gone.

Tuples of a kind have positions 0, 1, 2 ... within their generation, the same at all parties. A position at or above
`gone` may still be handed out; one below never again. The mark only rises. A generation ends when its keys are
destroyed; positions start anew with the next.

Pure: no file, no clock, no lock. `quorate.node.tuples` keeps ledgers on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from quorate.errors import InternalError

__all__ = ["NOTHING", "Agreed", "Holding", "Ledger", "common"]

NOTHING = ""
"""The generation of who has none."""


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """What a party says of a kind: it can hand out `start` ... `stop` - 1 next, and knows no position from `end` on."""

    start: int = 0
    stop: int = 0
    end: int = 0


class Ledger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Positions by kind.

    Attributes:
        generation: its name; "" if there is none.
        gone: the mark below which nothing is handed out any more.
        chunks: (start, stop) of what is held, in rising order, without overlap.
        in_use: the session that was handed the keys of the generation and has not ended in order yet; "" if none.
    """

    generation: str = NOTHING
    gone: dict[str, int] = {}
    chunks: dict[str, tuple[tuple[int, int], ...]] = {}
    in_use: str = ""

    def holding(self, kind: str) -> Holding:
        """The first stretch without gaps that may be handed out, and the end of all."""
        gone, chunks = self.gone.get(kind, 0), self.chunks.get(kind, ())
        start = stop = gone
        for first, last in chunks:
            if last <= gone or first > stop > start:
                continue
            if start == stop:
                start, stop = max(first, gone), last
            elif first == stop:
                stop = last
        return Holding(start, stop, max([gone, *(last for _, last in chunks)]))

    def left(self, kind: str) -> int:
        """How many tuples may still be handed out, gaps skipped."""
        gone = self.gone.get(kind, 0)
        return sum(max(0, last - max(first, gone)) for first, last in self.chunks.get(kind, ()))

    def raised(self, marks: Mapping[str, int]) -> Ledger:
        """With marks at least as high as `marks`, and without the chunks that are gone by then."""
        gone = {kind: max(self.gone.get(kind, 0), marks.get(kind, 0)) for kind in {**self.gone, **marks}}
        kept = {kind: tuple(c for c in chunks if c[1] > gone.get(kind, 0)) for kind, chunks in self.chunks.items()}
        return msgspec.structs.replace(
            self, gone=gone, chunks={kind: chunks for kind, chunks in kept.items() if chunks}
        )

    def used_by(self, session: str) -> Ledger:
        """With its keys in the hands of this session; "" when they are back."""
        return msgspec.structs.replace(self, in_use=session)

    def spent(self, ranges: Mapping[str, tuple[int, int]]) -> Ledger:
        """After the (start, stop) of every kind was handed out; an empty range only raises the mark.

        Raises:
            InternalError: something of it is gone, or is not held.
        """
        for kind, (start, stop) in ranges.items():
            held = self.holding(kind)
            if start < held.start or stop < start or (stop > held.stop and stop != start):
                raise InternalError(f"{kind} {start} to {stop} cannot be handed out; please report this")
        return self.raised({kind: stop for kind, (_, stop) in ranges.items()})

    def added(self, kind: str, start: int, stop: int) -> Ledger:
        """With one more chunk, behind everything else.

        Raises:
            InternalError: a position from `start` on was known before.
        """
        if start < self.holding(kind).end or stop <= start:
            raise InternalError(f"{kind} {start} to {stop} would be numbered like other tuples; please report this")
        chunks = (*self.chunks.get(kind, ()), (start, stop))
        return msgspec.structs.replace(self, chunks={**self.chunks, kind: chunks})


@dataclass(frozen=True)
class Agreed:
    """What parties may do together with a kind.

    Attributes:
        start: where the next tuples are that all hold; what lies below counts as gone everywhere.
        available: how many there are from there on without a gap.
        end: where new ones are numbered from.
    """

    start: int
    available: int
    end: int


def common(holdings: Sequence[Holding]) -> Agreed:
    """The highest mark wins, so that a party that was put back to an old state never hands out anything twice."""
    start = max(holding.start for holding in holdings)
    stop = min(holding.stop for holding in holdings)
    return Agreed(start, max(0, stop - start), max(max(h.end, h.start, h.stop) for h in holdings))
