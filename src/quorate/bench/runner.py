"""Runs workloads between real processes on this machine and reports what they took."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from quorate.bench.lasting import Site, conduct_lasting, is_lasting, site
from quorate.bench.measure import Measured, measured, once, peak_mb
from quorate.bench.workloads import ANALYSIS, ONLINE, WORKLOADS, Workload
from quorate.bench.workloads.tuples import PREFIX, Tuples, stock_up, supply_of
from quorate.coordination.machine import Machine, load_machine
from quorate.coordination.timeline import LOOPBACK, Links, Timeline, predict
from quorate.engine.count import count
from quorate.engine.exchange import Step
from quorate.engine.names import Scope
from quorate.engine.network import LAN, Network
from quorate.engine.party import Party
from quorate.engine.session import Session
from quorate.engine.simulate import simulate
from quorate.errors import InternalError, UserError
from quorate.kernels.memory import keep_freed_memory
from quorate.protocols.base import Protocol
from quorate.protocols.registry import default_threshold, make, protocol_class
from quorate.testing.loopback import Loopback
from quorate.transport.conduct import conduct

__all__ = ["TRANSPORTS", "Record", "Setting", "predicted", "run", "setting_for", "tuple_kinds", "workload_named"]

T = TypeVar("T")
Transport = Literal["tls", "plain", "simulate", "durable", "embedded", "amqp", "redis", "nats", "kafka"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
"""TLS, the same without encryption, one process; then, with journals: TLS, queues in a folder, brokers."""
PATIENCE = 600.0


@dataclass(frozen=True)
class Setting:
    """A protocol with its parties and threshold, over a transport, which may seem as slow as `network`."""

    protocol: str
    parties: int
    threshold: int
    transport: Transport
    network: Network | None = None
    dealer: bool = False

    @property
    def participants(self) -> tuple[str, ...]:
        """Parties and, if there is one, the dealer."""
        names = tuple(f"party-{index}" for index in range(self.parties))
        return (*names, "dealer") if self.dealer else names

    def session(self, me: int, *, counting: bool = False) -> Session:
        """The session of one participant."""
        dealer = self.parties if len(self.participants) > self.parties else None
        return Session(me, self.parties, self.participants, dealer, counting, network=self.network or LAN)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measurement; `seconds` is the median over repetitions of the slowest party's time.

    `bytes_sent_per_party` is the mean over the parties (set-up excluded, message bodies only), `bytes_per_operation`
    the same for one of those that `per_second` counts; `clear_seconds` is the time NumPy needs for the same on
    plaintext, 0 where there is no such thing. `rtt` and `bandwidth` are those of the simulated network, if any.
    `predicted_seconds` is what a quote would say, for TLS. `cpu_seconds_per_party` is the processor time of a
    repetition, which depends less than `seconds` on what else the machine does.
    """

    name: str
    protocol: str
    n: int
    parties: int
    threshold: int
    transport: str
    rtt: str | None = None
    bandwidth: str | None = None
    seconds: float
    predicted_seconds: float | None = None
    cpu_seconds_per_party: float | None = None
    per_second: float
    bytes_sent_per_party: float
    bytes_per_operation: float | None = None
    rounds: int
    peak_mb_per_party: float
    repetitions: int
    fastest: float
    slowest: float
    clear_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class _Cost(NamedTuple):
    """Of one repetition: rounds, bytes sent by a party on average, predicted seconds."""

    rounds: int
    sent: float
    seconds: float


