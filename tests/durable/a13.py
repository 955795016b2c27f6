"""What the validation of submitted coordinates shares: places over each broker, searching for plaintext, workers."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tests.durable.submissions import LIMITS, SHAMIR, Field

from quorate.data.coordinates import to_e7
from quorate.durable.consumer import Consumer, Seat
from quorate.durable.opening import Relay
from quorate.durable.share_store import ShareStore
from quorate.transport.carrier import Credentials

ANALYST = "analyst"


def field_at(folder: Path, address: str, credentials: Credentials, name: str) -> Field:
    """Threshold 2 of 3 over the broker at `address`; a session of its own for each test."""
    session = hashlib.sha256(f"{folder} {name}".encode()).hexdigest()[:32]
    return Field(folder, SHAMIR, session, address, credentials)


def positions(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes in degrees, with 9 digits after the point."""
    draw = np.random.default_rng(seed)
    return np.round(draw.uniform(-90, 90, rows), 9), np.round(draw.uniform(-180, 180, rows), 9)


def submit(field: Field, carrier, producer: str, latitude, longitude) -> None:
    """One submission of coordinates."""
    sender = field.producer(producer)
    sender.submit(to_e7(latitude, longitude))
    field.send(sender, carrier)


def analyst(field: Field) -> Consumer:
    """Who may open the values."""
    seat = Seat.recipient(field.session, field.layout, ANALYST)
    return Consumer(seat, field.master(ANALYST), ShareStore(field.folder / f"{ANALYST}.shares"))


def relay(field: Field, party: str) -> Relay:
    """A party that passes its shares on."""
    return Relay(field.consumer(party), field.ring(party, (ANALYST,)), ANALYST)


def serve(field: Field, party: str, carrier, stop: threading.Event) -> None:
    """Take and pass on until `stop`."""
    worker = relay(field, party)
    carrier.provision(field.queue(party), LIMITS)
    while not stop.is_set():
        worker.take(carrier, 50, 0.2)
        worker.pass_on(carrier)


WORKER = """
import json, sys, threading
from pathlib import Path
from quorate.transport.carrier import Credentials
from tests.durable import a13
from tests.durable.submissions import SHAMIR, Field
given = json.loads(sys.argv[1])
paths = {name: Path(value) if value and name in ("certificate", "key", "authority") else value
         for name, value in given["credentials"].items()}
field = Field(Path(given["folder"]), SHAMIR, given["session"], given["address"], Credentials(**paths))
a13.serve(field, given["party"], field.carrier(), threading.Event())
"""


def worker(field: Field, party: str) -> subprocess.Popen:
    """A consumer as a process of its own."""
    given = {
        "folder": str(field.folder),
        "session": field.session,
        "address": field.address,
        "party": party,
        "credentials": asdict(field.credentials),
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    return subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(given, default=str)], env=environment)


# ---- searching


def needles(latitude: np.ndarray, longitude: np.ndarray) -> dict[bytes, str]:
    """Bytes -> name, for every form in which these coordinates could be written in plain.

    Numbers of 4 bytes are looked for in pairs (rows and columns): alone they occur by chance in some megabytes.
    """
    forms: dict[bytes, str] = {}
    for value in [*latitude.tolist(), *longitude.tolist()]:
        forms.update((text.encode(), f"text {text}") for text in _texts(value))
    degrees, e7 = np.stack([latitude, longitude], axis=1), to_e7(latitude, longitude)
    for order in "<>":
        for kind, table in (("d", degrees), ("q", e7)):
            forms.update(_packed(f"{order}{kind}", [number]) for number in table.reshape(-1).tolist())
        for kind, table in (("f", degrees), ("i", e7)):
            pairs = [
                *table.tolist(),
                *(column[k : k + 2] for column in table.T.tolist() for k in range(len(table) - 1)),
            ]
            forms.update(_packed(f"{order}2{kind}", pair) for pair in pairs)
    return forms | {
        each: f"{name}, hexadecimal" for data, name in forms.items() if "text" not in name for each in _hex(data)
    }


def _packed(form: str, numbers: list[float]) -> tuple[bytes, str]:
    return struct.pack(form, *numbers), form


def _hex(data: bytes) -> list[bytes]:
    return [data.hex().encode(), data.hex().upper().encode()]


def _texts(value: float) -> set[str]:
    forms = {repr(value), f"{value:.7f}", f"{value:.6f}", f"{value:.5f}", str(round(value * 10_000_000))}
    return {form for form in forms if len(form.strip("-").replace(".", "")) >= 7}


def content(folder: Path) -> bytes:
    """All files below a folder: what a broker stores, and its logs."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                found.append(path.read_bytes())
        except FileNotFoundError:
            continue  # the broker is at work
    return b"\n".join(found)


def traces(data: bytes, latitude: np.ndarray, longitude: np.ndarray) -> list[str]:
    """The forms in which some of the coordinates are in `data`."""
    return [name for needle, name in needles(latitude, longitude).items() if needle in data]
