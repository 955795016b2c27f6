"""A fault laboratory: durable sessions in virtual time, with kills, torn writes, full disks, cuts and old backups.

Everything follows from a plan that can be written down, so whatever is found can be repeated, made smaller and kept.
"""

from quorate.testing.faults.laboratory import Laboratory
from quorate.testing.faults.ledger import Ledger, Sighting, Violation
from quorate.testing.faults.plan import Cut, FullDisk, Kill, Network, Plan, Wipe
from quorate.testing.faults.rig import Outcome, Place, Rig
from quorate.testing.faults.search import (
    Found,
    Reproduction,
    kills_everywhere,
    random_plan,
    search,
    shrink,
    tears_everywhere,
)

__all__ = [
    "Cut",
    "Found",
    "FullDisk",
    "Kill",
    "Laboratory",
    "Ledger",
    "Network",
    "Outcome",
    "Place",
    "Plan",
    "Reproduction",
    "Rig",
    "Sighting",
    "Violation",
    "Wipe",
    "kills_everywhere",
    "random_plan",
    "search",
    "shrink",
    "tears_everywhere",
]