def run(name: str, setting: Setting, size: int, repeats: int = 5) -> Record:
    """Measure workload `name` for one size.

    Raises:
        UserError: there is no such workload, or no simulated network for this transport.
        InternalError: a result was wrong, or a process died.
    """
    workload = workload_named(name)
    if setting.network is not None and setting.transport not in ("tls", "plain", "durable"):
        raise UserError("a network is simulated between processes; choose the transport tls, plain or durable")
    runs = (_simulated if setting.transport == "simulate" else _processes)(name, setting, size, repeats)
    seconds = [max(times) for times in zip(*(one.seconds for one in runs), strict=True)]
    median, cost = statistics.median(seconds), _cost(workload, setting, size, load_machine(os.cpu_count()))
    return Record(
        name=name,
        protocol=setting.protocol,
        n=size,
        parties=setting.parties,
        threshold=setting.threshold,
        transport=setting.transport,
        rtt=None if setting.network is None else setting.network.rtt,
        bandwidth=None if setting.network is None else setting.network.rate,
        seconds=median,
        predicted_seconds=cost.seconds if setting.transport == "tls" else None,
        cpu_seconds_per_party=statistics.mean(one.busy for one in runs),
        per_second=workload.operations(size) / median,
        bytes_sent_per_party=cost.sent,
        bytes_per_operation=cost.sent / max(1, workload.operations(size)),
        rounds=cost.rounds,
        peak_mb_per_party=max(one.peak_mb for one in runs),
        repetitions=repeats,
        fastest=min(seconds),
        slowest=max(seconds),
        clear_seconds=_clear(workload, size),
    )


def predicted(name: str, setting: Setting, size: int, machine: Machine) -> float:
    """Seconds that one repetition of workload `name` should take on the setting's network, or loopback."""
    return _cost(workload_named(name), setting, size, machine).seconds


def workload_named(name: str) -> Workload:
    """The workload of this name. Raises `UserError` if there is none."""
    if name.startswith(PREFIX):
        return Tuples(name.removeprefix(PREFIX))
    every = {**WORKLOADS, **ONLINE, **ANALYSIS}
    if name not in every:
        raise UserError(f"there is no benchmark {name!r}; choose from {', '.join([*every, 'tuples', 'hospital_job'])}")
    return every[name]


def tuple_kinds(setting: Setting) -> tuple[str, ...]:
    """The kinds of tuples that can be made under a setting. Raises `UserError` if its protocol needs none."""
    return supply_of(make(setting.protocol, setting.session(0, counting=True), setting.threshold)).kinds


def _needs(workload: Workload, setting: Setting, size: int) -> dict[str, int]:
    """The tuples that one repetition uses up, by kind; nothing unless they are to be made beforehand."""
    if not workload.stocked:
        return {}
    protocol = make(setting.protocol, setting.session(0, counting=True), setting.threshold)
    count(_in_session(protocol, Scope.root(), lambda p, at: once(p, at, workload, size)))
    return dict(supply_of(protocol).used)


def _cost(workload: Workload, setting: Setting, size: int, machine: Machine) -> _Cost:
    """What one repetition costs, its final barrier included in the time alone."""
    needs = _needs(workload, setting, size)
    first = _predicted(setting, machine, lambda p, at: stock_up(p, at.child("stock"), needs))

    def stocked(p: Protocol, at: Scope) -> Step[None]:
        yield from stock_up(p, at.child("stock"), needs)
        yield from once(p, at, workload, size)

    whole = _predicted(setting, machine, stocked)
    barrier = len(setting.participants) - 1
    sent = [_sent(whole, me) - _sent(first, me) - barrier for me in range(setting.parties)]
    rounds = [whole.parts[me].party.rounds - first.parts[me].party.rounds - 1 for me in range(setting.parties)]
    return _Cost(max(rounds), sum(sent) / setting.parties, (whole.ended - first.ended) / 1e9)


def _predicted(setting: Setting, machine: Machine, program: Callable[[Protocol, Scope], Step[Any]]) -> Timeline:
    """A session on arrays without content, in virtual time."""
    sessions = [setting.session(me, counting=True) for me in range(len(setting.participants))]
    programs = [
        _in_session(make(setting.protocol, session, setting.threshold), Scope.root(), program) for session in sessions
    ]
    return predict(programs, sessions, Links(setting.network or LOOPBACK), machine)


def _in_session(p: Protocol, root: Scope, program: Callable[[Protocol, Scope], Step[T]]) -> Step[T]:
    yield from p.setup(root.child("setup"))
    return (yield from program(p, root.child("benchmark")))


