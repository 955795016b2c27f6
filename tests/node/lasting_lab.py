"""Real nodes of one federation that are killed and started again: processes, homes, fences, and what they leave."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.node.conftest import Site, Source, free_ports

from quorate.coordination.federation import Address, load_federation
from quorate.coordination.stocks import Stocks, load_stocks
from quorate.crypto.pki import create_authority, issue
from quorate.durable import parcel
from quorate.durable.core import Core
from quorate.durable.execution import Execution
from quorate.durable.journal import Journal
from quorate.durable.peer import body_digest
from quorate.lang.plan import Plan
from quorate.node import lasting
from quorate.node.approval import Approved, load
from quorate.node.client import Submission, submit
from quorate.node.launch import set_up_logging
from quorate.node.messages import Failure, Finished
from quorate.node.place import Place
from quorate.node.process import die_with_parent, fork, run_and_exit
from quorate.node.server import Node, Settings
from quorate.node.warm import warm

NODES = ("p1", "p2", "p3")
OUTSIDE = {"boss": "[coordinator, recipient]", "o1": "[owner, recipient]", "o2": "[owner, recipient]"}
REP3 = "protocol: {name: rep3, adversary: semi-honest}\nparties: [p1, p2, p3]\n"
TIMES = "{round: 60, join: 60, session: 300}"
VALUES = (1_037_264_091, 1_902_733_518, 1_455_010_277, 1_770_002_963, 1_288_345_102)
PATIENCE = 60.0
LISTENS = "node {} listens"

Trick = Callable[["Task"], None]
"""Called in a node's process before the node is made; workers inherit what it changes."""


@dataclass(frozen=True)
class Task:
    """What a process of a member is to be."""

    name: str
    home: str
    state: str
    visit: bool = False
    idle: float = 30.0
    seed: str = ""
    trick: str = ""
    port: int = 0
    stocks: str = ""
    data: dict[str, str] = field(default_factory=dict)


