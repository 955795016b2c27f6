"""Stable names for every message and every use of shared randomness.

A `Scope` stands for one operation of the plan, or a part of one (a tile, a branch). Its identity is the hash of its
path, so all parties derive the same name without talking, in whatever order their work is scheduled. Within a scope,
steps are counted. A `Name` (scope identity, step) is used for at most one exchange or one draw of randomness.
"""

from __future__ import annotations

import hashlib

from quorate.errors import InternalError

__all__ = ["Name", "Scope"]

Name = tuple[int, int]
"""(scope identity: 64 bits, step: 32 bits)."""


class Scope:
    """A place in the computation from which unique names are drawn; made with `Scope.root` and `child`."""

    __slots__ = ("_asides", "_claimed", "_steps", "ident", "path")

    def __init__(self, path: str, ident: int, claimed: dict[int, str]) -> None:
        if ident in claimed:
            raise InternalError(f"the name {path!r} is used twice (also as {claimed[ident]!r}); please report this")
        claimed[ident] = path
        self.path = path
        self.ident = ident
        self._claimed = claimed
        self._steps = 0
        self._asides: dict[str, Scope] = {}

    @classmethod
    def root(cls, label: str = "session") -> Scope:
        """The scope of a whole session of one party; it remembers every name below it."""
        return cls(label, _identity(label), {})

    def child(self, label: str) -> Scope:
        """The scope `label` below this one. Raises `InternalError` when that name was used before."""
        path = f"{self.path}/{label}"
        return Scope(path, _identity(path), self._claimed)

    def step(self) -> Name:
        """The next unused name of this scope."""
        self._steps += 1
        return self.ident, self._steps

    def aside(self, label: str) -> Name:
        """The next unused name for what this participant does alone: the steps that all count are not shifted."""
        place = self._asides.get(label)
        if place is None:
            place = self._asides[label] = self.child(f"{label} (alone)")
        return place.step()

    def describe(self, name: Name) -> str:
        """Readable form of a name that was drawn below the same root; for messages to people."""
        return f"{self._claimed.get(name[0], 'an unknown operation')}, step {name[1]}"


def _identity(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "big")
