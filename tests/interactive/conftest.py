"""A federation on free ports of this machine: three nodes that take part in interactive sessions, owners, analysts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quorate.coordination.federation import Federation, load_federation
from quorate.crypto.pki import create_authority, issue
from quorate.data.agreed import Schema, load_schema
from quorate.node.identity import Identity
from quorate.node.launch import Nodes, up

PARTIES = ("p1", "p2", "p3")
ANALYST = "coordinator, owner, recipient"
MEMBERS = {
    **dict.fromkeys(PARTIES, "compute"),
    "st-mary": "owner",
    "st-luke": "owner",
    "institute": ANALYST,
    "stranger": ANALYST,
}
STANDING = "interactive: 1\nanalysts: [institute]\n"
SCHEMA = """
schema: 1
name: stays
columns:
  - {name: days, type: int, range: [0, 365]}
  - {name: age, type: fixed, scale: 8, range: [0, 120]}
  - {name: cost, type: fixed, scale: 8, range: [0, 20000]}
  - {name: ward, type: category, categories: [surgery, medicine, maternity]}
  - {name: smoker, type: bool}
"""


def stays(rows: int, seed: int) -> pd.DataFrame:
    """Made-up stays in a hospital; the cost follows days and age, and a little chance."""
    rng = np.random.default_rng(seed)
    days, age = rng.integers(1, 30, rows), rng.uniform(18, 90, rows).round(1)
    return pd.DataFrame(
        {
            "days": days,
            "age": age,
            "cost": (400 * days + 15 * age + rng.normal(0, 50, rows) + 300).clip(0).round(2),
            "ward": rng.choice(["surgery", "medicine", "maternity"], rows),
            "smoker": rng.random(rows) < 0.3,
        }
    )


@dataclass
class ConnectedSite:
    """A folder with everything that the members have, and two hospitals' data."""

    folder: Path
    mary: pd.DataFrame
    luke: pd.DataFrame

    @property
    def file(self) -> Path:
        return self.folder / "federation.yaml"

    @property
    def federation(self) -> Federation:
        return load_federation(self.file)

    @property
    def home(self) -> Path:
        return self.folder / "state"

    @property
    def schema_file(self) -> Path:
        return self.folder / "stays.yaml"

    @property
    def schema(self) -> Schema:
        return load_schema(self.schema_file)

    def identity(self, name: str) -> Identity:
        return Identity(self.federation, name)

    def allow(self, text: str = STANDING) -> None:
        """What the nodes' operators place in their folders; all nodes share one here."""
        (self.folder / "interactive.yaml").write_text(text)

    def up(self, members: tuple[str, ...] | None = None) -> AbstractContextManager[Nodes]:
        return up(self.federation, self.folder, self.home, {}, members)


def make_site(folder: Path) -> ConnectedSite:
    create_authority(folder / "pki", "test")
    issue(folder / "pki", dict.fromkeys(MEMBERS))
    sockets = [socket.socket() for _ in PARTIES]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = iter([sock.getsockname()[1] for sock in sockets])
    for sock in sockets:
        sock.close()
    lines = ["federation: test", "ca: pki/ca.crt", "members:"]
    for name, roles in MEMBERS.items():
        address = f"address: '127.0.0.1:{next(ports)}', " if roles == "compute" else ""
        lines.append(f"  - {{name: {name}, roles: [{roles}], {address}certificate: pki/{name}.crt}}")
    (folder / "federation.yaml").write_text("\n".join(lines) + "\n")
    made = ConnectedSite(folder, stays(60, 1), stays(45, 2))
    made.schema_file.write_text(SCHEMA)
    made.mary.to_csv(folder / "st_mary.csv", index=False)
    made.luke.to_csv(folder / "st_luke.csv", index=False)
    made.allow()
    return made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> ConnectedSite:
    """The federation; its nodes do not run yet."""
    return make_site(tmp_path_factory.mktemp("connected") / "site")


@pytest.fixture(scope="module")
def running(site: ConnectedSite) -> Iterator[ConnectedSite]:
    """The same with its nodes running."""
    with site.up():
        yield site
