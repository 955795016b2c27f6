"""A small federation on free ports of this machine, its specs, plans and data, and the processes that use them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quorate.coordination.federation import Federation, load_federation
from quorate.crypto.pki import create_authority, issue
from quorate.lang.dims import parse_size
from quorate.lang.plan import Operation, Plan, Type
from quorate.node.identity import Identity
from quorate.node.launch import Nodes, up
from quorate.sharing.dtype import INT, DType

NODES = {"p1": "compute, owner", "p2": "compute", "p3": "compute", "notary": "dealer"}
OUTSIDE = {
    "o1": "[owner, recipient]",
    "o2": "[owner, recipient]",
    "o3": "[owner, recipient]",
    "boss": "[coordinator, recipient]",
}
OWNERS = ("o1", "o2", "o3")
REP3 = "protocol: {name: rep3, adversary: semi-honest}\nparties: [p1, p2, p3]\n"
SHAMIR = "protocol: {name: shamir, adversary: semi-honest, threshold: 1}\nparties: [p1, p2, p3]\n"
SEMI2K = "protocol: {name: semi2k, adversary: semi-honest}\nparties: [p1, p2]\ndealer: notary\n"
MAIN = "from quorate.cli.main import main; main()"


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


class Source:
    """Builds a plan by hand, so that these tests need no tracing."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def _append(self, kind: str, operands: Sequence[int], attributes: dict[str, Any], type_: Type) -> int:
        self.operations.append(Operation(kind, tuple(operands), attributes, type_))
        return len(self.operations) - 1

    def read(self, name: str, column: str = "value", dtype: DType = INT) -> int:
        attributes = {"input": name, "column": column, "dtype": str(dtype)}
        return self._append("input", (), attributes, Type(dtype, (parse_size(f"rows({name})"),)))

    def sum(self, x: int) -> int:
        return self._append("sum", (x,), {"axis": 0}, Type(self.operations[x].type.dtype, ()))

    def add(self, x: int, y: int) -> int:
        return self._append("add", (x, y), {}, self.operations[x].type)

    def lt(self, x: int, y: int) -> int:
        return self._append("lt", (x, y), {}, Type(DType("bool"), self.operations[x].type.shape))

    def chain(self, x: int, length: int) -> int:
        """`length` dependent products, one round each."""
        x = self.lt(x, x)
        for _ in range(length):
            x = self._append("and", (x, x), {}, self.operations[x].type)
        return x

    def total(self, names: Sequence[str]) -> int:
        sums = [self.sum(self.read(name)) for name in names]
        result = sums[0]
        for other in sums[1:]:
            result = self.add(result, other)
        return result

    def plan(self, name: str, outputs: dict[str, int]) -> Plan:
        return Plan(name, tuple(self.operations), outputs)


