"""A ledger of everything that must not happen twice with another content: positions, nonces, named randomness.

It is kept by the laboratory, outside all simulated processes, so it remembers what they forget.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable
from typing import NamedTuple

from quorate.testing.faults.network import Link
from quorate.transport.carrier import Parcel

__all__ = ["Ledger", "Sighting", "Violation", "whole_parcels"]


class Violation(AssertionError):
    """Something happened that never may; `rule` says in one word what."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


class Sighting(NamedTuple):
    """What was said at one position: by whom and where in all (`position`), and the bytes.

    `kind` is "message", "greeting", "name", "nonce" or "randomness": what is said twice at a position must be the same.
    """

    kind: str
    position: Hashable
    content: bytes


class Ledger:
    """Every position that was ever used, with a digest of its only content.

    Attributes:
        positions: how many positions were used, by kind.
        repeated: how often the same was said again at one of them.
    """

    def __init__(self) -> None:
        self.positions: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self._drafts: dict[int, list[Sighting]] = {}
        self._known: dict[tuple[str, Hashable], bytes] = {}

    def note(self, sighting: Sighting) -> None:
        """Raises `Violation` if another content was seen at this position."""
        digest = hashlib.sha256(sighting.content).digest()
        key = (sighting.kind, sighting.position)
        known = self._known.get(key)
        if known is None:
            self._known[key] = digest
            self.positions[sighting.kind] += 1
        elif known == digest:
            self.repeated[sighting.kind] += 1
        else:
            raise Violation(f"{sighting.kind} used twice", f"two contents at {sighting.position}")

    def draft(self, participant: int, sighting: Sighting) -> None:
        """Something that counts once the participant has sent a message: before, nobody can know of it."""
        self._drafts.setdefault(participant, []).append(sighting)

    def confirm(self, participant: int) -> None:
        """The participant sends a message. Raises `Violation`."""
        for sighting in self._drafts.pop(participant, ()):
            self.note(sighting)

    def forget(self, participant: int) -> None:
        """Its process ended before that."""
        self._drafts.pop(participant, None)

    def digest(self, kind: str) -> str:
        """SHA-256 over all positions of a kind and their contents: equal for runs in which the same was said."""
        mine = [(position, content) for (known, position), content in self._known.items() if known == kind]
        lines = sorted(f"{position!r} {content.hex()}" for position, content in mine)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def whole_parcels(link: Link, parcel: Parcel) -> list[Sighting]:
    """The simplest reading of parcels: under one identity the same sender sends the same bytes."""
    return [Sighting("message", (link.sender, link.receiver, parcel.ident), parcel.body)]