class Launcher:
    """A process without threads that forks nodes, so that the test's own process may have some."""

    def __init__(self, lab: Lab) -> None:
        warm()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        me = os.getpid()
        self._pid = fork()
        if not self._pid:
            self._socket.close()
            die_with_parent(me, signal.SIGKILL)
            run_and_exit(lambda: self._serve(lab, theirs))
        theirs.close()

    def _ask(self, question: Mapping[str, Any]) -> int:
        self._socket.send(json.dumps(question).encode())
        return int(self._socket.recv(64))

    def start(self, task: Task) -> int:
        """Its process id, which is also that of its group."""
        return self._ask(vars(task))

    def wait(self, pid: int) -> int:
        """Its exit code, once it has ended."""
        return os.waitstatus_to_exitcode(self._ask({"wait": pid}))

    def close(self) -> None:
        """Ends with everything that it started."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._socket.close()

    def _serve(self, lab: Lab, sock: socket.socket) -> None:
        me = os.getpid()
        while question := sock.recv(1 << 20):
            told = json.loads(question)
            if "wait" in told:
                sock.send(str(_reaped(told["wait"])).encode())
                continue
            pid = fork()
            if not pid:
                sock.close()
                os.setsid()
                die_with_parent(me, signal.SIGKILL)
                run_and_exit(lambda: lab.be(Task(**told)))  # noqa: B023
            sock.send(str(pid).encode())


def _reaped(pid: int) -> int:
    """How a child ended; it is killed if it does not."""
    for _ in range(int(PATIENCE / 0.01)):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


class Lab:
    """A federation with `nodes`, coordinator "boss" and owners outside; p1 and o1 have data.

    Attributes:
        home, state: of processes that are started from now on: data folder, and where fences are.
        fixed: processes get seeds that depend on their member only.
        options: further fields of every `Task`.
        tricks: what processes can do to themselves, by name.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[str] = NODES,
        *,
        pki: Path | None = None,
        inboxes: Mapping[str, str] | None = None,
        regions: Mapping[str, str] | None = None,
        tricks: Mapping[str, Trick] | None = None,
    ) -> None:
        self.site = Site(folder / "site")
        self.nodes = tuple(nodes)
        self.home, self.state = self.site.home, folder / "fences"
        self.fixed, self.options = False, dict[str, Any]()
        self.tricks = {
            "small checkpoints": small_checkpoints,
            "doomed": doomed,
            "dies with its result": dies_with_its_result,
            "deaf": deaf,
            "noting": noting,
            **(tricks or {}),
        }
        self.pids: dict[str, int] = {}
        self._submissions: list[Submission] = []
        if pki is None:
            pki = folder / "pki"
            create_authority(pki, "test")
            issue(pki, dict.fromkeys((*nodes, *OUTSIDE)))
        self._lay(pki, inboxes or {}, regions or {})
        os.environ["XDG_STATE_HOME"] = str(self.state)
        self._launcher = Launcher(self)

    def _lay(self, pki: Path, inboxes: Mapping[str, str], regions: Mapping[str, str]) -> None:
        folder = self.site.folder
        folder.mkdir()
        ports = dict(zip(self.nodes, free_ports(len(self.nodes)), strict=True))
        lines = ["federation: test", f"ca: {pki}/ca.crt", f"broker_ca: {pki}/ca.crt", "members:"]
        for name in (*self.nodes, *OUTSIDE):
            facts = [f"name: {name}", f"roles: {OUTSIDE.get(name, '[compute, owner, recipient]')}"]
            facts.append(f"certificate: {pki}/{name}.crt")
            if name in ports:
                facts.append(f"address: '127.0.0.1:{ports[name]}'")
            if name in inboxes:
                facts.append(f"inbox: '{inboxes[name]}'")
            if name in regions:
                facts.append(f"region: {regions[name]}")
            lines.append(f"  - {{{', '.join(facts)}}}")
        self.site.federation_file.write_text("\n".join(lines) + "\n")
        for name in ("p1", "o1", "o2"):
            self.site.write_data(name, VALUES)

    # ---- specs

    def spec(
        self,
        name: str,
        delivery: str,
        *,
        protocol: str = REP3,
        chain: int = 12,
        more: str = "",
        times: str = TIMES,
        owners: Sequence[str] = ("p1",),
    ) -> Approved:
        """p1 and p2 learn the sum of all values, p1 what `chain` dependent products give, if any."""
        source = Source()
        read = [source.read(owner) for owner in owners]
        total = source.sum(read[0])
        for other in read[1:]:
            total = source.add(total, source.sum(other))
        results, outputs = {"total": total}, "  - {name: total, to: [p1, p2]}\n"
        if chain:
            results["chain"] = source.chain(read[0], chain)
            outputs += "  - {name: chain, to: [p1]}\n"
        plan = source.plan(name, results)
        return self.approve(name, plan, f"{protocol}delivery: {delivery}\n{more}", outputs, times, owners)

    def approve(
        self, name: str, plan: Plan, body: str, outputs: str, times: str = TIMES, owners: Sequence[str] = ("p1",)
    ) -> Approved:
        """Write spec and plan into the folder of all."""
        path = self.site.write_spec(name, plan, body, outputs, list(owners))
        text = path.read_text().replace("{round: 10, join: 20, session: 60}", times)
        path.write_text(text.replace("[0, 1000]", "[0, 2147483647]"))
        return load(path, self.site.federation)

    # ---- processes

    def start(self, *names: str, **options: Any) -> None:
        """Start nodes, all of them by default, and wait until they listen."""
        members = names or self.nodes
        before = {name: self._listened(name) for name in members}
        for name in members:
            self.pids[name] = self._launcher.start(self._task(name, options))
        for name in members:
            until(lambda: self._listened(name) > before[name], f"{name} listens")  # noqa: B023

    def _listened(self, name: str) -> int:
        return self.log(name).count(LISTENS.format(name))

    def _task(self, name: str, options: Mapping[str, Any]) -> Task:
        seed = hashlib.sha256(name.encode()).hexdigest() if self.fixed else ""
        data = {"p1": self.site.data["p1"]} if name == "p1" else {}
        return Task(name, str(self.home), str(self.state), seed=seed, **{"data": data, **self.options, **options})

    def visit(self, name: str, **options: Any) -> int:
        """`quorate node --visit`; its exit code. What it said is in the log."""
        pid = self._launcher.start(self._task(name, {"visit": True, "idle": 0.3, **options}))
        return self._launcher.wait(pid)

    def kill(self, *names: str) -> None:
        """kill -9: the node with all its processes."""
        self._end(names, signal.SIGKILL)

    def stop(self, *names: str) -> None:
        """Stop nodes in order, all that run by default."""
        self._end(names or tuple(self.pids), signal.SIGTERM)

    def _end(self, names: Sequence[str], signum: int) -> None:
        for name in names:
            if signum == signal.SIGKILL:
                os.killpg(self.pids[name], signum)
            else:
                os.kill(self.pids[name], signum)
            self._launcher.wait(self.pids.pop(name))

    def wait(self, name: str) -> int:
        """The exit code of a node that ends by itself."""
        return self._launcher.wait(self.pids.pop(name))

    def workers(self, name: str) -> list[int]:
        """The processes of sessions at a node: those of its group that started none themselves."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError):
                fields = entry.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.pids[name] and fields[0] != "Z":
                    parents[int(entry.parent.name)] = int(fields[1])
        nursery = [pid for pid, parent in parents.items() if parent == self.pids[name]]
        return sorted(pid for pid, parent in parents.items() if parent in nursery)

    def be(self, task: Task) -> int:
        """The life of one process."""
        os.environ["XDG_STATE_HOME"] = task.state
        home = Path(task.home)
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / f"{task.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        set_up_logging(20, task.name)
        if task.trick:
            self.tricks[task.trick.partition(":")[0]](task)
        federation = load_federation(self.site.federation_file)
        stocks = load_stocks(Path(task.stocks), federation) if task.stocks else Stocks()
        settings = Settings(
            self.site.folder,
            home,
            task.data,
            listen=Address("127.0.0.1", task.port) if task.port else None,
            stocks=stocks,
            idle=task.idle,
            insecure_session_seed_for_tests=task.seed,
        )
        try:
            node = Node(federation, task.name, settings)
            if task.visit:
                print(f"VISIT {json.dumps(node.visit())}", flush=True)
            else:
                node.run()
        except Exception as problem:
            failure = Failure.of(problem)
            print(f"{failure.code}: {failure.message}", flush=True)
            return getattr(problem, "exit_code", 70)
        return 0

    def close(self) -> None:
        """Kill everything."""
        for submission in self._submissions:
            submission.close()
        self._launcher.close()

    # ---- sessions

    def made(self, session: str, name: str) -> dict[str, set[str]]:
        """What a member sent: receiver and name of a message -> digests of what was sent there; see "noting"."""
        found: dict[str, set[str]] = {}
        for line in (self.home / f"{name}.made").read_text().splitlines():
            whose, *place, digest = json.loads(line)
            if whose == session:
                found.setdefault(json.dumps(place), set()).add(digest)
        return found

    def submit(self, approved: Approved, session: str | None = None) -> Submission:
        """As the coordinator, whose connections are closed with the lab."""
        self._submissions.append(submit(self.site.identity(), approved, session))
        return self._submissions[-1]

    def place(self, name: str, session: str) -> Place:
        """What a member keeps of a session."""
        return Place(self.home, name, session)

    def ends(self, session: str, names: Sequence[str] = ()) -> dict[str, Finished | Failure]:
        """How a session ended, where it did."""
        found = {name: self.place(name, session).end for name in names or self.nodes}
        return {name: end for name, end in found.items() if end is not None}

    def all_ended(self, session: str, names: Sequence[str] = (), seconds: float = PATIENCE) -> dict[str, Any]:
        """How it ended everywhere, once it has, and nothing secret is left of it."""
        wanted = names or self.nodes

        def over() -> bool:
            return len(self.ends(session, wanted)) == len(wanted) and all(
                self.place(name, session).erased for name in wanted
            )

        until(over, "the session ends everywhere", seconds, self)
        return self.ends(session, wanted)

    def transcripts(self, session: str) -> dict[str, str]:
        """The transcripts that members report."""
        ends = self.all_ended(session)
        assert all(isinstance(end, Finished) for end in ends.values()), ends
        return {name: end.report.transcript for name, end in ends.items()}

    def result(self, session: str, name: str = "p1") -> Any:
        """What a member learned."""
        return json.loads((self.home / "results" / f"{session}.{name}.json").read_text())["results"]

    def log(self, name: str) -> str:
        """The log of a member's node."""
        path = self.home / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def left(self, session: str) -> list[str]:
        """Files in which secrets or messages of a session may be: journals, keys of journals, queues, fences."""
        found = []
        for path in [*self.home.rglob("*"), *self.state.rglob("*"), *self.site.folder.rglob("*")]:
            name = str(path.relative_to(self.site.folder.parent))
            if (
                path.is_file()
                and session in name
                and not path.name.endswith(_MAY_STAY)
                and path.parent.name not in _STAYS
            ):
                found.append(name)
        return sorted(set(found))

    def nothing_left(self, session: str, seconds: float = PATIENCE, *, queues: bool = True) -> None:
        """Wait until all of that is gone; queues too, unless last words may lie there for who has left already."""

        def left() -> list[str]:
            return [name for name in self.left(session) if queues or not name.startswith("site/queues/")]

        with contextlib.suppress(AssertionError):
            until(lambda: not left(), "", seconds)
        if names := left():
            raise AssertionError(names)