@dataclass
class Site:
    """A folder with everything that the members of one federation have."""

    folder: Path
    data: dict[str, str] = field(default_factory=dict)

    @property
    def federation_file(self) -> Path:
        return self.folder / "federation.yaml"

    @property
    def federation(self) -> Federation:
        return load_federation(self.federation_file)

    @property
    def home(self) -> Path:
        return self.folder / "state"

    def identity(self, name: str = "boss") -> Identity:
        return Identity(self.federation, name)

    def write_data(self, name: str, values: Sequence[int]) -> None:
        path = self.folder / f"{name}.csv"
        path.write_text("value\n" + "".join(f"{value}\n" for value in values))
        self.data[name] = str(path)

    def write_spec(self, name: str, plan: Plan, body: str, outputs: str, owners: Sequence[str] = OWNERS) -> Path:
        """A spec with one int column "value" per owner; `body` names protocol and parties."""
        inputs = "".join(
            f"  - {{name: {o}, owner: {o}, columns: [{{name: value, type: int, range: [0, 1000]}}]}}\n" for o in owners
        )
        (self.folder / f"{name}.plan.json").write_bytes(plan.to_json())
        path = self.folder / f"{name}.yaml"
        path.write_text(
            f"spec: 1\nname: {name}\nplan: {name}.plan.json\n{body}inputs:\n{inputs}outputs:\n{outputs}"
            "timeouts: {round: 10, join: 20, session: 60}\n"
        )
        return path

    def total_spec(
        self, name: str, body: str, outputs: str = "  - {name: total, to: [o1, boss]}\n", owners: Sequence[str] = OWNERS
    ) -> Path:
        """A spec that adds up all values of all owners."""
        source = Source()
        return self.write_spec(name, source.plan(name, {"total": source.total(owners)}), body, outputs, owners)

    def up(self, members: Sequence[str] | None = None) -> AbstractContextManager[Nodes]:
        return up(self.federation, self.folder, self.home, self.data, members)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Four nodes, three owners of five values each, and a coordinator; the sum of all values is 330."""
    return make_site(tmp_path / "site")


def make_site(folder: Path) -> Site:
    members = {**NODES, **OUTSIDE}
    create_authority(folder / "pki", "test")
    issue(folder / "pki", dict.fromkeys(members))
    lines = ["federation: test", "ca: pki/ca.crt", "members:"]
    for (name, role), port in zip(NODES.items(), free_ports(len(NODES)), strict=True):
        rest = f"roles: [{role}], address: '127.0.0.1:{port}', certificate: pki/{name}.crt"
        lines.append(f"  - {{name: {name}, {rest}}}")
    for name, roles in OUTSIDE.items():
        lines.append(f"  - {{name: {name}, roles: {roles}, certificate: pki/{name}.crt}}")
    (folder / "federation.yaml").write_text("\n".join(lines) + "\n")
    made = Site(folder)
    for position, owner in enumerate(OWNERS):
        made.write_data(owner, [10 * (position + 1) + k for k in range(5)])
    return made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Nodes]]:
    """A site whose four nodes run, for all tests of a module."""
    made = make_site(tmp_path_factory.mktemp("running") / "site")
    with made.up() as nodes:
        yield made, nodes


class Command:
    """A `quorate` command in a process of its own."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def end(self, seconds: float = 40.0) -> tuple[int, str, str]:
        """Exit code, output, errors; kills the process after `seconds`."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"no end within {seconds} s: {out} {err}") from None
        return self.process.returncode, out, err

    def json(self, seconds: float = 40.0) -> Any:
        code, out, err = self.end(seconds)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def command() -> Iterator[Callable[..., Command]]:
    """Starts commands, and kills what is left of them at the end of the test."""
    started: list[Command] = []

    def start(*arguments: str | Path) -> Command:
        started.append(Command(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()  # does nothing to a process that has ended
        with one.process:  # closes its pipes
            pass


@pytest.fixture
def until() -> Callable[..., Any]:
    """The first true value of a condition."""

    def wait(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)
        return value

    return wait


@pytest.fixture
def source() -> type[Source]:
    return Source


@pytest.fixture
def bodies() -> dict[str, str]:
    """Protocol and parties of a spec, by protocol."""
    return {"rep3": REP3, "shamir": SHAMIR, "semi2k": SEMI2K}


@pytest.fixture
def join(command: Callable[..., Command]) -> Callable[..., list[Command]]:
    """Lets owners join a spec, each in a process of its own."""

    def start(site: Site, spec: Path, owners: Sequence[str] = OWNERS) -> list[Command]:
        return [command("join", spec, "--as", o, "--data", f"{o}={site.data[o]}", "--json") for o in owners]

    return start


@pytest.fixture
def worker_of() -> Callable[[Site, str, str], int]:
    """The process id of the worker of a session at a node, from its log."""

    def find(site: Site, session: str, name: str) -> int:
        text = (site.home / f"{name}.log").read_text()
        return int(re.findall(rf"session {session}: worker (\d+) prepares", text)[-1])

    return find
