"""A collection of shares on files of one machine, and its commands."""

from __future__ import annotations

import numpy as np

from quorate.node.vault import Owner, Vault
from quorate.sharing import replicated
from quorate.transport.carrier import Credentials, open_carrier

SESSION = "march2026"
PARTIES = ("alder", "birch", "cedar")
SOURCE = """
import quorate

@quorate.computation
def footfall(visits):
    north = (visits.lat > 48.13) & (visits.lon > 11.57)
    return {"visits": visits.lat.size, "north": north.sum(), "mean_lat": visits.lat.mean()}
"""
SPEC = """spec: 1
name: footfall
plan: footfall.plan.json
source: footfall.py:footfall
protocol: {name: rep3, adversary: semi-honest}
parties: [alder, birch, cedar]
inputs:
  - name: visits
    stored: visits-march
    columns:
      - {name: lat, type: fixed, scale: 24, range: [-90, 90]}
      - {name: lon, type: fixed, scale: 24, range: [-180, 180]}
outputs:
  - {name: visits, to: [institute]}
  - {name: north, to: [institute]}
  - {name: mean_lat, to: [institute]}
timeouts: {round: 30, join: 60, session: 600}
"""
VISITS = {
    "kiosk": [(48.1371540, 11.5761240), (48.1299990, 11.5800000)],
    "tram-7": [(48.1500001, 11.5700001)],
}


def prepared(example, here):
    """The example's folder with a spec that takes submissions, and tables."""
    (example / "footfall.py").write_text(SOURCE)
    (example / "protocol_spec.yaml").write_text(SPEC)
    assert here("pki", "init", example / "federation.yaml").code == 0
    assert here("compile", example / "protocol_spec.yaml").code == 0
    for producer, rows in VISITS.items():
        table = "lat,lon\n" + "".join(f"{lat:.7f},{lon:.7f}\n" for lat, lon in rows)
        (example / f"{producer}.csv").write_text(table)
    return example


def enrol(here, place, producer):
    rings = []
    for party in PARTIES:
        ring = place / f"{producer}.{party}.ring"
        ended = here(
            "collect", "enrol", place / "protocol_spec.yaml", "--as", party, "--session", SESSION,
            "--producer", producer, "--output", ring,
        )  # fmt: skip
        assert ended.code == 0, ended.err
        rings += ["--keys", ring]
    return rings


def submit(here, place, producer, *options):
    return here(
        "submit", place / "protocol_spec.yaml", "--data", place / f"{producer}.csv",
        *enrol_once(here, place, producer), *options, "--json",
    )  # fmt: skip


def enrol_once(here, place, producer):
    rings = [place / f"{producer}.{party}.ring" for party in PARTIES]
    return [item for ring in rings for item in ("--keys", ring)] if rings[0].exists() else enrol(here, place, producer)


def collect(here, place, command, party, *options):
    return here(
        "collect", command, place / "protocol_spec.yaml", "--as", party, "--session", SESSION, *options, "--json"
    )


def dlq(here, place, command, *options, party="alder"):
    return here("dlq", command, *options, "--as", party, "--json")


def broker(place):
    return open_carrier(f"embedded:{place / 'queues'}", Credentials())


def freeze_later(here, place, party):
    """Parties that freeze one after the other: the first ones give up waiting, the last has all statements."""
    ended = collect(here, place, "freeze", party, "--timeout", "0.5")
    return ended.json() if ended.code == 0 else None


def kept(place):
    shares = []
    for index, party in enumerate(PARTIES):
        owner = Owner(parties=PARTIES, index=index, protocol="rep3", threshold=1)
        found = Vault(place / "state", party).load("visits-march", owner)
        assert found.dtype == "fixed(24)"
        shares.append((found.share.parts[0], found.share.parts[1]))
    return np.ldexp(replicated.combine(shares).view(np.int64).astype(float), -24)
