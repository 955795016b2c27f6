"""Runs workloads between real processes on this machine and reports what they took."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import numpy as np

from quorate.bench.workloads import WORKLOADS, Workload, measured, once, operand
from quorate.crypto.pki import create_authority, issue
from quorate.engine.count import count
from quorate.engine.names import Scope
from quorate.engine.party import Party
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import InternalError, UserError
from quorate.kernels.memory import keep_freed_memory
from quorate.protocols.registry import default_threshold, make
from quorate.testing.loopback import Loopback
from quorate.transport.conduct import conduct

__all__ = ["TRANSPORTS", "Record", "Setting", "run"]

Transport = Literal["tls", "plain", "simulate"]
TRANSPORTS: tuple[Transport, ...] = ("tls", "plain", "simulate")
PATIENCE = 600.0


@dataclass(frozen=True)
class Setting:
    """A protocol with its parties and threshold, over a transport."""

    protocol: str
    parties: int
    threshold: int
    transport: Transport

    @property
    def participants(self) -> tuple[str, ...]:
        """Parties and, for semi2k, the dealer."""
        names = tuple(f"party-{index}" for index in range(self.parties))
        return (*names, "dealer") if self.protocol == "semi2k" else names

    def session(self, me: int, *, counting: bool = False) -> Session:
        """The session of one participant."""
        dealer = self.parties if len(self.participants) > self.parties else None
        return Session(me, self.parties, self.participants, dealer, counting)


@dataclass(frozen=True)
class Record:
    """One measurement; `seconds` is the median over repetitions of the slowest party's time.

    `bytes_sent_per_party` is the mean over the parties (set-up excluded, message bodies only); `clear_seconds` is the
    time NumPy needs for the same on plaintext.
    """

    name: str
    protocol: str
    n: int
    parties: int
    threshold: int
    transport: str
    seconds: float
    per_second: float
    bytes_sent_per_party: float
    rounds: int
    peak_mb_per_party: float
    repetitions: int
    fastest: float
    slowest: float
    clear_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def run(name: str, setting: Setting, sizes: tuple[int, ...] = (), repeats: int = 5) -> Iterator[Record]:
    """Measure workload `name`, for each size.

    Raises:
        UserError: there is no such workload. InternalError: a result was wrong, or a process died.
    """
    if name not in WORKLOADS:
        raise UserError(f"there is no benchmark {name!r}; choose from {', '.join([*WORKLOADS, 'hospital_job'])}")
    workload = WORKLOADS[name]
    for size in sizes or workload.sizes:
        yield _record(name, workload, setting, size, repeats)


def _record(name: str, workload: Workload, setting: Setting, size: int, repeats: int) -> Record:
    runs, peaks = (_simulated if setting.transport == "simulate" else _processes)(name, setting, size, repeats)
    seconds = [max(times) for times in zip(*runs, strict=True)]
    median = statistics.median(seconds)
    costs = [_cost(workload, setting, size, me) for me in range(setting.parties)]
    return Record(
        name,
        setting.protocol,
        size,
        setting.parties,
        setting.threshold,
        setting.transport,
        median,
        workload.operations(size) / median,
        sum(sent for _, sent in costs) / setting.parties,
        max(rounds for rounds, _ in costs),
        max(peaks),
        repeats,
        min(seconds),
        max(seconds),
        _clear(workload, size),
    )


def _cost(workload: Workload, setting: Setting, size: int, me: int) -> tuple[int, int]:
    """Rounds and bytes sent of one repetition, without the set-up."""

    def program(*, work: bool) -> Party:
        session, at = setting.session(me, counting=True), Scope.root()
        protocol = make(setting.protocol, session, setting.threshold)
        return count(once(protocol, at, workload, size) if work else protocol.setup(at.child("setup")))

    with_work, setup = program(work=True), program(work=False)
    return with_work.rounds - setup.rounds, sum(with_work.sent.values()) - sum(setup.sent.values())


def _clear(workload: Workload, size: int) -> float:
    """Seconds for the same on plaintext with NumPy, best of three."""
    shape = workload.shape(size)
    x, y = (operand(workload, shape, workload.field_bits, k, 0, int(np.prod(shape))).reshape(shape) for k in range(2))
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        workload.expect(x, y)
        best = min(best, time.perf_counter() - start)
    return best


def _program(name: str, setting: Setting, size: int, repeats: int, me: int, root: Scope) -> Party:
    protocol = make(setting.protocol, setting.session(me), setting.threshold)
    return Party(measured(protocol, root.child("benchmark"), WORKLOADS[name], size, repeats))


def _simulated(name: str, setting: Setting, size: int, repeats: int) -> tuple[list[list[float]], list[float]]:
    """All parties in this process; the times are those of all of them together."""
    programs = []
    for me in range(len(setting.participants)):
        protocol = make(setting.protocol, setting.session(me), setting.threshold)
        programs.append(measured(protocol, Scope.root(), WORKLOADS[name], size, repeats))
    finished = simulate(programs)
    return [party.result for party in finished], [_peak_mb() / len(programs)]


def _processes(name: str, setting: Setting, size: int, repeats: int) -> tuple[list[list[float]], list[float]]:
    """One process per participant, connected on the loopback interface."""
    with tempfile.TemporaryDirectory() as folder, Loopback(setting.participants) as loopback:
        if setting.transport == "tls":
            create_authority(Path(folder), "benchmark")
            issue(Path(folder), dict.fromkeys(setting.participants, "127.0.0.1"))
        fork = multiprocessing.get_context("fork")
        pipes, workers = [], []
        for me in range(len(setting.participants)):
            mine, theirs = fork.Pipe(duplex=False)
            arguments = (name, setting, size, repeats, me, loopback, Path(folder), theirs)
            worker = fork.Process(target=_work, args=arguments, daemon=True)
            worker.start()
            theirs.close()
            pipes.append(mine)
            workers.append(worker)
        answers = [_answer(pipe, setting.participants[me]) for me, pipe in enumerate(pipes)]
        for worker in workers:
            worker.join()
    parties = answers[: setting.parties]
    return [seconds for seconds, _ in parties], [peak for _, peak in parties]


def _work(
    name: str, setting: Setting, size: int, repeats: int, me: int, loopback: Loopback, folder: Path, pipe: Connection
) -> None:
    keep_freed_memory()
    root = Scope.root()
    party = _program(name, setting, size, repeats, me, root)
    tls = setting.transport == "tls"
    links = loopback.tls_links(me, folder) if tls else loopback.insecure_plaintext_links(me)
    names = setting.participants
    seconds = conduct(party, links, root_scope=root, names=names, round_timeout=PATIENCE, session_timeout=10 * PATIENCE)
    pipe.send_bytes(" ".join(map(repr, [_peak_mb(), *seconds])).encode())


def _answer(pipe: Connection, who: str) -> tuple[list[float], float]:
    try:
        peak, *seconds = map(float, pipe.recv_bytes().split())
    except EOFError:
        raise InternalError(f"the benchmark process {who} died; its own message says why") from None
    return seconds, peak


def _peak_mb() -> float:
    """Largest resident size of this process so far, in MB of 10**6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def setting_for(
    protocol: str, transport: Transport, parties: int | None = None, threshold: int | None = None
) -> Setting:
    """A setting with the usual number of parties and threshold where none is given."""
    count_ = parties or {"semi2k": 2}.get(protocol, 3)
    return Setting(protocol, count_, default_threshold(protocol, count_) if threshold is None else threshold, transport)
