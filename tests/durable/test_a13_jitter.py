"""More than 500 shares of coordinates under way at once, with up to 300 ms of jitter, within the budget of a round."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.durable import a13
from tests.durable.jitter import JitterRelay, Jittery
from tests.durable.submissions import LIMITS, PARTIES

from quorate.data.coordinates import to_e7
from quorate.durable.opening import Opening
from quorate.errors import BrokerFault
from quorate.transport.backoff import Backoff

pytestmark = pytest.mark.slow
PRODUCERS = 168
SHARES = PRODUCERS * len(PARTIES)
JITTER = 0.3
BUDGET = 90.0


def test_it_is_more_than_500():
    assert SHARES > 500


def persistent(connect, number, work):
    """Do `work` with a connection; with another one when the broker breaks off, as a node would."""
    end, pauses = time.monotonic() + BUDGET, Backoff(0.2, 5.0)
    while True:
        try:
            own = connect(number)
            with contextlib.closing(own):
                return work(own)
        except BrokerFault:
            if time.monotonic() > end:
                raise
            time.sleep(pauses.pause())


def run_round(field, connect):
    """All producers at once, three consumers, one recipient; every participant over a connection of its own."""
    carrier = connect(0)
    analyst = a13.analyst(field)
    for queue in [*(field.queue(party) for party in PARTIES), analyst.seat.queue]:
        carrier.provision(queue, LIMITS)
    carrier.close()
    sent = {f"phone-{k}": a13.positions(1, seed=k) for k in range(PRODUCERS)}
    start, stop, problems = threading.Barrier(PRODUCERS + 1), threading.Event(), []

    def guarded(work, *arguments):
        try:
            work(*arguments)
        except threading.BrokenBarrierError:
            pass
        except Exception as problem:
            problems.append(problem)
            start.abort()

    def produce(number, name):
        sender = field.producer(name)
        sender.submit(to_e7(*sent[name]))
        start.wait(60)
        persistent(connect, number, lambda own: sender.send(dict.fromkeys(PARTIES, own)))

    def consume(number, party):
        persistent(connect, number, lambda own: a13.serve(field, party, own, stop))

    threads = [threading.Thread(target=guarded, args=(consume, 1 + k, party)) for k, party in enumerate(PARTIES)]
    threads += [threading.Thread(target=guarded, args=(produce, 10 + k, name)) for k, name in enumerate(sent)]
    for thread in threads:
        thread.start()
    try:
        with contextlib.suppress(threading.BrokenBarrierError):
            start.wait(60)
        assert problems == []
        opening = Opening(analyst, PRODUCERS, BUDGET)  # the round begins when everybody sends
        entries = persistent(connect, 0, opening.run)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert problems == []
    assert opening.tally.rejected == {}
    assert {entry.producer for entry in entries} == set(sent)
    for entry in entries:
        np.testing.assert_array_equal(analyst.open(entry), to_e7(*sent[entry.producer]))
    end, carrier = time.monotonic() + 60, connect(0)
    for party in PARTIES:  # two were enough; the third finds the rest in its queue
        consumer = field.consumer(party)
        while len(consumer.entries()) < PRODUCERS:
            assert time.monotonic() < end, f"{party} did not get everything"
            consumer.take(carrier, 100, 1.0)
        assert carrier.dead(field.queue(party)) == []
    carrier.close()


def test_under_jitter(broker):
    """The embedded carrier with calls that take longer, come twice and in another order; brokers behind slow lines."""
    field = broker.field
    if not broker.port:
        run_round(field, lambda number: Jittery(field.carrier(), JITTER, seed=number))
        return
    with JitterRelay(broker.port, JITTER, seed=1) as relay:
        address = field.address.replace(str(broker.port), str(relay.port))
        slow = dataclasses.replace(field, address=address)
        run_round(field, lambda number: Jittery(slow.carrier(), 0.0, seed=number))


NAMESPACE = "quorate-a13"


@pytest.fixture
def slow_loopback():
    """A network namespace whose loopback device delays every packet by 0 to 300 ms."""
    for tool in ("ip", "tc", "redis-server"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    steps = [
        ["ip", "netns", "add", NAMESPACE],
        ["ip", "-n", NAMESPACE, "link", "set", "lo", "up"],
        ["tc", "-n", NAMESPACE, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "150ms", "150ms"],
    ]
    try:
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"this machine does not allow {' '.join(step[:3])} ... {step[-1]}: {done.stderr.strip()}")
        yield NAMESPACE
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True, check=False)


IN_NAMESPACE = """
import sys
from pathlib import Path
from quorate.testing.servers.base import OPERATOR
from quorate.testing.servers.redis import RedisServer
from tests.durable import a13, test_a13_jitter
folder = Path(sys.argv[1])
with RedisServer(folder / "server", ["alice"]) as server:
    who = server.credentials(OPERATOR if OPERATOR in server.members else "alice")
    field = a13.field_at(folder, server.address, who, "netem")
    test_a13_jitter.run_round(field, lambda number: field.carrier())
print("complete")
"""


def test_under_jitter_of_the_network_itself(slow_loopback, tmp_path):

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    command = ["ip", "netns", "exec", slow_loopback, sys.executable, "-c", IN_NAMESPACE, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=115, check=False)
    assert done.stdout == "complete\n", done.stderr
