"""What goes wrong in a run of the laboratory: a plan that can be written down, repeated and made smaller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from quorate.errors import UserError

__all__ = ["Cut", "Fault", "FullDisk", "Kill", "Network", "Plan", "Wipe"]


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How messages travel.

    Attributes:
        carriage: "broker": queues that keep what nobody has taken; "direct": connections that lose what is under way.
        delay: seconds from one participant to another, at least.
        jitter: seconds added, exponentially distributed with this mean; with a broker it reorders.
        lost: part of the deliveries of a broker that get lost and come again later.
        duplicated: part of the deliveries that happen twice.
        forged: part of the deliveries beside which comes another that whoever carries them has made of it: with a bit
            flipped, cut off, meant for somebody else, or junk.
        slow: participant -> factor on the delay of all that it sends and receives.
        sync: seconds that a synchronised write takes.
        slow_sync: participant -> the same for its disk.
    """

    carriage: Literal["broker", "direct"] = "broker"
    delay: float = 0.01
    jitter: float = 0.0
    lost: float = 0.0
    duplicated: float = 0.0
    forged: float = 0.0
    slow: dict[int, float] = {}
    sync: float = 0.001
    slow_sync: dict[int, float] = {}


class Kill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="kill"):
    """A participant's process ends at its `point`-th point (they go on counting over restarts), and comes again.

    Attributes:
        participant: whose.
        point: at which point; 0 is the first.
        down: virtual seconds until it starts again.
        power: the machine fails with it, so that what was not synchronised is lost.
        kept: how many bytes of what a file had not synchronised survive a power failure; from the end if negative.
        torn: instead of being cut, files lose some sectors that were not synchronised; this number decides which.
        backup: the data folder is put back to what it was at this earlier point before the start.
        everything: with it everything else on the disk, also what backups must not cover.
        rot: flip a bit of the stored bytes before the start, at this fraction of all of them.
    """

    participant: int
    point: int
    down: float = 1.0
    power: bool = False
    kept: int = 0
    torn: int = 0
    backup: int | None = None
    everything: bool = False
    rot: float | None = None


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="cut"):
    """Nothing passes between two participants from `start` to `end`, virtual seconds."""

    one: int
    other: int
    start: float
    end: float


class Wipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="wipe"):
    """At this moment the broker, or every connection, loses everything that it holds."""

    moment: float


class FullDisk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="full disk"):
    """From its `point`-th point on a participant's disk takes `room` more bytes; after `seconds` there is room."""

    participant: int
    point: int
    room: int
    seconds: float


Fault = Kill | Cut | Wipe | FullDisk


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole run: what `seed` decides (delays, losses), the network, and everything that goes wrong."""

    seed: int = 0
    network: Network = Network()
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The plan as one line of JSON, from which `read` makes it again."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, text: str | bytes) -> Plan:
        """A plan that was written down. Raises `UserError` if the text is none."""
        try:
            return msgspec.json.decode(text, type=Plan)
        except (msgspec.DecodeError, msgspec.ValidationError) as problem:
            raise UserError(f"this is no plan of faults: {problem}") from problem

    def kills(self, participant: int) -> list[Kill]:
        """The kills of one participant, in order."""
        mine = [fault for fault in self.faults if isinstance(fault, Kill) and fault.participant == participant]
        return sorted(mine, key=lambda kill: kill.point)

    def simpler(self) -> Iterator[Plan]:
        """Plans with one thing less that goes wrong, or something milder; the boldest first."""
        faults, change = self.faults, msgspec.structs.replace
        half = len(faults) // 2
        if half > 1:
            yield change(self, faults=faults[half:])
            yield change(self, faults=faults[:half])
        for index in range(len(faults)):
            yield change(self, faults=faults[:index] + faults[index + 1 :])
        for index, fault in enumerate(faults):
            for milder in _milder(fault):
                yield change(self, faults=(*faults[:index], milder, *faults[index + 1 :]))
        for name, calm in (
            ("lost", 0.0),
            ("duplicated", 0.0),
            ("forged", 0.0),
            ("jitter", 0.0),
            ("slow", {}),
            ("slow_sync", {}),
        ):
            if getattr(self.network, name) != calm:
                yield change(self, network=change(self.network, **{name: calm}))


def _milder(fault: Fault) -> Iterator[Fault]:
    change = msgspec.structs.replace
    if not isinstance(fault, Kill):
        return
    if fault.down != 1.0:
        yield change(fault, down=1.0)
    if fault.rot is not None:
        yield change(fault, rot=None)
    if fault.backup is not None:
        yield change(fault, backup=None, everything=False)
    if fault.torn:
        yield change(fault, torn=0)
    if fault.power:
        yield change(fault, power=False, kept=0, torn=0)