def _sent(timeline: Timeline, me: int) -> int:
    return sum(timeline.parts[me].party.sent.values())


def _clear(workload: Workload, size: int) -> float:
    """Seconds for the same on plaintext with NumPy, best of three."""
    in_the_clear = workload.clear(size)
    if in_the_clear is None:
        return 0.0
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        in_the_clear()
        best = min(best, time.perf_counter() - start)
    return best


def _program(name: str, setting: Setting, size: int, repeats: int, me: int, root: Scope) -> Step[Measured]:
    protocol = make(setting.protocol, setting.session(me), setting.threshold)
    workload = workload_named(name)
    needs = _needs(workload, setting, size)
    return _in_session(protocol, root, lambda p, at: measured(p, at, workload, size, repeats, needs))


def _simulated(name: str, setting: Setting, size: int, repeats: int) -> list[Measured]:
    """All parties in this process; the times are those of all of them together."""
    everybody = range(len(setting.participants))
    finished = simulate([_program(name, setting, size, repeats, me, Scope.root()) for me in everybody])
    each = peak_mb() / len(everybody)
    return [
        Measured(party.result.seconds, party.result.busy / len(everybody), each)
        for party in finished[: setting.parties]
    ]


def _processes(name: str, setting: Setting, size: int, repeats: int) -> list[Measured]:
    """One process per participant, connected on the loopback interface."""
    names = setting.participants
    with (
        tempfile.TemporaryDirectory() as folder,
        Loopback(names, setting.network) as loopback,
        site(setting.transport, Path(folder), names) as place,
    ):
        fork = multiprocessing.get_context("fork")
        pipes, workers = [], []
        for me in range(len(names)):
            mine, theirs = fork.Pipe(duplex=False)
            arguments = (name, setting, size, repeats, me, loopback, place, theirs)
            worker = fork.Process(target=_work, args=arguments, daemon=True)
            worker.start()
            theirs.close()
            pipes.append(mine)
            workers.append(worker)
        answers = [_answer(pipe, names[me]) for me, pipe in enumerate(pipes)]
        for worker in workers:
            worker.join()
    return answers[: setting.parties]


def _work(
    name: str,
    setting: Setting,
    size: int,
    repeats: int,
    me: int,
    loopback: Loopback,
    place: Site,
    pipe: Connection,
) -> None:
    keep_freed_memory()
    root = Scope.root()
    program = _program(name, setting, size, repeats, me, root)
    names = setting.participants
    if is_lasting(setting.transport):
        found: Measured = conduct_lasting(program, root, names, me, loopback, place)
    else:
        tls = setting.transport == "tls"
        links = loopback.tls_links(me, place.pki) if tls else loopback.insecure_plaintext_links(me)
        found = conduct(
            Party(program), links, root_scope=root, names=names, round_timeout=PATIENCE, session_timeout=10 * PATIENCE
        )
    pipe.send_bytes(" ".join(map(repr, [found.busy, found.peak_mb, *found.seconds])).encode())


def _answer(pipe: Connection, who: str) -> Measured:
    try:
        busy, peak, *seconds = map(float, pipe.recv_bytes().split())
    except EOFError:
        raise InternalError(f"the benchmark process {who} died; its own message says why") from None
    return Measured(seconds, busy, peak)


def setting_for(
    protocol: str,
    transport: Transport,
    parties: int | None = None,
    threshold: int | None = None,
    network: Network | None = None,
    *,
    dealer: bool = False,
) -> Setting:
    """A setting with the usual number of parties and threshold where none is given."""
    cls = protocol_class(protocol)
    if dealer and not cls.dealer_allowed:
        raise UserError(f"{protocol} has no use for a dealer; leave out --dealer")
    count_ = parties or max(2, cls.usual_parties)
    tolerated = default_threshold(protocol, count_) if threshold is None else threshold
    return Setting(protocol, count_, tolerated, transport, network, dealer)
