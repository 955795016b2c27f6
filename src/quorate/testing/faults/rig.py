"""What the laboratory asks of whoever brings something to test, and what it tells at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from quorate.testing.faults.disk import SimulatedDisk
from quorate.testing.faults.events import Choices
from quorate.testing.faults.ledger import Ledger, Sighting
from quorate.testing.faults.network import Link
from quorate.testing.faults.process import Core
from quorate.transport.carrier import Parcel

__all__ = ["Outcome", "Place", "Rig"]


class Place(NamedTuple):
    """Where a process finds itself: its disk, fresh randomness, and the ledger for what only the rig sees."""

    disk: SimulatedDisk
    fresh: Choices
    ledger: Ledger


class Rig(Protocol):
    """What is run: how participants start, and how what they say is read.

    Attributes:
        size: number of participants.
        corrupt: those that may say and get what they like; the rules hold for the others.
    """

    @property
    def size(self) -> int: ...

    @property
    def corrupt(self) -> frozenset[int]: ...

    def start(self, participant: int, place: Place) -> Core:
        """A new process of a participant opens its storage.

        Raises:
            QuorateError: it refuses, for good.
        """

    def sightings(self, link: Link, parcel: Parcel) -> Iterable[Sighting]:
        """What a parcel says, at which positions."""

    def covered(self, path: Path) -> bool:
        """Whether a file is in the data folder: backups hold it, and what is said depends on its being durable."""

    def equal(self, one: Any, other: Any) -> bool:
        """Whether two results of a participant are the same."""


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        states, results, failures: by participant.
        lived: points of every participant: where it can be killed.
        syncing: those of them at which something was about to become durable.
        kills: how many there were.
        stale: who was put back to what it was before it said something.
        seconds: virtual time until the end.
        ledger: everything that was said.
        counts: what happened on the way, by kind.
        refused: why parcels were found to be of no use.
    """

    states: list[str]
    results: list[Any] = field(repr=False)
    failures: list[str]
    lived: list[int]
    syncing: list[list[int]] = field(repr=False)
    kills: int
    stale: list[bool]
    seconds: float
    ledger: Ledger = field(repr=False)
    counts: Counter[str] = field(repr=False)
    refused: list[str] = field(repr=False)
