"""Looking for plans under which a rule is broken: every kill there is, random plans by the thousand, the smallest one.

for plan in kills_everywhere(lab):           # one kill, at every point of every participant
    lab.run(plan)
found = search(lab, range(5000))             # random plans; what was found is made smaller
found[0].save(folder, "lost name", "durable")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quorate.testing.faults.events import Choices
from quorate.testing.faults.laboratory import Laboratory
from quorate.testing.faults.ledger import Violation
from quorate.testing.faults.plan import Cut, Fault, FullDisk, Kill, Network, Plan, Wipe

__all__ = ["Found", "Reproduction", "kills_everywhere", "random_plan", "search", "shrink", "tears_everywhere"]

_KEPT = (1, 8, 511, 512, 513, -1)
"""Bytes of what was not synchronised that survive: one, a header, at the borders of sectors, nearly all."""
_DENSITY = 0.85


class Reproduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan that broke a rule once, kept so that it never does again.

    Attributes:
        rig: what it was run with, as the tests call it.
        why: what went wrong, and what was changed.
        plan: the smallest one that was found.
    """

    rig: str
    why: str
    plan: Plan

    @classmethod
    def load(cls, path: Path) -> Reproduction:
        """From a file."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def save(self, path: Path) -> None:
        """As a file."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


@dataclass(frozen=True)
class Found:
    """A plan under which `rule` is broken, the smallest one that was found, and what happens under that."""

    rule: str
    plan: Plan
    smallest: Plan
    text: str


def kills_everywhere(lab: Laboratory, network: Network | None = None, down: float = 1.0) -> Iterator[Plan]:
    """One kill in the otherwise calm run: at every point of every participant, without and with the power."""
    calm = network or Network()
    lived = lab.run(Plan(network=calm)).lived
    for participant, points in enumerate(lived):
        for point in range(points):
            for power in (False, True):
                yield Plan(network=calm, faults=(Kill(participant, point, down, power=power),))


def tears_everywhere(lab: Laboratory, network: Network | None = None) -> Iterator[Plan]:
    """The power fails just before something is synchronised, and any part of it survives, or any of its sectors."""
    calm = network or Network()
    for participant, points in enumerate(lab.run(Plan(network=calm)).syncing):
        for point in points:
            kills = [Kill(participant, point, power=True, kept=kept) for kept in _KEPT]
            kills += [Kill(participant, point, power=True, torn=torn) for torn in (1, 2, 3)]
            yield from (Plan(network=calm, faults=(kill,)) for kill in kills)


def random_plan(seed: int, lived: list[int], *, lossy: bool = False, hostile: bool = False) -> Plan:
    """A plan that `seed` determines: a few of everything.

    With `lossy`, old backups and flipped bits too; with `hostile`, whoever carries messages forges some.
    """
    choices = Choices(seed, "plan")
    size = len(lived)
    network = Network(
        carriage=choices.pick(("broker", "direct")),
        delay=choices.pick((0.001, 0.01, 0.1)),
        jitter=choices.pick((0.0, 0.01, 0.3)),
        lost=choices.pick((0.0, 0.0, 0.1, 0.4)),
        duplicated=choices.pick((0.0, 0.0, 0.1, 0.5)),
        forged=choices.pick((0.0, 0.0, 0.05, 0.5)) if hostile else 0.0,
        slow={choices.below(size): 20.0} if choices.chance(0.2) else {},
        slow_sync={choices.below(size): 200.0} if choices.chance(0.2) else {},
    )
    faults: list[Fault] = [_kill(choices, lived, lossy) for _ in range(choices.pick((1, 1, 2, 3, 5, 8)))]
    for _ in range(choices.pick((0, 0, 1, 2))):
        one, start = choices.below(size), choices.between(0, 3)
        faults.append(Cut(one, (one + 1 + choices.below(size - 1)) % size, start, start + choices.exponential(2)))
    faults += [Wipe(choices.exponential(1)) for _ in range(choices.pick((0, 0, 0, 1, 2)))]
    if choices.chance(0.15):
        participant = choices.below(size)
        faults.append(FullDisk(participant, choices.below(lived[participant]), choices.below(2000), 2.0))
    return Plan(seed, network, tuple(faults))


def _kill(choices: Choices, lived: list[int], lossy: bool) -> Kill:
    participant = choices.below(len(lived))
    point = choices.below(int(lived[participant] / _DENSITY))
    power = choices.chance(0.5)
    return Kill(
        participant,
        point,
        down=choices.pick((0.001, 0.05, 1.0, 1.0, 20.0)),
        power=power,
        kept=choices.below(800) if power and choices.chance(0.5) else 0,
        torn=1 + choices.below(1000) if power and choices.chance(0.3) else 0,
        backup=choices.below(point) if lossy and point and choices.chance(0.3) else None,
        everything=lossy and choices.chance(0.3),
        rot=choices.fraction() if lossy and choices.chance(0.1) else None,
    )


def search(
    lab: Laboratory, seeds: Iterable[int], *, lossy: bool = False, hostile: bool = False, most: int = 5
) -> list[Found]:
    """Run random plans; those that break a rule, made smaller, one for each different way, at most `most`."""
    lived = lab.undisturbed().lived
    found: dict[str, Found] = {}
    for seed in seeds:
        plan = random_plan(seed, lived, lossy=lossy, hostile=hostile)
        text = _broken(lab, plan)
        if text is None or _kind(text) in found:
            continue
        smallest = shrink(lab, plan, _kind(text))
        found[_kind(text)] = Found(_kind(text), plan, smallest, _broken(lab, smallest) or text)
        if len(found) >= most:
            break
    return list(found.values())


def shrink(lab: Laboratory, plan: Plan, rule: str, most: int = 300) -> Plan:
    """The smallest plan that was found, in at most so many runs, under which the same rule is still broken."""
    tried = 0
    going = True
    while going and tried < most:
        going = False
        for simpler in plan.simpler():
            tried += 1
            text = _broken(lab, simpler)
            if text is not None and _kind(text) == rule:
                plan, going = simpler, True
                break
            if tried >= most:
                break
    return plan


def _broken(lab: Laboratory, plan: Plan) -> str | None:
    """What goes wrong under a plan; None if nothing does."""
    try:
        lab.run(plan)
    except Violation as violation:
        return str(violation)
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"
    return None


def _kind(text: str) -> str:
    """What two breaks have in common: the words, not the numbers; all of no progress is alike."""
    if text.startswith("no progress"):
        return "no progress"
    return re.sub(r"[0-9a-f]*\d[0-9a-f.]*", "N", text)[:160]