_MAY_STAY = ("ended.json", "trace.jsonl", "audit.jsonl", "asked.json", "reply.json")
_STAYS = ("results", "commitments")


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE, lab: Lab | None = None) -> Any:
    """The first true value of a condition."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            logs = "" if lab is None else "\n".join(lab.log(name)[-3000:] for name in lab.nodes)
            raise AssertionError(f"not within {seconds:g} s: {what}\n{logs}")
        time.sleep(0.01)
    return value


def expected(values: Sequence[int] = VALUES) -> dict[str, Any]:
    """What p1 learns from `Lab.spec`."""
    return {"total": sum(values), "chain": [False] * len(values)}


def small_checkpoints(task: Task) -> None:
    """Checkpoints at the end of every stage, however little was written."""
    plain = lasting.Lasting.__post_init__

    def patched(self: lasting.Lasting) -> None:
        plain(self)
        self.checkpoint_bytes = 1

    lasting.Lasting.__post_init__ = patched  # type: ignore[method-assign]


def noting(task: Task) -> None:
    """Workers note the digest of every message that they make, under its receiver and name."""
    made = Execution._made

    def noted(self: Execution, message: Any) -> None:
        with open(Path(task.home) / f"{task.name}.made", "a") as file:
            digest = body_digest(message.buffers).hex()
            file.write(json.dumps([self._state.seat.session, message.peer, [*message.name], digest]) + "\n")
        made(self, message)

    Execution._made = noted  # type: ignore[method-assign]


def dies_with_its_result(task: Task) -> None:
    """The node dies when its result has been written down."""
    note_end = Place.note_end

    def noted(self: Place, end: Finished | Failure) -> None:
        note_end(self, end)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    Place.note_end = noted  # type: ignore[method-assign]


def deaf(task: Task) -> None:
    """Messages of participant 0 do not arrive from number NUMBER of "deaf:NUMBER" on."""
    first, take = int(task.trick.partition(":")[2]), Core.take

    def taken(self: Core, data: bytes, token: object, now: float) -> None:
        header = parcel.unpack(data)
        if not (header.kind == parcel.DATA and header.sender == 0 and header.seq >= first):
            take(self, data, token, now)

    Core.take = taken  # type: ignore[method-assign]


def doomed(task: Task) -> None:
    """Workers kill themselves at a commit that "doomed:SEED:LIVES:MOST" determines, before or after it, LIVES times."""
    _, seed, lives, most = task.trick.split(":")
    tally = Path(task.home) / f"{task.name}.deaths"
    plain, count = Journal.commit, [0]

    def commit(self: Journal, *arguments: Any, **more: Any) -> Any:
        deaths = tally.stat().st_size if tally.exists() else 0
        drawn = int.from_bytes(hashlib.sha256(f"{seed} {task.name} {deaths}".encode()).digest()[:4], "big")
        count[0] += 1
        dies = deaths < int(lives) and count[0] == 1 + drawn % int(most)
        if dies:
            with open(tally, "ab") as file:
                file.write(b"x")
            if drawn & 1 << 30:
                os.kill(os.getpid(), signal.SIGKILL)
        value = plain(self, *arguments, **more)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    Journal.commit = commit  # type: ignore[method-assign]
