"""What the conformance tests of carriers work with: a site, connections to it, and queues that are gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import quorate
from quorate.crypto.entropy import SystemEntropy
from quorate.errors import BrokerFault
from quorate.transport.carrier import Carrier, Credentials, DeadLetter, Delivery, Limits, Parcel, Queue, open_carrier

__all__ = [
    "CONSUME",
    "PUBLISH",
    "Lab",
    "Site",
    "brief",
    "content",
    "idents",
    "parcels",
    "refused",
    "require",
    "same",
    "together",
]


@dataclass(frozen=True)
class Site:
    """A broker that runs: its address, how we prove who we are, and who must not be let in (None: nobody is kept out).

    `strangers` hold a certificate of another authority.
    """

    address: str
    credentials: Credentials
    strangers: Credentials | None = None


def parcels(count: int, size: int = 100, sender: str = "a") -> list[Parcel]:
    """Reproducible parcels "<sender>-0", "<sender>-1", ... of `size` bytes."""
    return [Parcel(f"{sender}-{k}", content(f"{sender}-{k}", size)) for k in range(count)]


def content(ident: str, size: int) -> bytes:
    """`size` bytes that depend on the name."""
    start = ident.encode() + bytes(range(256))
    return (start * (size // len(start) + 1))[:size]


def require(condition: bool, message: str) -> None:
    """An assertion that optimisation does not remove."""
    if not condition:
        raise AssertionError(message)


def idents(items: Sequence[Delivery] | Sequence[DeadLetter] | Sequence[Parcel]) -> list[str]:
    """Their names, in order."""
    return [item.ident if isinstance(item, Parcel) else item.parcel.ident for item in items]


def same(got: Sequence[Delivery], expected: Sequence[Parcel], what: str) -> None:
    """The deliveries are these parcels, in this order."""
    require(idents(got) == idents(expected), f"{what}: got {brief(idents(got))}, not {brief(idents(expected))}")
    for delivery, parcel in zip(got, expected, strict=True):
        require(bytes(delivery.parcel.body) == parcel.body, f"{what}: the content of {parcel.ident} has changed")


def brief(names: list[str]) -> str:
    """The first of them, and how many there are."""
    return f"{names[:12]}{' ...' if len(names) > 12 else ''} ({len(names)})"


class Lab:
    """A fresh session at a site: connections to it, and its queues; all are gone after `with`."""

    def __init__(self, site: Site, patience: float) -> None:
        self.site = site
        self.patience = patience
        self.session = SystemEntropy().bytes(16).hex()
        self._carriers: list[Carrier] = []
        self._queues: list[Queue] = []

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        for carrier in self._carriers:
            carrier.close()
        if self._queues:
            with contextlib.closing(open_carrier(self.site.address, self.site.credentials)) as carrier:
                for queue in self._queues:
                    carrier.remove(queue)

    def open(self) -> Carrier:
        """A new connection."""
        carrier = open_carrier(self.site.address, self.site.credentials)
        self._carriers.append(carrier)
        return carrier

    def queue(self, box: str = "shares", limits: Limits | None = None) -> Queue:
        """A provisioned queue."""
        queue = Queue(self.session, box)
        if queue not in self._queues:
            self._queues.append(queue)
        with contextlib.closing(open_carrier(self.site.address, self.site.credentials)) as carrier:
            carrier.provision(queue, limits or Limits())
        return queue

    def take(self, carrier: Carrier, queue: Queue, count: int) -> list[Delivery]:
        """Exactly `count` deliveries, within the patience."""
        got: list[Delivery] = []
        deadline = time.monotonic() + self.patience
        while len(got) < count and time.monotonic() < deadline:
            most = count - len(got)
            batch = carrier.consume(queue, most, min(1.0, self.patience))
            require(len(batch) <= most, f"{len(batch)} deliveries, though at most {most} were asked for")
            got += batch
        require(len(got) == count, f"{len(got)} of {count} parcels arrived: {brief(idents(got))}")
        return got

    def empty(self, carrier: Carrier, queue: Queue, seconds: float = 0.5) -> None:
        """Nothing arrives any more."""
        got = carrier.consume(queue, 100, seconds)
        require(not got, f"{brief(idents(got))} arrived, though nothing should be left")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, within the patience."""
        deadline = time.monotonic() + self.patience
        while not condition():
            require(time.monotonic() < deadline, f"{what}: not within {self.patience:g} s")
            time.sleep(0.05)

    @contextlib.contextmanager
    def process(self, work: str, queue: Queue, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """A Python process with a connection of its own as `carrier`; killed in the end."""
        facts = json.dumps([self.site.address, asdict(self.site.credentials), queue, arguments], default=str)
        root = Path(quorate.__file__).parents[1]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
        process = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        if process.stdin is not None:
            process.stdin.write(facts + "\n")
            process.stdin.flush()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()


_PRELUDE = """
import json
import sys
import time
from pathlib import Path
from quorate.transport.carrier import Credentials, Parcel, Queue, open_carrier
address, facts, queue, arguments = json.loads(sys.stdin.readline())
for key in ("certificate", "key", "authority"):
    facts[key] = facts[key] and Path(facts[key])
carrier, queue = open_carrier(address, Credentials(**facts)), Queue(*queue)
"""
CONSUME = """
got = []
while len(got) < arguments[0]:
    got += carrier.consume(queue, arguments[0] - len(got), 1.0)
print(json.dumps([delivery.parcel.ident for delivery in got]), flush=True)
time.sleep(600)
"""
PUBLISH = """
for k in range(100_000):
    carrier.publish(queue, [Parcel(f"p-{k}", b"x" * arguments[0])])
    print(k, flush=True)
"""


def refused(action: Callable[[], object]) -> None:
    """The action raises `BrokerFault`."""
    try:
        action()
    except BrokerFault as problem:
        require(len(str(problem)) > 20, f"the message says too little: {problem}")
        return
    raise AssertionError("it was accepted, though it should be refused")


def together(actions: Sequence[Callable[[], object]], seconds: float = 120.0) -> None:
    """Run all at the same time; the first error, if there is one."""
    problems: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        require(not thread.is_alive(), "somebody hangs")
    if problems:
        raise problems[0]
