"""Checks that are put off and made together, always before anything is opened.

What an operation leaves to be checked is noted under the name of its round. When a value is to be opened, the step is
held at a checkpoint (`quorate.engine.exchange.Checkpoint`); once all other steps have come to rest the notes, which are
then the same at all parties, are checked in the order of their names. There is one check at a time. After a failed
check the session is over: its error goes up through every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from quorate.engine.exchange import CHECK, RELIEF, Checkpoint, Step
from quorate.engine.names import Name, Scope
from quorate.errors import EnvironmentFault, InternalError

__all__ = ["LARGE", "Deferred"]

Note = TypeVar("Note")
LARGE = 1 << 14
"""Operations of so many elements or more give an opportunity to check what has piled up."""


class Deferred(Generic[Note]):
    """What is still to be checked in a session, and when.

    Args:
        check: the protocol's check of a batch, given a scope of its own and the notes in order; must not open anything
            else, nor wait at a checkpoint.
        limit: noted elements at which the next opportunity is taken; bounds memory.
        rank: of its checkpoints; a protocol with several kinds of checks counts up from `CHECK`.
    """

    def __init__(
        self, check: Callable[[Scope, Sequence[Note]], Step[None]], limit: int = 1 << 20, rank: int = CHECK
    ) -> None:
        self._check = check
        self._rank = rank
        self._limit = limit
        self._notes: dict[Name, Note] = {}
        self._size = 0
        self._batches = 0
        self._scope: Scope | None = None

    @property
    def pending(self) -> int:
        """Elements noted and not checked yet."""
        return self._size

    @property
    def batches(self) -> int:
        """How many checks there were; the next one's name depends on it."""
        return self._batches

    def proceed(self, progress: Sequence[int]) -> None:
        """Go on after so many checks, `progress` being (`batches`,).

        Raises:
            EnvironmentFault: it is something else.
        """
        if len(progress) != 1 or progress[0] < self._batches or self._notes:
            raise EnvironmentFault("the stored state of this session does not fit its protocol")
        self._batches = progress[0]

    def open(self, at: Scope) -> None:
        """Take the scope under which all checks of the session are named; in set-up, before anything is noted.

        Sessions that count are set up again and again; what they noted since has no content and is forgotten.
        """
        self._notes.clear()
        self._size = 0
        self._scope = at

    def note(self, name: Name, note: Note, size: int) -> None:
        """Remember something of `size` elements to be checked; `name` is unique and the same at all parties."""
        if name in self._notes:
            raise InternalError("two operations left something to check under one name; please report this")
        if size:
            self._notes[name] = note
            self._size += size

    def settle(self) -> Step[None]:
        """Check everything noted so far, by anybody. Returns only if it is right."""
        yield Checkpoint(self._run, self._rank)

    def relieve(self, size: int) -> Step[None]:
        """For the start of operations on `size` elements: check if much has piled up."""
        if size >= LARGE:
            yield Checkpoint(self._run_if_many, self._rank - CHECK + RELIEF)

    def _run_if_many(self) -> Step[None]:
        if self._size >= self._limit:
            yield from self._run()

    def _run(self) -> Step[None]:
        if not self._notes:
            return
        if self._scope is None:
            raise InternalError("a check was due before the session was set up; please report this")
        notes = [self._notes[name] for name in sorted(self._notes)]
        self._notes.clear()
        self._size = 0
        self._batches += 1
        yield from self._check(self._scope.child(f"check {self._batches}"), notes)
