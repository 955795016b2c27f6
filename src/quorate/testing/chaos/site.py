"""A job laid out in a folder of its own for one run: spec, plan, federation on free ports of this machine, keys."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from quorate.coordination.federation import Federation, load_federation
from quorate.coordination.roster import roster
from quorate.coordination.spec import Spec, load_spec
from quorate.crypto.pki import create_authority, issue
from quorate.data.document import load_yaml
from quorate.errors import UserError
from quorate.testing.chaos.brokers import delivery_of
from quorate.testing.servers.base import HOST

__all__ = ["Job", "Site", "make_keys", "read_job"]

SPEC, PLAN, FEDERATION = "job.yaml", "job.plan.json", "federation.yaml"
TIMEOUTS = {"round": 120, "join": 300, "session": 1800}
"""Seconds, in place of those of the spec: a machine that starts processes all the time is slow."""


@dataclass(frozen=True)
class Job:
    """What is run.

    Attributes:
        path: of the spec.
        spec, federation: as they are; runs use copies.
        data: input -> absolute path, for all inputs.
    """

    path: Path
    spec: Spec
    federation: Federation
    data: Mapping[str, str]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Members whose nodes take part: parties and dealer."""
        return self.spec.parties if self.spec.dealer is None else (*self.spec.parties, self.spec.dealer)

    @property
    def coordinator(self) -> str:
        """The first member with that role."""
        return next(member.name for member in self.federation.members if member.has("coordinator"))

    @property
    def owners(self) -> tuple[str, ...]:
        """Members that take part without a node of theirs, but for the coordinator."""
        everybody = roster(self.spec).participants
        return tuple(name for name in everybody if name not in self.hosts and name != self.coordinator)

    @property
    def members(self) -> tuple[str, ...]:
        """All of these."""
        return (*self.hosts, *self.owners, self.coordinator)

    def data_of(self, member: str) -> dict[str, str]:
        """input -> path, of the inputs of a member."""
        return {item.name: self.data[item.name] for item in self.spec.inputs if item.owner == member}


def read_job(path: Path, federation: Path | None, data: Mapping[str, str]) -> Job:
    """A spec with its federation and all data; files that are not named are INPUT.csv beside the spec.

    Raises:
        UserError: a file is missing or malformed, or nobody has the role coordinator.
    """
    spec, known = load_spec(path), load_federation(federation or path.parent / FEDERATION)
    if not Path(spec.plan).exists():
        raise UserError(f"{path}: the plan {spec.plan} does not exist; make it with 'quorate compile {path}'")
    if not any(member.has("coordinator") for member in known.members):
        raise UserError(
            f"federation {known.name!r} has no member with the role coordinator; nobody can start a session"
        )
    if strange := sorted(set(data) - {item.name for item in spec.inputs}):
        raise UserError(f"--data names {strange[0]}, which is no input of {spec.name!r}; correct the name")
    found = {item.name: Path(data.get(item.name, path.parent / f"{item.name}.csv")) for item in spec.inputs}
    for name, file in found.items():
        if not file.is_file():
            raise UserError(f"input {name!r}: there is no file {file}; name one with --data {name}=FILE")
    return Job(path, spec, known, {name: str(file.resolve()) for name, file in found.items()})


def make_keys(folder: Path, members: tuple[str, ...]) -> None:
    """An authority and certificates for a run."""
    create_authority(folder, "chaos")
    issue(folder, dict.fromkeys(members))


@dataclass(frozen=True)
class Site:
    """A run's folder.

    Attributes:
        folder: everything of the run lies in it, but for the keys.
        ports: member -> where its node listens.
    """

    folder: Path
    ports: Mapping[str, int]

    @classmethod
    def lay(
        cls, folder: Path, job: Job, transport: str, keys: Path, inbox: str | None, ports: Mapping[str, int]
    ) -> Site:
        """Write spec, plan and federation; `keys` holds certificates, `inbox` is the broker of all members.

        Keys and addresses are part of what participants compare, so runs that are to be compared need the same.
        """
        folder.mkdir(mode=0o700)
        shutil.copyfile(job.spec.plan, folder / PLAN)
        document: Any = load_yaml(job.path)
        document.pop("source", None)
        document |= {"plan": PLAN, "delivery": delivery_of(transport), "timeouts": TIMEOUTS}
        _write(folder / SPEC, document)
        members = [_member(job, name, ports, keys, inbox) for name in job.members]
        _write(folder / FEDERATION, {"federation": job.federation.name, "ca": str(keys / "ca.crt"), "members": members})
        return cls(folder, {name: ports[name] for name in job.hosts})

    @property
    def home(self) -> Path:
        """What nodes and owners keep."""
        return self.folder / "state"

    @property
    def fences(self) -> Path:
        """What backups must not cover."""
        return self.folder / "fences"

    def tap(self, member: str) -> Path:
        """The ledger of a member."""
        return self.folder / f"{member}.tap"


def _member(job: Job, name: str, ports: Mapping[str, int], keys: Path, inbox: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": name,
        "roles": list(job.federation.member(name).roles),
        "certificate": str(keys / f"{name}.crt"),
    }
    region = job.federation.member(name).region
    listens = job.federation.member(name).has("compute", "dealer")
    facts = {"address": f"{HOST}:{ports[name]}" if listens else None, "inbox": inbox, "region": region}
    return entry | {key: value for key, value in facts.items() if value is not None}


def _write(path: Path, document: object) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False))
